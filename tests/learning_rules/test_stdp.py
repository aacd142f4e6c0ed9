"""The identities that prove spike-timing-dependent plasticity: the pairing curve, triplets, eligibility, homeostasis."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of

import architectures
import learning_rules
from architectures import Edge
from architectures.readings import spike_trains
from learning_rules import InputError, RuleState
from learning_rules.hebbian_units import scale_units, unit_norms
from learning_rules.stdp import StdpOptions, _fire
from learning_rules.stdp_neurons import integrate_and_fire, spike_trace
from learning_rules.stdp_plasticity import timing_change

both_networks = pytest.mark.parametrize("architecture", ["cnn", "mlp"])
VARIANTS = ("pair", "triplet", "reward_modulated")

NODES = {
    "mlp": architectures.dense("dense", (3, 3, 1), 2),
    "cnn": architectures.convolutional("conv", (3, 3, 1), 2),
}
CENTRE = (1, 1, 0)


def train_of(times, n_steps):
    spikes = np.zeros(n_steps)
    spikes[np.asarray(times, int)] = 1
    return spikes


def change_of_central_synapse(architecture, pre, post, options, length=None, modulation=None):
    """One afferent in the middle, the first unit (in the middle of its map): the change of the synapse between them."""
    node = NODES[architecture]
    where = CENTRE[:2] if architecture == "cnn" else ()
    x = jnp.zeros((len(pre), 1, 3, 3, 1)).at[:, 0, 1, 1, 0].set(pre)
    z = jnp.zeros((len(pre), 1, *node.z_shape)).at[(slice(None), 0, *where, 0)].set(post)
    length = None if length is None else jnp.full((1, *node.z_shape), length)
    change = timing_change(node, double(node.init(jax.random.key(0))), (x,), z, options, length, modulation)
    kernel = np.asarray(change["kernel"])
    assert np.count_nonzero(kernel) <= 1 and not np.any(np.asarray(change["bias"]))
    return kernel[4, 0] if architecture == "mlp" else kernel[1, 1, 0, 0]


@both_networks
def test_pairing_curve_is_two_exponentials(architecture):
    """Bi and Poo 1998: growth where the presynaptic spike came first, decline where it came last, each at its own pace."""
    options = StdpOptions(potentiation=1.3, depression=0.6, pre_decay=0.8, post_decay=0.9)
    node, n_steps, lags = NODES[architecture], 25, np.arange(-12, 13)
    where = (slice(None), 0, *(CENTRE[:2] if architecture == "cnn" else ()), 0)

    @jax.jit
    @jax.vmap
    def curve(post):
        pre = jnp.zeros((n_steps, 1, 3, 3, 1)).at[12, 0, 1, 1, 0].set(1)
        z = jnp.zeros((n_steps, 1, *node.z_shape)).at[where].set(post)
        return timing_change(node, node.init(jax.random.key(0)), (pre,), z, options)["kernel"]

    kernels = np.asarray(curve(jnp.array([train_of([12 + lag], n_steps) for lag in lags], jnp.float32)))
    measured = kernels[:, 4, 0] if architecture == "mlp" else kernels[:, 1, 1, 0, 0]
    expected = np.where(lags >= 0, 1.3 * 0.8 ** np.abs(lags), -0.6 * 0.9 ** np.abs(lags))
    np.testing.assert_allclose(measured, expected, rtol=1e-5)
    assert np.count_nonzero(kernels) == len(lags)  # no other synapse moves


def pairs_written_out(pre, post, options, triplet):
    """Pfister and Gerstner's sums over all spikes that came before, spike by spike."""
    change = np.zeros(len(pre))
    for t in range(len(pre)):
        r1 = sum(pre[s] * options.pre_decay ** (t - s) for s in range(t + 1))
        o1 = sum(post[s] * options.post_decay ** (t - s) for s in range(t))
        o2 = sum(post[s] * options.slow_post_decay ** (t - s) for s in range(t))
        r2 = sum(abs(pre[s]) * options.slow_pre_decay ** (t - s) for s in range(t))
        growth = options.potentiation + (options.triplet_potentiation * o2 if triplet else 0)
        decline = options.depression + (options.triplet_depression * r2 if triplet else 0)
        change[t] = post[t] * r1 * growth - pre[t] * o1 * decline
    return change


@both_networks
@pytest.mark.parametrize("variant", ["pair", "triplet"])
@pytest.mark.costly
def test_trains_of_spikes_equal_the_sums_written_out(architecture, variant):
    generator = np.random.default_rng(1)
    pre = generator.integers(-1, 2, size=20).astype(float)
    post = generator.integers(0, 2, size=20).astype(float)
    options = StdpOptions(variant=variant, slow_post_decay=0.97)
    with jax.enable_x64(True):
        ours = [
            change_of_central_synapse(architecture, jnp.asarray(pre), jnp.asarray(post), options, length) for length in (None, 2.5)
        ]
    written_out = pairs_written_out(pre, post, options, variant == "triplet").sum()
    np.testing.assert_allclose(ours, [written_out, written_out / 2.5], rtol=1e-11)


@both_networks
def test_reward_turns_eligibility_into_change(architecture):
    """The trace of each synapse, run step by step, times the reward that comes at the end."""
    generator = np.random.default_rng(2)
    pre = generator.integers(-1, 2, size=15).astype(float)
    post = generator.integers(0, 2, size=15).astype(float)
    options = StdpOptions(variant="reward_modulated", eligibility_decay=0.9)
    eligibility = 0.0
    for now in pairs_written_out(pre, post, options, triplet=False):
        eligibility = 0.9 * eligibility + now
    with jax.enable_x64(True):
        for reward in (1.0, -0.4):
            arguments = (architecture, jnp.asarray(pre), jnp.asarray(post), options, None, jnp.array([reward]))
            np.testing.assert_allclose(change_of_central_synapse(*arguments), reward * eligibility, rtol=1e-11)


def test_units_integrate_leak_and_fire():
    """Under constant current the first spike comes when the geometric sum reaches the threshold, and then every as many steps."""
    currents = jnp.broadcast_to(jnp.array([1.0, 0.5, 0.1]), (24, 1, 3))
    spikes = np.asarray(integrate_and_fire(currents, jnp.full(3, 2.5), 0.8))[:, 0]
    # 1, 1.8, 2.44, 2.95: the fourth step; 0.5 / 0.2 = 2.5 is only reached in the limit; 0.1 never.
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 0]), np.arange(3, 24, 4))
    assert spikes[:, 2].sum() == 0


def test_lateral_inhibition_lets_one_unit_spike_and_holds_the_others_back():
    currents = jnp.abs(jax.random.normal(jax.random.key(0), (30, 4, 3, 3, 8)))
    free = integrate_and_fire(currents, jnp.full(8, 2.0), 0.9)
    competing = integrate_and_fire(currents, jnp.full(8, 2.0), 0.9, inhibition=1.0)
    assert int(free.sum(-1).max()) > 1 and int(competing.sum(-1).max()) == 1
    tied = jnp.broadcast_to(jnp.array([1.0, 0.9]), (20, 1, 2))
    assert float(integrate_and_fire(tied, jnp.full(2, 2.5), 0.9)[:, 0, 1].sum()) > 0
    assert float(integrate_and_fire(tied, jnp.full(2, 2.5), 0.9, inhibition=1.0)[:, 0, 1].sum()) == 0


def test_a_trace_keeps_its_share_each_step():
    spikes = jnp.zeros((5, 1)).at[1].set(1)
    np.testing.assert_allclose(spike_trace(spikes, 0.5)[:, 0], [0, 1, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(spike_trace(spikes, 0.5, delay=1)[:, 0], [0, 0, 0.5, 0.25, 0.125])


@both_networks
def test_homeostasis_holds_the_target_rate(architecture):
    """Every unit of every hidden node, free: three spikes a presentation; and competing, its share of five."""
    rule = learning_rules.build("stdp/pair", network_of(architecture), homeostasis=0.1, free_spikes=3.0, competing_spikes=5.0)
    batch = batch_of(3, n=64)

    @jax.jit
    def settle(state):
        def step(carry, key):
            _, after, info = rule.assign_credit(key, RuleState(state.params, carry), batch)
            return after.carry, (info["free_spikes"], info["competing_spikes"], info["silent_units"])

        carry, trace = jax.lax.scan(step, state.carry, jax.random.split(jax.random.key(0), 120))
        return RuleState(state.params, carry), trace

    state, (free, competing, silent) = settle(rule.init(jax.random.key(0)))
    np.testing.assert_allclose(free[-20:].mean(0), 3.0, rtol=0.1)
    np.testing.assert_allclose(competing[-20:].mean(0), 5.0, rtol=0.15)
    assert float(silent[-1].max()) == 0
    rates = jax.jit(rule.represent)(state, batch[0])[:-1]
    for rate in rates:
        per_unit = np.asarray(rate).reshape(-1, rate.shape[-1]).mean(0) * rule.options.n_steps
        np.testing.assert_allclose(per_unit, 3.0, rtol=0.35)


@both_networks
def test_a_unit_goes_a_fixed_share_of_its_norm_and_is_scaled_back(architecture):
    """Whoever spiked is asked for a change whose part beside the scaling has the length of the radius; who was silent, for none."""
    rule = learning_rules.build("stdp/pair", network_of(architecture))
    state = rule.init(jax.random.key(0))
    first = state.params["network"][0]
    doubled = {"network": ({**first, "kernel": 2 * first["kernel"]}, *state.params["network"][1:])}
    ask = jax.jit(rule.assign_credit)
    updates, _, info = ask(jax.random.key(1), state, batch_of(1))
    updates_doubled, _, _ = ask(jax.random.key(1), RuleState(doubled, state.carry), batch_of(1))
    radius = float(state.carry["memories"][0].radius)
    flat = lambda tree: np.asarray(tree["kernel"]).reshape(-1, tree["kernel"].shape[-1])  # noqa: E731
    w, change = flat(first), -flat(updates["network"][0])
    norms = np.linalg.norm(w, axis=0)
    moved = np.linalg.norm(change - w * (radius / norms - 1), axis=0)
    assert float(info["competing_spikes"][0]) > 0
    assert np.all(np.isclose(moved, radius, rtol=1e-3) | (moved < 1e-5)) and np.any(moved > 0)
    # Spikes do not depend on the norm; doubling it adds one radius less than twice the norm.
    difference = -flat(updates_doubled["network"][0]) - change
    np.testing.assert_allclose(difference, 2 * w * (radius / (2 * norms) - 1) - w * (radius / norms - 1), atol=1e-4)


@both_networks
def test_at_test_nothing_moves_and_neighbours_do_not_matter(architecture):
    rule = learning_rules.build("stdp/pair", network_of(architecture))
    images, labels = batch_of(5, n=8)
    _, state, _ = jax.jit(rule.assign_credit)(jax.random.key(0), rule.init(jax.random.key(0)), (images, labels))
    predict = jax.jit(rule.predict)
    together = predict(state, images)
    np.testing.assert_array_equal(together, predict(state, images))
    reversed_order = predict(state, images[::-1])[::-1]
    np.testing.assert_allclose(together, reversed_order, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.costly
def test_units_that_share_weights_learn_from_a_part_of_the_images(variant):
    """Sixteen positions of the first node leave eight images, four positions of the second all; dense units learn from all."""
    rule = learning_rules.build("stdp", network_of("cnn"), variant=variant, max_events=128, coding="latency", unrewarded=3.0)
    step = jax.jit(rule.assign_credit)
    state = rule.init(jax.random.key(0))
    images, labels = batch_of(0, n=32)
    updates, part = (step(jax.random.key(1), state, (images[:n], labels[:n]))[0]["network"] for n in (32, 8))
    assert float(jnp.abs(updates[0]["kernel"]).max()) > 0
    if variant != "reward_modulated":  # what reward was expected is a mean over all
        np.testing.assert_allclose(updates[0]["kernel"], part[0]["kernel"], rtol=1e-4, atol=1e-6)
    assert float(jnp.abs(updates[1]["kernel"] - part[1]["kernel"]).max()) > 1e-4


@both_networks
def test_after_the_critical_period_only_the_readout_moves(architecture):
    rule = learning_rules.build("stdp/pair", network_of(architecture), critical_period=48)
    state, moved = rule.init(jax.random.key(0)), []
    step = jax.jit(rule.assign_credit)
    for index in range(3):
        before = state
        updates, state, info = step(jax.random.key(index), before, batch_of(index, n=32))
        hidden, readout = updates["network"][:-1], updates["network"][-1]
        moved.append([float(jnp.abs(own["kernel"]).max()) for own in hidden])
        assert float(jnp.abs(readout["kernel"]).max()) > 0
    np.testing.assert_allclose(np.array(moved[1]) / np.array(moved[0]), 1 / 3, rtol=0.5)  # 16 of 48 presentations are left
    assert moved[2] == [0.0] * len(hidden) and np.all(np.asarray(info["competing_spikes"]) == 0)
    for a, b in zip(jax.tree.leaves(before.carry["memories"]), jax.tree.leaves(state.carry["memories"]), strict=True):
        np.testing.assert_array_equal(a, b)


@both_networks
def test_a_current_is_a_projection_of_an_input_of_unit_length(architecture):
    """Inside a loop too, where it is used: over time, no current exceeds the cosine of weights and input."""
    network = network_of(architecture)
    rule = learning_rules.build("stdp/pair", network)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        node, params, memory = network.nodes[0], state.params["network"][0], state.carry["memories"][0]
        trains = spike_trains(batch_of(9, n=6, dtype=jnp.float64)[0], 25, 0.5, "rate", jax.random.key(1))

        @jax.jit
        def fire(two):
            return jax.lax.scan(lambda _, spikes: (0, _fire(node, params, (spikes,), memory, rule.options).currents), 0, two)[1]

        currents = np.asarray(fire(jnp.stack([trains, trains])))[1]
        assert 0.2 < np.abs(currents.mean(0)).max() <= 1 + 1e-9
        if architecture == "mlp":
            w, flat = np.asarray(params["kernel"]), np.asarray(trains).reshape(25, 6, -1)
            length = np.linalg.norm(flat.mean(0), axis=-1)
            np.testing.assert_allclose(currents, flat @ (w / np.linalg.norm(w, axis=0)) / length[:, None], rtol=1e-9, atol=1e-12)


@both_networks
def test_only_reward_carries_labels_to_hidden_nodes(architecture):
    images, labels = batch_of(4)
    for variant in VARIANTS:
        rule = learning_rules.build("stdp", network_of(architecture), variant=variant)
        state = rule.init(jax.random.key(0))
        step = jax.jit(rule.assign_credit)
        ask = lambda labels, step=step, state=state: step(jax.random.key(0), state, (images, labels))[0]["network"]  # noqa: E731
        ours, others = ask(labels), ask((labels + 1) % 4)
        moved = [float(jnp.abs(a - b).max()) for a, b in zip(*(jax.tree.leaves(t[:-1]) for t in (ours, others)), strict=True)]
        assert (max(moved) > 1e-3) == (variant == "reward_modulated")
        assert float(jnp.abs(ours[-1]["kernel"] - others[-1]["kernel"]).max()) > 1e-4


@pytest.mark.parametrize("unrewarded", [0.0, 1.0])
@pytest.mark.costly
def test_reward_says_how_far_one_example_moves_a_unit(unrewarded):
    """Of a single image, where what is rescaled afterwards forgets how large its reward was: all the way, or a part, or none."""
    network = network_of("mlp")
    rule = learning_rules.build("stdp/reward_modulated", network, unrewarded=unrewarded)
    state = rule.init(jax.random.key(0))
    # Weights at their radius, which scaling then leaves alone.
    at_radius = [
        scale_units(node, params, memory.radius / unit_norms(node, params))
        for node, params, memory in zip(network.nodes, state.params["network"], state.carry["memories"], strict=False)
    ]
    state = state._replace(params={"network": (*at_radius, state.params["network"][-1])})
    image = batch_of(4)[0][:1]
    step = jax.jit(rule.assign_credit)
    by_class = [step(jax.random.key(0), state, (image, jnp.array([label])))[::2] for label in range(4)]
    right = [index for index, (_, info) in enumerate(by_class) if info["accuracy"] == 1]
    assert len(right) == 1
    radii = [float(memory.radius) for memory in state.carry["memories"]]
    for index, node in enumerate(network.nodes[:-1]):
        for label, (updates, _) in enumerate(by_class):
            moved = unit_norms(node, updates["network"][index])
            expected = radii[index] * (unrewarded + (label in right))
            # Units that did not fire do not move.
            np.testing.assert_allclose(moved[moved > 1e-5], expected, rtol=1e-4)
            assert (float(moved.max()) > 1e-5) == (expected > 0)


@both_networks
def test_the_readout_is_trained_by_the_gradient_at_the_last_node(architecture):
    rule = learning_rules.build("stdp/pair", network_of(architecture), n_steps=10)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        # Inputs of -1, 0 or 1 at full rate have one and the same spikes whatever the phase, so test and training agree.
        images = jnp.sign(images) * 2 / rule.options.input_gain
        kernel, bias = (state.params["network"][-1][name] for name in ("kernel", "bias"))
        rates = jax.jit(rule.represent)(state, images)[-2].reshape(8, -1) * 10 / rule.options.free_spikes

        def loss(kernel):
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(rates @ kernel + bias), labels[:, None], axis=1))

        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]["network"][-1]
        np.testing.assert_allclose(updates["kernel"], jax.grad(loss)(kernel), rtol=1e-10, atol=1e-14)
        assert updates["kernel"].dtype == jnp.float64


def test_pooling_of_spikes_needs_an_activation_that_keeps_them():
    pooled = architectures.build("cnn", input_shape=(8, 8, 1), n_classes=4, channels=(4,), strides=1, pooling="max", hidden=())
    assert learning_rules.support("stdp", pooled).supported
    bent = architectures.build(
        "cnn", input_shape=(8, 8, 1), n_classes=4, channels=(4,), strides=1, pooling="max", hidden=(), activation="tanh"
    )
    assert "changes spikes" in learning_rules.support("stdp", bent).reason


def test_every_edge_of_a_node_has_its_own_pairs():
    """A node that two trains of spikes reach: each edge's synapse changes by the sums over its own afferent and the unit."""
    generator = np.random.default_rng(3)
    first, second = (generator.integers(-1, 2, size=20).astype(float) for _ in range(2))
    post = generator.integers(0, 2, size=20).astype(float)
    node = architectures.dense("units", (1,), 1, recurrent=True)
    for variant in ("pair", "triplet"):
        options = StdpOptions(variant=variant)
        with jax.enable_x64(True):
            pre = tuple(jnp.asarray(train)[:, None, None] for train in (first, second))
            change = timing_change(node, double(node.init(jax.random.key(0))), pre, jnp.asarray(post)[:, None, None], options)
        expected = [pairs_written_out(train, post, options, variant == "triplet").sum() for train in (first, second)]
        np.testing.assert_allclose([change["kernel"][0, 0], change["kernel_1"][0, 0]], expected, rtol=1e-11)
        assert not np.any(np.asarray(change["bias"]))


@pytest.mark.thorough
def test_a_unit_with_two_edges_has_one_norm_over_both():
    """A graph in which a node hears the input and another node, and the readout hears both nodes."""
    nodes = (
        architectures.dense("first", (8, 8, 1), 10),
        architectures.dense("second", (8, 8, 1), 10, recurrent=True),
    )
    readout = architectures.make_node(
        "output",
        input_shapes=((10,), (10,)),
        init=lambda key: {"first": jnp.zeros((10, 4)), "second": jnp.zeros((10, 4))},
        synapse=lambda params, inputs: inputs[0] @ params["first"] + inputs[1] @ params["second"],
        activate=lambda state, z, skips: (state, z),
        roles={
            name: architectures.Role(architectures.WEIGHT, units=(1,), fan_in=(0,), edge=edge, presynaptic=0)
            for edge, name in enumerate(("first", "second"))
        },
    )
    edges = ((Edge("input"),), (Edge("input"), Edge("first")), (Edge("first"), Edge("second")))
    network = architectures.Network("two_edges", (8, 8, 1), 4, (*nodes, readout), edges)
    rule = learning_rules.build("stdp/pair", network, plasticity_rate=1.0)
    state = rule.init(jax.random.key(0))
    updates, after, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(0))
    node, params, radius = network.nodes[1], state.params["network"][1], after.carry["memories"][1].radius
    scaling = jax.tree.map(lambda leaf: leaf * (radius / unit_norms(node, params) - 1) * (leaf.ndim > 1), params)
    moved = unit_norms(node, jax.tree.map(lambda u, s: -u - s, updates["network"][1], scaling))
    assert float(info["competing_spikes"][1]) > 0 and np.any(np.asarray(moved) > 0)
    assert np.all(np.isclose(moved, radius, rtol=1e-3) | (np.asarray(moved) < 1e-5))
    assert all(float(jnp.abs(updates["network"][2][name]).max()) > 0 for name in ("first", "second"))
    assert [h.shape for h in rule.represent(after, batch_of(0)[0])] == [(32, 10), (32, 10), (32, 4)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("elman", "runs in time"), ("spiking", "runs in time"), ("residual", "without weights"), ("attention", "without")],
)
def test_what_it_cannot_train_is_said(name, reason):
    assert reason in learning_rules.support("stdp", network_of(name)).reason


def test_only_rewards_need_answers_that_are_right():
    assert learning_rules.support("stdp/pair", network_of("mlp"), "regression").supported
    assert "learns from classes" in learning_rules.support("stdp/reward_modulated", network_of("mlp"), "regression").reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plasticity_rate": 0.0}, "plasticity_rate=0.0"),
        ({"coding": "phase"}, "unknown coding 'phase'"),
        ({"n_steps": 0}, "n_steps=0"),
        ({"critical_period": 0}, "critical_period=0"),
        ({"max_events": 0}, "max_events=0"),
        ({"free_spikes": 0.0}, "free_spikes=0.0"),
        ({"leak": 1.0}, "leak=1.0"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("stdp", network_of("mlp"), **options)
    assert next(iter(options)) in {field.name for field in dataclasses.fields(StdpOptions)}
