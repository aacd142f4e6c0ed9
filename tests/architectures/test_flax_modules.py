"""Networks of a user's flax modules: what they compute, what starts where, what each array is, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from graphs import KEY, run

import architectures
from architectures import BIAS, GAIN, WEIGHT, InputError, from_nnx, node_from_nnx
from architectures.roles import role_leaves

X = jax.random.normal(jax.random.key(1), (5, 6, 6, 1))


def flat(x):
    return x.reshape(len(x), -1)


def given_modules():
    rngs = nnx.Rngs(0)
    return [
        nnx.Conv(1, 3, (3, 3), strides=(2, 2), rngs=rngs),
        nnx.relu,
        lambda x: nnx.max_pool(x, (2, 2), (2, 2)),
        flat,
        nnx.Linear(3, 8, rngs=rngs),
        jnp.tanh,
        nnx.Linear(8, 4, rngs=rngs),
    ]


class Block(nnx.Module):
    """Two layers and a rectifier in one module, which is not affine."""

    def __init__(self, n_in, n_out, rngs):
        self.first = nnx.Linear(n_in, 7, rngs=rngs)
        self.second = nnx.Linear(7, n_out, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


class Scaled(nnx.Module):
    """A product and a factor a unit: a weight and a gain."""

    def __init__(self, n, rngs):
        self.gain = nnx.Param(jnp.ones(n))
        self.shift = nnx.Param(jnp.zeros(n))

    def __call__(self, x):
        return x * self.gain + self.shift


def test_a_list_of_modules_and_functions_is_a_chain_that_computes_the_same():
    modules = given_modules()
    network = from_nnx(modules, input_shape=(6, 6, 1), n_classes=4)
    assert network.node_names == ("conv_0", "linear_0", "linear_1") and network.is_chain and not network.temporal
    # Each function is of the module before it; the first ones, before any module, of what comes in.
    assert [node.output_shape for node in network.nodes] == [(3,), (8,), (4,)]
    found = run(network, X)
    x = X
    for module in modules:
        x = module(x)
    np.testing.assert_allclose(found[-1], x, rtol=1e-5, atol=1e-6)
    assert [node.affine for node in network.nodes] == [True] * 3
    assert [node.unitwise for node in network.nodes] == [False, True, True]  # the first one pools


def test_nnx_sequential_is_its_layers():
    modules = given_modules()
    sequential = nnx.Sequential(*modules)
    a, b = (run(from_nnx(each, input_shape=(6, 6, 1), n_classes=4), X) for each in (sequential, modules))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def test_given_modules_keep_their_parameters_and_functions_of_rngs_draw_new_ones():
    given = nnx.Linear(36, 5, rngs=nnx.Rngs(3))
    network = from_nnx([flat, given, nnx.relu, lambda rngs: nnx.Linear(5, 4, rngs=rngs)], input_shape=(6, 6, 1), n_classes=4)
    one, other = network.init(jax.random.key(1)), network.init(jax.random.key(2))
    for params in (one, other):
        np.testing.assert_array_equal(params[0]["kernel"], given.kernel[...])
    assert not np.array_equal(one[1]["kernel"], other[1]["kernel"])
    # To the bit as flax draws it from the same key.
    expected = nnx.Linear(5, 4, rngs=nnx.Rngs(params=jax.random.split(jax.random.key(1), 2)[1]))
    np.testing.assert_array_equal(one[1]["kernel"], expected.kernel[...])


def test_the_users_modules_are_left_as_they_are():
    convolution = nnx.Conv(1, 3, (3, 3), rngs=nnx.Rngs(0))
    before, function = nnx.to_pure_dict(nnx.state(convolution)), convolution.conv_general_dilated
    node = node_from_nnx(convolution, name="c", input_shape=(6, 6, 1))
    jax.grad(lambda p: jnp.sum(node.synapse(p, (X,)) ** 2))(node.init(KEY))
    assert convolution.conv_general_dilated is function
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(nnx.to_pure_dict(nnx.state(convolution))), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options",
    [{}, {"strides": (2, 2)}, {"padding": "VALID"}, {"kernel_dilation": (2, 2)}, {"feature_group_count": 2}, {"use_bias": False}],
)
def test_convolutions_of_any_kind_compute_what_flax_computes(options):
    module = nnx.Conv(2, 4, (3, 3), rngs=nnx.Rngs(0), **options)
    x = jax.random.normal(KEY, (3, 6, 5, 2))
    node = node_from_nnx(module, name="c", input_shape=(6, 5, 2))
    np.testing.assert_allclose(jax.jit(node.synapse)(node.init(KEY), (x,)), module(x), rtol=1e-5, atol=1e-5)
    kinds = [role.kind for role in role_leaves(node.roles)]
    assert kinds == ([WEIGHT] if options.get("use_bias") is False else [BIAS, WEIGHT])


def test_convolutions_take_another_size():
    network = from_nnx(
        [nnx.Conv(1, 3, (3, 3), rngs=nnx.Rngs(0)), lambda x: x.mean(axis=(1, 2)), nnx.Linear(3, 4, rngs=nnx.Rngs(0))],
        input_shape=(6, 6, 1),
        n_classes=4,
    )
    larger, reason = network.at_size((9, 8, 1))
    assert reason == "" and run(larger, jnp.ones((2, 9, 8, 1)))[-1].shape == (2, 4)


def test_a_module_of_several_layers_is_not_affine_and_says_so():
    network = from_nnx(
        [flat, Block(36, 6, nnx.Rngs(0)), jnp.tanh, nnx.Linear(6, 4, rngs=nnx.Rngs(0))], input_shape=(6, 6, 1), n_classes=4
    )
    assert network.node_names == ("block_0", "linear_0") and [node.affine for node in network.nodes] == [False, True]
    roles = network.nodes[0].roles
    assert {part: roles[part]["kernel"].kind for part in roles} == {"first": WEIGHT, "second": WEIGHT}
    assert {part: roles[part]["bias"].kind for part in roles} == {"first": BIAS, "second": BIAS}
    assert network.nodes[0].fan_in == 36 + 7


def test_whether_it_is_affine_can_be_said():
    module = Block(36, 6, nnx.Rngs(0))
    node = node_from_nnx(module, name="b", input_shape=(36,), affine=True)
    assert node.affine


def test_gains_are_told_from_biases_and_weights():
    node = node_from_nnx(Scaled(6, nnx.Rngs(0)), name="s", input_shape=(6,))
    assert node.affine and node.roles["gain"].kind == GAIN and node.roles["shift"].kind == BIAS
    layer = node_from_nnx(nnx.LayerNorm(6, rngs=nnx.Rngs(0)), name="n", input_shape=(6,))
    assert not layer.affine and layer.roles["scale"].kind == GAIN and layer.roles["bias"].kind == BIAS
    assert layer.fan_in == 0


def test_roles_of_a_linear_module():
    node = node_from_nnx(nnx.Linear(6, 3, rngs=nnx.Rngs(0)), name="l", input_shape=(6,))
    assert node.roles["kernel"] == architectures.Role(WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0)
    assert node.roles["bias"] == architectures.Role(BIAS, units=(0,)) and node.fan_in == 6
    assert node.unitwise and node.output_shape == (3,)


def test_softmax_is_not_unit_by_unit():
    node = node_from_nnx(nnx.Linear(6, 3, rngs=nnx.Rngs(0)), name="l", input_shape=(6,), activation=nnx.softmax)
    assert not node.unitwise


LINEAR, SAME = nnx.Linear(36, 4, rngs=nnx.Rngs(0)), nnx.Linear(36, 36, rngs=nnx.Rngs(0))
CHANCE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([flat, nnx.BatchNorm(36, rngs=nnx.Rngs(0)), LINEAR], "BatchNorm.*keeps BatchStat.*depend on its neighbours.*LayerNorm"),
        ([flat, lambda rngs: nnx.BatchNorm(36, rngs=rngs), LINEAR], "keeps BatchStat beside its parameters"),
        ([flat, nnx.Sequential(nnx.Linear(36, 36, rngs=nnx.Rngs(0)), nnx.BatchNorm(36, rngs=nnx.Rngs(0))), LINEAR], "BatchStat"),
        ([flat, nnx.Dropout(0.5, rngs=nnx.Rngs(0)), LINEAR], "Dropout.*keeps Rng.*leave out what keeps other state \\(dropout"),
        ([flat, lambda rngs: nnx.Dropout(0.5, rngs=rngs), LINEAR], "leave out what keeps other state"),
        ([flat, nnx.Dropout(0.5, deterministic=True), LINEAR], "has no parameters: give it as a function"),
        (
            [flat, nnx.Linear(35, 4, rngs=nnx.Rngs(0))],
            "'linear_0' was given inputs of \\(6, 6, 1\\) and failed: .*make its sizes fit",
        ),
        (
            [flat, nnx.Linear(36, 5, rngs=nnx.Rngs(0)), nnx.Linear(6, 4, rngs=nnx.Rngs(0))],
            "'linear_1' was given inputs of \\(5,\\)",
        ),
        ([flat, nnx.Linear(36, 5, rngs=nnx.Rngs(0))], "the readout 'linear_0' gives \\(5,\\), expected 4 scores"),
        ([flat, nnx.relu], "no flax module was given, only functions"),
        ([flat, SAME, SAME, LINEAR], "the same Linear was given twice, and nodes share no weights"),
        ([flat, nnx.Linear, LINEAR], "the class Linear was given, expected a module or what makes one: lambda rngs"),
        ([flat, linen.Dense(36), LINEAR], "Dense is a module of flax.linen, expected one of flax.nnx"),
        ([flat, SAME, lambda x: x - x.mean(0), LINEAR], "'linear_0' gives for an example changes with the others beside it"),
        ([lambda x: flat(x / x.max()), LINEAR], "'linear_0' gives for an example changes with the others"),
        ([flat, SAME, lambda x: x * CHANCE.random(x.shape[-1]), LINEAR], "'linear_0' gives something else each time"),
        ([flat, 3, LINEAR], "3 was given among the modules"),
        ([flat, lambda rngs: 3], "makes int, expected a flax module"),
        ([flat, lambda rngs: nnx.Linear(36)], "called with random streams and failed: TypeError"),
        ([flat, LINEAR, lambda x: {}["axis"]], "failed: KeyError: 'axis'"),
    ],
)
def test_what_is_no_network_is_said_in_one_sentence(modules, message):
    with pytest.raises(InputError, match=message) as caught:
        from_nnx(modules, input_shape=(6, 6, 1), n_classes=4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("activation", "unitwise"),
    [
        (jax.nn.relu, True),
        (lambda z: jax.nn.relu(z) / jnp.sqrt(1e-3 + jnp.mean(jax.nn.relu(z) ** 2, -1, keepdims=True)), False),
        (jax.nn.softmax, False),
        (lambda z: z - jnp.mean(z, -1, keepdims=True), False),
    ],
)
def test_what_other_units_do_to_a_unit_is_seen(activation, unitwise):
    node = node_from_nnx(lambda rngs: nnx.Linear(4, 5, rngs=rngs), name="mine", input_shape=(4,), activation=activation)
    assert node.unitwise == unitwise


def test_a_convolution_along_one_axis_takes_what_it_was_made_for():
    """It has no height and width to vary, as a convolution of images has."""
    made = [nnx.Conv(1, 3, (3,), rngs=nnx.Rngs(0)), nnx.relu, lambda x: x.mean(axis=1), nnx.Linear(3, 4, rngs=nnx.Rngs(0))]
    network = architectures.from_nnx(made, input_shape=(28, 1), n_classes=4)
    x = jax.random.normal(jax.random.key(1), (5, 28, 1))
    expected = made[3](made[1](made[0](x)).mean(axis=1))
    np.testing.assert_allclose(network.forward(network.init(jax.random.key(0)), x)[-1], expected, rtol=1e-5, atol=1e-6)
