"""The identities that prove each variant of dendritic localized learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of, train

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.dendritic import fluctuating_sweep, learn
from learning_rules.losses import loss_function

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))
every_variant = pytest.mark.parametrize("variant", ["noise", "aligned", "local_error"])


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


def pass_of(rule, state, batch):
    """The pass that `ask` makes; without noise but in the variant of that name."""
    size = rule.options.noise if rule.options.variant == "noise" else 0.0
    return fluctuating_sweep(rule.network, state.params["network"], batch[0], jax.random.key(1), size, rule.options.apical_examples)


@pytest.mark.parametrize("architecture", [*sorted(NETWORKS), "recurrent"])
@every_variant
def test_apical_weights_equal_to_the_basal_ones_give_the_gradient(architecture, variant):
    """Of the pass that was made, noise and all; and apical weights that have learned nothing do not, below the readout."""
    network = recurrent_network() if architecture == "recurrent" else network_of(architecture)
    rule = build(network, variant, loss="squared_error" if variant == "local_error" else "cross_entropy")
    with jax.enable_x64(True):
        state = state_of(rule)
        params, batch = state.params["network"], batch_of(2, n=8, dtype=jnp.float64)

        def objective(params):
            there = pass_of(rule, RuleState({"network": params}, ()), batch)
            return loss_function(rule.options.loss)(there.signals.activations[-1], batch[1])

        reference = jax.jit(jax.grad(objective))(params)
        there = RuleState({**state.params, "apical": with_basal_weights(params, state.params["apical"])}, ())
        assert_same(ask(rule, there)[0]["network"], reference, 1e-12)
        if variant != "noise":
            assert_same(reference, gradient(network, params, rule.options.loss), 1e-12)
        random = ask(rule, state)[0]["network"]
        assert_same(random[-1], reference[-1], 1e-12)
        for a, b in zip(random[:-1], reference[:-1], strict=True):
            assert abs(cosine(a["kernel"], b["kernel"])) < 0.8


def local_errors_by_hand(network, apical, signals, labels):
    """What the docstring says, from the scores down: delta by position above the first, and xi by position."""
    xi = [jax.nn.one_hot(labels, network.n_classes) - jax.nn.softmax(signals.activations[-1])]
    deltas = []
    for position in reversed(range(1, len(network.chain))):
        block, theta = network.chain[position], network.unroll(apical)[position]
        deltas.append(jax.vjp(block.activate, signals.synaptic[position])[1](xi[-1])[0])
        xi.append(through(block, theta, signals.inputs[position], deltas[-1]))
    return deltas[::-1], xi[::-1]


def through(block, theta, u, delta):
    """The transposed synapse at the apical weights, as the derivative of an inner product."""
    bias = jax.eval_shape(block.init, jax.random.key(0))["bias"]
    whole = {"kernel": theta["kernel"], "bias": jnp.zeros(bias.shape)}
    return jax.grad(lambda u: jnp.sum(block.synapse(whole, u) * delta))(u)


@both_networks
@every_variant
def test_apical_weights_go_down_their_own_loss(architecture, variant):
    """The stated loss of each block, differentiated by its apical weights alone, with what comes from above held still."""
    network = network_of(architecture)
    few = 6
    rule = build(network, variant, apical_examples=few)
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        asked, info = ask(rule, state)
        signals, noise = pass_of(rule, state, batch)
        deltas, xi = local_errors_by_hand(network, state.params["apical"], signals, batch[1])

        def loss(theta, position):
            block, u = network.chain[position], signals.inputs[position]
            sent = through(block, theta, u, deltas[position - 1])
            if variant == "local_error":
                return jnp.sum(sent[:few] ** 2) / 2 / few
            if variant == "aligned":
                return -jnp.sum(u * sent) / len(u)
            z = signals.synaptic[position]
            each_unit = jnp.eye(z[0].size).reshape(-1, *z.shape[1:])
            size = jnp.sum(through(block, theta, jnp.zeros((len(each_unit), *u.shape[1:])), each_unit) ** 2)
            answered = through(block, theta, u[:few], z[:few] - z[:few].mean(0)) / rule.options.noise
            return size / 2 - jnp.sum(noise[position] * answered) / few

        assert asked["apical"][0] is None
        for position in range(1, len(network.chain)):
            theta = state.params["apical"][position]
            value, expected = jax.jit(jax.value_and_grad(loss), static_argnums=1)(theta, position)
            assert_same(asked["apical"][position], expected, 1e-11)
            np.testing.assert_allclose(info["apical_loss"][position - 1], value, rtol=1e-10)
        for told, error in zip(info["local_error"], xi, strict=True):
            np.testing.assert_allclose(told, jnp.sqrt(jnp.mean(error**2)), rtol=1e-11)


@both_networks
def test_noise_asks_on_average_for_the_basal_weights(architecture):
    """Over draws, what is left to go is the distance to the forward weights (by n - 1 of n: the batch's mean is taken off)."""
    network = network_of(architecture)
    rule = build(network, "noise", noise=1.0)
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)

        @jax.jit
        def mean(keys):
            draws = jax.lax.map(lambda key: rule.assign_credit(key, state, batch)[0]["apical"], keys, batch_size=50)
            return jax.tree.map(lambda leaf: leaf.mean(0), draws)

        few, many = (mean(jax.random.split(jax.random.key(3), n)) for n in (125, 2000))
        there = RuleState({**state.params, "apical": with_basal_weights(state.params["network"], state.params["apical"])}, ())
        for position in range(1, len(network.chain)):
            block, w = network.chain[position], state.params["network"][position]["kernel"]
            theta = state.params["apical"][position]["kernel"]
            ones = [jnp.ones((1, *shape)) for shape in (block.input_shape, block.synapse_shape)]
            whole = there.params["network"][position]
            places = jax.grad(lambda p, block=block, ones=ones: jnp.sum(block.synapse(p, ones[0]) * ones[1]))(whole)["kernel"]
            expected = places * (theta - w * 7 / 8)
            off = [float(jnp.linalg.norm(draws[position]["kernel"] - expected)) for draws in (few, many)]
            assert cosine(many[position]["kernel"], expected) > 0.99
            assert 2.5 < off[0] / off[1] < 6.5  # a quarter of it left with sixteen times the draws


@both_networks
def test_apical_dynamics_rest_at_the_local_error(architecture):
    """Expected values that follow their equation of motion, all blocks at once, end where the rule puts them in one sweep."""
    network = network_of(architecture)
    rule = build(network, "local_error")
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        apical = state.params["apical"]
        signals = pass_of(rule, state, batch).signals
        u = signals.activations
        _, xi = local_errors_by_hand(network, apical, signals, batch[1])

        @jax.jit
        def settle(expected):
            def step(_, expected):
                moved = []
                for position in range(1, len(u)):
                    block = network.chain[position]
                    error = expected[position] - u[position] if position < len(u) - 1 else xi[-1]
                    delta = jax.vjp(block.activate, signals.synaptic[position])[1](error)[0]
                    here = expected[position - 1]
                    motion = -(here - u[position - 1]) + through(block, apical[position], u[position - 1], delta)
                    moved.append(here + 0.5 * motion)
                return moved

            return jax.lax.fori_loop(0, 100, step, expected)

        rest = settle(list(u[:-1]))
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
@pytest.mark.parametrize(
    ("options", "angle"),
    [
        ({"variant": "aligned", "learning_rate": 0.02, "weight_decay": 0.5, "apical_gain": 1.0}, 10),
        ({"variant": "noise", "learning_rate": 0.005, "apical_gain": 1.0}, 25),
    ],
)
def test_apical_weights_meet_the_basal_ones(architecture, options, angle):
    """Learning the task, with the two never compared: the angle falls, and the sizes meet too."""
    rule = learning_rules.build("dendritic", network_of(architecture), **options)
    before = rule.init(jax.random.key(0))
    after, _ = train(rule, before, n_steps=600)

    def compare(state):
        pairs = list(zip(state.params["network"][1:], state.params["apical"][1:], strict=True))
        angles = [float(np.degrees(np.arccos(min(cosine(w["kernel"], t["kernel"]), 1.0)))) for w, t in pairs]
        return angles, [float(jnp.linalg.norm(t["kernel"]) / jnp.linalg.norm(w["kernel"])) for w, t in pairs]

    assert min(compare(before)[0]) > 70
    angles, ratios = compare(after)
    assert max(angles) < angle
    assert all(0.8 < ratio < 1.2 for ratio in ratios)


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
@every_variant
def test_no_weight_is_transported(architecture, variant):
    """Once the pass upwards has been made, what is asked for depends on basal weights no more: without them it is the same."""
    network = network_of(architecture)
    rule = build(network, variant)
    with jax.enable_x64(True):
        state = state_of(rule)
        params, apical = state.params["network"], state.params["apical"]
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        there = pass_of(rule, state, (images, labels))
        xi = jax.nn.one_hot(labels, network.n_classes) - jax.nn.softmax(there.signals.activations[-1])
        nothing = jax.tree.map(jnp.zeros_like, params)
        with_them, without = (jax.jit(lambda p: learn(network, p, apical, there, xi, rule.options))(p) for p in (params, nothing))
        for a, b in zip(jax.tree.leaves(with_them), jax.tree.leaves(without), strict=True):
            np.testing.assert_array_equal(a, b)
        asked = ask(rule, state)[0]
        assert_same((with_them.basal, with_them.apical), (asked["network"], asked["apical"]), 1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "aligned", "weight_decay": 0.0}, "without decay the apical weights never meet"),
        ({"apical_rate": 0.0}, "apical_rate=0.0 was given"),
        ({"apical_gain": -1.0}, "apical_gain=-1.0 was given"),
        ({"noise": 0.0}, "noise=0.0 was given"),
        ({"apical_examples": 0}, "apical_examples=0 was given"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"variant": "alligned"}, "did you mean 'aligned'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("dendritic", network_of("mlp"), **options)
