"""The identities that prove each variant of dendritic localized learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of, train

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.dendritic import fluctuate, learn
from learning_rules.signals import sweep

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


def fluctuations_of(rule, state, n=8):
    """Those that `ask` lets somata have."""
    n = min(n, rule.options.apical_examples)
    return fluctuate(rule.network, state.params["network"], jax.random.key(1), n, jnp.float64)


@pytest.mark.parametrize("architecture", [*sorted(NETWORKS), "recurrent"])
@every_variant
def test_apical_weights_equal_to_the_basal_ones_give_the_gradient(architecture, variant):
    """And apical weights that have learned nothing do not, below the readout."""
    network = recurrent_network() if architecture == "recurrent" else network_of(architecture)
    rule = build(network, variant, loss="squared_error" if variant == "local_error" else "cross_entropy")
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        reference = gradient(network, params, rule.options.loss)
        there = RuleState({**state.params, "apical": with_basal_weights(params, state.params["apical"])}, ())
        assert_same(ask(rule, there)[0]["network"], reference, 1e-12)
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
        signals = sweep(network, state.params["network"], batch[0])
        fluctuations = fluctuations_of(rule, state)
        deltas, xi = local_errors_by_hand(network, state.params["apical"], signals, batch[1])

        def loss(theta, position):
            block, u = network.chain[position], signals.inputs[position]
            sent = through(block, theta, u, deltas[position - 1])
            if variant == "local_error":
                return jnp.sum(sent[:few] ** 2) / 2 / few
            if variant == "aligned":
                return -jnp.sum(u * sent) / len(u)
            noise, answer = fluctuations[position - 1]
            each_unit = jnp.eye(answer[0].size).reshape(-1, *answer.shape[1:])
            size = jnp.sum(through(block, theta, jnp.zeros((len(each_unit), *u.shape[1:])), each_unit) ** 2)
            return size / 2 - jnp.sum(noise * through(block, theta, u[:few], answer)) / few

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
    """Over draws, what is left to go is the distance to the forward weights, once for every place where a weight is used."""
    network = network_of(architecture)
    rule = build(network, "noise")
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)

        @jax.jit
        def mean(keys):
            draws = jax.lax.map(lambda key: rule.assign_credit(key, state, batch)[0]["apical"], keys, batch_size=50)
            return jax.tree.map(lambda leaf: leaf.mean(0), draws)

        few, many = (mean(jax.random.split(jax.random.key(3), n)) for n in (100, 1600))
        for position in range(1, len(network.chain)):
            block, params = network.chain[position], state.params["network"][position]
            inputs, outputs = (jnp.ones((1, *shape)) for shape in (block.input_shape, block.synapse_shape))
            uses = jax.grad(lambda p, block=block, x=inputs, y=outputs: jnp.sum(block.synapse(p, x) * y))(params)["kernel"]
            expected = uses * (state.params["apical"][position]["kernel"] - params["kernel"])
            off = [float(jnp.linalg.norm(draws[position]["kernel"] - expected)) for draws in (few, many)]
            assert cosine(many[position]["kernel"], expected) > 0.99
            assert 2.5 < off[0] / off[1] < 6.5  # a quarter of it left with sixteen times the draws


@both_networks
def test_answers_to_signal_and_fluctuation_add_up(architecture):
    """What makes the two carriers separable: a block's synapses answer to their sum by the sum of their answers."""
    rule = build(network_of(architecture), "noise")
    with jax.enable_x64(True):
        state = state_of(rule)
        params = tuple({"kernel": p["kernel"], "bias": p["bias"] + 0.2} for p in state.params["network"])
        signals = sweep(rule.network, params, batch_of(2, n=8, dtype=jnp.float64)[0])
        fluctuations = fluctuations_of(rule, RuleState({"network": params}, ()))
        assert len(fluctuations) == len(rule.network.chain) - 1
        for position, (noise, answer) in enumerate(fluctuations, start=1):
            assert set(np.unique(noise)) == {-1, 1}
            together = rule.network.chain[position].synapse(params[position], signals.inputs[position] + 0.3 * noise)
            np.testing.assert_allclose(together - signals.synaptic[position], 0.3 * answer, atol=1e-12)


@both_networks
def test_apical_dynamics_rest_at_the_local_error(architecture):
    """Expected values that follow their equation of motion, all blocks at once, end where the rule puts them in one sweep."""
    network = network_of(architecture)
    rule = build(network, "local_error")
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        apical = state.params["apical"]
        signals = sweep(network, state.params["network"], batch[0])
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
        signals = sweep(network, params, images)
        fluctuations = fluctuations_of(rule, state) if variant == "noise" else ()
        xi = jax.nn.one_hot(labels, network.n_classes) - jax.nn.softmax(signals.activations[-1])
        once = jax.jit(lambda p: learn(network, p, apical, signals, fluctuations, xi, rule.options))
        with_them, without = once(params), once(jax.tree.map(jnp.zeros_like, params))
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
        ({"apical_examples": 0}, "apical_examples=0 was given"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"variant": "alligned"}, "did you mean 'aligned'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("dendritic", network_of("mlp"), **options)
