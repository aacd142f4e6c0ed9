r"""Spoken digits: 3,000 clips of six speakers as log-mel spectrograms, a row a step of 12.5 ms and a column a band.

A recurrent or spiking network hears a clip row by row (`reading: rows`, its default); to a convolutional one it is a picture. Bands
are 32 triangles, spaced evenly on the mel scale :math:`2595 \log_{10}(1 + f / 700)` up to 4 kHz (filters after Davis and
Mermelstein 1980, doi:10.1109/TASSP.1980.1163420; the scale as O'Shaughnessy 1987 has it), of Hann windows of 25 ms. Energies are in
decibels under the clip's loudest, from -60 (0) to 0 (255). Clips end at the last row, so that a network has heard all of a digit
when it is asked: shorter ones begin late, and of the few that are longer than 0.8 s the beginning is left out.

`fsdd` has the split of its authors, in which the same people speak. In `fsdd_SPEAKER` one person's clips are for testing and all
others' for training, which is what tells whether digits or voices were learned.

Reference: Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas and A. Thite (2018), Free Spoken Digit Dataset, v1.0.8,
doi:10.5281/zenodo.1342401.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from neurodata.cache import RemoteFile, fetch

from .contract import NamedSet, SourceFile, SourceImages, Split

_SHA256 = "7908dbaf9286c0345f90c90dff5c89d516cd82ded13447589d53d3c24b5280b7"
_SIZE_BYTES = 15427315
_FILE = RemoteFile(path="fsdd/fsdd.npz", url=(), sha256=_SHA256, size_bytes=_SIZE_BYTES)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_OFFICIAL_TEST = 5  # of each digit and speaker the first so many clips

RATE = 8000
WINDOW, HOP, N_STEPS, N_BANDS = 200, 100, 64, 32
_FLOOR_DB = 60.0
_FFT = 256


def mel_filters(n_bands: int = N_BANDS, n_fft: int = _FFT, rate: int = RATE) -> Float[np.ndarray, "n_bands n_bins"]:
    """Triangles on the mel scale, each rising from its neighbour's centre and falling to the next one's.

    Parameters
    ----------
    n_bands
        How many.
    n_fft
        Length of the transform whose bins they weigh.
    rate
        Samples a second.

    >>> mel_filters(4, 16, 8000).shape
    (4, 9)
    """
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, n_bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(n_fft, 1 / rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def spectrogram(audio: np.ndarray) -> UInt8[np.ndarray, "n_steps n_bands"]:
    """Log-mel energies of a clip, that ends at the last step.

    Parameters
    ----------
    audio
        (n_samples,), at 8 kHz.

    >>> heard = spectrogram(np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000))
    >>> heard.shape, int(heard[:20].max()), int(heard[-1].argmax())
    ((64, 32), 0, 14)
    """
    samples = np.asarray(audio, np.float64)
    n_windows = max(1, 1 + -(-max(len(samples) - WINDOW, 0) // HOP))
    # The last window ends with the clip.
    padded = np.pad(samples, ((n_windows - 1) * HOP + WINDOW - len(samples), 0))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][-N_STEPS:]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), _FFT)) ** 2
    energy = power @ mel_filters().T
    decibels = 10 * np.log10(np.maximum(energy / max(energy.max(), 1e-12), 1e-12))
    shown = np.round(255 * np.clip(1 + decibels / _FLOOR_DB, 0, 1)).astype(np.uint8)
    return np.pad(shown, ((N_STEPS - len(shown), 0), (0, 0)))


class _Clips(NamedTuple):
    images: np.ndarray
    digits: np.ndarray
    speakers: np.ndarray
    numbers: np.ndarray
    sha256: str


@functools.lru_cache(maxsize=1)
def _clips() -> _Clips:
    """All clips, in the file's order."""
    path = fetch(_FILE)
    with np.load(path, allow_pickle=False) as given:
        audio, offset = given["audio"], given["offset"]
        digits, speakers, numbers = given["digit"].astype(np.int32), given["speaker"], given["index"]
    images = np.stack([spectrogram(audio[start:end]) for start, end in zip(offset[:-1], offset[1:], strict=True)])[..., None]
    return _Clips(images, digits, speakers, numbers, _SHA256)


def read(speaker: str | None = None) -> SourceImages:
    """Read the clips from the cache folder.

    Parameters
    ----------
    speaker
        Whose clips are for testing; None for the authors' split, in which everybody is in both.

    Returns
    -------
    SourceImages
        Spectrograms as images, (n, steps, bands, 1).

    Raises
    ------
    InputError
        The file is not there, or another.
    """
    clips = _clips()
    held_out = clips.numbers < _OFFICIAL_TEST if speaker is None else clips.speakers == speaker
    named = NAMED_SETS["fsdd" if speaker is None else f"fsdd_{speaker}"]
    return SourceImages(
        name=named.name,
        class_names=tuple(str(digit) for digit in range(10)),
        train=Split(clips.images[~held_out], clips.digits[~held_out]),
        test=Split(clips.images[held_out], clips.digits[held_out]),
        citation=named.citation,
        licence=named.licence,
        source=(SourceFile(_FILE.path, clips.sha256),),
        notes="log-mel spectrograms of spoken digits: rows are steps of 12.5 ms, columns bands up to 4 kHz"
        + ("" if speaker is None else f"; all clips of {speaker} are for testing, and none for training or choosing"),
    )


def _named(name: str, speaker: str | None) -> NamedSet:
    n_test = 6 * 10 * _OFFICIAL_TEST if speaker is None else 500
    return NamedSet(
        name=name,
        n_train=3000 - n_test,
        n_test=n_test,
        shape=(N_STEPS, N_BANDS, 1),
        n_classes=10,
        citation="Jackson et al. (2018), Free Spoken Digit Dataset, v1.0.8, doi:10.5281/zenodo.1342401",
        licence="CC BY-SA 4.0",
        size_bytes=_SIZE_BYTES,
        read=functools.partial(read, speaker),
        remote_files=lambda: (_FILE,),
    )


NAMED_SETS = {"fsdd": _named("fsdd", None)} | {f"fsdd_{speaker}": _named(f"fsdd_{speaker}", speaker) for speaker in SPEAKERS}

__all__ = ["NAMED_SETS", "SPEAKERS", "mel_filters", "read", "spectrogram"]
