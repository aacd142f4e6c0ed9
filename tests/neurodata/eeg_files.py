"""EEG files as their formats' descriptions have them, written here byte by byte: BrainVision, EDF, BDF and EEGLAB.

References: Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7 (EDF); https://www.biosemi.com/faq/file_format.htm (BDF: 24 bits);
BrainVision Core Data Format 1.0; Delorme and Makeig 2004, doi:10.1016/j.jneumeth.2003.10.009 (EEGLAB).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import mne
import numpy as np
from scipy.io import savemat


def _microvolts(raw: mne.io.BaseRaw) -> tuple[list[str], np.ndarray]:
    return [name for name in raw.ch_names if name.startswith("EEG")], raw.get_data(picks="eeg") * 1e6


def _write_brainvision(raw: mne.io.BaseRaw, path: Path) -> None:
    names, data = _microvolts(raw)
    files = {"DataFile": path.with_suffix(".eeg").name, "MarkerFile": path.with_suffix(".vmrk").name}
    path.with_suffix(".eeg").write_bytes(data.T.astype("<f4").tobytes())
    header = [
        "Brain Vision Data Exchange Header File Version 1.0",
        *("[Common Infos]", "Codepage=UTF-8", *(f"{key}={value}" for key, value in files.items())),
        *("DataFormat=BINARY", "DataOrientation=MULTIPLEXED", f"NumberOfChannels={len(names)}"),
        *(f"SamplingInterval={1e6 / raw.info['sfreq']:.0f}", "[Binary Infos]", "BinaryFormat=IEEE_FLOAT_32"),
        *("[Channel Infos]", *(f"Ch{place}={name},,1,µV" for place, name in enumerate(names, 1))),
    ]
    path.write_text("\n".join(header) + "\n", encoding="utf-8")
    markers = ["Brain Vision Data Exchange Marker File, Version 1.0", "[Common Infos]", "Codepage=UTF-8"]
    markers += [f"DataFile={files['DataFile']}", "[Marker Infos]", "Mk1=New Segment,,1,1,0,20200101000000000000"]
    path.with_suffix(".vmrk").write_text("\n".join(markers) + "\n", encoding="utf-8")


def _write_edf(raw: mne.io.BaseRaw, path: Path, n_bits: int = 16) -> None:
    """Records of one second; the last, where it is not whole, is left out."""
    names, data = _microvolts(raw)
    rate, n_channels = int(raw.info["sfreq"]), len(names)
    n_records = data.shape[1] // rate
    largest, limit = 2 ** (n_bits - 1) - 1, float(np.ceil(np.abs(data).max()))

    def field(value: object, width: int) -> bytes:
        return str(value)[:width].ljust(width).encode("ascii")

    is_bdf = n_bits == 24
    header = [b"\xffBIOSEMI" if is_bdf else field(0, 8), field("X X X X", 80), field("Startdate X X X X", 80)]
    header += [b"01.01.20", b"00.00.00", field(256 * (n_channels + 1), 8), field("24BIT" if is_bdf else "", 44)]
    header += [field(n_records, 8), field(1, 8), field(n_channels, 4)]
    for values, width in (
        *((names, 16), ([""] * n_channels, 80), (["uV"] * n_channels, 8), ([-limit] * n_channels, 8), ([limit] * n_channels, 8)),
        *(([-largest] * n_channels, 8), ([largest] * n_channels, 8), ([""] * n_channels, 80), ([rate] * n_channels, 8)),
        ([""] * n_channels, 32),
    ):
        header += [field(value, width) for value in values]
    whole = np.round(data[:, : n_records * rate] / limit * largest).astype("<i4").reshape(n_channels, n_records, rate)
    in_bytes = np.ascontiguousarray(whole.transpose(1, 0, 2)).view("u1").reshape(n_records, n_channels, rate, 4)
    path.write_bytes(b"".join(header) + in_bytes[..., : n_bits // 8].tobytes())


def _write_bdf(raw: mne.io.BaseRaw, path: Path) -> None:
    _write_edf(raw, path, 24)


def _write_eeglab(raw: mne.io.BaseRaw, path: Path) -> None:
    names, data = _microvolts(raw)
    rate, n_samples = float(raw.info["sfreq"]), data.shape[1]
    empty = ("event", "epoch", "icawinv", "icaweights", "icasphere", "icachansind")
    content = {
        **{"data": data.astype(np.float32), "srate": rate, "nbchan": len(names), "pnts": n_samples, "trials": 1},
        **{"xmin": 0.0, "xmax": (n_samples - 1) / rate, "setname": "x", "filename": path.name, "ref": "common"},
        **{"chanlocs": np.array([(name,) for name in names], dtype=[("labels", object)])},
        **{key: np.array([]) for key in empty},
    }
    savemat(path, {"EEG": content}, appendmat=False)


WRITERS: Mapping[str, Callable[[mne.io.BaseRaw, Path], None]] = {
    "vhdr": _write_brainvision,
    "edf": _write_edf,
    "bdf": _write_bdf,
    "set": _write_eeglab,
}
