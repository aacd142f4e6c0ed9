"""The plausibility scorecard for eyes: a table for the terminal, a part of the report, and marks for figures."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape
from rich import box
from rich.table import Table
from rich.text import Text

from learning_rules import plausibility

__all__ = ["MARKS", "marks", "scorecard_html", "scorecard_table"]

MARKS = {"meets": "●", "partly": "◐", "fails": "○", "not applicable": "–"}
# Ten criteria stand side by side, a word each.
_SHORT = {
    "weight transport": "weights",
    "local credit": "local",
    "single phase": "phase",
    "update unlocking": "unlock",
    "teaching signal": "teacher",
    "spiking communication": "spikes",
    "Dale's law": "Dale",
    "online learning": "online",
    "robustness": "robust",
    "energy": "energy",
}
_STYLES = {"meets": "bold green", "partly": "yellow", "fails": "red", "not applicable": "dim"}

_STYLE = """
.card td.mark {text-align: center; font-size: 1.15em; white-space: nowrap}
.card .meets {color: #0a7a3d} .card .partly {color: #9a6700} .card .fails {color: #b3261e} .card .not {color: #6b6b6b}
.card .differs {outline: 2px solid #9a6700; outline-offset: 1px; border-radius: 4px; padding: 0 .2em}
.card .meets::before {content: "●"} .card .partly::before {content: "◐"} .card .fails::before {content: "○"}
.card .not::before {content: "–"}
.card details td {vertical-align: top}
.card thead th, .card tbody th {max-width: 24em}
@media (prefers-color-scheme: dark) {
  .card .meets {color: #4cc38a} .card .partly {color: #f0b429} .card .fails {color: #ff8f7a} .card .not {color: #a3abb8}
  .card .differs {outline-color: #f0b429}
}
"""


_PAGE_STYLE = """
body {font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem}
table {border-collapse: collapse; font-size: .9em} th, td {padding: .25rem .5rem; text-align: left; border-bottom: 1px solid #ddd}
.scroll {overflow-x: auto}
@media (prefers-color-scheme: dark) {body {background: #16181b; color: #e6e6e6}}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Plausibility scorecard</title>
<style>{}</style></head><body><main><h1>Plausibility scorecard</h1>{}</main></body></html>"""


def _criteria(cards: dict[str, Any]) -> list[str]:
    return [name for name in plausibility.CRITERIA if any(name in card for card in cards.values())]


def _differs(entry: dict[str, Any]) -> bool:
    return bool(entry["difference"])


def scorecard_table(cards: dict[str, Any]) -> Table:
    """Lay cards out for a terminal: one row a rule, one column a criterion.

    Parameters
    ----------
    cards
        Rule -> criterion -> verdict, value, evidence, claimed, difference.

    Returns
    -------
    Table
        A table; an exclamation mark says that the literature claims otherwise.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0), caption_justify="left")
    table.add_column("rule", overflow="fold", max_width=37)
    for criterion in _criteria(cards):
        table.add_column(_SHORT.get(criterion, criterion), justify="center", no_wrap=True)
    for rule, card in cards.items():
        cells = [Text(rule)]
        for criterion in _criteria(cards):
            entry = card.get(criterion)
            if entry is None:
                cells.append(Text(""))
                continue
            cells.append(Text(MARKS[entry["verdict"]] + ("!" if _differs(entry) else " "), style=_STYLES[entry["verdict"]]))
        table.add_row(*cells)
    legend = [f"{_SHORT[name]}: {name}" for name in _criteria(cards) if _SHORT.get(name, name) not in (name, name.split()[0])]
    table.caption = Text(f"{', '.join(legend)}\n● meets  ◐ partly  ○ fails  – not applicable  ! the literature claims otherwise")
    return table


def scorecard_html(cards: dict[str, Any], standalone: bool = False, about: str = "") -> Markup:
    """Cards as a part of a page: the marks, and under each rule the evidence in sentences.

    Parameters
    ----------
    cards
        As for `scorecard_table`.
    standalone
        Whether the part is to stand alone, as a page that opens offline.
    about
        A line on what was asked, of a page that stands alone.
    """
    criteria = _criteria(cards)
    head = Markup("").join(
        Markup('<th scope="col" title="{}">{}</th>').format(plausibility.CRITERIA[name].question, name) for name in criteria
    )
    rows = []
    for rule, card in cards.items():
        # A long name breaks where its parts do.
        parts = Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[/_])", rule))
        cells = [Markup('<th scope="row">{}</th>').format(parts)]
        for name in criteria:
            entry = card.get(name)
            if entry is None:
                cells.append(Markup("<td></td>"))
                continue
            kind = entry["verdict"].split()[0] + (" differs" if _differs(entry) else "")
            cells.append(
                Markup('<td class="mark"><span role="img" class="{}" aria-label="{}" title="{}"></span></td>').format(
                    kind, entry["verdict"], f"{entry['verdict']}: {entry['evidence']}"
                )
            )
        rows.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    details = [_evidence(rule, card, criteria) for rule, card in cards.items()]
    measures = Markup("").join(Markup("<li>{}: {}</li>").format(name, plausibility.CRITERIA[name].measure) for name in criteria)
    part = Markup(
        '<div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Plausibility scorecard"><table><thead><tr>'
        '<th scope="col">rule</th>{}</tr></thead><tbody>{}</tbody></table></div>'
        "<p>● meets, ◐ partly, ○ fails, – not applicable; framed: the literature claims otherwise.</p>"
        "<details><summary>What the values are</summary><ul>{}</ul></details>{}</div>"
    ).format(head, Markup("").join(rows), measures, Markup("").join(details))
    style = Markup("<style>{}</style>").format(Markup(_STYLE))
    if not standalone:
        return style + part
    part += _agreement(cards)
    said = Markup("<p>{}</p>").format(about) if about else Markup("")
    return Markup(_PAGE).format(Markup(_PAGE_STYLE), style + said + part)


def marks(cards: dict[str, Any]) -> list[dict[str, Any]]:
    """Published marks beside measured ones: rule, criterion, claimed, measured, agree, why."""
    return [
        {
            "rule": rule,
            "criterion": name,
            "claimed": entry["claimed"],
            "measured": entry["verdict"],
            "agree": not entry["difference"],
            "why": entry["difference"],
        }
        for rule, card in cards.items()
        for name, entry in card.items()
        if entry["claimed"]
    ]


def _agreement(cards: dict[str, Any]) -> Markup:
    """A table of published marks, those that differ first, each with the reason."""
    rows = sorted(marks(cards), key=lambda row: row["agree"])
    lines = [
        Markup("<tr><th scope='row'>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            row["rule"], row["criterion"], row["claimed"], row["measured"], "agree" if row["agree"] else row["why"]
        )
        for row in rows
    ]
    head = Markup("").join(
        Markup("<th scope='col'>{}</th>").format(name) for name in ("rule", "criterion", "claimed", "measured", "why they differ")
    )
    return Markup(
        "<h2>Beside the literature</h2><p>{} of {} published marks agree with what was measured.</p>"
        "<div class='scroll'><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(sum(row["agree"] for row in rows), len(rows), head, Markup("").join(lines))


def _evidence(rule: str, card: dict[str, Any], criteria: list[str]) -> Markup:
    lines = []
    for name in criteria:
        if name not in card:
            continue
        entry = card[name]
        claimed = f"Claimed: {entry['claimed']}." if entry["claimed"] else ""
        if entry["difference"]:
            claimed += f" Why they differ: {entry['difference']}."
        lines.append(
            Markup("<tr><td>{}</td><td>{}</td><td class='n' title='{}'>{}</td><td>{}. {}</td></tr>").format(
                name,
                entry["verdict"],
                plausibility.CRITERIA[name].measure,
                "–" if entry["value"] is None else f"{entry['value']:.3g}",
                escape(entry["evidence"]),
                escape(claimed),
            )
        )
    head = Markup("").join(Markup("<th scope='col'>{}</th>").format(name) for name in ("criterion", "verdict", "value", "evidence"))
    return Markup(
        "<details><summary>{}: the evidence</summary><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></details>"
    ).format(rule, head, Markup("").join(lines))
