"""The notebooks as pages of the site, with the outputs that are kept in them: they are not run again."""

from __future__ import annotations

import shutil
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"


def copy(site: Path) -> None:
    """Copy the notebooks to the site's folder; one that is as it was keeps its time.

    Parameters
    ----------
    site
        The folder with conf.py.
    """
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        target = site / "notebooks" / path.name
        if not target.is_file() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
