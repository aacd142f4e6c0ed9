"""Burst-dependent plasticity: the papers' equations written out, its limits, and what each kind of weights comes to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of, train

import architectures
import learning_rules
from architectures import Edge, Network
from learning_rules import InputError, RuleState
from learning_rules.feedback_weights import feedback_angles
from learning_rules.objectives import Batch

SMALL = {"hidden": (6, 5), "activation": "sigmoid"}
COUNTS = np.array([1.0, 0, 1, 1, 0, 1])


def ask(rule, state, counts=None, n=6):
    images, labels = batch_of(2, n=n, dtype=jnp.float64)
    return asked(rule, state, Batch(images, labels, None if counts is None else jnp.asarray(counts)))


def asked(rule, state, batch):
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]


def assert_same(a, b, rtol=1e-9):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(np.abs(q).max()))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def written_out(params, images, labels, baseline, teaching):
    """Greedy et al. 2022 and Payeur et al. 2021, of a dense network with two hidden layers of sigmoid units, in NumPy.

    Events of each layer, its bursts under the teacher and without one, and dendrites' potentials under the teacher; Q of nought is
    the earlier model.
    """
    w, c = ([np.asarray(own[name]) for own in params["network"]] for name in ("kernel", "bias"))
    y = [None if own is None else np.asarray(own["kernel"]) for own in params["feedback"]]
    q = [np.asarray(own["kernel"]) if own else None for own in params.get("inhibition", [None, None, None])]
    q = [np.zeros_like(other) if own is None and other is not None else own for own, other in zip(q, y, strict=True)]
    events = [np.asarray(images).reshape(len(images), -1)]
    for k in range(2):
        events.append(sigmoid(events[-1] @ w[k] + c[k]))
    scores = events[-1] @ w[2] + c[2]
    odds = np.exp(scores - scores.max(1, keepdims=True))
    events.append(odds / odds.sum(1, keepdims=True))
    target = np.eye(4)[np.asarray(labels)]

    def downwards(tau):
        bursts, potentials = [baseline * (events[3] + tau * (target - events[3]))], []
        for k in (2, 1):
            potentials.insert(0, bursts[0] @ y[k].T - events[k + 1] @ q[k].T)
            u = (1 - events[k]) * potentials[0]  # a sigmoid's derivative over its value
            bursts.insert(0, events[k] * sigmoid(u / (baseline * (1 - baseline)) + np.log(baseline / (1 - baseline))))
        return bursts, potentials

    taught, potentials = downwards(teaching)
    return events, taught, downwards(0.0)[0], potentials


@pytest.mark.parametrize("variant", ["single_phase", "two_phase"])
def test_all_weights_follow_the_published_equations_written_out(variant):
    given = {"baseline": 0.3, "teaching": 0.7, "feedback_gain": 1.0, "inhibition": "cancelling"}
    rule = learning_rules.build(f"burst/{variant}", network_of("mlp", **SMALL), **given)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        if variant == "single_phase":  # not where it cancels
            state.params["inhibition"] = double(rule.init(jax.random.key(1)).params["inhibition"])
        updates = ask(rule, state, COUNTS)
        events, taught, untaught, potentials = written_out(state.params, *batch_of(2, n=6, dtype=jnp.float64), 0.3, 0.7)
        part = (COUNTS / COUNTS.sum())[:, None]
        expected = [0.3 * e for e in events[1:]] if variant == "single_phase" else untaught
        more = [-part * (b - b0) / (0.3 * 0.7) for b, b0 in zip(taught, expected, strict=True)]
        products = tuple({"kernel": e.T @ m, "bias": m.sum(0)} for e, m in zip(events, more, strict=False))
        assert_same(updates["network"], products)
        assert updates["feedback"][0] is None
        assert_same(updates["feedback"][1:], products[1:])
        if variant == "single_phase":
            cancelling = [-v.T @ (part * e) for v, e in zip(potentials, events[2:], strict=True)]
            assert_same([own["kernel"] for own in updates["inhibition"][1:]], cancelling)
            assert not any(np.any(own["bias"]) for own in updates["inhibition"][1:])


@pytest.mark.parametrize("architecture", ["cnn", "residual"])
def test_tied_weights_and_a_quiet_teacher_give_the_gradient_and_a_loud_one_saturates(architecture):
    network = network_of(architecture, activation="sigmoid")
    with jax.enable_x64(True):
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        params = double(network.init(jax.random.key(0)))
        own = (None, *params[1:])
        tied = {"network": params, "feedback": own}

        def distance(teaching):
            asked = ask(learning_rules.build("burst", network, teaching=teaching), RuleState(tied, {}))["network"]
            pairs = [(a["kernel"], b["kernel"]) for a, b in zip(asked, gradient, strict=True)]
            return [float(jnp.linalg.norm((a - b).ravel()) / jnp.linalg.norm(b.ravel())) for a, b in pairs]

        def loss(params):
            return -jnp.mean(jnp.sum(jax.nn.log_softmax(network.forward(params, images)[-1]) * jax.nn.one_hot(labels, 4), axis=1))

        gradient = jax.jit(jax.grad(loss))(params)
        quiet, loud = distance(1e-4), distance(1.0)
        assert max(quiet) < 1e-3
        assert min(loud[:-1]) > 3 * max(quiet) and loud[-1] < 1e-12


@pytest.mark.thorough
def test_inhibition_comes_to_cancel_bursts_at_their_baseline():
    """Whatever the two started as, and without the forward weights: these are held still, and the teacher says almost nothing."""
    network = network_of("mlp", activation="sigmoid")
    rule = learning_rules.build("burst", network, teaching=1e-6, feedback_gain=1.0, inhibition="cancelling")
    state = rule.init(jax.random.key(0))
    batch = batch_of(0, n=64)
    events = network.forward(state.params["network"], batch[0])

    @jax.jit
    def settled(inhibition):
        def step(inhibition, _):
            updates = rule.assign_credit(
                jax.random.key(0), RuleState({**state.params, "inhibition": inhibition}, state.carry), batch
            )[0]
            return jax.tree.map(lambda q, g: q - 0.2 * g, inhibition, updates["inhibition"]), None

        return jax.lax.scan(step, inhibition, length=1000)[0]

    def left(inhibition):
        rates = (events[1], jax.nn.softmax(events[2]))
        each = zip(rates, state.params["feedback"][1:], inhibition[1:], strict=True)
        return [
            float(jnp.linalg.norm(e @ (0.5 * y["kernel"] - q["kernel"]).T) / jnp.linalg.norm(0.5 * e @ y["kernel"].T))
            for e, y, q in each
        ]

    before = rule.init(jax.random.key(1)).params["inhibition"]
    assert max(left(state.params["inhibition"])) < 1e-6
    assert min(left(before)) > 0.5 and max(left(settled(before))) < 0.1


@pytest.mark.parametrize("variant", ["single_phase", pytest.param("two_phase", marks=pytest.mark.thorough)])
def test_feedback_weights_come_to_align_with_the_forward_ones(variant):
    rule = learning_rules.build(f"burst/{variant}", network_of("mlp"), learning_rate=0.02, weight_decay=0.5, feedback_gain=1.0)
    before = rule.init(jax.random.key(0))
    after, (losses, _) = train(rule, before, n_steps=600)
    assert min(feedback_angles(rule.network, before.params["network"], before.params["feedback"])) > 70
    assert max(feedback_angles(rule.network, after.params["network"], after.params["feedback"])) < 10
    assert float(losses[-100:].mean()) < 0.5 * float(losses[0])


@pytest.mark.parametrize(
    ("variant", "baseline"),
    [
        ("two_phase", 0.2),
        pytest.param("single_phase", 0.2, marks=pytest.mark.thorough),
        *(pytest.param(v, 0.5, marks=pytest.mark.thorough) for v in ("single_phase", "two_phase")),
    ],
)
def test_small_errors_are_not_lost_in_single_precision_six_layers_down(variant, baseline):
    """A twentieth of an error is handed on from layer to layer: taken as a difference of bursts, it drowned."""
    rule = learning_rules.build(f"burst/{variant}", network_of("mlp", hidden=(24,) * 5), baseline=baseline)
    images, labels = batch_of(2, n=32)
    states = [rule.init(jax.random.key(0))]
    states.append(train(rule, states[0], n_steps=20)[0])
    for state in states:
        single = asked(rule, state, (images, labels))["network"][0]["kernel"]
        with jax.enable_x64(True):
            exact = asked(rule, double(state), (double(images), labels))["network"][0]["kernel"]
            assert np.linalg.norm(single - exact) < 1e-3 * np.linalg.norm(exact)


@pytest.mark.parametrize("variant", ["single_phase", "two_phase"])
def test_bursts_saturate_and_no_change_explodes(variant):
    rule = learning_rules.build(f"burst/{variant}", network_of("mlp", **SMALL), baseline=0.2, feedback_gain=50.0)
    updates = asked(rule, rule.init(jax.random.key(0)), batch_of(2, n=6))["network"]
    # A unit bursts at all of its events at most, of which a fifth is to be expected.
    assert all(float(jnp.abs(own["bias"]).max()) <= 1 / 0.2 for own in updates)


def test_silent_units_learn_nothing_and_no_unit_is_told_of_more_bursts_than_it_has():
    rule = learning_rules.build("burst", network_of("mlp", **SMALL), feedback_gain=1e6, feedback_learns=False)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        images, _ = batch_of(2, n=1, dtype=jnp.float64)
        told = ask(rule, state, n=1)["network"][0]["bias"] * 0.5
        rates = rule.network.forward(state.params["network"], images)[0][0]
        # Errors beyond all bounds: every unit bursts at all of its events, or at none.
        np.testing.assert_allclose(jnp.abs(told), 0.5 * rates, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": 1.0}, "baseline=1.0 was given"),
        ({"teaching": 0.0}, "teaching=0.0 was given"),
        ({"weight_decay": 0.0}, "never meet the forward ones"),
        ({"inhibition_rate": 0.0}, "inhibition_rate=0.0 was given"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("burst", network_of("mlp"), **options)


def test_units_with_negative_outputs_are_refused():
    assert "a rate of events has no sign" in learning_rules.support("burst", network_of("mlp", activation="tanh")).reason
    assert learning_rules.support("burst", network_of("mlp", activation="relu")).supported


def test_events_that_a_skip_from_the_input_would_give_a_sign_are_refused():
    nodes = [architectures.dense("first", (4,), 4), architectures.readout("last", (4,), 3)]
    edges = [(Edge("input"), Edge("input", skip=True)), (Edge("first"),)]
    network = Network("skipping", (4,), 3, tuple(nodes), tuple(edges))
    with pytest.raises(InputError, match="a rate of events has no sign: leave out skips from the input"):
        learning_rules.build("burst", network)
