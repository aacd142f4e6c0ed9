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
from learning_rules import Batch, InputError, RuleState
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


# E-prop and RFLO, by their papers' equations.


def judged(scores, batch):
    """softmax - target at every step, times the part that the answer has in the mean loss."""
    p = np.exp(scores - scores.max(-1, keepdims=True))
    targets, mask = np.asarray(batch.targets), np.asarray(batch.mask)
    return (p / p.sum(-1, keepdims=True) - np.eye(CLASSES)[targets]) * (mask / mask.sum())[..., None]


def bellec(params, batch, b, kappa, beta=0.0, rho=0.0, leak=0.8):
    """Bellec et al. 2020, example by example and synapse by synapse: eq. 22-25 for traces, 4 and 28 for the change."""
    own, out = ({k: np.asarray(v) for k, v in each.items()} for each in params)
    weights = np.concatenate([own["kernel"], own["kernel_1"], own["bias"][None]])
    asked_for, by_readout, spikes = np.zeros_like(weights), np.zeros((UNITS, CLASSES)), []
    for example in range(N):
        v, a, o, y = np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS), np.zeros(CLASSES)
        eps_v, eps_a, filtered = (np.zeros_like(weights) for _ in range(3))
        z_filtered = np.zeros(UNITS)
        for t in range(STEPS):
            pre = np.concatenate([np.asarray(batch.inputs)[t, example], o, [1.0]])
            v, a = leak * v + pre @ weights - o, rho * a + o
            o = (v > 1 + beta * a).astype(float)
            psi = 1 / (1 + 10 * np.abs(v - 1 - beta * a)) ** 2
            y = kappa * y + (1 - kappa) * (o @ out["kernel"] + out["bias"])
            scores = np.zeros((STEPS, N, CLASSES))
            scores[t, example] = y
            error = (1 - kappa) * judged(scores, batch)[t, example]
            z_filtered = kappa * z_filtered + o
            by_readout += np.outer(z_filtered, error)
            for j in range(UNITS):
                for i in range(len(weights)):
                    eps_v[i, j] = leak * eps_v[i, j] + pre[i]
                    e = psi[j] * (eps_v[i, j] - beta * eps_a[i, j])
                    filtered[i, j] = kappa * filtered[i, j] + e
                    asked_for[i, j] += filtered[i, j] * (b[:, j] @ error)
                    eps_a[i, j] = psi[j] * eps_v[i, j] + (rho - psi[j] * beta) * eps_a[i, j]
            spikes.append(o)
    assert 0.1 < np.mean(spikes) < 0.9
    return {"kernel": asked_for[:IN], "kernel_1": asked_for[IN:-1], "bias": asked_for[-1]}, by_readout


@pytest.mark.parametrize(
    ("kind", "variant", "kappa", "adaptation"), [("alif", "adaptive", 0.7, (0.5, 0.9)), ("lif", "random", 0.0, (0.0, 0.0))]
)
def test_eprop_is_its_papers_equations(kind, variant, kappa, adaptation):
    network = network_of(kind, True, kappa)
    params, batch = drawn(network, loss := "cross_entropy_per_step")
    feedback = direct_weights(network)
    rule = learning_rules.build(f"eprop/{variant}", network, loss=loss)
    ((updates, _),) = asked([rule], params, batch, feedback)
    expected, by_readout = bellec(params, batch, np.asarray(feedback[0]), kappa, *adaptation)
    same(updates["network"][0], expected)
    same(updates["network"][1]["kernel"], by_readout)
    if variant == "adaptive":
        same(updates["feedback"][0], by_readout.T)


def test_rflo_is_its_papers_equations():
    """Murray 2019, equations 2 to 5: p_t = k p_{t-1} + (1 - k) f'(u_t) x_t, and dW = sum_t [B error_t] p_t."""
    network = network_of("activity", True, 0.0)
    params, batch = drawn(network, loss := "cross_entropy_per_step")
    feedback = direct_weights(network)
    ((updates, _),) = asked([learning_rules.build("eprop/rflo", network, loss=loss)], params, batch, feedback)
    own, out = ({k: np.asarray(v) for k, v in each.items()} for each in params)
    weights = np.concatenate([own["kernel"], own["kernel_1"], own["bias"][None]])
    h, p = np.zeros((N, UNITS)), np.zeros((N, *weights.shape))
    asked_for, by_readout = np.zeros_like(weights), np.zeros((UNITS, CLASSES))
    for t in range(STEPS):
        pre = np.concatenate([np.asarray(batch.inputs)[t], h, np.ones((N, 1))], axis=1)
        f = np.tanh(pre @ weights)
        p = 0.8 * p + 0.2 * (1 - f**2)[:, None, :] * pre[:, :, None]
        h = 0.8 * h + 0.2 * f
        scores = np.zeros((STEPS, N, CLASSES))
        scores[t] = h @ out["kernel"] + out["bias"]
        error = judged(scores, batch)[t]
        asked_for += np.einsum("nij,nj->ij", p, error @ np.asarray(feedback[0]))
        by_readout += h.T @ error
    same(updates["network"][0], {"kernel": asked_for[:IN], "kernel_1": asked_for[IN:-1], "bias": asked_for[-1]})
    same(updates["network"][1]["kernel"], by_readout)


def test_random_feedback_that_is_the_readouts_weights_is_symmetric_eprop_and_that_is_backpropagations_traces():
    """And is so where a mean of leaky scores is judged at the end, and the sequence is run again."""
    network = network_of("lif", True, 0.7, "mean")
    params, batch = drawn(network)
    rules = [
        *(learning_rules.build(f"eprop/{variant}", network) for variant in ("random", "symmetric")),
        *rules_of("backprop", network, ["eligibility"]),
    ]
    (random, told), (symmetric, of_symmetric), (traces, _) = asked(rules, params, batch, (params[1]["kernel"].T,))
    same((random, told), (symmetric, of_symmetric))
    same(symmetric, traces)
    other = asked(rules[:1], params, batch, direct_weights(network))[0][0]
    apart(other["network"][0], symmetric["network"][0])


def test_a_sequence_of_one_step_is_the_static_network():
    """And its credit in time is what a static network's is."""
    network = network_of("elman", False, 0.0, layers=2)
    looped = network_of("elman", True, 0.0, layers=2)
    params, batch = drawn(network)
    batch = batch._replace(inputs=batch.inputs[0])
    own = tuple({**p, **({"kernel_1": jnp.ones((UNITS, UNITS))} if k < 2 else {})} for k, p in enumerate(params))
    ((static, told),) = asked([learning_rules.build("backprop", network)], params, batch)
    one_step = batch._replace(inputs=batch.inputs[None])
    found = asked(rules_of("backprop", looped, ["through_time", "online", "eligibility"]), own, one_step)
    for updates, of_one in found:
        same(of_one, told)
        for a, b in zip(updates["network"], static["network"], strict=True):
            same({key: a[key] for key in b}, b)
            assert not np.any(a.get("kernel_1", 0))


@pytest.mark.parametrize(("kind", "loss"), [("alif", "cross_entropy_per_step"), ("lif", "cross_entropy")])
def test_memory_of_traces_does_not_grow_with_the_sequence_and_backpropagations_does(kind, loss):
    network = network_of(kind, True)
    params = jax.eval_shape(lambda: drawn(network)[0])

    def bytes_beside_what_is_given(temporal, n_steps):
        rule = learning_rules.build("backprop", network, temporal=temporal, loss=loss)
        targets = jax.ShapeDtypeStruct((n_steps, N) if loss.endswith("per_step") else (N,), jnp.int32)
        batch = Batch(jax.ShapeDtypeStruct((n_steps, N, IN), jnp.float64), targets)
        run = jax.jit(lambda params, batch: rule.assign_credit(KEY, RuleState({"network": params}, ()), batch)[::2])
        return run.lower(params, batch).compile().memory_analysis().temp_size_in_bytes

    few, many = (bytes_beside_what_is_given("eligibility", n_steps) for n_steps in (20, 2000))
    assert many <= few + 64
    few, many = (bytes_beside_what_is_given("through_time", n_steps) for n_steps in (20, 2000))
    assert many > 50 * few


@pytest.mark.parametrize(
    ("name", "network", "options", "message"),
    [
        ("backprop", ("mlp", {}), {"temporal": "online"}, "no time to credit: leave it out"),
        ("feedback_alignment", ("mlp", {}), {"temporal": "eligibility"}, "no time to credit: leave it out"),
        ("backprop", ("recurrent", {}), {"temporal": "eligible"}, "did you mean 'eligibility'"),
        (
            "backprop",
            ("recurrent", {"units": "gated"}),
            {"temporal": "eligibility"},
            "remembers over a delayed edge without weights",
        ),
        ("eprop", ("mlp", {}), {}, "use a network in time"),
        ("eprop/rflo", ("spiking", {}), {}, "units=leaky_activity"),
        ("eprop/rflo", ("recurrent", {"units": "leaky_rate"}), {}, "units=leaky_activity"),
        ("eprop/adaptive", ("spiking", {}), {"weight_decay": 0.0}, "without decay"),
        ("eprop/random", ("spiking", {}), {"feedback_gain": 0.0}, "feedback_gain"),
    ],
)
def test_mistakes_are_named(name, network, options, message):
    architecture, own = network
    with pytest.raises(InputError, match=message) as caught:
        learning_rules.build(
            name, architectures.build(architecture, input_shape=(4, 3, 1), n_classes=3, hidden=(4,), **own), **options
        )
    assert "\n" not in str(caught.value)
