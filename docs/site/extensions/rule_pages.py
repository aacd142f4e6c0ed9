"""One page a family of learning rules, from the registry, the rules' own docstrings and the stored results."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from option_ranges import of_rule, written
from stored_results import STUDIES, markdown_table, percent, scorecard, summary

import learning_rules
from experiments.options_table import option_rows
from experiments.report.style import CONTROL_COLOUR, LINE, RULE_COLOURS, empty_figure, figure_style
from learning_rules.plausibility import CRITERIA

PARTS = Path(__file__).parents[1] / "explanation" / "rules" / "parts"
_SIGNS = {"meets": "●", "partly": "◐", "fails": "○", "not applicable": "–"}
_DOI = re.compile(r"\bdoi:(10\.\d{4,9}/[^\s,;]*[^\s,;.)])|\barXiv[ :](\d{4}\.\d{4,5})")
_TITLES = {"stdp": "Spike-timing-dependent plasticity", "pepita": "PEPITA", "clapp": "CLAPP", "backprop": "Backpropagation"}
_RANGES = {"learning_rate": "above 0", "weight_decay": "at least 0"}  # checked by the optimisers that all rules share


def title(family: str) -> str:
    """A family's name as a heading."""
    return _TITLES.get(family, family.replace("_", " ").capitalize())


def _linked(text: str) -> str:
    """Citations whose DOIs and arXiv numbers are links."""
    return _DOI.sub(
        lambda match: (
            f"[{match[0]}](https://doi.org/{match[1]})" if match[1] else f"[{match[0]}](https://arxiv.org/abs/{match[2]})"
        ),
        text,
    )


def _names(family: str) -> list[str]:
    return [variant.spec.name for variant in learning_rules.FAMILIES[family].variants.values()]


def _joined(text: str) -> str:
    r"""Simple tables whose first column breaks a long name as `name\_` and `rest`: the column is widened and the name is whole."""
    lines, start = text.splitlines(), None
    for place, line in enumerate(lines):
        if not re.fullmatch(r"=+( =+)+", line):
            continue
        if start is None or "" in lines[start:place]:
            start = place
            continue
        width = line.index(" ")
        cells = [each[:width] for each in lines[start : place + 1]]
        for row, cell in enumerate(cells[:-1]):
            if cell.rstrip().endswith("\\_"):
                cells[row], cells[row + 1] = cell.rstrip()[:-2] + "_" + cells[row + 1].strip(), ""
                lines[start + row] = lines[start + row][:width] + " " + lines[start + row][width:].lstrip()
        wider = max(map(len, (cell.rstrip() for cell in cells)), default=width)
        for row, cell in enumerate(cells):
            fill = "=" if re.fullmatch("=+", cell) else " "
            lines[start + row] = (cell.rstrip() if fill == " " else cell).ljust(max(wider, width), fill) + lines[start + row][
                width:
            ]
    return "\n".join(line.rstrip() for line in lines)


def _docstring(family: str) -> tuple[str, str]:
    """The module's first line, and what follows it."""
    module = sys.modules[learning_rules.FAMILIES[family].make.__module__]
    first, _, rest = (inspect.getdoc(module) or "").partition("\n")
    return first, _joined(rest.strip())


def _short(name: str) -> str:
    """A rule's name on its family's page."""
    return name.partition("/")[2] or name


def _variants(family: str) -> str:
    rows = []
    for variant in learning_rules.FAMILIES[family].variants.values():
        spec = variant.spec
        told = [f"hears {spec.teaching_signal}", f"{spec.phases} pass{'es' * (spec.phases != 1)}"]
        told += [f"behind {spec.front_end}"] if spec.front_end != "none" else []
        rows.append([f"`{spec.variant or spec.family}`", spec.summary, _linked(spec.citation), ", ".join(told)])
    return markdown_table(["variant", "what", "source", "an update"], rows)


def _options(family: str) -> str:
    default = _names(family)[0]
    rows = option_rows(
        learning_rules.options_of(default), hidden=("variant",), meaning={"`OBJECTIVES`": ", ".join(learning_rules.OBJECTIVES)}
    )
    ranges = _RANGES | of_rule(default)
    told = [[f"`{row['option']}`", f"`{written(row['default'])}`", ranges.get(row["option"], ""), row["what"]] for row in rows]
    return markdown_table(["option", "default", "range", "what"], told)


def _differing(name: str, reference: str) -> dict[str, tuple[Any, Any]]:
    one, other = (dataclasses.asdict(learning_rules.options_of(each)) for each in (name, reference))
    return {key: (value, other[key]) for key, value in one.items() if key != "variant" and value != other[key]}


def _set_otherwise(family: str) -> str:
    default, *others = _names(family)
    rows = []
    for name in others:
        differing = _differing(name, default)
        if "/textbook" not in name and differing:
            rows.append([f"`{_short(name)}`", ", ".join(f"`{key}={written(value)}`" for key, (value, _) in differing.items())])
    if not rows:
        return ""
    return f"\nWhat is set otherwise in the variants:\n\n{markdown_table(['variant', 'options'], rows)}"


def _base(name: str) -> str:
    """What a published variant is the published form of: the variant that it names, or the family's default."""
    family, _, variant = name.partition("/")
    told = getattr(learning_rules.options_of(name), "variant", "")
    for each in (told, variant.removeprefix("textbook_"), variant.removeprefix("textbook").strip("_")):
        if each and f"{family}/{each}" in _names(family) and f"{family}/{each}" != name:
            return f"{family}/{each}"
    return _names(family)[0]


def _published(family: str) -> str:
    parts = []
    for name in _names(family):
        if "textbook" not in name:
            continue
        spec, base = learning_rules.spec(name), _base(name)
        settings = [["`batch_size`", str(spec.batch_size), "any"]] if spec.batch_size else []
        settings += [[f"`network.{key}`", f"`{written(value)}`", "the network's own"] for key, value in spec.network]
        settings += [
            [f"`{key}`", f"`{written(here)}`", f"`{written(there)}`"] for key, (here, there) in _differing(name, base).items()
        ]
        parts.append(f"`{name}` ({_linked(spec.citation)}) beside `{base}`:\n")
        parts.append(markdown_table(["setting", "as published", f"tuned (`{base}`)"], settings))
    if not parts:
        return (
            "The family has no variant in the settings of its paper: every default above is a choice of this project, "
            "looked for with the same budget for all rules.\n"
        )
    return "\n".join(parts)


def _card(family: str) -> str:
    cards = scorecard()
    known = [name for name in _names(family) if name in cards]
    if not known:
        return "No card of this family is stored yet.\n"
    rows = []
    for name in known:
        rows.append(
            [f"`{_short(name)}`", *(_SIGNS[cards[name][each]["verdict"]] if each in cards[name] else "" for each in CRITERIA)]
        )
    missing = [name for name in _names(family) if name not in cards]
    lacks = f"Not examined yet: {', '.join(f'`{name}`' for name in missing)}.\n" if missing else ""
    evidence = []
    for criterion, entry in cards[known[0]].items():
        value = "" if entry["value"] is None else f"{entry['value']:.3g}"
        evidence.append([criterion, entry["verdict"], value, entry["evidence"], _linked(entry["claimed"]), entry["difference"]])
    header = ["criterion", "verdict", "value", "evidence", "claimed", "where the two differ"]
    return "\n".join(
        [
            "● meets · ◐ in part · ○ fails · – not applicable, on a dense network "
            "([how it is asked](../scorecard.md), [all cards](../../results/scorecard/README.md)).\n",
            markdown_table(["variant", *CRITERIA], rows),
            lacks,
            f":::{{dropdown}} The evidence for `{known[0]}`\n",
            markdown_table(header, evidence),
            ":::\n",
        ]
    )


def _angles(row: pd.Series) -> str:
    values = [row.get(name, np.nan) for name in ("angle_start", "angle_tenth", "angle")]
    return ", ".join("" if pd.isna(value) else f"{value:.0f}" for value in values) if not all(map(pd.isna, values)) else ""


def _number(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.2f}"


def _yes(value: Any) -> str:
    return "" if pd.isna(value) or value == "" else "yes" if str(value) == "True" else "no"


def _own_settings(row: pd.Series) -> str:
    options = json.loads(row["rule_options"]) if isinstance(row.get("rule_options"), str) else {}
    told = ", ".join(f"{key}={written(value)}" for key, value in options.items())
    behind = "" if row["front_end"] == "none" else f" behind {row['front_end']}"
    return f"`{_short(row['rule'])}`{behind}" + (f" ({told})" if told else "")


def _measured(family: str) -> str:
    parts = []
    for study, what in STUDIES.items():
        table = summary(study)
        rows = table[table["rule"].isin(_names(family))]
        if rows.empty:
            continue
        told = []
        for _, row in rows.iterrows():
            told.append(
                [
                    _own_settings(row),
                    str(row["network"]),
                    percent(row["mean"], row["standard_deviation"]),
                    percent(row["readout_mean"], row["readout_standard_deviation"]),
                    "" if pd.isna(row["best_control"]) else f"{percent(row['control'])} {row['best_control']}",
                    _yes(row["beats_control"]),
                    _angles(row),
                    _number(row["rdm_correlation"]),
                    _number(row["rdm_between_seeds"]),
                ]
            )
        header = [
            *("variant", "network", "own output", "one readout", "best control", "above all controls"),
            *("degrees from backprop", "RDMs with backprop's", "between own seeds"),
        ]
        parts.append(
            f"**{what[0].upper()}{what[1:]}** ([`{study}`](../../results/{study}/README.md))\n\n{markdown_table(header, told)}"
        )
    if not parts:
        return "No training of this family is stored yet.\n"
    opening = (
        "Test accuracy in per cent, mean and standard deviation over seeds: of the network's own output, and of the readout that is "
        "one for all rules and controls. Degrees are between what the rule asks of hidden layers and the gradient of its own "
        "objective at the start, after a tenth of the training and at the end; a rule that draws noise is asked once, so that its "
        "angle holds noise as well. RDMs are compared by Spearman's correlation.\n"
    )
    return "\n".join([opening, *parts])


def _figure_label(row: pd.Series) -> str:
    behind = "" if row["front_end"] == "none" else f" behind {row['front_end']}"
    batches = f", {row['batches']}" if isinstance(row.get("batches"), str) else ""
    return f"{_short(row['rule'])}{behind}{batches}"


def _figure(family: str) -> str | None:
    """One row a variant: its accuracy by the readout of all, its untrained network and the control that decides; dense, 10,000 images."""
    table = summary("controls")
    dense = table[(table["network"] == "mlp") & table["readout_mean"].notna()]
    own = dense[dense["rule"].isin(_names(family))]
    if own.empty or family == "untrained":
        return None
    reference = dense[(dense["rule"] == "backprop")].iloc[0]
    with figure_style():
        figure = empty_figure(7.6, 1.25 + 0.29 * len(own))
        axes = figure.subplots()
        blue, orange = RULE_COLOURS[0][0], RULE_COLOURS[1][0]
        for place, (_, row) in enumerate(own.iterrows()):
            colour = orange if _yes(row["beats_control"]) == "no" else blue
            untrained = dense[(dense["rule"] == "untrained") & (dense["front_end"] == row["front_end"])]["readout_mean"]
            if len(untrained):
                axes.plot([100 * untrained.iloc[0]], [place], "|", color=CONTROL_COLOUR, markersize=11, markeredgewidth=2)
            axes.errorbar(
                100 * row["readout_mean"],
                place,
                xerr=100 * row["readout_standard_deviation"],
                fmt="o",
                color=colour,
                markersize=5.5,
            )
        for value, label in ((own["control"].max(), "best control"), (reference["readout_mean"], "backpropagation")):
            axes.axvline(100 * value, color=LINE, linewidth=1.2, zorder=0)
            axes.annotate(label, (100 * value, 1.01), xycoords=("data", "axes fraction"), fontsize=8.5, rotation=28, ha="left")
        axes.set_yticks(range(len(own)), [_figure_label(row) for _, row in own.iterrows()])
        axes.set_ylim(len(own) - 0.5, -0.5)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("test accuracy in per cent, one readout for all")
        buffer = io.StringIO()
        with matplotlib.rc_context({"svg.hashsalt": "bioplausible", "svg.fonttype": "none"}):
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _page(family: str, has_figure: bool) -> str:
    first, equation = _docstring(family)
    hand = PARTS / f"{family}.md"
    parts = [f"# {title(family)}\n", f"{first}\n"]
    if hand.is_file():
        parts.append(hand.read_text(encoding="utf-8"))
    if equation:
        parts.append("## The equation\n")
        parts.append(f"````{{eval-rst}}\n.. default-role:: perhaps\n\n{equation}\n````\n")
    parts += ["## Variants\n", _variants(family)]
    parts += ["## Options\n", "`--set OPTION=VALUE` sets one on the command line, and `build(…, OPTION=VALUE)` in Python.\n"]
    parts += [_options(family), _set_otherwise(family), "\n## Published and tuned settings\n", _published(family)]
    parts += ["## How plausible, measured\n", _card(family), "## Accuracy and distance from backpropagation\n"]
    if has_figure:
        parts.append(
            f":::{{figure}} figures/{family}.svg\n:alt: Accuracy of every variant beside its controls\n\n"
            "Two dense layers, 10,000 images, five epochs: mean and standard deviation over five seeds. Grey bars are the same network "
            "untrained, behind the same front end; an orange dot is not above all controls.\n:::\n"
        )
    parts.append(_measured(family))
    return "\n".join(parts)


def _index() -> str:
    cards, table = scorecard(), summary("controls")
    dense = table[table["network"] == "mlp"]
    rows = []
    for family in learning_rules.FAMILIES:
        name = _names(family)[0]
        found = dense[dense["rule"] == name]
        card = cards.get(name, {})
        counts = [sum(entry["verdict"] == verdict for entry in card.values()) for verdict in ("meets", "partly", "fails")]
        row = found.iloc[0] if len(found) else None
        rows.append(
            [
                f"[{title(family)}]({family}.md)",
                learning_rules.spec(name).summary,
                "" if row is None else percent(row["readout_mean"], row["readout_standard_deviation"]),
                "" if row is None or pd.isna(row["angle"]) else f"{row['angle']:.0f}°",
                " · ".join(map(str, counts)) if card else "",
            ]
        )
    header = ["family", "its default", "accuracy", "from backprop", "meets · in part · fails"]
    entries = "\n".join(learning_rules.FAMILIES)
    return "\n".join(
        [
            "# Learning rules\n",
            f"{len(learning_rules.FAMILIES)} families, {len(learning_rules.names(variants=True))} rules. Accuracies are by the one readout for "
            "all, of each family's default on two dense layers with 10,000 images of Fashion-MNIST and five epochs, angles at the end of "
            "that training; verdicts are of the [scorecard's ten criteria](../scorecard.md).\n",
            markdown_table(header, rows),
            "Which rule trains which network, and why not, says `bioplausible list support`.\n",
            f"```{{toctree}}\n:hidden:\n\n{entries}\n```\n",
        ]
    )


def _criteria() -> str:
    """The scorecard's questions, as the criteria themselves put them."""
    rows = [[each.name, each.question, each.measure, _linked(each.citation)] for each in CRITERIA.values()]
    return markdown_table(["criterion", "question", "value", "source"], rows)


def pages() -> dict[str, str]:
    """Path from the site's folder -> text, of the families' pages, their figures and the list of them."""
    made = {"explanation/rules/index.md": _index(), "explanation/criteria.inc": _criteria()}
    for family in learning_rules.FAMILIES:
        figure = _figure(family)
        if figure is not None:
            made[f"explanation/rules/figures/{family}.svg"] = figure
        made[f"explanation/rules/{family}.md"] = _page(family, figure is not None)
    return made
