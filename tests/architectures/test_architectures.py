"""What every architecture keeps, whatever it is made of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from architecture_table import TABLE
from graphs import KEY, inputs_for, network_of, params_of, run, run_by_hand
from hypothesis import given, settings
from hypothesis import strategies as st

import architectures
from architectures import InputError

every_row = pytest.mark.parametrize("row", sorted(TABLE))


@functools.cache
def forward_of(row):
    return jax.jit(network_of(row).forward)


def test_every_architecture_has_a_row():
    assert {row.split()[0] for row in TABLE} == set(architectures.names())


@every_row
def test_shapes_are_those_declared(row):
    network = network_of(row)
    trace = jax.jit(network.trace)(params_of(row), inputs_for(network))
    leading = (len(trace.outputs[0]), 5) if network.temporal else (5,)
    for index, node in enumerate(network.nodes):
        assert trace.outputs[index].shape == (*leading, *node.output_shape)
        assert tuple(x.shape for x in trace.inputs[index]) == tuple((*leading, *shape) for shape in node.input_shapes)
        given_z = jax.tree.map(lambda z: z.shape, trace.z[index])
        is_shape = architectures.node.is_shape if node.weighted else None  # else there is no z, an empty tree
        assert given_z == jax.tree.map(lambda shape: (*leading, *shape), node.z_shape, is_leaf=is_shape)
    assert len(trace.outputs) == len(network.node_names)
    assert network.scores(trace.outputs[-1]).shape == (5, network.n_classes)
    assert [h.shape[0] for h in network.by_example(trace.outputs)] == [5] * len(network.nodes)


@every_row
def test_every_signal_is_that_of_a_plain_loop_over_nodes_and_steps(row):
    network = network_of(row)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params_of(row))
        inputs = inputs_for(network, n=3, dtype=jnp.float64)
        trace, encoded = jax.jit(lambda p, x: (network.trace(p, x), network.encode(x)))(params, inputs)
        by_hand = run_by_hand(network, params, encoded)
        for index, name in enumerate(network.node_names):
            ours = jax.tree.map(lambda *steps: jnp.stack(steps) if network.temporal else steps[0], *by_hand[name])
            signals = (trace.inputs, trace.skips, trace.z, trace.outputs, trace.states)
            theirs = tuple(signal[index] for signal in signals)
            assert jax.tree.structure(ours) == jax.tree.structure(theirs)
            for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
                np.testing.assert_allclose(a, b, atol=1e-12)


@every_row
def test_synapse_is_affine_in_its_inputs_and_linear_in_its_parameters(row):
    def at(seed, tree):
        leaves, structure = jax.tree.flatten(tree)
        rng = np.random.default_rng(seed)
        return jax.tree.unflatten(structure, [jnp.asarray(rng.normal(size=leaf.shape)) for leaf in leaves])

    def combined(a, b, c=None):
        origin = jax.tree.map(jnp.zeros_like, a) if c is None else c
        return jax.tree.map(lambda p, q, r: 2 * (p - r) - 3 * (q - r) + r, a, b, origin)

    with jax.enable_x64(True):
        for node in network_of(row).nodes:
            like = jax.eval_shape(node.init, KEY)
            shapes = tuple(jax.ShapeDtypeStruct((3, *shape), jnp.float64) for shape in node.input_shapes)
            a, b, x, y = at(1, like), at(2, like), at(3, shapes), at(4, shapes)
            synapse = jax.jit(node.synapse)
            silent = synapse(a, jax.tree.map(jnp.zeros_like, x))
            pairs = [
                (synapse(a, combined(x, y)), combined(synapse(a, x), synapse(a, y), silent)),
                (synapse(combined(a, b), x), combined(synapse(a, x), synapse(b, x))),
            ]
            # Of several edges each by itself, what the others bring held fixed.
            for edge in range(len(shapes)):
                mixed = (*x[:edge], combined(x[edge], y[edge]), *x[edge + 1 :])
                only = [(*x[:edge], one, *x[edge + 1 :]) for one in (x[edge], y[edge], jnp.zeros_like(x[edge]))]
                pairs.append((synapse(a, mixed), combined(*(synapse(a, each) for each in only))))
            for found, expected in pairs:
                for u, v in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                    np.testing.assert_allclose(u, v, atol=1e-11)


@every_row
def test_what_an_example_evokes_does_not_depend_on_its_neighbours(row):
    network = network_of(row)
    inputs = inputs_for(network, n=6)
    alone = inputs[:, 2:3] if network.temporal and network.reading is None else inputs[2:3]
    together = network.by_example(forward_of(row)(params_of(row), inputs))
    for a, b in zip(network.by_example(forward_of(row)(params_of(row), alone)), together, strict=True):
        np.testing.assert_allclose(a[0], b[2], atol=1e-5)


@every_row
@pytest.mark.costly(cases=3)
def test_initial_weights_come_from_the_key_alone(row):
    network = network_of(row)
    init = jax.jit(network.init)
    same, other = init(KEY), init(jax.random.key(9))
    for a, b, c in zip(*(jax.tree.leaves(tree) for tree in (params_of(row), same, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or not np.allclose(a, c)  # biases start at zero
    stacked = jax.jit(jax.vmap(network.init))(jax.random.split(KEY, 3))
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(stacked))


@every_row
def test_a_row_a_node_describes_it(row):
    network = network_of(row)
    rows = network.describe()
    assert [each["layer"] for each in rows] == list(network.node_names)
    for each, own, node, edges in zip(rows, params_of(row), network.nodes, network.edges, strict=True):
        assert each["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(own))
        assert each["output"] == node.output_shape
        assert each["hears"].count("(delayed)") == sum(edge.delay for edge in edges)
        assert each["hears"].count("(skip)") == sum(edge.skip for edge in edges)
        assert all(edge.source in each["hears"] for edge in edges)


@every_row
def test_what_it_was_built_with_is_recorded(row):
    network = network_of(row)
    asked = {name: value for name, value in TABLE[row].items() if name not in ("input_shape", "n_classes")}
    assert asked.items() <= network.options.items() and network.options["front_end"] == "none"


def test_initial_weights_keep_the_size_of_the_signal():
    network = architectures.build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(400, 400, 400))
    activations = run(network, inputs_for(network, n=200) / 2)
    for h in activations[:-1]:
        assert 0.8 < float(jnp.mean(h**2)) < 1.2


def test_six_dense_layers_keep_the_size_of_the_signal_and_of_what_is_carried_back():
    network = architectures.build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(256,) * 5)
    assert len(network.nodes) == 6

    @jax.jit
    def sizes(key, x, error):
        params = network.init(key)
        h, last, kept = x.reshape(len(x), -1), params[-1]["kernel"], []
        for own in params[:-1]:  # written out: no word of the network's own
            h = jnp.maximum(h @ own["kernel"] + own["bias"], 0)
            kept.append(h)
        carried, back = error @ last.T, []
        for own, above in zip(reversed(params[1:-1]), reversed(kept[1:]), strict=True):
            back.append(jnp.mean(carried**2))
            carried = (carried * (above > 0)) @ own["kernel"].T
        return kept, network.forward(params, x)[:-1], jnp.stack([*back, jnp.mean(carried**2)])

    error = jax.random.normal(jax.random.key(2), (200, 10))
    by_hand, ours, back = sizes(KEY, inputs_for(network, n=200) / 2, error)
    for a, b in zip(ours, by_hand, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
        assert 0.5 < float(jnp.mean(a**2)) < 2
    assert 0.4 < float(back[-1] / back[0]) < 2.5


def test_the_residual_network_keeps_the_size_of_the_signal_however_many_blocks_it_has():
    network = architectures.build("resnet", input_shape=(8, 8, 3), n_classes=4, channels=(16,), strides=(1,), blocks=3)
    params, x = jax.jit(network.init)(KEY), inputs_for(network, n=20)

    @jax.jit
    def by_hand(params, x):
        """By the other form of convolution, and the equation of a block."""

        def convolved(own, x):
            return (
                jax.lax.conv_general_dilated(x, own["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
                + own["bias"]
            )

        h = first = jax.nn.relu(convolved(params[0], x))
        for block in range(3):
            h = h + convolved(params[2 + 2 * block], jax.nn.relu(convolved(params[1 + 2 * block], h)))
        return first, h, jnp.mean(h, (1, 2)) @ params[-1]["kernel"] + params[-1]["bias"]

    first, last, scores = by_hand(params, x)
    np.testing.assert_allclose(jax.jit(network.forward)(params, x)[-1], scores, atol=1e-4)
    # Each of three blocks adds a third of the variance that it sees, less what is lost at the borders: (1 + 1/3)^3 at most.
    assert 1.5 < float(jnp.mean(last**2) / jnp.mean(first**2)) < 2.5


@pytest.mark.parametrize("downsampling", ["max", "stride"])
def test_eight_layers_halve_a_map_of_32_places_to_2(downsampling):
    network = architectures.build("vgg", input_shape=(32, 32, 3), n_classes=10, downsampling=downsampling)
    assert sum(node.weighted for node in network.nodes) == 8
    sides = [node.output_shape[0] for node in network.nodes[:-2]]
    assert sides == [32, 16, 16, 8, 4, 2]
    assert all(node.unitwise for node in network.nodes) == (downsampling == "stride")


@pytest.mark.parametrize("activation", sorted(architectures.activations.ACTIVATIONS))
@pytest.mark.parametrize("normalisation", ["none", "length"])
@pytest.mark.costly(cases=4)
def test_activations_and_normalisation(activation, normalisation):
    network = architectures.build(
        "mlp", input_shape=(4, 4, 1), n_classes=3, hidden=(30,), activation=activation, normalisation=normalisation
    )
    hidden, _ = run(network, inputs_for(network))
    assert jnp.all(jnp.isfinite(hidden))
    if normalisation == "length":
        np.testing.assert_allclose(jnp.mean(hidden**2, axis=1), 1, rtol=1e-3)


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
    activations = run(network, inputs_for(network, n=2))
    assert [h.shape[1:] for h in activations] == [node.output_shape for node in network.nodes]


class TestOtherSizes:
    def test_convolutions_go_and_the_dense_node_says_why_not(self):
        network = architectures.build("cnn", input_shape=(16, 16, 1), n_classes=4, channels=(4, 6))
        larger, reason = network.at_size((32, 32, 1))
        assert larger.node_names == ("conv_0", "conv_1")
        assert "hidden_0" in reason and "output" in reason
        shapes = [h.shape[1:] for h in run(larger, jnp.ones((2, 32, 32, 1)))]
        assert shapes == [node.output_shape for node in larger.nodes] == [(16, 16, 4), (8, 8, 6)]

    def test_global_pooling_takes_everything(self):
        network = architectures.build("cnn", input_shape=(16, 16, 1), n_classes=4, channels=(4, 6), pooling="global_mean")
        larger, reason = network.at_size((40, 24, 1))
        assert reason == "" and larger.node_names == network.node_names
        assert run(larger, jnp.ones((2, 40, 24, 1)))[-1].shape == (2, 4)

    def test_a_node_that_pools_by_itself_and_a_skip_go_along(self):
        first = architectures.convolutional("first", (8, 8, 1), 4)
        second = architectures.convolutional("second", (8, 8, 4), 4)
        pooled = architectures.pooling("pooled", (8, 8, 4), "global_mean")
        scores = architectures.readout("scores", (1, 1, 4), 3)
        network = architectures.chain(
            [first, second, pooled, scores], name="mine", input_shape=(8, 8, 1), n_classes=3, skips={"second": ["first"]}
        )
        larger, reason = network.at_size((12, 10, 1))
        assert reason == ""
        assert [node.output_shape for node in larger.nodes] == [(12, 10, 4), (12, 10, 4), (1, 1, 4), (3,)]

        @jax.jit
        def both_ways(x):
            params = network.init(KEY)
            a = first.run(params[0], (), (x,))[1]
            b = second.run(params[1], (), (a,), (a,))[1]
            return larger.forward(params, x)[-2], jnp.mean(b, axis=(1, 2), keepdims=True)

        ours, by_hand = both_ways(jnp.ones((2, 12, 10, 1)))
        np.testing.assert_allclose(ours, by_hand, rtol=1e-5)

    def test_an_image_that_is_read_by_rows_may_have_more_of_them(self):
        network = architectures.build("recurrent", input_shape=(8, 6, 1), n_classes=4, hidden=(5,))
        taller, reason = network.at_size((11, 6, 1))
        assert reason == "" and run(taller, jnp.ones((2, 11, 6, 1)))[-1].shape == (11, 2, 4)
        with pytest.raises(InputError, match="no node of 'recurrent' takes images of \\(8, 7, 1\\)"):
            network.at_size((8, 7, 1))

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
        ("mlp", {"gain": (1.0,)}, "one per node"),
        ("mlp", {"normalisation": "batch"}, "expected 'none' or 'length'"),
        ("mlp", {"hidden": (4, 5), "residual": True}, "need one width"),
        ("cnn", {"strides": (1, 2, 3)}, "3 strides were given for 2 convolutions"),
        ("cnn", {"pooling": "median"}, "unknown pooling 'median'"),
        ("cnn", {"kernel_size": 0}, "at least 1"),
        ("cnn", {"strides": 8, "pooling": "max"}, "needs at least 2x2"),
        ("cnn", {"n_classes": 1}, "at least 2 classes"),
        ("cnn", {"input_shape": (0, 8, 1)}, "expected \\(height, width, channels\\)"),
        ("cnn", {"input_shape": (8,)}, "takes \\(height, width, channels\\)"),
        ("vgg", {}, "8x8 were given, they cannot be halved 4 times"),
        ("vgg", {"halved": (6,)}, "there are convolutions 0 to 5"),
        ("vgg", {"channels": (), "halved": ()}, "one convolution there"),
        ("vgg", {"downsampling": "strid"}, "did you mean 'stride'"),
        ("vgg", {"input_shape": (8,)}, "takes \\(height, width, channels\\)"),
        ("resnet", {"strides": (1,)}, "1 strides were given for 3 stages"),
        ("resnet", {"blocks": 0}, "at least 1"),
        ("resnet", {"pooling": "max"}, "unknown pooling 'max'"),
        ("resnet", {"input_shape": (8,)}, "takes \\(height, width, channels\\)"),
        ("recurrent", {"hidden": ()}, "at least one hidden layer"),
        ("recurrent", {"units": "gatd"}, "did you mean 'gated'"),
        ("recurrent", {"units": "leaky_rate", "leak": 1.0}, "number in \\[0, 1\\)"),
        ("recurrent", {"reading": "row"}, "did you mean 'rows'"),
        ("recurrent", {"input_shape": (8,)}, "no rows to read"),
        ("recurrent", {"decision": "first"}, "expected 'last' or 'mean'"),
        ("spiking", {"threshold": 0.0}, "give a positive number"),
        ("spiking", {"leak": -0.1}, "number in \\[0, 1\\)"),
        ("spiking", {"n_steps": 0}, "at least one step"),
        ("spiking", {"adaptation": -0.1}, "give 0 or a positive number"),
        ("spiking", {"adaptation": 0.1, "adaptation_leak": 1.0}, "number in \\[0, 1\\)"),
        ("spiking", {"adaptation": 0.1, "threshold": 0.0}, "give a positive number"),
        ("transformer", {"input_shape": (8,)}, "tokens, features"),
        ("transformer", {"n_units": 9}, "give a number that divides them"),
        ("transformer", {"n_blocks": 0}, "at least one of each"),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(InputError, match=message) as caught:
        architectures.build(name, **{"input_shape": (8, 8, 1), "n_classes": 3, **options})
    assert "\n" not in str(caught.value)
