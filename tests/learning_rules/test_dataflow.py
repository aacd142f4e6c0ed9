"""Where values of a traced program come from: which way a weight was read, what is a copy, what a cut wire hides."""

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

from learning_rules.plausibility.axes import reshape
from learning_rules.plausibility.dataflow import count_products, walk
from learning_rules.plausibility.origins import Origin, Weight
from learning_rules.plausibility.tagging import WIRE


def tokens_of(function, origins, *arguments, n_examples=5, cut=False):
    closed = jax.make_jaxpr(function)(*arguments)
    found, reads = walk(closed, origins, n_examples, cut)
    return [each.tokens for each in found], reads, found


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
        h = checkpoint_name(jnp.tanh(x @ w), f"{WIRE}2")
        return h * 2

    (tokens,), _, _ = tokens_of(marked, [KERNEL, SIGNAL], W, X, cut=True)
    assert tokens == {("activity", 2)}
    (tokens,), _, _ = tokens_of(marked, [KERNEL, SIGNAL], W, X)
    assert ("weights", 3, "forward") in tokens


def test_a_state_that_goes_on_a_wire_later_counts_as_that_blocks():
    def settle(w, x):
        def step(h, _):
            z = checkpoint_name(h, f"{WIRE}1") @ w
            return h - 0.1 * z @ w.T, None

        return jax.lax.scan(step, x @ w @ w.T, None, length=3)[0]

    (tokens,), _, _ = tokens_of(settle, [KERNEL, SIGNAL], W, X, cut=True)
    assert tokens == {("activity", 1)}


def test_axes_go_along_with_any_shape():
    axes = (IN, IN, IN, OUT)
    assert reshape(axes, (3, 3, 4, 8), (36, 8)) == (IN, OUT)
    assert reshape((IN, OUT), (36, 8), (3, 3, 4, 8)) == axes
    assert reshape((IN, OUT), (4, 6), (24,)) == (IN | OUT,)
    assert reshape((IN, OUT), (4, 6), (1, 4, 6)) == (frozenset(), IN, OUT)
