"""A study in words and tables: the answer for every region, what it hangs on, and an attempt to break it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from experiments.config import REFERENCE
from experiments.studying.agreement import agreements
from experiments.studying.conclusions import ABOVE, BELOW, LEVEL, PLACE, UNDECIDED, stimuli_needed
from experiments.studying.conditions import MAIN
from experiments.studying.matched import NEAR

__all__ = ["accuracy_lines", "answers", "doubt", "null_lines", "recovery_lines", "score", "to_markdown"]

_MARKS = {ABOVE: "▲", BELOW: "▼", UNDECIDED: "·", "": ""}


def score(value: float) -> str:
    """A score with three decimals and without the nought that all have; "" for none.

    >>> score(0.1234), score(-0.05), score(10.5)
    ('.123', '-.050', '10.500')
    """
    if value is None or math.isnan(value):
        return ""
    sign, digits = "-" if value < 0 else "", f"{abs(value):.3f}"
    return sign + digits.removeprefix("0")


def _interval(row: Any, lower: str, upper: str) -> str:
    return "" if math.isnan(row[lower]) else f" [{score(row[lower])}, {score(row[upper])}]"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), "|" + "---|" * len(head), *map(_line, rows), ""]


def _places(ranks: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    yield from ranks.groupby(PLACE, sort=False)


def answers(ranks: pd.DataFrame, conclusions: pd.DataFrame) -> list[str]:
    """One paragraph a region and group.

    Parameters
    ----------
    ranks
        As `conclusions.corrected` gives them.
    conclusions
        As `conclusions.conclusions` gives them.
    """
    return [
        f"- **{region}** of {recording}, {group}: {_answer(place, table, conclusions)}"
        for place, table in _places(ranks)
        for group, recording, region in [place]
    ]


def _answer(place: tuple[str, str, str], table: pd.DataFrame, conclusions: pd.DataFrame) -> str:
    main = table[table["condition"] == MAIN]
    ranked = main[main["failure"] == ""]
    rules, networks, others = (ranked[ranked["kind"].isin(kinds)] for kinds in (["rule"], ["rule", "control"], ["model"]))
    if rules.empty:
        return "no rule is ranked."
    best, leader = rules.iloc[0], networks.iloc[0]
    n_stimuli, n_subjects = int(best["n_stimuli"]), int(best["n_subjects"])
    said = [
        f"{n_stimuli} stimuli, {n_subjects} {'subject' if n_subjects == 1 else 'subjects'}; intervals are for other "
        f"{best['factors'] or 'nothing'}. Of rules {best['name']} scores highest, {score(best['score'])}"
        f"{_interval(best, 'lower', 'upper')}, {score(best['control_score'])} before learning"
    ]
    if leader["kind"] == "control":
        said.append(f", and a network that learned nothing scores higher ({leader['name']}, {score(leader['score'])})")
    if not others.empty:
        said.append(f"; the best model without a network is {others.iloc[0]['name']}, {score(others.iloc[0]['score'])}")
    if not math.isnan(best["ceiling"]):
        said.append(f"; the noise ceiling is {score(best['ceiling'])}")
    said.append(". " + _added(_here(conclusions, place)))
    said.append(_apart(rules, n_stimuli))
    return "".join(said)


def _here(conclusions: pd.DataFrame, place: tuple[str, str, str]) -> pd.DataFrame:
    return conclusions[(conclusions[PLACE] == list(place)).all(axis=1)] if len(conclusions) else conclusions


def _added(here: pd.DataFrame) -> str:
    """What rules add to their own untrained networks."""
    above, below = ((here[MAIN] == verdict).sum() for verdict in (ABOVE, BELOW))
    under = f", {below} below" if below else ""
    said = [f"{above} of {len(here)} rules are above their own network before learning{under}"]
    for conclusion, words in (("holds above", "under every condition"), ("holds below", "below it under every condition")):
        held = here[here["conclusion"] == conclusion]
        told = [
            f"{row['rule']} ({row['n_conditions']}{' that it can be given' if row['not_scored'] else ''})"
            for _, row in held.iterrows()
        ]
        if told or conclusion == "holds above":
            said.append(f"{words} {', '.join(told) or 'none'}")
    if turns := list(here.loc[here["conclusion"] == "turns", "rule"]):
        said.append(f"with the opposite verdict under some condition {', '.join(turns)}")
    return "; ".join(said) + ". "


def _apart(rules: pd.DataFrame, n_stimuli: int) -> str:
    """Whether the data tell rules from backpropagation."""
    others = rules[(rules["name"] != REFERENCE) & rules["p_value_from_backprop"].notna()]
    if others.empty or REFERENCE not in set(rules["name"]):
        return ""
    # Corrected for all that are asked here by Bonferroni's method, which needs no more than these rows.
    decided = others[others["p_value_from_backprop"] < LEVEL / len(others)]
    if len(decided):
        told = ", ".join(f"{row['name']} ({score(row['difference_from_backprop'])})" for _, row in decided.iterrows())
        return f"In this region {len(decided)} of {len(others)} rules are told from backpropagation: {told}."
    fields = ["difference_from_backprop", "lower_from_backprop", "upper_from_backprop"]
    needed = [
        stimuli_needed(n_stimuli, float(difference), float(lower), float(upper), len(others))
        for difference, lower, upper in others[fields].to_numpy()
    ]
    fewest = min((each for each in needed if not math.isnan(each)), default=math.nan)
    more = f"; the first to be told apart, {others.iloc[needed.index(fewest)]['name']}, would take at least {fewest:,.0f} stimuli"
    return f"These data tell none of {len(others)} rules from backpropagation{'' if math.isnan(fewest) else more}."


def _rank_rows(table: pd.DataFrame, conditions: Sequence[str]) -> Iterator[list[str]]:
    scores = table.pivot_table(index="name", columns="condition", values="score", sort=False)
    main = table[(table["condition"] == MAIN) & (table["failure"] == "")]
    for _, row in main.iterrows():
        difference = ""
        if row["kind"] == "rule":
            bounds = _interval(row, "lower_from_control", "upper_from_control")
            difference = f"{score(row['difference_from_control'])}{bounds} {_MARKS.get(row['verdict'], '')}".strip()
        name = row["name"] if row["kind"] != "model" else f"*{row['name']}*"
        yield [
            name,
            row["layer"] if row["kind"] != "model" else "",
            f"{score(row['score'])}{_interval(row, 'lower', 'upper')}",
            difference,
            *(score(scores[each].get(row["name"], math.nan)) if each in scores else "" for each in conditions),
        ]


def _conclusion_rows(conclusions: pd.DataFrame, conditions: Sequence[str]) -> Iterator[list[str]]:
    for _, row in conclusions.iterrows():
        counted = f"{row['n_same_sign']} of {row['n_conditions']}"
        yield [row["rule"], f"**{row['conclusion']}**", counted, *(_MARKS[row[each]] for each in conditions)]


def to_markdown(title: str, ranks: pd.DataFrame, conclusions: pd.DataFrame, further: Sequence[str]) -> str:
    """The page of a study.

    Parameters
    ----------
    title
        One line.
    ranks, conclusions
        As of `answers`.
    further
        Lines on null, recovery, accuracies and what was run.
    """
    conditions = [each for each in dict.fromkeys(ranks["condition"]) if each != MAIN]
    shown = [each for each in conditions if not each.startswith(("seed ", "one half", "other half"))]
    lines = [
        f"# {title}",
        "",
        "## The answer",
        "",
        *answers(ranks, conclusions),
        "",
        *_meaning(),
        "![Similarity of every rule's networks, those nearest to backpropagation first](brain.svg)",
        "",
    ]
    lines += ["![Differences from controls under every condition](conclusions.svg)", "", "[Attempts to break it](doubt.md).", ""]
    lines += further
    for (group, recording, region), table in _places(ranks):
        lines += [f"## {region} ({recording}), {group}", "", "Scores; models that learned nothing in italics.", ""]
        lines += _table(["rule or model", "layer", "score", "minus its control", *shown], _rank_rows(table, shown))
        here = _here(conclusions, (group, recording, region))
        lines += ["Difference from the control under every condition:", ""]
        lines += _table(["rule", "conclusion", "same sign", MAIN, *conditions], _conclusion_rows(here, [MAIN, *conditions]))
        failed = table[(table["condition"] == MAIN) & (table["failure"] != "")]
        lines += [f"- {row['name']} stands in no ranking: it {row['failure']}." for _, row in failed.iterrows()]
        lines.append("")
    return "\n".join(lines)


def _meaning() -> list[str]:
    return [
        "Scores are correlations of dissimilarities, of each network's best hidden layer, chosen on other stimuli than it is",
        "scored on, and on other subjects where there are any. A rule's control is its own network before the first image.",
        "▲ above, ▼ below the control, · undecided, at a false discovery rate of 5 %: over all regions, rules and networks under",
        "the main condition, and over all of these under all other conditions together. A conclusion *holds* where every",
        "condition that the rule can be given decides as the main one, and *turns* where two decide against each other; the",
        "readout among the layers, which the control's was never trained for, is shown and counts for nothing. Which rules are",
        "told from backpropagation is corrected within each region. Where a recording comes as dissimilarities, another measure",
        "is the networks' alone. At other sizes of stimuli those layers count that take them; *layers of any size* are the same",
        "layers at the size of training.",
        "",
        "That a rule scores above its control says that learning moved the network towards the region under these images. It",
        "does not say that the brain learns so, nor that another network, longer training or other images would say the same.",
        "",
    ]


def accuracy_lines(accuracies: pd.DataFrame) -> list[str]:
    """What networks are compared at one accuracy.

    Parameters
    ----------
    accuracies
        As `running.Held` has them.
    """
    if accuracies.empty:
        return []
    lines = ["## One accuracy", ""]
    for group, table in accuracies.drop_duplicates(["group", "rule"]).groupby("group", sort=False):
        common = table["common_accuracy"].iloc[0]
        far = table[~table["near"].astype(bool)]
        told = ", ".join(f"{row['rule']} ({100 * row['reached']:.1f} %)" for _, row in far.iterrows())
        near = table.loc[table["near"].astype(bool), "on_test"]
        left_out = f"; never as near as {100 * NEAR:.1f} points, and left out there: {told}" if told else ""
        reached = f"{100 * near.min():.1f} to {100 * near.max():.1f} % of test images" if len(near) else "none"
        how = f"{100 * common:.1f} % of validation images, which {len(near)} rules had once ({reached})"
        lines.append(f"- {group}: {how}{left_out}.")
    return [*lines, ""]


def null_lines(null: pd.DataFrame) -> list[str]:
    """How often a rule is above or below its control where there is nothing to find.

    Parameters
    ----------
    null
        As `running.Held` has it.
    """
    if null.empty:
        return []
    tested = null[null["p_value_from_control"].notna()]
    lines = [
        "## Nothing to find",
        "",
        "Networks saw the stimuli in another order than the region's responses are in: neither rules nor controls are related.",
        "(That both are, and equally, is a harder null, which this does not ask.)",
        "",
    ]
    rows = []
    for place, table in tested.groupby(PLACE, sort=False):
        below = table["p_value_from_control"] < LEVEL
        by_shuffle = below.groupby(table["shuffle"]).mean()
        spread = by_shuffle.std(ddof=1) / math.sqrt(len(by_shuffle)) if len(by_shuffle) > 1 else math.nan
        above = (below & (table["difference_from_control"] > 0)).mean()
        share = f"{100 * below.mean():.1f} %" + ("" if math.isnan(spread) else f" ± {100 * spread:.1f}")
        rows.append([*map(str, place), str(len(by_shuffle)), str(len(table)), share, f"{100 * above:.1f} %"])
    head = ["networks", "recording", "region", "shuffles", "tests", "p < .05 (nominal 5 %)", "above the control (nominal 2.5 %)"]
    return [*lines, *_table(head, rows), "± is the standard error over shuffles, which rules share.", ""]


def agreement_lines(ranks: pd.DataFrame) -> list[str]:
    """Whether places rank the rules alike.

    Parameters
    ----------
    ranks
        As `conclusions.corrected` gives them.
    """
    found = agreements(ranks)
    if not found:
        return []
    lines = [
        "## Do places agree on the order of rules",
        "",
        "Kendall's W of three places or more and tau-b of every two, over the rules that are ranked in all of them, by their",
        "scores under the main condition. The networks are the same everywhere, and two recordings may share stimuli: p is of no",
        "agreement between these places, and says nothing of other networks.",
        "",
    ]
    rows = []
    for each in found:
        name = "W" if len(each.places) > 2 else "tau"
        p = "<.001" if each.p_value < 0.001 else score(each.p_value)
        rows.append([each.group, ", ".join(each.places), str(each.n_rules), f"{name} {score(each.coefficient)}", p])
    return [*lines, *_table(["networks", "places", "rules", "agreement", "p"], rows)]


def recovery_lines(recovery: pd.DataFrame) -> list[str]:
    """What these data could have told.

    Parameters
    ----------
    recovery
        As `recovered.recovered` gives it, of all groups and recordings.
    """
    if recovery.empty:
        return []
    lines = [
        "## What these data could have told",
        "",
        "Studies simulated from each rule's networks, with as many stimuli and subjects and a noise ceiling as high, of 100",
        "channels a subject (400 or 1,600 where fewer, each a sum of other units, cannot agree as well), or as many as an only one",
        "has, scored as this one:",
        "how often the rule that the data came from scored highest of all, and above another one (chance .5). Networks are all",
        "that subjects share, which is the best case, or as much of it as the best score says that was measured.",
        "",
    ]
    rows = []
    for (*place, kind), table in recovery.groupby([*PLACE, "study"], sort=False):
        first = table.iloc[0]
        if "why" in table and isinstance(first["why"], str):
            rows.append([*map(str, place), f"not done: {first['why']}", *[""] * 7])
            continue
        bounds = f"[{100 * first['overall_lower']:.0f}, {100 * first['overall_upper']:.0f}]"
        best = table.loc[table["rate"].idxmax()]
        rows.append(
            [
                *map(str, place),
                f"{kind} ({score(float(table['own_score'].mean()))})",
                f"{100 * first['overall']:.0f} % {bounds}",
                f"{100 * first['chance']:.0f} %",
                score(float(table["told_apart"].mean())),
                f"{best['name']} ({100 * best['rate']:.0f} %)",
                f"{len(table)} x {first['n_simulations']:.0f}",
                f"{first['channels']:,.0f}" if not math.isnan(first.get("channels", math.nan)) else "",
            ]
        )
    head = [
        "networks",
        "recording",
        "region",
        "networks explain (own score)",
        "the true one wins",
        "chance",
        "pairs",
        "most often",
        "studies",
        "channels",
    ]
    return [*lines, *_table(head, rows)]


def doubt(ranks: pd.DataFrame, conclusions: pd.DataFrame) -> str:
    """A page that tries to break the headline of every region: the rule with the largest difference under every condition.

    Parameters
    ----------
    ranks, conclusions
        As of `answers`.
    """
    lines = [
        "# Attempts to break it",
        "",
        "Of every region the rule that adds most to its control, under one changed choice at a time.",
        "",
    ]
    for (group, recording, region), table in _places(ranks):
        here = _here(conclusions, (group, recording, region))
        if here.empty:
            continue
        headline = here.loc[here["difference"].idxmax()]
        own = table[table["name"] == headline["rule"]]
        lines += [f"## {region} ({recording}), {group}: {headline['rule']}", ""]
        rows = [
            [
                row["condition"],
                score(row["score"]),
                f"{score(row['difference_from_control'])}{_interval(row, 'lower_from_control', 'upper_from_control')}",
                row["verdict"],
                _best_of(table, row["condition"]),
            ]
            for _, row in own.iterrows()
        ]
        lines += _table(["condition", "score", "minus its control", "verdict", "scores highest there"], rows)
        lines += [
            f"**{headline['conclusion'].capitalize()}**; {headline['n_same_sign']} of {headline['n_conditions']} have this sign.",
            "",
        ]
    return "\n".join(lines)


def _best_of(table: pd.DataFrame, condition: str) -> str:
    ranked = table[(table["condition"] == condition) & (table["failure"] == "")]
    best = ranked.loc[ranked["score"].idxmax()]
    return f"{best['name']} ({score(best['score'])})"
