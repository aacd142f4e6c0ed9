"""The files of a simulated observer: a BIDS tree with the stimuli and recording.yaml, so that the folder is a whole recording."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import mne
import numpy as np
from PIL import Image

from bioplausible.foundation.yaml_files import to_yaml
from neurodata.settings import FILE_NAME
from neurodata.simulated import CITATION, LICENCE
from neurodata.stimuli import Stimuli

TASK = "objects"
REJECT = {"grad": 4e-10}  # T/m peak to peak: above all noise, below a blink


def write_run(root: Path, subject: str, run: int, data: np.ndarray, info: mne.Info, events: np.ndarray, ids: list[str]) -> None:
    """Write one run's raw data with its events, as mne-bids lays them out.

    Parameters
    ----------
    root
        of the tree.
    subject, run
        BIDS labels.
    data
        (n_channels, n_samples), SI units.
    info
        of the channels.
    events
        (n_events, 3) of sample, value before, code; code i + 1 is condition i.
    ids
        names of the conditions.
    """
    from mne_bids import BIDSPath, write_raw_bids

    path = BIDSPath(subject=subject, task=TASK, run=f"{run:02d}", datatype="meg", root=root)
    event_id = {name: index + 1 for index, name in enumerate(ids)}
    single = root / "single_raw.fif"  # mne-bids keeps the precision of the file that it is given, and scanners write single
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne.io.RawArray(data, info, verbose="error").save(single, fmt="single", verbose="error")
        raw = mne.io.read_raw_fif(single, verbose="error")
        raw.info["line_freq"] = 50
        write_raw_bids(raw, path, events=events, event_id=event_id, verbose="error")
    single.unlink()


def write_rest(
    root: Path,
    name: str,
    stimuli: Stimuli,
    ids: list[str],
    truth: Mapping[str, str],
    windows: Mapping[str, tuple[float, float]],
    signal_to_noise: float,
    seed: int,
) -> None:
    """Write stimuli, what is known of the recording, and what BIDS wants of the tree."""
    from mne_bids import make_dataset_description

    (root / "stimuli").mkdir()
    for identity, image in zip(ids, stimuli.images, strict=True):
        Image.fromarray(image).save(root / "stimuli" / f"{identity}.png")
    make_dataset_description(path=root, name=f"{name} (no brain was measured)", overwrite=True, verbose="error")
    (root / ".bidsignore").write_text(f"{FILE_NAME}\n", encoding="utf-8")
    driven = "; ".join(f"{source} by {stage}" for source, stage in truth.items())
    settings = {
        "name": name,
        "modality": "simulated meg",
        "citation": CITATION,
        "licence": LICENCE,
        "notes": (
            f"Simulated: no brain was measured. Driven sources: {driven}. In its window a source's variance over conditions is "
            f"{signal_to_noise:g} times that of one trial's noise; seed {seed}; stimuli: {stimuli.source}."
        ),
        "source": stimuli.source,
        "stimuli": [f"{identity}.png" for identity in ids],
        "categories": None if stimuli.categories is None else [str(each) for each in stimuli.categories],
        "source_indices": None if stimuli.source_indices is None else [int(each) for each in stimuli.source_indices],
        "truth": dict(truth),
        "drive_windows": {source: [float(each) for each in window] for source, window in windows.items()},
        "meg": {"tmin": -0.1, "tmax": 0.5, "baseline": [-0.1, 0.0], "reject": REJECT},
    }
    text = to_yaml({key: value for key, value in settings.items() if value is not None})
    (root / FILE_NAME).write_text(text, encoding="utf-8")


__all__ = ["REJECT", "TASK", "write_rest", "write_run"]
