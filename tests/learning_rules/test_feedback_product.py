"""Product feedback alignment: the paper's equations written out, backpropagation as a limit, and how near it comes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_task import batch_of, double, network_of, train

import learning_rules
from learning_rules import InputError, RuleState
from learning_rules.feedback_expansions import contracted, expanded
from learning_rules.feedback_weights import feedback_angles
from learning_rules.objectives import Batch

NAME = "feedback_alignment/product"
COUNTS = np.array([1.0, 0, 1, 1, 0, 1])


def assert_same(a, b, rtol=1e-9):
    for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=rtol * float(np.abs(q).max()))


def test_both_ways_follow_the_published_equations_written_out():
    """Ji-An and Benna 2024: the error meets P and then R; R learns from what P has made of it and what is below."""
    rule = learning_rules.build(NAME, network_of("mlp", hidden=(6, 5), activation="tanh"), expansion=3.0, feedback_gain=1.0)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        updates = jax.jit(rule.assign_credit)(jax.random.key(1), state, Batch(images, labels, jnp.asarray(COUNTS)))[0]
        params = state.params["network"]
        w, c = ([np.asarray(own[name]) for own in params] for name in ("kernel", "bias"))
        r = [None] + [np.asarray(own["kernel"]) for own in state.params["feedback"][1:]]
        p = [None] + [np.asarray(next(m for m in own if m is not None)) for own in state.carry["expansions"][1:]]
        x = np.asarray(images).reshape(6, -1)
        h1 = np.tanh(x @ w[0] + c[0])
        h2 = np.tanh(h1 @ w[1] + c[1])
        scores = h2 @ w[2] + c[2]
        odds = np.exp(scores - scores.max(1, keepdims=True))
        delta3 = (COUNTS / COUNTS.sum())[:, None] * (odds / odds.sum(1, keepdims=True) - np.eye(4)[np.asarray(labels)])
        wide3 = delta3 @ p[2]
        delta2 = (wide3 @ r[2].T) * (1 - h2**2)
        wide2 = delta2 @ p[1]
        delta1 = (wide2 @ r[1].T) * (1 - h1**2)
        assert [m.shape for m in p[1:]] == [(5, 15), (4, 12)]
        each = zip((x, h1, h2), (delta1, delta2, delta3), strict=True)
        assert_same(updates["network"], tuple({"kernel": below.T @ d, "bias": d.sum(0)} for below, d in each))
        assert_same([own["kernel"] for own in updates["feedback"][1:]], [h1.T @ wide2, h2.T @ wide3])


@pytest.mark.parametrize("architecture", ["elman", pytest.param("cnn", marks=pytest.mark.thorough)])
def test_a_product_that_is_the_forward_weights_gives_the_gradient(architecture):
    """R P^T = W: P turns, and R is W turned alike."""
    network = network_of(architecture)
    rule = learning_rules.build(NAME, network, expansion=1.0)
    with jax.enable_x64(True):
        state = double(rule.init(jax.random.key(0)))
        params = state.params["network"]

        expansions = jax.tree.map(lambda matrix: jnp.linalg.qr(matrix)[0], state.carry["expansions"])
        heard = tuple(None if b is None else own for own, b in zip(params, state.params["feedback"], strict=True))
        met = RuleState({"network": params, "feedback": expanded(network, heard, expansions)}, {"expansions": expansions})
        images, labels = batch_of(2, n=6, dtype=jnp.float64)
        asked = jax.jit(rule.assign_credit)(jax.random.key(1), met, (images, labels))[0]["network"]

        def loss(params):
            scores = network.scores(network.forward(params, images)[-1])
            return -jnp.mean(jnp.sum(jax.nn.log_softmax(scores) * jax.nn.one_hot(labels, 4), axis=1))

        assert_same(asked, jax.jit(jax.grad(loss))(params))


def test_the_way_back_comes_as_near_to_the_forward_weights_as_a_random_expansion_lets_it():
    """arctan of one over the root of the ratio, while no array on the way back has the forward weights' shape."""
    network = network_of("mlp")
    rule = learning_rules.build(NAME, network, learning_rate=0.1, weight_decay=0.02, expansion=9.0, feedback_gain=1.0)
    before = rule.init(jax.random.key(0))
    after, (losses, _) = train(rule, before, n_steps=600)

    def angles(state):
        feedback = contracted(network, state.params["feedback"], state.carry["expansions"])
        return [float(angle) for angle in feedback_angles(network, state.params["network"], feedback)]

    assert min(angles(before)) > 60
    np.testing.assert_allclose(angles(after), np.degrees(np.arctan(1 / 3)), atol=6)
    assert float(losses[-100:].mean()) < 0.5 * float(losses[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_decay": 0.0}, "without decay"),
        ({"expansion": 0.0}, "expansion=0.0 was given"),
        ({"momentum": 1.0}, "momentum=1.0 was given"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        learning_rules.build(NAME, network_of("mlp"), **options)
