"""How figures look: one colour and marker a rule, neutral text, no ground, so that they sit on light and dark pages alike.

The colours are those of Okabe and Ito (2008), which people of every kind of colour vision tell apart, deepened where they are too
pale on white (contrast 3:1 for graphical objects, WCAG 2.2) and lightened for dark pages. A marker repeats what the colour says.

Reference: Okabe and Ito, Color Universal Design, https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bioplausible.foundation.pictures import Picture
from experiments.config import CONTROL

TEXT = "#767b85"
LINE = "#c9ccd2"
CEILING = "#b9bdc6"
CONTROL_COLOUR = "#878d98"
HOLLOW = "#fdfdfe"
"""The ground: what a hollow marker is filled with. A page puts its own in the place of it."""
# Light pages, dark pages.
RULE_COLOURS = (
    ("#0072b2", "#5aa9e6"),
    ("#d55e00", "#ff8f52"),
    ("#009e73", "#3cc79b"),
    ("#b85c93", "#e39ac4"),
    ("#b07a00", "#f0b429"),
    ("#3a92c8", "#8ccbf2"),
    ("#6a51a3", "#b3a2e8"),
    ("#7a4b1e", "#c9986a"),
)
CONTROL_COLOUR_DARK = "#9aa1ad"
# Seven markers with eight colours: fifty-six rules before a pair repeats.
MARKERS = ("o", "s", "D", "^", "v", "P", "X")

_OPTIONS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": TEXT,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "grid.alpha": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": TEXT,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": "none",
    "xtick.color": LINE,
    "xtick.labelcolor": TEXT,
    "xtick.labelsize": 9.5,
    "xtick.major.size": 0,
    "ytick.color": LINE,
    "ytick.labelcolor": TEXT,
    "ytick.labelsize": 9,
    "ytick.major.size": 0,
}


class RuleStyle(NamedTuple):
    """Colour on light pages, colour on dark pages, and marker of a rule."""

    colour: str
    dark: str
    marker: str


@contextmanager
def figure_style() -> Iterator[None]:
    """Give what is drawn inside the report's look, and leave matplotlib's settings as they were."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for name, value in _OPTIONS.items():
            matplotlib.rcParams[name] = value
        yield


def rule_styles(rules: Sequence[str]) -> dict[str, RuleStyle]:
    """One style a rule, fixed by its place in the order; the untrained control is grey and takes no place.

    >>> rule_styles(["untrained", "backprop"])["backprop"].colour
    '#0072b2'
    """
    styles: dict[str, RuleStyle] = {}
    place = 0
    for rule in rules:
        if rule == CONTROL:
            styles[rule] = RuleStyle(CONTROL_COLOUR, CONTROL_COLOUR_DARK, "o")
            continue
        light, dark = RULE_COLOURS[place % len(RULE_COLOURS)]
        styles[rule] = RuleStyle(light, dark, MARKERS[(place + 1) % len(MARKERS)])
        place += 1
    return styles


def empty_figure(width: float, height: float) -> Figure:
    """A figure that no global state knows of; width and height in inches."""
    return Picture(figsize=(width, height), layout="constrained")


def to_svg(figure: Figure) -> str:
    """A figure as a file of its own, without a date and with fixed identifiers: the same table gives the same bytes."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "bioplausible", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def horizontal_grid(axes: Axes) -> None:
    """Draw thin horizontal lines and leave the vertical axis line out."""
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)


def rule_legend(figure: Figure, rules: Sequence[str]) -> None:
    """Name the rules above the panels."""
    from matplotlib.lines import Line2D

    styles = rule_styles(rules)
    handles = [
        Line2D([], [], color=styles[rule].colour, marker=styles[rule].marker, markersize=5.5, linewidth=1.8, label=rule)
        for rule in rules
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(4, len(handles)), handlelength=1.6, columnspacing=1.6)


__all__ = [
    "CEILING",
    "CONTROL_COLOUR",
    "CONTROL_COLOUR_DARK",
    "HOLLOW",
    "LINE",
    "RULE_COLOURS",
    "TEXT",
    "RuleStyle",
    "empty_figure",
    "figure_style",
    "horizontal_grid",
    "rule_legend",
    "rule_styles",
    "to_svg",
]
