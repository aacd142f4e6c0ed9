"""A rule on the examiner's table: a small network of its own, a state that has learned a little, batches, and its traced program.

Everything that criteria need is worked out once and kept. The network is small, since no verdict may depend on its width, and its
batch is smaller than every block's fan-in and unlike every width, so that a number per example is known by its length.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

import architectures
from architectures import Network
from learning_rules.contract import LearningRule, RuleState
from learning_rules.plausibility.axes import Axes
from learning_rules.plausibility.dataflow import Reads, walk
from learning_rules.plausibility.origins import Origin, Weight
from learning_rules.plausibility.tagging import marked

__all__ = ["LONG", "N_EXAMPLES", "Dataflow", "Images", "Subject", "digits", "small_network"]

N_EXAMPLES = 7
_STEPS_BEFORE = 5
_STEP = 0.05
LONG = (128, 88)
"""Batch size and steps of the training that most criteria look at."""


class Images(NamedTuple):
    """Small images to learn from: `(n, 8, 8, 1)` standardised, and labels `(n,)`, for learning and for the test."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def digits() -> Images:
    """scikit-learn's handwritten digits, of which every fifth is kept for the test."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = ((data.images - data.images.mean()) / data.images.std()).astype(np.float32)[..., None]
    held_out = np.arange(len(images)) % 5 == 4
    order = np.random.default_rng(0).permutation(np.flatnonzero(~held_out))
    labels = data.target.astype(np.int32)
    return Images(images[order], labels[order], images[held_out], labels[held_out])


def small_network(architecture: str) -> Network:
    """Four blocks, so that there are blocks with two above them."""
    if architecture == "cnn":
        options: dict[str, Any] = {"channels": (8, 12), "hidden": (24,)}
    else:
        options = {"hidden": (48, 40, 32)} if architecture == "mlp" else {}
    return architectures.build(architecture, input_shape=(8, 8, 1), n_classes=10, **options)


class Dataflow(NamedTuple):
    """What the traced program of a learning step after any number of others says.

    Attributes:
        updates: for each block, tokens of what the rule asks of it in the last step.
        signals: the same with wires cut: what a block's change needs beside activities.
        carry: origin of every array in the carry, by path.
        reads: products that read each block's weights, of one step.
        inference: the same of `represent`.
    """

    updates: tuple[frozenset[Any], ...]
    signals: tuple[frozenset[Any], ...]
    carry: dict[str, Origin]
    reads: Reads
    inference: Reads


def _fan_axes(block: architectures.Block) -> dict[str, Axes]:
    """Which axes of each parameter array a synapse sums over: found by asking which outputs move with which entry.

    A unit's weights are those entries that move one of the last axis's outputs alone; all other axes are fan-in.
    """
    found = {}
    for name, leaf in jax.eval_shape(block.init, jax.random.key(0)).items():
        shape = leaf.shape
        out, into = frozenset({"out"}), frozenset({"in"})
        # Of a kernel the last axis are the units, as the contract of blocks has it; a bias has units alone.
        found[name] = tuple(out if axis == len(shape) - 1 else into for axis in range(len(shape)))
    return found


@dataclasses.dataclass
class Subject:
    """One rule, examined.

    Attributes:
        name: what the card calls it.
        make: network -> rule.
        architecture: of the small network.
        seed: of everything that is drawn.
        images: what it learns from.
        given: a network of 8 x 8 images to examine it on instead of the small one.
        n_examples: in a batch; smaller than every fan-in above the first block, and neither it nor its doubles any block's width.
    """

    name: str
    make: Callable[[Network], LearningRule]
    architecture: str = "mlp"
    seed: int = 0
    images: Images = dataclasses.field(default_factory=digits)
    given: Network | None = None
    n_examples: int = N_EXAMPLES

    @cached_property
    def network(self) -> Network:
        """The small network, or the one that was given."""
        return self.given or small_network(self.architecture)

    @cached_property
    def rule(self) -> LearningRule:
        """The rule on it."""
        return self.make(self.network)

    @property
    def hidden(self) -> range:
        """Positions of all blocks but the last."""
        return range(len(self.network.blocks) - 1)

    def once(self, name: str, work: Callable[[Subject], Any]) -> Any:
        """Do something that several criteria need once, and remember it by name."""
        known = self.__dict__.setdefault("_known", {})
        if name not in known:
            known[name] = work(self)
        return known[name]

    def key(self, use: int) -> Array:
        """A key of its own for each use."""
        return jax.random.fold_in(jax.random.key(self.seed), use)

    def batch(self, index: int) -> tuple[Array, Array]:
        """The index-th batch of the training images."""
        at = (np.arange(self.n_examples) + index * self.n_examples) % len(self.images.train)
        return jnp.asarray(self.images.train[at]), jnp.asarray(self.images.train_labels[at])

    def train(self, batch_size: int, n_steps: int) -> RuleState:
        """Learn by the rule's own optimiser at a constant rate, from its own start, over the images in turn."""
        learn = self.once(f"learn in batches of {batch_size}", lambda of: of._learner(batch_size))
        learned: RuleState = learn(self.rule.init(self.key(4)), jnp.asarray(n_steps))
        return learned

    def _learner(self, batch_size: int) -> Callable[[RuleState, Array], RuleState]:
        """(state, number of steps) -> state; compiled once for any number of steps."""
        rule, key = self.rule, self.key(5)
        optimizer = rule.optimizer()
        images, labels = jnp.asarray(self.images.train), jnp.asarray(self.images.train_labels)

        def step(index: Array, carried: Any) -> Any:
            state, moments = carried
            at = (index * batch_size + jnp.arange(batch_size)) % len(images)
            asked, state, _ = rule.assign_credit(jax.random.fold_in(key, index), state, (images[at], labels[at]))
            updates, moments = optimizer.update(asked, moments, state.params)
            params = rule.constrain(optax.apply_updates(state.params, updates))
            return state._replace(params=params), moments

        return jax.jit(lambda state, n: jax.lax.fori_loop(0, n, step, (state, optimizer.init(state.params)))[0])

    @cached_property
    def start(self) -> RuleState:
        """The rule's own start."""
        return self.rule.init(self.key(1))

    @cached_property
    def state(self) -> RuleState:
        """A state that has learned the digits as well as a short training allows."""
        return self.train(*LONG)

    def _program(self, rule: LearningRule) -> tuple[Any, Any, Any]:
        """A step after some others, traced; the order of inputs and of outputs.

        What goes on from step to step does so in a loop, which is walked until nothing new comes: what a rule hands on from carry
        to carry arrives, however many steps it takes.
        """
        state, (images, labels) = self.start, self.batch(0)
        inputs = (state.params, state.params, state.carry, images, labels, images, labels, self.key(2), self.key(3))

        def steps(*given: Any) -> Any:
            first, second, carry, images, labels, other_images, other_labels, key, other_key = given

            def before(carried: Any, key: Array) -> tuple[Any, None]:
                owned, carry = carried
                params = {**first, **owned}
                step, after, _ = rule.assign_credit(key, RuleState(params, carry), (images, labels))
                # What the rule owns beside the network makes steps too: it may have been told something by it.
                moved = rule.constrain(jax.tree.map(lambda value, change: value - 0.1 * change, params, step))
                return ({name: moved[name] for name in owned}, after.carry), None

            owned = {name: part for name, part in first.items() if name != "network"}
            (owned, carry), _ = jax.lax.scan(before, (owned, carry), jax.random.split(key, 2))
            state = RuleState({**owned, "network": second["network"]}, carry)
            asked, last, _ = rule.assign_credit(other_key, state, (other_images, other_labels))
            return asked["network"], last.carry

        closed, outputs = jax.make_jaxpr(steps, return_shape=True)(*inputs)
        return closed, inputs, outputs

    def _origins(self, inputs: Any) -> list[Origin]:
        """Where the inputs of the traced program come from."""
        params, other, carry, images, labels, later_images, later_labels, key, other_key = inputs

        def of_params(tree: Any) -> list[Origin]:
            found = []
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                part = path[0].key
                if part != "network":
                    found.append(Origin(frozenset({("params", str(part))})))
                    continue
                block, name = path[1].idx, path[2].key
                axes = _fan_axes(self.network.blocks[block])[name]
                weight = Weight(block, axes) if leaf.ndim > 1 else None
                # A bias is added and never summed over: that it was looked at says nothing of a direction.
                found.append(Origin(frozenset() if weight else frozenset({("weights", block, "bias")}), weight))
            return found

        pictures = Origin(frozenset({("images",)}), copy="images")
        teacher = Origin(frozenset({("labels",)}), copy="labels")
        random = Origin(frozenset({("random",)}))
        kept = [Origin(frozenset({("carry",)})) for _ in jax.tree.leaves(carry)]
        return [*of_params(params), *of_params(other), *kept, pictures, teacher, pictures, teacher, random, random]

    @cached_property
    def dataflow(self) -> Dataflow:
        """What the traced program says, with wires whole and with wires cut."""
        rule = self.make(marked(self.network))
        closed, inputs, (asked, carry) = self._program(rule)
        n_asked = len(jax.tree.leaves(asked))
        blocks = [path[0].idx for path, _ in jax.tree_util.tree_leaves_with_path(asked)]
        origins = self._origins(inputs)
        whole, _ = walk(closed, origins, self.n_examples)
        cut, _ = walk(closed, origins, self.n_examples, cut=True)
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(carry)]
        return Dataflow(
            updates=_by_block(whole[:n_asked], blocks),
            signals=_by_block(cut[:n_asked], blocks),
            carry=dict(zip(paths, whole[n_asked:], strict=True)),
            reads=self._reads_of_one_step(),
            inference=self._reads_of(lambda state, images: self.rule.represent(state, images), self.start, self.batch(0)[0]),
        )

    def _reads_of(self, function: Callable[..., Any], *inputs: Any) -> Reads:
        """Products of a program whose first input is a state, which come with labels of where they are from."""
        closed = jax.make_jaxpr(function)(*inputs)
        leaves = self._leaves_of_state()
        rest = [Origin(frozenset({("activity", -1)}))] * (len(closed.jaxpr.invars) - len(leaves))
        return walk(closed, [*leaves, *rest], self.n_examples)[1]

    def _leaves_of_state(self) -> list[Origin]:
        state, (images, labels) = self.start, self.batch(0)
        n_params, n_carry = len(jax.tree.leaves(state.params)), len(jax.tree.leaves(state.carry))
        every = self._origins((state.params, state.params, state.carry, images, labels, images, labels, None, None))
        return [*every[:n_params], *every[2 * n_params : 2 * n_params + n_carry]]

    def _reads_of_one_step(self) -> Reads:
        def once(state: RuleState, images: Array, labels: Array, key: Array) -> Any:
            return self.rule.assign_credit(key, state, (images, labels))[0]

        return self._reads_of(once, self.start, *self.batch(0), self.key(2))

    @cached_property
    def _two_steps(self) -> Callable[..., Any]:
        """(params, carry, images, labels, key) -> what the rule asks for in the second of two steps in turn, and the last carry."""

        def asked(params: Any, carry: Any, images: Array, labels: Array, key: Array) -> Any:
            def step(carry: Any, key: Array) -> tuple[Any, Any]:
                found, after, _ = self.rule.assign_credit(key, RuleState(params, carry), (images, labels))
                return after.carry, found

            # A loop of two, which compiles in half the time.
            last, found = jax.lax.scan(step, carry, jax.random.split(key, 2))
            return jax.tree.map(lambda leaf: leaf[-1], found), last

        return jax.jit(asked)

    def precise(self, params: Any, carry: Any, images: Any, labels: Any, key: Array) -> list[np.ndarray]:
        """What the rule asks of every block, in double precision, flat.

        Two steps in turn, of which the second counts: a rule may keep for the next step what it must not use in this one.
        """
        with jax.enable_x64(True):
            found = self._two_steps(params, carry, images, labels, key)[0]["network"]
            return [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(block)]) for block in found]

    @cached_property
    def precise_state(self) -> RuleState:
        """A state in double precision that has gone some way: at the start some parts of some rules are still nothing.

        Every array goes by a share of its own length at a time, whatever the rule's own optimiser would do.
        """
        with jax.enable_x64(True):
            params, carry = jax.tree.map(_as_double, (self.start.params, self.start.carry))
            for step in range(_STEPS_BEFORE):
                images, labels = self.precise_batch(step)
                asked, carry = self._two_steps(params, carry, images, labels, self.key(200 + step))
                params = jax.tree.map(_moved, params, asked)
            return RuleState(params, carry)

    def precise_batch(self, index: int = 0) -> tuple[Array, Array]:
        """A batch in double precision."""
        with jax.enable_x64(True):
            images, labels = self.batch(index)
            return jnp.asarray(np.asarray(images), jnp.float64), labels


def _moved(leaf: Any, asked: Any) -> Any:
    """A step against what is asked, by a share of the array's length (or a little, where that is nothing)."""
    value, direction = np.asarray(leaf), np.asarray(asked)
    length = np.linalg.norm(direction)
    if not length or not np.isfinite(length):
        return leaf
    size = max(float(np.linalg.norm(value)), 0.1 * value.size**0.5)
    return jnp.asarray(value - _STEP * size / length * direction)


def _as_double(leaf: Any) -> Any:
    return jnp.asarray(np.asarray(leaf), jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _by_block(origins: list[Origin], blocks: list[int]) -> tuple[frozenset[Any], ...]:
    found: list[frozenset[Any]] = [frozenset()] * (max(blocks) + 1)
    for origin, block in zip(origins, blocks, strict=True):
        found[block] |= origin.tokens
        if origin.weight is not None:
            found[block] |= {("weights", origin.weight.block, "value")}
    return tuple(found)
