"""What every rule and variant keeps, on every network that it supports. A new rule joins by one row in rule_table.py.

The first variant of each family is tried on the dense and on the convolutional network, and on every sixth of the rest, in turns,
so that each of these meets some of the families; of the other variants every third is tried on the dense network.
`--thorough` tries them all. Of each two programs are compiled: a course
of learning, whose last step is looked at from all sides, and what is asked for in two runs at once.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from rule_table import ALONE, IN_TIME, REFUSES, SAME_CODE, TABLE, TRIED_IN_TIME
from small_task import BATCH, N_CLASSES, NETWORKS, batch_of, course, network_of

import architectures
import learning_rules
from architectures.activations import ACTIVATIONS
from learning_rules import InputError
from learning_rules.objectives import Batch
from learning_rules.signals import hebbian_product

pytestmark = pytest.mark.on_all_networks
PLAIN = ("mlp", "cnn")
# What a graph, time and attention ask of a rule they ask of each of its variants alike: the first of each family is tried on them.
FIRST = tuple(next(iter(family.variants.values())).spec.name for family in learning_rules.FAMILIES.values())
ON_GRAPHS = [(name, architecture) for name in FIRST for architecture in NETWORKS if architecture not in PLAIN]
REFUSED = [(name, architecture) for name, architecture in ON_GRAPHS if architecture in REFUSES.get(name, ())]
REFUSED += [
    (name, architecture) for name in ALONE for architecture in NETWORKS if (name, architecture) != ("stdp/textbook", "flax")
]
REFUSED += [(name, architecture) for name in IN_TIME for architecture in PLAIN]
SUPPORTED = [
    pytest.param(*pair, marks=[] if sum(divmod(place, len(NETWORKS) - len(PLAIN))) % 6 == 0 else pytest.mark.thorough)
    for place, pair in enumerate(ON_GRAPHS)
    if pair not in REFUSED
]
SUPPORTED += [pytest.param(*pair, marks=[] if pair == TRIED_IN_TIME[0] else pytest.mark.thorough) for pair in TRIED_IN_TIME]
TRIED = {"cnn": FIRST, "mlp": (*FIRST, *[name for name in TABLE if name not in (*FIRST, *SAME_CODE)][::3])}
CASES = [
    pytest.param(name, architecture, marks=[] if name in TRIED[architecture] else pytest.mark.thorough)
    for name in TABLE
    for architecture in PLAIN
]
every_rule = pytest.mark.parametrize(("name", "architecture"), CASES)
every_network = pytest.mark.parametrize(("name", "architecture"), CASES + SUPPORTED)
N_STEPS, N_TEST, SEED = 80, 200, 0
N_PRESENTATIONS = 16


@functools.cache
def rule_of(name, architecture):
    return learning_rules.build(name, network_of(architecture), **{**TABLE, **IN_TIME}.get(name, {}))


@functools.cache
def shared_start(architecture):
    return network_of(architecture).init(jax.random.key(SEED))


def spikes(rule):
    return rule.spec.activation not in ("", *ACTIVATIONS)


def readout_alignment(rule, state, updates, batch, signals):
    """Cosine between what a rule asks of the readout and the delta rule on the states that the rule itself represents.

    Where they are the forward pass's, that is backpropagation's gradient. Other rules settle, spike or see labels: the forward
    pass's states are none that they visit, but the readout's error needs no way back from theirs either. Of weights and of biases,
    each apart, the least: a readout may hear spikes a presentation where a rule represents spikes a step.
    """
    *_, below, scores = signals
    error = rule.objective.loss_and_error(scores, learning_rules.as_batch(batch))[1]
    delta = hebbian_product(rule.network.nodes[-1], state.params["network"][-1], (below,), error)
    pairs = zip(jax.tree.leaves(updates["network"][-1]), jax.tree.leaves(delta), strict=True)
    cosines = [jnp.vdot(u, v) / jnp.maximum(jnp.linalg.norm(u) * jnp.linalg.norm(v), 1e-30) for u, v in pairs]
    return jnp.min(jnp.stack(cosines))


class Course(NamedTuple):
    """What became of a network, and of its last step a look from all sides."""

    before: Any
    after: Any
    first_updates: Any
    last_updates: Any
    before_last: Any
    info: Any
    scores: np.ndarray
    activations: Any
    alignment: Any
    readout: np.ndarray
    change: np.ndarray


def as_numbers(tree):
    return jax.tree.map(lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf), tree)


@functools.cache
def trained(name, architecture):
    """A course of learning."""
    rule = rule_of(name, architecture)
    optimizer = rule.optimizer()
    test_images = batch_of(7, n=N_TEST)[0]

    def given(updates, after, info):
        return rule._replace(assign_credit=lambda *_: (updates, after, info))

    def one(learners, now):
        learner, _ = learners
        batch, key = now
        updates, after, info = rule.assign_credit(key, learner.state, batch)
        later, info = learning_rules.make_step(given(updates, after, info), optimizer)(learner, key, batch)
        return (later, learner.state), (updates, info)

    @jax.jit
    def run(learner, steps):
        (after, state), (updates, info) = jax.lax.scan(one, (learner, learner.state), steps)
        first = jax.tree.map(lambda leaf: leaf[0], updates)
        last, (batch, key) = jax.tree.map(lambda leaf: leaf[-1], (updates, steps))
        activations = rule.represent(state, jnp.concatenate([test_images, batch[0]]))
        of_readout = last
        if spikes(rule):  # no two presentations of an image are alike: the mean over many is what a readout is asked for
            presented = jax.lax.map(
                lambda again: rule.assign_credit(again, state, batch)[0], jax.random.split(key, N_PRESENTATIONS)
            )
            of_readout = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), presented)
        return Course(
            learner.state,
            after.state,
            first,
            last,
            state,
            info,
            rule.predict(state, test_images),
            tuple(h[:N_TEST] for h in activations),
            learning_rules.alignment_with_backprop(given(last, state, {}), state, key, batch),
            readout_alignment(rule, state, of_readout, batch, [h[N_TEST:] for h in activations]) if architecture in PLAIN else None,
            learning_rules.relative_weight_change(rule.network, learner.state.params["network"], after.state.params["network"]),
        )

    # Not compiled as one: the draws of a start are compiled once for all rules that draw the same shapes.
    return as_numbers(run(learning_rules.start(rule, optimizer, jax.random.key(SEED)), course(0, N_STEPS)))


@functools.cache
def updates_of_two_runs(name, architecture):
    """What a rule asks for, of two runs at once, as a compiled function of keys, states, and batches with a mask."""
    rule = rule_of(name, architecture)
    return jax.jit(jax.vmap(lambda key, state, batch: rule.assign_credit(key, state, batch)[0]))


def two_runs(name, architecture, counts, shift=0):
    """Updates of the first and of the last step of the course; labels of examples that do not count may be shifted."""

    def batch_with_mask(images, labels):
        return Batch(images, jnp.where(counts > 0, labels, (labels + shift) % N_CLASSES), counts)

    taken = trained(name, architecture)
    (first, key), (last, key_of_last) = (jax.tree.map(lambda leaf, at=at: leaf[at], course(0, N_STEPS)) for at in (0, -1))
    both = (key, taken.before, batch_with_mask(*first)), (key_of_last, taken.before_last, batch_with_mask(*last))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *both)
    return as_numbers(updates_of_two_runs(name, architecture)(*stacked))


def test_every_rule_has_a_row():
    assert {*TABLE, *IN_TIME, *ALONE} == set(learning_rules.names(variants=True))
    assert set(REFUSES) <= set(FIRST) <= {*TABLE, *IN_TIME}


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
    params = taken.after.params
    assert jax.tree.structure(taken.first_updates) == jax.tree.structure(params)
    for a, p in zip(jax.tree.leaves(taken.first_updates), jax.tree.leaves(params), strict=True):
        assert a.shape == p.shape and a.dtype == p.dtype and np.all(np.isfinite(a))
    assert {"loss", "accuracy"} <= set(taken.info)
    assert jax.tree.structure(rule.constrain(params)) == jax.tree.structure(params)


@every_network
def test_starts_at_the_network_that_every_rule_starts_at(name, architecture):
    ours, shared = trained(name, architecture).before.params["network"], shared_start(architecture)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(shared), strict=True):
        # Programs compiled in haste, as here, may differ in the last bit of what they draw.
        np.testing.assert_allclose(a, b, atol=3e-7)


@every_network
def test_two_runs_at_once_are_two_runs_and_depend_on_the_key_alone(name, architecture):
    ones = jnp.ones(BATCH)
    together, again = two_runs(name, architecture, ones), two_runs(name, architecture, ones)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    # A mask of ones is none, and each is what it is alone.
    alone = trained(name, architecture)
    for a, b, c in zip(*map(jax.tree.leaves, (together, alone.first_updates, alone.last_updates)), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=2e-3, atol=1e-5 if architecture in PLAIN else max(1e-5, 1e-3 * np.abs(b).max()))
        np.testing.assert_allclose(a[1], c, rtol=2e-3, atol=max(1e-5, 1e-3 * np.abs(c).max()))


@every_rule
def test_learns_the_small_task(name, architecture):
    info = trained(name, architecture).info
    losses, accuracies = info["loss"], info["accuracy"]
    assert np.all(np.isfinite(losses))
    assert losses[-10:].mean() < 0.7 * losses[:5].mean()
    assert accuracies[-10:].mean() > 0.6  # chance is a quarter


@pytest.mark.parametrize(("name", "architecture"), SUPPORTED)
def test_learns_on_graphs_and_in_time(name, architecture):
    losses = trained(name, architecture).info["loss"]
    assert losses[-10:].mean() < 0.9 * losses[:5].mean()


@every_network
def test_every_node_moves_unless_it_is_declared_frozen(name, architecture):
    rule, taken = rule_of(name, architecture), trained(name, architecture)
    before, after = taken.before, taken.after

    def moved(a, b):
        return [np.abs(x - y).max() > 0 for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]

    weighted = np.array([node.weighted for node in rule.network.nodes])
    each = [any(moved(*pair)) for pair in zip(before.params["network"], after.params["network"], strict=True)]
    if rule.spec.frozen == "hidden":
        assert not any(each[:-1]) and each[-1]
    else:
        assert np.array_equal(each, weighted)
    if architecture in PLAIN:
        assert np.all(np.isfinite(taken.change))
        assert taken.change[-1] > 0.01 and (rule.spec.frozen == "hidden" or np.all(taken.change > 0.01))
    for part in set(before.params) - {"network"}:
        assert all(moved(before.params[part], after.params[part]))


@every_network
def test_everything_stays_finite(name, architecture):
    numbers = [leaf for leaf in jax.tree.leaves(trained(name, architecture)) if isinstance(leaf, np.ndarray)]
    assert all(np.all(np.isfinite(leaf)) for leaf in numbers)


@every_network
def test_predicts_and_represents(name, architecture):
    network, taken = network_of(architecture), trained(name, architecture)
    assert taken.scores.shape == (N_TEST, N_CLASSES) and np.all(np.isfinite(taken.scores))
    in_time = taken.activations[0].shape[1:2] if network.temporal else ()
    assert [h.shape for h in taken.activations] == [(N_TEST, *in_time, *node.output_shape) for node in network.nodes]
    if architecture in PLAIN:
        assert np.mean(np.argmax(taken.scores, -1) == np.asarray(batch_of(7, n=N_TEST)[1])) > 0.6


@every_rule
def test_alignment_with_backprop_is_a_cosine_beside_a_norm(name, architecture):
    taken, spec = trained(name, architecture), rule_of(name, architecture).spec
    alignment = taken.alignment
    assert np.all(np.abs(alignment.cosine) <= 1 + 1e-5) and np.all(np.isfinite(alignment.reference_norm))
    if not spikes(rule_of(name, architecture)):  # where units spike, backpropagation's is another network's gradient
        assert np.all(np.asarray(alignment.reference_norm) > 0)
    # The readout's error needs no way back.
    assert float(taken.readout) > (0.8 if spikes(rule_of(name, architecture)) else 0.9)
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
        ("feedback_alignment/direct", {"variant": 0}, "give one of the two"),
        ("feedback_alignment", {"variant": 0}, "unknown variant"),
        ("feedback_alignment/", {}, "unknown learning rule"),
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


@every_network
def test_labels_of_examples_that_do_not_count_are_never_seen(name, architecture):
    counts = jnp.asarray(np.arange(BATCH) % 2, jnp.float32)
    seen, other = two_runs(name, architecture, counts), two_runs(name, architecture, counts, shift=1)
    for a, b in zip(jax.tree.leaves(seen), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


WITH_FEEDBACK = ("feedback_alignment", "target_propagation", "dendritic", "pepita", "burst", "predictive_coding/learned_feedback")
PRETRAINED = [
    pytest.param(name, marks=[] if name in (*FIRST, *WITH_FEEDBACK) else pytest.mark.thorough)
    for name in TABLE
    if (name in WITH_FEEDBACK or name.split("/")[0] in WITH_FEEDBACK) and name not in SAME_CODE
]


@pytest.mark.parametrize("name", PRETRAINED)
@pytest.mark.costly(cases=2)
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
