"""Whether networks end in the representations that backpropagation ends in, and how alike those of its own seeds are.

Two rules can reach one accuracy by different representations, and backpropagation by other means shows here as well as in its
angle. Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008; that seeds alone make representations differ, and by how much:
Mehrer et al. 2020, doi:10.1038/s41467-020-19632-w. Two distances, since what one says of a rule the other may not: correlation asks
which units answer, the Euclidean one how much as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.files import write_bytes
from experiments.config import REFERENCE
from experiments.trained import Trained

__all__ = [
    "BETWEEN_SEEDS",
    "COLUMNS",
    "N_IMAGES",
    "is_plain_backprop",
    "rdms_file",
    "rdms_of",
    "read_rdms",
    "with_correlations",
    "write_rdms",
]

N_IMAGES = 40
"""Test images that the RDMs are of: as many of every class as make so many, one of each at least."""

COLUMNS = {"correlation": "rdm_correlation", "euclidean": "rdm_correlation_euclidean"}
"""Distance between responses -> the column of a sweep's runs that holds how alike its RDMs are to backpropagation's."""

BETWEEN_SEEDS = {"correlation": "rdm_between_seeds", "euclidean": "rdm_between_seeds_euclidean"}
"""Distance between responses -> the column that holds how alike a network's RDMs are to those of its own rule from other seeds."""

_COMPARATOR = "spearman"
_SAME_NETWORK = [
    "architecture",
    "architecture_options",
    "init",
    "dataset",
    "n_train",
    "validation_fraction",
    "split_seed",
    "epochs",
]
_SAME_TRAINING = [*_SAME_NETWORK, "batch_size", "rule", "rule_options", "front_end", "optimizer_of"]
_MIN_PAIRS = 3


def _of_every_class(labels: np.ndarray, n_images: int) -> np.ndarray:
    """Numbers of the first images of every class, class by class."""
    classes = np.unique(labels)
    each = max(1, n_images // len(classes))
    return np.concatenate([np.flatnonzero(labels == one)[:each] for one in classes])


def rdms_of(trained: Trained, n_images: int = N_IMAGES) -> dict[str, np.ndarray]:
    """RDMs of all hidden layers after the last epoch.

    Parameters
    ----------
    trained
        Networks of any rule.
    n_images
        Test images, as `N_IMAGES` has them.

    Returns
    -------
    dict
        "distance/layer" -> dissimilarities of the responses to two images, ``(n_seeds, n_pairs)``: 1 - Pearson correlations, and
        squared Euclidean distances as shares of the layer's largest. In half precision: three digits are enough for ranks, and a
        table has hundreds of them. NaN in the pairs of an image that all units answer alike.
    """
    test = trained.images.test
    shown = trained.images.normalise(test.images[_of_every_class(test.labels, n_images)])
    layers = dict(zip(trained.network.node_names[:-1], trained.represent(shown), strict=False))
    flat = {name: np.asarray(layer, np.float32).reshape(*layer.shape[:2], -1) for name, layer in layers.items()}
    return {
        f"{distance}/{name}": np.stack([_rdm(one, distance) for one in layer]).astype(np.float16)
        for distance in COLUMNS
        for name, layer in flat.items()
    }


def _rdm(patterns: np.ndarray, distance: str) -> np.ndarray:
    """Of the images that can be told apart; the pairs of others are no number."""
    highest, lowest = patterns.max(1), patterns.min(1)
    known = np.flatnonzero(np.isfinite(highest - lowest) & (highest - lowest > 1e-6 * np.maximum(np.abs(highest), np.abs(lowest))))
    square = np.full((len(patterns), len(patterns)), np.nan)
    if len(known) >= _MIN_PAIRS:
        first, second = np.triu_indices(len(known), 1)
        found = rsa.rdm(patterns[known], distance)
        square[known[first], known[second]] = found if distance == "correlation" else found / (found.max() or 1.0)
    return square[np.triu_indices(len(patterns), 1)]


def rdms_file(path: Path) -> Path:
    """Where the RDMs of a training are kept while a sweep is at work.

    Parameters
    ----------
    path
        Of its record.
    """
    return path.parent.parent / "rdms" / f"{path.stem}.npz"


def write_rdms(path: Path, rdms: Mapping[str, np.ndarray]) -> None:
    """Keep RDMs in one compressed file.

    Parameters
    ----------
    path
        An .npz.
    rdms
        As `rdms_of` gives them.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(rdms))  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def read_rdms(path: Path) -> dict[str, np.ndarray]:
    """What `write_rdms` has kept; nothing where there is no such file.

    Parameters
    ----------
    path
        An .npz.

    Returns
    -------
    dict
        As `rdms_of` gives them, in double precision.
    """
    if not path.is_file():
        return {}
    with np.load(path) as kept:
        return {name: kept[name].astype(np.float64) for name in kept.files}


def _alike(one: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """Mean correlation of one RDM with some others, each over the images that both tell apart; NaN where there are too few."""
    if not others:
        return np.nan
    beside = np.stack(others)
    shared = np.isfinite(one) & np.isfinite(beside)
    # Nearly always all are: then all others are correlated at once, which is quicker by as many as there are.
    groups = [beside] if shared.all() else [other[None, own] for other, own in zip(beside, shared, strict=True)]
    found = []
    for group, own in zip(groups, shared[: len(groups)], strict=True):
        a = one[own]
        if len(a) < _MIN_PAIRS or np.ptp(a) == 0 or (np.ptp(group, axis=1) == 0).any():
            return np.nan
        found.append(rsa.compare(a[None], group, _COMPARATOR).ravel())
    return float(np.mean(np.concatenate(found)))


def _over_layers(one: Mapping[str, np.ndarray], others: Sequence[Mapping[str, np.ndarray]], distance: str) -> float:
    """Mean over the hidden layers of how alike they are by one distance; NaN where there is nothing to compare."""
    own = {layer: rdm for layer, rdm in one.items() if layer.startswith(f"{distance}/")}
    if not own or not others:
        return np.nan
    return float(np.mean([_alike(rdm, [other[layer] for other in others if layer in other]) for layer, rdm in own.items()]))


def is_plain_backprop(row: Mapping[Any, Any]) -> bool:
    """Whether a row of a sweep is backpropagation as it stands; any other is held against it, whatever it is called.

    Parameters
    ----------
    row
        Of runs, or of their summary.
    """
    return bool(
        row["rule"] == REFERENCE and not row.get("optimizer_of") and row["front_end"] == "none" and row["rule_options"] == "{}"
    )


def with_correlations(runs: pd.DataFrame, rdms: Sequence[Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """How alike the RDMs of every network and of backpropagation's are, and those of one rule from several seeds.

    Parameters
    ----------
    runs
        One row a network.
    rdms
        Of each row: "distance/layer" -> ``(n_pairs,)``; empty where none were kept.

    Returns
    -------
    pandas.DataFrame
        The same with `COLUMNS`, Spearman's correlation, the mean over hidden layers: with backpropagation of the same architecture,
        images, epochs and seed, on plain images and with its own optimiser (the first of several that differ in their batches);
        of that itself with its other seeds. And with `BETWEEN_SEEDS`, the same with the other seeds of the same training, which
        start from other weights: a yardstick for how alike two trainings can be expected to be. NaN where there is none
        of it, and where a layer tells too few images apart.
    """
    numbered = runs.assign(number=np.arange(len(runs)))
    found = {column: np.full(len(runs), np.nan) for column in (*COLUMNS.values(), *BETWEEN_SEEDS.values())}
    for _, rows in numbered.groupby([name for name in _SAME_TRAINING if name in runs], sort=False, dropna=False):
        kept = [number for number in rows["number"] if rdms[number]]
        for number in kept if len(kept) > 1 else []:
            others = [rdms[other] for other in kept if other != number]
            for distance, column in BETWEEN_SEEDS.items():
                found[column][number] = _over_layers(rdms[number], others, distance)
    for _, rows in numbered.groupby([name for name in _SAME_NETWORK if name in runs], sort=False, dropna=False):
        references: dict[int, int] = {}
        for number in rows["number"]:
            if is_plain_backprop(runs.iloc[number].to_dict()) and rdms[number]:
                references.setdefault(int(runs.iloc[number]["seed"]), number)
        for number in rows["number"]:
            seed = int(runs.iloc[number]["seed"])
            is_reference = references.get(seed) == number
            beside = [rdms[other] for of_seed, other in references.items() if (of_seed != seed) == is_reference]
            for distance, column in COLUMNS.items():
                found[column][number] = _over_layers(rdms[number], beside, distance)
    return runs.assign(**found)
