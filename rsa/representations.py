"""Compare patterns themselves, where :func:`rsa.compare` compares their RDMs; the measures beside RSA in one table.

``cka`` (debiased), ``cka_biased`` and ``procrustes`` ask how alike two sets of patterns are up to rotation, scale and shift, see
:mod:`rsa.alignment`; ``encoding`` asks how well the channels are predicted from the units, see :mod:`rsa.encoding`.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Real

from bioplausible.foundation.errors import InputError, unknown_name
from rsa.alignment import Patterns, Scores, cka, cka_biased, procrustes
from rsa.encoding import MINIMUM_HELD_OUT, Folds, draw_folds, encoding
from rsa.pairs import Array
from rsa.precision import CONSTANT_TOLERANCE, in_double_precision

PatternSets = Sequence[Real[Array, "_ _"]] | Real[Array, "_ _ _"]


class PatternComparator(NamedTuple):
    """A way to compare patterns; adding one is writing ``score`` and one line in ``PATTERN_COMPARATORS``.

    score: models' and subjects' checked patterns (n_conditions, any width), folds → (n_models, n_subjects).
    minimum: how many conditions it needs. folded: whether it needs folds of conditions, else none are drawn.
    summary: what it is, for a reader.
    """

    score: Callable[[Sequence[Patterns], Sequence[Patterns], Folds], Scores]
    minimum: int
    folded: bool = False
    summary: str = ""


def _without_folds(score: Callable[[Sequence[Patterns], Sequence[Patterns]], Scores]) -> Callable[..., Scores]:
    @wraps(score)
    def run(models: Sequence[Patterns], data: Sequence[Patterns], folds: Folds) -> Scores:
        return score(models, data)

    return run


PATTERN_COMPARATORS: dict[str, PatternComparator] = {
    "cka": PatternComparator(
        _without_folds(cka),
        minimum=4,
        summary="linear centred kernel alignment, debiased: alike up to rotation, scale and shift",
    ),
    "cka_biased": PatternComparator(
        _without_folds(cka_biased), minimum=3, summary="the same as first published, which is large for many units and few stimuli"
    ),
    "procrustes": PatternComparator(
        _without_folds(procrustes), minimum=3, summary="the correlation of patterns after the best rotation of one onto the other"
    ),
    "encoding": PatternComparator(
        encoding,
        minimum=2 * MINIMUM_HELD_OUT,
        folded=True,
        summary="how well ridge regression predicts measured channels from a layer's units, on stimuli that were held out",
    ),
}
"""Comparators of patterns themselves, without RDMs, by the name that `compare_patterns` takes."""


def _checked(sets: PatternSets, kind: str) -> list[Patterns]:
    """Patterns as float64, refusing what no comparator can use."""
    found = [np.asarray(patterns, dtype=np.float64) for patterns in sets]
    if not found:
        raise InputError(f"there are no {kind} patterns to compare: give at least one set")
    for index, patterns in enumerate(found):
        if patterns.ndim != 2 or patterns.shape[1] == 0:
            raise InputError(
                f"{kind} patterns {index + 1} have shape {patterns.shape}, but (n_conditions, n_units) with at least one unit is "
                "expected: put a single set in a list, and join other axes with reshape(n_conditions, -1)"
            )
        broken = np.argwhere(~np.isfinite(patterns))
        if len(broken):
            raise InputError(
                f"{kind} patterns {index + 1} hold NaN or infinite values, the first in condition {broken[0][0] + 1}, unit "
                f"{broken[0][1] + 1}: "
                "leave out units or conditions that were not measured"
            )
    return found


def _check_varies(sets: Sequence[Patterns], kind: str) -> None:
    for index, patterns in enumerate(sets):
        if np.ptp(patterns, axis=0).max() <= CONSTANT_TOLERANCE * np.abs(patterns).max():
            raise InputError(
                f"{kind} patterns {index + 1} are constant, the same for all conditions, so nothing can be compared with "
                "them: leave "
                "them out, or look why the conditions evoke the same response"
            )


def _check_conditions(models: Sequence[Patterns], data: Sequence[Patterns], method: str) -> int:
    expected = len(models[0])
    for sets, kind in ((models, "model"), (data, "data")):
        for index, patterns in enumerate(sets):
            if len(patterns) != expected:
                raise InputError(
                    f"{kind} patterns {index + 1} have {len(patterns)} conditions and model patterns 1 have {expected}: all "
                    "must show "
                    "the same conditions in the same order"
                )
    minimum = PATTERN_COMPARATORS[method].minimum
    if expected < minimum:
        raise InputError(f"method='{method}' needs at least {minimum} conditions, and these patterns have {expected}: give more")
    return expected


def _folds(key: jax.Array | None, n_conditions: int, n_folds: int, method: str) -> Folds:
    if key is None:
        raise InputError(f"method='{method}' draws folds of conditions and no key was given: give key=jax.random.key(0)")
    if n_folds < 2:
        raise InputError(f"n_folds={n_folds} leaves nothing to train on or to hold out: give 2 or more")
    if n_conditions // n_folds < MINIMUM_HELD_OUT:
        raise InputError(
            f"{n_conditions} conditions in {n_folds} folds leave {n_conditions // n_folds} in the smallest, and a held-out "
            f"correlation needs {MINIMUM_HELD_OUT}: use n_folds={n_conditions // MINIMUM_HELD_OUT} or fewer"
        )
    return draw_folds(key, n_conditions, n_folds)


@in_double_precision
def compare_patterns(
    model_patterns: PatternSets,
    data_patterns: PatternSets,
    method: str = "cka",
    key: jax.Array | None = None,
    n_folds: int = 5,
) -> Float[np.ndarray, "n_models n_subjects"]:
    """Score every model's patterns against every subject's.

    Parameters
    ----------
    model_patterns
        For each model, responses of its units to the conditions, shape (n_conditions, n_units); widths may differ.
    data_patterns
        For each subject, responses of channels (voxels, sensors) to the same conditions, shape (n_conditions, n_channels).
    method
        ``"cka"``: debiased linear CKA, zero on average for noise. ``"cka_biased"``: between 0 and 1, and above zero for noise.
        ``"procrustes"``: similarity after the best rotation, between 0 and 1, and above zero for noise; its arc cosine is a
        metric, see :func:`rsa.angular_distance`. ``"encoding"``: held-out correlation of ridge regression from units to
        channels, the mean over folds and channels.
    key
        Encoding only: draws the folds, which all models and subjects share.
    n_folds
        Encoding only: into how many folds conditions are split.

    Returns
    -------
    Scores, shape (n_models, n_subjects).

    Raises
    ------
    InputError
        For an unknown method, shapes and numbers of conditions that do not fit, NaN, constant patterns, and (encoding) a missing
        key, too few conditions for the folds, and channels that do not vary within a fold.

    >>> patterns = np.random.default_rng(0).normal(size=(20, 5))
    >>> turned = -3 * patterns[:, ::-1] + 1
    >>> [float(compare_patterns([patterns], [turned], method)[0, 0].round(6)) for method in ("cka", "procrustes")]
    [1.0, 1.0]
    """
    if method not in PATTERN_COMPARATORS:
        raise unknown_name("method to compare patterns", method, PATTERN_COMPARATORS)
    comparator = PATTERN_COMPARATORS[method]
    models, data = _checked(model_patterns, "model"), _checked(data_patterns, "data")
    n_conditions = _check_conditions(models, data, method)
    _check_varies(models, "model")
    _check_varies(data, "data")
    folds = _folds(key, n_conditions, n_folds, method) if comparator.folded else []
    return comparator.score(models, data, folds)


def angular_distance(similarity: Real[Array, "*batch"]) -> Float[np.ndarray, "*batch"]:
    """Angle in radians whose cosine a Procrustes (or biased CKA) similarity is: a metric (Williams et al. 2021).

    Parameters
    ----------
    similarity
        Between 0 and 1, any shape.

    Returns
    -------
    Radians between 0 and pi / 2, of the same shape.

    >>> angular_distance(np.array([1.0, 0.5])).round(4)
    array([0.    , 1.0472])
    """
    # Equal patterns may end above one by rounding.
    return np.asarray(np.arccos(np.clip(np.asarray(similarity, dtype=np.float64), -1, 1)))


__all__ = ["PATTERN_COMPARATORS", "PatternComparator", "angular_distance", "compare_patterns"]
