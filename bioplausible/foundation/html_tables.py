"""Small tables in HTML: how our objects look where a notebook's cell ends in one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], notes: Sequence[str] = ()) -> str:
    """A title, sentences and a table, all of it as text: nothing that a name holds becomes markup.

    Parameters
    ----------
    title
        One line, in bold.
    columns
        What stands above the cells.
    rows
        One cell a column; a row of one cell spans the table and heads what follows.
    notes
        Sentences between title and table, a paragraph each.

    >>> html_table("A", ["b"], [["<c>"]])
    '<p><strong>A</strong></p><table><thead><tr><th>b</th></tr></thead><tbody><tr><th>&lt;c&gt;</th></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(_row(cells, len(columns)) for cells in rows)
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<p><strong>{escape(title)}</strong></p>{told}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(cells: Sequence[object], n_columns: int) -> str:
    first, *others = (escape(str(cell)) for cell in cells)
    spans = f' colspan="{n_columns}"' if not others and n_columns > 1 else ""
    return f"<tr><th{spans}>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"
