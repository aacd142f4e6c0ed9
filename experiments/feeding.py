"""What an epoch is fed: images that lie on the device, or that are streamed there. Both end in the same weights, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.datasets import Split
from experiments.environment import spread_over_devices
from experiments.epochs import EVALUATION_CHUNK, EpochSummary
from experiments.preparing import Setup
from experiments.streaming import ahead, is_streamed, steps_at_once
from learning_rules import Learner, RuleState

__all__ = ["Feed", "feed_of"]


@runtime_checkable
class Feed(Protocol):
    """The compiled programs of a training, and the images that they are given."""

    def epoch(self, learner: Learner, index: int) -> tuple[Learner, EpochSummary]:
        """One epoch; it takes the learner's memory."""

    def evaluate(self, state: RuleState) -> list[np.ndarray]:
        """Of validation and test images, counts of (true class, predicted class), (n_seeds, n_classes, n_classes)."""


def feed_of(setup: Setup, learner: Learner) -> Feed:
    """Compile the programs of a training.

    Parameters
    ----------
    setup
        What `prepare` gave.
    learner
        One of its learners, for the shapes.
    """
    return _Streamed(setup, learner) if setup.streamed else _OnDevice(setup, learner)


class _OnDevice:
    """All images lie on the device, behind the front end."""

    def __init__(self, setup: Setup, learner: Learner) -> None:
        self._keys = setup.keys
        self._train, *self._others = setup.splits
        programs: Any = setup.programs
        self._epoch = programs.epoch.lower(learner, self._keys, jnp.int32(0), *self._train).compile()
        self._evaluate = [programs.evaluate.lower(learner.state, *split).compile() for split in self._others]

    def epoch(self, learner: Learner, index: int) -> tuple[Learner, EpochSummary]:
        learner, summary = self._epoch(learner, self._keys, jnp.int32(index), *self._train)
        return learner, summary

    def evaluate(self, state: RuleState) -> list[np.ndarray]:
        return [np.asarray(run(state, *split)) for run, split in zip(self._evaluate, self._others, strict=True)]


class _Streamed:
    """Images come a chunk of steps at a time, each seed's in its own order."""

    def __init__(self, setup: Setup, learner: Learner) -> None:
        self._setup = setup
        images, config = setup.images, setup.config
        assert config.batch_size is not None, "it is prepared"
        n_steps = len(images.train.labels) // config.batch_size
        bytes_a_step = 4 * config.n_seeds * config.batch_size * int(np.prod(setup.network.core.input_shape))
        self._at_once = steps_at_once(n_steps, bytes_a_step)
        self._programs: Any = setup.programs
        self._sizes = {min(self._at_once, n_steps - start) for start in range(0, n_steps, self._at_once)}
        self._walk = {size: self._compiled_walk(learner, size) for size in self._sizes}
        self._evaluate = {size: self._compiled_evaluation(learner.state, size) for size in self._evaluation_sizes()}
        held = images.validation, images.test
        n_held = sum(len(split.labels) for split in held) * int(np.prod(setup.network.core.input_shape))
        # What chooses and tests is shown after every epoch; where there is room for it, it is fetched once.
        self._held = [] if is_streamed("auto", n_held) else [list(self._fetched(split)) for split in held]

    def _compiled_walk(self, learner: Learner, n_steps: int) -> Callable[..., tuple[Learner, EpochSummary]]:
        setup = self._setup
        n_seeds, batch = setup.config.n_seeds, setup.config.batch_size or 1
        shape = (n_seeds, n_steps * batch, *setup.network.core.input_shape)
        order, keys = self._programs.draw(setup.keys, jnp.int32(0), len(setup.images.train.labels))
        chunk = jnp.zeros(shape, jnp.float32), jnp.zeros(shape[:2], jnp.int32), order[:, :n_steps], keys[:, :n_steps]
        compiled: Callable[..., tuple[Learner, EpochSummary]] = self._programs.walk.lower(
            learner, *spread_over_devices(chunk, n_seeds)
        ).compile()
        return compiled

    def _evaluation_sizes(self) -> set[int]:
        splits = self._setup.images.validation, self._setup.images.test
        return {len(split.labels[part]) for split in splits for part in _parts(split)}

    def _compiled_evaluation(self, state: RuleState, size: int) -> Callable[..., jax.Array]:
        shown = jnp.zeros((size, *self._setup.network.core.input_shape), jnp.float32), jnp.zeros(size, jnp.int32)
        compiled: Callable[..., jax.Array] = self._programs.evaluate.lower(state, *shown).compile()
        return compiled

    def epoch(self, learner: Learner, index: int) -> tuple[Learner, EpochSummary]:
        setup = self._setup
        order, keys = self._programs.draw(setup.keys, jnp.int32(index), len(setup.images.train.labels))
        n_seeds, n_steps, batch = order.shape
        rows, traces = np.asarray(order), []
        within = spread_over_devices(jnp.broadcast_to(jnp.arange(self._at_once * batch), (n_seeds, self._at_once * batch)), n_seeds)

        def fetch(start: int) -> tuple[Any, ...]:
            """A chunk on the device: its images by seed, their labels, and where each step finds its own among them."""
            chosen = rows[:, start : start + self._at_once]
            size = chosen.shape[1]
            flat = chosen.reshape(n_seeds, size * batch)
            encoded = setup.encode(setup.images.train.images[flat.ravel()])
            images = encoded.reshape(n_seeds, size * batch, *encoded.shape[1:])
            labels = jnp.asarray(setup.images.train.labels[flat])
            places = within[:, : size * batch].reshape(n_seeds, size, batch)
            return size, *spread_over_devices((images, labels, places, keys[:, start : start + size]), n_seeds)

        for size, *chunk in ahead(fetch, range(0, n_steps, self._at_once)):
            learner, trace = self._walk[size](learner, *chunk)
            traces.append(trace)
        return learner, self._programs.summarise(jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *traces))

    def evaluate(self, state: RuleState) -> list[np.ndarray]:
        if self._held:
            return [self._counted(state, parts) for parts in self._held]
        images = self._setup.images
        return [self._counted(state, self._fetched(split)) for split in (images.validation, images.test)]

    def _fetched(self, split: Split) -> Iterator[tuple[jax.Array, jax.Array]]:
        """A split behind the front end, some images at a time, and their labels."""

        def fetch(part: slice) -> tuple[jax.Array, jax.Array]:
            return self._setup.encode(split.images[part]), jnp.asarray(split.labels[part])

        return ahead(fetch, _parts(split))

    def _counted(self, state: RuleState, parts: Iterable[tuple[jax.Array, jax.Array]]) -> np.ndarray:
        n_seeds, n_classes = self._setup.config.n_seeds, self._setup.images.n_classes
        counts = np.zeros((n_seeds, n_classes, n_classes), np.int32)
        for images, labels in parts:
            counts += np.asarray(self._evaluate[len(labels)](state, images, labels))
        return counts


def _parts(split: Split) -> list[slice]:
    """A split as it is evaluated, some images at a time."""
    return [slice(start, start + EVALUATION_CHUNK) for start in range(0, len(split.labels), EVALUATION_CHUNK)]
