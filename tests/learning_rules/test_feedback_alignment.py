"""The identities that prove each variant of feedback alignment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of, train

import architectures
import learning_rules
from learning_rules import RuleState
from learning_rules.feedback_alignment import feedback_angles

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))


def state_of(rule, seed=0):
    return double(jax.jit(rule.init)(jax.random.key(seed)))


def ask(rule, state):
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2, dtype=jnp.float64))[0]["network"]


def gradient(network, params, loss="cross_entropy"):
    rule = learning_rules.build("backprop", network, loss=loss)
    return ask(rule, RuleState({"network": params}, ()))


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


@both_networks
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_backprop_equals_the_gradient_of_the_loss(architecture, loss):
    network = network_of(architecture)
    with jax.enable_x64(True):
        params = double(jax.jit(network.init)(jax.random.key(0)))
        images, labels = batch_of(2, dtype=jnp.float64)

        def objective(params):
            scores = network.forward(params, images)[-1]
            target = jax.nn.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
            if loss == "squared_error":
                return 0.5 * jnp.sum((scores - target) ** 2) / len(labels)
            return -jnp.sum(jax.nn.log_softmax(scores) * target) / len(labels)

        assert_same(gradient(network, params, loss), jax.jit(jax.grad(objective))(params), 1e-12)


@both_networks
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_feedback_equal_to_the_forward_weights_gives_the_gradient(architecture, loss):
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/random", network, loss=loss)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        feedback = tuple(p if b is not None else None for p, b in zip(params, state.carry["feedback"], strict=True))
        assert_same(ask(rule, RuleState(state.params, {"feedback": feedback})), gradient(network, params, loss), 1e-12)


@both_networks
def test_random_feedback_is_not_the_gradient_below_the_readout(architecture):
    """The identity above would also hold for a rule that ignored its feedback weights; this one would not."""
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/random", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        asked, reference = ask(rule, state), gradient(network, state.params["network"])
        assert_same(asked[-1], reference[-1], 1e-12)
        for a, b in zip(asked[:-1], reference[:-1], strict=True):
            u, v = a["kernel"].ravel(), b["kernel"].ravel()
            assert abs(float(u @ v / jnp.linalg.norm(u) / jnp.linalg.norm(v))) < 0.8


@both_networks
def test_random_feedback_never_reads_the_forward_weights_above(architecture):
    """Change the top block's weights so that no forward signal and no error moves: what is asked below stays the same."""
    network = network_of(architecture)
    with jax.enable_x64(True):
        for name, moves in [("feedback_alignment/random", False), ("feedback_alignment/direct", False), ("backprop", True)]:
            rule = learning_rules.build(name, network)
            state = state_of(rule)
            images, labels = batch_of(2, n=6, dtype=jnp.float64)
            h = network.forward(state.params["network"], images)[-2]
            _, _, rows = np.linalg.svd(np.asarray(h), full_matrices=True)
            silent = jnp.asarray(rows[-1])[:, None] * jnp.arange(1.0, network.n_classes + 1)
            top = state.params["network"][-1]
            changed = (*state.params["network"][:-1], {**top, "kernel": top["kernel"] + silent})
            ask_once = jax.jit(rule.assign_credit)
            before = ask_once(jax.random.key(0), state, (images, labels))[0]["network"]
            after = ask_once(jax.random.key(0), RuleState({**state.params, "network": changed}, state.carry), (images, labels))[0][
                "network"
            ]
            largest = max(float(jnp.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True))
            assert (largest > 1e-3) if moves else (largest < 1e-12), name


@both_networks
def test_sign_feedback_gives_the_gradient_where_weights_are_signs(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/sign", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        magnitudes = state.carry["magnitude"]
        params = tuple(
            p if m is None else {"kernel": jnp.sign(p["kernel"]) * m["kernel"], "bias": p["bias"]}
            for p, m in zip(state.params["network"], magnitudes, strict=True)
        )
        assert_same(ask(rule, RuleState({"network": params}, state.carry)), gradient(network, params), 1e-12)


@both_networks
def test_uniform_magnitude_is_the_initial_standard_deviation_and_fixed_is_random(architecture):
    network = network_of(architecture)
    uniform = learning_rules.build("feedback_alignment/sign", network).init(jax.random.key(0))
    for p, m in zip(uniform.params["network"][1:], uniform.carry["magnitude"][1:], strict=True):
        np.testing.assert_allclose(m["kernel"], np.std(p["kernel"]), rtol=1e-5)
    fixed = learning_rules.build("feedback_alignment/sign", network, magnitude="fixed").init(jax.random.key(0))
    assert fixed.carry["magnitude"][-1]["kernel"].shape == fixed.params["network"][-1]["kernel"].shape
    assert float(fixed.carry["magnitude"][-1]["kernel"].min()) >= 0


def test_direct_feedback_equals_feedback_alignment_with_composed_matrices():
    """In a linear network the direct path is the product of the matrices that the error would have passed."""
    network = network_of("mlp", activation="identity")
    step_by_step = learning_rules.build("feedback_alignment/random", network)
    direct = learning_rules.build("feedback_alignment/direct", network)
    with jax.enable_x64(True):
        state = state_of(step_by_step)
        _, middle, top = (b["kernel"] if b is not None else None for b in state.carry["feedback"])
        composed = {"feedback": (top.T @ middle.T, top.T)}
        assert_same(ask(direct, RuleState(state.params, composed)), ask(step_by_step, state), 1e-12)


@both_networks
def test_kolen_pollack_feedback_meets_the_forward_weights(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/kolen_pollack", network, learning_rate=0.02, weight_decay=0.5)
    before = rule.init(jax.random.key(0))
    after, _ = train(rule, before, n_steps=600)
    assert min(feedback_angles(before.params["network"], before.params["feedback"])) > 70
    assert max(feedback_angles(after.params["network"], after.params["feedback"])) < 10


@both_networks
def test_kolen_pollack_changes_both_paths_alike(architecture):
    rule = learning_rules.build("feedback_alignment/kolen_pollack", network_of(architecture))
    with jax.enable_x64(True):
        asked = jax.jit(rule.assign_credit)(jax.random.key(1), state_of(rule), batch_of(2, dtype=jnp.float64))[0]
        for forward, feedback in zip(asked["network"][1:], asked["feedback"][1:], strict=True):
            assert_same(feedback, forward, 1e-12)


@both_networks
def test_weight_mirror_feedback_meets_the_forward_weights_without_a_label(architecture):
    """With the forward weights held still, noise alone turns the feedback weights towards them."""
    rule = learning_rules.build("feedback_alignment/weight_mirror", network_of(architecture))
    state = rule.init(jax.random.key(0))
    images, labels = batch_of(0)
    batch = (jnp.zeros_like(images), labels)

    @jax.jit
    def settle(feedback):
        def step(feedback, key):
            asked, _, _ = rule.assign_credit(key, RuleState({**state.params, "feedback": feedback}, state.carry), batch)
            return jax.tree.map(lambda b, g: b - 0.02 * g, feedback, asked["feedback"]), None

        return jax.lax.scan(step, feedback, jax.random.split(jax.random.key(1), 500))[0]

    forward = state.params["network"]
    assert min(feedback_angles(forward, state.params["feedback"])) > 70
    assert max(feedback_angles(forward, settle(state.params["feedback"]))) < 10


def test_feedback_reaches_every_position_of_an_unrolled_chain():
    """A block that stands twice in the chain gets the sum of what both positions ask for: backpropagation through time."""
    blocks = (
        architectures.dense_block("first", (8, 8, 1), 12, "tanh"),
        architectures.dense_block("loop", (12,), 12, "tanh"),
        architectures.dense_block("output", (12,), 4, "identity"),
    )
    network = architectures.Network("recurrent", (8, 8, 1), 4, blocks, order=(0, 1, 1, 1, 2))
    rule = learning_rules.build("feedback_alignment/random", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        feedback = (None, *state.params["network"][1:])
        assert_same(ask(rule, RuleState(state.params, {"feedback": feedback})), gradient(network, state.params["network"]), 1e-12)
