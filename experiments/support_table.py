"""Which rules train which networks, as a table for a terminal of 120 columns."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from learning_rules.supported import Support

__all__ = ["marks_of_reasons", "support_table", "temporal_support_table"]

_MAX_WIDTH = 30


def marks_of_reasons(matrix: Mapping[str, Mapping[str, Support]]) -> dict[str, str]:
    """A short mark for each reason, in the order in which the table meets them.

    Parameters
    ----------
    matrix
        As `learning_rules.support_matrix` gives it.

    Returns
    -------
    dict
        Reason -> "a", "b", …, "z", "aa", "ab", ….

    >>> marks_of_reasons({"stdp": {"mlp": Support(True), "cnn": Support(False, "it has no spikes")}})
    {'it has no spikes': 'a'}
    """
    reasons = dict.fromkeys(said.reason for row in matrix.values() for said in row.values() if not said.supported)
    return {reason: _letters(index) for index, reason in enumerate(reasons)}


def temporal_support_table(matrix: Mapping[str, Mapping[str, Mapping[str, Support]]]) -> Group:
    """Lay out which rules credit what happened earlier in which way, and why not; rules without any choice are told in a line.

    Parameters
    ----------
    matrix
        As `learning_rules.temporal_support_matrix` gives it.
    """

    def has_any(rows: Mapping[str, Mapping[str, Support]]) -> bool:
        return any(said.supported for row in rows.values() for said in row.values())

    shown = {f"{rule}  {temporal}": row for rule, rows in matrix.items() if has_any(rows) for temporal, row in rows.items()}
    left_out = sum(not has_any(rows) for rows in matrix.values())
    told = Text(f"{left_out} other rules have no choice here: --json says why of each, and `list support` what they train.")
    return Group(*([support_table(shown)] if shown else []), *([told] if left_out else []))


def _letters(index: int) -> str:
    """As spreadsheets name their columns."""
    before, last = divmod(index, len(ascii_lowercase))
    return (_letters(before - 1) if before else "") + ascii_lowercase[last]


def support_table(matrix: Mapping[str, Mapping[str, Support]]) -> Group:
    """Lay out which rules train which networks: "yes", or the mark of the reason why not, with the reasons below.

    Parameters
    ----------
    matrix
        As `learning_rules.support_matrix` gives it; families are set apart by their names before the slash.
    """
    marks = marks_of_reasons(matrix)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # In a window too narrow for both, names are broken rather than columns left out.
    table.add_column("rule", overflow="fold")
    for network in next(iter(matrix.values())):
        width = max(map(len, network.split()))
        table.add_column(network, justify="center", vertical="bottom", overflow="fold", width=min(width, _MAX_WIDTH))
    family, alone = "", True
    for rule, row in matrix.items():
        before, (family, slash, _) = family, rule.partition("/")
        if before and before != family and not (alone and not slash):
            table.add_section()
        alone = not slash
        cells = [Text("yes", "green") if said.supported else Text(marks[said.reason], "bold yellow") for said in row.values()]
        table.add_row(Text(rule), *cells)
    if not marks:
        return Group(table)
    reasons = Table.grid(padding=(0, 2))
    reasons.add_column(style="bold yellow", no_wrap=True)
    reasons.add_column()
    for reason, mark in marks.items():
        reasons.add_row(mark, Text(reason))
    return Group(table, Text("Why not:", "bold"), Padding(reasons, (0, 0, 0, 1)))
