"""Diagnostics measure what they say: on rules and activities for which the answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, network_of

import architectures
import learning_rules


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
def test_backpropagation_lies_on_itself(architecture):
    rule = learning_rules.build("backprop", network_of(architecture))
    state = rule.init(jax.random.key(0))
    alignment = jax.jit(lambda s: learning_rules.alignment_with_backprop(rule, s, jax.random.key(1), batch_of(0)))(state)
    np.testing.assert_allclose(alignment.cosine, 1, rtol=1e-5)
    np.testing.assert_allclose(alignment.norm, alignment.reference_norm, rtol=1e-5)


def test_a_node_that_is_asked_for_nothing_has_cosine_zero():
    rule = learning_rules.build("untrained", network_of("mlp"))
    state = rule.init(jax.random.key(0))
    alignment = learning_rules.alignment_with_backprop(rule, state, jax.random.key(1), batch_of(0))
    np.testing.assert_array_equal(alignment.cosine[:-1], 0)
    assert alignment.cosine[-1] > 0.99 and np.all(alignment.reference_norm > 0)


def test_a_node_that_is_asked_for_next_to_nothing_has_a_cosine_all_the_same():
    """Squares of such numbers vanish in single precision, and a length of zero would leave anything for the cosine."""
    rule = learning_rules.build("backprop", network_of("mlp"))
    faint = rule._replace(
        assign_credit=lambda *now: (jax.tree.map(lambda g: 1e-25 * g, rule.assign_credit(*now)[0]), *now[1:2], {})
    )
    state = rule.init(jax.random.key(0))
    alignment = learning_rules.alignment_with_backprop(faint, state, jax.random.key(1), batch_of(0))
    np.testing.assert_allclose(alignment.cosine, 1, rtol=1e-5)


def test_change_of_weights_is_relative_and_leaves_biases_out():
    network = architectures.chain([architectures.readout("output", (2,), 3)], name="one", input_shape=(2,), n_classes=3)
    before = ({"kernel": jnp.full((2, 3), 2.0), "bias": jnp.zeros(3)},)
    after = ({"kernel": jnp.full((2, 3), 3.0), "bias": jnp.full(3, 100.0)},)
    np.testing.assert_allclose(learning_rules.relative_weight_change(network, before, after), [0.5], rtol=1e-6)


def test_change_of_weights_takes_all_of_a_tree_and_nodes_without_weights_stand_still():
    network = network_of("attention")
    before = network.init(jax.random.key(0))
    after = jax.tree.map(lambda leaf: 1.25 * leaf + (leaf.ndim == 1), before)  # all biases move, from nought to one
    change = dict(zip(network.node_names, learning_rules.relative_weight_change(network, before, after), strict=True))
    assert change.pop("normalised") == 0
    np.testing.assert_allclose(list(change.values()), 0.25, rtol=1e-5)


def test_activity_counts_units_that_no_example_drives():
    h = jnp.array([[0.0, 1.0, 0.0, -2.0], [0.0, 0.0, 0.0, 2.0]])
    measured = learning_rules.activity((h,))
    assert measured.silent[0] == 0.5 and measured.mean[0] == 1 / 8
    np.testing.assert_allclose(measured.rms[0], np.sqrt(9 / 8), rtol=1e-6)


@pytest.mark.parametrize("architecture", ["mlp", "cnn"])
def test_rectified_units_are_flat_where_they_are_off(architecture):
    network = network_of(architecture)
    params = network.init(jax.random.key(0))
    images, _ = batch_of(3)
    activations = network.forward(params, images)
    measured = learning_rules.saturation(network, params, images)
    for h, share in zip(activations[:-1], measured[:-1], strict=True):
        np.testing.assert_allclose(share, jnp.mean(h == 0), atol=1e-6)
    assert measured[-1] == 0  # scores are linear


def test_a_tangent_is_flat_where_its_input_is_large():
    network = architectures.build("mlp", input_shape=(1, 1, 2), n_classes=2, hidden=(2,), activation="tanh")
    params = (
        {"kernel": jnp.eye(2), "bias": jnp.zeros(2)},
        network.init(jax.random.key(0))[1],
    )
    images = jnp.array([[0.1, 5.0], [-4.0, 2.0]]).reshape(2, 1, 1, 2)
    assert learning_rules.saturation(network, params, images)[0] == 0.5


def test_a_diagnosis_has_a_number_for_every_node_and_what_the_rule_tells():
    rule = learning_rules.build("local_losses", network_of("cnn"))
    state = rule.init(jax.random.key(0))
    diagnosis = jax.jit(lambda s: learning_rules.diagnose(rule, s.params["network"], s, jax.random.key(1), batch_of(0)))(state)
    assert {name: values.shape for name, values in diagnosis.nodes.items()} == dict.fromkeys(
        ("cosine", "reference_norm", "norm", "relative_weight_change", "silent", "mean", "rms", "saturated"), (4,)
    )
    np.testing.assert_array_equal(diagnosis.nodes["relative_weight_change"], 0)
    assert len(diagnosis.info["node_loss"]) == 3 and diagnosis.info["loss"].shape == ()


@pytest.mark.parametrize("architecture", ["residual", "gated", "attention", "spiking", "elman", "flax"])
def test_a_diagnosis_of_any_network_is_by_its_nodes_and_finite(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("backprop", network)

    @jax.jit
    def run(key):
        state = rule.init(key)
        diagnosis = learning_rules.diagnose(rule, state.params["network"], state, key, batch_of(0))
        return diagnosis, rule.represent(state, batch_of(0)[0])

    diagnosis, activations = run(jax.random.key(0))
    assert {values.shape for values in diagnosis.nodes.values()} == {(len(network.nodes),)}
    assert all(np.all(np.isfinite(values)) for values in diagnosis.nodes.values())
    weighted = np.array([node.weighted for node in network.nodes])
    np.testing.assert_allclose(diagnosis.nodes["cosine"], weighted, atol=1e-5)  # backpropagation lies on itself
    for h, mean, rms in zip(activations, diagnosis.nodes["mean"], diagnosis.nodes["rms"], strict=True):
        np.testing.assert_allclose(mean, np.mean(h), atol=1e-5)
        np.testing.assert_allclose(rms, np.sqrt(np.mean(np.square(h))), rtol=1e-4)
    assert np.all((diagnosis.nodes["saturated"] >= 0) & (diagnosis.nodes["saturated"] <= 1))


def test_units_in_time_are_flat_where_their_surrogate_is():
    """At each step by itself, with what a unit remembers as it stood."""
    network = network_of("spiking")
    params, (images, _) = network.init(jax.random.key(0)), batch_of(3)
    measured, trace = jax.jit(lambda p: (learning_rules.saturation(network, p, images), network.trace(p, images)))(params)
    for index in (0, 1):
        v, spiked = trace.states[index]
        above = 0.9 * v + trace.z[index] - spiked - 1.0
        np.testing.assert_allclose(measured[index], np.mean(1 / (1 + 10 * np.abs(above)) ** 2 < 0.01), atol=1e-4)


def _settled_loss(weights, images, labels, input_gain, gain):
    """Cross-entropy where the states of two hidden layers rest, none of them clipped, in NumPy.

    With kernels (in, out), s1 = a(x W1 + b1) + g s2 W2^T and s2 = g(s1 W2 + b2), for the readout says nothing without a label: so
    s1 (I - g^2 W2 W2^T) = a(x W1 + b1) + g^2 b2 W2^T.
    """
    (w1, b1), (w2, b2), (w3, b3) = weights
    below = input_gain * (images @ w1 + b1) + gain**2 * (w2 @ b2)
    first = np.linalg.solve(np.eye(len(w2)) - gain**2 * w2 @ w2.T, below.T).T
    second = gain * (first @ w2 + b2)
    assert max(np.abs(first).max(), np.abs(second).max()) < 1  # no state is clipped
    scores = second @ w3 + b3
    return float(np.mean(np.log(np.sum(np.exp(scores), axis=1)) - scores[np.arange(len(labels)), labels]))


def test_a_rule_that_settles_is_held_against_the_loss_where_it_settles():
    """Equilibrium propagation against central differences of the loss at rest, solved for in NumPy. The forward pass's differs."""
    network = architectures.build("mlp", input_shape=(2, 2, 1), n_classes=3, hidden=(5, 4))
    settings = {"input_gain": 0.5, "gain": 0.7}
    with jax.enable_x64(True):
        rule = learning_rules.build("energy_based/centred", network, beta=1e-3, free_sweeps=60, nudged_sweeps=60, **settings)
        state = jax.tree.map(lambda leaf: 0.4 * leaf.astype(jnp.float64), rule.init(jax.random.key(0)))
        images = 0.5 * jax.random.normal(jax.random.key(1), (7, 2, 2, 1), jnp.float64)
        batch = images, jnp.arange(7) % 3
        at_rest, forward = jax.jit(
            lambda: [
                learning_rules.alignment_with_backprop(each, state, jax.random.key(2), batch)
                for each in (rule, rule._replace(infer=None))
            ]
        )()
    weights = [[np.array(node["kernel"]), np.array(node["bias"])] for node in state.params["network"]]
    given = np.asarray(images).reshape(7, -1), np.asarray(batch[1])
    lengths = []
    for node in weights:
        slopes = []
        for leaf in node:
            for index in np.ndindex(leaf.shape):
                found = []
                for shift in (1e-5, -1e-5):
                    leaf[index] += shift
                    found.append(_settled_loss(weights, *given, **settings))
                    leaf[index] -= shift
                slopes.append((found[0] - found[1]) / 2e-5)
        lengths.append(np.linalg.norm(slopes))
    np.testing.assert_allclose(at_rest.reference_norm, lengths, rtol=1e-6)
    np.testing.assert_allclose(at_rest.cosine, 1, atol=1e-6)
    assert np.any(np.abs(np.asarray(forward.reference_norm) / lengths - 1) > 0.01)
