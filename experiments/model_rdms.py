"""RDMs of models for a recording's stimuli: filters and categories by name, activations of an `.npz`, and trained networks.

What stands for a model is one word: the name of a reference model, the path of an `.npz` with one array a layer
(`experiments.activations`), or the folder that `train --out` wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import rsa
from bioplausible.foundation.errors import InputError, unknown_name
from experiments import stimuli
from experiments.activations import read_activations
from experiments.measured import CATEGORY, reference_names, reference_rdm
from experiments.trained import Trained
from neurodata import Stimuli

__all__ = ["ModelRdms", "model_rdms"]


class ModelRdms(NamedTuple):
    """Model -> condensed RDMs, (n_seeds, n_pairs); one sentence a layer that has none."""

    rdms: dict[str, np.ndarray]
    warnings: list[str]


def model_rdms(names: Sequence[str], shown: Stimuli, measure: str = "correlation") -> ModelRdms:
    """RDMs of models, in the order in which they are named.

    Parameters
    ----------
    names
        Reference models, `.npz` files of activations, folders of trained networks; none takes every reference model there is.
    shown
        The stimuli.
    measure
        One of `rsa.MEASURES`.

    Returns
    -------
    ModelRdms
        Layers are called `model/layer`. A layer that tells no stimuli apart is named in a warning instead, and so is a reference
        model that nobody asked for by name.

    Raises
    ------
    InputError
        A name that is none of these, files that cannot be read, or no RDM at all.
    """
    known = reference_names(shown)
    found = ModelRdms({}, [])
    for name in names or known:
        if name in (*rsa.REFERENCE_MODELS, CATEGORY):
            _add_reference(found, name, shown, measure, asked=bool(names))
        elif name.endswith(".npz") or Path(name).is_dir():
            _add_layers(found, name, shown, measure)
        else:
            error = unknown_name("model", name, known)
            error.args = (f"{error}; or an .npz of activations, or a folder that train --out wrote (there is none at {name})",)
            raise error
    if not found.rdms:
        raise InputError(f"no model tells the stimuli apart: {'; '.join(found.warnings[:2]) or 'name one'}")
    return found


def _add_reference(found: ModelRdms, name: str, shown: Stimuli, measure: str, asked: bool) -> None:
    try:
        found.rdms[name] = reference_rdm(name, shown, measure)[None]
    except InputError as error:
        if asked:
            raise
        found.warnings.append(str(error))


def _add_layers(found: ModelRdms, name: str, shown: Stimuli, measure: str) -> None:
    own = Path(name).stem if name.endswith(".npz") else Path(name).resolve().name
    if any(model.partition("/")[0] == own for model in found.rdms):
        raise InputError(f"the model {name} would be called '{own}', as another is: give its file or folder another name")
    layers = _activations(name, shown) if name.endswith(".npz") else _network_layers(Path(name), shown)
    for layer, seeds in layers.items():
        try:
            rdms = np.stack([rsa.network_rdm(patterns.reshape(len(patterns), -1), measure) for patterns in seeds])
            if (np.ptp(rdms, axis=1) == 0).any():
                raise InputError("all its dissimilarities are equal")
        except InputError as error:
            found.warnings.append(f"no RDM: {own}: layer '{layer}': {error}")
        else:
            found.rdms[f"{own}/{layer}"] = rdms


def _activations(path: str, shown: Stimuli) -> dict[str, list[np.ndarray]]:
    given = read_activations(path, shown.n_conditions).layers
    return {layer: [of_seed[layer] for of_seed in given.values()] for layer in next(iter(given.values()))}


def _network_layers(folder: Path, shown: Stimuli) -> dict[str, list[np.ndarray]]:
    """What the layers of trained networks make of the stimuli, seed by seed."""
    if not shown.has_pictures:
        raise InputError(f"the pictures were not published, so the networks in {folder} cannot be shown them: give activations")
    trained = Trained.load(folder)
    presented = stimuli.present(shown.images, trained.network.input_shape, trained.images.normalisation)
    return {
        layer: list(activations)
        for layer, activations in zip(trained.network.node_names, trained.represent(presented), strict=True)
    }
