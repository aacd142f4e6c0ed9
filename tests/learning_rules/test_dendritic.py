"""The identities that prove each variant of dendritic localized learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains import chain_of, signals_of
from small_task import NETWORKS, batch_of, double, network_of, train

import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.dendritic import fluctuate
from learning_rules.feedback_weights import without_bias

both_networks = pytest.mark.parametrize("architecture", ["mlp", "cnn"])
every_variant = pytest.mark.parametrize("variant", ["noise", "aligned", "local_error"])


def build(network, variant, **options):
    return learning_rules.build("dendritic", network, variant=variant, **options)


def state_of(rule, seed=0):
    return double(rule.init(jax.random.key(seed)))


def ask(rule, state):
    updates, _, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2, n=8, dtype=jnp.float64))
    return updates, info


def gradient(network, params, loss="cross_entropy"):
    return ask(learning_rules.build("backprop", network, loss=loss), RuleState({"network": params}, ()))[0]["network"]


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def cosine(a, b):
    return float(jnp.vdot(a, b) / jnp.linalg.norm(a) / jnp.linalg.norm(b))


def with_basal_weights(network, params, apical):
    """The apical weights set to the basal ones."""
    each = zip(network.nodes, params, apical, strict=True)
    return tuple(None if t is None else without_bias(node, p) for node, p, t in each)


def fluctuations_of(rule, state, n=8):
    """Those that `ask` lets somata have."""
    n = min(n, rule.options.apical_examples)
    return fluctuate(rule.network, state.params["network"], jax.random.key(1), n, jnp.float64)


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [(name, "noise") for name in sorted(NETWORKS)] + [(name, v) for name in ("cnn", "elman") for v in ("aligned", "local_error")],
)
@pytest.mark.costly
def test_apical_weights_equal_to_the_basal_ones_give_the_gradient(architecture, variant):
    """And apical weights that have learned nothing do not, below the readout."""
    network = network_of(architecture)
    rule = build(network, variant, loss="squared_error" if variant == "local_error" else "cross_entropy")
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        reference = gradient(network, params, rule.options.loss)
        there = RuleState({**state.params, "apical": with_basal_weights(network, params, state.params["apical"])}, ())
        assert_same(ask(rule, there)[0]["network"], reference, 1e-12)
        random = ask(rule, state)[0]["network"]
        assert_same(random[-1], reference[-1], 1e-12)
        below = [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(each[:-1])]) for each in (random, reference)]
        assert abs(cosine(*below)) < 0.95
        if architecture in ("mlp", "cnn"):
            for a, b in zip(random[:-1], reference[:-1], strict=True):
                assert abs(cosine(a["kernel"], b["kernel"])) < 0.8


def local_errors_by_hand(network, apical, signals, labels):
    """What the docstring says, from the scores down: delta by position above the first, and xi by position."""
    xi = [jax.nn.one_hot(labels, network.n_classes) - jax.nn.softmax(signals.outputs[-1])]
    deltas = []
    for position in reversed(range(1, len(network.nodes))):
        block, theta = chain_of(network)[position], apical[position]
        deltas.append(jax.vjp(block.activate, signals.z[position])[1](xi[-1])[0])
        xi.append(through(block, theta, signals.inputs[position], deltas[-1]))
    return deltas[::-1], xi[::-1]


def through(block, theta, u, delta):
    """The transposed synapse at the apical weights, as the derivative of an inner product."""
    bias = jax.eval_shape(block.init, jax.random.key(0))["bias"]
    whole = {"kernel": theta["kernel"], "bias": jnp.zeros(bias.shape)}
    return jax.grad(lambda u: jnp.sum(block.synapse(whole, u) * delta))(u)


@both_networks
@every_variant
@pytest.mark.costly
def test_apical_weights_go_down_their_own_loss(architecture, variant):
    """The stated loss of each block, differentiated by its apical weights alone, with what comes from above held still."""
    network = network_of(architecture)
    few = 6
    rule = build(network, variant, apical_examples=few)
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        updates, info = ask(rule, state)
        signals = signals_of(network, state.params["network"], batch[0])
        fluctuations = fluctuations_of(rule, state)
        deltas, xi = local_errors_by_hand(network, state.params["apical"], signals, batch[1])

        def loss(theta, position):
            block, u = chain_of(network)[position], signals.inputs[position]
            sent = through(block, theta, u, deltas[position - 1])
            if variant == "local_error":
                return jnp.sum(sent[:few] ** 2) / 2 / few
            if variant == "aligned":
                return -jnp.sum(u * sent) / len(u)
            (noise,), answer = fluctuations[position]
            each_unit = jnp.eye(answer[0].size).reshape(-1, *answer.shape[1:])
            size = jnp.sum(through(block, theta, jnp.zeros((len(each_unit), *u.shape[1:])), each_unit) ** 2)
            return size / 2 - jnp.sum(noise * through(block, theta, u[:few], answer)) / few

        assert updates["apical"][0] is None
        for position in range(1, len(network.nodes)):
            theta = state.params["apical"][position]
            value, expected = jax.jit(jax.value_and_grad(loss), static_argnums=1)(theta, position)
            assert_same(updates["apical"][position], expected, 1e-11)
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
        for position in range(1, len(network.nodes)):
            block, params = chain_of(network)[position], state.params["network"][position]
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
        signals = signals_of(rule.network, params, batch_of(2, n=8, dtype=jnp.float64)[0])
        fluctuations = fluctuations_of(rule, RuleState({"network": params}, ()))
        assert fluctuations[0] is None and len(fluctuations) == len(rule.network.nodes)
        for position, ((noise,), answer) in enumerate(fluctuations[1:], start=1):
            assert set(np.unique(noise)) == {-1, 1}
            together = chain_of(rule.network)[position].synapse(params[position], signals.inputs[position] + 0.3 * noise)
            np.testing.assert_allclose(together - signals.z[position], 0.3 * answer, atol=1e-12)


@both_networks
def test_apical_dynamics_rest_at_the_local_error(architecture):
    """Expected values that follow their equation of motion, all blocks at once, end where the rule puts them in one sweep."""
    network = network_of(architecture)
    rule = build(network, "local_error")
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        apical = state.params["apical"]
        signals = signals_of(network, state.params["network"], batch[0])
        u = signals.outputs
        _, xi = local_errors_by_hand(network, apical, signals, batch[1])

        @jax.jit
        def settle(expected):
            def step(_, expected):
                moved = []
                for position in range(1, len(u)):
                    block = chain_of(network)[position]
                    error = expected[position] - u[position] if position < len(u) - 1 else xi[-1]
                    delta = jax.vjp(block.activate, signals.z[position])[1](error)[0]
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
        updates = ask(rule, state)[0]
        expected = ask(reference, RuleState({"network": params, "feedback": feedback}, {}))[0]
        assert_same(updates["network"], expected["network"], 1e-12)
        for ours, theirs in zip(updates["apical"][1:], expected["feedback"][1:], strict=True):
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
                updates, _, info = rule.assign_credit(jax.random.key(1), now, batch_of(2, n=8, dtype=jnp.float64))
                moved = jax.tree.map(lambda t, g: t - 0.2 * g, apical, updates["apical"])
                return moved, jnp.stack(info["local_error"])

            return jax.lax.scan(one, apical, None, length=100)

        _, errors = descend(state.params["apical"])
        assert np.all(np.diff(np.asarray(errors[:, :-1]), axis=0) < 0)
        np.testing.assert_allclose(errors[:, -1], errors[0, -1])


@both_networks
@every_variant
def test_no_weight_is_transported(architecture, variant):
    """Basal weights changed where nothing that the batch evokes feels it leave what is asked below as it was."""
    network = network_of(architecture)
    rule = build(network, variant)
    with jax.enable_x64(True):
        state = state_of(rule)
        params = state.params["network"]
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        h = network.forward(params, images)[-2]
        _, _, rows = np.linalg.svd(np.asarray(h), full_matrices=True)
        silent = jnp.asarray(rows[-1])[:, None] * jnp.arange(1.0, network.n_classes + 1)
        changed = (*params[:-1], {**params[-1], "kernel": params[-1]["kernel"] + silent})
        once = jax.jit(rule.assign_credit)
        before, after = (
            once(jax.random.key(0), RuleState({**state.params, "network": own}, ()), (images, labels))[0]
            for own in (params, changed)
        )
        assert_same(after["network"], before["network"], 1e-11)
        if variant != "noise":  # whose readout's apical weights follow how its basal ones answer noise
            assert_same(after["apical"], before["apical"], 1e-11)


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
