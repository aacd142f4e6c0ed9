"""The learning step is optax's, written once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_task import batch_of, network_of

import learning_rules
from learning_rules import RuleState


def test_it_equals_a_step_written_by_hand_with_optax_to_the_bit():
    network = network_of("mlp")
    rule = learning_rules.build("backprop", network, learning_rate=0.01, weight_decay=0.1)
    optimizer = optax.adamw(0.01, weight_decay=0.1)
    step = jax.jit(learning_rules.make_step(rule, optimizer))

    def loss(params, images, labels):
        scores = network.forward(params["network"], images)[-1]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))

    @jax.jit
    def by_hand(params, optimizer_state, batch):
        changes, optimizer_state = optimizer.update(jax.grad(loss)(params, *batch), optimizer_state, params)
        return optax.apply_updates(params, changes), optimizer_state

    learner = learning_rules.start(rule, optimizer, jax.random.key(0))
    params = {"network": network.init(jax.random.key(0))}
    optimizer_state = optimizer.init(params)
    for seed in range(3):
        learner, _ = step(learner, jax.random.key(seed), batch_of(seed))
        params, optimizer_state = by_hand(params, optimizer_state, batch_of(seed))
    for a, b in zip(
        jax.tree.leaves((learner.state.params, learner.optimizer_state)), jax.tree.leaves((params, optimizer_state)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def rule_of(**changes):
    return learning_rules.build("backprop", network_of("mlp"))._replace(**changes)


def test_the_optimiser_sees_the_parameters_that_credit_was_assigned_at_and_constraints_come_last():
    """A rule that moves its parameters while it assigns credit, decay that reads them, and a constraint that doubles."""
    seen = rule_of(
        init=lambda key: RuleState({"w": jnp.ones(3)}, jnp.zeros(())),
        assign_credit=lambda key, state, batch: (
            {"w": jnp.full(3, 0.5)},
            RuleState({"w": state.params["w"] + 1}, state.carry + 1),
            {"loss": batch},
        ),
        constrain=lambda params: {"w": 2 * params["w"]},
    )
    optimizer = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(1.0))
    learner = learning_rules.start(seen, optimizer, jax.random.key(0))
    learner, info = learning_rules.make_step(seen, optimizer)(learner, jax.random.key(1), 7.0)
    # 1 + 1 = 2; minus 0.5 and a tenth of 2; twice that.
    np.testing.assert_allclose(learner.state.params["w"], 2 * (2 - 0.5 - 0.2), rtol=1e-6)
    assert learner.state.carry == 1 and info == {"loss": 7.0}


def test_the_key_goes_to_the_rule():
    keyed = rule_of(
        init=lambda key: RuleState({"w": jax.random.normal(key, (3,))}, ()),
        assign_credit=lambda key, state, batch: ({"w": jax.random.normal(key, (3,))}, state, {}),
    )
    optimizer = optax.sgd(1.0)
    learner = learning_rules.start(keyed, optimizer, jax.random.key(4))
    after, _ = learning_rules.make_step(keyed, optimizer)(learner, jax.random.key(5), None)
    draws = [np.asarray(jax.random.normal(jax.random.key(seed), (3,))) for seed in (4, 5)]
    np.testing.assert_allclose(after.state.params["w"], draws[0] - draws[1], rtol=1e-6)


@pytest.mark.parametrize("network", ["mlp", "elman"])
def test_learners_of_several_seeds_step_together(network):
    rule = learning_rules.build("backprop", network_of(network))
    optimizer = rule.optimizer()
    step = learning_rules.make_step(rule, optimizer)
    keys, batch = jax.random.split(jax.random.key(0), 3), batch_of(0)
    learners = jax.jit(jax.vmap(lambda key: learning_rules.start(rule, optimizer, key)))(keys)
    together, info = jax.jit(jax.vmap(lambda learner, key: step(learner, key, batch)))(learners, keys)
    assert info["loss"].shape == (3,)
    alone, _ = jax.jit(step)(jax.tree.map(lambda leaf: leaf[1], learners), keys[1], batch)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-6)
