"""What every rule and variant keeps, on a dense and on a convolutional network. A new rule joins by one row in rule_table.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rule_table import TABLE
from small_task import batch_of, network_of, train

import learning_rules
from architectures.activations import ACTIVATIONS
from learning_rules import InputError
from learning_rules.losses import loss_and_error
from learning_rules.signals import hebbian_product

CASES = [(name, architecture) for name in TABLE for architecture in ("mlp", "cnn")]
every_rule = pytest.mark.parametrize(("name", "architecture"), CASES)


@functools.cache
def rule_of(name, architecture):
    return learning_rules.build(name, network_of(architecture), **TABLE[name])


@functools.cache
def shared_start(architecture):
    return jax.jit(network_of(architecture).init)(jax.random.key(0))


def readout_alignment(rule, state, asked, batch):
    """Cosine between what a rule asks of the last block and the delta rule on the states that the rule itself represents.

    Where they are the forward pass's, that is backpropagation's gradient. Other rules settle, spike or see labels: the forward
    pass's states are none that they visit, but the last block's error needs no way back from theirs either.
    """
    images, labels = batch
    *_, below, scores = rule.represent(state, images)
    _, error = loss_and_error("cross_entropy", scores, labels)
    delta = hebbian_product(rule.network.chain[-1], state.params["network"][-1], below, error)
    u, v = (jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in (asked["network"][-1], delta))
    return jnp.vdot(u, v) / jnp.maximum(jnp.linalg.norm(u) * jnp.linalg.norm(v), 1e-30)


@functools.cache
def programs(name, architecture):
    """What the suite compiles of a rule, each once: its start, a step looked at from all sides, and its answers."""
    rule = rule_of(name, architecture)

    def step(key, state, batch):
        alignment = learning_rules.alignment_with_backprop(rule, state, key, batch)
        asked = rule.assign_credit(key, state, batch)[0]
        return asked, alignment, readout_alignment(rule, state, asked, batch)

    def answers(state, images):
        return rule.predict(state, images), rule.represent(state, images)

    return jax.jit(rule.init), jax.jit(step), jax.jit(answers)


@functools.cache
def trained(name, architecture):
    before = programs(name, architecture)[0](jax.random.key(0))
    after, (losses, accuracies) = train(rule_of(name, architecture), before)
    return before, after, np.asarray(losses), np.asarray(accuracies)


def test_every_rule_has_a_row():
    assert set(TABLE) == set(learning_rules.names(variants=True))


@every_rule
def test_pseudo_gradients_have_the_tree_of_the_parameters(name, architecture):
    rule = rule_of(name, architecture)
    state = programs(name, architecture)[0](jax.random.key(0))
    asked, after, info = jax.eval_shape(rule.assign_credit, jax.random.key(1), state, batch_of(0))
    assert jax.tree.structure(asked) == jax.tree.structure(state.params)
    for a, p in zip(jax.tree.leaves(asked), jax.tree.leaves(state.params), strict=True):
        assert a.shape == p.shape and a.dtype == p.dtype
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {"loss", "accuracy"} <= set(info)
    assert jax.tree.structure(rule.constrain(state.params)) == jax.tree.structure(state.params)


@every_rule
def test_starts_at_the_network_that_every_rule_starts_at(name, architecture):
    ours = programs(name, architecture)[0](jax.random.key(0)).params["network"]
    shared = shared_start(architecture)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(shared), strict=True):
        # Programs compiled in haste, as here, may differ in the last bit of what they draw.
        np.testing.assert_allclose(a, b, atol=3e-7)


@every_rule
def test_maps_over_seeds_and_depends_on_the_key_alone(name, architecture):
    rule = rule_of(name, architecture)

    init, one_step, _ = programs(name, architecture)
    keys, batch = jax.random.split(jax.random.key(0), 3), batch_of(0)
    states = [init(key) for key in keys]
    step = jax.jit(jax.vmap(lambda key, state: rule.assign_credit(key, state, batch)[0]))
    stacked = jax.tree.map(
        lambda *leaves: jnp.stack(leaves) if jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key) else np.stack(leaves), *states
    )
    together, again = step(keys, stacked), step(keys, stacked)
    alone, _, _ = one_step(keys[1], states[1], batch)
    for a, b, c in zip(jax.tree.leaves(together), jax.tree.leaves(again), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a[1], c, rtol=2e-3, atol=1e-5)


@every_rule
def test_learns_the_small_task(name, architecture):
    _, _, losses, accuracies = trained(name, architecture)
    assert np.all(np.isfinite(losses))
    assert losses[-10:].mean() < 0.7 * losses[:5].mean()
    assert accuracies[-10:].mean() > 0.6  # chance is a quarter


@every_rule
def test_every_block_moves_unless_it_is_declared_frozen(name, architecture):
    rule = rule_of(name, architecture)
    before, after, _, _ = trained(name, architecture)
    change = np.asarray(
        jax.jit(lambda b, a: learning_rules.relative_weight_change(rule.network, b, a))(
            before.params["network"], after.params["network"]
        )
    )
    assert np.all(np.isfinite(change))
    if rule.spec.frozen == "hidden":
        assert np.all(change[:-1] == 0) and change[-1] > 0.01
    else:
        assert np.all(change > 0.01)
    for part in set(before.params) - {"network"}:
        for a, b in zip(jax.tree.leaves(before.params[part]), jax.tree.leaves(after.params[part]), strict=True):
            assert np.abs(np.asarray(a) - np.asarray(b)).max() > 0


@every_rule
def test_everything_stays_finite(name, architecture):
    _, after, _, _ = trained(name, architecture)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(after))


@every_rule
def test_predicts_and_represents(name, architecture):
    rule = rule_of(name, architecture)
    _, state, _, _ = trained(name, architecture)
    images, labels = batch_of(7, n=200)
    scores, activations = programs(name, architecture)[2](state, images)
    assert scores.shape == (200, 4)
    assert np.mean(np.argmax(scores, -1) == np.asarray(labels)) > 0.6
    assert [h.shape[1:] for h in activations] == [node.output_shape for node in rule.network.nodes]


@every_rule
def test_alignment_with_backprop_is_a_cosine_beside_a_norm(name, architecture):
    _, state, _, _ = trained(name, architecture)
    _, alignment, readout = programs(name, architecture)[1](jax.random.key(5), state, batch_of(6))
    assert np.all(np.abs(alignment.cosine) <= 1 + 1e-5) and np.all(np.isfinite(alignment.reference_norm))
    spec = rule_of(name, architecture).spec
    if spec.activation in ("", *ACTIVATIONS):
        assert np.all(np.asarray(alignment.reference_norm) > 0)
        assert float(readout) > 0.9  # the last block's error needs no way back
    else:
        # Units that spike: backpropagation's is another network's gradient, and two presentations of an image are not alike; the
        # family's own tests hold the readout to the delta rule on the very spikes that it learned from.
        assert float(readout) > 0.3
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
        ("feedback_alignment/sign", {"magnitude": "large"}, "'uniform' or 'fixed'"),
        ("feedback_alignment/kolen_pollack", {"weight_decay": 0.0}, "without decay"),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build(name, network_of("mlp"), **options)


def test_options_can_be_asked_for():
    assert learning_rules.options_of("feedback_alignment/kolen_pollack").weight_decay > 0
    assert learning_rules.options_of("feedback_alignment").variant == "random"
