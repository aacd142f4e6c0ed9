"""The identities that prove predictive coding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import STATIC, TEMPORAL, network_of
from small_task import batch_of, double, train

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.objectives import Batch, make_objective
from learning_rules.predictive_coding import settle
from learning_rules.predictive_coding_moves import change

every_network = pytest.mark.parametrize("architecture", STATIC)
# The user's network brings its own activation functions.
every_smooth_network = pytest.mark.parametrize("architecture", [name for name in STATIC if name != "flax"])
# Softmax leaves the energy of attention almost flat in places: after 2400 steps the two ways down it are still 5 % apart.
every_settling_network = pytest.mark.parametrize("architecture", [n for n in STATIC if n not in ("flax", "attention")])
SMOOTH = {"activation": "tanh"}
# The textbook's energy, and one in which every factor matters.
PLAIN = {"nudge": 1.0, "precision_ratio": 1.0}
WEIGHTED = {"nudge": 0.5, "precision_ratio": 3.0}


def params_of(network, seed=0):
    return double(network.init(jax.random.key(seed)))


def ask(rule, params, batch=None):
    batch = batch_of(2, n=8, dtype=jnp.float64) if batch is None else batch
    return jax.jit(rule.assign_credit)(jax.random.key(1), RuleState({"network": params}, ()), batch)[0]["network"]


def gradient(network, params, loss="cross_entropy"):
    return ask(learning_rules.build("backprop", network, loss=loss), params)


def assert_same(a, b, rtol):
    # Where a node is asked for nothing, one way of working it out leaves exact zeros and another what rounding leaves of a sum.
    rounding = 64 * jnp.finfo(jnp.float64).eps * max(float(jnp.abs(q).max()) for q in jax.tree.leaves(b))
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()) + rounding)


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def distance(a, b):
    return float(jnp.linalg.norm(flat(a) - flat(b)) / jnp.linalg.norm(flat(b)))


def distances_to_readout(network):
    """Of every hidden node: the edges on the longest way."""

    def longest(name):
        hearers = [n for n, edges in zip(network.node_names, network.edges, strict=True) if name in {e.source for e in edges}]
        return 1 + max((longest(hearer) for hearer in hearers), default=-1)

    return [longest(name) for name in network.node_names[:-1]]


VARIANTS = ("standard", "incremental", "nudged", "error_based")
EXACT = [
    ("standard", {"order": "simultaneous"}, "all"),
    ("standard", {"order": "top_down"}, 1),
    ("nudged", {"order": "simultaneous"}, "all"),
    ("error_based", {}, 1),
]
# What a graph asks of the rule it asks of its variants alike: the first is tried on every network.
CASES = [(name, *EXACT[0]) for name in STATIC] + [(name, *case) for name in ("cnn", "residual") for case in EXACT[1:]]


@pytest.mark.parametrize(("architecture", "variant", "options", "steps"), CASES)
@pytest.mark.costly(cases=2)
def test_fixed_predictions_give_backpropagation_exactly(architecture, variant, options, steps):
    """Z-IL: as many steps as an error needs to pass every hidden node, at a rate of one, whatever ways it has."""
    network = network_of(architecture)
    steps = max(distances_to_readout(network)) if steps == "all" else steps
    loss = "squared_error" if architecture == "mlp" else "cross_entropy"
    with jax.enable_x64(True):
        params = params_of(network)
        given = {"variant": variant, "fixed_predictions": True, "rate": 1.0, "loss": loss, **WEIGHTED, **options}
        rule = learning_rules.build("predictive_coding", network, steps=steps, **given)
        assert_same(ask(rule, params), gradient(network, params, loss), 1e-11)
        if steps > 1:  # one step fewer, and the error has not arrived at the first node, or not over every way
            early = ask(learning_rules.build("predictive_coding", network, steps=steps - 1, **given), params)
            if network.is_chain:
                assert float(jnp.abs(flat(early[0])).max()) == 0
            assert distance(early[0], gradient(network, params, loss)[0]) > 1e-3


def precisions_of(network):
    """Of the hidden nodes, in the weighted energy."""
    return [WEIGHTED["precision_ratio"] ** (distance - 1) for distance in distances_to_readout(network)]


def energy_of(network, params, states, x, labels, nudge=1.0, precision_ratio=1.0):
    """The energy, written a second time: what `jax.grad` judges the settling by."""
    predictions = []

    def visit(index, inputs, skips):
        predictions.append(network.nodes[index].run(params[index], (), inputs, skips)[1])
        return states[index] if index < len(states) else predictions[-1]

    network.walk(x, visit)
    total = -nudge * jnp.sum(jax.nn.log_softmax(predictions[-1]) * jax.nn.one_hot(labels, network.n_classes))
    precisions = [precision_ratio ** (distance - 1) for distance in distances_to_readout(network)]
    each = zip(precisions, states, predictions[:-1], strict=True)
    return total + sum(0.5 * p * jnp.sum((h - m) ** 2) for p, h, m in each)


def settled(rule, params, x, labels, **options):
    """Where the states of the one phase come to: states and energy."""
    options = dataclasses.replace(rule.options, **options)
    found = settle(rule.network, rule.objective, options, params, Batch(x, labels))
    return [h[0] for h in found.states], found.energy[0]


@every_network
def test_weights_follow_the_gradient_of_the_energy_where_states_have_come_to(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("predictive_coding/standard", network, steps=3, rate=0.1, **WEIGHTED)
    with jax.enable_x64(True):
        params = params_of(network)
        x, labels = batch_of(2, n=8, dtype=jnp.float64)

        @jax.jit
        def both(params):
            states, energy = settled(rule, params, x, labels)
            asked = jax.grad(lambda p: energy_of(network, p, states, x, labels, **WEIGHTED) / (8 * WEIGHTED["nudge"]))(params)
            return asked, energy.sum(), energy_of(network, params, states, x, labels, **WEIGHTED)

        expected, energy, again = both(params)
        assert_same(ask(rule, params), expected, 1e-10)
        np.testing.assert_allclose(energy, again, rtol=1e-12)


@every_network
def test_one_simultaneous_step_goes_down_the_gradient_of_the_energy(architecture):
    """From states off the forward pass, so that both terms of the gradient are there; each node's step is per its precision."""
    network = network_of(architecture)
    rule = learning_rules.build("predictive_coding/standard", network, order="simultaneous", rate=0.02, **WEIGHTED)
    precisions = precisions_of(network)
    with jax.enable_x64(True):
        params = params_of(network)
        x, labels = batch_of(2, n=8, dtype=jnp.float64)

        @jax.jit
        def both(params):
            before, after = (settled(rule, params, x, labels, steps=steps)[0] for steps in (5, 6))
            downhill = jax.grad(lambda h: energy_of(network, params, h, x, labels, **WEIGHTED))(before)
            moved = [b - a for a, b in zip(before, after, strict=True)]
            return moved, [-0.02 / p * g for p, g in zip(precisions, downhill, strict=True)]

        moved, expected = both(params)
        assert_same(moved, expected, 1e-7)


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [(name, "standard") for name in STATIC] + [(name, other) for name in ("mlp", "attention") for other in VARIANTS[1:]],
)
def test_energy_falls_at_every_step_of_settling_even_where_the_rate_is_too_large(architecture, variant):
    network = network_of(architecture)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: 2.0 * leaf, params_of(network))
        # Nothing holds back the weights of attention, whose derivatives grow with them: a larger rate runs away.
        given = {"steps": 12, "rate": 0.9, "incremental_rate": 1e-5 if architecture == "attention" else 1e-3, **PLAIN}
        rule = learning_rules.build("predictive_coding", network, variant=variant, **given)
        state = RuleState({"network": params}, ())
        info = jax.jit(rule.assign_credit)(jax.random.key(0), state, batch_of(2, n=8, dtype=jnp.float64))[2]
        energy = np.asarray(info["energy"])
        assert energy.shape == ((2 if variant == "nudged" else 1), 13)
        assert np.all(np.diff(energy) <= 1e-12) and np.all(energy[:, -1] < energy[:, 0] - 1e-3)


@every_settling_network
def test_centred_nudging_tends_to_the_gradient_as_the_square_of_the_nudge(architecture):
    network = network_of(architecture, **SMOOTH)
    with jax.enable_x64(True):
        params = params_of(network)
        reference = gradient(network, params)

        def error(nudge, variant="nudged"):
            given = {**PLAIN, "nudge": nudge, "steps": 400, "rate": 0.3}
            rule = learning_rules.build("predictive_coding", network, variant=variant, **given)
            return distance(ask(rule, params), reference)

        large, small, one_sided = error(0.1), error(0.05), error(0.05, "standard")
        assert small < 0.01 and small < one_sided / 5
        assert 3.5 < large / small < 4.5


@every_smooth_network
def test_a_small_step_of_the_error_based_kind_is_backpropagation_whatever_the_depth(architecture):
    """Reported as such: below the scores, one step asks for the rate times the gradient."""
    network = network_of(architecture, **SMOOTH)
    with jax.enable_x64(True):
        params = params_of(network)
        reference = gradient(network, params)
        rule = learning_rules.build("predictive_coding/error_based", network, steps=1, rate=1e-5, **PLAIN)
        asked = ask(rule, params)
        assert distance(asked[-1], reference[-1]) < 1e-3
        assert distance(jax.tree.map(lambda leaf: leaf / 1e-5, asked[:-1]), reference[:-1]) < 1e-3


@every_settling_network
def test_settled_errors_and_settled_states_are_the_same(architecture):
    """Both variants go down one energy, each in its own coordinates, and meet."""
    network = network_of(architecture, **SMOOTH)
    with jax.enable_x64(True):
        params = params_of(network)
        states, errors = (
            ask(learning_rules.build("predictive_coding", network, variant=variant, steps=2400, rate=0.3, **PLAIN), params)
            for variant in ("standard", "error_based")
        )
        assert_same(errors, states, 1e-6)
        assert distance(states, gradient(network, params)) > 0.05


@every_settling_network
def test_incremental_shares_the_fixed_points_of_the_standard_kind(architecture):
    """With weights that hardly move, what it asks on the way tends to what the settled states ask, as one over the way's length."""
    network = network_of(architecture, **SMOOTH)
    with jax.enable_x64(True):
        params = params_of(network)
        given = {"rate": 0.3, "incremental_rate": 1e-8, **PLAIN}
        settled = ask(learning_rules.build("predictive_coding/standard", network, steps=1600, rate=0.3, **PLAIN), params)
        short, long = (
            distance(ask(learning_rules.build("predictive_coding/incremental", network, steps=steps, **given), params), settled)
            for steps in (400, 800)
        )
        assert long < 0.1
        assert 1.9 < short / long < 2.1


@every_network
def test_incremental_weights_move_while_states_settle(architecture):
    """Two steps, written out: states, weights, states, weights."""
    network = network_of(architecture)
    precisions = precisions_of(network)
    with jax.enable_x64(True):
        params = params_of(network)
        x, labels = batch_of(2, n=8, dtype=jnp.float64)
        given = {"order": "simultaneous", "rate": 0.05, "incremental_rate": 0.1, **WEIGHTED}
        rule = learning_rules.build("predictive_coding/incremental", network, steps=2, **given)

        def mean_energy(params, states):
            return energy_of(network, params, states, x, labels, **WEIGHTED) / 8

        @jax.jit
        def by_hand(params):
            states, downhill = list(network.forward(params, x)[:-1]), []
            for _ in range(2):
                slopes = jax.grad(mean_energy, argnums=1)(params, states)
                states = [h - 0.05 * 8 / p * g for p, h, g in zip(precisions, states, slopes, strict=True)]
                downhill.append(jax.grad(mean_energy)(params, states))
                each = zip([*precisions, 1.0], params, downhill[-1], strict=True)
                params = tuple(jax.tree.map(lambda w, g, p=p: w - 0.1 / p * g, tree, slope) for p, tree, slope in each)
            return jax.tree.map(lambda a, b: (a + b) / (2 * WEIGHTED["nudge"]), *downhill)

        assert_same(ask(rule, params), by_hand(params), 1e-10)


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [(name, "standard") for name in STATIC]
    + [
        pytest.param(name, other, marks=[] if other == "incremental" else pytest.mark.thorough)
        for name in ("cnn", "attention")
        for other in VARIANTS[1:]
    ],
)
@pytest.mark.costly
def test_single_precision_is_enough_for_the_default_options(architecture, variant):
    """Precise nodes' errors are small beside their states: rounding must leave the direction of every node standing."""
    network = network_of(architecture)
    rule = learning_rules.build("predictive_coding", network, variant=variant)
    images, labels = batch_of(2)

    def smallest_cosine(seed):
        single = network.init(jax.random.key(seed))
        asked = ask(rule, single, (images, labels))
        with jax.enable_x64(True):
            exact = ask(rule, double(single), (images.astype(jnp.float64), labels))
            pairs = [(flat(double(a)), flat(b)) for a, b in zip(asked, exact, strict=True) if jax.tree.leaves(a)]
            return min(float(a @ b / (jnp.linalg.norm(a) * jnp.linalg.norm(b))) for a, b in pairs)

    assert smallest_cosine(0) > 0.999


@pytest.mark.parametrize(
    "variant", ["standard", *(pytest.param(other, marks=pytest.mark.thorough) for other in ("incremental", "nudged"))]
)
def test_single_precision_is_enough_at_depth_six_after_training(variant):
    """The first nodes' errors are a millionth of their states by then: as differences of states they would be rounding."""
    network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=4, hidden=(24,) * 5)
    rule = learning_rules.build("predictive_coding", network, variant=variant)
    state, _ = train(rule, RuleState({"network": network.init(jax.random.key(0))}, ()))
    images, labels = batch_of(2)
    asked = ask(rule, state.params["network"], (images, labels))
    with jax.enable_x64(True):
        exact = ask(rule, double(state.params["network"]), (images.astype(jnp.float64), labels))
        for a, b in zip(asked, exact, strict=True):
            a, b = flat(double(a)), flat(b)
            assert float(a @ b / (jnp.linalg.norm(a) * jnp.linalg.norm(b))) > 0.9999


def test_a_change_is_as_exact_as_the_way_that_leads_to_it():
    """In single precision, beside the same change in double precision, over ways of every length and over kinks."""
    at = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    for length in (1e-9, 1e-6, 1e-3, 1.0):
        by = (length * np.random.default_rng(1).normal(size=2000)).astype(np.float32)
        found = {f: np.asarray(jax.jit(lambda a, b, f=f: change(f, a, b))(at, by)) for f in (jnp.tanh, jax.nn.relu)}
        for function, exact in ((jnp.tanh, np.tanh), (jax.nn.relu, lambda z: np.maximum(z, 0))):
            wide, way = at.astype(np.float64), by.astype(np.float64)
            expected = exact(wide + way) - exact(wide)
            # Once in a while a long way's difference is all that is left, which is rounded as the outputs are.
            assert np.linalg.norm(found[function] - expected) < 1e-5 * np.linalg.norm(expected), (function, length)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.costly
def test_examples_that_do_not_count_change_nothing(variant):
    network = network_of("mlp")
    with jax.enable_x64(True):
        params = params_of(network)
        x, labels = batch_of(2, n=8, dtype=jnp.float64)
        rule = learning_rules.build("predictive_coding", network, variant=variant)
        masked = ask(rule, params, Batch(x, labels, jnp.array([1, 1, 1, 0, 1, 1, 0, 0], jnp.float64)))
        counted = jnp.array([0, 1, 2, 4, 5])
        assert_same(masked, ask(rule, params, (x[counted], labels[counted])), 1e-9)


@pytest.mark.parametrize("objective", ["regression", "distillation"])
@pytest.mark.costly
def test_other_objectives_are_settled_for_too(objective):
    network = network_of("residual")
    with jax.enable_x64(True):
        params = params_of(network)
        x, _ = batch_of(2, n=8, dtype=jnp.float64)
        targets = jax.nn.softmax(jax.random.normal(jax.random.key(3), (8, network.n_classes), jnp.float64))
        given = {"objective": objective, "fixed_predictions": True, "rate": 1.0, "steps": 1}
        rule = learning_rules.build("predictive_coding", network, **given)
        loss = make_objective(objective, network).loss
        expected = jax.grad(lambda p: loss(network.forward(p, x)[-1], Batch(x, targets)))(params)
        assert_same(ask(rule, params, (x, targets)), expected, 1e-9)


@pytest.mark.parametrize("architecture", TEMPORAL)
def test_networks_in_time_are_refused(architecture):
    assert "static" in learning_rules.support("predictive_coding", network_of(architecture)).reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "sideways"}, "unknown order 'sideways': valid are: simultaneous, top_down"),
        ({"steps": 0}, "at least one step"),
        ({"rate": 0.0}, "rate=0.0 was given"),
        ({"nudge": -1.0}, "nudge=-1.0 was given"),
        ({"precision_ratio": 0.0}, "precision_ratio=0.0 was given"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"variant": "incremental", "fixed_predictions": True}, "use standard"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("predictive_coding", network_of("mlp"), **options)
