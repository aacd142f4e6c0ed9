"""Training: one rule, one architecture, one image set, one or several seeds together, an epoch at a time.

`prepare` says every mistake, `fit` yields after every epoch, `finish` looks at what came out; `train` is the three in a row.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import learning_rules
from bioplausible.foundation.progress import Progress
from experiments.config import TrainConfig
from experiments.environment import spread_over_devices
from experiments.feeding import feed_of
from experiments.preparing import Setup, prepare
from experiments.trained import Trained
from experiments.warnings import warnings_of
from learning_rules import Learner, RuleSpec, RuleState

__all__ = ["Callback", "Fitting", "begin", "complete", "finish", "fit", "train"]


@dataclass(frozen=True, eq=False)
class Fitting:
    """A training after some of its epochs: all that the next one and the end need.

    Attributes
    ----------
    epoch
        Epochs done.
    learner
        The rule's state and its optimiser's, with a leading axis of seeds. The next epoch takes its memory: whoever wants to keep
        it writes it or copies it before that.
    start
        The rule's state before the first image, likewise.
    best
        Per seed the state of the epoch that was best on the validation images so far.
    best_accuracy
        What it reached there, (n_seeds,); -1 before the first epoch.
    best_epoch
        Which one that was, (n_seeds,), counted from one.
    accuracy
        One row an epoch of a network, as `Trained.accuracy` has them.
    confusion
        After this epoch, counts of test images by true and predicted class, (n_seeds, n_classes, n_classes).
    angles
        "start" and "tenth", once it is over -> degrees from backpropagation, (n_seeds,).
    seconds
        Wall time of the epochs and their evaluation so far.
    compile_seconds
        Wall time of compiling them.
    """

    epoch: int
    learner: Learner
    start: RuleState
    best: RuleState
    best_accuracy: np.ndarray
    best_epoch: np.ndarray
    accuracy: tuple[dict[str, Any], ...]
    confusion: np.ndarray
    angles: dict[str, np.ndarray]
    seconds: float = 0.0
    compile_seconds: float = 0.0


Callback = Callable[[Setup, Fitting], None]
"""Called after every epoch: to save, to log, to show."""


def begin(setup: Setup) -> Fitting:
    """A training before its first epoch.

    Parameters
    ----------
    setup
        What `prepare` gave.
    """
    n_seeds, n_classes = setup.config.n_seeds, setup.images.n_classes
    learner = spread_over_devices(setup.programs.init(setup.keys), n_seeds)
    # The epochs' program takes the learner away.
    start, best = (jax.tree.map(jnp.copy, learner.state) for _ in range(2))
    none = np.full(n_seeds, -1.0), np.zeros(n_seeds, int), (), np.zeros((n_seeds, n_classes, n_classes), int)
    return Fitting(0, learner, start, best, *none, {})


def fit(setup: Setup, after: Fitting | None = None, callbacks: Sequence[Callback] = ()) -> Iterator[Fitting]:
    """Train an epoch at a time.

    Parameters
    ----------
    setup
        What `prepare` gave.
    after
        A training that was interrupted, such as `experiments.saving.resume` reads; from the beginning by default.
    callbacks
        Called after every epoch, with the setup and what is yielded.

    Yields
    ------
    Fitting
        After every epoch. What it holds of the learner is gone with the next one.

    >>> setup = prepare(rule="backprop", dataset="digits", epochs=2)
    >>> [fitting.epoch for fitting in fit(setup)]
    [1, 2]
    """
    config = setup.config
    n_epochs = config.epochs or 0
    started = time.perf_counter()
    fitting = begin(setup) if after is None else after
    feed = feed_of(setup, fitting.learner)
    compile_seconds = fitting.compile_seconds + time.perf_counter() - started
    if not fitting.epoch:
        fitting = dataclasses.replace(fitting, angles={"start": _angles(setup, fitting, fitting.start)[1]})
    tenth = max(1, round(n_epochs / 10))
    for index in range(fitting.epoch, n_epochs):
        started = time.perf_counter()
        learner, summary = feed.epoch(fitting.learner, index)
        learner = spread_over_devices(learner, config.n_seeds)  # the compiler may have put it elsewhere
        counts = feed.evaluate(learner.state)
        reached = {
            "train_loss": np.asarray(summary.loss),
            "train_accuracy": np.asarray(summary.accuracy),
            "validation_accuracy": _accuracy(counts[0]),
            "test_accuracy": _accuracy(counts[1]),
        }
        better = reached["validation_accuracy"] > fitting.best_accuracy
        best = _choose(jnp.asarray(better), learner.state, fitting.best) if better.any() else fitting.best
        fitting = dataclasses.replace(
            fitting,
            epoch=index + 1,
            learner=learner,
            best=best,
            best_accuracy=np.where(better, reached["validation_accuracy"], fitting.best_accuracy),
            best_epoch=np.where(better, index + 1, fitting.best_epoch),
            accuracy=(*fitting.accuracy, *_rows(config, index + 1, reached)),
            confusion=counts[1],
        )
        if index + 1 == tenth:
            fitting = dataclasses.replace(fitting, angles=fitting.angles | {"tenth": _angles(setup, fitting, learner.state)[1]})
        seconds = fitting.seconds + time.perf_counter() - started
        fitting = dataclasses.replace(fitting, seconds=seconds, compile_seconds=compile_seconds)
        for callback in callbacks:
            callback(setup, fitting)
        yield fitting


def finish(setup: Setup, fitting: Fitting) -> Trained:
    """What a training came to, after its last epoch.

    Parameters
    ----------
    setup
        What `prepare` gave.
    fitting
        The last that `fit` yielded.
    """
    config, spec = setup.config, setup.rule.spec
    (measured, info), angle = _angles(setup, fitting, fitting.learner.state)
    networks = pd.DataFrame(
        [
            {"rule": config.rule, "seed": seed, "layer": layer, **{name: float(values[i, k]) for name, values in measured.items()}}
            for i, seed in enumerate(config.seeds)
            for k, layer in enumerate(setup.network.node_names)
        ]
    )
    accuracy = pd.DataFrame(fitting.accuracy)
    weightless = [node.name for node in setup.network.nodes if not node.weighted]
    initial = fitting.start.params["network"]
    return Trained(
        config=config,
        images=setup.images,
        rule=setup.rule,
        network=setup.network,
        initial=initial,
        start=fitting.start,
        state=fitting.learner.state,
        best=fitting.best,
        best_epoch=fitting.best_epoch,
        accuracy=accuracy,
        networks=networks,
        angles=fitting.angles | {"end": angle},
        info=info,
        warnings=[
            *_out_of_place(config, spec),
            *_one_start(config, initial),
            *warnings_of(config.rule, spec, accuracy, networks, fitting.confusion, config.seeds, weightless),
        ],
        seconds=fitting.seconds,
        compile_seconds=fitting.compile_seconds,
        digest=setup.digest,
    )


def train(
    config: TrainConfig | None = None, progress: Progress | None = None, callbacks: Sequence[Callback] = (), **fields: Any
) -> Trained:
    """Train networks by one rule.

    Parameters
    ----------
    config
        What to run; or give its fields as keywords.
    progress
        Called with epochs done, epochs in all and a line to show.
    callbacks
        Called after every epoch, as `fit` takes them.
    **fields
        Fields of `TrainConfig` that replace those of `config`.

    Raises
    ------
    InputError
        Unknown names or options, a data set that cannot be used, or fewer images than a batch.

    >>> trained = train(rule="backprop", architecture="mlp", dataset="digits", epochs=2)
    >>> bool(trained.test_accuracy[0] > 0.5)
    True
    """
    return complete(prepare(config, **fields), None, progress, callbacks)


def complete(
    setup: Setup, after: Fitting | None = None, progress: Progress | None = None, callbacks: Sequence[Callback] = ()
) -> Trained:
    """Train to the end, from the beginning or from where a training was interrupted.

    Parameters
    ----------
    setup
        What `prepare` gave.
    after
        As `fit` takes it.
    progress, callbacks
        As `train` takes them.
    """
    fitting = begin(setup) if after is None else after
    shown = [] if progress is None else [shown_by(progress)]
    for each in fit(setup, fitting, [*callbacks, *shown]):
        fitting = each
    return finish(setup, fitting)


def shown_by(progress: Progress) -> Callback:
    """A callback that says how far a training is.

    Parameters
    ----------
    progress
        Called with epochs done, epochs in all and a line to show.
    """

    def show(setup: Setup, fitting: Fitting) -> None:
        last = [row["validation_accuracy"] for row in fitting.accuracy[-setup.config.n_seeds :]]
        progress(fitting.epoch, setup.config.epochs or 0, f"validation accuracy {np.mean(last):.3f}")

    return show


def _rows(config: TrainConfig, epoch: int, reached: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row a network."""
    return [
        {"rule": config.rule, "seed": seed, "epoch": epoch, **{name: float(values[i]) for name, values in reached.items()}}
        for i, seed in enumerate(config.seeds)
    ]


@jax.jit
def _choose(better: jax.Array, new: Any, old: Any) -> Any:
    """Of every seed the new state where it is better."""
    return jax.tree.map(lambda a, b: jnp.where(better.reshape(-1, *(1,) * (a.ndim - 1)), a, b), new, old)


def _angles(setup: Setup, fitting: Fitting, state: RuleState) -> tuple[tuple[dict[str, np.ndarray], dict[str, Any]], np.ndarray]:
    """Alignment, change and activity of every node, each (n_seeds, n_nodes), what the rule tells of itself, and its mean angle."""
    nodes, info = setup.diagnose(setup.diagnostic, fitting.start.params["network"], state, setup.keys)
    found = {name: np.asarray(values) for name, values in nodes.items()}
    parts = (found[name] for name in ("cosine", "reference_norm", "norm"))
    return (found, jax.tree.map(np.asarray, info)), learning_rules.mean_angle(setup.rule.network, *parts)


def _out_of_place(config: TrainConfig, spec: RuleSpec) -> list[str]:
    """Say that a rule is not at its best here, where another front end than its own was chosen."""
    if config.front_end == spec.front_end or spec.front_end == "none":
        return []
    return [
        f"front end: {config.rule} was trained behind '{config.front_end}' and is tuned behind '{spec.front_end}': "
        f"--front-end {spec.front_end} gives it to every rule of a comparison"
    ]


def _one_start(config: TrainConfig, initial: Any) -> list[str]:
    """Seeds that start from one network."""
    if (
        config.n_seeds == 1
        or config.init
        or any(bool(np.any(np.asarray(leaf) != np.asarray(leaf)[:1])) for leaf in jax.tree.leaves(initial))
    ):
        return []
    return [
        f"one start: all {config.n_seeds} seeds of '{config.architecture}' start from the same network weights, and differ in the "
        "order of images and in what the rule draws alone: give functions of rngs in the place of modules, so that each seed draws "
        "its own"
    ]


def _accuracy(counts: np.ndarray) -> np.ndarray:
    """Share on the diagonal of each seed's counts; zero without images."""
    totals = counts.sum(axis=(1, 2))
    diagonal = np.trace(counts, axis1=1, axis2=2)
    return np.asarray(diagonal / np.where(totals > 0, totals, 1), float)
