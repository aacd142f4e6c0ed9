"""Training: one rule, one architecture, one image set, one or several seeds together."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

import architectures
import learning_rules
from architectures import FrontEnd, Network
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from experiments import datasets
from experiments.config import TrainConfig, to_record
from experiments.environment import check_room, describe_environment, keep_compiled_programs, spread_over_devices
from experiments.epochs import in_chunks, keys_of, make_programs, on_one_batch, over_seeds
from experiments.warnings import warnings_of
from learning_rules import LearningRule, RuleSpec, RuleState

__all__ = [
    "Trained",
    "build_network",
    "diagnostic_batch",
    "epochs_for",
    "front_end_of",
    "load_images",
    "network_options",
    "options_record",
    "train",
    "with_own_settings",
]

_TARGET_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 700, 10, 30
_DIAGNOSTIC_IMAGES = 512
_BATCH_SIZE = 128


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks trained by one rule.

    Attributes
    ----------
    config
        What was run; its epochs are those that were run.
    images
        The image set.
    rule
        The rule, on the network without its front end.
    network
        The network with its front end.
    initial
        Initial parameters of the network, with a leading axis of seeds.
    start
        The rule's state before the first image, with a leading axis of seeds.
    state
        The last state, likewise.
    best
        Per seed the state of the epoch that was best on the validation images.
    best_epoch
        Which one that was, (n_seeds,), counted from one.
    accuracy
        Rule, seed, epoch, train_loss, train_accuracy, validation_accuracy, test_accuracy.
    networks
        Rule, seed, layer, cosine, reference_norm, norm, relative_weight_change, silent, mean, rms, saturated.
    angles
        "start", "tenth" (after a tenth of the epochs, one at least) and "end" -> degrees from backpropagation, (n_seeds,): the mean
        over hidden nodes of the angle to the gradient of the rule's own objective. NaN where hidden nodes are asked for nothing.
    info
        What the rule tells of itself on a batch after training (its loss, and quantities of its own such as settling energies,
        goodness or reconstruction errors), with a leading axis of seeds.
    warnings
        What went wrong, by name.
    seconds
        Wall time of the epochs and their evaluation.
    compile_seconds
        Wall time of compiling them.
    """

    config: TrainConfig
    images: datasets.ImageSet
    rule: LearningRule
    network: Network
    initial: Any
    start: RuleState
    state: RuleState
    best: RuleState
    best_epoch: np.ndarray
    accuracy: pd.DataFrame
    networks: pd.DataFrame
    angles: dict[str, np.ndarray]
    info: dict[str, Any]
    warnings: list[str]
    seconds: float
    compile_seconds: float

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.config.rule

    @property
    def test_accuracy(self) -> np.ndarray:
        """After the last epoch, (n_seeds,)."""
        last = self.accuracy[self.accuracy["epoch"] == self.config.epochs]
        return last.sort_values("seed")["test_accuracy"].to_numpy()

    def to_frame(self) -> pd.DataFrame:
        """Accuracy, one row an epoch of a network."""
        return self.accuracy.copy()

    def represent(
        self,
        images: np.ndarray,
        network: Network | None = None,
        state: RuleState | None = None,
        kept: Callable[[jax.Array], jax.Array] | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Activations of every layer for normalised images: (n_seeds, n_images, ...), in time (n_seeds, n_images, n_steps, ...).

        Parameters
        ----------
        images
            (n, height, width, channels), as `ImageSet.normalise` gives them.
        network
            A part of the network that takes this size of images, from `Network.at_size`; the whole by default.
        state
            `start` or `best`, say; the last by default.
        kept
            Of a layer's activations for some images, what is to be returned of them, such as means over places: maps of all images
            would fill the memory. All by default.

        Raises
        ------
        InputError
            A part is asked of a rule whose representation is not the forward pass.
        """
        state = self.state if state is None else state
        if network is not None and network.input_shape != self.network.input_shape:
            if not self.rule.spec.represents_by_forward_pass:
                raise InputError(f"'{self.name}' settles or spikes and represents images at the size that it was trained at only")
            state = RuleState({"network": state.params["network"][: len(network.nodes)]}, ())
        else:
            network = None
        asked = (network and network.input_shape, kept)
        if asked not in self._programs:
            self._programs[asked] = jax.jit(self._represent(network, kept))
        layers = self._programs[asked](state, jnp.asarray(images))
        return tuple(np.asarray(layer) for layer in layers)

    @functools.cached_property
    def _programs(self) -> dict[Any, Callable[..., tuple[jax.Array, ...]]]:
        """What represents images, by the size of its part of the network and by what is kept: compiled once for all states."""
        return {}

    def _represent(self, part: Network | None, kept: Callable[[jax.Array], jax.Array] | None) -> Callable[..., Any]:
        """(states, images) -> activations of every layer."""

        def one(state: RuleState, x: jax.Array) -> tuple[jax.Array, ...]:
            if part is None:
                layers = self.rule.represent(state, x)
            else:
                layers = part.by_example(part.forward(state.params["network"], x))
            return layers if kept is None else tuple(map(kept, layers))

        def all_seeds(states: RuleState, images: jax.Array) -> Any:
            # A front end is the same for all seeds; that of a part belongs to it.
            x = in_chunks(self.network.front_end, images) if part is None else images
            return over_seeds(lambda state: in_chunks(lambda chunk: one(state, chunk), x))(states)

        return all_seeds

    def to_json(self) -> dict[str, Any]:
        """What `bioplausible train --json` prints: of the first seed, and of the others where there are any."""
        by_seed = [self._one_seed(seed) for seed in sorted(self.accuracy["seed"].unique().tolist())]
        record = {
            "rule": learning_rules.spec(self.config.rule).name,
            "architecture": self.config.architecture,
            "dataset": self.images.name,
            "epochs": self.config.epochs,
            **by_seed[0],
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "warnings": self.warnings,
            "options": options_record(self.rule),
            "network": self.network.describe(),
            "images": self.images.to_record(),
            "config": to_record(self.config),
            "environment": describe_environment(),
        }
        if len(by_seed) > 1:
            record["seeds"] = by_seed
        return record

    def _one_seed(self, seed: int) -> dict[str, Any]:
        history = self.accuracy[self.accuracy["seed"] == seed].sort_values("epoch")
        nodes = self.networks[self.networks["seed"] == seed].set_index("layer")
        best = history[history["epoch"] == self.best_epoch[seed - self.config.seed]].iloc[0]
        return {
            "seed": seed,
            "test_accuracy": float(history["test_accuracy"].iloc[-1]),
            "test_accuracy_by_epoch": history["test_accuracy"].tolist(),
            "validation_accuracy_by_epoch": history["validation_accuracy"].tolist(),
            "best_on_validation": {
                "epoch": int(best["epoch"]),
                "validation_accuracy": float(best["validation_accuracy"]),
                "test_accuracy": float(best["test_accuracy"]),
            },
            "alignment_with_backprop": {
                layer: {"cosine": float(row["cosine"]), "reference_norm": float(row["reference_norm"])}
                for layer, row in nodes.iterrows()
            },
            "angle_to_backprop": {when: _or_none(angles[seed - self.config.seed]) for when, angles in self.angles.items()},
            "relative_weight_change": {layer: float(row["relative_weight_change"]) for layer, row in nodes.iterrows()},
            "activity": {
                layer: {name: float(row[name]) for name in ("silent", "mean", "rms", "saturated")}
                for layer, row in nodes.iterrows()
            },
            "info": jax.tree.map(lambda leaf: leaf[seed - self.config.seed].tolist(), self.info),
        }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def options_record(rule: LearningRule) -> dict[str, Any]:
    """The options that a rule was built with, as a mapping; a user's rule keeps them in what form it likes.

    Parameters
    ----------
    rule
        Any rule.
    """
    if dataclasses.is_dataclass(rule.options) and not isinstance(rule.options, type):
        return dataclasses.asdict(rule.options)
    return dict(rule.options) if isinstance(rule.options, Mapping) else {}


def load_images(config: TrainConfig) -> datasets.ImageSet:
    """The image set of a training, split as it asks.

    Parameters
    ----------
    config
        Its image set, split, size and the images that are left out.
    """
    excluded = {"exclude_indices": config.exclude_indices} if config.exclude_indices else {}
    return datasets.load(
        config.dataset,
        validation_fraction=config.validation_fraction,
        split_seed=config.split_seed,
        n_train=config.n_train,
        **excluded,
    )


def epochs_for(config: TrainConfig, n_train: int) -> int:
    """The number of epochs: what was asked for, or between 10 and 30, aiming at 700 steps."""
    if config.epochs is not None:
        return config.epochs
    steps = max(n_train // (with_own_settings(config).batch_size or 1), 1)
    return int(np.clip(round(_TARGET_STEPS / steps), _MIN_EPOCHS, _MAX_EPOCHS))


def front_end_of(config: TrainConfig) -> str:
    """The front end of a configuration: what it says, or what its rule is tuned behind."""
    return learning_rules.spec(config.rule).front_end if config.front_end == "auto" else config.front_end


def with_own_settings(config: TrainConfig) -> TrainConfig:
    """The configuration with what its rule decides where it leaves that open: the front end and the size of a batch."""
    own = learning_rules.spec(config.rule).batch_size or _BATCH_SIZE
    return dataclasses.replace(config, front_end=front_end_of(config), batch_size=config.batch_size or own)


def network_options(config: TrainConfig) -> dict[str, Any]:
    """The architecture's options: what the configuration says, else what the rule was published with, where there is such a one."""
    entry = architectures.ARCHITECTURES.get(config.architecture)
    known = {field.name for field in dataclasses.fields(entry.options)} if entry else set()
    # Sizes are those of a dense network; what stands behind convolutions is another thing of the same name.
    known -= set() if config.architecture == "mlp" else {"hidden"}
    own = {name: value for name, value in learning_rules.spec(config.rule).network if name in known}
    return {**own, **config.architecture_options}


def _out_of_place(config: TrainConfig, spec: RuleSpec) -> list[str]:
    """Say that a rule is not at its best here, where another front end than its own was chosen."""
    if config.front_end == spec.front_end or spec.front_end == "none":
        return []
    return [
        f"front end: {config.rule} was trained behind '{config.front_end}' and is tuned behind '{spec.front_end}': "
        f"--front-end {spec.front_end} gives it to every rule of a comparison"
    ]


def build_network(config: TrainConfig, images: datasets.ImageSet) -> Network:
    """The network of a configuration; its front end is fitted to the training split.

    Parameters
    ----------
    config
        Architecture, its options and the front end.
    images
        What it is to be trained on.

    Raises
    ------
    InputError
        Unknown names or options, a network that expects sequences, or more parameters than the machine can hold.
    """
    front_end: FrontEnd | None = None
    if (name := front_end_of(config)) != "none":
        front_end = architectures.fit_front_end(name, images.normalise(images.train.images))
    network = architectures.build(
        config.architecture,
        input_shape=images.input_shape,
        n_classes=images.n_classes,
        front_end=front_end,
        **network_options(config),
    )
    if network.temporal and network.reading is None:
        raise InputError(
            f"the network '{network.name}' expects sequences, and '{images.name}' holds images: give it a reading, one of "
            f"{', '.join(architectures.READINGS)}"
        )
    _check_room(network, config)
    return network


def _optimizer(config: TrainConfig, rule: LearningRule, n_steps: int) -> optax.GradientTransformation:
    """The rule's own optimiser, or the one that it borrows."""
    if not config.optimizer_of:
        return rule.optimizer(n_steps)
    key = jax.random.key(0)
    parts = set(jax.eval_shape(rule.init, key).params)
    if parts != {"network"}:
        raise InputError(
            f"optimizer_of={config.optimizer_of} was given for '{config.rule}', which trains {', '.join(sorted(parts))}: a rule "
            "can borrow an optimiser that trains the network's parameters alone, such as backprop"
        )
    lender = learning_rules.build(config.optimizer_of, rule.network)
    return learning_rules.borrowed_optimizer(lender.optimizer(n_steps), lender.init(key).params)


# The learner, its start and its best, and what it is asked for.
_COPIES = 4


def _check_room(network: Network, config: TrainConfig) -> None:
    """Say what no memory holds before it is asked for."""
    n_parameters = sum(layer["parameters"] for layer in network.describe())
    seeds = f"{config.n_seeds} seeds of " if config.n_seeds > 1 else ""
    what = f"{seeds}{n_parameters:,} parameters ('{config.rule}' on {config.architecture}) take"
    check_room(_COPIES * 4 * n_parameters * config.n_seeds, what, "narrower layers, fewer seeds, or a larger machine")


def _encode(network: Network, images: datasets.ImageSet, split: datasets.Split) -> tuple[jax.Array, jax.Array]:
    """A split behind the front end, on the device: that is fixed, so it works once."""
    encoded = jax.jit(lambda x: in_chunks(network.front_end, x))(jnp.asarray(images.normalise(split.images)))
    return encoded, jnp.asarray(split.labels)


def diagnostic_batch(network: Network, images: datasets.ImageSet) -> tuple[jax.Array, jax.Array]:
    """The training images on which a rule is looked at, behind the front end, and their labels.

    Parameters
    ----------
    network
        Its front end is what stands before them.
    images
        What the rule is trained on.
    """
    train = images.train
    return _encode(network, images, datasets.Split(train.images[:_DIAGNOSTIC_IMAGES], train.labels[:_DIAGNOSTIC_IMAGES]))


class _Diagnoses:
    """Looks at a rule at work, by one program: how far from backpropagation it is at several times, and all else at the end."""

    def __init__(self, rule: LearningRule, initial: Any, keys: jax.Array, batch: tuple[jax.Array, jax.Array]) -> None:
        self._rule, self._given, self._batch = rule, (initial, keys), batch
        self._measure = jax.jit(
            on_one_batch(lambda batch, before, state, key: tuple(learning_rules.diagnose(rule, before, state, key, batch)))
        )
        self.angles: dict[str, np.ndarray] = {}

    def __call__(self, when: str, state: RuleState) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Alignment, change and activity of every node, each (n_seeds, n_nodes), and what the rule tells of itself."""
        initial, keys = self._given
        nodes, info = self._measure(self._batch, initial, state, keys)
        found = {name: np.asarray(values) for name, values in nodes.items()}
        parts = (found[name] for name in ("cosine", "reference_norm", "norm"))
        self.angles[when] = learning_rules.mean_angle(self._rule.network, *parts)
        return found, jax.tree.map(np.asarray, info)


def train(config: TrainConfig | None = None, progress: Progress | None = None, **fields: Any) -> Trained:
    """Train networks by one rule.

    Parameters
    ----------
    config
        What to run; or give its fields as keywords.
    progress
        Called with epochs done, epochs in all and a line to show.
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
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for name in fields:
        if name not in known:
            raise unknown_name("field of TrainConfig", name, known)
    if config is not None and not isinstance(config, TrainConfig):
        raise InputError(f"train was given {config!r}, expected a TrainConfig, or its fields by name: train(rule='backprop')")
    config = dataclasses.replace(config or TrainConfig(), **fields)
    keep_compiled_programs()
    # A misspelt rule is said before images are read.
    config = with_own_settings(config)

    images = load_images(config)
    n_train = len(images.train.labels)
    if n_train < (config.batch_size or 1):
        raise InputError(f"batch_size={config.batch_size} was given for {n_train} training images: give a batch of at most as many")
    config = dataclasses.replace(config, epochs=epochs_for(config, n_train))
    network = build_network(config, images)
    rule = learning_rules.build(config.rule, network.core, **config.rule_options)
    assert config.epochs is not None and config.batch_size is not None  # replaced above
    transform = _optimizer(config, rule, config.epochs * (n_train // config.batch_size))
    programs = make_programs(rule, transform, config.batch_size, images.n_classes)

    seeds = config.seeds
    keys = keys_of(seeds)
    started = time.perf_counter()
    learner, keys = spread_over_devices((programs.init(keys), keys), config.n_seeds)
    at_start = jax.tree.map(jnp.copy, learner.state)  # the epochs' program takes the learner away
    initial = at_start.params["network"]
    splits = [_encode(network, images, split) for split in (images.train, images.validation, images.test)]
    (x, y), validation, test = splits
    epoch = programs.epoch.lower(learner, keys, jnp.int32(0), x, y).compile()  # type: ignore[attr-defined]
    evaluate = [programs.evaluate.lower(learner.state, *split).compile() for split in (validation, test)]  # type: ignore[attr-defined]
    compile_seconds = time.perf_counter() - started

    diagnose = _Diagnoses(rule, initial, keys, (x[:_DIAGNOSTIC_IMAGES], y[:_DIAGNOSTIC_IMAGES]))
    diagnose("start", at_start)
    tenth = max(1, round(config.epochs / 10))

    best = jax.tree.map(jnp.copy, learner.state)
    best_accuracy = np.full(config.n_seeds, -1.0)
    best_epoch = np.zeros(config.n_seeds, int)
    choose = jax.jit(
        lambda better, new, old: jax.tree.map(lambda a, b: jnp.where(better.reshape(-1, *(1,) * (a.ndim - 1)), a, b), new, old)
    )
    rows: list[dict[str, Any]] = []
    confusion = np.zeros(0)
    started = time.perf_counter()
    for index in range(config.epochs):
        learner, summary = epoch(learner, keys, jnp.int32(index), x, y)
        learner = spread_over_devices(learner, config.n_seeds)  # the compiler may have put it elsewhere
        right, confusion = (np.asarray(run(learner.state, *split)) for run, split in zip(evaluate, (validation, test), strict=True))
        validation_accuracy, test_accuracy = (_accuracy(counts) for counts in (right, confusion))
        better = validation_accuracy > best_accuracy
        if better.any():
            best = choose(jnp.asarray(better), learner.state, best)
            best_accuracy = np.where(better, validation_accuracy, best_accuracy)
            best_epoch = np.where(better, index + 1, best_epoch)
        loss, accuracy = np.asarray(summary.loss), np.asarray(summary.accuracy)
        rows += [
            {
                "rule": config.rule,
                "seed": seed,
                "epoch": index + 1,
                "train_loss": float(loss[i]),
                "train_accuracy": float(accuracy[i]),
                "validation_accuracy": float(validation_accuracy[i]),
                "test_accuracy": float(test_accuracy[i]),
            }
            for i, seed in enumerate(seeds)
        ]
        if index + 1 == tenth:
            diagnose("tenth", learner.state)
        if progress is not None:
            progress(index + 1, config.epochs, f"validation accuracy {validation_accuracy.mean():.3f}")
    seconds = time.perf_counter() - started

    measured, info = diagnose("end", learner.state)
    networks = pd.DataFrame(
        [
            {"rule": config.rule, "seed": seed, "layer": layer, **{name: float(values[i, k]) for name, values in measured.items()}}
            for i, seed in enumerate(seeds)
            for k, layer in enumerate(network.node_names)
        ]
    )
    accuracy_table = pd.DataFrame(rows)
    weightless = [node.name for node in network.nodes if not node.weighted]
    return Trained(
        config=config,
        images=images,
        rule=rule,
        network=network,
        initial=initial,
        start=at_start,
        state=learner.state,
        best=best,
        best_epoch=best_epoch,
        accuracy=accuracy_table,
        networks=networks,
        angles=diagnose.angles,
        info=info,
        warnings=[
            *_out_of_place(config, rule.spec),
            *_one_start(config, initial),
            *warnings_of(config.rule, rule.spec, accuracy_table, networks, confusion, seeds, weightless),
        ],
        seconds=seconds,
        compile_seconds=compile_seconds,
    )


def _one_start(config: TrainConfig, initial: Any) -> list[str]:
    """Seeds that start from one network."""
    if config.n_seeds == 1 or any(bool(np.any(np.asarray(leaf) != np.asarray(leaf)[:1])) for leaf in jax.tree.leaves(initial)):
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
