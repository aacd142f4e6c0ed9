"""Error broadcast and decorrelation: the published losses and their slopes, and direct feedback alignment as its limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of

import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.objectives import Batch

COUNTS = np.array([1.0, 0, 1, 1, 0, 1])
GIVEN = {
    "forgetting": 0.7,
    "power_rate": 0.3,
    "power": 0.4,
    "entropy_rate": 0.2,
    "entropy_forgetting": 0.6,
    "entropy_floor": 0.5,
}


def batch_in_double():
    images, labels = batch_of(2, n=6, dtype=jnp.float64)
    return Batch(images, labels, jnp.asarray(COUNTS))


def outputs_of(params, x):
    """Of a dense network with hidden layers of tanh units, in NumPy."""
    h = [x]
    for own in params[:-1]:
        h.append(np.tanh(h[-1] @ np.asarray(own["kernel"]) + np.asarray(own["bias"])))
    return h, h[-1] @ np.asarray(params[-1]["kernel"]) + np.asarray(params[-1]["bias"])


def error_of(scores, labels):
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True) - np.eye(4)[np.asarray(labels)]


def remembered(h, error, correlation, covariance):
    """Erdogan et al. 2025, equations 4 and 12: both estimates after a batch, (units, classes) and (units, units)."""
    part = (COUNTS / COUNTS.sum())[:, None]
    r = 0.7 * correlation + 0.3 * h.T @ (part * error)
    return r, 0.6 * covariance + 0.4 * h.T @ (part * h)


def loss_of(h, error, correlation, covariance):
    """Equations 6, 9 and 11 of one layer, the first and the last per unit of what is new in an estimate."""
    r, c = remembered(h, error, correlation, covariance)
    power = (COUNTS / COUNTS.sum()) @ h**2
    entropy = 0.5 * np.linalg.slogdet(c + 0.5 * np.eye(len(c)))[1]
    return 0.5 * np.sum(r**2) / 0.3 + 0.3 * np.sum((power - 0.4) ** 2) - 0.2 * entropy / 0.4


def test_hidden_weights_go_down_the_published_losses_by_finite_differences():
    """Of two steps in turn, so that estimates are carried on; the error is held, and no loss reaches the layer below."""
    rule = learning_rules.build("error_decorrelation", network_of("mlp", hidden=(6, 5), activation="tanh"), **GIVEN)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        params, batch = state.params["network"], batch_in_double()
        step = jax.jit(rule.assign_credit)
        x = np.asarray(batch.inputs).reshape(6, -1)
        h, scores = outputs_of(params, x)
        error = error_of(scores, batch.targets)
        estimates = [(np.asarray(own.correlation).T, np.asarray(own.covariance)) for own in state.carry["remembered"]]
        for _ in range(2):
            updates, state, _ = step(jax.random.key(1), state, batch)
            for k, (own, before) in enumerate(zip(params[:-1], estimates, strict=True)):
                for name, entry in [("kernel", (3, 2)), ("kernel", (1, 4)), ("bias", (1,))]:

                    def loss(shift, own=own, name=name, entry=entry, before=before, below=h[k]):
                        moved = {part: np.array(leaf) for part, leaf in own.items()}
                        moved[name][entry] += shift
                        return loss_of(np.tanh(below @ moved["kernel"] + moved["bias"]), error, *before)

                    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
                    np.testing.assert_allclose(updates["network"][k][name][entry], slope, rtol=1e-6, atol=1e-9)
            estimates = [remembered(own, error, *before) for own, before in zip(h[1:], estimates, strict=True)]
            for kept, (r, c) in zip(state.carry["remembered"], estimates, strict=True):
                np.testing.assert_allclose(kept.correlation, r.T, rtol=1e-9)
                np.testing.assert_allclose(kept.covariance, c, rtol=1e-9, atol=1e-15)
        part = (COUNTS / COUNTS.sum())[:, None]
        np.testing.assert_allclose(updates["network"][-1]["kernel"], h[-1].T @ (part * error), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("architecture", ["elman", pytest.param("cnn", marks=pytest.mark.thorough)])
def test_an_estimate_that_never_changes_is_direct_feedback_alignment(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("error_decorrelation", network, forgetting=1.0, power_rate=0.0, entropy_rate=0.0)
    direct = learning_rules.build("feedback_alignment/direct", network)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        feedback = {"feedback": tuple(kept.correlation for kept in state.carry["remembered"])}
        batch = batch_of(2, n=6, dtype=jnp.float64)
        ours = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]["network"]
        theirs = jax.jit(direct.assign_credit)(jax.random.key(1), RuleState(state.params, feedback), batch)[0]["network"]
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.thorough
def test_outputs_and_errors_are_decorrelated_where_nothing_else_learns():
    """With the readout held still, what hidden weights do makes the batch's correlation small."""
    network = network_of("mlp", hidden=(16,), activation="tanh")
    rule = learning_rules.build("error_decorrelation", network, forgetting=0.0, power_rate=0.0, entropy_rate=0.0)
    state, batch = rule.init(jax.random.key(0)), batch_of(0, n=64)

    @jax.jit
    def course(state):
        def step(state, _):
            updates, state, info = rule.assign_credit(jax.random.key(0), state, batch)
            below = jax.tree.map(lambda w, g: w - 0.5 * g, state.params["network"][0], updates["network"][0])
            return RuleState({"network": (below, state.params["network"][1])}, state.carry), info["correlation_with_error"][0]

        return jax.lax.scan(step, state, length=300)[1]

    sizes = course(state)
    assert float(sizes[-1]) < 0.3 * float(sizes[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forgetting": 1.1}, "forgetting=1.1 was given"),
        ({"entropy_forgetting": 1.0}, "entropy_forgetting=1.0 was given"),
        ({"power": 0.0}, "power=0.0 was given"),
        ({"entropy_rate": -1.0}, "entropy_rate=-1.0 was given"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("error_decorrelation", network_of("mlp"), **options)


def test_steps_that_do_not_count_are_no_part_of_any_term():
    """The last rows of the images, which no earlier step hears, may show anything where no target counts."""
    rule = learning_rules.build("error_decorrelation", network_of("elman"), loss="cross_entropy_per_step", **GIVEN)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        steps = jnp.broadcast_to(labels, (8, 6))
        mask = jnp.ones((8, 6)).at[-1].set(0.0)
        step = jax.jit(rule.assign_credit)
        shown = (images, images.at[:, -1].set(7.0))
        found = [step(jax.random.key(1), state, Batch(x, steps, mask)) for x in shown]
    for a, b in zip(*(jax.tree.leaves((updates, after.carry["remembered"])) for updates, after, _ in found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
