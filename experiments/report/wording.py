"""Numbers and findings in words, the same on the page and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.best_layers import BEST
from experiments.config import CONTROL
from experiments.report.conclusions import ABOVE, ABSENT, BELOW, Conclusion, conclusions, leaders, view_names
from experiments.report.views import (
    Ceiling,
    OtherModel,
    Standing,
    ceiling,
    failures,
    number,
    other_models,
    reference_time,
    region_names,
    standings,
)
from experiments.results import Comparison

MISSING = "–"


class RegionFinding(NamedTuple):
    """What the comparison found in one region.

    Attributes
    ----------
    region
        Its name.
    milliseconds
        The time that is spoken of, None without a time axis.
    sentences
        The finding in plain words.
    standings
        Each rule's best layer, best rule first.
    others
        Models that are no networks, best first.
    ceiling
        Noise ceiling at that time.
    """

    region: str
    milliseconds: float | None
    sentences: tuple[str, ...]
    standings: tuple[Standing, ...]
    others: tuple[OtherModel, ...]
    ceiling: Ceiling

    @property
    def ranked(self) -> list[Standing | OtherModel]:
        """Rules and other models in one ranking."""
        return sorted([*self.standings, *self.others], key=lambda row: -row.score)


def decimal(value: Any, digits: int = 3) -> str:
    """A number with a typographic minus.

    >>> decimal(-0.12345), decimal(None)
    ('−0.123', '–')
    """
    given = number(value)
    if not math.isfinite(given):
        return MISSING
    text = f"{given:.{digits}f}"
    # What rounds to nothing has no sign.
    text = text.lstrip("-") if float(text) == 0 else text
    return text.replace("-", "−")


def signed(value: Any, digits: int = 3) -> str:
    """A number with its sign.

    >>> signed(0.0123), signed(-0.5, 1)
    ('+0.012', '−0.5')
    """
    text = decimal(value, digits)
    return text if text == MISSING or text.startswith("−") or float(text) == 0 else f"+{text}"


def interval(lower: Any, upper: Any, digits: int = 3) -> str:
    r"""An interval in brackets, or a dash.

    >>> interval(-0.01, 0.03)
    '[−0.010,\xa00.030]'
    """
    if not (math.isfinite(number(lower)) and math.isfinite(number(upper))):
        return MISSING
    # A space that does not break keeps the bounds on one line.
    return f"[{decimal(lower, digits)},\u00a0{decimal(upper, digits)}]"


def percent(value: Any, digits: int = 1) -> str:
    """A share in percent, without the sign.

    >>> percent(0.6812)
    '68.1'
    """
    given = number(value)
    return decimal(given * 100, digits)


def probability(value: Any) -> str:
    """A p-value.

    >>> probability(0.00001), probability(0.04)
    ('<0.001', '0.040')
    """
    given = number(value)
    return MISSING if not math.isfinite(given) else "<0.001" if given < 0.001 else f"{given:.3f}"


def compact(value: Any) -> str:
    """A number of any size in three digits.

    >>> compact(0.000123), compact(12.3456)
    ('1.23e−4', '12.3')
    """
    given = number(value)
    if not math.isfinite(given):
        return MISSING
    if given != 0 and not 0.001 <= abs(given) < 10_000:
        mantissa, exponent = f"{given:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return f"{given:#.3g}".rstrip(".").replace("-", "−")


def drawn(comparison: Comparison) -> str:
    """What intervals generalise over: what was drawn anew in every region."""
    every = list(comparison.factors.values())
    common = [factor for factor in every[0] if all(factor in each for each in every)] if every else []
    return joined(common) if common else "stimuli"


def joined(names: list[str]) -> str:
    """Names in a sentence.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def verdict(standing: Standing) -> str:
    """Whether a rule beats its untrained control, in words."""
    if standing.rule == CONTROL:
        return "the control itself"
    if math.isnan(standing.difference):
        return "no untrained control to compare with"
    return {
        True: "beats its untrained control",
        False: "does not beat its untrained control",
        None: "not tested: no interval",
    }[standing.beats]


def control_name(row: Mapping[str, Any]) -> str:
    """The best control of a rule, with what it reaches in percent.

    Parameters
    ----------
    row
        Of `Comparison.verdicts`.
    """
    held = math.isfinite(number(row["control_mean"]))
    return f"{row['best_control']} {percent(row['control_mean'])}" if held else MISSING


def control_verdict(row: Mapping[str, Any]) -> str:
    """Whether a rule beats all its controls, in words.

    Parameters
    ----------
    row
        Of `Comparison.verdicts`.
    """
    if row["rule"] == CONTROL:
        return "a control itself"
    if row["beats_control"] is None:
        return "not tested"
    p = probability(row["p_adjusted"])
    return f"{'yes' if row['beats_control'] else 'no'}, p {p if p.startswith('<') else f'= {p}'}"


def degrees(row: Mapping[str, Any]) -> str:
    """Degrees from backpropagation at the start, after a tenth of the epochs and at the end.

    Parameters
    ----------
    row
        Of `Comparison.verdicts`.

    >>> degrees({"rule": "hebbian", "angle_start": 88.2, "angle_tenth": None, "angle_end": 91})
    '88, –, 91'
    """
    found = [number(row[f"angle_{when}"]) for when in ("start", "tenth", "end")]
    if not any(map(math.isfinite, found)):
        return MISSING
    return ", ".join(decimal(each, 0) for each in found)


def _ceiling_sentence(best: Standing, bounds: Ceiling) -> str:
    if math.isnan(bounds.lower):
        return f"There is no noise ceiling to hold it against: {bounds.withheld}."
    if bounds.lower <= 0:
        return (
            f"The noise ceiling's lower bound is {decimal(bounds.lower)}: these subjects share nothing that a model could explain."
        )
    if best.score >= bounds.lower:
        return f"That reaches the noise ceiling, whose lower bound is {decimal(bounds.lower)}."
    return (
        f"That is {percent(best.score / bounds.lower, 0)}\u00a0% of the noise ceiling's lower bound {decimal(bounds.lower)}, "
        f"{decimal(bounds.lower - best.score)} short of it."
    )


def _where(best: Standing) -> str:
    return "its best layer, chosen on other stimuli and subjects" if best.layer == BEST else best.layer


def _beside(best: Standing) -> str:
    """In which layer the control is held against it."""
    return "in the best layer of each" if best.layer == BEST else "in the same layer"


def _control_sentence(best: Standing, rows: list[Standing]) -> str:
    if best.rule == CONTROL:
        better = [row.rule for row in rows if row.beats]
        if better:
            return (
                f"In their own best layers, {joined(better)} {'beats' if len(better) == 1 else 'beat'} the untrained control there."
            )
        if any(row.beats is None and row.rule != CONTROL for row in rows):
            return "No learning rule scores higher."
        return "No learning rule scores higher, and none beats its untrained control."
    if math.isnan(best.difference):
        return "There is no untrained control to compare it with."
    gap = f"difference {signed(best.difference)}"
    if best.beats is None:
        return f"Whether it beats its untrained control was not tested: {gap} {_beside(best)}, without an interval."
    bounds = interval(best.difference_lower, best.difference_upper)
    return f"It {verdict(best)}: {gap} {bounds} {_beside(best)}."


def _models_sentence(best: Standing, others: list[OtherModel]) -> str:
    """How a network stands beside models that are none."""
    first = others[0]
    if first.score <= best.score:
        return f"No reference model that is no network scores as high: the best is {first.model}, {decimal(first.score)}."
    above = [each.model for each in others if each.score > best.score]
    return (
        f"{joined(above)}, which learned nothing, {'scores' if len(above) == 1 else 'score'} above every network "
        f"({first.model} {decimal(first.score)})."
    )


def views_sentence(found: Conclusion) -> str:
    """Whether a rule's difference from its control is found in every view, in words; "" where it has no control.

    Parameters
    ----------
    found
        Of one rule and region, in several views.
    """
    seen = {name: each for name, each in found.views.items() if each.verdict != ABSENT}
    if not seen:
        return ""
    told = "; ".join(f"{name} {signed(each.difference)} ({each.verdict})" for name, each in seen.items())
    start = {
        "holds": f"That {found.rule} differs from its untrained control holds in all {len(found.tested)} views that test it",
        "turns": f"How {found.rule} differs from its untrained control turns with the view: there is no conclusion about the rule",
        "undecided": f"Whether {found.rule} differs from its untrained control is {_undecided(found)}",
        "": f"Whether {found.rule} differs from its untrained control was not tested for other stimuli",
    }[found.holds]
    return f"{start}: {told}."


def _undecided(found: Conclusion) -> str:
    """In how many of the views that test it."""
    decided = sum(found.views[name].verdict in (ABOVE, BELOW) for name in found.tested)
    if decided == 0:
        return f"decided in none of {len(found.tested)} views" if len(found.tested) > 1 else "not decided"
    return f"decided in {decided} of {len(found.tested)} views"


def leaders_sentence(comparison: Comparison, region: str, rule: str) -> str:
    """In how many views a rule scores best, and which does in the others; "" with one view.

    Parameters
    ----------
    comparison, region
        Where.
    rule
        That scores best by the main view.
    """
    found = leaders(comparison, region)
    if len(found) < 2:
        return ""
    others: dict[str, list[str]] = {}
    for view, leader in found.items():
        if leader != rule:
            others.setdefault(leader, []).append(view)
    if not others:
        return f"in all {len(found)} views"
    told = ", ".join(f"{_who(leader)} by {_quoted(views)}" for leader, views in others.items())
    return f"in {sum(leader == rule for leader in found.values())} of {len(found)} views ({told})"


def _quoted(views: list[str]) -> str:
    """Names of views, in quotes where they hold commas."""
    return joined([f"“{name}”" if "," in name else name for name in views])


def _who(rule: str) -> str:
    return "the untrained control" if rule == CONTROL else rule


def failures_sentence(comparison: Comparison) -> str:
    """Which rules stand in no ranking, and why; "" where all do."""
    return "; ".join(f"{rule} {why}" for rule, why in failures(comparison).items())


def region_finding(comparison: Comparison, region: str) -> RegionFinding:
    """Say which rule scored best in a region, how far from the ceiling, whether it beats its control, and whether that holds."""
    time = reference_time(comparison, region)
    bounds = ceiling(comparison, region, time)
    rows, others = standings(comparison, region), other_models(comparison, region)
    sentences: tuple[str, ...] = ("No layer was scored.",)
    if rows:
        best = rows[0]
        who = "The untrained control" if best.rule == CONTROL else best.rule
        known = "" if math.isnan(best.lower) else f" {interval(best.lower, best.upper)}"
        sentences = (
            f"{who} scores best: {decimal(best.score)}{known} in {_where(best)}.",
            _ceiling_sentence(best, bounds),
            _control_sentence(best, rows),
        )
        if others:
            sentences = (*sentences, _models_sentence(best, others))
        if comparison.config["scoring"].get("layers") == BEST and best.layer != BEST:
            sentences = (*sentences, "No layer could be chosen on other stimuli: this one was chosen where it is scored.")
        if where := leaders_sentence(comparison, region, best.rule):
            sentences = (*sentences, f"It scores best {where}.")
        if len(view_names(comparison)) > 1:
            of_region = [each for each in conclusions(comparison) if each.region == region]
            told = [each for each in of_region if each.rule == best.rule or (best.rule == CONTROL and _is_above(each))]
            sentences = (*sentences, *filter(None, map(views_sentence, told)))
        if not math.isnan(best.lower) and best.lower <= 0:
            sentences = (*sentences, "The score's own interval covers zero.")
    return RegionFinding(region, None if time is None else time * 1000, sentences, tuple(rows), tuple(others), bounds)


def _is_above(found: Conclusion) -> bool:
    """Whether a rule is above its control in some view."""
    return any(each.verdict == ABOVE for each in found.views.values())


def _beside_its_control(best: Standing, held: Conclusion | None) -> str:
    """What becomes of the best rule's difference from its control."""
    if math.isnan(best.difference):
        return "and has no untrained control to compare with"
    if held is None:
        told = verdict(best) if best.beats is not None else "without a test against its untrained control"
        return told if best.beats is None else f"{'and' if best.beats else 'but'} {told}"
    views = len(held.tested)
    where = f"in all {views} views" if views > 1 else "in the one view that tests it"
    return {
        "holds": f"{'and' if best.beats else 'but'} {verdict(best)} {where}",
        "turns": "and whether it is above or below its untrained control turns with the view",
        "undecided": f"and whether it differs from its untrained control is {_undecided(held)}",
        "": "without a test against its untrained control",
    }[held.holds]


def _above_the_control(region: str, found: Mapping[tuple[str, str], Conclusion]) -> str:
    """Rules that are above a control which scores best by the main view, in some view."""
    above = [
        f"{rule} by {_quoted([name for name, seen in each.views.items() if seen.verdict == ABOVE])}"
        for (where, rule), each in found.items()
        if where == region and _is_above(each)
    ]
    return f", while layers of rules are above it ({', '.join(above)})" if above else ""


def summary(comparison: Comparison) -> str:
    """The whole comparison in one sentence: what scores best in each region, and under which conditions that holds."""
    clauses = []
    several = view_names(comparison)
    found = {(each.region, each.rule): each for each in conclusions(comparison)} if len(several) > 1 else {}
    for region in region_names(comparison):
        rows = standings(comparison, region)
        if not rows:
            continue
        best = rows[0]
        others = [each for each in other_models(comparison, region) if each.score > best.score]
        place = f"in {region}, "
        if others:
            place += (
                f"{others[0].model}, which learned nothing, scores above every network ({decimal(others[0].score)}); of networks "
            )
        where = leaders_sentence(comparison, region, best.rule)
        clause = f"{_who(best.rule)} scores best{f' {where}' if where else ''}"
        if best.rule == CONTROL:
            clause += _above_the_control(region, found)
        else:
            clause += f"{',' if where or found else ''} {_beside_its_control(best, found.get((region, best.rule)))}"
        control = next((row for row in rows if row.rule == CONTROL and best.rule != CONTROL), None)
        beside = "" if control is None else f", the untrained control's best layer {decimal(control.score)}"
        clauses.append(f"{place}{clause} ({decimal(best.score)}{beside})")
    if not clauses:
        return "Nothing was scored."
    sentence, failed = "; ".join(clauses), failures(comparison)
    left_out = f" Not ranked, since their networks failed: {joined(list(failed))}." if failed else ""
    return f"{sentence[0].upper()}{sentence[1:]}.{left_out}"


__all__ = [
    "MISSING",
    "RegionFinding",
    "compact",
    "control_name",
    "control_verdict",
    "decimal",
    "degrees",
    "failures_sentence",
    "interval",
    "joined",
    "percent",
    "probability",
    "region_finding",
    "signed",
    "summary",
    "verdict",
    "views_sentence",
]
