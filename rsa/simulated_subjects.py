r"""Subjects who share a layer's representation: channels of their own, noise, and how much of it their noise ceiling leaves.

A channel is a weighted sum of a layer's units with Gaussian weights, so that over conditions a subject's channels are draws of
:math:`\mathcal N(0, G)` with :math:`G` the Gram matrix of the layer's patterns: no more of the layer is needed than its geometry,
which its RDM holds too. What the measure takes out of a network's patterns (each condition's mean over units, for correlations;
each unit's over conditions, for squared distances and centred measures) is taken out before: the RDM of infinitely many channels
without noise is then the layer's.

.. math:: X_s = \sqrt{a}\, L Z_s + \sqrt{1 - a}\, E_s, \qquad L L^\top = G, \quad \tfrac1n \operatorname{tr} G = 1

with Z and E standard normal and a the signal's share of the variance. Two things make subjects differ, and both are in their noise
ceiling: which mixture of units their channels sample (the fewer channels, the more), and noise that is independent between
conditions, channels and subjects. Real noise is correlated between both; what is matched is what it leaves of the ceiling.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from bioplausible.foundation.errors import InputError
from rsa.ceilings import noise_ceiling
from rsa.comparators import COMPARATORS
from rsa.comparison import compare
from rsa.crossvalidated import crossnobis
from rsa.measures import measure_named, network_rdm
from rsa.pairs import to_square
from rsa.score_vectors import has_vectors, score_vectors

__all__ = ["CeilingOutOfReach", "Sampling", "calibrated_share", "ceilings", "layer_rdm", "loading", "noise_free", "simulate"]

MOST_CONDITIONS_TO_CALIBRATE = 128
"""A ceiling is a correlation over pairs, so that its expectation hardly depends on how many there are."""
CALIBRATING_ENTRIES = 2**18
"""Of all RDMs together: four studies of 15 subjects and 92 conditions, and more studies of fewer."""
CALIBRATING_STUDIES = 4, 24
TOLERANCE = 0.002
MOST_STEPS = 30
LARGEST_MISS = 0.02
"""A ceiling that is asked for and missed by more than this is refused."""
JITTER = 1e-9


class CeilingOutOfReach(InputError):
    """Subjects of so few channels agree less than was measured, even without noise: each channel is a sum of other units."""


class Sampling(NamedTuple):
    """How subjects are measured.

    measure, comparator: as :func:`rsa.network_rdm` and :func:`rsa.compare` name them. n_subjects, n_channels: how many. n_runs: of
    crossnobis, which compares runs with each other; others see one. explained: how much of the variance of what subjects share is
    the layer's.
    """

    measure: str
    comparator: str
    n_subjects: int
    n_channels: int
    n_runs: int
    explained: float


def layer_rdm(layer: np.ndarray, measure: str) -> Float[np.ndarray, " n_pairs"]:
    """A layer's RDM, of patterns (n_conditions, n_units), or as it was given (n_pairs,)."""
    return np.asarray(layer, np.float64) if layer.ndim == 1 else network_rdm(layer, measure)


def _gram(layer: np.ndarray, measure: str) -> Float[np.ndarray, "n_conditions n_conditions"]:
    """Inner products of a layer's patterns, without what the measure takes out."""
    found = measure_named(measure)
    correlated = found.distance == "correlation"
    if layer.ndim == 1:
        square = to_square(layer)
        if correlated:
            return np.asarray(1 - square)
        centred = square - square.mean(axis=0) - square.mean(axis=1, keepdims=True) + square.mean()
        return np.asarray(-centred / 2)
    patterns = np.asarray(layer, np.float64)
    if found.centred or not correlated:
        patterns = patterns - patterns.mean(axis=0)
    if correlated:
        patterns = patterns - patterns.mean(axis=1, keepdims=True)
    return np.asarray(patterns @ patterns.T)


def loading(layer: np.ndarray, measure: str) -> Float[np.ndarray, "n_conditions n_conditions"]:
    """L, whose rows have the layer's geometry and mean square length 1.

    Parameters
    ----------
    layer
        Patterns (n_conditions, n_units), or a condensed RDM (n_pairs,). An RDM of correlations has lost how strongly conditions
        drive the units: all are then as strong. One that no patterns have is replaced by the nearest that some have.
    measure
        One of `rsa.MEASURES`.
    """
    gram = _gram(layer, measure)
    gram = gram / np.diagonal(gram).mean()
    try:
        return np.asarray(np.linalg.cholesky(gram + JITTER * np.eye(len(gram))))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        rows = vectors * np.sqrt(np.maximum(values, 0))
        if layer.ndim == 1 and measure_named(measure).distance == "correlation":
            return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        return np.asarray(rows / np.sqrt(np.square(rows).sum() / len(rows)))


def _signal(random: np.random.Generator, rows: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Channels of all subjects without noise, (n_subjects, n_conditions, n_channels)."""
    n_conditions, rank = rows.shape
    shape = sampling.n_subjects, rank, sampling.n_channels
    signal = rows @ random.standard_normal(shape)
    if sampling.explained < 1:
        # As rich as the layer is, shared by all subjects, and no candidate's: the layer's own geometry on other conditions.
        other = rows[random.permutation(n_conditions)] @ random.standard_normal(shape)
        signal = np.sqrt(sampling.explained) * signal + np.sqrt(1 - sampling.explained) * other
    return np.asarray(signal)


def _noise(random: np.random.Generator, signal: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Standard normal noise, in all runs where they are compared with each other: (n_subjects, n_runs or 1, ...)."""
    n_runs = sampling.n_runs if sampling.measure == "crossnobis" else 1
    return random.standard_normal((len(signal), n_runs, *signal.shape[1:]))


def _measured(signal: np.ndarray, noise: np.ndarray, share: float, measure: str) -> Float[np.ndarray, "n_subjects n_pairs"]:
    """RDMs of subjects at a share of the signal."""
    runs = np.sqrt(1 - share) * noise
    runs += np.sqrt(share) * signal[:, None]
    # Noise is white, so that its precision is one number, which no comparator sees.
    return crossnobis(runs) if measure == "crossnobis" else network_rdm(runs[:, 0], measure)


def simulate(
    random: np.random.Generator, rows: Float[np.ndarray, "n_conditions rank"], share: float, sampling: Sampling
) -> tuple[Float[np.ndarray, "n_subjects n_pairs"], np.ndarray]:
    """RDMs of one study's subjects, and their channels without noise.

    Parameters
    ----------
    random
        Of channels and noise.
    rows
        From :func:`loading`.
    share
        The signal's share of the variance, 0 to 1.
    sampling
        How subjects are measured.
    """
    signal = _signal(random, rows, sampling)
    return _measured(signal, _noise(random, signal, sampling), share, sampling.measure), signal


def noise_free(
    signal: Float[np.ndarray, "n_studies n_subjects n_conditions n_channels"], sampling: Sampling
) -> Float[np.ndarray, "n_studies n_pairs"] | None:
    """RDMs of the only subjects of studies without noise; of several the ceiling asks for none."""
    return network_rdm(signal[:, 0], sampling.measure) if sampling.n_subjects == 1 else None


def ceilings(
    rdms: Float[np.ndarray, "n_studies n_subjects n_pairs"],
    pure: Float[np.ndarray, "n_studies n_pairs"] | None,
    comparator: str,
) -> Float[np.ndarray, " n_studies"]:
    """Lower bound of each study's noise ceiling; of one subject what its RDM without noise scores.

    Parameters
    ----------
    rdms
        Of subjects with noise.
    pure
        From :func:`noise_free`.
    comparator
        One of :data:`rsa.COMPARATORS`.
    """
    if pure is None:
        return np.asarray(noise_ceiling(rdms, comparator).lower)
    if has_vectors(comparator):
        return np.einsum("sp,sp->s", score_vectors(rdms[:, 0], comparator), score_vectors(pure, comparator))
    return compare(pure[:, None], rdms, comparator)[:, 0, 0]


def _root(function: Callable[[float], float], guess: float, lowest: float) -> float:
    """Share at which a rising function of it is zero, where there is one: false position, halved where one end stays (Illinois).

    It takes about three steps where bisection takes nine, and each is worth several studies' RDMs. The guess comes first; the upper
    end is tried only if that is too low.
    """
    left, right, low, side = 0.0, 1.0, lowest, 0
    value = function(guess)
    if abs(value) < TOLERANCE:
        return guess
    if value > 0:
        right, high = guess, value
    else:
        left, low, high = guess, value, function(1.0)
        if high <= 0:
            return 1.0
    share = guess
    for _ in range(MOST_STEPS):
        share = (left * high - right * low) / (high - low)
        value = function(share)
        if abs(value) < TOLERANCE:
            break
        if value < 0:
            left, low = share, value
            high = high / 2 if side < 0 else high
            side = -1
        else:
            right, high = share, value
            low = low / 2 if side > 0 else low
            side = 1
    return share


def calibrated_share(
    random: np.random.Generator,
    rows: Float[np.ndarray, "n_conditions rank"],
    ceiling: float,
    sampling: Sampling,
    name: str,
    guess: float = 0.5,
) -> float:
    """The signal's share of the variance at which simulated subjects have a noise ceiling.

    Parameters
    ----------
    random
        Of channels and noise, which are the same at every share that is tried, so that the ceiling rises with it.
    rows
        From :func:`loading`.
    ceiling
        As :func:`ceilings` works it out.
    sampling
        How subjects are measured.
    name
        Of the layer, for the error.
    guess
        The share that is tried first, above 0 and below 1.

    Raises
    ------
    CeilingOutOfReach
        For a ceiling above that without noise.
    InputError
        For one below that of noise alone.
    """
    if len(rows) > MOST_CONDITIONS_TO_CALIBRATE:
        kept = rows[random.choice(len(rows), MOST_CONDITIONS_TO_CALIBRATE, replace=False)]
        rows = np.linalg.cholesky(kept @ kept.T + JITTER * np.eye(len(kept)))
    n_studies = int(np.clip(CALIBRATING_ENTRIES // (sampling.n_subjects * len(rows) ** 2 // 2), *CALIBRATING_STUDIES))
    signals, noises = [], []
    for _ in range(n_studies):
        signals.append(_signal(random, rows, sampling))
        noises.append(_noise(random, signals[-1], sampling))
    signal, noise = np.concatenate(signals), np.concatenate(noises)
    pure = noise_free(signal.reshape(n_studies, -1, *signal.shape[1:]), sampling)

    def above(share: float) -> float:
        rdms = _measured(signal, noise, share, sampling.measure)
        return float(ceilings(rdms.reshape(n_studies, sampling.n_subjects, -1), pure, sampling.comparator).mean()) - ceiling

    def refuse(reached: str, instead: str, kind: type[InputError] = InputError) -> InputError:
        return kind(
            f"a noise ceiling of {ceiling:g} was asked for, and {sampling.n_subjects} simulated subject(s) of {name} have "
            f"{reached}: {instead}"
        )

    if ceiling == 0 and COMPARATORS[sampling.comparator].centred:
        return 0.0
    # Correlations of noise alone are zero but for chance, cosines of distances are not.
    noise_alone = -ceiling
    if not COMPARATORS[sampling.comparator].centred:
        noise_alone = above(0.0)
        if noise_alone > LARGEST_MISS:
            raise refuse(f"{ceiling + noise_alone:.2f} with noise alone", "take a comparator that centres RDMs")
        if noise_alone >= 0 or ceiling == 0:
            return 0.0
    share = _root(above, guess, noise_alone)
    if share == 1:
        most = above(1.0)
        if most < -LARGEST_MISS:
            instead = "give more n_channels, or leave the candidate out"
            raise refuse(f"{ceiling + most:.2f} without any noise", instead, CeilingOutOfReach)
    return share
