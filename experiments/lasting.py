"""Does a region's geometry last? Each time's RDM held against every other time's, for the report of a recording in time.

Of several subjects, a subject's RDM is compared with the mean RDM of the others; the diagonal is then the lower noise ceiling. Of
one, whose patterns come run by run, distances are cross-validated between runs and times.

Reference: King and Dehaene 2014, doi:10.1016/j.tics.2014.01.002.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import rsa
from experiments.measured import region_rdms
from neurodata import PatternSet, Recording

__all__ = ["COLUMNS", "generalisation_table"]

COLUMNS = ("region", "what", "time", "other_time", "value")
AGREEMENT, DISTANCE = "agreement of subjects", "cross-validated distance"


def generalisation_table(recording: Recording, measure: str = "correlation", comparator: str = "spearman") -> pd.DataFrame:
    """Generalisation over time of every region that has times and more than one subject or run.

    Parameters
    ----------
    recording
        Any.
    measure
        One of `rsa.MEASURES`.
    comparator
        One of `rsa.COMPARATORS`.

    Returns
    -------
    pandas.DataFrame
        The columns of `COLUMNS`, one row a pair of times: `time` is the subject's own (of one subject, that of one run),
        `other_time` the others'. Empty where no region has times; a region with one subject and one run is left out.
    """
    timed = {name: region for name, region in recording.regions.items() if region.times is not None}
    if not timed or recording.times is None:
        return pd.DataFrame(columns=list(COLUMNS))
    rdms = region_rdms(recording, measure)
    times = np.asarray(recording.times, float)
    frames = []
    for name, region in timed.items():
        if rdms[name].shape[1] > 1:
            what, matrix = AGREEMENT, rsa.generalise_over_time(rdms[name], comparator).T
        elif isinstance(region, PatternSet) and (runs := _runs(region)) is not None:
            what, matrix = DISTANCE, rsa.temporal_generalisation(np.moveaxis(runs, 0, 1))
        else:
            continue
        first, second = np.meshgrid(times, times, indexing="ij")
        frames.append(
            pd.DataFrame(
                {
                    "region": name,
                    "what": what,
                    "time": first.ravel(),
                    "other_time": second.ravel(),
                    "value": matrix.ravel().round(6),
                }
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _runs(region: PatternSet) -> np.ndarray | None:
    """Patterns of the only subject, (n_runs, n_times, n_conditions, n_channels); None where they cannot be kept apart."""
    return region.patterns_by_run()[0] if region.has_runs() else None
