"""The identities that prove each variant of feedback alignment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of, train

import architectures
import learning_rules
from architectures import WEIGHT
from architectures.roles import role_leaves
from learning_rules import RuleState
from learning_rules.feedback_weights import feedback_angles

both_networks = pytest.mark.parametrize("architecture", ["mlp", "cnn"])
every_network = pytest.mark.parametrize("architecture", sorted(NETWORKS))


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


@pytest.mark.on_all_networks
@pytest.mark.parametrize(
    ("architecture", "loss"), [*((name, "cross_entropy") for name in sorted(NETWORKS)), ("mlp", "squared_error")]
)
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
        updates, reference = ask(rule, state), gradient(network, state.params["network"])
        assert_same(updates[-1], reference[-1], 1e-12)
        for a, b in zip(updates[:-1], reference[:-1], strict=True):
            u, v = a["kernel"].ravel(), b["kernel"].ravel()
            assert abs(float(u @ v / jnp.linalg.norm(u) / jnp.linalg.norm(v))) < 0.8


@both_networks
def test_random_feedback_never_reads_the_forward_weights_above(architecture):
    """Change the top block's weights so that no forward signal and no error moves: what is updates below stays the same."""
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


@pytest.mark.on_all_networks
@every_network
def test_sign_feedback_gives_the_gradient_where_weights_are_signs(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/sign", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        magnitudes = state.carry["magnitude"]
        # Biases carry no error, and stay as they are.
        params = tuple(
            p
            if m is None
            else jax.tree.map(lambda role, w, size: jnp.sign(w) * size if role.kind == WEIGHT else w, node.roles, p, m)
            for node, p, m in zip(network.nodes, state.params["network"], magnitudes, strict=True)
        )
        assert_same(ask(rule, RuleState({"network": params}, state.carry)), gradient(network, params), 1e-12)


@pytest.mark.on_all_networks
@every_network
def test_kolen_pollack_gives_the_gradient_where_both_paths_have_met(architecture):
    """At its fixed point, feedback and forward weights are one: what both are then asked for is the gradient."""
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/kolen_pollack", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        met = tuple(None if b is None else p for p, b in zip(params, state.params["feedback"], strict=True))
        updates = jax.jit(rule.assign_credit)(
            jax.random.key(1), RuleState({"network": params, "feedback": met}, {}), batch_of(2, dtype=jnp.float64)
        )[0]
        reference = gradient(network, params)
        assert_same(updates["network"], reference, 1e-12)
        for ours, theirs in zip(updates["feedback"], reference, strict=True):
            assert ours is None or assert_same(ours, theirs, 1e-12) is None


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
    assert min(feedback_angles(network, before.params["network"], before.params["feedback"])) > 70
    assert max(feedback_angles(network, after.params["network"], after.params["feedback"])) < 10


@both_networks
def test_kolen_pollack_changes_both_paths_alike(architecture):
    rule = learning_rules.build("feedback_alignment/kolen_pollack", network_of(architecture))
    with jax.enable_x64(True):
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state_of(rule), batch_of(2, dtype=jnp.float64))[0]
        for forward, feedback in zip(updates["network"][1:], updates["feedback"][1:], strict=True):
            assert_same(feedback, forward, 1e-12)


@pytest.mark.parametrize("architecture", ["attention", "cnn", "elman", "mlp", "residual", "spiking"])
def test_weight_mirror_feedback_meets_the_forward_weights_without_a_label(architecture):
    """With the forward weights held still, noise alone turns the feedback weights towards them: W, whatever skips stand beside."""
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/weight_mirror", network)
    state = rule.init(jax.random.key(0))
    images, labels = batch_of(0)
    batch = (jnp.zeros_like(images), labels)

    @jax.jit
    def settle(feedback):
        def step(feedback, key):
            updates, _, _ = rule.assign_credit(key, RuleState({**state.params, "feedback": feedback}, state.carry), batch)
            return jax.tree.map(lambda b, g: b - 0.02 * g, feedback, updates["feedback"]), None

        return jax.lax.scan(step, feedback, jax.random.split(jax.random.key(1), 500))[0]

    forward, settled = state.params["network"], settle(state.params["feedback"])
    assert min(feedback_angles(network, forward, state.params["feedback"])) > 60
    assert max(feedback_angles(network, forward, settled)) < 10
    for node, w, b in zip(network.nodes, forward, settled, strict=True):
        for role, one, other in zip(role_leaves(node.roles), jax.tree.leaves(w), jax.tree.leaves(b), strict=b is not None):
            if role.kind == WEIGHT:  # the size too, up to the noise of 500 estimates; W + I is far off
                assert float(jnp.linalg.norm(other - one)) < 0.3 * float(jnp.linalg.norm(one))


def test_a_sequence_of_one_step_equals_the_static_network_to_the_bit():
    """Recurrent weights that are given nothing change nothing: the same updates, in time and without."""
    static = architectures.build("mlp", input_shape=(5,), n_classes=4, hidden=(7,), activation="tanh")
    temporal = architectures.build("recurrent", input_shape=(5,), n_classes=4, hidden=(7,), reading="sequence")
    params = jax.jit(static.init)(jax.random.key(0))
    in_time = jax.jit(temporal.init)(jax.random.key(1))
    in_time = ({**in_time[0], **params[0]}, params[1])
    x, labels = jax.random.normal(jax.random.key(2), (6, 5)), jnp.arange(6) % 4
    rules = [learning_rules.build("feedback_alignment/random", network) for network in (static, temporal)]
    feedback = {"feedback": (None, jax.jit(static.init)(jax.random.key(3))[1])}
    once = jax.jit(rules[0].assign_credit)(jax.random.key(4), RuleState({"network": params}, feedback), (x, labels))[0]["network"]
    feedback = {"feedback": ({**in_time[0]}, feedback["feedback"][1])}
    one_step = jax.jit(rules[1].assign_credit)(jax.random.key(4), RuleState({"network": in_time}, feedback), (x[None], labels))[0]
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(once[0][name], one_step["network"][0][name])
        np.testing.assert_array_equal(once[1][name], one_step["network"][1][name])
