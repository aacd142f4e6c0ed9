"""The identities that prove each form of Hebbian learning: written out over patches, and where its weights end up."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.decomposition import PCA
from small_task import batch_of, double, network_of

import architectures
import learning_rules
from architectures import Edge
from learning_rules import Batch, InputError, RuleState
from learning_rules.hebbian import _classes, _of_class
from learning_rules.hebbian_decorrelation import follow_covariance, no_decorrelation, through_precision
from learning_rules.hebbian_units import map_weights, presynaptic_length, unit_norms

N_CLASSES = 4  # of the small networks
both_networks = pytest.mark.parametrize("architecture", ["cnn", "mlp"])
UNSUPERVISED = ("competitive", "softhebb", "oja", "sanger", "bcm")
VARIANTS = (*UNSUPERVISED, "class_gated")

# One hidden population that sees a whole input of eight numbers, or sixteen patches of two by two pixels and two channels.
SMALL = {
    "mlp": lambda units, **options: architectures.build("mlp", input_shape=(2, 2, 2), n_classes=4, hidden=(units,), **options),
    "cnn": lambda units, **options: architectures.build(
        "cnn", input_shape=(8, 8, 2), n_classes=4, channels=(units,), kernel_size=2, strides=2, hidden=(), **options
    ),
}


def images_of(architecture, vectors):
    """Vectors of eight numbers (n, 8) as images: one each, or as patches that tile an image."""
    if architecture == "mlp":
        return vectors.reshape(-1, 2, 2, 2)
    return vectors.reshape(-1, 4, 4, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 8, 8, 2)


def learn(rule, state, images, n_steps, rate):
    """Plain steps of the rule's own plasticity on one batch, in double precision."""
    batch = (jnp.asarray(images), jnp.zeros(len(images), jnp.int32))

    @jax.jit
    def run(state):
        def step(state, key):
            updates, state, _ = rule.assign_credit(key, state, batch)
            params = jax.tree.map(lambda p, g: p - rate * g, state.params, updates)
            return RuleState(params, state.carry), None

        return jax.lax.scan(step, state, jax.random.split(jax.random.key(0), n_steps))[0]

    return run(state)


def weights_of(state):
    kernel = np.asarray(state.params["network"][0]["kernel"])
    return kernel.reshape(-1, kernel.shape[-1])


def stretched_vectors(seed=0, n=256):
    """Directions of falling variance in eight dimensions, mirrored so that their mean is exactly zero."""
    generator = np.random.default_rng(seed)
    basis = np.linalg.qr(generator.normal(size=(8, 8)))[0]
    half = generator.normal(size=(n // 2, 8)) * np.array([1.6, 1.1, 0.75, 0.5, 0.2, 0.2, 0.1, 0.1])
    return generator.permutation(np.concatenate([half, -half]) @ basis.T)


def cosines(weights, components):
    return np.abs(np.sum(weights * components, axis=0)) / np.linalg.norm(weights, axis=0) / np.linalg.norm(components, axis=0)


@both_networks
def test_oja_tends_to_the_first_principal_component_at_the_radius(architecture):
    vectors = stretched_vectors()
    first = PCA(1).fit(vectors).components_.T
    rule = learning_rules.build("hebbian/oja", SMALL[architecture](3), lateral=0, unit_inputs=False, radius=1.0)
    with jax.enable_x64(True):
        state = learn(rule, double(rule.init(jax.random.key(0))), images_of(architecture, vectors), 1500, 0.05)
    assert np.all(cosines(weights_of(state), first) > 0.999)
    np.testing.assert_allclose(np.linalg.norm(weights_of(state), axis=0), 1, rtol=1e-4)


@both_networks
def test_sanger_tends_to_the_leading_principal_components_in_order(architecture):
    vectors = stretched_vectors()
    leading = PCA(3).fit(vectors).components_.T
    rule = learning_rules.build("hebbian/sanger", SMALL[architecture](3), unit_inputs=False, radius=1.0)
    with jax.enable_x64(True):
        before = double(rule.init(jax.random.key(0)))
        state = learn(rule, before, images_of(architecture, vectors), 1500, 0.05)
    assert cosines(weights_of(before), leading).min() < 0.9
    assert np.all(cosines(weights_of(state), leading) > 0.999)


@both_networks
def test_oja_with_lateral_inhibition_spans_the_leading_subspace(architecture):
    vectors = stretched_vectors()
    leading = PCA(3).fit(vectors).components_.T
    rule = learning_rules.build("hebbian/oja", SMALL[architecture](3), unit_inputs=False, radius=1.0)
    with jax.enable_x64(True):
        state = learn(rule, double(rule.init(jax.random.key(0))), images_of(architecture, vectors), 1500, 0.05)
    assert np.linalg.svd(leading.T @ weights_of(state))[1].min() > 0.999
    np.testing.assert_allclose(weights_of(state).T @ weights_of(state), np.eye(3), atol=1e-3)


def patches_of(x, node):
    """What each unit sees, event by event: (events, dimensions), and the weights' shape that belongs to it."""
    if len(node.z_shape) == 1:
        return x.reshape(len(x), -1)
    n, height, width, channels = x.shape
    height_out, width_out, _ = node.z_shape
    stride, kernel = -(-height // height_out), 3
    before = max((height_out - 1) * stride + kernel - height, 0) // 2
    padded = np.zeros((n, height + 4, width + 4, channels))
    padded[:, before : before + height, before : before + width] = x
    rows = [
        padded[image, stride * i : stride * i + kernel, stride * j : stride * j + kernel].ravel()
        for image in range(n)
        for i in range(height_out)
        for j in range(width_out)
    ]
    return np.array(rows)


def change_written_out(variant, x, seen, labels, w, radius, wins, threshold, options):
    """The update of a population, unit by unit: inputs, what is learned from, and labels by events; weights (dimensions, units)."""
    length = np.sqrt(np.sum(x * seen, axis=1, keepdims=True))
    y = x @ w / length
    x = seen / length
    n_events, n_units = y.shape
    change = np.zeros_like(w)
    if variant in ("oja", "sanger"):
        for j in range(n_units):
            heard = range(j + 1) if variant == "sanger" else range(n_units)
            for event in range(n_events):
                explained = sum(y[event, k] * w[:, k] * (1 if k == j or variant == "sanger" else options.lateral) for k in heard)
                change[:, j] += y[event, j] * (x[event] - explained / radius**2) / n_events
        return change
    if variant == "bcm":
        y = np.maximum(y, 0)
        new_threshold = threshold + options.ema_rate * ((y**2).mean(0) / (options.response * radius) - threshold)
        return x.T @ (y * (y - new_threshold) / new_threshold) / n_events
    standing = y - options.conscience * radius * (n_units * wins - 1)
    order = np.argsort(-standing, axis=1)
    own = np.arange(n_units) % N_CLASSES == labels[:, None]
    gated = np.argmax(np.where(own, standing, -np.inf), axis=1)
    for j in range(n_units):
        amount = 0.0
        for event in range(n_events):
            if variant == "competitive":
                share = 1.0 if order[event, 0] == j else -options.anti_hebbian if order[event, options.rank - 1] == j else 0.0
                change[:, j] += share * (radius * x[event] - y[event, j] * w[:, j] / radius)
            elif variant == "class_gated":
                rival = order[event, 0] == j and not own[event, j]
                share = 1.0 if gated[event] == j else -options.anti_hebbian if rival else 0.0
                held_at = radius if share > 0 else w[:, j] @ w[:, j] / radius
                change[:, j] += share * (radius * x[event] - y[event, j] * w[:, j] / held_at)
            else:
                soft = np.exp(options.inverse_temperature * (standing[event] - standing[event].max()))
                share = soft[j] / soft.sum() * (1 if order[event, 0] == j else -1)
                rate = max(np.sqrt(abs(np.linalg.norm(w[:, j]) / radius - 1)), 0.05)
                change[:, j] += rate * share * (x[event] - y[event, j] * w[:, j] / radius**2)
            amount += abs(share)
        change[:, j] /= max(amount, 1.0)
    return change


@functools.cache
def rule_and_step(architecture, variant):
    """The rule with every signal in play, and what it asks of the network, in double precision."""
    rule = learning_rules.build("hebbian", network_of(architecture), variant=variant, decorrelation_rate=0.01, max_events=64)
    return rule, jax.jit(lambda state, batch: rule.assign_credit(jax.random.key(1), state, batch)[0]["network"])


def uneven_state(rule):
    """A state in which units won unevenly and inputs are known to be correlated."""
    state = double(rule.init(jax.random.key(0)))
    carry = []
    for memory, key in zip(state.carry, jax.random.split(jax.random.key(1), len(state.carry)), strict=True):
        wins = jax.random.dirichlet(key, jnp.ones(len(memory.wins)))
        precision = []
        for p in memory.precision:
            if p is not None:
                mixing = jax.random.normal(key, p.shape, jnp.float64) / np.sqrt(len(p))
                p = p + mixing @ mixing.T
            precision.append(p)
        carry.append(memory._replace(wins=wins, precision=tuple(precision)))
    return RuleState(state.params, tuple(carry))


@both_networks
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.costly
def test_equals_the_rule_written_out_over_patches(architecture, variant):
    """In every node, of overlapping patches with borders too, and of inputs that are decorrelated."""
    rule, step = rule_and_step(architecture, variant)
    with jax.enable_x64(True):
        state = uneven_state(rule)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        updates = step(state, (images, labels))
        x = np.asarray(images)
        hidden = zip(rule.network.nodes, state.params["network"], updates, state.carry, strict=False)
        for index, (node, params, change, memory) in enumerate(hidden):
            (precision,) = memory.precision
            assert (precision is None) == (index == 0)
            # Sixteen positions leave the first node four of six images.
            learned = x[: 4 if len(node.z_shape) > 1 and index == 0 else 6]
            centred = learned - rule.options.ema_rate * learned.mean(0)
            precision = np.eye(x.shape[-1]) if index == 0 else np.asarray(precision)
            seen = (centred.reshape(-1, len(precision)) @ precision).reshape(centred.shape)
            w = np.asarray(params["kernel"])
            events = patches_of(centred, node)
            expected = change_written_out(
                variant,
                events,
                patches_of(seen, node),
                np.repeat(np.asarray(labels)[: len(learned)], len(events) // len(learned)),
                w.reshape(-1, w.shape[-1]),
                float(memory.radius),
                np.asarray(memory.wins),
                np.asarray(memory.threshold),
                rule.options,
            )
            np.testing.assert_allclose(-np.asarray(change["kernel"]).reshape(expected.shape), expected, rtol=1e-9, atol=1e-12)
            x = np.asarray(node.run(params, (), (jnp.asarray(x),))[1])


def test_decorrelation_tends_to_the_inverse_covariance():
    """Of all features, of a large map's channels, and no step leads out of the positive matrices."""
    vectors = stretched_vectors(n=576)
    with jax.enable_x64(True):
        for shape in ((8,), (12, 12, 8)):
            x = jnp.asarray(vectors.reshape(-1, *shape))

            @jax.jit
            def run(precision, x):
                def step(p, _):
                    return follow_covariance(p, x, through_precision(x, p), 0.05), None

                return jax.lax.scan(step, precision, None, length=4000)[0]

            start = no_decorrelation(shape).astype(jnp.float64)
            part = np.asarray(x[: len(x) // 4]).reshape(-1, 8)
            np.testing.assert_allclose(run(start, x), np.linalg.inv(part.T @ part / len(part)), rtol=1e-6, atol=1e-8)
            far = follow_covariance(start, 100 * x, through_precision(100 * x, start), 10.0)
            assert np.linalg.eigvalsh(far).min() > 0


@both_networks
@pytest.mark.parametrize("variant", ["competitive", "softhebb"])
@pytest.mark.costly
def test_winners_come_to_stand_for_clusters(architecture, variant):
    """Every cluster of directions ends with a unit of its own, and norms stay at the radius.

    There are as many units as clusters, since conscience asks that all win alike; and inputs come mirrored, so that no place of an
    image has a mean to subtract.
    """
    generator = np.random.default_rng(3)
    centres = np.linalg.qr(generator.normal(size=(8, 8)))[0][:4]
    half = generator.permutation(np.repeat(centres, 32, axis=0) + 0.1 * generator.normal(size=(128, 8)))
    centres, vectors = np.concatenate([centres, -centres]), np.concatenate([half, -half])
    rule = learning_rules.build(
        "hebbian", SMALL[architecture](8), variant=variant, radius=1.0, conscience=0.3, anti_hebbian=0.0, inverse_temperature=50.0
    )
    with jax.enable_x64(True):
        before = double(rule.init(jax.random.key(0)))
        # SoftHebb's rate is a twentieth where norms are at the radius, as they soon are here.
        n_steps = 400 if variant == "competitive" else 3000
        state = learn(rule, before, images_of(architecture, vectors), n_steps, 0.1)
    w = weights_of(state) / np.linalg.norm(weights_of(state), axis=0)
    start = weights_of(before) / np.linalg.norm(weights_of(before), axis=0)
    assert (centres @ start).max(axis=1).min() < 0.9
    assert (centres @ w).max(axis=1).min() > 0.99
    assert np.all(np.linalg.norm(weights_of(state), axis=0) < 1.5)


def test_bcm_units_come_to_answer_one_pattern_alone():
    """Of K orthogonal patterns, equally frequent, a stable unit answers one, at K times the response aimed at (Intrator and Cooper
    1992, doi:10.1016/S0893-6080(05)80003-6)."""
    patterns = np.linalg.qr(np.random.default_rng(5).normal(size=(8, 8)))[0][:4]
    rule = learning_rules.build(
        "hebbian/bcm", SMALL["mlp"](6), unit_inputs=False, radius=1.0, response=0.5, ema_rate=0.2, plasticity_rate=0.1
    )
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        # The mean of the input is part of what BCM's identity is about, so the running mean is held at zero by mirrored inputs
        # that no rectified unit answers; they halve every pattern's share.
        vectors = np.concatenate([patterns, -patterns])
        state = learn(rule, state, images_of("mlp", vectors), 6000, 0.05)
    response = np.maximum(vectors @ weights_of(state), 0)
    np.testing.assert_allclose(np.sort(response, axis=0)[-1], 0.5 * 8, rtol=1e-3)
    assert np.all(np.sort(response, axis=0)[-2] < 1e-3)


@both_networks
@pytest.mark.thorough
def test_intrinsic_plasticity_holds_the_share_of_activity(architecture):
    rule = learning_rules.build("hebbian/oja", network_of(architecture), active_fraction=0.3)
    images, labels = batch_of(4, n=32)
    state = learn(rule, rule.init(jax.random.key(0)), images, 200, 0.15)
    info = jax.jit(rule.assign_credit)(jax.random.key(0), state, (images, labels))[2]
    np.testing.assert_allclose(info["active_fraction"], 0.3, atol=0.03)
    left_alone = learning_rules.build("hebbian/oja", network_of(architecture), active_fraction=0)
    updates = jax.jit(left_alone.assign_credit)(jax.random.key(0), rule.init(jax.random.key(0)), (images, labels))[0]["network"]
    assert all(float(jnp.abs(own["bias"]).max()) == 0 for own in updates[:-1])


@both_networks
def test_only_units_of_the_class_approach_an_image(architecture):
    """Units take classes in turn; without a rival to push away no other unit moves, and a class without a unit teaches nobody."""
    rule = learning_rules.build("hebbian/class_gated", SMALL[architecture](9), anti_hebbian=0.0)
    few = learning_rules.build("hebbian/class_gated", SMALL[architecture](3), anti_hebbian=0.0)
    with jax.enable_x64(True):
        images = jnp.asarray(images_of(architecture, stretched_vectors(n=64)))
        labels = jnp.full(len(images), 3)
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), double(rule.init(jax.random.key(0))), (images, labels))[0][
            "network"
        ]
        nobody = jax.jit(few.assign_credit)(jax.random.key(1), double(few.init(jax.random.key(0))), (images, labels))[0]["network"]
    kernel = np.asarray(updates[0]["kernel"])
    moved = np.abs(kernel.reshape(-1, kernel.shape[-1])).max(axis=0) > 0
    np.testing.assert_array_equal(moved, np.arange(9) % 4 == 3)
    assert not np.any(nobody[0]["kernel"])


@both_networks
@pytest.mark.parametrize("variant", UNSUPERVISED)
def test_labels_reach_the_readout_alone_by_the_gradient_there(architecture, variant):
    rule, step = rule_and_step(architecture, variant)
    reference = backprop_step(architecture)
    with jax.enable_x64(True):
        state = uneven_state(rule)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        ours, others = step(state, (images, labels)), step(state, (images, (labels + 1) % 4))
        gradient = reference(RuleState(state.params, ()), (images, labels))
    for a, b in zip(jax.tree.leaves(ours[:-1]), jax.tree.leaves(others[:-1]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(jnp.abs(ours[-1]["kernel"] - others[-1]["kernel"]).max()) > 1e-3
    np.testing.assert_allclose(ours[-1]["kernel"], gradient[-1]["kernel"], rtol=1e-10, atol=1e-14)


@functools.cache
def backprop_step(architecture):
    rule = learning_rules.build("backprop", network_of(architecture))
    return jax.jit(lambda state, batch: rule.assign_credit(jax.random.key(1), state, batch)[0]["network"])


def both_edges(node, params):
    """A unit's weights over all edges as one vector: (dimensions, units)."""
    return np.concatenate([np.asarray(params[name]) for name in ("kernel", "kernel_1")[: len(node.input_shapes)]])


@functools.cache
def cut_open():
    """A recurrent node cut open: what it would have passed on a step ago is another node's."""
    nodes = (
        architectures.dense("earlier", (8,), 5, "tanh"),
        architectures.dense("units", (8,), 5, "tanh", recurrent=True),
        architectures.readout("output", (5,), 4),
    )
    edges = ((Edge("input"),), (Edge("input"), Edge("earlier")), (Edge("units"),))
    return architectures.Network("cut_open", (8,), 4, nodes, edges)


def test_oja_tends_to_the_principal_component_of_both_inputs_of_a_node_together():
    """The presynaptic vector is what both edges bring; numpy's eigenvectors of its covariance say where weights end."""
    network = cut_open()
    rule = learning_rules.build("hebbian/oja", network, lateral=0, unit_inputs=False, radius=1.0, active_fraction=0)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        vectors = jnp.asarray(stretched_vectors()) + 0.5
        batch = (vectors, jnp.zeros(len(vectors), jnp.int32))

        @jax.jit
        def run(state):
            def step(state, key):
                updates, state, _ = rule.assign_credit(key, state, batch)
                first, units, output = state.params["network"]
                units = jax.tree.map(lambda p, g: p - 0.05 * g, units, updates["network"][1])
                return RuleState({"network": (first, units, output)}, state.carry), None

            return jax.lax.scan(step, state, jax.random.split(jax.random.key(0), 2000))[0]

        after = run(state)
        heard = network.trace(state.params["network"], vectors).inputs[1]
    x = np.concatenate([np.asarray(each) for each in heard], axis=1)
    assert x.shape == (256, 13)
    values, eigenvectors = np.linalg.eigh(np.cov(x.T))
    first = eigenvectors[:, -1:]
    before, w = (both_edges(network.nodes[1], each.params["network"][1]) for each in (state, after))
    assert min(np.linalg.norm(first[:8]), np.linalg.norm(first[8:])) > 0.2 and values[-1] > 1.5 * values[-2]
    assert cosines(before, first).min() < 0.9
    assert np.all(cosines(w, first) > 0.999)
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), 1, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.costly
def test_in_time_equals_the_rule_written_out_over_steps_and_both_edges(variant):
    """Every step of every example is an event; of eight steps a node that learns from thirty-two events takes four examples."""
    network = network_of("elman", hidden=(6, 5))
    rule = learning_rules.build("hebbian", network, variant=variant, decorrelation_rate=0.01, max_events=32)
    with jax.enable_x64(True):
        state = uneven_state(rule)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]["network"]
        trace = network.trace(state.params["network"], images)
    for index, memory in enumerate(state.carry):
        node, params = network.nodes[index], state.params["network"][index]
        assert [p is None for p in memory.precision] == [index == 0, False]
        centred, seen = [], []
        for x, p in zip(trace.inputs[index], memory.precision, strict=True):
            events = np.moveaxis(np.asarray(x)[:, :4], 0, 1).reshape(32, -1)
            centred.append(events - rule.options.ema_rate * events.mean(0))
            seen.append(centred[-1] if p is None else centred[-1] @ np.asarray(p))
        expected = change_written_out(
            variant,
            np.concatenate(centred, axis=1),
            np.concatenate(seen, axis=1),
            np.repeat(np.asarray(labels)[:4], 8),
            both_edges(node, params),
            float(memory.radius),
            np.asarray(memory.wins),
            np.asarray(memory.threshold),
            rule.options,
        )
        np.testing.assert_allclose(-both_edges(node, updates[index]), expected, rtol=1e-9, atol=1e-12)


def test_a_class_at_every_step_gates_that_step_and_an_example_without_one_is_anybodys():
    network = network_of("elman")
    rule = learning_rules.build("hebbian/class_gated", network, objective="cross_entropy_per_step")
    once = learning_rules.build("hebbian/class_gated", network)
    images, labels = batch_of(2, n=3)
    response = jnp.zeros((24, 8))
    at_once = _of_class(_classes(network, once.objective, Batch(images, labels)), 8, response)
    at_every_step = _of_class(_classes(network, rule.objective, Batch(images, jnp.tile(labels, (8, 1)))), 8, response)
    np.testing.assert_array_equal(at_once, np.arange(8) % 4 == np.repeat(labels, 8)[:, None])
    np.testing.assert_array_equal(at_every_step, at_once)
    masked = _of_class(_classes(network, once.objective, Batch(images, labels, jnp.array([1.0, 0.0, 1.0]))), 8, response)
    assert bool(masked[8:16].all()) and bool((masked[:8] == at_once[:8]).all() and (masked[16:] == at_once[16:]).all())


@pytest.mark.parametrize("name", ["residual", "elman", "spiking", "flax"])
@pytest.mark.thorough
def test_hidden_nodes_of_any_graph_learn_and_stay_bounded(name):
    rule = learning_rules.build("hebbian/competitive", network_of(name))
    with jax.enable_x64(False):
        images, _ = batch_of(0)
        before = rule.init(jax.random.key(0))
        after = learn(rule, before, images, 40, 0.2)
    for index, node in enumerate(rule.network.nodes[:-1]):
        start, end = (unit_norms(node, state.params["network"][index]) for state in (before, after))
        change = jax.tree.map(jnp.subtract, after.params["network"][index], before.params["network"][index])
        assert float(jnp.linalg.norm(unit_norms(node, change))) > 0.05 * float(jnp.linalg.norm(start))
        assert float(end.max()) < 1.5 * float(start.max())


def test_nodes_without_weights_are_passed_through():
    nodes = (
        architectures.convolutional("conv", (8, 8, 1), 4),
        architectures.pooling("pool", (8, 8, 4)),
        architectures.dense("dense", (4, 4, 4), 6),
        architectures.readout("output", (6,), 4),
    )
    network = architectures.chain(nodes, name="pooled", input_shape=(8, 8, 1), n_classes=4)
    rule = learning_rules.build("hebbian/competitive", network)
    state = rule.init(jax.random.key(0))
    updates, after, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(0))
    assert updates["network"][1] == () and after.carry[1] == () and info["weight_norm"].shape == (2,)
    assert all(float(jnp.abs(updates["network"][index]["kernel"]).max()) > 0 for index in (0, 2, 3))
    assert after.carry[2].precision[0].shape == (64, 64)


@pytest.mark.parametrize(("name", "node"), [("gated", "hidden_0"), ("attention", "attention_0")])
def test_units_with_several_pre_activations_are_refused_by_name(name, node):
    assert f"the pre-activations of '{node}' are a tree" in learning_rules.support("hebbian", network_of(name)).reason


def test_a_unit_is_told_by_the_axes_of_its_role():
    """Units on the first axis, and units that each see inputs of their own (a grouped convolution)."""

    def synapse(params, inputs):
        return inputs[0] @ params["w"].T

    role = architectures.Role(architectures.WEIGHT, units=(0,), fan_in=(1,), edge=0, presynaptic=1)
    node = architectures.make_node(
        "turned",
        input_shapes=((3,),),
        init=lambda key: {"w": jax.random.normal(key, (2, 3))},
        synapse=synapse,
        activate=lambda state, z, skips: (state, z),
        roles={"w": role},
    )
    w = node.init(jax.random.key(0))
    np.testing.assert_allclose(unit_norms(node, w), np.linalg.norm(w["w"], axis=1), rtol=1e-6)
    scaled = map_weights(node, w, lambda leaf: leaf * jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(scaled["w"], np.asarray(w["w"]) * [[1], [2]], rtol=1e-6)
    x = jax.random.normal(jax.random.key(1), (5, 3))
    length = np.broadcast_to(presynaptic_length(node, w, (x,)), (5, 2))
    np.testing.assert_allclose(length, np.linalg.norm(x, axis=1)[:, None] * np.ones(2), rtol=1e-5)

    grouped = architectures.node_from_nnx(
        lambda rngs: nnx.Conv(4, 6, (1, 1), feature_group_count=2, rngs=rngs), name="grouped", input_shape=(3, 3, 4)
    )
    x = jax.random.normal(jax.random.key(2), (5, 3, 3, 4))
    seen = np.linalg.norm(np.asarray(x).reshape(5, 3, 3, 2, 2), axis=-1)
    length = presynaptic_length(grouped, grouped.init(jax.random.key(0)), (x,))
    np.testing.assert_allclose(length, np.repeat(seen, 3, axis=-1), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plasticity_rate": 0.0}, "plasticity_rate=0.0"),
        ({"plastic_fraction": 2.0}, "plastic_fraction=2.0"),
        ({"active_fraction": 1.0}, "active_fraction=1.0"),
        ({"rank": 0}, "rank=0"),
        ({"max_events": 0}, "max_events=0"),
        ({"radius": -1.0}, "radius=-1.0"),
        ({"initial_norm": -1.0}, "initial_norm=-1.0"),
        ({"initial_norm": 25.0}, "give radius=1 and divided_by='largest'"),
        ({"initial_norm": 25.0, "initial_deviation": 1.0}, "leave out the other"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("hebbian", network_of("mlp"), **options)
