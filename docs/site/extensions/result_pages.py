"""The stored results as pages of the site: copied as they are, so that what links to them and what they show is found."""

from __future__ import annotations

import shutil
from pathlib import Path

from stored_results import RESULTS

# What pages show or link to; tables for programs stay where they are.
_KINDS = (".md", ".svg", ".html", ".csv", ".json", ".yaml")
_LARGEST = 1_000_000


def copy(site: Path) -> None:
    """Copy pages, pictures and small tables to the site's folder.

    Parameters
    ----------
    site
        The folder with conf.py.
    """
    for path in sorted(each for each in RESULTS.rglob("*") if each.suffix in _KINDS and each.stat().st_size < _LARGEST):
        target = site / "results" / path.relative_to(RESULTS)
        if not target.is_file() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    pages = sorted((path.relative_to(RESULTS) for path in RESULTS.rglob("*.md")), key=lambda path: (len(path.parts), str(path)))
    entries = "\n".join(str(path.with_suffix("")) for path in pages if str(path) != "README.md")
    index = (
        "# Results\n\nWhat was measured, as it is stored in `docs/results`: each folder with the command that made it.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\nREADME\n{entries}\n```\n"
    )
    target = site / "results" / "index.md"
    if not target.is_file() or target.read_text(encoding="utf-8") != index:
        target.write_text(index, encoding="utf-8")
