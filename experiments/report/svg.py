"""Figures as SVG inside a page: text that the page's fonts set, colours that follow its scheme, ids that are its own.

The same figure gives the same bytes: matplotlib's ids are salted by the figure's name and no date is written.
"""

from __future__ import annotations

import html
import io
import re

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from experiments.report.style import CEILING, CONTROL_COLOUR, LINE, RULE_COLOURS, TEXT

# What stands for a colour in the page's style sheet, so that dark pages can have their own.
_VARIABLES = {
    TEXT: "currentColor",
    LINE: "var(--line)",
    CEILING: "var(--ceiling)",
    CONTROL_COLOUR: "var(--rule-control)",
    **{light: f"var(--rule-{index})" for index, (light, _) in enumerate(RULE_COLOURS)},
}


def _own_ids(text: str, name: str) -> str:
    """Prefix ids that something refers to, and drop the others: two figures must not share one."""
    referred = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text))
    used = {each for pair in referred for each in pair if each}
    text = re.sub(r' id="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    return re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)


def inline_svg(figure: Figure, name: str, alternative: str) -> Markup:
    """Draw a figure as an `<svg>` element.

    Parameters
    ----------
    figure
        What to draw.
    name
        Letters, digits and hyphens, one of its own for each figure of a page.
    alternative
        What a person who does not see the figure is told.

    Returns
    -------
    Markup
        Markup without prolog, comments, metadata and outside references.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "svg.image_inline": True}):
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}, transparent=True
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = _own_ids(text, name).replace("xlink:href", "href")
    opening, rest = text.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    assert view_box is not None, "matplotlib writes a view box"
    width = float(view_box[0].split('"')[1].split()[2])
    for colour, variable in _VARIABLES.items():
        rest = rest.replace(colour, variable)
    rest = re.sub(r"(font(?:-family)?: [^;\"]*?)'?DejaVu Sans'?[^;\"]*", r"\1inherit", rest)
    label = html.escape(alternative, quote=True)
    return Markup(f'<svg class="plot" role="img" aria-label="{label}" style="max-width:{width:.0f}pt" {view_box[0]}>{rest}')


__all__ = ["inline_svg"]
