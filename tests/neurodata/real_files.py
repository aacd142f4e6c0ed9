"""Small recordings as people have them, for the tests of what stands in real files: BOLD runs and sensors of six stimuli."""

from __future__ import annotations

import json
from pathlib import Path

import mne
import nibabel
import numpy as np
from PIL import Image

NAMES = ["apple", "banana", "cat", "dog", "egg", "fish"]
SHAPE, SECONDS, N_VOLUMES = (6, 6, 4), 2.0, 60
AFFINE = np.array([[3.0, 0, 0, -9], [0, 3, 0, -9], [0, 0, 3, -6], [0, 0, 0, 1]])
RATE = 100.0


def write_stimuli(folder: Path, names=NAMES, ending: str = "png", size: int = 16) -> Path:
    (folder / "stimuli").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for name in names:
        Image.fromarray(generator.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(folder / "stimuli" / f"{name}.{ending}")
    return folder


def mask() -> np.ndarray:
    """Sixteen voxels."""
    inside = np.zeros(SHAPE)
    inside[1:3, 1:5, 1:3] = 1
    return inside


def write_mask(folder: Path, values: np.ndarray, name: str = "V1.nii.gz", dtype=None, affine=AFFINE) -> Path:
    (folder / "masks").mkdir(exist_ok=True)
    image = nibabel.Nifti1Image(values, affine)
    if dtype is not None:
        image.set_data_dtype(dtype)
    image.to_filename(folder / "masks" / name)
    return folder / "masks" / name


def write_table(path: Path, rows, columns=("onset", "duration", "trial_type"), encoding: str = "utf-8") -> Path:
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def bold_rows(names=NAMES) -> list[tuple[float, float, str]]:
    order = np.concatenate([np.random.default_rng(3).permutation(len(names)) for _ in range(2)])
    return [(6.0 + 8.0 * row, 1.0, names[index]) for row, index in enumerate(order)]


def fmri_folder(folder: Path, names=NAMES, yaml: str = "", stem: str = "sub-01_task-objects_run-1") -> Path:
    """One run of noise with a mask."""
    write_stimuli(folder, names)
    write_mask(folder, mask().astype(np.uint8))
    place = folder / "sub-01" / "func"
    place.mkdir(parents=True)
    write_bold(place / f"{stem}_bold.nii.gz")
    (place / f"{stem}_bold.json").write_text(json.dumps({"RepetitionTime": SECONDS}))
    write_table(place / f"{stem}_events.tsv", bold_rows(names))
    if yaml:
        (folder / "recording.yaml").write_text(yaml, encoding="utf-8")
    return folder


def write_bold(path: Path, unit: str = "sec") -> None:
    noise = np.random.default_rng(1).standard_normal((*SHAPE, N_VOLUMES)).astype(np.float32)
    image = nibabel.Nifti1Image(100 + noise, AFFINE)
    image.header.set_xyzt_units("mm", unit)
    image.header.set_zooms((3, 3, 3, SECONDS))
    image.to_filename(path)


def raw_of(names=NAMES, n_sensors: int = 8, kind: str = "mag", seed: int = 1) -> tuple[mne.io.RawArray, np.ndarray, np.ndarray]:
    """Noise with a field for each condition, the onsets and which condition each is; a stimulus channel of codes from 1."""
    generator = np.random.default_rng(seed)
    order = np.concatenate([generator.permutation(len(names)) for _ in range(3)])
    onsets = 1.0 + 0.6 * np.arange(len(order))
    prefix = {"mag": "MEG", "eeg": "EEG"}[kind]
    info = mne.create_info(
        [f"{prefix}{index:03d}1" for index in range(n_sensors)] + ["STI101"], RATE, [kind] * n_sensors + ["stim"]
    )
    scale = 1e-13 if kind == "mag" else 1e-6
    data = generator.standard_normal((n_sensors + 1, int((onsets[-1] + 1.5) * RATE))) * scale
    data[-1] = 0
    fields = np.random.default_rng(9).standard_normal((len(names), n_sensors)) * 2 * scale
    for sample, index in zip(np.round(onsets * RATE).astype(int), order, strict=True):
        data[:-1, sample + 10 : sample + 30] += fields[index][:, None]
        data[-1, sample : sample + 4] = index + 1
    return mne.io.RawArray(data, info, verbose="error"), onsets, order


MEG_YAML = "meg: {tmin: -0.1, tmax: 0.3, noise_normalisation: univariate}\n"


def meg_folder(
    folder: Path, names=NAMES, described: bool = True, change=None, yaml: str = MEG_YAML, stem="sub-01_task-objects"
) -> Path:
    """One run in FIF with an events.tsv, in a tree that describes itself or in none; ``change`` alters the recording."""
    write_stimuli(folder, names)
    place = folder / "sub-01" / "meg"
    place.mkdir(parents=True, exist_ok=True)
    raw, onsets, order = raw_of(names)
    if change is not None:
        change(raw, onsets)
    raw.save(place / f"{stem}_meg.fif", overwrite=True, verbose="error")
    write_table(
        place / f"{stem}_events.tsv", [(f"{onset:.4f}", 0.0, names[index]) for onset, index in zip(onsets, order, strict=True)]
    )
    if described:
        (place / f"{stem}_meg.json").write_text('{"PowerLineFrequency": 50, "TaskName": "objects", "SamplingFrequency": 100}')
        (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    (folder / "recording.yaml").write_text(yaml, encoding="utf-8")
    return folder
