"""The identities that prove predictive coding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.predictive_coding import settle

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))
SMOOTH = {"activation": "tanh"}
# The textbook's energy, and one in which every factor matters.
PLAIN = {"nudge": 1.0, "precision_ratio": 1.0}
WEIGHTED = {"nudge": 0.5, "precision_ratio": 3.0}


def params_of(network, seed=0):
    return double(jax.jit(network.init)(jax.random.key(seed)))


def ask(rule, params, batch=None):
    batch = batch_of(2, n=8, dtype=jnp.float64) if batch is None else batch
    return jax.jit(rule.assign_credit)(jax.random.key(1), RuleState({"network": params}, ()), batch)[0]["network"]


def gradient(network, params, loss="cross_entropy"):
    return ask(learning_rules.build("backprop", network, loss=loss), params)


def assert_same(a, b, rtol):
    # Where a block is asked for nothing, one way of working it out leaves exact zeros and another what rounding leaves of a sum.
    rounding = 64 * jnp.finfo(jnp.float64).eps * max(float(jnp.abs(q).max()) for q in jax.tree.leaves(b))
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()) + rounding)


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])


def distance(a, b):
    return float(jnp.linalg.norm(flat(a) - flat(b)) / jnp.linalg.norm(flat(b)))


def recurrent_network():
    """One block stands three times in the chain."""
    blocks = (
        architectures.dense_block("first", (8, 8, 1), 12, "tanh"),
        architectures.dense_block("loop", (12,), 12, "tanh"),
        architectures.dense_block("output", (12,), 4, "identity"),
    )
    return architectures.Network("recurrent", (8, 8, 1), 4, blocks, order=(0, 1, 1, 1, 2))


EXACT = [
    ("standard", {"order": "simultaneous"}, "all"),
    ("standard", {"order": "top_down"}, 1),
    ("nudged", {"order": "simultaneous"}, "all"),
    ("error_based", {}, 1),
]


@pytest.mark.parametrize(("variant", "options", "steps"), EXACT)
@pytest.mark.parametrize("architecture", [*sorted(NETWORKS), "recurrent"])
def test_fixed_predictions_give_backpropagation_exactly(architecture, variant, options, steps):
    """Z-IL: as many steps as an error needs to pass every hidden block, at a rate of one."""
    network = recurrent_network() if architecture == "recurrent" else network_of(architecture)
    steps = len(network.chain) - 1 if steps == "all" else steps
    loss = "squared_error" if architecture == "mlp" else "cross_entropy"
    with jax.enable_x64(True):
        params = params_of(network)
        given = {"variant": variant, "fixed_predictions": True, "rate": 1.0, "loss": loss, **WEIGHTED, **options}
        rule = learning_rules.build("predictive_coding", network, steps=steps, **given)
        assert_same(ask(rule, params), gradient(network, params, loss), 1e-11)
        if steps > 1:  # one step fewer, and the error has not arrived at the first block
            early = ask(learning_rules.build("predictive_coding", network, steps=steps - 1, **given), params)
            assert float(jnp.abs(flat(early[0])).max()) == 0


def precisions_of(network):
    """Of the hidden blocks, in the weighted energy."""
    return [WEIGHTED["precision_ratio"] ** above for above in reversed(range(len(network.chain) - 1))]


def energy_of(network, params, states, x, labels, nudge=1.0, precision_ratio=1.0):
    """The energy, written a second time: what `jax.grad` judges the settling by."""
    inputs = (x, *states)
    predictions = [b.apply(p, h) for b, p, h in zip(network.chain, network.unroll(params), inputs, strict=True)]
    total = -nudge * jnp.sum(jax.nn.log_softmax(predictions[-1]) * jax.nn.one_hot(labels, network.n_classes))
    precisions = [precision_ratio**above for above in reversed(range(len(states)))]
    each = zip(precisions, states, predictions[:-1], strict=True)
    return total + sum(0.5 * p * jnp.sum((h - m) ** 2) for p, h, m in each)


@both_networks
def test_weights_follow_the_gradient_of_the_energy_where_states_have_come_to(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("predictive_coding/standard", network, steps=3, rate=0.1, **WEIGHTED)
    with jax.enable_x64(True):
        params = params_of(network)
        x, labels = batch_of(2, n=8, dtype=jnp.float64)

        @jax.jit
        def both(params):
            now = settle(network, rule.options, params, x, labels).last
            states = now.inputs[1:]
            asked = jax.grad(lambda p: energy_of(network, p, states, x, labels, **WEIGHTED) / (8 * WEIGHTED["nudge"]))(params)
            return asked, now.energy.sum(), energy_of(network, params, states, x, labels, **WEIGHTED)

        expected, energy, again = both(params)
        assert_same(ask(rule, params), expected, 1e-11)
        np.testing.assert_allclose(energy, again, rtol=1e-12)


@both_networks
def test_one_simultaneous_step_goes_down_the_gradient_of_the_energy(architecture):
    """From states off the forward pass, so that both terms of the gradient are there; each block's step is per its precision."""
    network = network_of(architecture)
    options = learning_rules.build("predictive_coding/standard", network, order="simultaneous", rate=0.02, **WEIGHTED).options
    precisions = precisions_of(network)
    with jax.enable_x64(True):
        params = params_of(network)
        x, labels = batch_of(2, n=8, dtype=jnp.float64)

        @jax.jit
        def both(params):
            before, after = (settle(network, dataclasses.replace(options, steps=steps), params, x, labels).last for steps in (5, 6))
            states = before.inputs[1:]
            downhill = jax.grad(lambda h: energy_of(network, params, h, x, labels, **WEIGHTED))(states)
            moved = [b - a for a, b in zip(states, after.inputs[1:], strict=True)]
            return moved, [-0.02 / p * g for p, g in zip(precisions, downhill, strict=True)]

        moved, expected = both(params)
        assert_same(moved, expected, 1e-7)


@both_networks
@pytest.mark.parametrize("variant", ["standard", "incremental", "nudged", "error_based"])
def test_energy_falls_at_every_step_of_settling_even_where_the_rate_is_too_large(architecture, variant):
    network = network_of(architecture)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: 2.0 * leaf, params_of(network))
        given = {"steps": 12, "rate": 0.9, "incremental_rate": 1e-3, **PLAIN}
        rule = learning_rules.build("predictive_coding", network, variant=variant, **given)
        state = RuleState({"network": params}, ())
        info = jax.jit(rule.assign_credit)(jax.random.key(0), state, batch_of(2, n=8, dtype=jnp.float64))[2]
        energy = np.asarray(info["energy"])
        assert energy.shape == ((2 if variant == "nudged" else 1), 13)
        assert np.all(np.diff(energy) <= 1e-12) and np.all(energy[:, -1] < energy[:, 0] - 1e-3)


@both_networks
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


@both_networks
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


@both_networks
def test_settled_errors_and_settled_states_are_the_same(architecture):
    """Both variants go down one energy, each in its own coordinates, and meet."""
    network = network_of(architecture, **SMOOTH)
    with jax.enable_x64(True):
        params = params_of(network)
        states, errors = (
            ask(learning_rules.build("predictive_coding", network, variant=variant, steps=600, rate=0.3, **PLAIN), params)
            for variant in ("standard", "error_based")
        )
        assert_same(errors, states, 1e-6)
        assert distance(states, gradient(network, params)) > 0.05


@both_networks
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


@both_networks
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
            states, downhill = list(network.propagate(params, x)[:-1]), []
            for _ in range(2):
                slopes = jax.grad(mean_energy, argnums=1)(params, states)
                states = [h - 0.05 * 8 / p * g for p, h, g in zip(precisions, states, slopes, strict=True)]
                downhill.append(jax.grad(mean_energy)(params, states))
                each = zip([*precisions, 1.0], params, downhill[-1], strict=True)
                params = tuple(jax.tree.map(lambda w, g, p=p: w - 0.1 / p * g, tree, slope) for p, tree, slope in each)
            return jax.tree.map(lambda a, b: (a + b) / (2 * WEIGHTED["nudge"]), *downhill)

        assert_same(ask(rule, params), by_hand(params), 1e-10)


@both_networks
@pytest.mark.parametrize("variant", ["standard", "incremental", "nudged", "error_based"])
def test_single_precision_is_enough_for_the_default_options(architecture, variant):
    """Precise blocks' errors are small beside their states: rounding must leave the direction of every block standing."""
    network = network_of(architecture)
    rule = learning_rules.build("predictive_coding", network, variant=variant)
    single = jax.jit(network.init)(jax.random.key(0))
    images, labels = batch_of(2)
    asked = ask(rule, single, (images, labels))
    with jax.enable_x64(True):
        exact = ask(rule, double(single), (images.astype(jnp.float64), labels))
        for a, b in zip(asked, exact, strict=True):
            a, b = flat(double(a)), flat(b)
            assert float(a @ b / (jnp.linalg.norm(a) * jnp.linalg.norm(b))) > 0.999


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "sideways"}, "'top_down' or 'simultaneous'"),
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
