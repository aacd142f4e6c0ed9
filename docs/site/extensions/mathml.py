"""Formulas as MathML, which browsers draw themselves: no script and no font is fetched, nor are any kept here."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

# What stands for itself in MathML has no need of LaTeX's ways around it.
_WRITTEN = ((r"\\tfrac", r"\\frac"), (r"\\dfrac", r"\\frac"), (r"\\!", ""), (r"\\[bB]igg?[lr]?(?![a-z])", ""))


def to_mathml(source: str, display: str) -> str:
    """LaTeX as one MathML element.

    Parameters
    ----------
    source
        A formula as docstrings and pages have it; several lines that are aligned at & become a table.
    display
        "inline" or "block".

    Raises
    ------
    ExtensionError
        What cannot be read, or would be shown as LaTeX.
    """
    text = source.strip()
    for pattern, replacement in _WRITTEN:
        text = re.sub(pattern, replacement, text)
    if display == "block" and "&" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}} {text} \end{{aligned}}"
    try:
        found = convert(text, display=display)
    except Exception as error:  # the converter raises what Python raises
        raise ExtensionError(f"the formula {source!r} cannot be converted: {error!r}") from error
    left = re.search(r">([^<]*\\[a-zA-Z]+[^<]*)<", found)
    if left:
        raise ExtensionError(f"the formula {source!r} holds {left[1]!r}, which is not converted")
    return found


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{to_mathml(node.astext(), "inline")}</span>')
    raise nodes.SkipNode


def _block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(to_mathml(node.astext(), "block"))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it the renderer called "mathml"."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
