"""The identities that prove each variant of dendritic localized learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of, train

import architectures
import learning_rules
from learning_rules import InputError, RuleState

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))
both_variants = pytest.mark.parametrize("variant", ["aligned", "local_error"])


def build(network, variant, **options):
    return learning_rules.build("dendritic", network, variant=variant, **options)


def state_of(rule, seed=0):
    return double(jax.jit(rule.init)(jax.random.key(seed)))


def ask(rule, state):
    asked, _, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2, n=8, dtype=jnp.float64))
    return asked, info


def gradient(network, params, loss="cross_entropy"):
    return ask(learning_rules.build("backprop", network, loss=loss), RuleState({"network": params}, ()))[0]["network"]


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def cosine(a, b):
    return float(jnp.vdot(a, b) / jnp.linalg.norm(a) / jnp.linalg.norm(b))


def recurrent_network():
    blocks = (
        architectures.dense_block("first", (8, 8, 1), 12, "tanh"),
        architectures.dense_block("loop", (12,), 12, "tanh"),
        architectures.dense_block("output", (12,), 4, "identity"),
    )
    return architectures.Network("recurrent", (8, 8, 1), 4, blocks, order=(0, 1, 1, 1, 2))


def with_basal_weights(params, apical):
    """The apical weights set to the basal ones."""
    return tuple(None if t is None else {"kernel": p["kernel"], "bias": None} for p, t in zip(params, apical, strict=True))


@pytest.mark.parametrize("architecture", [*sorted(NETWORKS), "recurrent"])
def test_apical_weights_equal_to_the_basal_ones_give_the_gradient(architecture):
    """And apical weights that have learned nothing do not give it, below the readout."""
    network = recurrent_network() if architecture == "recurrent" else network_of(architecture)
    for variant, loss in (("aligned", "cross_entropy"), ("local_error", "squared_error")):
        rule = build(network, variant, loss=loss)
        with jax.enable_x64(True):
            state = state_of(rule)
            params = state.params["network"]
            there = RuleState({**state.params, "apical": with_basal_weights(params, state.params["apical"])}, ())
            reference = gradient(network, params, loss)
            assert_same(ask(rule, there)[0]["network"], reference, 1e-12)
            random = ask(rule, state)[0]["network"]
            assert_same(random[-1], reference[-1], 1e-12)
            for a, b in zip(random[:-1], reference[:-1], strict=True):
                assert abs(cosine(a["kernel"], b["kernel"])) < 0.8


def local_errors_by_hand(network, params, apical, batch):
    """What the docstring says, from the scores down, by automatic differentiation of each block: (u, delta) by position, and xi."""
    images, labels = batch
    u, z, x = [], [], images
    for block, p in zip(network.chain, network.unroll(params), strict=True):
        z.append(block.synapse(p, x))
        x = block.activate(z[-1])
        u.append(x)
    xi = [jax.nn.one_hot(labels, network.n_classes) - jax.nn.softmax(u[-1])]
    deltas = []
    for position in reversed(range(1, len(u))):
        block, theta = network.chain[position], network.unroll(apical)[position]
        deltas.append(jax.vjp(block.activate, z[position])[1](xi[-1])[0])
        xi.append(through(block, theta, u[position - 1], deltas[-1]))
    return u, deltas[::-1], xi[::-1]


def through(block, theta, u, delta):
    """The transposed synapse at the apical weights, as the derivative of an inner product."""
    bias = jax.eval_shape(block.init, jax.random.key(0))["bias"]
    whole = {"kernel": theta["kernel"], "bias": jnp.zeros(bias.shape)}
    return jax.grad(lambda u: jnp.sum(block.synapse(whole, u) * delta))(u)


@both_networks
@both_variants
def test_apical_weights_go_down_their_own_loss(architecture, variant):
    """The stated loss of each block, differentiated by its apical weights alone, with what comes from above held still."""
    network = network_of(architecture)
    rule = build(network, variant)
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        asked, info = ask(rule, state)
        u, deltas, xi = local_errors_by_hand(network, state.params["network"], state.params["apical"], batch)

        def loss(theta, position):
            sent = through(network.chain[position], theta, u[position - 1], deltas[position - 1])
            total = 0.5 * jnp.sum(sent**2) if variant == "local_error" else -jnp.sum(u[position - 1] * sent)
            return total / len(batch[0])

        assert asked["apical"][0] is None
        for position in range(1, len(u)):
            theta = state.params["apical"][position]
            value, expected = jax.jit(jax.value_and_grad(loss), static_argnums=1)(theta, position)
            assert_same(asked["apical"][position], expected, 1e-11)
            np.testing.assert_allclose(info["apical_loss"][position - 1], value, rtol=1e-11)
        for told, error in zip(info["local_error"], xi, strict=True):
            np.testing.assert_allclose(told, jnp.sqrt(jnp.mean(error**2)), rtol=1e-11)


@both_networks
def test_apical_dynamics_rest_at_the_local_error(architecture):
    """Expected values that follow their equation of motion, all blocks at once, end where the rule puts them in one sweep."""
    network = network_of(architecture)
    rule = build(network, "local_error")
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        apical = state.params["apical"]
        u, _, xi = local_errors_by_hand(network, state.params["network"], apical, batch)

        @jax.jit
        def settle(expected):
            def step(_, expected):
                moved = []
                for position in range(1, len(u)):
                    block, p = network.chain[position], state.params["network"][position]
                    error = expected[position] - u[position] if position < len(u) - 1 else xi[-1]
                    delta = jax.vjp(block.activate, block.synapse(p, u[position - 1]))[1](error)[0]
                    here = expected[position - 1]
                    motion = -(here - u[position - 1]) + through(block, apical[position], u[position - 1], delta)
                    moved.append(here + 0.5 * motion)
                return moved

            return jax.lax.fori_loop(0, 100, step, expected)

        rest = settle([jnp.asarray(value) for value in u[:-1]])
        told = ask(rule, state)[1]["local_error"]
        for expected, value, error, rms in zip(rest, u, xi, told, strict=False):
            np.testing.assert_allclose(expected - value, error, atol=1e-10 * float(jnp.abs(error).max()))
            np.testing.assert_allclose(jnp.sqrt(jnp.mean((expected - value) ** 2)), rms, rtol=1e-10)


@both_networks
def test_aligned_asks_for_what_kolen_and_pollack_ask_for(architecture):
    network = network_of(architecture)
    rule, reference = build(network, "aligned"), learning_rules.build("feedback_alignment/kolen_pollack", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        params, apical = state.params["network"], state.params["apical"]
        feedback = tuple(
            None if t is None else {"kernel": t["kernel"], "bias": jnp.zeros_like(p["bias"])}
            for p, t in zip(params, apical, strict=True)
        )
        asked = ask(rule, state)[0]
        expected = ask(reference, RuleState({"network": params, "feedback": feedback}, {}))[0]
        assert_same(asked["network"], expected["network"], 1e-12)
        for ours, theirs in zip(asked["apical"][1:], expected["feedback"][1:], strict=True):
            assert_same(ours["kernel"], theirs["kernel"], 1e-12)


@both_networks
def test_apical_weights_meet_the_basal_ones(architecture):
    """Learning the task, with the two never compared: the angle falls, and the sizes meet too."""
    rule = build(network_of(architecture), "aligned", learning_rate=0.02, weight_decay=0.5, apical_gain=1.0)
    before = rule.init(jax.random.key(0))
    after, _ = train(rule, before, n_steps=600)

    def compare(state):
        pairs = list(zip(state.params["network"][1:], state.params["apical"][1:], strict=True))
        angles = [float(np.degrees(np.arccos(min(cosine(w["kernel"], t["kernel"]), 1.0)))) for w, t in pairs]
        return angles, [float(jnp.linalg.norm(t["kernel"]) / jnp.linalg.norm(w["kernel"])) for w, t in pairs]

    assert min(compare(before)[0]) > 70
    angles, ratios = compare(after)
    assert max(angles) < 10
    assert all(0.9 < ratio < 1.1 for ratio in ratios)


@both_networks
def test_local_errors_shrink_as_published(architecture):
    """With the basal weights held still, the published rule makes every hidden block's local error smaller."""
    rule = build(network_of(architecture), "local_error")
    with jax.enable_x64(True):
        state = state_of(rule)

        @jax.jit
        def descend(apical):
            def one(apical, _):
                now = RuleState({**state.params, "apical": apical}, ())
                asked, _, info = rule.assign_credit(jax.random.key(1), now, batch_of(2, n=8, dtype=jnp.float64))
                moved = jax.tree.map(lambda t, g: t - 0.2 * g, apical, asked["apical"])
                return moved, jnp.stack(info["local_error"])

            return jax.lax.scan(one, apical, None, length=100)

        _, errors = descend(state.params["apical"])
        assert np.all(np.diff(np.asarray(errors[:, :-1]), axis=0) < 0)
        np.testing.assert_allclose(errors[:, -1], errors[0, -1])


@both_networks
@both_variants
def test_forward_weights_above_are_never_read(architecture, variant):
    """Change the top block's weights so that no forward signal and no error moves: what is asked below stays the same."""
    network = network_of(architecture)
    rule = build(network, variant)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        h = network.forward(params, batch_of(2, n=8, dtype=jnp.float64)[0])[-2]
        _, _, rows = np.linalg.svd(np.asarray(h), full_matrices=True)
        silent = jnp.asarray(rows[-1])[:, None] * jnp.arange(1.0, network.n_classes + 1)
        changed = (*params[:-1], {**params[-1], "kernel": params[-1]["kernel"] + silent})
        before = ask(rule, state)[0]
        after = ask(rule, RuleState({**state.params, "network": changed}, ()))[0]
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_decay": 0.0}, "without decay the apical weights never meet"),
        ({"apical_rate": 0.0}, "apical_rate=0.0 was given"),
        ({"apical_gain": -1.0}, "apical_gain=-1.0 was given"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"variant": "alligned"}, "did you mean 'aligned'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("dendritic", network_of("mlp"), **options)
