"""The identities that prove local losses: each block follows its own gradient, and nothing crosses a block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import NETWORKS, batch_of, double, network_of

import architectures
import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.local_losses import similarity_matrix

both_networks = pytest.mark.parametrize("architecture", sorted(NETWORKS))
VARIANTS = ("prediction", "similarity_matching", "both")


def rule_of(variant, network, **options):
    return learning_rules.build("local_losses", network, variant=variant, similarity_units=12, **options)


def state_of(rule):
    return double(jax.jit(rule.init)(jax.random.key(0)))


def assert_same(a, b, rtol=1e-10):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(jnp.abs(q).max()))


def cells_of(h, grid):
    """Averages over cells, one cell after the other (the rule multiplies with a matrix)."""
    if h.ndim == 2:
        return h
    n, height, width, channels = h.shape
    down, across = min(grid, height), min(grid, width)
    rows = [
        jnp.mean(
            h[:, i * height // down : -(-(i + 1) * height // down), j * width // across : -(-(j + 1) * width // across)], (1, 2)
        )
        for i in range(down)
        for j in range(across)
    ]
    return jnp.stack(rows, axis=1).reshape(n, -1)


def correlations(features):
    """Adjusted cosines are Pearson correlations between rows."""
    deviations = features - features.mean(1, keepdims=True)
    lengths = jnp.linalg.norm(deviations, axis=1)
    return deviations @ deviations.T / jnp.outer(lengths, lengths)


def sum_of_local_losses(network, params, images, labels, share, grid, stop):
    """The definition in one expression: with `stop` no gradient crosses a block, so one gradient holds them all."""
    target = jax.nn.one_hot(labels, network.n_classes, dtype=images.dtype)
    h, total = images, 0.0
    for block, w, head in zip(network.chain, params["network"], (*params["heads"], None), strict=True):
        h = block.activate(block.synapse(w, jax.lax.stop_gradient(h) if stop else h))
        if head is None:
            total += -jnp.mean(jnp.sum(jax.nn.log_softmax(h) * target, 1))
            break
        features = cells_of(h, grid)
        if share < 1:
            guess = features @ head["prediction"]["kernel"] + head["prediction"]["bias"]
            total += (share - 1) * jnp.mean(jnp.sum(jax.nn.log_softmax(guess) * target, 1))
        if share > 0:
            difference = correlations(features @ head["similarity"]["kernel"]) - correlations(target)
            total += share * jnp.mean(difference**2)
    return total


@both_networks
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_block_and_head_follow_the_gradient_of_their_own_loss(architecture, variant):
    network = network_of(architecture)
    grid = 3  # uneven cells on maps of 4x4
    rule = rule_of(variant, network, grid=grid, similarity_share=0.6)
    share = {"prediction": 0.0, "similarity_matching": 1.0, "both": 0.6}[variant]
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)

        @jax.jit
        def compare(state):
            asked, _, info = rule.assign_credit(jax.random.key(1), state, (images, labels))
            reference = [
                jax.value_and_grad(lambda p, s=stop: sum_of_local_losses(network, p, images, labels, share, grid, s))(state.params)
                for stop in (True, False)
            ]
            return asked, info, reference

        asked, info, ((total, stopped), (_, crossing)) = compare(state)
        assert_same(asked, stopped)
        np.testing.assert_allclose(info["loss"] + sum(info["block_loss"]), total, rtol=1e-12)
        # Let through, errors from above would change what every hidden block is asked.
        for a, b in zip(asked["network"][:-1], crossing["network"][:-1], strict=True):
            assert float(jnp.linalg.norm(a["kernel"] - b["kernel"])) > 0.05 * float(jnp.linalg.norm(a["kernel"]))


@both_networks
def test_one_block_and_its_own_head_is_backpropagation(architecture):
    """The head of the first block read as the last block of a network of two: the same gradients."""
    network = network_of(architecture)
    rule = rule_of("prediction", network, grid=64)
    with jax.enable_x64(True):
        state, (images, labels) = state_of(rule), batch_of(2, dtype=jnp.float64)
        first = network.blocks[0]
        head = architectures.dense_block("head", first.output_shape, network.n_classes, "identity")
        shallow = architectures.Network("shallow", network.input_shape, network.n_classes, (first, head))
        backprop = learning_rules.build("backprop", shallow)
        params = {"network": (state.params["network"][0], state.params["heads"][0]["prediction"])}
        asked = jax.jit(rule.assign_credit)(jax.random.key(1), state, (images, labels))[0]
        reference = jax.jit(backprop.assign_credit)(jax.random.key(1), RuleState(params, ()), (images, labels))[0]["network"]
        assert_same((asked["network"][0], asked["heads"][0]["prediction"]), reference, 1e-12)


@both_networks
def test_what_a_block_is_asked_does_not_depend_on_anything_above(architecture):
    network = network_of(architecture)
    rule = rule_of("both", network)
    with jax.enable_x64(True):
        state, batch = state_of(rule), batch_of(2, dtype=jnp.float64)
        ask = jax.jit(lambda params: rule.assign_credit(jax.random.key(1), RuleState(params, ()), batch)[0])
        before = ask(state.params)
        for lowest in range(1, len(network.blocks)):
            shaken = {
                part: (*trees[:lowest], *jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(leaf * 50), trees[lowest:]))
                for part, trees in state.params.items()
            }
            after = ask(shaken)
            for part in before:
                assert_same(after[part][:lowest], before[part][:lowest], 1e-12)
            assert float(jnp.abs(after["network"][lowest]["kernel"] - before["network"][lowest]["kernel"]).max()) > 1e-4


def test_without_hidden_blocks_nothing_but_the_delta_rule_is_left():
    network = network_of("mlp", hidden=())
    rule, backprop = rule_of("both", network), learning_rules.build("backprop", network)
    with jax.enable_x64(True):
        state, batch = state_of(rule), batch_of(2, dtype=jnp.float64)
        asked = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]
        reference = backprop.assign_credit(jax.random.key(1), RuleState({"network": state.params["network"]}, ()), batch)[0]
        assert_same(asked["network"], reference["network"], 1e-12)


def test_positions_of_an_unrolled_chain_have_heads_of_their_own_and_one_sum():
    blocks = (
        architectures.dense_block("first", (8, 8, 1), 12, "tanh"),
        architectures.dense_block("loop", (12,), 12, "tanh"),
        architectures.dense_block("output", (12,), 4, "identity"),
    )
    tied = architectures.Network("recurrent", (8, 8, 1), 4, blocks, order=(0, 1, 1, 2))
    loose = architectures.Network("deep", (8, 8, 1), 4, (blocks[0], blocks[1], blocks[1], blocks[2]))
    rule, apart = rule_of("both", tied), rule_of("both", loose)
    with jax.enable_x64(True):
        state, batch = state_of(rule), batch_of(2, dtype=jnp.float64)
        assert len(state.params["heads"]) == 3
        asked = jax.jit(rule.assign_credit)(jax.random.key(1), state, batch)[0]
        unrolled = RuleState({**state.params, "network": tied.unroll(state.params["network"])}, ())
        each = jax.jit(apart.assign_credit)(jax.random.key(1), unrolled, batch)[0]
        assert_same(asked["network"][1], jax.tree.map(jnp.add, each["network"][1], each["network"][2]), 1e-12)
        assert_same(asked["heads"], each["heads"], 1e-12)


def test_similarities_are_correlations_and_heads_stay_small_on_large_maps():
    rows = np.random.default_rng(0).normal(size=(7, 20))
    with jax.enable_x64(True):
        np.testing.assert_allclose(similarity_matrix(jnp.asarray(rows)), np.corrcoef(rows), atol=1e-9)
    network = architectures.build("cnn", input_shape=(64, 64, 3), n_classes=10)
    heads = jax.eval_shape(learning_rules.build("local_losses", network).init, jax.random.key(0)).params["heads"]
    assert heads[0]["prediction"]["kernel"].shape == (4 * 4 * 32, 10)
    assert heads[0]["similarity"]["kernel"].shape == (4 * 4 * 32, 64)
    assert heads[2]["similarity"]["kernel"].shape == (128, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity_share": 1.5}, "between 0 and 1"),
        ({"grid": 0}, "at least 1"),
        ({"similarity_units": 0}, "at least 1"),
        ({"variant": "predictoin"}, "did you mean 'prediction'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        rule = learning_rules.build("local_losses", network_of("mlp"), **options)
        rule.assign_credit(jax.random.key(0), rule.init(jax.random.key(0)), batch_of(0))
