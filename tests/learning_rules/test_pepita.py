"""The identities that prove PEPITA: differences of two passes are slopes, and these are feedback alignment's errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, network_of, train

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.losses import loss_function
from learning_rules.signals import hebbian_product, local_derivative

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))
SHALLOW = {"mlp": {"hidden": (24,)}, "cnn": {"channels": (6,), "hidden": ()}}


def started(network, dtype=jnp.float64, **options):
    """A rule, and a start at which no bias is zero."""
    rule = learning_rules.build("pepita", network, **options)
    state = jax.jit(rule.init)(jax.random.key(0))
    leaves, structure = jax.tree.flatten(state.params)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    moved = [leaf + 0.05 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return rule, jax.tree.map(lambda leaf: leaf.astype(dtype), RuleState(structure.unflatten(moved), state.carry))


def ask(rule, state, batch):
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]["network"]


def error_and_modulation(network, state, batch):
    """The error of every example, and what it adds to its input."""
    images, labels = batch
    error = jax.nn.softmax(network.forward(state.params["network"], images)[-1]) - jax.nn.one_hot(labels, network.n_classes)
    return error, jnp.einsum("nc,chwd->nhwd", error, state.carry["projection"])


def slopes_along(network, params, images, modulation):
    """Derivative of every activation along a change of the input."""
    return jax.jvp(lambda x: network.propagate(params, x), (images,), (modulation,))[1]


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


@both_networks
def test_a_linear_network_asks_for_the_closed_form_at_any_modulation(architecture):
    network = network_of(architecture, activation="identity")
    with jax.enable_x64(True):
        rule, state = started(network, modulation=3.0)
        images, labels = batch = batch_of(2, dtype=jnp.float64)
        error, modulation = error_and_modulation(network, state, batch)
        params = state.params["network"]
        slopes = slopes_along(network, params, images, modulation)
        inputs = (images + modulation, *network.propagate(params, images + modulation)[:-1])
        posts = [*(-slope for slope in slopes[:-1]), error]
        expected = [
            hebbian_product(block, w, x, post / len(labels))
            for block, w, x, post in zip(network.chain, params, inputs, posts, strict=True)
        ]
        assert_same(ask(rule, state, batch), expected, 1e-10)


@both_networks
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_small_modulation_teaches_by_the_derivative_along_it(architecture, activation):
    network = network_of(architecture, activation=activation)
    with jax.enable_x64(True):
        rule, state = started(network, modulation=1e-7)
        images, labels = batch = batch_of(2, n=16, dtype=jnp.float64)
        error, modulation = error_and_modulation(network, state, batch)
        params = state.params["network"]
        slopes = slopes_along(network, params, images, modulation)
        inputs = (images, *network.propagate(params, images)[:-1])
        posts = [*(-slope for slope in slopes[:-1]), error]
        expected = [
            hebbian_product(block, w, x, post / len(labels))
            for block, w, x, post in zip(network.chain, params, inputs, posts, strict=True)
        ]
        assert_same(ask(rule, state, batch), expected, 1e-5)


@both_networks
def test_the_first_block_learns_by_feedback_alignment_through_minus_w1_f(architecture):
    """Srinivasan et al. 2023: one hidden block, a small modulation, a rectifier that passes on what it does not shut."""
    network = network_of(architecture, **SHALLOW[architecture])
    alignment = learning_rules.build("feedback_alignment/random", network)
    with jax.enable_x64(True):
        rule, state = started(network, modulation=1e-7)
        batch = batch_of(2, n=16, dtype=jnp.float64)
        first, params = network.chain[0], state.params["network"]
        at_rest = first.synapse(params[0], jnp.zeros((1, *first.input_shape)))
        through_first = first.synapse(params[0], state.carry["projection"]) - at_rest
        feedback = {"kernel": -through_first.reshape(network.n_classes, -1).T, "bias": params[-1]["bias"]}
        reference = ask(alignment, RuleState(state.params, {"feedback": (None, feedback)}), batch)
        assert_same(ask(rule, state, batch), reference, 1e-5)


@both_networks
def test_without_an_answer_to_the_error_only_the_readout_learns(architecture):
    network = network_of(architecture)
    with jax.enable_x64(True):
        rule, state = started(network)
        still = RuleState(state.params, jax.tree.map(jnp.zeros_like, state.carry))
        images, labels = batch = batch_of(2, dtype=jnp.float64)
        loss = lambda params: loss_function("cross_entropy")(network.forward(params, images)[-1], labels)  # noqa: E731
        asked, gradient = ask(rule, still, batch), jax.jit(jax.grad(loss))(state.params["network"])
        assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(asked[:-1]))
        assert_same(asked[-1], gradient[-1], 1e-12)


@both_networks
def test_every_example_is_modulated_by_its_own_error_alone(architecture):
    network = network_of(architecture)
    with jax.enable_x64(True):
        rule, state = started(network)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        step = jax.jit(rule.assign_credit)
        alone = [step(jax.random.key(1), state, (images[i : i + 1], labels[i : i + 1]))[0]["network"] for i in range(6)]
        mean = jax.tree.map(lambda *leaves: sum(leaves) / 6, *alone)
        assert_same(ask(rule, state, (images, labels)), mean, 1e-10)


def test_pooled_units_share_the_difference_by_the_activations_derivative():
    network = network_of("cnn", pooling="max", strides=1, channels=(4,), hidden=())
    with jax.enable_x64(True):
        rule, state = started(network, modulation=1e-7)
        images, labels = batch = batch_of(2, n=8, dtype=jnp.float64)
        _, modulation = error_and_modulation(network, state, batch)
        block, w = network.chain[0], state.params["network"][0]
        slope = slopes_along(network, state.params["network"], images, modulation)[0]
        post = local_derivative(block, block.synapse(w, images), -slope) / len(labels)
        assert_same(ask(rule, state, batch)[0], hebbian_product(block, w, images, post), 1e-5)


def test_the_projection_is_fixed_and_scaled_by_the_modulation():
    network = network_of("mlp")
    one, five = (learning_rules.build("pepita", network, modulation=m).init(jax.random.key(0)) for m in (1.0, 5.0))
    np.testing.assert_allclose(5 * one.carry["projection"], five.carry["projection"], rtol=1e-6)
    lengths = jnp.sqrt(jnp.sum(jnp.square(one.carry["projection"]), axis=(1, 2, 3)))
    np.testing.assert_allclose(lengths, 1, atol=0.3)
    after, _ = train(learning_rules.build("pepita", network), one, n_steps=3)
    np.testing.assert_array_equal(after.carry["projection"], one.carry["projection"])


@both_networks
def test_weights_come_to_answer_the_error_by_undoing_it(architecture):
    """No block is told where the loss falls; after training the second pass finds it, and the first block follows the gradient."""
    rule = learning_rules.build("pepita", network_of(architecture), learning_rate=0.003)
    before = jax.jit(rule.init)(jax.random.key(0))
    after, _ = train(rule, before)
    batch = batch_of(9, n=256)
    look = jax.jit(lambda state: (rule.assign_credit(jax.random.key(0), state, batch)[2], cosine_of_first(rule, state, batch)))
    (info, cosine), (_, cosine_before) = look(after), look(before)
    assert info["modulated_loss"] < info["loss"]
    assert cosine > cosine_before + 0.1


def cosine_of_first(rule, state, batch):
    return learning_rules.alignment_with_backprop(rule, state, jax.random.key(0), batch).cosine[0]


def test_every_pass_through_a_shared_block_takes_part():
    blocks = (
        architectures.dense_block("first", (8, 8, 1), 6, "tanh"),
        architectures.dense_block("loop", (6,), 6, "tanh"),
        architectures.dense_block("output", (6,), 4, "identity"),
    )
    network = architectures.Network("recurrent", (8, 8, 1), 4, blocks, order=(0, 1, 1, 2))
    apart = architectures.Network("unrolled", (8, 8, 1), 4, (blocks[0], blocks[1], blocks[1], blocks[2]))
    with jax.enable_x64(True):
        rule, state = started(network)
        batch = batch_of(2, dtype=jnp.float64)
        unrolled = learning_rules.build("pepita", apart)
        asked_apart = ask(unrolled, RuleState({"network": network.unroll(state.params["network"])}, state.carry), batch)
        assert_same(ask(rule, state, batch), network.tie(asked_apart), 1e-10)


def test_a_modulation_of_nothing_is_refused():
    with pytest.raises(InputError, match="no block but the last"):
        learning_rules.build("pepita", network_of("mlp"), modulation=0.0)
