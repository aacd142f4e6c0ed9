"""Conclusions × conditions: whether what a rule adds to its control holds whatever single choice is changed.

Every p-value of the table belongs to one family: regions, rules, networks and conditions together (Benjamini and Hochberg 1995,
doi:10.1111/j.2517-6161.1995.tb02031.x). A conclusion *holds* where every condition decides as the main one does, *turns* where two
decide against each other, and is *undecided* otherwise; how many conditions have the main one's sign stands beside it, since halves
of stimuli and single seeds decide less for being less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

import rsa
from experiments.studying.conditions import MAIN

__all__ = ["ABOVE", "BELOW", "LEVEL", "UNDECIDED", "conclusions", "corrected", "stimuli_needed"]

LEVEL = 0.05
ABOVE, BELOW, UNDECIDED, ABSENT = "above", "below", "undecided", "not scored"
_PLACE = ["group", "recording", "region"]


def corrected(ranks: pd.DataFrame) -> pd.DataFrame:
    """The table with `p_adjusted` of differences from controls, over all of it, and `verdict`.

    Parameters
    ----------
    ranks
        As `running.hold_against` gives them.
    """
    tested = (ranks["kind"] == "rule") & (ranks["failure"] == "")
    adjusted = np.full(len(ranks), np.nan)
    adjusted[tested] = rsa.false_discovery_rate(ranks.loc[tested, "p_value_from_control"].to_numpy(float))
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
        the main difference's sign; and one column a condition with its verdict, "" where it was not scored.
    """
    rules = ranks[(ranks["kind"] == "rule") & (ranks["failure"] == "")]
    names = list(dict.fromkeys(ranks["condition"]))
    rows = []
    for (*place, rule), table in rules.groupby([*_PLACE, "name"], sort=False):
        by_condition = table.set_index("condition")
        if MAIN not in by_condition.index or by_condition.loc[MAIN, "verdict"] == ABSENT:
            continue
        main = by_condition.loc[MAIN]
        known = by_condition[by_condition["verdict"] != ABSENT]
        row: dict[str, Any] = {
            **dict(zip(_PLACE, place, strict=True)),
            "rule": rule,
            **{name: float(main[name]) for name in ("score", "lower", "upper")},
            "control": main["control"],
            "difference": float(main["difference_from_control"]),
            "difference_lower": float(main["lower_from_control"]),
            "difference_upper": float(main["upper_from_control"]),
            "p_adjusted": float(main["p_adjusted"]),
            "conclusion": _conclusion(list(known["verdict"])),
            "n_conditions": len(known),
            "n_above": int((known["verdict"] == ABOVE).sum()),
            "n_below": int((known["verdict"] == BELOW).sum()),
            "n_same_sign": int((np.sign(known["difference_from_control"]) == np.sign(main["difference_from_control"])).sum()),
        }
        rows.append(row | {name: by_condition["verdict"].get(name, "").replace(ABSENT, "") for name in names})
    return pd.DataFrame(rows)


def _conclusion(verdicts: Sequence[str]) -> str:
    said = set(verdicts)
    if {ABOVE, BELOW} <= said:
        return "turns"
    return f"holds {verdicts[0]}" if len(said) == 1 and UNDECIDED not in said else UNDECIDED


def stimuli_needed(n_stimuli: int, difference: float, lower: float, upper: float) -> float:
    """How many stimuli would have decided a difference of this size, if an interval's width falls with the root of their number.

    Parameters
    ----------
    n_stimuli
        That there were.
    difference, lower, upper
        Of the difference. What subjects and seeds add to the width does not fall with stimuli: it is a lower bound.

    >>> round(stimuli_needed(92, 0.01, -0.01, 0.03))
    368
    """
    half_width = (upper - lower) / 2
    return math.nan if not difference or math.isnan(half_width) else n_stimuli * (half_width / abs(difference)) ** 2
