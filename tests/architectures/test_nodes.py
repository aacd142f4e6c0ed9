"""Each kind of node against a plain loop written from its paper's equations, or against another library."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import architectures
import learning_rules
from architectures import Edge, InputError, make_node
from architectures.convolution import inject
from architectures.dense import dense_synapse
from architectures.dynamics import spike

N, STEPS, IN, UNITS = 3, 9, 5, 4


def drawn(seed, like):
    """Numbers in double precision in the place of every leaf."""
    rng = np.random.default_rng(seed)
    leaves, structure = jax.tree.flatten(jax.eval_shape(like))
    return jax.tree.unflatten(structure, [jnp.asarray(rng.normal(size=leaf.shape)) for leaf in leaves])


def alone(node):
    """A network of one node that is its own readout."""
    return architectures.chain([node], name="alone", input_shape=node.input_shapes[0], n_classes=node.output_shape[-1])


def run(node, seed=0, scale=1.0):
    """Parameters, inputs and outputs of a node that is given random ones at every step, as numpy arrays."""
    network = alone(node)
    params = drawn(seed, lambda: node.init(jax.random.key(0)))
    x = scale * np.random.default_rng(seed + 1).normal(size=(STEPS, N, *node.input_shapes[0]))
    trace = jax.jit(network.trace)((params,), jnp.asarray(x if network.temporal else x[0]))
    return jax.tree.map(np.asarray, params), x, trace


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_elman():
    """h_t = tanh(W x_t + U h_{t-1} + b)  (Elman 1990)."""
    p, xs, trace = run(architectures.dense("r", (IN,), UNITS, "tanh", recurrent=True))
    h = np.zeros((N, UNITS))
    for x, found in zip(xs, trace.outputs[0], strict=True):
        h = np.tanh(x @ p["kernel"] + h @ p["kernel_1"] + p["bias"])
        np.testing.assert_allclose(found, h, atol=1e-12)


@pytest.mark.parametrize("recurrent", [False, True])
def test_leaky_rate(recurrent):
    """v_t = k v_{t-1} + (1 - k) (W x_t + U h_{t-1} + b), h_t = tanh(v_t)."""
    p, xs, trace = run(architectures.leaky_rate("r", (IN,), UNITS, 0.7, "tanh", recurrent=recurrent))
    v, h = np.zeros((N, UNITS)), np.zeros((N, UNITS))
    for x, found in zip(xs, trace.outputs[0], strict=True):
        v = 0.7 * v + (1 - 0.7) * (x @ p["kernel"] + p["bias"] + (h @ p["kernel_1"] if recurrent else 0))
        h = np.tanh(v)
        np.testing.assert_allclose(found, h, atol=1e-12)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.costly(cases=1)
def test_leaky_activity(recurrent):
    """h_t = k h_{t-1} + (1 - k) tanh(W x_t + U h_{t-1} + b)  (Murray 2019, eq. 1)."""
    p, xs, trace = run(architectures.leaky_activity("r", (IN,), UNITS, 0.7, "tanh", recurrent=recurrent))
    h = np.zeros((N, UNITS))
    for x, found in zip(xs, trace.outputs[0], strict=True):
        h = 0.7 * h + (1 - 0.7) * np.tanh(x @ p["kernel"] + p["bias"] + (h @ p["kernel_1"] if recurrent else 0))
        np.testing.assert_allclose(found, h, atol=1e-12)


@pytest.mark.parametrize("recurrent", [True, False])
@pytest.mark.costly(cases=1)
def test_adaptive_integrate_and_fire(recurrent):
    """a_t = r a_{t-1} + o_{t-1}, o_t = [v_t > threshold + beta a_t]  (Bellec et al. 2020, eq. 8, 9), v as above."""
    threshold, beta, r = 1.0, 0.6, 0.9
    node = architectures.adaptive_integrate_and_fire("r", (IN,), UNITS, 0.8, threshold, beta, r, recurrent=recurrent)
    p, xs, trace = run(node)
    v, a, o = np.zeros((N, UNITS)), np.zeros((N, UNITS)), np.zeros((N, UNITS))
    spikes, held_back = [], 0
    for x, found in zip(xs, trace.outputs[0], strict=True):
        v = 0.8 * v + x @ p["kernel"] + p["bias"] + (o @ p["kernel_1"] if recurrent else 0) - threshold * o
        a = r * a + o
        o = (v > threshold + beta * a).astype(float)
        held_back += np.sum((v > threshold) & (o == 0))
        np.testing.assert_array_equal(found, o)
        spikes.append(o)
    assert 0.1 < np.mean(spikes) < 0.9 and held_back > 5


def test_a_spike_raises_the_threshold_and_its_derivative_says_so():
    node = architectures.adaptive_integrate_and_fire("r", (1,), 1, 0.8, 1.0, 0.6, 0.9, steepness=4.0)
    v, a, z = jnp.array([[1.5]]), jnp.array([[0.5]]), jnp.array([[0.3]])
    by_v, by_a = jax.grad(lambda state: jnp.sum(node.activate(state, z, ())[0][1]))((v, a))
    slope = 1 / (1 + 4 * abs(1.5 - 1.0 - 0.6 * 0.5)) ** 2
    np.testing.assert_allclose([by_v.item(), by_a.item()], [slope, 0.9 - 0.6 * slope], atol=1e-12)
    # The reset is not differentiated.
    np.testing.assert_allclose(jax.grad(lambda v: jnp.sum(node.activate((v, a), z, ())[0][0]))(v), 0.8)


@pytest.mark.parametrize("recurrent", [False, True])
def test_leaky_integrate_and_fire(recurrent):
    """v_t = k v_{t-1} + W x_t + U o_{t-1} + b - threshold o_{t-1}, o_t = [v_t > threshold]  (Bellec et al. 2020, eq. 6, 7)."""
    p, xs, trace = run(architectures.leaky_integrate_and_fire("r", (IN,), UNITS, 0.8, 1.3, recurrent=recurrent))
    v, o = np.zeros((N, UNITS)), np.zeros((N, UNITS))
    spikes = []
    for x, found in zip(xs, trace.outputs[0], strict=True):
        v = 0.8 * v + x @ p["kernel"] + p["bias"] + (o @ p["kernel_1"] if recurrent else 0) - 1.3 * o
        o = (v > 1.3).astype(float)
        np.testing.assert_array_equal(found, o)
        spikes.append(o)
    assert 0.1 < np.mean(spikes) < 0.9


def test_the_surrogate_derivative_is_a_fast_sigmoids():
    above = jnp.linspace(-2, 2, 41)
    found = jax.vmap(jax.grad(lambda v: spike(v, 7.0)))(above)
    np.testing.assert_allclose(found, 1 / (1 + 7 * np.abs(above)) ** 2, atol=1e-12)
    node = architectures.leaky_integrate_and_fire("r", (IN,), UNITS, 0.8, 1.3, steepness=4.0)
    z = jnp.asarray(np.random.default_rng(0).normal(size=(N, UNITS)))
    slope = jax.grad(lambda z: jnp.sum(node.activate(node.init_state(N, z.dtype), z, ())[1]))(z)
    np.testing.assert_allclose(slope, 1 / (1 + 4 * np.abs(z - 1.3)) ** 2, atol=1e-12)


def test_gated_by_its_equations():
    p, xs, trace = run(architectures.gated("g", (IN,), UNITS))
    h = np.zeros((N, UNITS))
    for x, found in zip(xs, trace.outputs[0], strict=True):
        from_input = {part: x @ own["kernel"] + own["bias"] for part, own in p.items()}
        from_itself = {part: h @ own["recurrent"] for part, own in p.items()}
        r = sigmoid(from_input["reset"] + from_itself["reset"])
        u = sigmoid(from_input["update"] + from_itself["update"])
        c = np.tanh(from_input["candidate"] + r * from_itself["candidate"])
        h = u * h + (1 - u) * c
        np.testing.assert_allclose(found, h, atol=1e-12)


def test_gated_is_flax_cell():
    p, xs, trace = run(architectures.gated("g", (IN,), UNITS))
    cell = nnx.GRUCell(IN, UNITS, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    order = ("reset", "update", "candidate")
    cell.dense_i.kernel[...] = np.concatenate([p[part]["kernel"] for part in order], axis=1)
    cell.dense_i.bias[...] = np.concatenate([p[part]["bias"] for part in order])
    cell.dense_h.kernel[...] = np.concatenate([p[part]["recurrent"] for part in order], axis=1)
    h = jnp.zeros((N, UNITS))
    for x, found in zip(xs, trace.outputs[0], strict=True):
        h, _ = cell(h, jnp.asarray(x))
        np.testing.assert_allclose(found, h, atol=1e-12)


@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_attention(n_heads):
    node = architectures.attention("a", (6, 5), 8, n_heads)
    p = drawn(0, lambda: node.init(jax.random.key(0)))
    x = np.random.default_rng(1).normal(size=(N, 6, 5))
    found = node.run(p, (), (jnp.asarray(x),))[1]
    q, k, v = (np.asarray(x @ p[part]["kernel"]).reshape(N, 6, n_heads, 8 // n_heads) for part in ("query", "key", "value"))
    # Theirs takes the softmax in single precision, whatever it is given.
    np.testing.assert_allclose(found, jax.nn.dot_product_attention(q, k, v).reshape(N, 6, 8), rtol=1e-4, atol=1e-5)
    for i in range(N):
        for head in range(n_heads):
            score = q[i, :, head] @ k[i, :, head].T / np.sqrt(8 // n_heads)
            weight = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
            width = 8 // n_heads
            np.testing.assert_allclose(found[i, :, head * width : (head + 1) * width], weight @ v[i, :, head], atol=1e-12)


def test_normalisation():
    x = 3 + 2 * np.random.default_rng(0).normal(size=(N, 6, 5))
    layer = architectures.normalising("n", (6, 5), "layer").run((), (), (), (jnp.asarray(x),))[1]
    reference = nnx.LayerNorm(5, use_bias=False, use_scale=False, epsilon=1e-6, use_fast_variance=False, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(layer, reference(jnp.asarray(x)), atol=1e-12)
    by_hand = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(layer, by_hand, atol=1e-12)
    length = architectures.normalising("n", (6, 5), "length").run((), (), (), (jnp.asarray(x),))[1]
    np.testing.assert_allclose(length, x / np.sqrt((x**2).mean((1, 2), keepdims=True) + 1e-6), atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("max", lambda x: nnx.max_pool(x, (2, 2), (2, 2))),
        ("mean", lambda x: nnx.avg_pool(x, (2, 2), (2, 2))),
        ("global_mean", lambda x: x.mean(axis=(1, 2), keepdims=True)),
    ],
)
def test_pooling(kind, reference):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(N, 7, 6, 2)))
    other = jnp.asarray(np.random.default_rng(1).normal(size=reference(x).shape))
    node = architectures.pooling("p", (7, 6, 2), kind)
    np.testing.assert_allclose(node.run((), (), (), (x,))[1], reference(x), atol=1e-12)
    np.testing.assert_allclose(node.run((), (), (), (x, other))[1], reference(x) + other, atol=1e-12)
    assert not node.weighted and node.init(jax.random.key(0)) == ()


@pytest.mark.parametrize("pooling", ["none", "max"])
def test_convolution(pooling):
    node = architectures.convolutional("c", (7, 6, 2), 4, kernel_size=3, stride=2, activation="tanh", pooling=pooling)
    p = drawn(0, lambda: node.init(jax.random.key(0)))
    module = nnx.Conv(2, 4, (3, 3), strides=(2, 2), param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    nnx.update(module, p)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(N, 7, 6, 2)))
    expected = jnp.tanh(module(x))
    if pooling == "max":
        expected = nnx.max_pool(expected, (2, 2), (2, 2))
    np.testing.assert_allclose(node.run(p, (), (x,))[1], expected, atol=1e-12)


def test_skips_are_added_after_all_else():
    x, other = jnp.asarray(np.random.default_rng(0).normal(size=(2, N, UNITS)))
    for node in (
        architectures.dense("d", (UNITS,), UNITS, "tanh", normalisation="length"),
        architectures.leaky_rate("l", (UNITS,), UNITS),
        architectures.leaky_integrate_and_fire("s", (UNITS,), UNITS),
    ):
        p = drawn(0, lambda node=node: node.init(jax.random.key(0)))
        state = node.init_state(N, jnp.float64)
        without, with_it = node.run(p, state, (x,)), node.run(p, state, (x,), (other,))
        np.testing.assert_allclose(with_it[1], without[1] + other, atol=1e-12)
        # What a unit remembers is its own: a skip does not enter it.
        for a, b in zip(jax.tree.leaves(with_it[0]), jax.tree.leaves(without[0]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_tokens_share_their_weights():
    node = architectures.dense("d", (6, IN), UNITS, "tanh", tokens=True)
    p = drawn(0, lambda: node.init(jax.random.key(0)))
    x = np.random.default_rng(0).normal(size=(N, 6, IN))
    found = node.run(p, (), (jnp.asarray(x),))[1]
    for token in range(6):
        np.testing.assert_allclose(found[:, token], np.tanh(x[:, token] @ p["kernel"] + p["bias"]), atol=1e-12)


class TestBitsOfFlax:
    """A network of flax modules that are made of the same keys starts at the same bits, and answers with the same."""

    def draws(self, gain_squared):
        return nnx.initializers.variance_scaling(gain_squared, "fan_in", "truncated_normal")

    def check(self, network, modules, forward, seed=3):
        with jax.enable_x64(False):
            keys = jax.random.split(jax.random.key(seed), len(network.nodes))
            built = [make(nnx.Rngs(params=key)) for make, key in zip(modules, keys, strict=True)]
            params = network.init(jax.random.key(seed))
            for ours, module in zip(params, built, strict=True):
                np.testing.assert_array_equal(ours["kernel"], module.kernel[...])
                np.testing.assert_array_equal(ours["bias"], module.bias[...])
            x = jax.random.normal(jax.random.key(seed + 1), (N, *network.input_shape), jnp.float32)
            ours = network.forward(params, x)
            for a, b in zip(ours, forward(built, x), strict=True):
                np.testing.assert_array_equal(a, b)

    def test_mlp(self):
        network = architectures.build("mlp", input_shape=(6, 5, 1), n_classes=4, hidden=(7, 6))
        sizes = [(30, 7, 2.0), (7, 6, 2.0), (6, 4, 1.0)]

        def made(n_in, n_out, gain):
            return lambda rngs: nnx.Linear(n_in, n_out, kernel_init=self.draws(gain), rngs=rngs)

        def forward(modules, x):
            a = nnx.relu(modules[0](x.reshape(len(x), -1)))
            b = nnx.relu(modules[1](a))
            return a, b, modules[2](b)

        self.check(network, [made(*size) for size in sizes], forward)

    def test_cnn(self):
        network = architectures.build("cnn", input_shape=(8, 7, 2), n_classes=4, channels=(3, 5), hidden=(6,))

        def convolution(n_in, n_out):
            return lambda rngs: nnx.Conv(
                n_in, n_out, (3, 3), strides=(2, 2), kernel_init=self.draws(2.0), conv_general_dilated=inject, rngs=rngs
            )

        makes = [
            convolution(2, 3),
            convolution(3, 5),
            lambda rngs: nnx.Linear(20, 6, kernel_init=self.draws(2.0), rngs=rngs),
            lambda rngs: nnx.Linear(6, 4, kernel_init=self.draws(1.0), rngs=rngs),
        ]

        def forward(modules, x):
            a = nnx.relu(modules[0](x))
            b = nnx.relu(modules[1](a))
            c = nnx.relu(modules[2](b.reshape(len(x), -1)))
            return a, b, c, modules[3](c)

        self.check(network, makes, forward)


ROLE = architectures.Role(architectures.WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0)
MADE_BY_HAND = {
    "input_shapes": ((3,),),
    "init": lambda key: {"w": jax.random.normal(key, (3, 2))},
    "synapse": lambda params, inputs: inputs[0] @ params["w"],
    "activate": lambda state, z, skips: (state, jnp.tanh(z)),
    "roles": {"w": ROLE},
}


def test_a_node_can_be_made_of_functions():
    node = make_node("mine", **MADE_BY_HAND)
    assert node.z_shape == (2,) and node.output_shape == (2,) and node.fan_in == 3
    assert node.one_z and node.weighted and not node.has_state and node.affine and not node.unitwise


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roles": {"weight": ROLE}}, "give one Role for each array"),
        ({"roles": {"w": replace(ROLE, kind="weights")}}, "unknown kind of role at node 'mine' 'weights': did you mean 'weight'"),
        ({"roles": {"w": replace(ROLE, edge=1)}}, "a role of edge=1, and takes 1 weighted edges"),
        ({"roles": {"w": replace(ROLE, units=(2,))}}, "units=\\(2,\\) and fan_in=.* for parameters of shape \\(3, 2\\)"),
        ({"roles": {"w": replace(ROLE, units=ROLE.fan_in)}}, "name each axis once"),
        ({"input_shapes": ((4,),)}, "node 'mine' was given inputs of \\(\\(4,\\),\\) and failed: TypeError: "),
        ({"activate": lambda state, z, skips: (state, z["gate"])}, "'mine' .* failed: .*make synapse take what init draws"),
        ({"activate": lambda state, z, skips: z}, "activate of node 'mine' gives .*, expected a pair \\(state, output\\)"),
        (
            {"activate": lambda state, z, skips: (state, z - z.mean(0))},
            "'mine' gives for an example changes with the others beside",
        ),
        ({"activate": lambda state, z, skips: (state, z / abs(z).max())}, "changes with the others beside it"),
        ({"activate": lambda state, z, skips: (state, z / len(z))}, "changes with the others beside it"),
        (
            {"activate": lambda state, z, skips: (state, z * jnp.arange(1, len(z) + 1)[:, None])},
            "changes with the others beside it",
        ),
        (
            {
                "init_state": lambda n, dtype: jnp.zeros((n, 2), dtype),
                "activate": lambda state, z, skips: (state + z.mean(0), jnp.maximum(z - state, 0)),
            },
            "changes with the others beside it",
        ),
        ({"synapse": lambda params, inputs: inputs[0] @ params["v"]}, "failed: KeyError: 'v'"),
        ({"input_shapes": ((3,), (3,)), "synapse": lambda params, inputs: inputs[2]}, "failed: IndexError"),
    ],
)
def test_functions_that_do_not_fit_are_named(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        make_node("mine", **{**MADE_BY_HAND, **changes})
    assert "\n" not in str(caught.value)


def test_two_weighted_edges_are_two_weights():
    init, synapse, roles = dense_synapse(((3,), (2, 2)), UNITS, (nnx.initializers.normal(),) * 2)
    p = drawn(0, functools.partial(init, jax.random.key(0)))
    a, b = np.random.default_rng(1).normal(size=(N, 3)), np.random.default_rng(2).normal(size=(N, 2, 2))
    expected = a @ p["kernel"] + b.reshape(N, 4) @ p["kernel_1"] + p["bias"]
    np.testing.assert_allclose(synapse(p, (jnp.asarray(a), jnp.asarray(b))), expected, atol=1e-12)
    assert roles["kernel_1"].edge == 1 and Edge("a") == ("a", 0, False)


def test_a_synapse_that_bends_is_found_out_and_rules_that_need_its_products_say_so():
    """Taken at its word it ran in every rule, and was wrong without a word in predictive coding and in the weight mirror."""
    synapses = {
        "of its input": lambda params, inputs: jnp.maximum(inputs[0], 0) @ params["w"],
        "of its parameters": lambda params, inputs: inputs[0] @ jnp.tanh(params["w"]),
    }
    for synapse in synapses.values():
        bent = make_node("mine", **{**MADE_BY_HAND, "synapse": synapse})
        assert not bent.affine
        network = architectures.chain([bent, architectures.readout("last", (2,), 2)], name="bent", input_shape=(3,), n_classes=2)
        assert "not linear in its parameters" in learning_rules.support("feedback_alignment", network).reason
        assert learning_rules.support("backprop", network).supported
