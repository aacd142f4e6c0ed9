"""The identities that prove each variant of target propagation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_task import NETWORKS, batch_of, double, network_of

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.feedback_alignment import feedback_angles

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))
LOCAL = "target_propagation/local_difference_reconstruction"


def state_of(rule, seed=0):
    return double(jax.jit(rule.init)(jax.random.key(seed)))


def ask(rule, state, seed=1):
    return jax.jit(rule.assign_credit)(jax.random.key(seed), state, batch_of(2, n=8, dtype=jnp.float64))[0]


def gradient(network, params, loss="cross_entropy"):
    rule = learning_rules.build("backprop", network, loss=loss)
    return ask(rule, RuleState({"network": params}, ()))["network"]


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def recurrent_network():
    blocks = (
        architectures.dense_block("first", (8, 8, 1), 12, "tanh"),
        architectures.dense_block("loop", (12,), 12, "tanh"),
        architectures.dense_block("output", (12,), 4, "identity"),
    )
    return architectures.Network("recurrent", (8, 8, 1), 4, blocks, order=(0, 1, 1, 1, 2))


def with_forward_weights(params, inverses):
    """The inverses' weights set to the forward ones'."""
    return tuple(
        None if g is None else {**g, "weights": {"kernel": p["kernel"], "bias": None}}
        for p, g in zip(params, inverses, strict=True)
    )


@pytest.mark.parametrize("architecture", [*sorted(NETWORKS), "recurrent"])
def test_inverses_equal_to_the_forward_weights_give_the_gradient(architecture):
    """What the local difference reconstruction loss ends in; and inverses that have learned nothing do not give it."""
    network = recurrent_network() if architecture == "recurrent" else network_of(architecture)
    loss = "squared_error" if architecture == "cnn" else "cross_entropy"
    rule = learning_rules.build(LOCAL, network, loss=loss)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        there = {**state.params, "inverse": with_forward_weights(params, state.params["inverse"])}
        reference = gradient(network, params, loss)
        assert_same(ask(rule, RuleState(there, ()))["network"], reference, 1e-11)
        random = ask(rule, state)["network"]
        assert_same(random[-1], reference[-1], 1e-11)
        for a, b in zip(random[:-1], reference[:-1], strict=True):
            u, v = a["kernel"].ravel(), b["kernel"].ravel()
            assert abs(float(u @ v / jnp.linalg.norm(u) / jnp.linalg.norm(v))) < 0.8


def invertible_network(architecture):
    """Linear, and every block above the first has an inverse: a square one, or orthogonal channels below a wide readout."""
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
    for block, p in zip(network.blocks[1:], params[1:], strict=True):
        kernel = np.asarray(p["kernel"])
        pseudo = np.linalg.pinv(kernel.reshape(kernel.shape[-2], -1))
        offset = jnp.asarray(-np.asarray(p["bias"]) @ pseudo)
        weights = {"kernel": jnp.asarray(pseudo.T).reshape(kernel.shape), "bias": None}
        inverses.append(
            {"weights": weights, "offset": jnp.broadcast_to(offset.reshape(-1, block.input_shape[-1])[0], block.input_shape)}
            if kernel.ndim == 4
            else {"weights": weights, "offset": offset.reshape(block.input_shape)}
        )
    return tuple(params), tuple(inverses)


@both_networks
def test_exact_inverses_give_gauss_newton_targets(architecture):
    """Each hidden state is asked to move by the pseudo-inverse of its Jacobian to the scores, times the scores' error."""
    network = invertible_network(architecture)
    rule = learning_rules.build("target_propagation/difference", network, loss="squared_error")
    with jax.enable_x64(True):
        params, inverses = exact(network, state_of(rule).params["network"])
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        asked = ask(rule, RuleState({"network": params, "inverse": inverses}, ()))["network"]
        activations = network.forward(params, images)
        error = activations[-1] - jax.nn.one_hot(labels, network.n_classes)
        x = images
        for position, (block, p, h) in enumerate(zip(network.chain[:-1], params, activations, strict=False)):

            def scores_from(h, position=position):
                for block, p in zip(network.chain[position + 1 :], params[position + 1 :], strict=True):
                    h = block.apply(p, h)
                return h

            jacobian = jax.jacobian(lambda h: scores_from(h)[0])(h[:1]).reshape(network.n_classes, -1)
            move = (error @ jnp.linalg.pinv(jacobian).T).reshape(h.shape)
            expected = jax.grad(lambda p, x=x, block=block, move=move: jnp.sum(block.synapse(p, x) * move) / 8)(p)
            assert_same(asked[position], expected, 1e-9)
            x = h
        assert_same(asked[-1], gradient(network, params, "squared_error")[-1], 1e-11)


def test_the_difference_correction_vanishes_at_exact_inverses_and_nowhere_else():
    network = invertible_network("mlp")
    plain, difference = (
        learning_rules.build("target_propagation", network, variant=variant, target_step=0.1) for variant in ("plain", "difference")
    )
    with jax.enable_x64(True):
        state = state_of(plain)
        params, inverses = exact(network, state.params["network"])
        there = RuleState({"network": params, "inverse": inverses}, ())
        assert_same(ask(plain, there)["network"], ask(difference, there)["network"], 1e-9)
        moved = jax.tree.map(lambda a, b: a - b, ask(plain, state)["network"][:-1], ask(difference, state)["network"][:-1])
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
            asked, _, info = rule.assign_credit(key_rule, RuleState({**state.params, "inverse": inverses}, ()), batch)
            updates, opt_state = transform.update(asked["inverse"], opt_state)
            return (optax.apply_updates(inverses, updates), opt_state), jnp.stack(info["feedback_loss"])

        keys = jax.random.split(jax.random.key(3), n_steps)
        (inverses, _), losses = jax.lax.scan(step, (inverses, transform.init(inverses)), keys)
        return inverses, losses

    return run(state.params["inverse"])


@both_networks
def test_local_difference_reconstruction_turns_inverses_into_the_transpose(architecture):
    """Noise alone makes the inverse's Jacobian the block's, transposed: no label, no forward weight is read."""
    rule = learning_rules.build(LOCAL, network_of(architecture), noise=0.05)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        inverses, _ = learn_inverses(rule, state, n_steps=400, rate=0.02)

        def angles(inverses):
            kernels = tuple(None if g is None else {"bias": jnp.zeros(1), "kernel": g["weights"]["kernel"]} for g in inverses)
            return feedback_angles(tuple({"bias": jnp.zeros(1), "kernel": p["kernel"]} for p in params), kernels)

        assert min(angles(state.params["inverse"])) > 60
        assert max(angles(inverses)) < 15
        for p, g in zip(params[1:], inverses[1:], strict=True):  # not the direction alone
            ratio = float(jnp.linalg.norm(g["weights"]["kernel"]) / jnp.linalg.norm(p["kernel"]))
            assert 0.8 < ratio < 1.2


def test_reconstruction_learns_the_inverse():
    """In an invertible linear network it gives back what went in, offset and all."""
    network = invertible_network("mlp")
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
            np.testing.assert_allclose(p["bias"] @ g["weights"]["kernel"].T + g["offset"], np.zeros(4), atol=0.05)


@both_networks
@pytest.mark.parametrize("variant", ["local_difference_reconstruction", "difference"])
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_step": 0.0}, "target_step=0.0 was given"),
        ({"noise": -1.0}, "noise=-1.0 was given"),
        ({"feedback_draws": 0}, "at least one draw"),
        ({"feedback_examples": 0}, "feedback_examples=0 was given"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"variant": "diference"}, "did you mean 'difference'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("target_propagation", network_of("mlp"), **options)
