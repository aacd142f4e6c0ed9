"""The expectations that prove each variant of perturbation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from small_task import NETWORKS, batch_of, double, network_of

import architectures
import learning_rules
from learning_rules import Batch, InputError, RuleState
from learning_rules.perturbation_decorrelation import decorrelated, follow_correlations
from learning_rules.signals import cut, exact

both_networks = pytest.mark.parametrize("architecture", ["cnn", "mlp"])

# Noise on fewer numbers needs fewer draws: an estimate's error is about sqrt(numbers that share a slope / draws).
TINY = {
    "mlp": {"hidden": (4,)},
    "cnn": {"channels": (2,), "hidden": (3,)},
    "residual": {"hidden": (4, 4)},
    "elman": {"hidden": (4,)},
    "gated": {"hidden": (2,)},
}


def mean_loss(scores, labels):
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


def flat(tree):
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)] or [jnp.zeros(1)])


def cosine(a, b):
    return float(a @ b / jnp.linalg.norm(a) / jnp.linalg.norm(b))


def state_of(rule, seed=0):
    return double(rule.init(jax.random.key(seed)))


def estimates_of(rule, state, batch, n_draws, chunk=250):
    """One flat estimate a draw for every node, (n_draws, n_parameters)."""

    def one(key):
        return tuple(flat(tree) for tree in rule.assign_credit(key, state, batch)[0]["network"])

    keys = jax.random.split(jax.random.key(3), n_draws)
    return jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=chunk))(keys)


def assert_tends_to(estimates, reference):
    """The mean over draws points where the reference does and has its length; its error falls with the root of their number."""
    for draws, target in zip(estimates, reference, strict=True):
        mean = draws.mean(0)
        assert cosine(mean, target) > 0.99
        np.testing.assert_allclose(jnp.linalg.norm(mean), jnp.linalg.norm(target), rtol=0.06)
        n = len(draws) // 16
        error_of_few = jnp.sqrt(jnp.mean(jnp.sum((draws.reshape(16, n, -1).mean(1) - target) ** 2, -1)))
        error_of_all = jnp.linalg.norm(mean - target)
        assert 2.5 < float(error_of_few / error_of_all) < 6.5  # a sixteenth of the draws, four times the error


@pytest.mark.parametrize(
    ("variant", "architecture"),
    [("node", name) for name in ("cnn", "mlp", "residual", "elman", "gated")]
    + [("textbook", "mlp"), ("weight", "cnn"), ("weight", "elman"), ("forward_gradient_weights", "mlp")],
)
@pytest.mark.costly
def test_the_mean_over_draws_tends_to_the_gradient(architecture, variant):
    network = network_of(architecture, **TINY[architecture])
    options = {"variant": variant, "readout": "perturbation", "loss": "cross_entropy", "perturbation_size": 1e-4}
    rule = learning_rules.build("perturbation", network, **options)
    with jax.enable_x64(True):
        state = state_of(rule)
        images, labels = batch_of(2, n=8, dtype=jnp.float64)

        def loss(params):
            return mean_loss(network.scores(network.forward(params, images)[-1]), labels)

        gradient = jax.jit(jax.grad(loss))(state.params["network"])
        # All weights share one slope, and small gradients drown in it: the whole is compared, not its nodes.
        few = variant == "node" and architecture != "gated"  # whose readout hears little: small gradients drown again
        draws = estimates_of(rule, state, (images, labels), 2000 if few else 16000)
        if variant == "node":
            assert_tends_to(draws, [flat(tree) for tree in gradient])
        else:
            assert_tends_to([jnp.concatenate(draws, axis=1)], [flat(gradient)])


@pytest.mark.parametrize("centred", [jax.nn.softmax, jax.nn.standardize])
@pytest.mark.costly
def test_units_whose_sum_is_fixed_learn_too(centred):
    """No unit alone changes their sum, and yet each passes something on."""
    layers = [lambda x: x.reshape(len(x), -1), lambda rngs: nnx.Linear(64, 4, rngs=rngs), centred]
    network = architectures.from_nnx([*layers, lambda rngs: nnx.Linear(4, 4, rngs=rngs)], input_shape=(8, 8, 1), n_classes=4)
    rule = learning_rules.build("perturbation/node", network, readout="perturbation", perturbation_size=1e-4)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, n=8, dtype=jnp.float64)
        gradient = jax.jit(jax.grad(lambda params: mean_loss(network.forward(params, images)[-1], labels)))(state.params["network"])
        draws = estimates_of(rule, state, (images, labels), 2000)
        assert_tends_to([draws[0]], [flat(gradient[0])])


@pytest.mark.parametrize("architecture", ["cnn", "residual", "spiking", "attention"])
@pytest.mark.thorough
def test_group_estimates_tend_to_the_gradient_of_each_nodes_own_loss(architecture):
    # A rectifier's slope is nothing where noise is kept out and one elsewhere: only another function shows that it is used.
    network = network_of(architecture, **({"activation": "tanh"} if architecture in ("mlp", "residual") else {}))
    rule = learning_rules.build("perturbation/forward_gradient_activities", network, group_size=5)
    with jax.enable_x64(True):
        state = state_of(rule)
        images, labels = batch_of(2, n=8, dtype=jnp.float64)

        def own_losses(params):
            synapses = cut(network, exact(network, params["network"]))
            *hidden, readout = network.trace(params["network"], images, synapses).outputs
            total = mean_loss(network.scores(readout), labels)
            with_weights = [h for node, h in zip(network.nodes, hidden, strict=False) if node.weighted]
            for h, head in zip(with_weights, params["heads"], strict=True):
                steps = h if network.temporal else h[None]
                guesses = [x.reshape(len(x), -1) @ head["kernel"] + head["bias"] for x in steps]
                total += sum(mean_loss(guess, labels) for guess in guesses) / len(guesses)
            return total

        gradient = jax.jit(jax.grad(own_losses))(state.params)
        draws = estimates_of(rule, state, (images, labels), 2000)
        weighted = [index for index, node in enumerate(network.nodes[:-1]) if node.weighted]
        assert_tends_to([draws[index] for index in weighted], [flat(gradient["network"][index]) for index in weighted])
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]
        for a, b in [(updates["heads"], gradient["heads"]), (updates["network"][-1], gradient["network"][-1])]:
            np.testing.assert_allclose(flat(a), flat(b), rtol=1e-10, atol=1e-12)  # the delta rule is no estimate


@both_networks
def test_groups_of_one_unit_leave_no_variance(architecture):
    """Noise is a sign: where each unit has its own slope, the estimate is the gradient; with a shared slope it is not."""
    network = network_of(architecture)
    with jax.enable_x64(True):
        batch = batch_of(2, n=8, dtype=jnp.float64)
        rules = [
            learning_rules.build("perturbation/forward_gradient_activities", network, group_size=group_size)
            for group_size in (1, 4)
        ]
        states = [state_of(rule) for rule in rules]
        differences = []
        for rule, state in zip(rules, states, strict=True):
            ask = jax.jit(lambda key, rule=rule, state=state: flat(rule.assign_credit(key, state, batch)[0]["network"]))
            differences.append(float(jnp.abs(ask(jax.random.key(0)) - ask(jax.random.key(1))).max()))
        alone, shared = differences
        assert alone < 1e-12
        assert shared > 1e-4


def test_node_noise_is_kept_from_units_that_cannot_pass_it_on():
    network = network_of("mlp")
    rule = learning_rules.build("perturbation/node", network)
    with jax.enable_x64(True):
        state = state_of(rule)
        images, labels = batch_of(2, n=1, dtype=jnp.float64)
        updates = jax.jit(rule.assign_credit)(jax.random.key(0), state, (images, labels))[0]["network"]
        for h, ask in zip(network.forward(state.params["network"], images)[:-1], updates[:-1], strict=True):
            np.testing.assert_array_equal(ask["bias"] != 0, h[0] > 0)


@pytest.mark.parametrize("variant", ["node", "forward_gradient_activities", "weight"])
@pytest.mark.costly
def test_more_draws_lie_closer_to_their_mean(variant):
    network = network_of("mlp")
    batch = batch_of(2, n=8)

    def spread(n_draws):
        rule = learning_rules.build("perturbation", network, variant=variant, n_draws=n_draws)
        first = estimates_of(rule, rule.init(jax.random.key(0)), batch, 64, chunk=64)[0]
        return float(jnp.sqrt(jnp.mean(jnp.var(first, axis=0))))

    assert 3 < spread(1) / spread(16) < 5


def test_a_node_learns_from_its_own_loss_alone():
    """Other weights above change nothing below."""
    network = network_of("mlp")
    rule = learning_rules.build("perturbation/forward_gradient_activities", network)
    state = rule.init(jax.random.key(0))
    ask = jax.jit(lambda params: rule.assign_credit(jax.random.key(1), RuleState(params, state.carry), batch_of(2))[0])
    network_params, heads = state.params["network"], state.params["heads"]
    turned = {
        "network": (network_params[0], *jax.tree.map(lambda w: -2 * w, network_params[1:])),
        "heads": (heads[0], *jax.tree.map(lambda w: -2 * w, heads[1:])),
    }
    before, after = ask(state.params), ask(turned)
    for part in ("network", "heads"):
        np.testing.assert_allclose(flat(before[part][0]), flat(after[part][0]), rtol=1e-5, atol=1e-8)
        assert float(jnp.abs(flat(before[part][1]) - flat(after[part][1])).max()) > 1e-3


def test_decorrelated_learning_is_that_of_a_network_whose_inputs_are_decorrelated():
    """A = W R learns what W R learns when W follows its own gradient: steepest descent on W, seen from A."""
    network = network_of("mlp")
    options = {"variant": "node", "perturbation_size": 1e-4}
    rule = learning_rules.build("perturbation", network, decorrelation_rate=0.01, **options)
    plain = learning_rules.build("perturbation", network, **options)
    with jax.enable_x64(True):
        state = state_of(rule)
        batch = batch_of(2, n=8, dtype=jnp.float64)
        rng = np.random.default_rng(0)
        matrices = jax.tree.map(
            lambda r: jnp.asarray(np.eye(len(r)) + 0.1 * rng.normal(size=r.shape)), state.carry["decorrelation"]
        )
        carry = {**state.carry, "decorrelation": matrices, "n_updates": jnp.int32(0)}
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), RuleState(state.params, carry), batch)[0]["network"]
        undone = jax.jit(plain.assign_credit)(jax.random.key(1), RuleState(state.params, {}), batch)[0]["network"]
        for a, p, (r,) in zip(updates[:-1], undone[:-1], matrices, strict=False):
            # dL/dW = (R h) delta^T for W R h, hence dA = R^T (R h) delta^T with kernels as (inputs, units).
            np.testing.assert_allclose(a["kernel"], r.T @ (r @ p["kernel"]), rtol=1e-9, atol=1e-12)
            assert float(jnp.abs(a["kernel"] - p["kernel"]).max()) > 1e-3
        np.testing.assert_allclose(flat(updates[-1]), flat(undone[-1]), rtol=1e-12)


def test_decorrelation_whitens_and_then_stays():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)), jnp.float32)
    carry = {"decorrelation": (jnp.eye(5),), "n_updates": jnp.int32(0)}
    follow = jax.jit(lambda carry: follow_correlations(carry, (x,), 0.02, 1500))
    for _ in range(1500):
        carry = follow(carry)
    y = x @ carry["decorrelation"][0].T
    np.testing.assert_allclose(y.T @ y / len(x), np.eye(5), atol=0.02)
    np.testing.assert_allclose(decorrelated(carry, (x,))[0], x @ np.linalg.inv(np.asarray(x.T @ x / len(x))), rtol=0.1, atol=0.05)
    np.testing.assert_array_equal(follow(carry)["decorrelation"][0], carry["decorrelation"][0])


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [(name, "node") for name in sorted(NETWORKS)]
    + [(name, other) for name in ("cnn", "attention", "spiking") for other in ("weight", "forward_gradient_activities")],
)
@pytest.mark.costly
def test_every_node_with_weights_takes_part_in_every_network(architecture, variant):
    network = network_of(architecture)
    rule = learning_rules.build("perturbation", network, variant=variant, perturbation_size=0.3)
    state = rule.init(jax.random.key(0))
    updates, _, info = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch_of(2))
    assert jax.tree.structure(updates) == jax.tree.structure(state.params)
    for node, tree in zip(network.nodes, updates["network"], strict=True):
        assert not node.weighted or (np.all(np.isfinite(flat(tree))) and float(jnp.abs(flat(tree)).max()) > 0)
    if variant != "weight":
        assert len(info["slope"]) == sum(node.weighted for node in network.nodes[:-1])


@pytest.mark.parametrize(
    ("architecture", "variant"),
    [("elman", "node"), ("elman", "weight"), ("mlp", "node"), ("mlp", "textbook"), ("mlp", "forward_gradient_activities")],
)
def test_examples_that_do_not_count_teach_nothing(architecture, variant):
    network = network_of(architecture)
    rule = learning_rules.build("perturbation", network, variant=variant)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        mask = (jnp.arange(len(labels)) % 3 > 0).astype(jnp.float64)
        others = jnp.where(mask[:, None, None, None] > 0, images, -images[::-1])
        ask = jax.jit(lambda images: rule.assign_credit(jax.random.key(1), state, Batch(images, labels, mask))[0])
        np.testing.assert_allclose(flat(ask(images)), flat(ask(others)), rtol=1e-9, atol=1e-12)


def test_only_nodes_above_the_perturbed_one_are_run_again():
    """A first layer much larger than all else is run once, and its weights' update is one product more."""
    network = network_of("residual", hidden=(16, 16, 16), side=48)
    rule = learning_rules.build("perturbation/node", network)
    state, (images, labels) = rule.init(jax.random.key(0)), batch_of(2)
    images = jnp.ones((len(labels), 48, 48, 1))
    compiled = jax.jit(lambda state, batch: rule.assign_credit(jax.random.key(1), state, batch)[0]).lower(state, (images, labels))
    product = 2 * len(labels) * 48 * 48 * 16
    assert 2 * product < compiled.compile().cost_analysis()["flops"] < 2.5 * product


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "node", "perturbation_size": 0.0}, "above 0"),
        ({"variant": "node", "readout": "hebb"}, "valid are: delta_rule, perturbation"),
        ({"readout": "perturbation"}, "heads of their own"),
        ({"variant": "weight", "decorrelation_rate": 0.1}, "sees no inputs"),
        ({"decorrelation_rate": -0.1}, "at least 0"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build("perturbation", network_of("mlp"), **options)


def test_the_teaching_signal_is_a_reward_where_no_node_sees_the_labels():
    rule = learning_rules.build("perturbation/node", network_of("mlp"), readout="perturbation")
    assert rule.spec.teaching_signal == "reward" and rule.spec.trained_otherwise == ()
