"""A rule under test: a small network of its own, a state that has learned a little, and batches in single and double precision.

Everything that criteria need is worked out once and kept. The network is small, since no verdict may depend on its width, and
its batch is smaller than every fan-in that it can be smaller than and unlike every length in the network, so that a number per
example is known by its length.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from architectures import INPUT, WEIGHT, Network
from architectures.node import is_shape
from architectures.roles import role_leaves
from learning_rules.contract import LearningRule, RuleState
from learning_rules.objectives import CLASSES
from learning_rules.plausibility.images import Images, digits, small_network
from learning_rules.plausibility.neighbours import hidden_nodes
from learning_rules.plausibility.precision import as_double, double_precision
from learning_rules.plausibility.tagging import Shown, shown_to
from learning_rules.plausibility.traced_rule import Dataflow, dataflow_of
from learning_rules.plausibility.two_steps import two_steps
from learning_rules.step import Learner, make_step

__all__ = ["LONG", "Pair", "RuleUnderTest"]

Pair = tuple[Array, Any]
"""Inputs and targets: of the two forms of a batch, the one that every rule takes, a user's that unpacks it too."""

_STEPS_BEFORE = 5
# Steps for which a rule may hold something back and be found out all the same.
_HELD_BACK = 6
_STEP = 0.05
_PASSES = 5
_SIZES = (7, 5, 11, 13, 9, 3)
# Uses of keys of one draw.
_DRAWS = 1000
LONG = (128, 88)
"""Batch size and steps of the training that most criteria look at."""


@dataclasses.dataclass
class RuleUnderTest:
    """One rule on one network.

    Attributes
    ----------
    name
        What the card calls it.
    make
        network -> rule.
    architecture
        Of the small network, a name as `architectures.build` takes it, or a network of 8 x 8 images itself.
    seed
        Of everything that is drawn.
    images
        What it learns from.
    n_examples
        In a batch; unlike every length in the network, and so its doubles. By default the first of a few sizes that is.
    """

    name: str
    make: Callable[[Network], LearningRule]
    architecture: str | Network = "mlp"
    seed: int = 0
    images: Images = dataclasses.field(default_factory=digits)
    n_examples: int = 0

    def __post_init__(self) -> None:
        """Choose a batch size where none was given."""
        if not self.n_examples:
            self.n_examples = _unlike(_lengths(self.network))

    @cached_property
    def network(self) -> Network:
        """The small network."""
        return small_network(self.architecture)

    @cached_property
    def rule(self) -> LearningRule:
        """The rule on it."""
        return self.make(self.network)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Numbers of the nodes before the readout that have weights."""
        return hidden_nodes(self.network)

    @cached_property
    def dataflow(self) -> Dataflow:
        """What the traced program of its learning step says."""
        return dataflow_of(self)

    @property
    def hidden_learn(self) -> bool:
        """Whether it asks anything of hidden nodes."""
        return any(self.dataflow.updates[node] for node in self.hidden)

    def once(self, name: str, work: Callable[[RuleUnderTest], Any]) -> Any:
        """Do something that several criteria need once, and remember it by name."""
        known = self.__dict__.setdefault("_known", {})
        if name not in known:
            known[name] = work(self)
        return known[name]

    def key(self, use: int) -> Array:
        """A key of its own for each use."""
        return jax.random.fold_in(jax.random.key(self.seed), use)

    # What it learns from.

    def targets(self, labels: Any) -> Any:
        """Targets of the rule's objective from classes (n,): one-hot where it wants values, at every step where it wants that."""
        objective = self.rule.objective
        if objective is None:
            return labels
        targets = labels
        if objective.targets != CLASSES:
            targets = jax.nn.one_hot(labels, self.network.n_classes)
        if objective.per_step:
            targets = jnp.broadcast_to(targets, (self.n_steps, *targets.shape))
        return targets

    @cached_property
    def n_steps(self) -> int:
        """Steps that an image is shown for; 1 in a static network."""
        return _n_steps(self.network)

    def batch(self, index: int) -> Pair:
        """The index-th batch of the training images."""
        at = (np.arange(self.n_examples) + index * self.n_examples) % len(self.images.train)
        return jnp.asarray(self.images.train[at]), self.targets(jnp.asarray(self.images.train_labels[at]))

    def accuracy(self, state: RuleState, part: slice = slice(None), of_training: bool = False) -> float:
        """Fraction of images that are told right; scores that are not numbers are wrong.

        Parameters
        ----------
        state
            Of the rule.
        part
            Of the held-out images.
        of_training
            Of as many images that it learned from instead.
        """
        predict = self.once("predict", lambda of: jax.jit(of.rule.predict))
        n_images = len(self.images.test)
        shown = (self.images.train[:n_images], self.images.train_labels[:n_images])
        images, labels = shown if of_training else (self.images.test, self.images.test_labels)
        scores = np.asarray(predict(state, jnp.asarray(images)))
        right = (scores.argmax(axis=-1) == labels) & np.isfinite(scores).all(axis=-1)
        return float(right[part].mean())

    def train(self, batch_size: int, n_steps: int, rate: float = 1.0, draw: int = 0) -> RuleState:
        """Learn by the rule's own optimiser at a constant rate, from its own start, over the images in turn.

        Parameters
        ----------
        batch_size, n_steps
            Of the training.
        rate
            Of the rule's own rate, of which steps are so many times as long.
        draw
            Which start, and which draws of the rule.
        """
        return self.train_on(self.learner(draw), batch_size, 0, n_steps, rate, draw).state

    def learner(self, draw: int = 0) -> Learner:
        """Where trainings start.

        Parameters
        ----------
        draw
            Which of the starts.
        """
        state = self.fresh(4 + _DRAWS * draw)
        return Learner(state, self.rule.optimizer().init(state.params))

    def train_on(self, learner: Learner, batch_size: int, first: int, last: int, rate: float = 1.0, draw: int = 0) -> Learner:
        """Go on with a training.

        Parameters
        ----------
        learner
            What has made `first` steps.
        batch_size, first, last
            Of the training, and the steps that it has made and is to have made.
        rate, draw
            As `train` takes them.
        """
        learn = self.once(f"learn in batches of {batch_size}", lambda of: of._learning(batch_size))
        key = self.key(5 + _DRAWS * draw)
        learned: Learner = learn(learner, jnp.asarray(first), jnp.asarray(last), jnp.asarray(rate, jnp.float32), key)
        return learned

    def fresh(self, use: int) -> RuleState:
        """A start of the rule from a key of its own."""
        # Not compiled as one: what draws weights is compiled once for all rules that draw the same shapes.
        return self.rule.init(self.key(use))

    def _learning(self, batch_size: int) -> Callable[[Learner, Array, Array, Array, Array], Learner]:
        """(learner, first step, last step, rate, key) -> learner; compiled once for any number of steps."""
        optimizer = self.rule.optimizer()
        images, labels = jnp.asarray(self.images.train), jnp.asarray(self.images.train_labels)

        def learn(learner: Learner, first: Array, last: Array, rate: Array, key: Array) -> Learner:
            def update(updates: Any, kept: Any, params: Any = None) -> tuple[Any, Any]:
                moved, kept = optimizer.update(updates, kept, params)
                return jax.tree.map(lambda leaf: rate * leaf, moved), kept

            step = make_step(self.rule, optax.GradientTransformation(optimizer.init, update))

            def one(index: Array, learner: Learner) -> Learner:
                at = (index * batch_size + jnp.arange(batch_size)) % len(images)
                return step(learner, jax.random.fold_in(key, index), (images[at], self.targets(labels[at])))[0]

            return jax.lax.fori_loop(first, last, one, learner)

        return jax.jit(learn)

    @cached_property
    def start(self) -> RuleState:
        """The rule's own start."""
        return self.fresh(1)

    @cached_property
    def state(self) -> RuleState:
        """A state that has learned the digits as well as a short training allows."""
        return self.train(*LONG)

    # In double precision.

    @cached_property
    def shown(self) -> Shown:
        """What nodes' synapses were given in the steps of `precise`, while it listens."""
        return Shown()

    @cached_property
    def _two_steps(self) -> Callable[..., Any]:
        """(params, carry, batch, key) -> what the rule asks for in the second of two steps in turn, and the last carry."""
        # What has nowhere to keep anything holds nothing back.
        keeps = bool(
            jax.tree.leaves((self.start.carry, {name: own for name, own in self.start.params.items() if name != "network"}))
        )
        both = two_steps(self.make(shown_to(self.network, self.shown)), _HELD_BACK if keeps else 0)

        def updates(params: Any, carry: Any, batch: Pair, key: Array) -> Any:
            found, last = both(params, carry, batch, key)
            return jax.tree.map(lambda leaf: leaf[-1], found), last

        return jax.jit(updates)

    def precise(self, params: Any, carry: Any, batch: Pair, key: Array) -> list[list[np.ndarray]]:
        """What the rule asks of each array of every node, in double precision, flat.

        Two steps in turn, of which the second counts: a rule may keep for the next step what it must not use in this one. Between
        them its optimiser moves what it owns beside the network, whose weights stay. Before them the first is made a few times
        more, for what a rule holds back longer.

        Parameters
        ----------
        params, carry
            Of the rule's state.
        batch
            Of `precise_batch`.
        key
            Of what the rule draws.
        """
        found = self.asked(params, carry, batch, key)["network"]
        return [[np.ravel(leaf) for leaf in jax.tree.leaves(own)] for own in found]

    def asked(self, params: Any, carry: Any, batch: Pair, key: Array) -> dict[str, Any]:
        """The same of all that is trained, in its own tree.

        Parameters
        ----------
        params, carry, batch, key
            As `precise` takes them.
        """
        with double_precision():
            # Waited for here: what it calls back must find double precision still.
            found: dict[str, Any] = jax.block_until_ready(self._two_steps(params, carry, batch, key)[0])
            return found

    @cached_property
    def precise_state(self) -> RuleState:
        """A state in double precision that has gone some way: at the start some parts of some rules are still nothing.

        Every array goes by a fraction of its own length at a time, whatever the rule's own optimiser would do.
        """
        with double_precision():
            params, carry = as_double((self.start.params, self.start.carry))
            for step in range(_STEPS_BEFORE):
                updates, carry = self._two_steps(params, carry, self.precise_batch(step), self.key(200 + step))
                params = jax.tree.map(_moved, params, updates)
            return jax.block_until_ready(RuleState(params, carry))

    @cached_property
    def n_precise(self) -> int:
        """Examples in a batch in double precision: as few as leave weights between nodes directions that few passes do not span."""
        fewest = min(_room(self.network) or [self.n_examples]) / _PASSES
        return next((n for n in (self.n_examples, 7, 5, 4, 3, 2) if n <= self.n_examples and n * self.n_steps < fewest), 1)

    def precise_batch(self, index: int = 0, change: Callable[[Array], Array] = lambda labels: labels) -> Pair:
        """A batch in double precision.

        Parameters
        ----------
        index
            Number of the batch.
        change
            Of its labels (n,).
        """
        with double_precision():
            at = (np.arange(self.n_precise) + index * self.n_precise) % len(self.images.train)
            images = jnp.asarray(self.images.train[at], jnp.float64)
            targets = self.targets(change(jnp.asarray(self.images.train_labels[at])))
            return images, as_double(targets)


def _n_steps(network: Network) -> int:
    if not network.temporal:
        return 1
    images = jax.ShapeDtypeStruct((1, *network.input_shape), jnp.float32)
    return int(jax.eval_shape(network.encode, images).shape[0])


def _lengths(network: Network) -> set[int]:
    """Every length of every array in a network."""
    shapes: list[tuple[int, ...]] = [network.input_shape, network.step_shape, (_n_steps(network),)]
    for node in network.nodes:
        shapes += [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(node.init, jax.random.key(0)))]
        shapes += [node.output_shape, *node.input_shapes, *jax.tree.leaves(node.z_shape, is_leaf=is_shape)]
    return {length for shape in shapes for length in (*shape, math.prod(shape))}


def _unlike(lengths: set[int]) -> int:
    """A number of examples by which numbers per example are known, and some a few times as many."""
    return next((n for n in _SIZES if not lengths & {n * times for times in range(1, 5)}), _SIZES[0])


def _room(network: Network) -> list[float]:
    """For each array of weights between nodes: how many inputs a unit sums, over the places in which one example meets it."""
    room = []
    for index, node in enumerate(network.nodes):
        places = max((math.prod(shape[:-1]) for shape in jax.tree.leaves(node.z_shape, is_leaf=is_shape)), default=1)
        shapes = jax.tree.leaves(jax.eval_shape(node.init, jax.random.key(0)))
        for role, leaf in zip(role_leaves(node.roles), shapes, strict=True):
            if role.kind == WEIGHT and role.edge is not None and network.weighted_edges(index)[role.edge].source != INPUT:
                room.append(math.prod(leaf.shape[axis] for axis in role.fan_in) / places)
    return room


def _moved(leaf: Any, update: Any) -> Any:
    """A step against an update, by a fraction of the array's length (or a little, where that is nothing)."""
    value, direction = np.asarray(leaf), np.asarray(update)
    length = np.linalg.norm(direction)
    if not length or not np.isfinite(length):
        return leaf
    size = max(float(np.linalg.norm(value)), 0.1 * value.size**0.5)
    return jnp.asarray(value - _STEP * size / length * direction)
