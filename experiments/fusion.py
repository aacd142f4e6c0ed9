"""Fusion: when what a region of one recording distinguishes is distinguished in another, such as fMRI by MEG.

At every time the mean RDM of the recording in time is compared with each subject's RDM of a region. Intervals hold for other
stimuli and other subjects of the region; the subjects of the recording in time are averaged, as in the papers below. The latency of
a peak is the time after stimulus onset at which the curve is highest, its interval is that of the same draws, and two regions'
latencies are compared within draws, which take the same stimuli for both.

Stretches above what unrelated geometries reach are clusters over time: the conditions of the region's RDMs are permuted, all
subjects and times alike, which leaves the curve as smooth in time as it is. The subjects' signs are not flipped. Stimuli and the
averaged RDM in time are the same for all of them, and so is most of their geometry, so that a resemblance by chance has one sign in
all: of unrelated recordings of 40 stimuli and ten subjects, flips found a cluster in half of all curves.

References: Cichy, Pantazis and Oliva 2014, doi:10.1038/nn.3635; 2016, doi:10.1093/cercor/bhw135; Maris and Oostenveld 2007,
doi:10.1016/j.jneumeth.2007.03.024.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import jax
import numpy as np
import pandas as pd

import rsa
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from experiments.measured import in_order, mean_rdm, region_rdms
from neurodata import Recording

__all__ = ["COLUMNS", "Fusion", "Pair", "fuse", "pair_of"]

COLUMNS = {
    "fusion": ("region", "sensors", "time", "score", "lower", "upper", "p_value", "cluster_p_value", "n_subjects"),
    "fusion_latencies": ("region", "sensors", "latency", "lower", "upper", "score"),
    "fusion_differences": ("earlier", "later", "sensors", "difference", "lower", "upper", "p_value"),
}
_CLUSTER_CONDITIONS = 6
_CLUSTER_DRAWS = 19  # fewer tell no quantile of a time's permutations by which it enters a cluster


@dataclass(frozen=True, eq=False)
class Pair:
    """Two recordings of the same stimuli, in one order.

    Attributes
    ----------
    regions
        Region -> RDMs, (n_subjects, n_pairs).
    in_time
        What was measured in time (sensors of a kind, say) -> RDMs, the mean over subjects, (n_times, n_pairs).
    times
        (n_times,), seconds from stimulus onset.
    names
        Of the recording of regions and of that in time.
    warnings
        What has to be known of how they fit.
    """

    regions: dict[str, np.ndarray]
    in_time: dict[str, np.ndarray]
    times: np.ndarray
    names: tuple[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Fusion:
    """Curves, latencies and their differences, each a table with the columns of `COLUMNS`; and what has to be known.

    `p_value` is of a time by itself, over stimuli and subjects; `cluster_p_value` of the stretch in which it lies, against
    permutations of the conditions, corrected for all times of a curve.
    """

    fusion: pd.DataFrame
    fusion_latencies: pd.DataFrame
    fusion_differences: pd.DataFrame
    warnings: tuple[str, ...] = ()

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name."""
        return {name: getattr(self, name) for name in COLUMNS}


def pair_of(first: Recording, second: Recording, measure: str = "correlation") -> Pair:
    """Bring two recordings together, one of regions and one in time.

    Parameters
    ----------
    first
        Whose stimuli are taken, in its order.
    second
        The other, which has them all.
    measure
        One of `rsa.MEASURES`.

    Raises
    ------
    InputError
        Both in time or neither, or other stimuli.
    """
    timed = [{name for name, region in each.regions.items() if region.times is not None} for each in (first, second)]
    if bool(timed[0]) == bool(timed[1]):
        what = "both have" if timed[0] else "neither has"
        raise InputError(
            f"fusion of recordings '{first.name}' and '{second.name}': {what} a time axis; expected regions of one (fMRI) and "
            "the time course of the other (MEG, EEG)"
        )
    order, warnings = _order(first, second)
    spatial, temporal = (second, first) if timed[0] else (first, second)
    places = {id(second): order}
    regions = {name: in_order(rdms, places.get(id(spatial))) for name, rdms in region_rdms(spatial, measure).items()}
    in_time = {
        name: in_order(np.stack([mean_rdm(each) for each in rdms]), places.get(id(temporal)))
        for name, rdms in region_rdms(temporal, measure).items()
        if temporal.regions[name].times is not None
    }
    assert temporal.times is not None, "it has a time axis"
    return Pair(regions, in_time, np.asarray(temporal.times, float).round(9), (spatial.name, temporal.name), tuple(warnings))


def _order(first: Recording, second: Recording) -> tuple[list[int] | None, list[str]]:
    """Where each stimulus of the first stands in the second; None where as many have other names, which is said."""
    ids, others = ([str(each) for each in recording.stimuli.ids] for recording in (first, second))
    if set(ids) <= set(others):
        return [others.index(each) for each in ids], []
    if len(ids) == len(others) and not set(ids) & set(others):
        return None, [
            f"fusion: the {len(ids)} stimuli of '{first.name}' and '{second.name}' have other names, and are taken to be the same "
            "in the same order"
        ]
    missing = [each for each in ids if each not in others]
    raise InputError(
        f"fusion of recordings '{first.name}' and '{second.name}': {len(missing)} of {len(ids)} stimuli, such as '{missing[0]}', "
        "are not in the second; expected the same stimuli, name those that both have with --conditions"
    )


def fuse(
    pair: Pair,
    comparator: str = "spearman",
    n_draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fusion:
    """Compare regions with every time.

    Parameters
    ----------
    pair
        From `pair_of`.
    comparator
        One of `rsa.COMPARATORS`.
    n_draws
        Bootstrap draws, and as many permutations; 0 for curves without intervals and clusters.
    confidence
        Coverage of the intervals.
    seed
        Repeats the draws.
    progress
        Called with curves done, curves in all and a line to show.

    Raises
    ------
    InputError
        As `rsa.compare` does.
    """
    latencies: dict[tuple[str, str], np.ndarray] = {}
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    after = pair.times > 0 if (pair.times > 0).any() else np.ones(len(pair.times), bool)
    curves = [(sensors, region) for sensors in pair.in_time for region in pair.regions]
    warnings = list(pair.warnings)
    for place, (sensors, region) in enumerate(curves):
        if progress is not None:
            progress(place, len(curves), f"fusion of {region} with {sensors}")
        in_time, subjects = pair.in_time[sensors], pair.regions[region]
        curve = _curve(in_time, subjects, comparator, n_draws, confidence, seed)
        if curve.note:
            warnings.append(f"fusion: no clusters over time in region '{region}': {curve.note}")
        own = {"region": region, "sensors": sensors}
        tables["fusion"] += [
            {**own, "time": time, "n_subjects": len(subjects), **{name: values[index] for name, values in curve.columns.items()}}
            for index, time in enumerate(pair.times)
        ]
        when = pair.times[after]
        peak = int(curve.columns["score"][after].argmax())
        row = {**own, "latency": when[peak], "score": curve.columns["score"][after][peak], "lower": np.nan, "upper": np.nan}
        if len(curve.draws):
            # A draw of too few stimuli has no curve.
            usable = np.isfinite(curve.draws).all(axis=1)
            latencies[sensors, region] = np.where(usable, when[curve.draws[:, after].argmax(axis=1)], np.nan)
            row["lower"], row["upper"] = _interval(latencies[sensors, region], confidence)
        elif n_draws:
            warnings.append(f"fusion: too few stimuli and subjects for intervals of region '{region}': six and four are needed")
        tables["fusion_latencies"].append(row)
    for sensors in pair.in_time:
        peaks = {row["region"]: row["latency"] for row in tables["fusion_latencies"] if row["sensors"] == sensors}
        for pair_of_regions in combinations([each for each in pair.regions if (sensors, each) in latencies], 2):
            early, late = sorted(pair_of_regions, key=lambda region: peaks[region])
            drawn = latencies[sensors, late] - latencies[sensors, early]
            lower, upper = _interval(drawn, confidence)
            tables["fusion_differences"].append(
                {
                    "earlier": early,
                    "later": late,
                    "sensors": sensors,
                    "difference": round(peaks[late] - peaks[early], 9),
                    "lower": lower,
                    "upper": upper,
                    "p_value": _two_sided(drawn),
                }
            )
    frames = {name: pd.DataFrame(rows, columns=list(COLUMNS[name])) for name, rows in tables.items()}
    return Fusion(**frames, warnings=tuple(dict.fromkeys(warnings)))


@dataclass(frozen=True, eq=False)
class _Curve:
    """Columns of the table; the curve in every draw, (n_draws, n_times) or empty; why there are no clusters, or ""."""

    columns: dict[str, np.ndarray]
    draws: np.ndarray
    note: str


def _curve(in_time: np.ndarray, subjects: np.ndarray, comparator: str, n_draws: int, confidence: float, seed: int) -> _Curve:
    factors = rsa.usable_factors(rsa.condition_count(in_time.shape[-1]), len(subjects), 1)
    nothing = np.full(len(in_time), np.nan)
    if n_draws and factors:
        found = rsa.generalise(
            jax.random.key(seed), in_time, subjects, comparator, factors=factors, n_draws=n_draws, confidence=confidence
        )
        columns = {"score": found.mean, "lower": found.lower, "upper": found.upper, "p_value": found.p_value}
        draws = found.draws[factors]
    else:
        score = np.asarray(rsa.compare(in_time, subjects, comparator)).mean(axis=1)
        columns, draws = {"score": score, "lower": nothing, "upper": nothing, "p_value": nothing}, np.empty((0, 0))
    clusters, note = _clusters(in_time, subjects, columns["score"], comparator, n_draws, seed)
    return _Curve(columns | {"cluster_p_value": clusters}, draws, note)


def _clusters(
    in_time: np.ndarray, subjects: np.ndarray, observed: np.ndarray, comparator: str, n_draws: int, seed: int
) -> tuple[np.ndarray, str]:
    """Of every time the p-value of its cluster, NaN outside of any; and why there is no test, where there is none."""
    found = np.full(len(in_time), np.nan)
    if not n_draws:
        return found, ""
    if rsa.condition_count(in_time.shape[-1]) < _CLUSTER_CONDITIONS or n_draws < _CLUSTER_DRAWS:
        return found, f"too few stimuli or draws: {_CLUSTER_CONDITIONS} and {_CLUSTER_DRAWS} are needed"
    # One key for all regions: their curves meet the same permutations.
    key = jax.random.fold_in(jax.random.key(seed), 1)
    null = rsa.permutation_null(key, in_time, subjects, comparator, n_draws)
    if not np.isfinite(null).all():
        return found, "pairs that were not measured leave some permutations without a score"
    for cluster in rsa.cluster_permutations(observed, null).clusters:
        found[cluster.start : cluster.stop] = cluster.p_value
    return found, ""


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentiles of what was drawn."""
    lower, upper = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return round(float(lower), 9), round(float(upper), 9)


def _two_sided(differences: np.ndarray) -> float:
    """Twice the share of draws on the rarer side of nought, those at nought on both, and the data one more draw."""
    drawn = differences[np.isfinite(differences)]
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return float(min(1.0, 2 * (1 + rarer) / (1 + len(drawn))))
