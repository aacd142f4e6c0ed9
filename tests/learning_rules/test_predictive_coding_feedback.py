"""Predictive coding with learned feedback weights: the paper's equations written out, its limits, and that feedback aligns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of, train

import learning_rules
from learning_rules import InputError, RuleState, plausibility
from learning_rules.feedback_weights import feedback_angles
from learning_rules.objectives import Batch
from learning_rules.plausibility import null_space
from learning_rules.plausibility.rule_under_test import RuleUnderTest

NAME = "predictive_coding/learned_feedback"
SMALL = {"hidden": (6, 5), "activation": "tanh"}
PLAIN = {"steps": 3, "rate": 0.1, "nudge": 0.5, "precision_ratio": 3.0}
COUNTS = np.array([1.0, 0, 1, 1, 0, 1])


def state_of(rule):
    return double(rule.init(jax.random.key(0)))


def asked(rule, state, counts=None):
    images, labels = batch_of(2, n=6, dtype=jnp.float64)
    batch = Batch(images, labels, None if counts is None else jnp.asarray(counts))
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]


def assert_same(a, b, rtol=1e-9):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(np.abs(q).max()))


def written_out(params, feedback, images, labels, counts, top_down, steps, rate, nudge, precision_ratio):
    """Millidge et al. 2020, with precisions and a nudge: of a dense network with two hidden layers of tanh units, in NumPy."""
    (w1, w2, w3), (c1, c2, c3) = ([np.asarray(own[name]) for own in params] for name in ("kernel", "bias"))
    b2, b3 = (np.asarray(own["kernel"]) for own in feedback[1:])
    x, y = np.asarray(images).reshape(len(images), -1), np.eye(4)[np.asarray(labels)]
    p1, p2 = precision_ratio, 1.0

    def errors(h1, h2):
        m1, m2, scores = np.tanh(x @ w1 + c1), np.tanh(h1 @ w2 + c2), h2 @ w3 + c3
        odds = np.exp(scores - scores.max(1, keepdims=True))
        return h1 - m1, h2 - m2, nudge * (y - odds / odds.sum(1, keepdims=True)), 1 - m1**2, 1 - m2**2

    h1 = np.tanh(x @ w1 + c1)
    h2 = np.tanh(h1 @ w2 + c2)
    for _ in range(steps):
        e1, e2, e3, _, slope2 = errors(h1, h2)
        moved = rate * (e3 @ b3.T / p2 - e2)
        h2 = h2 + moved
        e2 = e2 + moved if top_down else e2
        h1 = h1 + rate * ((p2 * e2 * slope2) @ b2.T / p1 - e1)
    e1, e2, e3, slope1, slope2 = errors(h1, h2)
    part = (counts / counts.sum())[:, None] / nudge
    at_z = [-part * p1 * e1 * slope1, -part * p2 * e2 * slope2, -part * e3]
    return tuple({"kernel": pre.T @ post, "bias": post.sum(0)} for pre, post in zip((x, h1, h2), at_z, strict=True))


@pytest.mark.parametrize("order", ["top_down", pytest.param("simultaneous", marks=pytest.mark.thorough)])
def test_states_and_both_kinds_of_weights_follow_the_published_equations_written_out(order):
    rule = learning_rules.build(NAME, network_of("mlp", **SMALL), order=order, feedback_gain=1.0, **PLAIN)
    with jax.enable_x64(True):
        state = state_of(rule)
        updates = asked(rule, state, COUNTS)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        top_down = order == "top_down"
        expected = written_out(state.params["network"], state.params["feedback"], images, labels, COUNTS, top_down, **PLAIN)
        assert_same(updates["network"], expected)
        assert updates["feedback"][0] is None
        assert_same(updates["feedback"][1:], expected[1:])


def test_feedback_equal_to_the_forward_weights_with_fixed_predictions_is_backpropagation():
    network = network_of("mlp", **SMALL)
    with jax.enable_x64(True):
        params = double(network.init(jax.random.key(0)))
        met = RuleState({"network": params, "feedback": (None, *params[1:])}, ())
        z_il = learning_rules.build(NAME, network, fixed_predictions=True, steps=1, rate=1.0)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)

        def loss(params):
            chances = jax.nn.log_softmax(network.forward(params, images)[-1])
            return -jnp.mean(jnp.sum(chances * jax.nn.one_hot(labels, 4), axis=1))

        assert_same(asked(z_il, met)["network"], jax.grad(loss)(params))


def test_feedback_weights_come_to_align_with_the_forward_ones():
    network = network_of("mlp")
    rule = learning_rules.build(NAME, network, learning_rate=0.02, weight_decay=0.5, feedback_gain=1.0)
    before = rule.init(jax.random.key(0))
    after, (losses, _) = train(rule, before, n_steps=600)
    assert min(feedback_angles(network, before.params["network"], before.params["feedback"])) > 70
    assert max(feedback_angles(network, after.params["network"], after.params["feedback"])) < 10
    assert float(losses[-100:].mean()) < 0.5 * float(losses[0])


@pytest.mark.thorough
def test_what_weights_above_move_is_what_their_synapses_feel(monkeypatch):
    """States settle by so little that the intervention's null space holds some of it; the closer it is cut, the less is moved."""
    moved = {}
    for name in (NAME, "predictive_coding/standard"):
        for limit in (1e-9, 1e-13):
            monkeypatch.setattr(null_space, "_TOLERANCE", limit)
            test = RuleUnderTest(name, lambda network, name=name: learning_rules.build(name, network), "mlp")
            moved[name, limit] = plausibility.CRITERIA["weight transport"].probe(test)
    closer, closer_through_weights = moved[NAME, 1e-13], moved["predictive_coding/standard", 1e-13]
    assert closer.verdict == "meets" and closer.value < 0.01 * moved[NAME, 1e-9].value
    assert closer_through_weights.verdict == "fails" and closer_through_weights.value > 0.01


def test_what_cannot_align_or_carry_errors_back_is_refused():
    with pytest.raises(InputError, match="never meet the forward ones"):
        learning_rules.build(NAME, network_of("mlp"), weight_decay=0.0)
    with pytest.raises(InputError, match="feedback_gain=0.0 was given"):
        learning_rules.build(NAME, network_of("mlp"), feedback_gain=0.0)
    assert "static" in learning_rules.support(NAME, network_of("elman")).reason
