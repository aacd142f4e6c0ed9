"""Deep feedback control: the rest of the controlled network solved for in closed form, and the inverse that noise teaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.objectives import Batch

COUNTS = np.array([1.0, 0, 1, 1, 0, 1])
AT_REST = {"control_steps": 400, "control_rate": 0.5}


def linear_network():
    return network_of("mlp", hidden=(6, 5), activation="identity")


def matrices(params):
    return [np.asarray(own["kernel"]) for own in params], [np.asarray(own["bias"]) for own in params]


def jacobians(kernels):
    """From each layer's pre-activations to the scores, (n_classes, units), of a linear network."""
    after = [np.eye(kernels[-1].shape[1])]
    for kernel in reversed(kernels[1:]):
        after.append(after[-1] @ kernel.T)
    return after[::-1]


def softmax_error(scores, labels):
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True) - np.eye(scores.shape[1])[np.asarray(labels)]


def test_a_linear_network_rests_where_equations_say_and_weights_follow_the_control():
    """Meulemans et al. 2021, the controlled rest of a linear network: u = (JQ + alpha I)^-1 (target - scores)."""
    rule = learning_rules.build("feedback_control", linear_network(), target_step=0.7, leak=0.3, **AT_REST)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        kernels, biases = matrices(state.params["network"])
        # Weights of the controller for which it is stable: what noise would teach it, and something on top.
        j = jacobians(kernels)
        rest = np.linalg.inv(sum(each @ each.T for each in j) + 0.5 * np.eye(4))
        other = np.random.default_rng(0)
        feedback = [rest @ each + 0.02 * other.normal(size=each.shape) for each in j]
        state = RuleState({**state.params, "feedback": tuple(map(jnp.asarray, feedback))}, ())
        updates, _, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, Batch(images, labels, jnp.asarray(COUNTS)))
    x = np.asarray(images).reshape(6, -1)
    free = ((x @ kernels[0] + biases[0]) @ kernels[1] + biases[1]) @ kernels[2] + biases[2]
    to_go = -0.7 * softmax_error(free, labels)
    loop = sum(each @ q.T for each, q in zip(j, feedback, strict=True)) + 0.3 * np.eye(4)
    u = np.linalg.solve(loop, to_go.T).T
    below = x
    for own, kernel, bias, q in zip(updates["network"], kernels, biases, feedback, strict=True):
        moved = (COUNTS / COUNTS.sum())[:, None] * (u @ q) / 0.7
        np.testing.assert_allclose(own["kernel"], -below.T @ moved, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(own["bias"], -moved.sum(0), rtol=1e-6, atol=1e-9)
        below = below @ kernel + bias + u @ q
    assert float(info["control_left"]) < 1e-6


def test_with_the_least_control_the_states_move_by_the_pseudoinverse():
    """Gauss-Newton's targets: with Q = J^T (J J^T)^-1 and no leak the changes of all pre-activations are the smallest that do."""
    rule = learning_rules.build("feedback_control", linear_network(), target_step=0.7, leak=0.0, **AT_REST)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        images, labels = batch_of(2, n=1, dtype=jnp.float64)
        kernels, biases = matrices(state.params["network"])
        j = np.concatenate(jacobians(kernels), axis=1)
        q = np.linalg.solve(j @ j.T, j)
        feedback = tuple(map(jnp.asarray, np.split(q, np.cumsum([each.shape[1] for each in kernels])[:-1], axis=1)))
        given = RuleState({**state.params, "feedback": feedback}, ())
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), given, (images, labels))[0]["network"]
    x = np.asarray(images).reshape(1, -1)
    free = ((x @ kernels[0] + biases[0]) @ kernels[1] + biases[1]) @ kernels[2] + biases[2]
    smallest = np.linalg.pinv(j) @ -softmax_error(free, labels)[0]
    np.testing.assert_allclose(-np.concatenate([own["bias"] for own in updates]), smallest, rtol=1e-6, atol=1e-9)


def test_noise_teaches_the_controller_the_damped_inverse_of_the_network():
    """The mean of what its weights are asked for, at their published rest, is nothing; elsewhere it points there."""
    rule = learning_rules.build("feedback_control", linear_network(), feedback_damping=0.4)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        batch = batch_of(2, n=64, dtype=jnp.float64)
        j = jacobians(matrices(state.params["network"])[0])
        rest = np.linalg.inv(sum(each @ each.T for each in j) + 0.4 * np.eye(4))
        published = tuple(jnp.asarray(rest @ each) for each in j)

        @jax.jit
        def mean_updates(feedback):
            at = RuleState({**state.params, "feedback": feedback}, ())
            keys = jax.random.split(jax.random.key(3), 200)
            every = jax.lax.map(lambda key: rule.assign_credit(key, at, batch)[0]["feedback"], keys)
            return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), every)

        there, at_start = mean_updates(published), mean_updates(state.params["feedback"])
    for at_rest, away, q, begun in zip(there, at_start, published, state.params["feedback"], strict=True):
        way = np.asarray(begun - q)
        assert np.linalg.norm(at_rest) < 0.1 * np.linalg.norm(away)  # 12,800 draws of noise
        assert np.sum(np.asarray(away) * way) > 0.5 * np.linalg.norm(away) * np.linalg.norm(way)


def test_a_target_depends_on_how_far_the_scores_are_to_go():
    """Feedback alignment with whatever weights asks for the same per unit of the step; a state of a network that bends does not."""
    network = network_of("mlp", activation="tanh")
    asked = []
    for step in (1e-4, 2e-4, 8.0):
        rule = learning_rules.build("feedback_control", network, target_step=step)
        with jax.enable_x64(True):
            state = double(rule.init(jax.random.key(0)))
            updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2, n=16, dtype=jnp.float64))[0]
        asked.append(np.asarray(updates["network"][0]["kernel"]).ravel())
    small, double_step, large = (each / np.linalg.norm(each) for each in asked)
    assert small @ double_step > 1 - 1e-5
    assert small @ large < 0.99


def test_one_step_of_the_controller_is_direct_feedback_alignment():
    """It then tells the error itself, and nothing has come back through the network."""
    network = architectures.build("mlp", input_shape=(2, 2, 1), n_classes=3, hidden=(5,), activation="identity")
    rule = learning_rules.build("feedback_control", network, control_steps=1, control_rate=1.0, target_step=0.5)
    state = rule.init(jax.random.key(0))
    images, labels = jax.random.normal(jax.random.key(1), (7, 2, 2, 1)), jnp.arange(7) % 3
    updates = jax.jit(rule.assign_credit)(jax.random.key(2), state, (images, labels))[0]["network"]
    x, (kernels, biases) = np.asarray(images).reshape(7, -1), matrices(state.params["network"])
    error = softmax_error((x @ kernels[0] + biases[0]) @ kernels[1] + biases[1], labels)
    told = error @ np.asarray(state.params["feedback"][0]) / 7
    np.testing.assert_allclose(updates[0]["kernel"], x.T @ told, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"control_rate": 1.5}, "control_rate=1.5"),
        ({"control_steps": 0}, "control_steps=0"),
        ({"target_step": 0.0}, "target_step=0.0"),
        ({"leak": -0.1}, "leak=-0.1"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("feedback_control", network_of("mlp"), **options)


def test_networks_without_a_state_a_unit_are_refused():
    assert "pooling" in learning_rules.support("feedback_control", network_of("cnn", pooling="mean", strides=1)).reason
    assert "runs in time" in learning_rules.support("feedback_control", network_of("elman")).reason
