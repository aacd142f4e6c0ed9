"""Pages that are made from the code and from stored results whenever the site is built, so that they cannot fall behind either."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import api_pages
import column_pages
import command_pages
import frame_picture
import notebook_pages
import result_pages
import rule_pages
import settings_pages
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config

_PAGES: tuple[Callable[[], dict[str, str]], ...] = (
    api_pages.pages,
    column_pages.pages,
    command_pages.pages,
    frame_picture.pages,
    rule_pages.pages,
    settings_pages.pages,
)
_MARK = "bioplausible_perhaps"


def write(site: Path) -> None:
    """Write every page; one that is as it was keeps its time, so that Sphinx reads it no second time.

    Parameters
    ----------
    site
        The folder with conf.py.
    """
    made = {name: text for pages in _PAGES for name, text in pages().items()}
    for name, text in made.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    result_pages.copy(site)
    notebook_pages.copy(site)


def _write(app: Sphinx, config: Config) -> None:
    write(Path(app.srcdir))


def _perhaps_a_name(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, options: Any = None, content: Any = ()
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """What stands in single backticks: code, and a link where it is a public name."""
    code = nodes.literal(rawtext, text, classes=["xref", "py"])
    context = inliner.document.settings.env.ref_context
    found = pending_xref(
        rawtext,
        code,
        refdomain="py",
        reftype="obj",
        reftarget=text.strip(),
        refexplicit=True,
        refdoc=inliner.document.settings.env.current_document.docname,
        **{"py:module": context.get("py:module"), "py:class": context.get("py:class"), _MARK: True},
    )
    return [found], []


def _leave_as_code(app: Sphinx, env: Any, node: pending_xref, shown: nodes.Element) -> nodes.Element | None:
    return shown if node.get(_MARK) else None


def _with_examples_apart(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """What follows a docstring's last section as a session of Python is an example to numpydoc only under a heading."""
    headings = [place for place, line in enumerate(lines) if place and re.fullmatch(r"-{3,}", line) and lines[place - 1].strip()]
    if headings and not any(lines[place - 1] == "Examples" for place in headings):
        first = next((place for place, line in enumerate(lines) if line.startswith(">>>") and place > headings[0]), None)
        if first is not None:
            lines[first:first] = ["Examples", "--------"]
    # A shape such as (n, *shape) is no emphasis.
    lines[:] = [re.sub(r"(?<=, )\*(?=\w+\))", r"\\*", line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for any."""
    app.connect("config-inited", _write)
    app.add_role("perhaps", _perhaps_a_name)
    app.connect("autodoc-process-docstring", _with_examples_apart, priority=100)
    app.connect("missing-reference", _leave_as_code)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
