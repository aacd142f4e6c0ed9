"""What the networks of a training make of a recording's stimuli: RDMs of every layer, made once and kept beside the networks.

```
STORE/rdms/TRAINING/WHEN__SIZE__MEASURE__DIGEST.npz    seed and layer -> condensed RDM, in single precision
```

A look that is there is not made again: another measure, size or recording costs itself alone.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import rsa
from architectures import Network
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_bytes
from experiments import stimuli
from experiments.config import CONTROL
from experiments.responding import part_for_size
from experiments.studying.code import RDMS, code_of
from experiments.trained import Trained
from learning_rules import RuleState

__all__ = ["END", "MATCHED", "START", "Look", "Shown", "show"]

START, END, MATCHED = "start", "end", "matched"
"""Before the first image, after the last epoch, and at the accuracy that all share."""


class Look(NamedTuple):
    """One way to look at networks: when, at what size of stimuli (None is that of their training), and by which measure."""

    when: str
    size: int | None
    measure: str


@dataclass(frozen=True)
class Shown:
    """What a training's networks made of some stimuli.

    Attributes
    ----------
    rule
        That trained them.
    readout, last
        Names of the output layer and of the one before it.
    files
        Look -> where its RDMs are; looks that the networks cannot be given are not there.
    """

    rule: str
    readout: str
    last: str
    files: dict[Look, Path]

    def rdms(self, look: Look) -> dict[tuple[int, str], np.ndarray]:
        """Seed and layer -> condensed RDM, in the order of the network; layers that tell no stimuli apart are not there."""
        return (_read(self.files[look]) or {}) if look in self.files else {}


def show(
    folder: Path,
    trained: Trained,
    images: np.ndarray,
    looks: Sequence[Look],
    epochs: Mapping[int, int] | None = None,
    state_at: Callable[[], RuleState] | None = None,
) -> Shown:
    """RDMs of a training's layers.

    Parameters
    ----------
    folder
        Of the store: where they are kept, and found again.
    trained
        The networks.
    images
        Stimuli, ``(n, height, width, 3)`` uint8.
    looks
        All that is asked for.
    epochs
        Seed -> epoch at the common accuracy; without it no such look is shown.
    state_at
        Reads the networks at those epochs.
    """
    wanted = [look for look in looks if look.when != MATCHED or epochs]
    files = {look: _file(folder, trained, images, look, epochs if look.when == MATCHED else None) for look in wanted}
    missing = [look for look in wanted if _read(files[look]) is None]
    for when, size in dict.fromkeys((look.when, look.size) for look in missing):
        measures = [look.measure for look in missing if (look.when, look.size) == (when, size)]
        made = _made(trained, images, size, measures, functools.partial(_state, trained, when, state_at))
        for measure, rdms in made.items():
            write_bytes(files[Look(when, size, measure)], _encoded(rdms))
    names = trained.network.node_names
    return Shown(trained.name, names[-1], names[-2] if len(names) > 1 else "", files)


def _state(trained: Trained, when: str, state_at: Callable[[], RuleState] | None) -> RuleState:
    # The control has a readout that was trained, which is no untrained layer: it is shown with the one that it started with.
    if when == START or trained.name == CONTROL:
        return trained.start
    if when == END:
        return trained.state
    assert state_at is not None
    return state_at()


def _made(
    trained: Trained, images: np.ndarray, size: int | None, measures: Sequence[str], state: Callable[[], RuleState]
) -> dict[str, dict[tuple[int, str], np.ndarray]]:
    """Measure -> RDMs; empty ones of networks that take no stimuli of this size."""
    found: dict[str, dict[tuple[int, str], np.ndarray]] = {measure: {} for measure in measures}
    try:
        part, _ = part_for_size(trained.network, size)
        presented = stimuli.present(images, trained.network.input_shape, trained.images.normalisation, size)
        layers = trained.represent(presented, part, state=state())
    except InputError:
        if size is None:
            raise
        return found  # what settles or spikes sees stimuli at one size alone
    names = _network(trained, part).node_names
    for index, seed in enumerate(trained.config.seeds):
        for name, activations in zip(names, layers, strict=True):
            for measure, rdms in found.items():
                if (rdm := _rdm(activations[index].reshape(len(images), -1), measure)) is not None:
                    rdms[seed, name] = rdm
    return found


def _network(trained: Trained, part: Network | None) -> Network:
    return trained.network if part is None else part


def _rdm(patterns: np.ndarray, measure: str) -> np.ndarray | None:
    """None of a layer that tells no stimuli apart, such as a silent one, which failures name."""
    try:
        rdm = rsa.network_rdm(patterns, measure).astype(np.float32)
    except rsa.InputError:
        return None
    return rdm if np.isfinite(rdm).all() and np.ptp(rdm) > 0 else None


def _file(folder: Path, trained: Trained, images: np.ndarray, look: Look, epochs: Mapping[int, int] | None) -> Path:
    pixels = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()
    decided_by = json.dumps([pixels, sorted((epochs or {}).items()), code_of(RDMS)])
    digest = hashlib.sha256(decided_by.encode()).hexdigest()[:20]
    name = f"{look.when}__{look.size or 'training'}__{look.measure}__{digest}.npz"
    return folder / "rdms" / trained.digest / name


def _encoded(rdms: Mapping[tuple[int, str], np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    names = np.array([json.dumps(list(key)) for key in rdms], dtype=str)
    # A layer may be called what no zip's path may hold: names stand in an array of their own.
    np.savez(buffer, allow_pickle=False, names=names, **{f"rdm_{index}": rdm for index, rdm in enumerate(rdms.values())})
    return buffer.getvalue()


def _read(path: Path) -> dict[tuple[int, str], np.ndarray] | None:
    """What was kept, None where nothing was, or what cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            keys = [json.loads(str(name)) for name in arrays["names"]]
            return {(int(seed), str(layer)): arrays[f"rdm_{index}"] for index, (seed, layer) in enumerate(keys)}
    except Exception:  # noqa: BLE001 no file, or whatever numpy and zipfile say of a damaged one: it is made again
        return None
