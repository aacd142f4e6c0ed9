"""Tables of text as people and programs write them: any encoding that says what it is, tabs, n/a, decimal points or commas.

Every cell is text until somebody asks for a number, so that 01 stays 01 and n/a is what the file says. Rows are counted from one
below the header, lines as an editor counts them.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from bioplausible.foundation.errors import InputError, shortened
from neurodata.presence import check_content

NO_LABEL = frozenset({"", "n/a"})
MISSING = NO_LABEL | {"na", "nan", "none", "null"}
LINE = "line"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WITH_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_UNQUOTED = re.compile(r'(?:(?<=[\t\r\n])|\A)"(?:[^"\t\r\n]|"")*"(?=[\t\r\n]|\Z)')
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


def read_text(path: str | os.PathLike[str], expected: str = "a text") -> str:
    """Read a text in the encoding that its first bytes name, else in UTF-8, else in Windows's Latin letters.

    Parameters
    ----------
    path
        the file.
    expected
        what it should be, for errors.

    Returns
    -------
    the text, without a byte-order mark.

    Raises
    ------
    InputError
        for a file that is not there, was not fetched, cannot be opened, or is no text.
    """
    check_content(path)
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is not there; expected {expected}, check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); expected {expected}") from error
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(f"{path} is no text in UTF-8; expected {expected}, save it again as UTF-8")


def read_table(path: str | os.PathLike[str], expected: str = "tab-separated columns with names above") -> pd.DataFrame:
    """Read a tab-separated file with names of columns in its first line.

    Parameters
    ----------
    path
        the file.
    expected
        what it should be, for errors.

    Returns
    -------
    a table of texts, blanks around them taken off, whose index "line" is each row's line in the file; empty lines are passed over.

    Raises
    ------
    InputError
        for a file that cannot be read, rows with more cells than the header, and two columns of one name.
    """
    text = read_text(path, f"a table, {expected}")
    rows = [(line, row) for line, row in _rows(text, path, expected) if any(row)]
    if not rows:
        raise InputError(f"{path} cannot be read as a table (it is empty); expected {expected}")
    (_, header), *body = rows
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} has two columns '{twice}'; expected one, rename or remove the other")
    for line, row in body:
        if any(row[len(header) :]):
            raise InputError(
                f"{path}: line {line} has {len(row)} cells for {len(header)} columns; expected one a column, look for a tab "
                "too many"
            )
    cells = [(row + [""] * len(header))[: len(header)] for _, row in body]
    return pd.DataFrame(cells, columns=header, index=pd.Index([line for line, _ in body], name=LINE), dtype=object)


def _rows(text: str, path: object, expected: str) -> list[tuple[int, list[str]]]:
    """Cells of each row and the line that it ends in; quotation marks count where each is closed in its own cell."""
    closed = _UNQUOTED.sub("", text).count('"') == 0
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_MINIMAL if closed else csv.QUOTE_NONE)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a table ({error}); expected {expected}") from error
    if not closed:
        rows = [(line, [_unquoted(cell) for cell in row]) for line, row in rows]
    return rows


def _unquoted(cell: str) -> str:
    """A cell without the marks around it; one alone, as that of an inch, belongs to the text."""
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def is_missing(value: object) -> bool:
    """Whether a cell says that there is nothing: empty, n/a, or no number.

    >>> is_missing("n/a"), is_missing(""), is_missing("0")
    (True, True, False)
    """
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def place_of(table: pd.DataFrame, position: int) -> str:
    """Say which row is meant, as whoever looks at the file counts.

    Parameters
    ----------
    table
        from :func:`read_table`, or any.
    position
        of the row, from 0.

    Returns
    -------
    such as "row 6 (line 7)".
    """
    line = f" (line {table.index[position]})" if table.index.name == LINE else ""
    return f"row {position + 1}{line}"


def numbers(
    table: pd.DataFrame, column: str, origin: str, expected: str = "a number", rows: np.ndarray | None = None, missing: bool = False
) -> Float64[np.ndarray, " n_rows"]:
    """Read a column's numbers; with commas for points where no other reading is possible.

    Parameters
    ----------
    table
        of texts, or of anything.
    column
        its name.
    origin
        the file, for errors.
    expected
        what each should be, such as "seconds".
    rows
        (n_rows,) positions of the rows that are asked for, by default all.
    missing
        whether n/a and empty cells are allowed, and become NaN.

    Returns
    -------
    (n_rows,) numbers.

    Raises
    ------
    InputError
        for what is no finite number, with its row and what the file says, and for commas that may be points or thousands.

    >>> numbers(pd.DataFrame({"onset": ["8e-3", "2"]}), "onset", "events.tsv").tolist()
    [0.008, 2.0]
    >>> numbers(pd.DataFrame({"onset": ["1,5", "2"]}), "onset", "events.tsv").tolist()
    [1.5, 2.0]
    """
    asked = np.arange(len(table)) if rows is None else rows
    given = [table[column].iloc[position] for position in asked]
    texts = [each.strip() for each in given if isinstance(each, str)]
    with_comma = [each for each in texts if "," in each]
    # 1,500 may be one and a half or fifteen hundred: another cell of the column tells, or nobody
    undecided = bool(with_comma) and (any("." in each for each in texts) or all(map(_THOUSANDS.fullmatch, with_comma)))
    values = np.empty(len(given))
    for index, (position, cell) in enumerate(zip(asked, given, strict=True)):
        value = _number(cell, undecided)
        if value is None and missing and is_missing(cell):
            value = math.nan
        if value is None:
            shown = "empty" if isinstance(cell, str) and not cell.strip() else f"'{shortened(str(cell))}'"
            where = f"{origin}: '{column}' in {place_of(table, int(position))} is {shown}"
            if undecided and isinstance(cell, str) and _WITH_COMMA.fullmatch(cell.strip()):
                raise InputError(
                    f"{where}, whose comma may stand for a point or for thousands; expected {expected}, written with a point"
                )
            raise InputError(f"{where}; expected {expected}")
        values[index] = value
    return values


def _number(cell: object, undecided: bool) -> float | None:
    """The finite number that a cell holds, or None."""
    if isinstance(cell, str):
        text = cell.strip()
        if not undecided and _WITH_COMMA.fullmatch(text):
            text = text.replace(",", ".")
        if not _NUMBER.fullmatch(text):
            return None
        value = float(text)
    elif isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool):
        value = float(cell)
    else:
        return None
    return value if math.isfinite(value) else None


__all__ = ["LINE", "NO_LABEL", "is_missing", "numbers", "place_of", "read_table", "read_text"]
