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
from learning_rules.objectives import Batch

both_networks = pytest.mark.parametrize("architecture", ["mlp", "cnn"])
every_network = pytest.mark.parametrize("architecture", sorted(NETWORKS))


def state_of(rule, seed=0):
    return double(rule.init(jax.random.key(seed)))


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
        params = double(network.init(jax.random.key(0)))
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
@pytest.mark.costly(cases=3)
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


def written_out(params, images, errors):
    """What a dense network of tanh units is asked for, in NumPy: each node's error at its output, last the scores', given."""
    h, asked = np.asarray(images).reshape(len(images), -1), []
    for own, error in zip(params, errors, strict=True):
        z = h @ np.asarray(own["kernel"]) + np.asarray(own["bias"])
        delta = error if own is params[-1] else error * (1 - np.tanh(z) ** 2)
        asked.append({"kernel": h.T @ delta, "bias": delta.sum(0)})
        h = np.tanh(z)
    return tuple(asked)


def outputs_written_out(params, images):
    """Outputs of hidden nodes, and the class probabilities."""
    h, hidden = np.asarray(images).reshape(len(images), -1), []
    for own in params[:-1]:
        h = np.tanh(h @ np.asarray(own["kernel"]) + np.asarray(own["bias"]))
        hidden.append(h)
    scores = h @ np.asarray(params[-1]["kernel"]) + np.asarray(params[-1]["bias"])
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return hidden, odds / odds.sum(1, keepdims=True)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("variant", ["direct", "direct_kolen_pollack", "direct_random_target"])
def test_direct_feedback_equals_the_published_equations_written_out(variant, masked):
    """Nøkland 2016; Frenkel et al. 2021: the target in the place of the error; Webster et al. 2021: both multiplied."""
    network = network_of("mlp", activation="tanh")
    rule = learning_rules.build(f"feedback_alignment/{variant}", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        counts = np.array([1.0, 0, 1, 1, 0, 1]) if masked else np.ones(6)
        batch = Batch(images, labels, jnp.asarray(counts) if masked else None)
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]
        params = state.params["network"]
        hidden, probabilities = outputs_written_out(params, images)
        target, part = np.eye(4)[np.asarray(labels)], (counts / counts.sum())[:, None]
        error = part * (probabilities - target)
        feedback = (state.params if "feedback" in state.params else state.carry)["feedback"]
        told = part * target if variant == "direct_random_target" else error
        assert_same(updates["network"], written_out(params, images, [*(told @ np.asarray(b) for b in feedback), error]), 1e-10)
        if variant == "direct_kolen_pollack":
            assert_same(updates["feedback"], tuple(error.T @ h for h in hidden), 1e-10)


def test_direct_random_targets_need_no_answer():
    """Hidden nodes learn before the scores are there: nothing above a node moves what it is asked for."""
    rule = learning_rules.build("feedback_alignment/direct_random_target", network_of("residual"))
    with jax.enable_x64(True):
        state = state_of(rule)
        for index in range(1, len(rule.network.nodes)):
            params = list(state.params["network"])
            params[index] = jax.tree.map(lambda leaf: -2 * leaf + 0.1, params[index])
            ours, others = ask(rule, state), ask(rule, RuleState({"network": tuple(params)}, state.carry))
            assert_same(ours[:index], others[:index], 0.0)
    assert "learns from classes" in learning_rules.support(rule.spec.name, network_of("mlp"), "regression").reason


@pytest.mark.parametrize("architecture", ["mlp", "elman"])
def test_direct_kolen_pollack_meets_the_readout_and_then_gives_the_last_node_its_gradient(architecture):
    network = network_of(architecture)
    rule = learning_rules.build("feedback_alignment/direct_kolen_pollack", network, learning_rate=0.02, weight_decay=0.5)
    before = rule.init(jax.random.key(0))
    after, _ = train(rule, before, n_steps=600)

    def angle(state):
        forward = state.params["network"][-1]["kernel"].ravel()
        feedback = state.params["feedback"][-1].T.ravel()
        return float(jnp.degrees(jnp.arccos(forward @ feedback / jnp.linalg.norm(forward) / jnp.linalg.norm(feedback))))

    assert angle(before) > 60 and angle(after) < 10
    if architecture == "mlp":
        with jax.enable_x64(True):
            state = double(after)
            feedback = (*state.params["feedback"][:-1], state.params["network"][-1]["kernel"].T)
            met = RuleState({**state.params, "feedback": feedback}, state.carry)
            assert_same(ask(rule, met)[-2:], gradient(network, state.params["network"])[-2:], 1e-12)


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
    # What is left is the noise of the last estimates, and falls with the root of their number: small recurrent weights want more.
    rate, n_steps = (0.005, 2000) if architecture == "spiking" else (0.02, 500)

    @jax.jit
    def settle(feedback):
        def step(feedback, key):
            updates, _, _ = rule.assign_credit(key, RuleState({**state.params, "feedback": feedback}, state.carry), batch)
            return jax.tree.map(lambda b, g: b - rate * g, feedback, updates["feedback"]), None

        return jax.lax.scan(step, feedback, jax.random.split(jax.random.key(1), n_steps))[0]

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
    params = static.init(jax.random.key(0))
    in_time = temporal.init(jax.random.key(1))
    in_time = ({**in_time[0], **params[0]}, params[1])
    x, labels = jax.random.normal(jax.random.key(2), (6, 5)), jnp.arange(6) % 4
    rules = [learning_rules.build("feedback_alignment/random", network) for network in (static, temporal)]
    feedback = {"feedback": (None, static.init(jax.random.key(3))[1])}
    once = jax.jit(rules[0].assign_credit)(jax.random.key(4), RuleState({"network": params}, feedback), (x, labels))[0]["network"]
    feedback = {"feedback": ({**in_time[0]}, feedback["feedback"][1])}
    one_step = jax.jit(rules[1].assign_credit)(jax.random.key(4), RuleState({"network": in_time}, feedback), (x[None], labels))[0]
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(once[0][name], one_step["network"][0][name])
        np.testing.assert_array_equal(once[1][name], one_step["network"][1][name])


def test_the_angle_of_feedback_is_of_what_carries_an_error():
    """What meets the input carries none: a recurrent node whose own connections are aligned is so, whatever that part is."""
    network = network_of("elman")
    params, other = network.init(jax.random.key(0)), network.init(jax.random.key(1))
    (_, meets_input), (_, own) = sorted((role.edge, name) for name, role in network.nodes[0].roles.items() if role.kind == "weight")
    recurrent = {**params[0], meets_input: other[0][meets_input], own: params[0][own]}
    angles = feedback_angles(network, params, (recurrent, None, None))
    np.testing.assert_allclose(angles, 0, atol=0.1)
