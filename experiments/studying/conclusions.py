"""Conclusions × conditions: whether what a rule adds to its control holds whatever single choice is changed.

P-values of the main condition are one family, of all regions, rules and networks, and those of all other conditions another
(Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x): near-copies of a test would otherwise make room for the test
itself. A conclusion *holds* where every condition that could be scored decides as the main one does, and these are of every kind
but size and accuracy, which some rules cannot be given; it *turns* where two decide against each other, and is *undecided*
otherwise. How many conditions have the main one's sign stands beside it, since halves of stimuli and single seeds decide less for
being less. That the readout is among the layers counts for nothing: it was trained, and the control's was not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import rsa
from experiments.studying.conditions import MAIN, READOUT

__all__ = ["ABOVE", "BELOW", "LEVEL", "PLACE", "UNDECIDED", "conclusions", "corrected", "stimuli_needed"]

LEVEL = 0.05
_POWER = 0.8
ABOVE, BELOW, UNDECIDED, ABSENT = "above", "below", "undecided", "not scored"
PLACE = ["group", "recording", "region"]
"""Columns that say where a row is."""
# Rules that settle or spike see stimuli at one size; some are never at the accuracy that others share.
_NOT_FOR_ALL = {"size", "accuracy"}


def corrected(ranks: pd.DataFrame) -> pd.DataFrame:
    """The table with `p_adjusted` of differences from controls, and `verdict`.

    Parameters
    ----------
    ranks
        As `running.hold_against` gives them.
    """
    tested = (ranks["kind"] == "rule") & (ranks["failure"] == "")
    adjusted = np.full(len(ranks), np.nan)
    counts, is_main = tested & (ranks["choice"] != READOUT), ranks["condition"] == MAIN
    for family in (counts & is_main, counts & ~is_main, tested & ~counts):
        adjusted[family] = rsa.false_discovery_rate(ranks.loc[family, "p_value_from_control"].to_numpy(float))
    verdicts = [
        "" if not is_tested else _verdict(p, difference)
        for is_tested, p, difference in zip(tested, adjusted, ranks["difference_from_control"], strict=True)
    ]
    return ranks.assign(p_adjusted=adjusted, verdict=verdicts)


def _verdict(p_adjusted: float, difference: float) -> str:
    if math.isnan(difference):
        return ABSENT
    return UNDECIDED if not p_adjusted < LEVEL else ABOVE if difference > 0 else BELOW


def conclusions(ranks: pd.DataFrame) -> pd.DataFrame:
    """One row a rule, region and group.

    Parameters
    ----------
    ranks
        As `corrected` gives them.

    Returns
    -------
    pandas.DataFrame
        group, recording, region, rule, score, difference, lower, upper and p_adjusted of the main condition; `conclusion`: "holds
        above", "holds below", "turns" or "undecided"; n_conditions that scored it, how many say above and below, and how many have
        the main difference's sign; `not_scored`, conditions that did not; and one column a condition with its verdict, "" where it
        was not scored.
    """
    needed = set(ranks["choice"]) - _NOT_FOR_ALL - {READOUT}
    counted = list(dict.fromkeys(ranks.loc[ranks["choice"] != READOUT, "condition"]))
    rules = ranks[(ranks["kind"] == "rule") & (ranks["failure"] == "")]
    names = list(dict.fromkeys(ranks["condition"]))
    rows = []
    for (*place, rule), table in rules.groupby([*PLACE, "name"], sort=False):
        by_condition = table.set_index("condition")
        if MAIN not in by_condition.index or by_condition.loc[MAIN, "verdict"] == ABSENT:
            continue
        main = by_condition.loc[MAIN]
        asked = by_condition[by_condition["choice"] != READOUT]
        known = asked[asked["verdict"] != ABSENT]
        scored = set(known["choice"]) >= needed
        absent = [name for name in counted if name not in known.index]
        row: dict[str, Any] = {
            **dict(zip(PLACE, place, strict=True)),
            "rule": rule,
            **{name: float(main[name]) for name in ("score", "lower", "upper")},
            "control": main["control"],
            "difference": float(main["difference_from_control"]),
            "difference_lower": float(main["lower_from_control"]),
            "difference_upper": float(main["upper_from_control"]),
            "p_adjusted": float(main["p_adjusted"]),
            "conclusion": _conclusion(list(known["verdict"]), scored),
            "not_scored": ", ".join(absent),
            "n_conditions": len(known),
            "n_above": int((known["verdict"] == ABOVE).sum()),
            "n_below": int((known["verdict"] == BELOW).sum()),
            "n_same_sign": int((np.sign(known["difference_from_control"]) == np.sign(main["difference_from_control"])).sum()),
        }
        rows.append(row | {name: by_condition["verdict"].get(name, "").replace(ABSENT, "") for name in names})
    return pd.DataFrame(rows)


def _conclusion(verdicts: Sequence[str], of_every_kind: bool) -> str:
    said = set(verdicts)
    if {ABOVE, BELOW} <= said:
        return "turns"
    return f"holds {verdicts[0]}" if of_every_kind and len(said) == 1 and UNDECIDED not in said else UNDECIDED


def stimuli_needed(n_stimuli: int, difference: float, lower: float, upper: float, n_tests: int = 1) -> float:
    """How many stimuli would decide a difference of this size in four studies of five, corrected for so many tests.

    An interval's width falls with the root of the number of stimuli. What subjects and seeds add does not: it is a lower bound.

    Parameters
    ----------
    n_stimuli
        That there were.
    difference, lower, upper
        Of the difference, with its 95 % interval.
    n_tests
        Over which Bonferroni's method corrects.

    >>> round(stimuli_needed(92, 0.01, -0.01, 0.03))
    752
    """
    half_width = (upper - lower) / 2
    if not difference or math.isnan(half_width):
        return math.nan
    reach = stats.norm.isf(LEVEL / (2 * n_tests)) + stats.norm.ppf(_POWER)
    return float(n_stimuli * (reach / stats.norm.isf(LEVEL / 2) * half_width / abs(difference)) ** 2)
