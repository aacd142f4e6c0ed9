"""Small recordings on a few chips of the helmet, written as FIF."""

from pathlib import Path

import mne
import numpy as np

from neurodata.meg import MegOptions
from neurodata.meg.helmet import helmet_info

RATE = 100.0
CODES = {"apple": 3, "bear": 7, "cup": 8, "door": 12}
PLAIN = MegOptions(event_id=CODES, tmin=-0.1, tmax=0.3, noise_normalisation="none")
N_REPEATS = 6


def make_raw(seed: int = 0, rate: float = RATE, n_chips: int = 4, codes=(3, 7, 8, 12), artefacts: int = 0) -> mne.io.RawArray:
    """Correlated noise and a field for each code, on some chips of the helmet, with a stimulus channel."""
    generator = np.random.default_rng(seed)
    full = helmet_info(rate)
    info = mne.pick_info(full, [*range(3 * n_chips), len(full["ch_names"]) - 1])
    order = generator.permutation(np.repeat(codes, N_REPEATS))
    onsets = 50 + 60 * np.arange(len(order))
    n_samples = onsets[-1] + 100
    units = np.tile([1e-11, 1e-11, 1e-13], n_chips)[:, None]
    mixing = generator.standard_normal((3 * n_chips, 3 * n_chips))
    data = mixing @ generator.standard_normal((3 * n_chips, n_samples))
    pulse = np.zeros((1, n_samples))
    for onset, code in zip(onsets, order, strict=True):
        data[:, onset + 5 : onset + 20] += 5 * np.random.default_rng(code).standard_normal((3 * n_chips, 1))
        pulse[:, onset : onset + 3] = code
    for onset in onsets[:artefacts]:
        data[0, onset + 10] += 1e4
    # scanners count samples from before the file begins
    return mne.io.RawArray(np.vstack([units * data, pulse]), info, first_samp=700, verbose="error")


def write(raw: mne.io.RawArray, path: Path) -> Path:
    """In double precision, so that nothing is lost."""
    raw.save(path, fmt="double", overwrite=True, verbose="error")
    return path


def reference(path: Path, **options) -> mne.Epochs:
    """What MNE itself cuts out of a run."""
    raw = mne.io.read_raw_fif(path, verbose="error")
    return mne.Epochs(raw, mne.find_events(raw, verbose="error"), CODES, -0.1, 0.3, preload=True, verbose="error", **options)
