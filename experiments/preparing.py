"""Everything that a training needs, and no training: images, network, rule, optimiser. Every mistake is said here."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import architectures
import learning_rules
from architectures import FrontEnd, Network
from bioplausible.foundation.errors import InputError
from experiments import datasets
from experiments.config import TrainConfig, with_fields
from experiments.environment import check_room, check_settings, keep_compiled_programs, spread_over_devices
from experiments.epochs import Programs, in_equal_chunks, keys_of, make_programs, on_one_batch
from experiments.identity import digest_of
from experiments.pretrained import check_start, started_from
from experiments.streaming import is_streamed, stay_in_files
from learning_rules import LearningRule

__all__ = [
    "Encoded",
    "Setup",
    "build_network",
    "diagnostic_batch",
    "epochs_for",
    "front_end_of",
    "load_images",
    "network_options",
    "prepare",
    "with_own_settings",
]

_TARGET_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 700, 10, 30
_DIAGNOSTIC_IMAGES = 512
_BATCH_SIZE = 128

Encoded = tuple[jax.Array, jax.Array]
"""A split behind the front end, on the device, and its labels."""


@dataclass(frozen=True, eq=False)
class Setup:
    """A training that is ready to begin.

    Attributes
    ----------
    config
        What was asked for, with what the rule decides itself: epochs, batch and front end are numbers and names here.
    images
        The image set.
    network
        The network with its front end.
    rule
        The rule, on the network without its front end.
    optimizer
        What turns the rule's updates into changes of weights.
    programs
        The functions of the training, over seeds.
    digest
        Of all that decides the weights in the end, a user's own files as they were when this was prepared.
    streamed
        Whether images are fetched while a network is trained, since they do not fit on the device.
    """

    config: TrainConfig
    images: datasets.ImageSet
    network: Network
    rule: LearningRule
    optimizer: optax.GradientTransformation
    programs: Programs
    digest: str
    streamed: bool = False

    @functools.cached_property
    def keys(self) -> jax.Array:
        """The key of every seed, spread over devices."""
        return spread_over_devices(keys_of(self.config.seeds), self.config.n_seeds)

    @functools.cached_property
    def splits(self) -> tuple[Encoded, Encoded, Encoded]:
        """Training, validation and test images behind the front end: that is fixed, so it works once."""
        splits = self.images.train, self.images.validation, self.images.test
        train, validation, test = ((self.encode(split.images), jnp.asarray(split.labels)) for split in splits)
        return train, validation, test

    def encode(self, images: np.ndarray | datasets.Pictures) -> jax.Array:
        """Some images of the set behind the front end, on the device.

        Parameters
        ----------
        images
            ``(n, height, width, channels)``, bytes.
        """
        return self._encoder(np.asarray(images))

    @functools.cached_property
    def _encoder(self) -> Callable[[np.ndarray], jax.Array]:
        return _encoder(self.network, self.images.normalisation)

    @functools.cached_property
    def diagnose(self) -> Callable[..., tuple[Any, Any]]:
        """(batch, initial parameters, states, keys) -> what `learning_rules.diagnose` says of every seed; one program."""

        def of_one(batch: Encoded, before: Any, state: Any, key: jax.Array) -> tuple[Any, Any]:
            nodes, info = learning_rules.diagnose(self.rule, before, state, key, batch)
            return nodes, info

        return jax.jit(on_one_batch(of_one))

    @property
    def diagnostic(self) -> Encoded:
        """The training images on which the rule is looked at."""
        if self.streamed:
            return diagnostic_batch(self.network, self.images)
        x, y = self.splits[0]
        return x[:_DIAGNOSTIC_IMAGES], y[:_DIAGNOSTIC_IMAGES]


def prepare(config: TrainConfig | None = None, **fields: Any) -> Setup:
    """Build everything that a training needs, and train nothing.

    Parameters
    ----------
    config
        What to run; or give its fields as keywords.
    **fields
        Fields of `TrainConfig` that replace those of `config`.

    Raises
    ------
    InputError
        Unknown names or options, a data set that cannot be used, or fewer images than a batch.

    >>> setup = prepare(rule="backprop", architecture="mlp", dataset="digits")
    >>> setup.config.epochs, setup.config.batch_size
    (30, 128)
    """
    config = with_fields(config, TrainConfig, fields, "train", "rule='backprop'")
    check_settings()
    keep_compiled_programs()
    # A misspelt rule is said before images are read.
    config = with_own_settings(config)
    images = load_images(config)
    n_train = len(images.train.labels)
    if n_train < (config.batch_size or 1):
        raise InputError(f"batch_size={config.batch_size} was given for {n_train} training images: give a batch of at most as many")
    config = dataclasses.replace(config, epochs=epochs_for(config, n_train))
    network = build_network(config, images)
    if config.init:
        network = started_from(network, config.init)
    rule = learning_rules.build(config.rule, network.core, **config.rule_options)
    if config.init:
        check_start(network, rule.init(jax.random.key(0)), config.rule, config.init)
    assert config.epochs is not None and config.batch_size is not None  # replaced above
    optimizer = _optimizer(config, rule, config.epochs * (n_train // config.batch_size))
    programs = make_programs(rule, optimizer, config.batch_size, images.n_classes)
    n_numbers = sum(len(split.labels) for split in (images.train, images.validation, images.test))
    n_numbers *= int(np.prod(network.core.input_shape))
    streamed = isinstance(images.train.images, datasets.Pictures) or is_streamed(config.stream, n_numbers)
    digest = digest_of(config, images, network, rule)
    return Setup(config, images, network, rule, optimizer, programs, digest, streamed)


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
        in_files=lambda n_bytes: stay_in_files(config.stream, n_bytes),
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
        n_numbers = math.prod(images.train.images.shape)
        check_room(4 * n_numbers, f"the front end '{name}' is fitted to all training images, which take", "another, or none")
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
    return _encoder(network, images.normalisation)(np.asarray(split.images)), jnp.asarray(split.labels)


def _encoder(network: Network, normalisation: datasets.Normalisation) -> Callable[[np.ndarray], jax.Array]:
    """Bytes, normalised and behind a network's front end: an image's answer does not depend on how many others there are."""
    # A device divides to another last bit than the host does: it looks bytes up instead, and is sent bytes.
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(len(normalisation.mean), axis=1)
    table = jnp.asarray(normalisation.apply(levels))

    @jax.jit
    def encode(images: jax.Array, table: jax.Array) -> jax.Array:
        x = table[images.astype(jnp.int32), jnp.arange(table.shape[1])]
        return x if network.front_end.name == "none" else in_equal_chunks(network.front_end, x)

    return lambda images: encode(images, table)


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
