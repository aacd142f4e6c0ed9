"""The frame in one picture: a network's graph, what a rule replaces in it, and how what it learns is compared with a brain."""

from __future__ import annotations

from html import escape

_WIDTH, _HEIGHT = 1000, 470
# The theme's own colours, so that the picture follows the page from light to dark.
_STYLE = """
.frame { font-family: var(--pst-font-family-base); font-size: 14px; width: 100%; max-width: 1000px; height: auto; }
.frame .box { fill: var(--pst-color-surface); stroke: var(--pst-color-border); stroke-width: 1.2; }
.frame .node { fill: var(--pst-color-background); stroke: var(--pst-color-text-muted); stroke-width: 1.4; }
.frame .up { stroke: var(--bp-blue); fill: none; stroke-width: 2; }
.frame .down { stroke: var(--bp-orange); fill: none; stroke-width: 2; stroke-dasharray: 5 4; }
.frame .flow { stroke: var(--pst-color-text-muted); fill: none; stroke-width: 1.6; }
.frame text { fill: var(--pst-color-text-base); }
.frame .small { font-size: 12px; fill: var(--pst-color-text-muted); }
.frame .strong { font-weight: 600; }
.frame .blue { fill: var(--bp-blue); }
.frame .orange { fill: var(--bp-orange); }
.frame .heads-up { fill: var(--bp-blue); } .frame .heads-down { fill: var(--bp-orange); } .frame .heads-flow { fill: var(--pst-color-text-muted); }
"""


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _lines(x: float, y: float, lines: tuple[str, ...], kind: str = "small", anchor: str = "middle") -> list[str]:
    return [_text(x, y + 17 * place, line, kind, anchor) for place, line in enumerate(lines)]


def _box(x: float, y: float, width: float, height: float, kind: str = "box") -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" class="{kind}"/>'


def _arrow(path: str, kind: str) -> str:
    return f'<path d="{path}" class="{kind}" marker-end="url(#head-{kind})"/>'


def _heads() -> str:
    made = "".join(
        f'<marker id="head-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" class="heads-{kind}"/></marker>'
        for kind in ("up", "down", "flow")
    )
    return f"<defs>{made}</defs>"


def _network() -> list[str]:
    """Three nodes in a column; signals go up by weights, and down by what a rule puts in the place of the synapse."""
    parts = [_box(20, 20, 400, 430), _text(220, 46, "a network is a graph of nodes", "strong")]
    centres = (370, 250, 130)
    for centre, name in zip(centres, ("node 0", "node 1", "readout"), strict=True):
        parts += [_box(130, centre - 30, 180, 60, "node"), _text(220, centre - 7, name, "strong")]
        parts.append(_text(220, centre + 15, "(state, z) → (state, h)", "small"))
    for below, above in zip(centres, centres[1:], strict=False):
        parts.append(_arrow(f"M190 {below - 30} V{above + 33}", "up"))
        parts.append(_arrow(f"M250 {above + 30} V{below - 33}", "down"))
        parts += [_text(182, (below + above) / 2 + 5, "z = synapse(θ, h)", "small blue", "end")]
        parts += [_text(258, (below + above) / 2 + 5, "what the rule sends", "small orange", "start")]
    parts += [_arrow("M190 440 V403", "up"), _text(182, 434, "images", "small blue", "end")]
    # A delayed edge: what a node passed on a step ago.
    parts += [_arrow("M310 240 C365 225 365 275 313 260", "up"), _text(362, 254, "delay", "small blue", "start")]
    return parts


def _flow() -> list[str]:
    """From what a rule trains to a table of scores."""
    parts: list[str] = []
    boxes = (
        (460, 20, "learning rule", ("assign_credit: what optax subtracts,", "from z, h and the rule's own way down")),
        (460, 135, "representations", ("every layer's answer to the stimuli", "of the recording")),
        (740, 135, "recording", ("patterns or RDMs: regions,", "subjects, runs, times")),
        (600, 255, "similarity", ("RDMs by a measure, compared;", "noise ceilings, controls, intervals")),
        (600, 370, "report", ("scores, scorecard, accuracy,", "distance from backpropagation")),
    )
    for x, y, name, lines in boxes:
        parts += [_box(x, y, 250, 78), _text(x + 125, y + 24, name, "strong"), *_lines(x + 125, y + 45, lines, "small")]
    parts += [_arrow("M460 59 H424", "flow"), _arrow("M420 174 H456", "flow")]
    parts += [_arrow("M600 213 C600 235 670 228 676 251", "flow"), _arrow("M850 213 C850 235 780 228 774 251", "flow")]
    parts += [_arrow("M725 333 V366", "flow")]
    parts += [_box(760, 20, 220, 78), _text(870, 44, "scorecard", "strong")]
    parts += _lines(870, 65, ("ten questions, put to the rule", "by experiment"), "small")
    parts += [_arrow("M710 59 H756", "flow")]
    return parts


def svg() -> str:
    """The picture as an SVG that stands in a page and takes its colours."""
    title = "The frame: a network's graph, the learning rule that trains it, and the comparison with a recording"
    described = (
        "Images enter a column of nodes by weights. Between nodes a rule replaces what comes down. What every layer then answers to the "
        "stimuli of a recording is compared with the recording by representational similarity; the scorecard questions the rule itself."
    )
    return (
        # On a narrow page the picture scrolls by itself rather than shrinking until nobody can read it.
        '<div class="frame-scroll" tabindex="0">'
        f'<svg class="frame" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="frame-title frame-desc">'
        f'<title id="frame-title">{title}</title><desc id="frame-desc">{described}</desc><style>{_STYLE}</style>'
        + _heads()
        + "".join([*_network(), *_flow()])
        + "</svg></div>\n"
    )


def pages() -> dict[str, str]:
    """The picture by its path from the site's folder."""
    return {"explanation/frame.svg.html": svg()}
