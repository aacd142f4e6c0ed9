"""The identities that prove each variant of target propagation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import TEMPORAL
from small_task import NETWORKS, batch_of, double, network_of

import learning_rules
from learning_rules import Batch, InputError, RuleState
from learning_rules.feedback_weights import completed, feedback_angles, without_bias

both_networks = pytest.mark.parametrize("architecture", ["cnn", "mlp"])
LOCAL = "target_propagation/local_difference_reconstruction"


def state_of(rule, seed=0):
    return double(rule.init(jax.random.key(seed)))


def updates_of(rule, state, batch=None):
    batch = batch_of(2, n=8, dtype=jnp.float64) if batch is None else batch
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]


def gradient(network, params, loss="cross_entropy"):
    """Written out, with nothing of the rules in it."""
    images, labels = batch_of(2, n=8, dtype=jnp.float64)
    target = jax.nn.one_hot(labels, network.n_classes, dtype=jnp.float64)

    def mean_loss(params):
        scores = network.scores(network.forward(params, images)[-1])
        if loss == "squared_error":
            return 0.5 * jnp.sum((scores - target) ** 2) / 8
        return -jnp.sum(jax.nn.log_softmax(scores) * target) / 8

    return jax.jit(jax.grad(mean_loss))(params)


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def cosine(a, b):
    u, v = (jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in (a, b))
    return float(u @ v / jnp.linalg.norm(u) / jnp.linalg.norm(v))


def with_forward_weights(network, params, inverses):
    """The inverses' weights set to the forward ones'."""
    return tuple(
        None if g is None else {**g, "weights": without_bias(node, p)}
        for node, p, g in zip(network.nodes, params, inverses, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "variant"),
    [(name, "local_difference_reconstruction") for name in sorted(NETWORKS)] + [("cnn", "difference"), ("elman", "difference")],
)
@pytest.mark.costly
def test_inverses_equal_to_the_forward_weights_give_the_gradient(name, variant):
    """What the local difference reconstruction loss ends in; and inverses that have learned nothing do not give it."""
    network = network_of(name)
    loss = "squared_error" if name in ("cnn", "elman") else "cross_entropy"
    rule = learning_rules.build("target_propagation", network, variant=variant, loss=loss)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        there = {**state.params, "inverse": with_forward_weights(network, params, state.params["inverse"])}
        reference = gradient(network, params, loss)
        assert_same(updates_of(rule, RuleState(there, ()))["network"], reference, 1e-11)
        random = updates_of(rule, state)["network"]
        assert_same(random[-1], reference[-1], 1e-11)
        assert all(abs(cosine(a, b)) < 0.95 for a, b in zip(random[:-1], reference[:-1], strict=True) if jax.tree.leaves(a))


@pytest.mark.parametrize("name", ["mlp", "residual", "elman"])
def test_masked_examples_teach_forward_weights_nothing(name):
    variants = ["difference", "plain"] if name == "mlp" else ["difference"]
    for variant in variants:
        rule = learning_rules.build("target_propagation", network_of(name), variant=variant)
        with jax.enable_x64(True):
            images, labels = batch_of(2, n=8, dtype=jnp.float64)
            state = state_of(rule)
            masked = updates_of(rule, state, Batch(images, labels, jnp.arange(8) < 5.0))["network"]
            assert_same(masked, updates_of(rule, state, (images[:5], labels[:5]))["network"], 1e-10)


def test_masked_examples_teach_inverses_that_settle_nothing():
    """Else they would reach the forward weights, which go by inverses that have settled on the batch."""
    rule = learning_rules.build("target_propagation/textbook_local_difference_reconstruction", network_of("cnn"))
    with jax.enable_x64(True):
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        state, counts = state_of(rule), jnp.arange(8) < 5.0
        updates = updates_of(rule, state, Batch(images, labels, counts))
        assert_same(updates_of(rule, state, Batch(images.at[5:].set(7.0), labels, counts)), updates, 1e-12)


def invertible_network(architecture):
    """Linear, and every node above the first has an inverse: a square one, or orthogonal channels below a wide readout."""
    if architecture == "mlp":
        return network_of("mlp", hidden=(4, 4), activation="identity")
    return network_of("cnn", channels=(3, 3), kernel_size=1, strides=1, hidden=(), activation="identity")


def exact(network, params):
    """Parameters and exact (for the readout of the wide network: pseudo-) inverses."""
    params = list(params)
    if params[1]["kernel"].ndim == 4:
        rotation, _ = np.linalg.qr(np.asarray(params[1]["kernel"])[0, 0])
        params[1] = {**params[1], "kernel": jnp.asarray(rotation)[None, None]}
    params = [{"kernel": p["kernel"], "bias": 0.1 + p["bias"]} for p in params]
    inverses: list = [None]
    for node, p in zip(network.nodes[1:], params[1:], strict=True):
        kernel = np.asarray(p["kernel"])
        pseudo = np.linalg.pinv(kernel.reshape(kernel.shape[-2], -1))
        offset = jnp.asarray(-np.asarray(p["bias"]) @ pseudo)
        weights = {"kernel": jnp.asarray(pseudo.T).reshape(kernel.shape), "bias": None}
        below = node.input_shapes[0]
        offset = jnp.broadcast_to(offset.reshape(-1, below[-1])[0], below) if kernel.ndim == 4 else offset.reshape(below)
        inverses.append({"weights": weights, "offset": (offset,)})
    return tuple(params), tuple(inverses)


@both_networks
def test_exact_inverses_give_gauss_newton_targets(architecture):
    """Each hidden state is updates to move by the pseudo-inverse of its Jacobian to the scores, times the scores' error."""
    network = invertible_network(architecture)
    rule = learning_rules.build("target_propagation/difference", network, loss="squared_error")
    with jax.enable_x64(True):
        params, inverses = exact(network, state_of(rule).params["network"])
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        updates = updates_of(rule, RuleState({"network": params, "inverse": inverses}, ()))["network"]
        trace = network.trace(params, images)
        error = trace.outputs[-1] - jax.nn.one_hot(labels, network.n_classes)
        for index, (node, own, inputs, h) in enumerate(zip(network.nodes[:-1], params, trace.inputs, trace.outputs, strict=False)):

            def scores_from(h, index=index):
                for node, own in zip(network.nodes[index + 1 :], params[index + 1 :], strict=True):
                    h = node.run(own, (), (h,))[1]
                return h

            jacobian = jax.jacobian(lambda h: scores_from(h)[0])(h[:1]).reshape(network.n_classes, -1)
            move = (error @ jnp.linalg.pinv(jacobian).T).reshape(h.shape)
            expected = jax.grad(lambda p, x=inputs, node=node, move=move: jnp.sum(node.synapse(p, x) * move) / 8)(own)
            assert_same(updates[index], expected, 1e-9)
        assert_same(updates[-1], gradient(network, params, "squared_error")[-1], 1e-11)


def test_the_difference_correction_vanishes_at_exact_inverses_and_nowhere_else():
    network = invertible_network("mlp")
    plain, difference = (
        learning_rules.build("target_propagation", network, variant=variant, target_step=0.1) for variant in ("plain", "difference")
    )
    with jax.enable_x64(True):
        state = state_of(plain)
        params, inverses = exact(network, state.params["network"])
        there = RuleState({"network": params, "inverse": inverses}, ())
        assert_same(updates_of(plain, there)["network"], updates_of(difference, there)["network"], 1e-9)
        both = (updates_of(rule, state)["network"][:-1] for rule in (plain, difference))
        moved = jax.tree.map(lambda a, b: a - b, *both)
        assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(moved)) > 0.01


def learn_inverses(rule, state, n_steps, rate, n=32):
    """With the forward weights held still; the mean of the last half of the steps."""
    transform = optax.adam(optax.cosine_decay_schedule(rate, n_steps))

    @jax.jit
    def run(inverses):
        def step(carry, key):
            inverses, opt_state = carry
            key_batch, key_rule = jax.random.split(key)
            batch = batch_of(key_batch, n=n, dtype=jnp.float64)
            updates, _, info = rule.assign_credit(key_rule, RuleState({**state.params, "inverse": inverses}, ()), batch)
            changes, opt_state = transform.update(updates["inverse"], opt_state)
            return (optax.apply_updates(inverses, changes), opt_state), jnp.stack(info["feedback_loss"])

        keys = jax.random.split(jax.random.key(3), n_steps)
        (inverses, _), losses = jax.lax.scan(step, (inverses, transform.init(inverses)), keys)
        return inverses, losses

    return run(state.params["inverse"])


@pytest.mark.parametrize("name", ["cnn", "mlp", "residual", "spiking"])
def test_local_difference_reconstruction_turns_inverses_into_the_transpose(name):
    """Noise alone makes the inverse's Jacobian the node's, transposed: no label, no forward weight is read.

    Where units spike the noise has to move some over their thresholds, and the slope of that is not the surrogate's: each unit's
    weights then differ by a factor.
    """
    # A rectifier that no image makes active has no gain, and nothing is learned of it: the residual network has one such.
    network = network_of(name, **({"activation": "tanh"} if name == "residual" else {}))
    rule = learning_rules.build(LOCAL, network, noise=0.3 if name == "spiking" else 0.05)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        # Keys and queries hardly move the softmax, and are learned about slowly.
        # So are recurrent weights of units that spike, which are a small part of what moves them.
        slow = name in ("attention", "spiking")
        inverses, _ = learn_inverses(rule, state, n_steps=1600 if slow else 400, rate=0.02)

        def angles(inverses):
            weights = tuple(None if g is None else completed(p, g["weights"]) for p, g in zip(params, inverses, strict=True))
            return feedback_angles(network, params, weights)

        assert min(angles(state.params["inverse"])) > 60
        assert max(angles(inverses)) < 15
        for p, g in zip(params, inverses, strict=True):  # not the direction alone
            if g is not None and name != "spiking":
                size, own = (jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))) for tree in (g["weights"], p))
                assert 0.8 < float(size / own) < 1.2


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.costly
def test_reconstruction_learns_the_inverse(residual):
    """In an invertible linear network it gives back what went in, offset and all; beside a skip, what went through the weights."""
    network = network_of("residual", hidden=(4, 4), activation="identity") if residual else invertible_network("mlp")
    rule = learning_rules.build("target_propagation/difference", network, noise=0.5)
    with jax.enable_x64(True):
        state = state_of(rule)
        biased = tuple(
            {"kernel": p["kernel"] + jnp.eye(*p["kernel"].shape), "bias": p["bias"] + 0.3} for p in state.params["network"]
        )
        state = RuleState({**state.params, "network": biased}, ())
        inverses, losses = learn_inverses(rule, state, n_steps=1500, rate=0.05)
        assert np.all(np.asarray(losses[-50:]).mean(0) < 1e-3 * np.asarray(losses[:5]).mean(0))
        for p, g in zip(biased[1:], inverses[1:], strict=True):
            np.testing.assert_allclose(p["kernel"] @ g["weights"]["kernel"].T, np.eye(4), atol=0.05)
            np.testing.assert_allclose(p["bias"] @ g["weights"]["kernel"].T + g["offset"][0], np.zeros(4), atol=0.05)


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [(name, "local_difference_reconstruction") for name in ("cnn", "mlp", "gated")] + [("mlp", "difference")],
)
def test_inverses_learn_from_noise_alone_and_forward_weights_from_targets_alone(architecture, variant):
    network = network_of(architecture)
    rule = learning_rules.build("target_propagation", network, variant=variant)
    state = rule.init(jax.random.key(0))
    images, labels = batch_of(2, n=8)
    once = jax.jit(rule.assign_credit)
    first, _, _ = once(jax.random.key(1), state, (images, labels))
    other_noise, _, _ = once(jax.random.key(2), state, (images, labels))
    other_labels, _, _ = once(jax.random.key(1), state, (images, (labels + 1) % 4))
    same = [(first["network"], other_noise["network"]), (first["inverse"], other_labels["inverse"])]
    for a, b in same:
        assert all(np.array_equal(p, q) for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    different = [(first["network"], other_labels["network"]), (first["inverse"], other_noise["inverse"])]
    for a, b in different:
        assert all(
            float(jnp.abs(p - q).max()) > 0 for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True) if p.ndim > 1
        )


@pytest.mark.parametrize("name", [*TEMPORAL, "residual"])
def test_plain_targets_need_a_chain_that_is_run_once(name):
    with pytest.raises(InputError, match="runs in time" if name in TEMPORAL else "goes down a chain"):
        learning_rules.build("target_propagation/plain", network_of(name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_step": 0.0}, "target_step=0.0 was given"),
        ({"noise": -1.0}, "noise=-1.0 was given"),
        ({"feedback_draws": 0}, "feedback_draws=0 was given, expected at least 1"),
        ({"feedback_examples": 0}, "feedback_examples=0 was given"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"variant": "diference"}, "did you mean 'difference'"),
        ({"momentum": 0.9}, "which plain steps alone have"),
        ({"variant": "plain", "feedback_steps": 3}, "whose inverses take one step"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("target_propagation", network_of("mlp"), **options)
