"""The identities that prove PEPITA: differences of two passes are slopes, and these are feedback alignment's errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chains import chain_of, hebbian_product, local_derivative, loss_function, signals_of
from small_task import batch_of, network_of, train

import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.objectives import Batch
from learning_rules.pepita import _mirrored_projection

both_networks = pytest.mark.parametrize("architecture", ["mlp", "cnn"])
both_variants = pytest.mark.parametrize("variant", ["fixed", "weight_mirror"])
SHALLOW = {"mlp": {"hidden": (24,)}, "cnn": {"channels": (6,), "hidden": ()}}


def started(network, variant="fixed", **options):
    """A rule, and a start in double precision at which no bias is zero."""
    rule = learning_rules.build("pepita", network, variant=variant, **options)
    state = rule.init(jax.random.key(0))
    leaves, structure = jax.tree.flatten(state.params)
    keys = jax.random.split(jax.random.key(5), len(leaves))
    moved = [leaf + 0.05 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return rule, jax.tree.map(lambda leaf: leaf.astype(jnp.float64), RuleState(structure.unflatten(moved), state.carry))


def ask(rule, state, batch):
    return jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]["network"]


def projection_of(rule, state):
    """F; of mirrored weights what a network made of them, all of it linear, carries back from its scores, with minus."""
    if rule.spec.variant == "fixed":
        return state.carry["projection"]
    linear = network_of(rule.network.name, activation="identity")
    images = jnp.zeros((linear.n_classes, *linear.input_shape))
    _, pull = jax.vjp(lambda x: linear.forward(state.params["feedback"], x)[-1], images)
    rows = pull(jnp.eye(linear.n_classes))[0]
    return -rule.options.modulation * rows / jnp.sqrt(jnp.mean(jnp.sum(rows**2, axis=(1, 2, 3))))


def closed_form(rule, state, batch):
    """The updates where differences are slopes: of a linear network at any modulation, of every one at a small one."""
    images, labels = batch
    network, params = rule.network, state.params["network"]
    scores = network.forward(params, images)[-1]
    error = jax.nn.softmax(scores) - jax.nn.one_hot(labels, network.n_classes)
    modulation = jnp.einsum("nc,chwd->nhwd", error, projection_of(rule, state))
    _, slopes = jax.jvp(lambda x: signals_of(network, params, x).outputs, (images,), (modulation,))
    posts = [*(-slope for slope in slopes[:-1]), error]
    inputs = (images + modulation, *signals_of(network, params, images + modulation).outputs[:-1])
    updates = []
    for block, w, x, z, post in zip(chain_of(network), params, inputs, signals_of(network, params, images).z, posts, strict=True):
        at_synapses = post if post.shape == z.shape else local_derivative(block, z, post)
        updates.append(hebbian_product(block, w, x, at_synapses / len(labels)))
    return updates


def assert_closed_form(rule, state, batch, rtol):
    assert_same(ask(rule, state, batch), jax.jit(lambda state, batch: closed_form(rule, state, batch))(state, batch), rtol)


def assert_same(a, b, rtol):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


@both_variants
@both_networks
@pytest.mark.costly
def test_a_linear_network_asks_for_the_closed_form_at_any_modulation(architecture, variant):
    with jax.enable_x64(True):
        rule, state = started(network_of(architecture, activation="identity"), variant, modulation=3.0)
        assert_closed_form(rule, state, batch_of(2, dtype=jnp.float64), 1e-10)


@both_networks
def test_a_small_modulation_teaches_by_the_slope_along_it(architecture):
    with jax.enable_x64(True):
        rule, state = started(network_of(architecture, activation="tanh"), "weight_mirror", modulation=1e-7)
        assert_closed_form(rule, state, batch_of(2, n=16, dtype=jnp.float64), 1e-5)


def test_pooled_units_share_the_difference_by_the_activations_derivative():
    with jax.enable_x64(True):
        rule, state = started(network_of("cnn", pooling="max", strides=1, channels=(4,), hidden=()), modulation=1e-7)
        assert_closed_form(rule, state, batch_of(2, n=8, dtype=jnp.float64), 1e-5)


@both_networks
def test_the_first_block_learns_by_feedback_alignment_through_minus_w1_f(architecture):
    """Srinivasan et al. 2023: one hidden block of rectifiers, and a small modulation."""
    network = network_of(architecture, **SHALLOW[architecture])
    alignment = learning_rules.build("feedback_alignment/random", network)
    with jax.enable_x64(True):
        rule, state = started(network, modulation=1e-7)
        batch = batch_of(2, n=16, dtype=jnp.float64)
        first, params = chain_of(network)[0], state.params["network"]
        at_rest = first.synapse(params[0], jnp.zeros((1, *first.input_shape)))
        through_first = first.synapse(params[0], state.carry["projection"]) - at_rest
        feedback = {"kernel": -through_first.reshape(network.n_classes, -1).T, "bias": params[-1]["bias"]}
        reference = ask(alignment, RuleState(state.params, {"feedback": (None, feedback)}), batch)
        assert_same(ask(rule, state, batch), reference, 1e-5)


def test_mirrored_weights_without_overlap_give_the_gradient():
    """Where a block's weights are orthonormal, W W' = 1, and going up undoes what the way down added."""
    network = network_of("mlp", activation="identity")
    with jax.enable_x64(True):
        rule, state = started(network, "weight_mirror", modulation=1e-7)
        params = tuple({**w, "kernel": jnp.linalg.qr(w["kernel"])[0]} for w in state.params["network"])
        images, labels = batch = batch_of(2, dtype=jnp.float64)
        loss = lambda params: loss_function("cross_entropy")(network.forward(params, images)[-1], labels)  # noqa: E731
        gradient = jax.grad(loss)(params)
        updates = ask(rule, RuleState({"network": params, "feedback": params}, {}), batch)
        for a, g in zip(updates, gradient, strict=True):
            u, v = a["kernel"] / jnp.linalg.norm(a["kernel"]), g["kernel"] / jnp.linalg.norm(g["kernel"])
            np.testing.assert_allclose(u, v, atol=1e-5)


@pytest.mark.parametrize("architecture", ["cnn", "mlp", "residual", "elman", "spiking", "flax"])
def test_without_an_answer_to_the_error_only_the_readout_learns(architecture):
    """By its gradient, which goes back through what a readout remembers."""
    network = network_of(architecture)
    with jax.enable_x64(True):
        rule, state = started(network, "fixed")
        still = RuleState(state.params, jax.tree.map(jnp.zeros_like, state.carry))
        images, labels = batch = batch_of(2, dtype=jnp.float64)
        scores = lambda params: network.scores(network.forward(params, images)[-1])  # noqa: E731
        loss = lambda params: loss_function("cross_entropy")(scores(params), labels)  # noqa: E731
        updates, gradient = ask(rule, still, batch), jax.jit(jax.grad(loss))(state.params["network"])
        assert all(float(jnp.abs(leaf).max()) == 0 for leaf in jax.tree.leaves(updates[:-1]))
        assert_same(updates[-1], gradient[-1], 1e-12)


@both_networks
def test_every_example_is_modulated_by_its_own_error_alone(architecture):
    network = network_of(architecture)
    with jax.enable_x64(True):
        rule, state = started(network)
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        step = jax.jit(rule.assign_credit)
        alone = [step(jax.random.key(1), state, (images[i : i + 1], labels[i : i + 1]))[0]["network"] for i in range(6)]
        mean = jax.tree.map(lambda *leaves: sum(leaves) / 6, *alone)
        assert_same(ask(rule, state, (images, labels)), mean, 1e-10)


def test_the_fixed_projection_stays_and_is_scaled_by_the_modulation():
    network = network_of("mlp")
    rules = [learning_rules.build("pepita/fixed", network, modulation=modulation) for modulation in (1.0, 5.0)]
    one, five = (rule.init(jax.random.key(0)) for rule in rules)
    np.testing.assert_allclose(5 * one.carry["projection"], five.carry["projection"], rtol=1e-6)
    lengths = jnp.sqrt(jnp.sum(jnp.square(one.carry["projection"]), axis=(1, 2, 3)))
    np.testing.assert_allclose(lengths, 1, atol=0.3)
    after, _ = train(rules[0], one, n_steps=3)
    np.testing.assert_array_equal(after.carry["projection"], one.carry["projection"])


@both_networks
@pytest.mark.thorough
def test_mirrors_turn_the_modulation_to_where_the_loss_falls(architecture):
    rule = learning_rules.build("pepita/weight_mirror", network_of(architecture), mirror_examples=128)
    state = rule.init(jax.random.key(0))
    batch = batch_of(9, n=256)

    @jax.jit
    def settle(state):
        def step(feedback, key):
            updates, _, _ = rule.assign_credit(key, RuleState({**state.params, "feedback": feedback}, {}), batch)
            return jax.tree.map(lambda b, g: b - 0.02 * g, feedback, updates["feedback"]), None

        feedback, _ = jax.lax.scan(step, state.params["feedback"], jax.random.split(jax.random.key(1), 400))
        return RuleState({**state.params, "feedback": feedback}, {})

    look = jax.jit(lambda state: rule.assign_credit(jax.random.key(0), state, batch)[2])
    before, after = look(state), look(settle(state))
    assert min(before["feedback_angle"]) > 60 and max(after["feedback_angle"]) < 15
    assert after["modulated_loss"] < after["loss"]


def test_a_small_modulation_teaches_by_the_slope_along_it_over_skips():
    """On a residual network: differences are the derivative of every node's output along F e, by forward-mode differentiation."""
    network = network_of("residual", activation="tanh")
    with jax.enable_x64(True):
        rule, state = started(network, "fixed", modulation=1e-7)
        images, labels = batch = batch_of(2, n=8, dtype=jnp.float64)
        params = state.params["network"]

        def outputs(x):
            h = [jnp.tanh(x.reshape(len(x), -1) @ params[0]["kernel"] + params[0]["bias"])]
            for own in params[1:-1]:
                h.append(jnp.tanh(h[-1] @ own["kernel"] + own["bias"]) + h[-1])
            return (*h, h[-1] @ params[-1]["kernel"] + params[-1]["bias"])

        error = jax.nn.softmax(outputs(images)[-1]) - jax.nn.one_hot(labels, 4)
        modulation = jnp.einsum("nc,chwd->nhwd", error, state.carry["projection"])
        _, slopes = jax.jvp(outputs, (images,), (modulation,))
        below = ((images + modulation).reshape(len(images), -1), *outputs(images + modulation)[:-1])
        posts = (*(-slope for slope in slopes[:-1]), error)
        for update, x, post in zip(ask(rule, state, batch), below, posts, strict=True):
            assert_same(update["kernel"], x.T @ post / len(labels), 1e-5)


def test_a_small_modulation_teaches_by_the_slope_along_it_through_time():
    """On an Elman network: every step is modulated alike, and differences are slopes through all steps before."""
    network = network_of("elman")
    with jax.enable_x64(True):
        rule, state = started(network, "fixed", modulation=1e-7)
        images, labels = batch = batch_of(2, n=8, dtype=jnp.float64)
        *params, top = state.params["network"]

        def outputs(rows):
            h, kept = [jnp.zeros((8, own["bias"].size)) for own in params], []
            for row in rows:
                before, below = list(h), row
                for k, own in enumerate(params):
                    h[k] = below = jnp.tanh(below @ own["kernel"] + before[k] @ own["kernel_1"] + own["bias"])
                kept.append(list(h))
            return kept

        rows = jnp.moveaxis(images[..., 0], 1, 0)
        error = jax.nn.softmax(outputs(rows)[-1][-1] @ top["kernel"] + top["bias"]) - jax.nn.one_hot(labels, 4)
        modulation = jnp.broadcast_to(error @ state.carry["projection"].reshape(4, -1), rows.shape)
        _, slopes = jax.jvp(outputs, (rows,), (modulation,))
        modulated = outputs(rows + modulation)
        updates = ask(rule, state, batch)
        for k, update in enumerate(updates[:-1]):
            below = [h[k - 1] for h in modulated] if k else list(rows + modulation)
            before = [jnp.zeros_like(modulated[0][k]), *(h[k] for h in modulated[:-1])]
            for name, pre in (("kernel", below), ("kernel_1", before)):
                expected = -sum(x.T @ slope[k] for x, slope in zip(pre, slopes, strict=True)) / len(labels)
                assert_same(update[name], expected, 1e-5)
        assert_same(updates[-1]["kernel"], modulated[-1][-1].T @ error / len(labels), 1e-5)


def test_the_mirrored_projection_of_a_residual_network_adds_up_all_paths():
    network = network_of("residual")
    with jax.enable_x64(True):
        _, state = started(network, "weight_mirror")
        first, second, third, top = (b["kernel"] for b in state.params["feedback"])
        rows = (first @ (second + jnp.eye(16)) @ (third + jnp.eye(16)) @ top).T
        expected = -3 * rows / jnp.sqrt(jnp.mean(jnp.sum(rows**2, axis=1)))
        found = _mirrored_projection(network, state.params["feedback"], 3.0)
        np.testing.assert_allclose(found.reshape(rows.shape), expected, rtol=1e-6)


@pytest.mark.parametrize("architecture", ["residual", "elman", "spiking", "flax"])
def test_a_modulation_through_the_forward_weights_goes_where_the_loss_falls(architecture):
    rule = learning_rules.build("pepita/weight_mirror", network_of(architecture))
    params = rule.network.init(jax.random.key(0))
    state = RuleState({"network": params, "feedback": params}, {})
    info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2, n=64))[2]
    assert info["modulated_loss"] < info["loss"]


@pytest.mark.parametrize("architecture", ["gated", "attention"])
def test_units_with_several_pre_activations_are_refused(architecture):
    with pytest.raises(InputError, match="a tree of several arrays"):
        learning_rules.build("pepita", network_of(architecture))


@both_networks
def test_momentum_repeats_a_share_of_the_last_step_and_places_share_a_rate(architecture):
    network = network_of(architecture)
    rule = learning_rules.build(
        "pepita/fixed", network, learning_rate=0.2, momentum=0.5, clipping=1e6, weight_decay=0.01, readout_rate=0.003
    )
    optimizer, params = rule.optimizer(), rule.init(jax.random.key(0)).params
    updates = jax.tree.map(jnp.ones_like, params)
    first, state = optimizer.update(updates, optimizer.init(params), params)
    second, _ = optimizer.update(updates, state, params)
    for node, w, one, two in zip(network.nodes[:-1], params["network"], first["network"], second["network"], strict=False):
        places = np.prod(node.z_shape[:-1])
        expected = -0.2 * (1 / places + 0.01 * w["kernel"])
        np.testing.assert_allclose(one["kernel"], expected, rtol=1e-5)
        np.testing.assert_allclose(two["kernel"], 1.5 * expected, rtol=1e-5)
    np.testing.assert_allclose(first["network"][-1]["bias"], -0.003, rtol=1e-3)


@both_networks
def test_no_unit_is_told_more_than_a_share_of_the_length_of_its_weights(architecture):
    rule = learning_rules.build("pepita/fixed", network_of(architecture), learning_rate=0.2, clipping=0.03, weight_decay=0.0)
    optimizer, params = rule.optimizer(), rule.init(jax.random.key(0)).params
    updates = jax.tree.map(jnp.zeros_like, params)
    kernel = updates["network"][1]["kernel"].at[..., 0].set(100.0).at[..., 1].set(1e-5)
    updates["network"][1]["kernel"] = kernel
    change = optimizer.update(updates, optimizer.init(params), params)[0]["network"][1]["kernel"]
    places = np.prod(rule.network.nodes[1].z_shape[:-1])

    def unit_norms(own):
        kernel = own["kernel"]
        return jnp.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0)

    length = unit_norms(params["network"][1])[0]
    np.testing.assert_allclose(unit_norms({"kernel": change})[0], 0.2 * 0.03 * length, rtol=1e-5)
    np.testing.assert_allclose(change[..., 1], -0.2 * 1e-5 / places, rtol=1e-5)


@both_variants
def test_examples_that_do_not_count_change_nothing(variant):
    network = network_of("mlp")
    with jax.enable_x64(True):
        rule, state = started(network, variant)
        images, labels = batch_of(2, n=8, dtype=jnp.float64)
        counts = jnp.array([1, 0, 1, 1, 0, 1, 1, 1])
        kept = counts > 0
        assert_same(ask(rule, state, Batch(images, labels, counts)), ask(rule, state, (images[kept], labels[kept])), 1e-12)


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_a_momentum_that_never_forgets_is_refused(momentum):
    with pytest.raises(InputError, match=f"momentum={momentum} was given"):
        learning_rules.build("pepita", network_of("mlp"), momentum=momentum)


@pytest.mark.parametrize("name", ["modulation", "clipping", "readout_rate", "mirror_rate", "mirror_examples"])
def test_nothing_where_something_is_needed_is_refused(name):
    with pytest.raises(InputError, match=rf"{name}=0(\.0)? was given, expected a number above 0"):
        learning_rules.build("pepita", network_of("mlp"), **{name: 0})
