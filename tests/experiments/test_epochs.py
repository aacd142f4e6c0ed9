from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import architectures
import learning_rules
from experiments.epochs import in_chunks, make_programs, over_seeds
from learning_rules import Learner, LearningRule, RuleState

N_IMAGES, BATCH, CLASSES = 23, 5, 3
STEPS = N_IMAGES // BATCH


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return jnp.asarray(generator.standard_normal((N_IMAGES, 4, 4, 1)), jnp.float32)


@pytest.fixture(scope="module")
def labels():
    return jnp.asarray(np.random.default_rng(1).integers(0, CLASSES, N_IMAGES), jnp.int32)


@pytest.fixture(scope="module")
def network():
    return architectures.build("mlp", input_shape=(4, 4, 1), n_classes=CLASSES, hidden=(6,))


def keys_of(*seeds):
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def assert_trees_equal(ours, theirs, tolerance=0.0):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


class Seen(NamedTuple):
    """Which images each step of a probe was given, one row a step."""

    step: jax.Array
    batches: jax.Array


def probe(network, *, draws_randomness: bool) -> LearningRule:
    """A rule that learns nothing and writes down what it is shown: image i is recognised by its value, i."""

    def init(key):
        params = {"network": network.init(key)}
        return RuleState(params, Seen(jnp.int32(0), jnp.zeros((4 * STEPS, BATCH), jnp.int32)))

    def assign_credit(key, state, batch):
        shown, _ = batch
        identity = shown[:, 0, 0, 0].astype(jnp.int32)
        noise = jax.random.normal(key, shown.shape).mean() if draws_randomness else 0.0
        seen = Seen(state.carry.step + 1, state.carry.batches.at[state.carry.step].set(identity))
        nothing = jax.tree.map(jnp.zeros_like, state.params)
        return nothing, RuleState(state.params, seen), {"loss": jnp.float32(noise), "accuracy": jnp.float32(0)}

    base = learning_rules.build("backprop", network)
    return base._replace(init=init, assign_credit=assign_credit)


def orders(programs, seed, n_epochs=2):
    """What a probe was shown, (n_epochs, images of an epoch)."""
    numbered = jnp.broadcast_to(jnp.arange(N_IMAGES, dtype=jnp.float32)[:, None, None, None], (N_IMAGES, 4, 4, 1))
    learner = programs.init(keys_of(seed))
    for index in range(n_epochs):
        learner, _ = programs.epoch(learner, keys_of(seed), jnp.int32(index), numbered, jnp.zeros(N_IMAGES, jnp.int32))
    return np.asarray(learner.state.carry.batches[0, : n_epochs * STEPS]).reshape(n_epochs, STEPS * BATCH)


@pytest.fixture(scope="module")
def probing(network):
    return make_programs(probe(network, draws_randomness=False), optax.sgd(0.0), BATCH, CLASSES)


def test_every_image_comes_at_most_once_an_epoch_and_epochs_and_seeds_differ(probing):
    first, other = orders(probing, seed=0), orders(probing, seed=1)
    for epoch in (*first, *other):
        assert len(set(epoch)) == STEPS * BATCH
        assert set(epoch) <= set(range(N_IMAGES))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, other)
    # No image is always the one that is left out: over epochs all take part.
    assert len(set(first.ravel()) | set(other.ravel())) == N_IMAGES


def test_order_of_images_does_not_depend_on_the_rule(probing):
    other_network = architectures.build("cnn", input_shape=(4, 4, 1), n_classes=CLASSES, channels=(2,), hidden=(3,))
    other = make_programs(probe(other_network, draws_randomness=True), optax.sgd(0.0), BATCH, CLASSES)
    np.testing.assert_array_equal(orders(probing, seed=3), orders(other, seed=3))


@pytest.mark.parametrize("name", ["backprop", "feedback_alignment/weight_mirror"])
def test_a_scanned_epoch_is_the_same_steps_taken_by_hand(name, network, probing, images, labels):
    rule = learning_rules.build(name, network, learning_rate=0.05)
    transform = rule.optimizer(STEPS)
    programs = make_programs(rule, transform, BATCH, CLASSES)
    keys = keys_of(7)
    learner = programs.init(keys)
    state = jax.tree.map(lambda leaf: leaf[0], learner.state)
    optimizer_state = transform.init(state.params)

    # What was shown is read off a probe, so that this loop shares no line with the scan.
    order = orders(probing, seed=7, n_epochs=1).reshape(STEPS, BATCH)
    assign_credit, update = jax.jit(rule.assign_credit), jax.jit(transform.update)
    losses, accuracies = [], []
    step_keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(keys[0], 2), 0), STEPS)
    for chosen, step_key in zip(order, step_keys, strict=True):
        updates, state, info = assign_credit(step_key, state, (images[chosen], labels[chosen]))
        changes, optimizer_state = update(updates, optimizer_state, state.params)
        state = RuleState(rule.constrain(optax.apply_updates(state.params, changes)), state.carry)
        losses.append(float(info["loss"]))
        accuracies.append(float(info["accuracy"]))

    before = jax.tree.map(lambda leaf: np.asarray(leaf[0]), learner.state.params["network"])
    after, summary = programs.epoch(learner, keys, jnp.int32(0), images, labels)
    scanned = jax.tree.map(lambda leaf: leaf[0], after.state)
    assert_trees_equal(scanned.params, state.params, 1e-5)
    assert_trees_equal(scanned.carry, state.carry, 1e-5)
    np.testing.assert_allclose(summary.loss[0], np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(summary.accuracy[0], np.mean(accuracies), rtol=1e-5)
    moved = [
        np.abs(a - np.asarray(b)).max() for a, b in zip(*map(jax.tree.leaves, (before, scanned.params["network"])), strict=True)
    ]
    assert min(moved) > 1e-3


def test_seeds_together_are_each_alone(network, images, labels):
    rule = learning_rules.build("feedback_alignment", network, learning_rate=0.05)
    programs = make_programs(rule, rule.optimizer(STEPS), BATCH, CLASSES)

    def run(*seeds):
        keys = keys_of(*seeds)
        learner, summary = programs.epoch(programs.init(keys), keys, jnp.int32(0), images, labels)
        return learner, summary, programs.evaluate(learner.state, images, labels)

    together = run(4, 5, 6)
    for index, seed in enumerate((4, 5, 6)):
        alone = run(seed)
        assert_trees_equal(jax.tree.map(lambda leaf, i=index: leaf[i : i + 1], together), alone, 1e-6)
    weights = np.asarray(jax.tree.leaves(together[0].state.params["network"])[-1])
    assert not np.allclose(weights[0], weights[1])


def test_mapping_over_seeds_is_vmap(network, images):
    params = jax.vmap(network.init)(keys_of(0, 1, 2))
    forward = lambda one: network.forward(one, images)  # noqa: E731
    assert_trees_equal(over_seeds(forward)(params), jax.vmap(forward)(params), 1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.epochs.jax.default_backend", lambda: "gpu")
        assert_trees_equal(over_seeds(forward)(params), jax.vmap(forward)(params))


def test_evaluation_counts_true_and_predicted_classes(network, images, labels):
    rule = learning_rules.build("backprop", network)
    programs = make_programs(rule, rule.optimizer(1), BATCH, CLASSES)
    learner: Learner = programs.init(keys_of(0, 1))
    counts = np.asarray(programs.evaluate(learner.state, images, labels))
    assert counts.shape == (2, CLASSES, CLASSES)
    for seed in range(2):
        params = jax.tree.map(lambda leaf, s=seed: leaf[s], learner.state.params["network"])
        predicted = np.asarray(network.forward(params, images)[-1]).argmax(axis=1)
        expected = np.zeros((CLASSES, CLASSES), int)
        np.add.at(expected, (np.asarray(labels), predicted), 1)
        np.testing.assert_array_equal(counts[seed], expected)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11])
def test_chunks_change_nothing(n):
    x = jnp.asarray(np.random.default_rng(n).standard_normal((n, 3)), jnp.float32)
    function = lambda rows: {"square": rows**2, "sum": rows.sum(axis=1)}  # noqa: E731
    assert_trees_equal(in_chunks(function, x, chunk=4), function(x), 1e-6)


def test_chunks_bound_what_the_function_is_given():
    given = []
    in_chunks(lambda rows: given.append(rows.shape) or rows, jnp.zeros((11, 2)), chunk=4)
    assert set(given) == {(4, 2), (3, 2)}
