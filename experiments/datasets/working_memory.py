"""Tasks that ask for memory, drawn by a fixed seed: delayed match to sample, and evidence that is counted.

A trial is a picture whose rows are steps and whose columns are input lines; recurrent and spiking networks read it row by row, and
answer after the last.

* `delayed_match_D`: one of four patterns is shown for two steps; after D steps of noise it comes again, or another does, and the
  network says which of the two (Romo, Brody, Hernandez and Lemus 1999, doi:10.1038/20939, is the kind of task). The longest delay
  that a rule holds is the measure.
* `evidence`: clicks come on two lines for 60 steps, more often on one of them; the network says on which there were more
  (Brunton, Botvinick and Brody 2013, doi:10.1126/science.1233912). Trials with as many on both are not drawn: counting is right.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Int32, UInt8

from .contract import NamedSet, SourceFile, SourceImages, Split

DELAYS = (10, 40, 160)
N_TRAIN, N_TEST = 4000, 1000
_SEED = 22
_LINES, _SHOWN, _PATTERNS = 8, 2, 4
_STEPS, _RATES = 60, (0.10, 0.20)
# Bytes: nothing, a line that is on, and the standard deviation of what is on every line at every step.
_OFF, _ON, _NOISE = 64.0, 192.0, 12.0

Trials = tuple[UInt8[np.ndarray, "n steps lines 1"], Int32[np.ndarray, " n"]]


def _seen(on: np.ndarray, random: np.random.Generator) -> UInt8[np.ndarray, "n steps lines 1"]:
    """Lines that are on or off, with noise, as bytes."""
    noisy = np.where(on, _ON, _OFF) + random.normal(scale=_NOISE, size=on.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)[..., None]


def delayed_match(n: int, delay: int, random: np.random.Generator) -> Trials:
    """Trials of delayed match to sample, half of which match.

    Parameters
    ----------
    n
        How many.
    delay
        Steps between the sample's end and the test's beginning.
    random
        Of which patterns, and of noise.

    >>> trials, matches = delayed_match(10, 3, np.random.default_rng(0))
    >>> trials.shape, int(matches.sum())
    ((10, 7, 8, 1), 5)
    """
    patterns = np.arange(_LINES) // (_LINES // _PATTERNS) == np.arange(_PATTERNS)[:, None]
    matches = random.permutation(np.arange(n) % 2)
    sample = random.integers(_PATTERNS, size=n)
    other = (sample + random.integers(1, _PATTERNS, size=n)) % _PATTERNS
    on = np.zeros((n, 2 * _SHOWN + delay, _LINES), bool)
    on[:, :_SHOWN] = patterns[sample][:, None]
    on[:, -_SHOWN:] = patterns[np.where(matches == 1, sample, other)][:, None]
    return _seen(on, random), matches.astype(np.int32)


def evidence(n: int, random: np.random.Generator) -> Trials:
    """Trials of evidence accumulation, each side with more clicks in half of them.

    Parameters
    ----------
    n
        How many.
    random
        Of clicks and noise.

    >>> trials, sides = evidence(10, np.random.default_rng(0))
    >>> trials.shape, int(sides.sum())
    ((10, 60, 2, 1), 5)
    """
    sides = random.permutation(np.arange(n) % 2)
    on = np.zeros((n, _STEPS, 2), bool)
    undrawn = np.arange(n)
    while len(undrawn):
        clicks = random.random((len(undrawn), _STEPS, 2)) < np.array(_RATES)
        clicks = np.where((sides[undrawn] == 1)[:, None, None], clicks, clicks[..., ::-1])
        counts = clicks.sum(axis=1)
        right = counts[:, 1] - counts[:, 0]
        fits = np.where(sides[undrawn] == 1, right > 0, right < 0)
        on[undrawn[fits]] = clicks[fits]
        undrawn = undrawn[~fits]
    return _seen(on, random), sides.astype(np.int32)


def _read(name: str, draw: Callable[[int, np.random.Generator], Trials], class_names: tuple[str, str]) -> SourceImages:
    random = np.random.default_rng([_SEED, *name.encode()])
    train, test = Split(*draw(N_TRAIN, random)), Split(*draw(N_TEST, random))
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for split in (train, test) for each in split)).hexdigest()
    named = NAMED_SETS[name]
    return SourceImages(
        name=name,
        class_names=class_names,
        train=train,
        test=test,
        citation=named.citation,
        licence=named.licence,
        source=(SourceFile(f"drawn by numpy, seed {_SEED}", digest),),
        notes="drawn trials of a task: rows are steps, columns input lines",
    )


def _named(name: str, citation: str, n_steps: int, n_lines: int, read: Callable[[], SourceImages]) -> NamedSet:
    return NamedSet(
        name=name,
        n_train=N_TRAIN,
        n_test=N_TEST,
        shape=(n_steps, n_lines, 1),
        n_classes=2,
        citation=citation,
        licence="MIT, as this project",
        size_bytes=(N_TRAIN + N_TEST) * n_steps * n_lines,
        read=read,
    )


def _delayed(delay: int) -> NamedSet:
    name = f"delayed_match_{delay}"

    def draw(n: int, random: np.random.Generator) -> Trials:
        return delayed_match(n, delay, random)

    read = functools.partial(_read, name, draw, ("other", "same"))
    return _named(name, "drawn; after Romo et al. (1999), doi:10.1038/20939", 2 * _SHOWN + delay, _LINES, read)


NAMED_SETS: dict[str, NamedSet] = {f"delayed_match_{delay}": _delayed(delay) for delay in DELAYS}
NAMED_SETS["evidence"] = _named(
    "evidence",
    "drawn; after Brunton et al. (2013), doi:10.1126/science.1233912",
    _STEPS,
    2,
    functools.partial(_read, "evidence", evidence, ("left", "right")),
)

__all__ = ["DELAYS", "NAMED_SETS", "delayed_match", "evidence"]
