"""Credit in time: identities of `through_time`, `online` and `eligibility`, and of e-prop and RFLO with their papers' equations.

Weights and inputs are large enough for spiking units to fire, and not always: of silent ones every statement would hold.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures
import learning_rules
from learning_rules import Batch, RuleState
from learning_rules.signals import exact, through
from learning_rules.temporal_credit import temporal_gradient

STEPS, N, IN, UNITS, CLASSES = 7, 6, 3, 5, 4
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def hidden(kind, name="hidden", shape=(IN,), recurrent=False):
    if kind == "lif":
        return architectures.leaky_integrate_and_fire(name, shape, UNITS, 0.8, recurrent=recurrent)
    if kind == "alif":
        return architectures.adaptive_integrate_and_fire(name, shape, UNITS, 0.8, 1.0, 0.5, 0.9, recurrent=recurrent)
    if kind == "rate":
        return architectures.leaky_rate(name, shape, UNITS, 0.8, recurrent=recurrent)
    if kind == "activity":
        return architectures.leaky_activity(name, shape, UNITS, 0.8, recurrent=recurrent)
    if kind == "gated":
        return architectures.gated(name, shape, UNITS)
    return architectures.dense(name, shape, UNITS, "tanh", recurrent=recurrent)


@functools.cache
def network_of(kind, recurrent=False, leak=0.7, decision="mean", layers=1):
    """One hidden layer of one kind of units, or several, below a readout that leaks unless `leak` is 0."""
    nodes = [hidden(kind, "hidden", recurrent=recurrent)]
    nodes += [hidden(kind, f"hidden_{k}", (UNITS,), recurrent) for k in range(1, layers)]
    last = architectures.leaky_rate("last", (UNITS,), CLASSES, leak, "identity") if leak else None
    nodes.append(last or architectures.readout("last", (UNITS,), CLASSES))
    return architectures.chain(nodes, name=kind, input_shape=(IN,), n_classes=CLASSES, decision=decision)


def drawn(network, loss="cross_entropy", seed=1):
    """Parameters in double precision, and a batch some of whose targets do not count."""
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), jax.eval_shape(network.init, KEY))
    shape = (STEPS, N) if loss.endswith("per_step") else (N,)
    inputs = jnp.asarray(2 * rng.normal(size=(STEPS, N, *network.input_shape)))
    values = rng.normal(size=(*shape, CLASSES)) if "regression" in loss else rng.integers(0, CLASSES, shape)
    return params, Batch(inputs, jnp.asarray(values), jnp.asarray((rng.random(shape) > 0.3) * 1.0))


def asked(rules, params, batch, feedback=None):
    """What each of several rules asks for, and what it tells."""

    def run(params):
        def one(rule):
            given = {"network": params}
            state = RuleState(given, {"feedback": feedback})
            if rule.spec.variant in ("direct_kolen_pollack", "adaptive"):
                state = RuleState({**given, "feedback": feedback}, ())
            return rule.assign_credit(KEY, state, batch)[::2]

        return [one(rule) for rule in rules]

    return jax.tree.map(np.asarray, jax.jit(run)(params))


def direct_weights(network, seed=3):
    """From the scores to every hidden node."""
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(CLASSES, *node.output_shape))) for node in network.nodes[:-1])


def rules_of(name, network, values, **options):
    return [learning_rules.build(name, network, temporal=value, **options) for value in values]


def same(found, expected, rtol=1e-12):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(), 1e-3))


def apart(found, expected, least=0.02):
    gaps = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)]
    assert max(gaps) > least


def fires(network, params, batch):
    rates = [float(h.mean()) for h in network.forward(params, batch.inputs)[:-1]]
    assert all(0.05 < rate < 0.95 for rate in rates)


@pytest.mark.parametrize(
    ("kind", "recurrent", "leak", "decision", "loss"),
    [
        ("lif", True, 0.7, "last", "cross_entropy_per_step"),
        ("lif", False, 0.7, "mean", "cross_entropy"),
        ("alif", False, 0.0, "last", "squared_error"),
        ("activity", True, 0.7, "last", "cross_entropy"),
        ("alif", True, 0.0, "mean", "cross_entropy_per_step"),
        ("activity", False, 0.7, "mean", "regression_per_step"),
        ("lif", True, 0.0, "last", "cross_entropy"),
        ("rate", True, 0.7, "mean", "cross_entropy"),
        ("elman", True, 0.7, "last", "cross_entropy_per_step"),
    ],
)
@pytest.mark.costly(cases=4)
def test_traces_miss_what_delayed_edges_carry_and_nothing_else(kind, recurrent, leak, decision, loss):
    """Of one hidden layer they give the gradient whose errors cross no delayed edge; without such edges, backpropagation's."""
    network = network_of(kind, recurrent, leak, decision)
    params, batch = drawn(network, loss)
    if kind.endswith("lif"):
        fires(network, params, batch)
    chosen = ("eligibility", "online", "through_time")
    (forward, told), (online, of_online), (through_time, _) = asked(rules_of("backprop", network, chosen, loss=loss), params, batch)
    same(forward, online)
    same(told, of_online)
    (apart if recurrent else same)(forward, through_time)


@pytest.mark.parametrize("kind", ["alif", "gated", "elman", "lif"])
@pytest.mark.costly(cases=1)
def test_feedback_alignment_through_time_is_backpropagation_where_feedback_is_the_weights(kind):
    network = network_of(kind, True)
    params, batch = drawn(network)
    feedback = tuple(None if not network.hears_nodes(index) else own for index, own in enumerate(params))
    (reference,) = asked(rules_of("backprop", network, ["through_time"]), params, batch)
    (aligned, _), (online, _) = asked(rules_of("feedback_alignment", network, ["through_time", "online"]), params, batch, feedback)
    same(aligned["network"], reference[0]["network"], rtol=1e-10)
    apart(online["network"], reference[0]["network"])


@pytest.mark.parametrize(
    ("variant", "decision", "loss"),
    [
        ("direct_kolen_pollack", "last", "cross_entropy"),
        ("direct_random_target", "mean", "cross_entropy_per_step"),
        ("direct_random_target", "mean", "cross_entropy"),
        ("direct", "mean", "cross_entropy"),
        ("direct", "last", "cross_entropy_per_step"),
    ],
)
@pytest.mark.costly(cases=2)
def test_direct_feedback_by_traces_is_what_it_is_with_every_step_kept(variant, decision, loss):
    """Its errors cross no edge, so that traces lose nothing."""
    network = network_of("lif", True, 0.7, decision, layers=2)
    params, batch = drawn(network, loss)
    chosen = ("eligibility", "through_time", "online")
    rules = rules_of(f"feedback_alignment/{variant}", network, chosen, loss=loss, weight_decay=0.1)
    (forward, told), (kept, of_kept), (online, _) = asked(rules, params, batch, direct_weights(network))
    same((forward, told), (kept, of_kept))
    same(online, kept)


def test_errors_go_down_through_feedback_weights_within_a_step():
    network = network_of("lif", True, 0.0, "last", layers=2)
    params, batch = drawn(network)
    other = drawn(network, seed=2)[0]
    feedback = tuple(own if index else None for index, own in enumerate(other))
    objective = learning_rules.make_objective("cross_entropy", network)

    @jax.jit
    def both(params):
        def by_traces(back):
            return temporal_gradient(network, objective, "eligibility", params, batch, lambda p: through(network, p, back))[1]

        return (
            by_traces(feedback),
            by_traces((None, *params[1:])),
            temporal_gradient(network, objective, "eligibility", params, batch, lambda p: exact(network, p))[1],
        )

    aligned, with_weights, symmetric = jax.tree.map(np.asarray, both(params))
    same(with_weights, symmetric)
    same(aligned[2], symmetric[2])
    for index in (0, 1):
        apart(aligned[index], symmetric[index])
