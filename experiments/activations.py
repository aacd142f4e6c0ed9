"""Activations of models from elsewhere, such as PyTorch's: scored beside the trained networks, by the same inference.

```python
np.savez("resnet.npz", conv1=..., layer4=...)                    # (n_stimuli, ...) each, stimuli in the recording's order
np.savez("resnet.npz", **{"0/conv1": ..., "1/conv1": ...})       # several seeds, each with the same layers
```

The model is called after its file.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bioplausible.foundation.errors import InputError
from experiments.config import check_seed
from experiments.npz_files import READ_ERRORS, check_size

__all__ = ["Activations", "read_activations"]


@dataclass(frozen=True, eq=False)
class Activations:
    """What a model from elsewhere makes of the stimuli.

    Attributes
    ----------
    name
        What it is called in tables.
    path
        Its file.
    sha256
        Of that file.
    layers
        Seed -> layer -> ``(n_stimuli, n_units)``.
    """

    name: str
    path: str
    sha256: str
    layers: dict[int, dict[str, np.ndarray]]


def read_activations(path: str, n_stimuli: int, taken: Collection[str] = ()) -> Activations:
    """Read a model's activations, and say what is wrong with them.

    Parameters
    ----------
    path
        Of an ``.npz``, one array a layer.
    n_stimuli
        How many stimuli the recording has.
    taken
        Names that other models have.

    Raises
    ------
    InputError
        No such file, another kind of file, another number of stimuli, values that are no finite numbers, seeds with other layers,
        or a name that is taken.
    """
    file = Path(path).expanduser()
    name = file.stem
    if not file.is_file() or not zipfile.is_zipfile(file):
        what = "is no .npz" if file.is_file() else "is not there"
        raise InputError(f"activations {path}: the file {what}; give an .npz with one array a layer, as numpy.savez writes it")
    if name in taken:
        raise InputError(f"activations {path} would be called '{name}', as another model is: give the file another name")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    layers: dict[int, dict[str, np.ndarray]] = {}
    try:
        with np.load(file, allow_pickle=False) as arrays:
            for key in arrays.files:
                seed, layer = _seed_and_layer(key)
                origin = f"activations {path}, '{key}'"
                check_size(file, key, origin, "fewer units of that layer")
                if layer in layers.setdefault(seed, {}):
                    raise InputError(f"{origin} is layer '{layer}' of seed {seed} once more: name each once")
                layers[seed][layer] = _checked(arrays[key], origin, n_stimuli)
    except InputError:
        raise
    except READ_ERRORS as error:
        why = " ".join(str(error).split())
        raise InputError(f"activations {path}: the file cannot be read ({why}); write it again with numpy.savez") from error
    if not layers:
        raise InputError(f"activations {path}: the file holds no array; expected one a layer")
    for seed, of_seed in layers.items():
        if of_seed.keys() != (first := layers[min(layers)]).keys():
            differ = ", ".join(sorted(of_seed.keys() ^ first.keys()))
            raise InputError(
                f"activations {path}: seeds {min(layers)} and {seed} differ in their layers ({differ}); expected the same of each"
            )
    return Activations(name, str(path), digest, layers)


def _seed_and_layer(key: str) -> tuple[int, str]:
    """`1/conv` is the layer conv of seed 1; what begins with no number is a layer of the only seed."""
    seed, _, layer = key.partition("/")
    if not (layer and seed.isdecimal()):
        return 0, key
    check_seed(int(seed))
    return int(seed), layer


def _checked(array: np.ndarray, origin: str, n_stimuli: int) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise InputError(f"{origin} holds {array.dtype}, expected numbers")
    if array.ndim < 2 or len(array) != n_stimuli:
        raise InputError(
            f"{origin} has the shape {array.shape}, expected ({n_stimuli}, ...): one row a stimulus, in the recording's order"
        )
    flat = array.reshape(n_stimuli, -1)
    if not np.isfinite(flat).all():
        row = int(np.flatnonzero(~np.isfinite(flat).all(axis=1))[0]) + 1
        raise InputError(f"{origin} holds what is no finite number, first of stimulus {row}: expected finite activations")
    return flat
