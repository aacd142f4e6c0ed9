"""What each parameter is said to be is what it does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from architecture_table import TABLE
from flax import nnx
from graphs import KEY, network_of

import architectures
from architectures import BIAS, GAIN, WEIGHT, Role
from architectures.roles import map_roles, of_kind, per_unit, role_leaves, weights_only

ROLES = {
    "bias": Role(BIAS, units=(0,)),
    "gain": Role(GAIN, units=(0,)),
    "kernel": Role(WEIGHT, units=(1,), fan_in=(0,), edge=0, presynaptic=0),
}
PARAMS = {"bias": jnp.ones(3), "gain": jnp.full(3, 2.0), "kernel": jnp.full((2, 3), 5.0)}


@pytest.mark.parametrize("row", [*sorted(TABLE), "flax"])
@pytest.mark.costly(cases=3)
def test_one_number_moves_the_units_that_its_role_says_by_what_its_edge_brings(row):
    if row == "flax":
        modules = [
            nnx.Conv(3, 4, (3, 2), rngs=nnx.Rngs(0)),
            nnx.relu,
            lambda x: x.reshape(len(x), -1),
            nnx.Linear(80, 3, rngs=nnx.Rngs(0)),
        ]
        nodes = architectures.from_nnx(modules, input_shape=(5, 4, 3), n_classes=3).nodes
    else:
        nodes = network_of(row).nodes
    rng = np.random.default_rng(0)
    for node in nodes:
        like, structure = jax.tree.flatten(jax.eval_shape(node.init, KEY))
        x = tuple(jnp.asarray(1 + rng.random((2, *shape)), jnp.float32) for shape in node.input_shapes)

        @jax.jit
        def pre_activations(leaves, x, node=node, structure=structure):
            return node.synapse(jax.tree.unflatten(structure, leaves), x)

        for place, (role, shape) in enumerate(zip(role_leaves(node.roles), like, strict=True)):
            index = tuple(int(rng.integers(length)) for length in shape.shape)
            leaves = [jnp.zeros(leaf.shape) for leaf in like]
            leaves[place] = leaves[place].at[index].set(1.0)
            z = pre_activations(leaves, x)
            unit = tuple(index[axis] for axis in role.units)
            moved = [np.argwhere(np.any(np.asarray(leaf) != 0, axis=tuple(range(leaf.ndim - 1)))) for leaf in jax.tree.leaves(z)]
            assert [tuple(each) for where in moved for each in where] == [unit]
            silent = pre_activations(leaves, tuple(jnp.zeros_like(each) for each in x))
            at_rest = any(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(silent))
            assert at_rest == (role.kind == BIAS)
            if role.kind == WEIGHT:
                assert set(role.units) | set(role.fan_in) == set(range(len(shape.shape)))
                # Nothing of the other edges, and of its own what the axis of presynaptic units says.
                others = tuple(each if k == role.edge else jnp.zeros_like(each) for k, each in enumerate(x))
                for a, b in zip(jax.tree.leaves(pre_activations(leaves, others)), jax.tree.leaves(z), strict=True):
                    np.testing.assert_array_equal(a, b)
                own = x[role.edge]
                last = index[role.presynaptic] % own.shape[-1]
                without = tuple(each.at[..., last].set(0) if k == role.edge else each for k, each in enumerate(x))
                assert not any(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(pre_activations(leaves, without)))


def test_trees_of_one_kind():
    weights = weights_only(PARAMS, ROLES)
    assert {name: float(leaf.sum()) for name, leaf in weights.items()} == {"bias": 0, "gain": 0, "kernel": 30}
    rest = of_kind(PARAMS, ROLES, (BIAS, GAIN))
    assert {name: float(leaf.sum()) for name, leaf in rest.items()} == {"bias": 3, "gain": 6, "kernel": 0}
    kinds = map_roles(lambda role, a, b: (role.kind, float((a - b).sum())), ROLES, PARAMS, weights)
    assert kinds == {"bias": (BIAS, 3.0), "gain": (GAIN, 6.0), "kernel": (WEIGHT, 0.0)}
    assert [role.kind for role in role_leaves(ROLES)] == [BIAS, GAIN, WEIGHT]


def test_a_factor_a_unit_lies_along_its_axis():
    factor = jnp.arange(3.0)
    np.testing.assert_array_equal(per_unit(ROLES["kernel"], PARAMS["kernel"], factor), 5 * np.broadcast_to(factor, (2, 3)))
    np.testing.assert_array_equal(per_unit(ROLES["bias"], PARAMS["bias"], factor), factor)
    first = Role(WEIGHT, units=(0,), fan_in=(1,), edge=0)
    np.testing.assert_array_equal(per_unit(first, jnp.ones((3, 2)), factor), np.broadcast_to(factor[:, None], (3, 2)))
