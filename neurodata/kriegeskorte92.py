"""Human inferior temporal cortex for 92 objects: four subjects, two sessions each, 3T fMRI.

Coloured photographs of objects on grey (175 x 175 pixels), among them human and animal faces and bodies, natural objects
and artefacts. The RDMs are 1 - Pearson correlation between patterns of the 316 most visually responsive voxels. The
same files hold RDMs of models and of 16 other observers' similarity judgements.

References
----------
Kriegeskorte et al. (2008), Matching categorical object representations in inferior temporal cortex of man and monkey,
Neuron 60, 1126-1141. doi:10.1016/j.neuron.2008.10.043
Mur et al. (2013), Human object-similarity judgments reflect and transcend the primate-IT object representation,
Frontiers in Psychology 4, 128. doi:10.3389/fpsyg.2013.00128
"""

from __future__ import annotations

import re
from pathlib import Path

import lazy_loader
import numpy as np
import scipy
from jaxtyping import Bool, Float64

from bioplausible.foundation.progress import Progress
from neurodata.cache import RemoteFile, fetch, fetch_all
from neurodata.named import NamedRecording
from neurodata.rdm_set import RdmSet, condense
from neurodata.recording import Recording
from neurodata.stimuli import Stimuli

rsatoolbox = lazy_loader.load("rsatoolbox")

N_CONDITIONS = 92
SOURCE = "https://raw.githubusercontent.com/rsagroup/rsatoolbox/f1f83cadb7243492a1aae7460466e0f0140b20ac/demos/92imageData/"
CITATION = (
    "Kriegeskorte N, Mur M, Ruff DA, Kiani R, Bodurka J, Esteky H, Tanaka K, Bandettini PA (2008). Matching categorical "
    "object representations in inferior temporal cortex of man and monkey. Neuron 60, 1126-1141. "
    "doi:10.1016/j.neuron.2008.10.043"
)
BEHAVIOUR_CITATION = (
    "Mur M, Meys M, Bodurka J, Goebel R, Bandettini PA, Kriegeskorte N (2013). Human object-similarity judgments reflect "
    "and transcend the primate-IT object representation. Frontiers in Psychology 4, 128. doi:10.3389/fpsyg.2013.00128"
)
LICENCE = "MIT (rsatoolbox repository, which distributes the files)"


def _remote(name: str, sha256: str, size_bytes: int) -> RemoteFile:
    return RemoteFile(f"kriegeskorte92/{name}", SOURCE + name, sha256, size_bytes)


BRAIN_FILE = _remote("92_brainRDMs.mat", "1743f90a15e895798a94318649e80e1123a7e5943a1703fa1dd7c31ea5780b7c", 224_663)
STIMULUS_FILE = _remote(
    "Kriegeskorte_Neuron2008_supplementalData.mat",
    "06f21214399a5d43dc264eed19a7f4b8daf11c8622a59eec3e106064ce5e3504",
    3_603_779,
)
MODEL_FILE = _remote("92_modelRDMs.mat", "e1d2b58bb2f9508bc13da4c81b94d1ab07823b25ed30b9563bd9d6d730c2a00a", 333_004)
BEHAVIOUR_FILE = _remote("92_behavRDMs.mat", "7a8e118c144c3840adeeeef6ea0706a0be2b3e80df719af15fbb56fc62562f5f", 982_719)


def _read_struct(path: Path, variable: str) -> list[dict[str, np.ndarray]]:
    """Read a MATLAB struct array, in the order of its rows."""
    elements = scipy.io.loadmat(path)[variable].ravel()
    return [{field: np.squeeze(element[field]) for field in element.dtype.names} for element in elements]


def _read_stimuli(path: Path) -> Stimuli:
    objects = _read_struct(path, "stimuli_92objs")
    return Stimuli(
        images=np.stack([each["image"] for each in objects]),
        ids=np.array([f"object_{index + 1:02d}" for index in range(len(objects))]),
        categories=np.array([str(each["category"]) for each in objects]),
        source="the 92 objects of Kriegeskorte et al. 2008",
    )


def _read_rdms(path: Path, variable: str, name_pattern: str, stimuli: Stimuli, measure: str) -> RdmSet:
    entries = _read_struct(path, variable)
    described = []
    for entry in entries:
        match = re.fullmatch(name_pattern, str(entry["name"]))
        assert match is not None, f"{path} has passed its checksum, so its names are known"
        described.append({"session": "1", **match.groupdict()})
    descriptors = {key: [each[key] for each in described] for key in ("subject", "session")}
    vectors = np.stack([condense(entry["RDM"], stimuli.n_conditions, str(path)) for entry in entries])
    patterns = {"condition": [str(identity) for identity in stimuli.ids]}
    return RdmSet(rsatoolbox.rdm.RDMs(vectors, measure, rdm_descriptors=descriptors, pattern_descriptors=patterns), str(path))


def behaviour(progress: Progress | None = None) -> RdmSet:
    """Load 16 observers' similarity judgements by multi-arrangement (Mur et al. 2013), as RDMs of the same 92 objects.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.

    Returns
    -------
    RDMs of 16 subjects, 92 conditions.

    Raises
    ------
    InputError
        when a file cannot be downloaded or written.
    """
    stimuli = _read_stimuli(fetch(STIMULUS_FILE, progress=progress))
    path = fetch(BEHAVIOUR_FILE, progress=progress)
    name_pattern = r"simJudge \| (?P<subject>subject\d+)"
    return _read_rdms(path, "rdms_behav_92", name_pattern, stimuli, "distance in multi-arrangement")


def model_rdms(progress: Progress | None = None) -> dict[str, Float64[np.ndarray, " n_pairs"]]:
    """Load the eight published model RDMs.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.

    Returns
    -------
    condensed RDMs, (4186,), by name: animacy, FaceBodyManmadeNatobj, monkeyIT, EVA, HMAX, V1, Silhouette, RADON.

    Raises
    ------
    InputError
        when a file cannot be downloaded or written.
    """
    path = fetch(MODEL_FILE, progress=progress)
    entries = _read_struct(path, "Models")
    return {str(entry["name"]): condense(entry["RDM"], N_CONDITIONS, str(path)) for entry in entries}


def category_vectors(progress: Progress | None = None) -> dict[str, Bool[np.ndarray, " n_conditions"]]:
    """Load the twelve published category vectors: animate, inanim, human, nonhumani, body, face, ...

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.

    Returns
    -------
    by the category's name, whether each stimulus belongs to it, (92,).

    Raises
    ------
    InputError
        when a file cannot be downloaded or written.
    """
    content = scipy.io.loadmat(fetch(STIMULUS_FILE, progress=progress))
    names = [str(np.squeeze(name)) for name in content["categoryLabels"].ravel()]
    return dict(zip(names, content["categoryVectors"].T.astype(bool), strict=True))


def load(progress: Progress | None = None, with_behaviour: bool = False) -> Recording:
    """Load region "IT" of four subjects, two sessions each.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.
    with_behaviour
        also load the 16 observers' judgements as a region "similarity judgements".

    Returns
    -------
    the recording, RDMs of each session.

    Raises
    ------
    InputError
        when a file cannot be downloaded or written.
    """
    stimulus_path, brain_path = fetch_all((STIMULUS_FILE, BRAIN_FILE), progress=progress)
    stimuli = _read_stimuli(stimulus_path)
    name_pattern = r"hIT \| (?P<subject>\w+) \| Session: (?P<session>\d+)"
    regions = {"IT": _read_rdms(brain_path, "RDMs", name_pattern, stimuli, "correlation")}
    if with_behaviour:
        regions["similarity judgements"] = behaviour(progress)
    return Recording(
        name="kriegeskorte92",
        stimuli=stimuli,
        modality="fmri",
        regions=regions,
        citation=f"{CITATION} {BEHAVIOUR_CITATION}" if with_behaviour else CITATION,
        licence=LICENCE,
        notes="RDMs are 1 - Pearson correlation between voxel patterns, one for each subject and session.",
    )


RECORDING = NamedRecording(
    name="kriegeskorte92",
    load=load,
    modality="fmri",
    n_conditions=N_CONDITIONS,
    citation=CITATION,
    licence=LICENCE,
    files=(STIMULUS_FILE, BRAIN_FILE),
    references=model_rdms,
)

__all__ = ["RECORDING", "behaviour", "category_vectors", "load", "model_rdms"]
