"""What every rule and variant keeps, on every network that it supports. A new rule joins by one row in rule_table.py.

Every variant is tried on the dense and on the convolutional network, and the first of each family on all the others as well. Of
each a course of learning is compiled, and on the first two networks a step that is looked at from all sides, of two runs at once.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from rule_table import REFUSES, TABLE
from small_task import NETWORKS, batch_of, course, network_of

import architectures
import learning_rules
from architectures.activations import ACTIVATIONS
from learning_rules import InputError
from learning_rules.objectives import Batch
from learning_rules.signals import hebbian_product

PLAIN = ("mlp", "cnn")
# What a graph, time and attention ask of a rule they ask of each of its variants alike: the first of each family is tried on them.
FIRST = tuple(next(iter(family.variants.values())).spec.name for family in learning_rules.FAMILIES.values())
ON_GRAPHS = [(name, architecture) for name in FIRST for architecture in NETWORKS if architecture not in PLAIN]
REFUSED = [(name, architecture) for name, architecture in ON_GRAPHS if architecture in REFUSES.get(name, ())]
SUPPORTED = [pair for pair in ON_GRAPHS if pair not in REFUSED]
CASES = [(name, architecture) for name in TABLE for architecture in PLAIN]
every_rule = pytest.mark.parametrize(("name", "architecture"), CASES)
every_network = pytest.mark.parametrize(("name", "architecture"), CASES + SUPPORTED)
N_STEPS, SEED = 80, 0


@functools.cache
def rule_of(name, architecture):
    return learning_rules.build(name, network_of(architecture), **TABLE[name])


@functools.cache
def shared_start(architecture):
    return jax.jit(network_of(architecture).init)(jax.random.key(SEED))


def readout_alignment(rule, state, updates, batch, signals):
    """Cosine between what a rule asks of the readout and the delta rule on the states that the rule itself represents.

    Where they are the forward pass's, that is backpropagation's gradient. Other rules settle, spike or see labels: the forward
    pass's states are none that they visit, but the readout's error needs no way back from theirs either.
    """
    *_, below, scores = signals
    error = rule.objective.loss_and_error(scores, learning_rules.as_batch(batch))[1]
    delta = hebbian_product(rule.network.nodes[-1], state.params["network"][-1], (below,), error)
    u, v = (jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in (updates["network"][-1], delta))
    return jnp.vdot(u, v) / jnp.maximum(jnp.linalg.norm(u) * jnp.linalg.norm(v), 1e-30)


class Course(NamedTuple):
    """What became of a network."""

    before: Any
    after: Any
    first_updates: Any
    losses: np.ndarray
    accuracies: np.ndarray
    scores: np.ndarray
    activations: Any


class Look(NamedTuple):
    """One step; every leaf has two runs as its leading axis."""

    updates: Any
    alignment: Any
    readout: Any
    change: Any


def as_numbers(leaf):
    return leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf)


@functools.cache
def trained(name, architecture):
    """A course of learning."""
    rule = rule_of(name, architecture)
    optimizer = rule.optimizer()

    def one(learner, now):
        batch, key = now
        updates, state, info = rule.assign_credit(key, learner.state, batch)
        given = rule._replace(assign_credit=lambda *_: (updates, state, info))
        learner, info = learning_rules.make_step(given, optimizer)(learner, key, batch)
        return learner, (updates, info["loss"], info["accuracy"])

    @jax.jit
    def run(key, steps, images):
        learner = learning_rules.start(rule, optimizer, key)
        after, (updates, losses, accuracies) = jax.lax.scan(one, learner, steps)
        first = jax.tree.map(lambda leaf: leaf[0], updates)
        answers = rule.predict(after.state, images), rule.represent(after.state, images)
        return Course(learner.state, after.state, first, losses, accuracies, *answers)

    return jax.tree.map(as_numbers, run(jax.random.key(SEED), course(0, N_STEPS), batch_of(7, n=200)[0]))


@functools.cache
def looked_at(name, architecture):
    """Two runs at once: a step where the course has led, and the course's first; twice, with the same numbers."""
    rule = rule_of(name, architecture)

    def look(key, state, batch, before):
        updates, after, info = rule.assign_credit(key, state, batch)
        given = rule._replace(assign_credit=lambda *_: (updates, after, info))
        return Look(
            updates,
            alignment=learning_rules.alignment_with_backprop(given, state, key, batch),
            readout=readout_alignment(rule, state, updates, batch, rule.represent(state, batch[0])),
            change=learning_rules.relative_weight_change(rule.network, before.params["network"], state.params["network"]),
        )

    course_taken = trained(name, architecture)
    batch, key = of_run(0, course(0, N_STEPS))
    fresh = batch_of(6), jax.random.key(5)
    both = [(fresh[1], course_taken.after, fresh[0]), (key, course_taken.before, batch)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *both)
    program = jax.jit(jax.vmap(look, in_axes=(0, 0, 0, None)))
    arguments = (*stacked, course_taken.before)
    return tuple(jax.tree.map(as_numbers, program(*arguments)) for _ in range(2))


def of_run(index, tree):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def after_the_course(name, architecture):
    return of_run(0, looked_at(name, architecture)[0])


def test_every_rule_has_a_row():
    assert set(TABLE) == set(learning_rules.names(variants=True))
    assert set(REFUSES) <= set(FIRST) <= set(TABLE)


@pytest.mark.parametrize(("name", "architecture"), REFUSED)
def test_what_is_not_supported_is_refused_with_the_reason(name, architecture):
    supported, reason = learning_rules.support(name, network_of(architecture))
    assert not supported and reason and "\n" not in reason
    with pytest.raises(InputError) as caught:
        rule_of(name, architecture)
    assert str(caught.value).endswith(reason)


@every_network
def test_pseudo_gradients_have_the_tree_of_the_parameters(name, architecture):
    rule, taken = rule_of(name, architecture), trained(name, architecture)
    state = taken.after
    assert jax.tree.structure(taken.first_updates) == jax.tree.structure(state.params)
    for a, p in zip(jax.tree.leaves(taken.first_updates), jax.tree.leaves(state.params), strict=True):
        assert a.shape == p.shape and a.dtype == p.dtype and np.all(np.isfinite(a))
    _, after, info = jax.eval_shape(rule.assign_credit, jax.random.key(0), state, batch_of(6))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)
    assert {"loss", "accuracy"} <= set(info)
    assert jax.tree.structure(rule.constrain(state.params)) == jax.tree.structure(state.params)


@every_network
def test_starts_at_the_network_that_every_rule_starts_at(name, architecture):
    ours, shared = trained(name, architecture).before.params["network"], shared_start(architecture)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(shared), strict=True):
        # Programs compiled in haste, as here, may differ in the last bit of what they draw.
        np.testing.assert_allclose(a, b, atol=3e-7)


@every_network
def test_maps_over_seeds(name, architecture):
    rule, steps = rule_of(name, architecture), course(0, 3)
    states = jax.eval_shape(jax.vmap(rule.init), jax.random.split(jax.random.key(0), 3))
    updates, after, _ = jax.eval_shape(jax.vmap(lambda state, step: rule.assign_credit(step[1], state, step[0])), states, steps)
    for several, single in zip(jax.tree.leaves(states), jax.tree.leaves(trained(name, architecture).before), strict=True):
        assert several.shape == (3, *single.shape)
    assert jax.tree.map(jnp.shape, (updates, after)) == jax.tree.map(jnp.shape, (states.params, states))


@every_rule
def test_two_runs_at_once_are_two_runs_and_depend_on_the_key_alone(name, architecture):
    one, again = looked_at(name, architecture)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        assert np.array_equal(a, b) or not isinstance(a, np.ndarray)
    alone, together = trained(name, architecture).first_updates, of_run(1, one.updates)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5)


@every_rule
def test_learns_the_small_task(name, architecture):
    taken = trained(name, architecture)
    losses, accuracies = taken.losses, taken.accuracies
    assert np.all(np.isfinite(losses))
    assert losses[-10:].mean() < 0.7 * losses[:5].mean()
    assert accuracies[-10:].mean() > 0.6  # chance is a quarter


@pytest.mark.parametrize(("name", "architecture"), SUPPORTED)
def test_learns_on_graphs_and_in_time(name, architecture):
    losses = trained(name, architecture).losses
    assert losses[-10:].mean() < 0.9 * losses[:5].mean()


@every_network
def test_every_node_moves_unless_it_is_declared_frozen(name, architecture):
    rule, (before, after, *_) = rule_of(name, architecture), trained(name, architecture)

    def moved(a, b):
        return [np.abs(x - y).max() > 0 for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]

    weighted = np.array([node.weighted for node in rule.network.nodes])
    each = [any(moved(*pair)) for pair in zip(before.params["network"], after.params["network"], strict=True)]
    if rule.spec.frozen == "hidden":
        assert not any(each[:-1]) and each[-1]
    else:
        assert np.array_equal(each, weighted)
    if architecture in PLAIN:
        change = after_the_course(name, architecture).change
        assert np.all(np.isfinite(change))
        assert change[-1] > 0.01 and (rule.spec.frozen == "hidden" or np.all(change > 0.01))
    for part in set(before.params) - {"network"}:
        assert all(moved(before.params[part], after.params[part]))


@every_network
def test_everything_stays_finite(name, architecture):
    numbers = [leaf for leaf in jax.tree.leaves(trained(name, architecture)) if isinstance(leaf, np.ndarray)]
    assert all(np.all(np.isfinite(leaf)) for leaf in numbers)


@every_network
def test_predicts_and_represents(name, architecture):
    network, taken = network_of(architecture), trained(name, architecture)
    assert taken.scores.shape == (200, 4) and np.all(np.isfinite(taken.scores))
    in_time = taken.activations[0].shape[1:2] if network.temporal else ()
    assert [h.shape for h in taken.activations] == [(200, *in_time, *node.output_shape) for node in network.nodes]
    if architecture in PLAIN:
        assert np.mean(np.argmax(taken.scores, -1) == np.asarray(batch_of(7, n=200)[1])) > 0.6


@every_rule
def test_alignment_with_backprop_is_a_cosine_beside_a_norm(name, architecture):
    look, spec = after_the_course(name, architecture), rule_of(name, architecture).spec
    alignment = look.alignment
    assert np.all(np.abs(alignment.cosine) <= 1 + 1e-5) and np.all(np.isfinite(alignment.reference_norm))
    if spec.activation in ("", *ACTIVATIONS):
        assert np.all(np.asarray(alignment.reference_norm) > 0)
        assert float(look.readout) > 0.9  # the readout's error needs no way back
    else:
        # Units that spike: backpropagation's is another network's gradient, and two presentations of an image are not alike; the
        # family's own tests hold the readout to the delta rule on the very spikes that it learned from.
        assert float(look.readout) > 0.3
    if spec.represents_by_forward_pass:
        assert float(alignment.cosine[-1]) > 0.9


@every_rule
def test_spec_is_complete(name, architecture):
    spec = rule_of(name, architecture).spec
    assert spec.name == name and spec.summary and spec.citation
    assert spec.teaching_signal in ("labels", "reward", "none")
    assert learning_rules.support(name, network_of(architecture)) == learning_rules.Support(True, "")


@every_rule
def test_unknown_options_are_named(name, architecture):
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        learning_rules.build(name, network_of(architecture), learning_rat=0.1)
    with pytest.raises(InputError, match="must be positive"):
        learning_rules.build(name, network_of(architecture), learning_rate=-1.0).optimizer()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("backprob", {}, "did you mean 'backprop'"),
        ("feedback_alignment/dirct", {}, "did you mean 'direct'"),
        ("feedback_alignment", {"variant": "sing"}, "did you mean 'sign'"),
        ("feedback_alignment/direct", {"variant": "sign"}, "give one of the two"),
        ("backprop", {"loss": "hinge"}, "unknown loss 'hinge'"),
        ("backprop/fast", {}, "unknown variant of 'backprop' 'fast'"),
        ("feedback_alignment/sign", {"magnitude": "large"}, "alid are: fixed, uniform"),
        ("feedback_alignment/kolen_pollack", {"weight_decay": 0.0}, "without decay"),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build(name, network_of("mlp"), **options)


def test_options_can_be_asked_for():
    assert learning_rules.options_of("feedback_alignment/kolen_pollack").weight_decay > 0
    assert learning_rules.options_of("feedback_alignment").variant == "random"


@pytest.mark.parametrize("name", [name for name in TABLE if name != "untrained"])
def test_labels_of_examples_that_do_not_count_are_never_seen(name):
    rule, (images, labels) = rule_of(name, "mlp"), batch_of(6)
    counts = jnp.arange(len(labels)) % 2
    other = jnp.where(counts > 0, labels, (labels + 1) % 4)
    state = trained(name, "mlp").after
    ask = jax.jit(lambda state, y: rule.assign_credit(jax.random.key(5), state, Batch(images, y, counts))[0])
    for a, b in zip(*(jax.tree.leaves(ask(state, y)) for y in (labels, other)), strict=True):
        np.testing.assert_array_equal(a, b)


PRETRAINED = [name for name in TABLE if name.split("/")[0] in ("feedback_alignment", "target_propagation", "dendritic", "pepita")]


@pytest.mark.parametrize("name", PRETRAINED)
def test_feedback_weights_owe_nothing_to_weights_that_a_network_comes_with(name):
    """Modules keep the parameters that they are given, and would give them again to whoever draws."""
    rngs = nnx.Rngs(0)
    layers = [
        lambda x: x.reshape(len(x), -1),
        nnx.Linear(64, 24, rngs=rngs),
        jax.nn.relu,
        nnx.Linear(24, 24, rngs=rngs),
        jax.nn.relu,
    ]
    network = architectures.from_nnx([*layers, nnx.Linear(24, 4, rngs=rngs)], input_shape=(8, 8, 1), n_classes=4)
    if not learning_rules.support(name, network).supported:
        pytest.skip("trains no network of modules")
    state = learning_rules.build(name, network).init(jax.random.key(0))
    forward = [p["kernel"] for p in state.params["network"]]
    others = {key: value for key, value in state.params.items() if key != "network"}
    for leaf in jax.tree.leaves((others, state.carry)):
        for w in forward:
            if leaf.shape == w.shape and float(jnp.abs(leaf).max()) > 0 and float(jnp.std(leaf)) > 0:
                assert abs(float(jnp.vdot(leaf, w) / (jnp.linalg.norm(leaf) * jnp.linalg.norm(w)))) < 0.5
