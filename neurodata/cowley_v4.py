"""Macaque V4, natural photographs, spike counts trial by trial: one session of a larger publication, and three of its averages.

The session 210325 (monkey PE, 50 neurons, 640 photographs of Bashivan et al. 2019) comes with its single trials, six to ten of each
photograph, which are observations of their own here: `cowley_v4`. Of the sessions 201025 (PE), 190923 (WE) and 210621 (RA) there
are the averages over their repeats: `cowley_v4_201025`, and so on. No photograph is in two sessions, so that monkeys are no
subjects of one another; a study asks whether their rankings agree. Counts are of 100 ms. Image i is the i-th name, sorted, that
ends in .jpg in the session's archive.

Reference
---------
Cowley, Stan, Pillow and Smith (2023), Compact deep neural network models of visual cortex, bioRxiv. doi:10.1101/2023.11.22.568315
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.progress import Progress
from neurodata.cache import RemoteFile, fetch_all
from neurodata.named import NamedRecording
from neurodata.pattern_set import PatternSet
from neurodata.recording import Recording
from neurodata.stimuli import Stimuli

FOLDER = "cowley_v4"
SOURCE = (
    "https://raw.githubusercontent.com/cowleygroup/V4_compact_models/f4552ad9d34a466ebc66658f72a08a8e5038f1cf/data_V4_responses/"
)
CITATION = (
    "Cowley BR, Stan PL, Pillow JW, Smith MA (2023). Compact deep neural network models of visual cortex. bioRxiv. "
    "doi:10.1101/2023.11.22.568315"
)
LICENCE = "repository GPL-3.0; the photographs' licence is not stated"
SIDE = 112  # pixels


class Session(NamedTuple):
    """One session: the monkey, how many neurons, images and trials of each, and its two files.

    `n_twice` of the images are another of them over again, shown and averaged as conditions of their own.
    """

    monkey: str
    n_neurons: int
    n_images: int
    trials: str
    images: RemoteFile
    responses: RemoteFile
    n_twice: int = 0


def _images(session: str, sha256: str, size_bytes: int) -> RemoteFile:
    name = f"images_{session}.zip"
    return RemoteFile(f"{FOLDER}/{name}", f"{SOURCE}images/{name}", sha256, size_bytes)


def _averages(session: str, sha256: str, size_bytes: int) -> RemoteFile:
    url = f"{SOURCE}responses_repeat_averaged/responses_{session}.npy"
    return RemoteFile(f"{FOLDER}/responses_avg_{session}.npy", url, sha256, size_bytes)


SESSIONS: Mapping[str, Session] = MappingProxyType(
    {
        "210325": Session(
            "PE",
            50,
            640,
            "six to ten",
            _images("210325", "992774eca3508a2ad01accb1a31f5f3e3d90248c49f4eec314f2a915a263e454", 1_841_475),
            RemoteFile(
                f"{FOLDER}/responses_raw_210325.npy",
                f"{SOURCE}responses_raw/responses_210325.npy",
                "4008dbbf31a47d9b1b8d8da609f4a7a3433c7071f0e45c611c220b217dd75b76",
                2_560_128,
            ),
        ),
        "201025": Session(
            "PE",
            89,
            1200,
            "twelve",
            _images("201025", "3abb63679107665eab7220bdeaf7863832a1df943bf3d7792501f5082a55b2e8", 4_131_376),
            _averages("201025", "f729f3dc0d29aa38bd380c0da9e39aba916f9e2580949929b65d1714e7217a8a", 854_528),
        ),
        "190923": Session(
            "WE",
            33,
            1200,
            "fourteen",
            _images("190923", "e99a4df1c7476bdc4d565ff4408bc421976ecc3a22c41af6bfd0cfbddb508c0c", 4_024_034),
            _averages("190923", "741672d36541ce39930c8a3b5bd1cfd33c187aa47b1549c9c5569bc21aa97a28", 316_928),
        ),
        "210621": Session(
            "RA",
            51,
            1200,
            "sixteen",
            _images("210621", "aff4d1639a04fb0d964ee09f8e76b07707e8435283c8e0ea47b0fd398ffcc233", 4_109_414),
            _averages("210621", "28e57e8eefe774b455087a62f039931b9547b2300908a0af85eee5baa49aa1ba", 489_728),
            n_twice=2,
        ),
    }
)
DEFAULT = "210325"


def _load_stimuli(path: Path, n_images: int) -> Stimuli:
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        images = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"), np.uint8) for name in names]
    if len(images) != n_images:
        raise InputError(f"{path} holds {len(images)} images; expected {n_images}, remove it and fetch {FOLDER} again")
    return Stimuli(
        images=np.stack(images),
        ids=np.array([Path(name).stem for name in names]),
        source="the photographs of Cowley et al. 2023",
    )


def load(progress: Progress | None = None, session: str = DEFAULT) -> Recording:
    """Load region "V4" of one session.

    Parameters
    ----------
    progress
        called with bytes so far, bytes in all and a line to show while files are downloaded.
    session
        "210325", with its single trials, or "201025", "190923" or "210621", averages of 12, 14 and 16.

    Returns
    -------
    the recording; neurons are channels, and trials observations, whose "run" counts the repeats of an image.

    Raises
    ------
    InputError
        for another session, and when files cannot be had or are not what the publication says.
    """
    if session not in SESSIONS:
        raise unknown_name(f"session of {FOLDER}", session, SESSIONS)
    chosen = SESSIONS[session]
    images, responses = fetch_all((chosen.images, chosen.responses), progress=progress)
    stimuli = _load_stimuli(images, chosen.n_images)
    counts = np.load(responses, allow_pickle=False).reshape(chosen.n_neurons, chosen.n_images, -1)  # neurons, images, repeats
    # images have six to ten trials: what is missing is NaN in all neurons, at the end
    repeat, image = np.nonzero(np.isfinite(counts).all(axis=0).T)
    patterns = PatternSet.from_arrays(
        [counts[:, image, repeat].T],
        subjects=[f"monkey {chosen.monkey}"],
        conditions=[str(stimuli.ids[index]) for index in image],
        runs=[str(index + 1) for index in repeat],
        origin=str(responses),
    )
    what = (
        f"single trials, {chosen.trials} of each image"
        if session == DEFAULT
        else f"averages over {chosen.trials} repeats of each image, so that the one subject has no noise ceiling"
    )
    twice = f"; {chosen.n_twice} of the images are others of them over again" if chosen.n_twice else ""
    return Recording(
        name=_name(session),
        stimuli=stimuli,
        modality="spikes",
        regions={"V4": patterns},
        citation=CITATION,
        licence=LICENCE,
        notes=f"Session {session} of monkey {chosen.monkey}: spike counts in 100 ms, {what}{twice}.",
    )


def _name(session: str) -> str:
    return FOLDER if session == DEFAULT else f"{FOLDER}_{session}"


def _recording(session: str) -> NamedRecording:
    return NamedRecording(
        name=_name(session),
        load=functools.partial(load, session=session),
        modality="spikes",
        n_conditions=SESSIONS[session].n_images,
        citation=CITATION,
        licence=LICENCE,
        files=(SESSIONS[session].images, SESSIONS[session].responses),
    )


RECORDINGS: Mapping[str, NamedRecording] = MappingProxyType({_name(session): _recording(session) for session in SESSIONS})
"""One a session, by name."""
RECORDING = RECORDINGS[FOLDER]

__all__ = ["RECORDING", "RECORDINGS", "SESSIONS", "Session", "load"]
