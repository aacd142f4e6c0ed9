"""What decides a training, in one digest: what is the same under it need not be trained again."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from architectures import Network
from bioplausible.foundation.resolve import is_reference, source_of
from experiments import datasets
from experiments.config import TrainConfig, deciding_record
from experiments.environment import describe_code
from experiments.pretrained import digest_of_start
from experiments.results import plain
from learning_rules import LearningRule

__all__ = ["digest_of", "options_record", "reading_code"]

# What of this package decides the weights that a training ends in, beside rules and networks.
_DECIDES = ("epochs", "feeding", "preparing", "pretrained", "streaming", "training", "warnings", "environment")


def options_record(rule: LearningRule) -> dict[str, Any]:
    """The options that a rule was built with, as a mapping; a user's rule keeps them in what form it likes.

    Those that its options name as `unsaid`, each with a value, are left out where they have that value.

    Parameters
    ----------
    rule
        Any rule.
    """
    if dataclasses.is_dataclass(rule.options) and not isinstance(rule.options, type):
        # What a rule did before there was such an option is called as it was: trainings are found again by their options.
        unsaid = getattr(rule.options, "unsaid", {})
        return {name: value for name, value in dataclasses.asdict(rule.options).items() if unsaid.get(name, ...) != value}
    return dict(rule.options) if isinstance(rule.options, Mapping) else {}


@functools.cache
def _code() -> str:
    """A digest of all code that decides a training, and of the versions below it."""
    digest = hashlib.sha256(describe_code().encode())
    for name in _DECIDES:
        digest.update(Path(str(import_module(f"experiments.{name}").__file__)).read_bytes())
    return digest.hexdigest()


@functools.cache
def reading_code() -> str:
    """A digest of the code that reads networks and fits controls, and of the libraries that do it."""
    digest = hashlib.sha256(json.dumps([metadata.version(name) for name in ("numpy", "scipy", "scikit-learn")]).encode())
    for name in ("controls", "readouts", "reading"):
        digest.update(Path(str(import_module(f"experiments.{name}").__file__)).read_bytes())
    return digest.hexdigest()


def _machine() -> list[Any]:
    """What arithmetic is done by: the same program rounds otherwise elsewhere."""
    device = jax.devices()[0]
    modes = [jax.config.values[name] for name in ("jax_enable_x64", "jax_default_matmul_precision")]
    return [device.platform, device.device_kind, jax.device_count(), *modes]


def _pixels(images: datasets.ImageSet) -> str:
    """A digest of images as they are trained on, whatever files and decoders they came through, and of their labels."""
    digest = hashlib.sha256()
    for split in (images.train, images.validation, images.test):
        for array in split:
            digest.update(repr((array.shape, str(array.dtype))).encode())
            for block in datasets.blocks_of(array):
                digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def digest_of(config: TrainConfig, images: datasets.ImageSet, network: Network, rule: LearningRule) -> str:
    """Twenty hexadecimal digits that are the same for trainings that end in the same weights.

    Parameters
    ----------
    config
        With what the rule decides itself.
    images, network, rule
        What was made of it.
    """
    record = deciding_record(config)
    # Built options hold the defaults too; those of a user's own rule may not show what it was asked for.
    asked = record.pop("rule_options") if is_reference(config.rule) else {}
    for name in ("dataset", "split_seed", "validation_fraction", "n_train", "exclude_indices"):
        del record[name]  # the images say it
    if config.init:
        record["init"] = digest_of_start(network)  # wherever it was read
    named = [name for name in (config.rule, config.architecture, config.optimizer_of) if is_reference(name)]
    record |= {
        "asked": asked,
        "rule_options": plain(options_record(rule)),
        "network": plain(dict(network.options)),
        "images": _pixels(images),
        "sources": {name: source_of(name) for name in named},
        "machine": _machine(),
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True, default=repr).encode()).hexdigest()[:20]
