"""What recording.yaml may hold: its keys, and the options under "fmri" and "meg", in the words of where they are read."""

from __future__ import annotations

from typing import Any

from experiments.options_table import option_rows

__all__ = ["recording_key_rows"]


def recording_key_rows() -> list[dict[str, Any]]:
    """One row a key.

    Returns
    -------
    list of dict
        `key`, `section` ("" at the top of the file, "fmri" or "meg"), `default` (None where there is none, or where it says none),
        `range` and `what`.
    """
    from neurodata.fmri.stated import StatedOptions
    from neurodata.meg.options import MegOptions
    from neurodata.settings import KEYS, meanings

    meaning = meanings()
    rows = [
        {"key": key, "section": "", "default": None, "range": expected, "what": meaning[key]} for key, (_, expected) in KEYS.items()
    ]
    for section, options in (("fmri", StatedOptions()), ("meg", MegOptions())):
        for row in option_rows(options, hidden=("conditions",)):
            rows.append({"key": row["option"], "section": section, **{name: row[name] for name in ("default", "range", "what")}})
    return rows
