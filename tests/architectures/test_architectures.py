"""What every architecture keeps, whatever it is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from architecture_table import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st

import architectures
from architectures import InputError

KEY = jax.random.key(0)


def images_for(network, n=5, seed=1):
    return jax.random.normal(jax.random.key(seed), (n, *network.input_shape))


@pytest.fixture(params=sorted(TABLE))
def network(request):
    return architectures.build(request.param, **TABLE[request.param])


def test_every_architecture_has_a_row():
    assert set(TABLE) == set(architectures.names())


def test_shapes_are_those_declared(network):
    activations = network.forward(network.init(KEY), images_for(network))
    assert len(activations) == len(network.block_names)
    assert [h.shape[1:] for h in activations] == [block.output_shape for block in network.chain]
    assert activations[-1].shape == (5, network.n_classes)


def test_synapse_is_affine_in_its_input_and_linear_in_its_parameters(network):
    with jax.enable_x64(True):
        for block in network.chain:
            a, b = (jax.tree.map(lambda p: p.astype(jnp.float64) + 0.1, block.init(jax.random.key(s))) for s in (1, 2))
            x, y = (jax.random.normal(jax.random.key(s), (3, *block.input_shape), jnp.float64) for s in (3, 4))
            zero = jnp.zeros_like(x)
            mixed = block.synapse(a, 2 * x - 3 * y) - block.synapse(a, zero)
            apart = 2 * (block.synapse(a, x) - block.synapse(a, zero)) - 3 * (block.synapse(a, y) - block.synapse(a, zero))
            np.testing.assert_allclose(mixed, apart, atol=1e-12)
            combined = block.synapse(jax.tree.map(lambda p, q: 2 * p - 3 * q, a, b), x)
            np.testing.assert_allclose(combined, 2 * block.synapse(a, x) - 3 * block.synapse(b, x), atol=1e-12)


def test_what_an_image_evokes_does_not_depend_on_its_neighbours(network):
    params = network.init(KEY)
    images = images_for(network, n=6)
    for alone, together in zip(network.forward(params, images[2:3]), network.forward(params, images), strict=True):
        np.testing.assert_allclose(alone[0], together[2], atol=1e-5)


def test_initial_weights_come_from_the_key_alone(network):
    same, other = network.init(KEY), network.init(jax.random.key(9))
    for a, b in zip(jax.tree.leaves(network.init(KEY)), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(same[0]["kernel"], other[0]["kernel"])


def test_initial_weights_keep_the_size_of_the_signal():
    network = architectures.build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(400, 400, 400))
    activations = network.forward(network.init(KEY), images_for(network, n=200))
    for h in activations[:-1]:
        assert 0.8 < float(jnp.mean(h**2)) < 1.2


def test_init_maps_over_seeds(network):
    stacked = jax.vmap(network.init)(jax.random.split(KEY, 3))
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(stacked))


@pytest.mark.parametrize("activation", sorted(architectures.activations.ACTIVATIONS))
@pytest.mark.parametrize("normalisation", ["none", "length"])
def test_activations_and_normalisation(activation, normalisation):
    network = architectures.build(
        "mlp", input_shape=(4, 4, 1), n_classes=3, hidden=(30,), activation=activation, normalisation=normalisation
    )
    hidden, _ = network.forward(network.init(KEY), images_for(network))
    assert jnp.all(jnp.isfinite(hidden))
    if normalisation == "length":
        np.testing.assert_allclose(jnp.mean(hidden**2, axis=1), 1, rtol=1e-3)


def test_tie_is_the_transpose_of_unroll():
    """<unroll(p), g> = <p, tie(g)> on a chain that passes through its middle block three times."""
    first = architectures.dense_block("first", (4, 4, 1), 6)
    middle = architectures.dense_block("middle", (6,), 6)
    last = architectures.dense_block("output", (6,), 3, "identity")
    network = architectures.Network("loop", (4, 4, 1), 3, (first, middle, last), order=(0, 1, 1, 1, 2))
    assert network.block_names == ("first", "middle", "middle@1", "middle@2", "output")
    params = network.init(KEY)
    gradients = tuple(block.init(jax.random.key(i)) for i, block in enumerate(network.chain))

    def inner(a, b):
        return sum(jnp.vdot(p, q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))

    np.testing.assert_allclose(inner(network.unroll(params), gradients), inner(params, network.tie(gradients)), rtol=1e-5)
    whole = jax.grad(lambda p: jnp.sum(network.forward(p, images_for(network))[-1] ** 2))(params)
    assert jax.tree.structure(whole) == jax.tree.structure(network.tie(gradients))


@settings(deadline=None, max_examples=6)
@given(
    channels=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    stride=st.integers(1, 3),
    kernel=st.integers(1, 5),
    side=st.integers(4, 11),
)
def test_any_convolutional_shape_builds_and_runs(channels, stride, kernel, side):
    network = architectures.build(
        "cnn", input_shape=(side, side + 1, 2), n_classes=3, channels=tuple(channels), strides=stride, kernel_size=kernel
    )
    activations = network.forward(network.init(KEY), images_for(network, n=2))
    assert [h.shape[1:] for h in activations] == [block.output_shape for block in network.chain]


class TestOtherSizes:
    def test_convolutions_go_and_the_dense_block_says_why_not(self):
        network = architectures.build("cnn", input_shape=(16, 16, 1), n_classes=4, channels=(4, 6))
        larger, reason = network.at_size((32, 32, 1))
        assert larger.block_names == ("conv_0", "conv_1")
        assert "hidden_0" in reason and "output" in reason
        shapes = [h.shape[1:] for h in larger.forward(network.init(KEY)[:2], jnp.ones((2, 32, 32, 1)))]
        assert shapes == [block.output_shape for block in larger.chain] == [(16, 16, 4), (8, 8, 6)]

    def test_global_pooling_takes_everything(self):
        network = architectures.build("cnn", input_shape=(16, 16, 1), n_classes=4, channels=(4, 6), pooling="global_mean")
        larger, reason = network.at_size((40, 24, 1))
        assert reason == "" and larger.block_names == network.block_names
        assert larger.forward(network.init(KEY), jnp.ones((2, 40, 24, 1)))[-1].shape == (2, 4)

    def test_a_dense_network_takes_its_own_size_only(self):
        network = architectures.build("mlp", input_shape=(8, 8, 1), n_classes=4)
        assert network.at_size((8, 8, 1))[1] == ""
        with pytest.raises(InputError, match="convolutional architecture"):
            network.at_size((16, 16, 1))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mpl", {}, "did you mean 'mlp'"),
        ("mlp", {"hiden": (3,)}, "did you mean 'hidden'"),
        ("mlp", {"activation": "rellu"}, "did you mean 'relu'"),
        ("mlp", {"hidden": (0,)}, "at least one unit"),
        ("mlp", {"gain": (1.0,)}, "one per block"),
        ("mlp", {"normalisation": "batch"}, "expected 'none' or 'length'"),
        ("cnn", {"strides": (1, 2, 3)}, "3 strides were given for 2 convolutions"),
        ("cnn", {"pooling": "median"}, "unknown pooling 'median'"),
        ("cnn", {"kernel_size": 0}, "at least 1"),
        ("cnn", {"strides": 8, "pooling": "max"}, "needs at least 2x2"),
        ("cnn", {"n_classes": 1}, "at least 2 classes"),
        ("cnn", {"input_shape": (0, 8, 1)}, "expected \\(height, width, channels\\)"),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(InputError, match=message):
        architectures.build(name, **{"input_shape": (8, 8, 1), "n_classes": 3, **options})


def test_blocks_that_do_not_fit_are_named():
    a = architectures.dense_block("a", (4, 4, 1), 6)
    b = architectures.dense_block("b", (7,), 3)
    with pytest.raises(InputError, match="'b' takes inputs of shape \\(7,\\), but was given \\(6,\\)"):
        architectures.Network("broken", (4, 4, 1), 3, (a, b))
