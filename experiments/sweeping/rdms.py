"""Whether networks end in the representations that backpropagation ends in, and how alike those of its own seeds are.

Two rules can reach one accuracy by different representations, and backpropagation by other means shows here as well as in its
angle. Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008; that seeds alone make representations differ, and by how much:
Mehrer et al. 2020, doi:10.1038/s41467-020-19632-w.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_bytes
from experiments.config import REFERENCE
from experiments.judging import rdm_correlations
from experiments.scoring import Model
from experiments.training import Trained

__all__ = ["N_IMAGES", "read_rdms", "rdms_of", "with_correlations", "write_rdms"]

N_IMAGES = 40
"""Test images that the RDMs are of, as many of every class."""

_COMPARATOR = "spearman"
_SAME_NETWORK = ["architecture", "architecture_options", "dataset", "n_train", "epochs"]


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
        How many test images, in all.

    Returns
    -------
    dict
        Layer -> 1 - Pearson correlations between the responses to two images, ``(n_seeds, n_pairs)``, in half precision: three
        digits are enough for ranks, and a table has hundreds of them. NaN where units answer an image with one number all.
    """
    test = trained.images.test
    shown = trained.images.normalise(test.images[_of_every_class(test.labels, n_images)])
    layers = dict(zip(trained.network.node_names[:-1], trained.represent(shown), strict=False))
    flat = {name: np.asarray(layer, np.float32).reshape(*layer.shape[:2], -1) for name, layer in layers.items()}
    return {name: np.stack([_rdm_or_nan(one) for one in layer]).astype(np.float16) for name, layer in flat.items()}


def _rdm_or_nan(patterns: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(rsa.rdm(patterns))
    except InputError:  # what is constant, or no number, is named among the warnings of the training
        return np.full(len(patterns) * (len(patterns) - 1) // 2, np.nan)


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
    """
    if not path.is_file():
        return {}
    with np.load(path) as kept:
        return {name: kept[name].astype(np.float64) for name in kept.files}


def with_correlations(runs: pd.DataFrame, rdms: Sequence[Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """How alike the RDMs of every network and of backpropagation's are.

    Parameters
    ----------
    runs
        One row a network.
    rdms
        Of each row: layer -> ``(n_pairs,)``; empty where none were kept.

    Returns
    -------
    pandas.DataFrame
        The same with `rdm_correlation`, Spearman's, the mean over hidden layers: with backpropagation of the same network,
        images, epochs and seed, on plain images and with its own optimiser; of that itself with its other seeds. NaN where there
        is none of it, and where no layer tells images apart.
    """
    found = np.full(len(runs), np.nan)
    for _, rows in runs.assign(number=np.arange(len(runs))).groupby(_SAME_NETWORK, sort=False, dropna=False):
        kept = [number for number in rows["number"] if rdms[number]]
        models: dict[Model, np.ndarray] = {}
        for number in kept:
            row = runs.iloc[number]
            plain = row["rule"] == REFERENCE and not row.get("optimizer_of") and row["front_end"] == "none"
            plain = plain and row["rule_options"] == "{}"
            # Any other training is a rule of its own here, whatever it is called.
            rule = REFERENCE if plain else str(number)
            # What tells no images apart, and what is not known, is like nothing.
            tells = {layer: rdm for layer, rdm in rdms[number].items() if np.ptp(rdm) > 0}
            models |= {Model(rule, int(row["seed"]), layer): rdm for layer, rdm in tells.items()}
        if not models:
            continue
        alike = rdm_correlations(models, _COMPARATOR)
        by_row: dict[tuple[str, int], list[float]] = {}
        for model, value in alike.items():
            by_row.setdefault((model.rule, model.seed), []).append(value)
        for number in kept:
            seed = int(runs.iloc[number]["seed"])
            values = np.array(by_row.get((str(number), seed), by_row.get((REFERENCE, seed), [])))
            found[number] = values[np.isfinite(values)].mean() if np.isfinite(values).any() else np.nan
    return runs.assign(rdm_correlation=found)
