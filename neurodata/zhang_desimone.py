"""Macaque inferior temporal cortex in time: 132 neurons, recorded one after another, seven objects at three positions.

Spikes are counted in 18 bins of 150 ms, every 50 ms from -500 to 500 ms; times are the bins' middles. Every neuron saw each
object at each
position 19 or 20 times, so that trial k of all neurons makes a pseudo-population's trial k: what neurons share from trial to
trial is not
in it. The pictures were not published: grey ones stand in their places, and networks cannot be compared with this recording.

Reference
---------
Zhang, Meyers, Bichot, Serre, Poggio and Desimone (2011), Object decoding with attention in inferior temporal cortex, PNAS 108,
8850-8855. doi:10.1073/pnas.1100999108
"""

from __future__ import annotations

import numpy as np

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from neurodata.cache import RemoteFile, fetch
from neurodata.named import NamedRecording
from neurodata.pattern_set import PatternSet
from neurodata.recording import Recording
from neurodata.stimuli import Stimuli

NAME = "zhang_desimone"
N_CONDITIONS = 21
N_NEURONS = 132
N_TRIALS = 19
CITATION = (
    "Zhang Y, Meyers EM, Bichot NP, Serre T, Poggio TA, Desimone R (2011). Object decoding with attention in inferior "
    "temporal cortex. "
    "PNAS 108, 8850-8855. doi:10.1073/pnas.1100999108"
)
LICENCE = "GPL-3 (NeuroDecodeR, which distributes the data)"
# NeuroDecodeR keeps a file for each neuron; this one holds them all, and is put into the folder by hand
FILE = RemoteFile(f"{NAME}/zhang_desimone_it.npz", (), "b9ea769c5408aea7a5e40a06ad089f44079ecbb5ee2df890c4e6e288f86d922a", 374_840)


def load(progress: Progress | None = None) -> Recording:
    """Load region "IT".

    Parameters
    ----------
    progress
        not needed: the file is put into the folder by hand.

    Returns
    -------
    the recording; conditions are objects at positions, categories objects, channels neurons, and runs the trials of the
    pseudo-population.

    Raises
    ------
    InputError
        when the file is not there.
    """
    with np.load(fetch(FILE, progress=progress), allow_pickle=False) as content:
        counts, neuron, shown, position = (content[key] for key in ("spike_counts", "neuron", "object", "position"))
        edges = content["bin_edges_ms"]
        objects, positions = ([str(name) for name in content[key]] for key in ("object_names", "position_names"))
    names = [f"{thing} {place}" for thing in objects for place in positions]
    trials = np.full((N_TRIALS, N_CONDITIONS, N_NEURONS, len(edges)), np.nan)
    for unit in range(N_NEURONS):
        for condition in range(N_CONDITIONS):
            rows = (neuron == unit) & (shown == condition // len(positions)) & (position == condition % len(positions))
            of_cell = counts[rows]
            if len(of_cell) < N_TRIALS:
                raise InputError(
                    f"{FILE.path} has {len(of_cell)} trials of neuron {unit + 1} and '{names[condition]}'; expected 19"
                )
            trials[:, condition, unit] = of_cell[:N_TRIALS]
    times = edges.mean(axis=1) / 1000
    patterns = PatternSet.from_arrays(
        [trials.reshape(-1, N_NEURONS, len(edges))],
        subjects=["pseudo-population"],
        conditions=names * N_TRIALS,
        runs=[str(trial + 1) for trial in range(N_TRIALS) for _ in names],
        times=times,
        origin=FILE.path,
    )
    stimuli = Stimuli(
        images=np.full((N_CONDITIONS, 8, 8, 3), 128, np.uint8),
        ids=np.array(names),
        categories=np.repeat(objects, len(positions)),
        source="the objects of Zhang et al. 2011, whose pictures were not published",
        has_pictures=False,
    )
    return Recording(
        name=NAME,
        stimuli=stimuli,
        modality="spikes",
        regions={"IT": patterns},
        times=times,
        citation=CITATION,
        licence=LICENCE,
        notes=(
            "Spike counts in 150 ms; 132 neurons recorded one after another, 19 trials of each condition (a twentieth, which "
            "some lack, "
            "is left out). The pictures were not published."
        ),
    )


RECORDING = NamedRecording(
    name=NAME,
    load=load,
    modality="spikes",
    n_conditions=N_CONDITIONS,
    citation=CITATION,
    licence=LICENCE,
    files=(FILE,),
)

__all__ = ["RECORDING", "load"]
