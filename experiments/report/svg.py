"""Figures as SVG inside a page: words as outlines, colours that follow its scheme, ids that are its own.

Words are drawn and not set, so that a figure looks the same on every machine, on the page and downloaded; what a person who does
not see it is told stands beside it, and its values stand in tables.

The same figure gives the same bytes: matplotlib's ids are salted by the figure's name and no date is written.
"""

from __future__ import annotations

import html
import io
import re

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.text import Text

from experiments.report.style import CEILING, CONTROL_COLOUR, HOLLOW, LINE, RULE_COLOURS, TEXT

# What stands for a colour in the page's style sheet, so that dark pages can have their own.
_VARIABLES = {
    TEXT: "currentColor",
    LINE: "var(--line)",
    CEILING: "var(--ceiling)",
    HOLLOW: "var(--ground)",
    CONTROL_COLOUR: "var(--rule-control)",
    **{light: f"var(--rule-{index})" for index, (light, _) in enumerate(RULE_COLOURS)},
}


LEAST_TEXT = 11.0
"""Pixels: no text of a figure is smaller on a page."""


def _own_ids(text: str, name: str) -> str:
    """Prefix ids that something refers to, and drop the others: two figures must not share one."""
    referred = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text))
    used = {each for pair in referred for each in pair if each}
    text = re.sub(r' id="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    return re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)


def _smallest(figure: Figure) -> float:
    """The size of a figure's smallest words, in points."""
    sizes = [
        float(text.get_fontsize())
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and any(each.isalnum() for each in text.get_text())
    ]
    return min(sizes, default=LEAST_TEXT)


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
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": name, "svg.image_inline": True}):
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
    rest = rest.replace("DejaVuSans", "letter")
    label = html.escape(alternative, quote=True)
    # No narrower than its smallest words can be read at: on a narrow screen it is moved about instead.
    narrowest = min(width * 4 / 3, width * LEAST_TEXT / _smallest(figure))
    # It is one picture, whose words stand in tables: its parts are not read out one by one.
    rest = rest.replace("</svg>", "</g></svg>")
    style = f"min-width:{narrowest:.0f}px;max-width:{width:.0f}pt"
    return Markup(f'<svg class="plot" role="img" aria-label="{label}" style="{style}" {view_box[0]}><g aria-hidden="true">{rest}')


__all__ = ["LEAST_TEXT", "inline_svg"]
