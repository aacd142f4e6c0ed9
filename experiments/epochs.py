"""The hot loop: one epoch is one `lax.scan`, all seeds in one program, no word from the host in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int, Key, PRNGKeyArray

from learning_rules import Learner, LearningRule, RuleState, make_step, start

__all__ = [
    "EVALUATION_CHUNK",
    "EpochSummary",
    "Programs",
    "in_chunks",
    "in_equal_chunks",
    "keys_of",
    "make_programs",
    "on_one_batch",
    "over_seeds",
]

EVALUATION_CHUNK = 500
"""Images whose activations are held at a time where no gradient is taken."""


class EpochSummary(NamedTuple):
    """Means over the steps of an epoch."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


class Programs(NamedTuple):
    """The functions of a run, each over a leading axis of seeds; all but the start are compiled.

    Attributes
    ----------
    init
        Keys (n_seeds,) -> Learner.
    epoch
        (learner, keys, epoch, images, labels) -> (learner, EpochSummary).
    draw
        (keys, epoch, number of images) -> the images of every step, (n_seeds, n_steps, batch), and the keys of the rule,
        (n_seeds, n_steps): what an epoch is made of.
    walk
        (learner, images, labels, images of every step, keys of the rule) -> (learner, EpochSummary of every step): some steps of an
        epoch. Images and labels have a leading axis of seeds, and steps find theirs among them.
    summarise
        EpochSummary of every step -> EpochSummary.
    evaluate
        (state, images, labels) -> counts of (true class, predicted class), (n_seeds, n_classes, n_classes).
    """

    init: Callable[[Array], Learner]
    epoch: Callable[[Learner, PRNGKeyArray, Array, Array, Array], tuple[Learner, EpochSummary]]
    draw: Callable[[Array, Array, int], tuple[Array, Array]]
    walk: Callable[[Learner, Array, Array, Array, Array], tuple[Learner, EpochSummary]]
    summarise: Callable[[EpochSummary], EpochSummary]
    evaluate: Callable[[RuleState, Array, Array], Int[Array, "n_seeds n_classes n_classes"]]


def keys_of(seeds: Sequence[int]) -> Key[Array, " n_seeds"]:
    """The keys that networks are drawn and trained with, one a seed.

    Parameters
    ----------
    seeds
        Numbers of the networks.
    """
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def over_seeds(function: Callable[..., Any]) -> Callable[..., Any]:
    """Map over the leading axis of all arguments: `vmap`, and on a CPU one seed after the other in one program.

    A CPU has nothing to gain from a batch of small matrix products; its compiler runs them slower than the same products in turn.
    """
    if jax.default_backend() == "cpu":
        return lambda *arguments: jax.lax.map(lambda each: function(*each), arguments)
    return jax.vmap(function)


def on_one_batch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of a function of a batch and of what a seed has, one of the same batch and of what all seeds have.

    The batch is an argument of whatever is compiled: of a program's constants, patches for every convolution are cut while it is.
    """
    return lambda batch, *of_seeds: over_seeds(lambda *given: function(batch, *given))(*of_seeds)


def in_chunks(function: Callable[[Array], Any], x: Array, chunk: int = EVALUATION_CHUNK) -> Any:
    """`function` of x (n, ...) in chunks of bounded memory; it must treat examples apart."""
    n = x.shape[0]
    if n <= chunk:
        return function(x)
    n_whole = n // chunk * chunk
    whole = jax.lax.map(function, x[:n_whole].reshape(-1, chunk, *x.shape[1:]))
    joined = jax.tree.map(lambda leaf: leaf.reshape(n_whole, *leaf.shape[2:]), whole)
    if n_whole == n:
        return joined
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), joined, function(x[n_whole:]))


def in_equal_chunks(function: Callable[[Array], Array], x: Array, chunk: int = EVALUATION_CHUNK) -> Array:
    """`function` of x (n, ...) in chunks of one size, the last one filled up.

    What becomes of an example then does not depend on how many others there are: the last bits of a product of matrices do, since
    products of another size are added up in another order.
    """
    n_rest = len(x) % chunk
    if not n_rest:
        return jnp.asarray(in_chunks(function, x, chunk))
    n_whole = len(x) - n_rest
    rest = function(jnp.pad(x[n_whole:], ((0, chunk - n_rest), *((0, 0),) * (x.ndim - 1))))[:n_rest]
    return jnp.concatenate([in_chunks(function, x[:n_whole], chunk), rest]) if n_whole else rest


def make_programs(rule: LearningRule, transform: optax.GradientTransformation, batch_size: int, n_classes: int) -> Programs:
    """The functions of a run. Keys are those of the seeds; what a seed draws for weights, order and rule is derived from its own.

    The order of images depends on the seed and the epoch alone, so that every rule sees the same.
    """
    learn = make_step(rule, transform)

    # Not one program, unlike the rest: what draws weights is compiled once for all rules that draw the same shapes.
    def init(keys: Array) -> Learner:
        starts = [start(rule, transform, jax.random.fold_in(key, 0)) for key in keys]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)

    def draw(key: PRNGKeyArray, index: Array, n_images: int) -> tuple[Int[Array, "n_steps batch"], Key[Array, " n_steps"]]:
        n_steps = n_images // batch_size
        order_key = jax.random.fold_in(jax.random.fold_in(key, 1), index)
        rule_key = jax.random.fold_in(jax.random.fold_in(key, 2), index)
        order = jax.random.permutation(order_key, n_images)[: n_steps * batch_size].reshape(n_steps, batch_size)
        return order, jax.random.split(rule_key, n_steps)

    def walk(
        learner: Learner, images: Array, labels: Array, order: Int[Array, "n_steps batch"], keys: Key[Array, " n_steps"]
    ) -> tuple[Learner, EpochSummary]:
        def step(learner: Learner, now: tuple[Array, PRNGKeyArray]) -> tuple[Learner, EpochSummary]:
            chosen, step_key = now
            learner, info = learn(learner, step_key, (images[chosen], labels[chosen]))
            return learner, EpochSummary(info["loss"], info.get("accuracy", jnp.full((), jnp.nan)))

        return jax.lax.scan(step, learner, (order, keys))

    def epoch(learner: Learner, key: PRNGKeyArray, index: Array, images: Array, labels: Array) -> tuple[Learner, EpochSummary]:
        learner, trace = walk(learner, images, labels, *draw(key, index, len(labels)))
        return learner, jax.tree.map(jnp.mean, trace)

    def evaluate(state: RuleState, images: Array, labels: Array) -> Int[Array, "n_classes n_classes"]:
        predicted = in_chunks(lambda x: jnp.argmax(rule.predict(state, x), axis=-1), images)
        return jnp.zeros((n_classes, n_classes), jnp.int32).at[labels, predicted].add(1)

    return Programs(
        init=init,
        epoch=jax.jit(
            lambda learner, keys, index, images, labels: over_seeds(lambda one, key: epoch(one, key, index, images, labels))(
                learner, keys
            ),
            donate_argnums=0,
        ),
        draw=jax.jit(lambda keys, index, n_images: over_seeds(lambda key: draw(key, index, n_images))(keys), static_argnums=2),
        walk=jax.jit(lambda *given: over_seeds(walk)(*given), donate_argnums=0),
        summarise=jax.jit(over_seeds(lambda trace: jax.tree.map(jnp.mean, trace))),
        evaluate=jax.jit(lambda states, images, labels: over_seeds(lambda state: evaluate(state, images, labels))(states)),
    )
