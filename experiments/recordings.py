"""The recording of a comparison; the simulated one gets a region that a layer of a reference network drives.

`neurodata` knows no network, so the reference is trained here: backpropagation on the digits that are not among the stimuli, from a
seed that no comparison uses. A comparison of networks with this region has a right answer: the same layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import neurodata
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from experiments import stimuli
from experiments.config import TrainConfig
from experiments.training import train
from neurodata import Recording
from neurodata.entities import selection_of
from neurodata.simulated import DEFAULT_DRIVERS

__all__ = ["REFERENCE_LAYER", "REFERENCE_REGION", "load_recording", "simulated_with_reference"]

REFERENCE_LAYER = "conv_1"
REFERENCE_REGION = "network layer (simulated)"
_REFERENCE_SEED = 9_000_001


def simulated_with_reference(progress: Progress | None = None) -> Recording:
    """The embedded simulated recording: regions driven by Gabor energy, pixel energy, category and a network's layer."""
    shown = neurodata.default_stimuli()
    if shown.source_indices is None:
        raise InputError("the simulated recording does not say which digits it shows, so they cannot be kept out of training")
    config = TrainConfig(
        rule="backprop",
        architecture="cnn",
        dataset="digits",
        seed=_REFERENCE_SEED,
        exclude_indices=tuple(int(index) for index in shown.source_indices),
    )
    reference = train(config, progress)
    images = stimuli.present(shown.images, reference.network.input_shape, reference.images.normalisation)
    layers = dict(zip(reference.network.node_names, reference.represent(images), strict=True))
    features = layers[REFERENCE_LAYER][0]
    recording = neurodata.simulate(shown, {**DEFAULT_DRIVERS, REFERENCE_REGION: features})
    truth = {
        **recording.truth,
        REFERENCE_REGION: f"layer {REFERENCE_LAYER} of a reference network (cnn, backprop, digits, seed {_REFERENCE_SEED})",
    }
    notes = recording.notes.replace("given features", truth[REFERENCE_REGION])
    return dataclasses.replace(recording, truth=truth, notes=notes)


def load_recording(
    name: str, progress: Progress | None = None, needs_pictures: bool = True, select: Sequence[str] = ()
) -> Recording:
    """A named recording or a user's folder.

    Parameters
    ----------
    name
        Its name, or the folder.
    progress
        Called with parts done, parts in all and a line to show.
    needs_pictures
        Whether networks are to be shown its stimuli.
    select
        Which raw files of a folder, by the entities of their names: "task=objects", "res=2".

    Raises
    ------
    InputError
        Unknown name, a folder that does not hold a recording, or a recording without pictures where they are needed.
    """
    chosen = selection_of(select, "select")
    if name == "simulated" and not chosen and not Path(name).is_dir():
        return simulated_with_reference(progress)
    recording = neurodata.load(name, select=chosen)
    if needs_pictures and not recording.stimuli.has_pictures:
        raise InputError(
            f"the pictures of recording '{recording.name}' were not published, so networks cannot be shown them: try another "
            "recording, or describe this one"
        )
    return recording
