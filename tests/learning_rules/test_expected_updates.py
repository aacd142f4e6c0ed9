"""The angle of a mean over draws is that of what was planted under noise, whatever the angle of one draw is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, network_of

import learning_rules

N_DRAWS = 512


def of_the_mean(rule, state, n_draws=N_DRAWS):
    return jax.jit(lambda s: learning_rules.alignment_of_the_mean(rule, s, jax.random.key(1), batch_of(0), n_draws))(state)


def with_noise(rule, share, noise, scale=1.0):
    """A rule that asks for a share of the gradient and noise of so many times its length: unbiased but for its length."""

    def assign_credit(key, state, batch):
        updates, state, info = rule.assign_credit(key, state, batch)
        leaves, tree = jax.tree.flatten(updates)
        keys = jax.random.split(key, len(leaves))
        noisy = [
            scale * (share * leaf + noise * jnp.linalg.norm(leaf) * jax.random.normal(k, leaf.shape) / np.sqrt(leaf.size))
            for k, leaf in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, noisy), state, info

    return rule._replace(assign_credit=assign_credit)


@pytest.mark.parametrize("scale", [1.0, 1e-22])
@pytest.mark.thorough
def test_noise_is_told_from_bias(scale):
    backprop = learning_rules.build("backprop", network_of("mlp"))
    state = backprop.init(jax.random.key(0))
    noisy = with_noise(backprop, 0.5, 4.0, scale)
    one = jax.jit(lambda s: learning_rules.alignment_with_backprop(noisy, s, jax.random.key(1), batch_of(0)))(state)
    found = of_the_mean(noisy, state)
    assert np.all(one.cosine < 0.4)
    np.testing.assert_allclose(found.cosine, 1, atol=0.1)
    np.testing.assert_allclose(found.norm / scale, 0.5 * one.reference_norm, rtol=0.15)
    np.testing.assert_allclose(found.reference_norm, one.reference_norm, rtol=1e-5)


def test_a_bias_is_there_whatever_the_noise():
    """Feedback alignment under noise has the angle of feedback alignment without."""
    rule = learning_rules.build("feedback_alignment", network_of("mlp"))
    state = rule.init(jax.random.key(0))
    plain = learning_rules.alignment_with_backprop(rule, state, jax.random.key(1), batch_of(0))
    found = of_the_mean(with_noise(rule, 1.0, 3.0), state)
    np.testing.assert_allclose(found.cosine, plain.cosine, atol=0.1)
    assert np.abs(plain.cosine[0]) < 0.9
    np.testing.assert_allclose(of_the_mean(rule, state).cosine, plain.cosine, atol=1e-5)


def test_what_is_asked_for_by_chance_alone_has_no_angle_and_what_is_asked_for_nothing_none_either():
    backprop = learning_rules.build("backprop", network_of("mlp"))
    state = backprop.init(jax.random.key(0))
    assert np.isnan(of_the_mean(with_noise(backprop, 0.0, 1.0), state).cosine).all()
    still = learning_rules.build("untrained", network_of("mlp"))
    found = of_the_mean(still, still.init(jax.random.key(0)), 8)
    assert np.isnan(found.cosine[:-1]).all() and not found.norm[:-1].any()


def test_node_perturbation_asks_for_the_gradient_on_average():
    """Fiete and Seung 2006: so small a perturbation leaves no bias, where one draw is far from the gradient."""
    rule = learning_rules.build("perturbation/node", network_of("mlp"), perturbation_size=1e-2)
    state = rule.init(jax.random.key(0))
    one = jax.jit(lambda s: learning_rules.alignment_with_backprop(rule, s, jax.random.key(1), batch_of(0)))(state)
    found = of_the_mean(rule, state)
    assert np.all(one.cosine[:-1] < 0.8) and np.all(found.cosine[:-1] > 0.95)
