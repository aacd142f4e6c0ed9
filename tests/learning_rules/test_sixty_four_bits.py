"""Where JAX computes in 64 bits, as neuroscientists' own programs often ask it to, rules train as they do in 32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import N_CLASSES, network_of

import learning_rules
from learning_rules import Batch

# what these draw is in 64 bits then, and images stay in 32
MIXED = (
    "feedback_alignment/direct", "feedback_alignment/direct_kolen_pollack", "feedback_alignment/direct_random_target",
    "feedback_alignment/product", "error_decorrelation", "target_propagation/plain", "feedback_control", "pepita/weight_mirror",
    "pepita/fixed",
)  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_a_step_in_64_bits(name):
    network = network_of("mlp")
    generator = np.random.default_rng(0)
    images = generator.normal(size=(6, *network.input_shape)).astype(np.float32)
    with jax.enable_x64(True):
        rule = learning_rules.build(name, network)
        state = rule.init(jax.random.key(0))
        batch = Batch(jnp.asarray(images), jnp.asarray(generator.integers(0, N_CLASSES, 6), jnp.int32))
        updates, *_ = jax.eval_shape(rule.assign_credit, jax.random.key(1), state, batch)  # types alone: nothing is compiled
    assert jax.tree.structure(updates) == jax.tree.structure(state.params)
