"""Where values of a traced program come from: which way a weight was read, what is a copy, what a cut wire hides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learning_rules.plausibility.axes import reshape
from learning_rules.plausibility.dataflow import count_products, walk, walk_cut
from learning_rules.plausibility.jaxprs import mark, scaled_forward
from learning_rules.plausibility.origins import Origin, Weight
from learning_rules.plausibility.tagging import WIRE


def tokens_of(function, origins, *arguments, n_examples=5):
    found, reads = walk(jax.make_jaxpr(function)(*arguments), origins, n_examples)
    return [each.tokens for each in found], reads, found


def cut(function, *arguments, dead=frozenset()):
    found, entering = walk_cut(jax.make_jaxpr(function)(*arguments), [KERNEL, SIGNAL], 5, dead)
    return [each.tokens for each in found], entering


IN, OUT = frozenset({"in"}), frozenset({"out"})
KERNEL = Origin(weight=Weight(3, (IN, OUT)))
SIGNAL = Origin(frozenset({("labels",)}))
W, X, E = jnp.ones((4, 6)), jnp.ones((5, 4)), jnp.ones((5, 6))


@pytest.mark.parametrize(
    ("function", "signal", "how"),
    [
        (lambda w, x: x @ w, X, "forward"),
        (lambda w, e: e @ w.T, E, "backward"),
        (lambda w, e: e @ (2.0 * w.reshape(2, 2, 6)).reshape(4, 6).T, E, "backward"),
        (lambda w, e: e @ jnp.sign(w).T, E, "sign backward"),
        (lambda w, e: (e[:, None, :] * w).sum(axis=2), E, "backward"),
        (lambda w, x: (x[:, :, None] * w).sum(axis=1), X, "forward"),
        (lambda w, e: e @ (w @ jnp.eye(6)).T, E, "backward"),
        (lambda w, e: jax.jit(lambda w, e: e @ w.T)(w, e), E, "backward"),
        (lambda w, e: jax.lax.cond(e.sum() > 0, lambda: e @ w.T, lambda: jnp.zeros((5, 4))), E, "backward"),
        (lambda w, x: jax.vjp(lambda x: jnp.tanh(x @ w), x)[1](jnp.ones((5, 6)) * x.sum())[0], X, "backward"),
        (lambda w, e: jnp.einsum("io,no->ni", w, e), E, "backward"),
        (lambda w, e: jax.vmap(lambda each: w @ each)(e), E, "backward"),
        (lambda w, e: jax.lax.scan(lambda c, _: (c @ w @ w.T * 0.1, None), e @ w.T, None, length=3)[0], E, "backward"),
        (lambda w, e: jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] @ w.T @ w), (0, e))[1], E, "backward"),
    ],
)
def test_a_product_says_which_way_a_weight_was_read(function, signal, how):
    (tokens,), reads, _ = tokens_of(function, [KERNEL, SIGNAL], W, signal)
    assert ("weights", 3, how) in tokens and ("labels",) in tokens
    if how == "forward":
        assert not any(token[0] == "weights" and "backward" in token[2] for token in tokens)


def test_products_are_counted_with_the_length_of_their_loops():
    _, reads, _ = tokens_of(lambda w, x: jax.lax.scan(lambda c, _: (c, c @ w), x, None, length=7)[1], [KERNEL, SIGNAL], W, X)
    assert reads.forward[3] == reads.products == 7 * 5 * 4 * 6 and not reads.backward


def test_products_that_nothing_needs_are_not_counted():
    program = jax.make_jaxpr(lambda w, x: (x @ w, (x @ w @ w.T).shape[0])[0])(W, X)
    assert count_products(program) == 5 * 4 * 6


def test_a_number_an_example_is_known_as_such():
    def broadcast(w, x):
        reward = jnp.mean(x @ w, axis=1)
        return x * reward[:, None], x * jnp.mean(x @ w)

    found, _, _ = tokens_of(broadcast, [KERNEL, SIGNAL], W, X)
    assert all(("scalar", ("weights", 3, "forward")) in tokens and ("weights", 3, "forward") not in tokens for tokens in found)

    def of_phases(w, x):
        rewards = jnp.stack([jnp.mean(x @ w, axis=1)] * 2)
        return jnp.sum(rewards[:, :, None] * x, axis=0)

    assert ("weights", 3, "forward") not in tokens_of(of_phases, [KERNEL, SIGNAL], W, X)[0][0]
    assert ("weights", 3, "forward") in tokens_of(lambda w, x: x @ w[:, :2], [KERNEL, SIGNAL], W, X)[0][0]


def test_copies_are_told_from_what_was_made_of_them():
    images = Origin(frozenset({("images",)}), copy="images")
    _, _, found = tokens_of(
        lambda x, kept: (kept.at[:5].set(x), 0.9 * kept + x.mean(axis=0), jnp.concatenate([kept[5:], x])),
        [images, Origin(frozenset({("carry",)}))],
        X,
        jnp.zeros((20, 4)),
    )
    assert [each.copy for each in found] == ["images", "", "images"]


def test_a_cut_wire_hides_what_is_below_it():
    def marked(w, x):
        return 2 * mark(jnp.tanh(x @ w), f"{WIRE}2 7")

    (tokens,), entering = cut(marked, W, X)
    assert tokens == {("activity", 2)} and entering[2] == {("activity", 2), ("weights", 3, "forward"), ("labels",)}
    (tokens,), entering = cut(marked, W, X, dead=frozenset({(7, False)}))
    assert tokens == {("activity", 2)} and not entering


def test_what_is_shown_on_a_dead_wire_is_no_activity_elsewhere():
    def shown(w, x):
        h = jnp.tanh(x @ w)
        return h + 0 * mark(h, f"{WIRE}2 7")

    assert cut(shown, W, X)[0] == [{("activity", 2)}]
    assert ("weights", 3, "forward") in cut(shown, W, X, dead=frozenset({(7, False)}))[0][0]


def test_whole_wires_hide_nothing():
    def marked(w, x):
        return 2 * mark(jnp.tanh(x @ w), f"{WIRE}2 7")

    (tokens,), _, _ = tokens_of(marked, [KERNEL, SIGNAL], W, X)
    assert ("weights", 3, "forward") in tokens


def test_a_tangent_that_is_carried_over_a_wire_is_on_it_and_what_comes_back_is_not():
    def carried(w, x):
        return jax.jvp(lambda h: jnp.tanh(mark(h, f"{WIRE}2 7")), (x @ w,), (x @ w,))[1]

    assert cut(carried, W, X)[0] == [{("activity", 2)}]
    assert not cut(carried, W, X, dead=frozenset({(7, True), (7, False)}))[1]

    def back(w, e):
        return jax.grad(lambda x: jnp.sum(mark(x @ w, f"{WIRE}2") * e))(jnp.ones((5, 4)))

    assert cut(back, W, E)[0] == [{("weights", 3, "backward"), ("labels",)}]


def test_a_state_that_goes_on_a_wire_later_counts_as_that_nodes():
    def settle(w, x):
        def step(h, _):
            z = mark(h, f"{WIRE}1") @ w
            return h - 0.1 * z @ w.T, None

        return jax.lax.scan(step, x @ w @ w.T, None, length=3)[0]

    (tokens,), entering = cut(settle, W, X)
    assert tokens == {("activity", 1)} and ("weights", 3, "backward") in entering[1]


def test_forward_factors_leave_what_comes_back_alone():
    x, zero, one = jnp.arange(3.0), jnp.zeros(()), jnp.ones(())
    silenced = [lambda x, f=f: jnp.sin(scaled_forward(x, *f)) for f in ((zero, one), (one, zero))]
    assert not np.any(silenced[0](x)) and np.array_equal(silenced[1](x), jnp.sin(x))
    assert not np.any(jax.jvp(silenced[1], (x,), (x,))[1]) and np.array_equal(jax.jvp(silenced[0], (x,), (x,))[1], x)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(silenced[1](x)))(x), jnp.cos(x))
    np.testing.assert_array_equal(jax.vmap(silenced[0])(x[None]), [silenced[0](x)])


def test_axes_go_along_with_any_shape():
    axes = (IN, IN, IN, OUT)
    assert reshape(axes, (3, 3, 4, 8), (36, 8)) == (IN, OUT)
    assert reshape((IN, OUT), (36, 8), (3, 3, 4, 8)) == axes
    assert reshape((IN, OUT), (4, 6), (24,)) == (IN | OUT,)
    assert reshape((IN, OUT), (4, 6), (1, 4, 6)) == (frozenset(), IN, OUT)
