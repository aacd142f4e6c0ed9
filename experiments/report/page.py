"""The page: one HTML file that holds its figures, opens offline, and says first what was found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import learning_rules
import rsa
from bioplausible.foundation.files import write_text
from bioplausible.foundation.yaml_files import to_yaml
from experiments.config import CONTROL
from experiments.report import wording
from experiments.report.accuracy import plot_accuracy
from experiments.report.conclusions import conclusions, view_names
from experiments.report.differences import plot_differences
from experiments.report.in_time import sections_in_time
from experiments.report.overview import plot_overview
from experiments.report.rdms import plot_rdms
from experiments.report.scorecard import scorecard_html
from experiments.report.scores import COMPARATOR_LABELS, plot_scores, score_label
from experiments.report.second_order import plot_second_order
from experiments.report.sizes import by_size, plot_sizes
from experiments.report.stimuli import MAX_STIMULI, plot_stimuli
from experiments.report.style import CONTROL_COLOUR, CONTROL_COLOUR_DARK, RULE_COLOURS, rule_styles
from experiments.report.svg import inline_svg
from experiments.report.time_course import plot_scores_over_time
from experiments.report.views import final_accuracy, has_times, layer_names, number, region_names, rule_names, table_rows
from experiments.results import Comparison, plain

# Below this a layer's weights hardly moved, and its score is the architecture's rather than the rule's.
MIN_WEIGHT_CHANGE = 0.01
_DOI = re.compile(r"\bdoi:\s?(10\.\d{4,9}/[^\s,;<>]*[^\s,;.<>)])|\barXiv[: ](\d{4}\.\d{4,5})", re.IGNORECASE)


def _said(measure: str) -> str:
    """A measure in words; one of another version by its name."""
    return rsa.MEASURES[measure].summary if measure in rsa.MEASURES else measure


def _linked(text: Any) -> Markup:
    """Escape a text and make the DOIs and arXiv numbers in it links; nothing is loaded until a reader follows one."""
    given, pieces, end = str(text), [], 0
    for match in _DOI.finditer(given):
        address = f"https://doi.org/{match[1]}" if match[1] else f"https://arxiv.org/abs/{match[2]}"
        pieces += [escape(given[end : match.start()]), Markup('<a href="{}">{}</a>').format(address, match[0])]
        end = match.end()
    return Markup("").join([*pieces, escape(given[end:])])


def _breakable(name: Any) -> Markup:
    """A name that may go on in the next line after a slash or an underscore."""
    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(name))))


def _shape(value: Any) -> str:
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _count(value: Any) -> str:
    """A whole number in groups of three, parted by narrow spaces that do not break."""
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else str(value)


def _subjects(recording: dict[str, Any]) -> str:
    """How many subjects each region has, once if all have as many."""
    given = recording.get("subjects", {})
    if not isinstance(given, dict):
        return str(len(given) if isinstance(given, list | tuple) else given)
    counts = {region: len(each) if isinstance(each, list | tuple) else each for region, each in given.items()}
    if len(set(counts.values())) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"{count} ({region})" for region, count in counts.items())


def _network_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Mean over seeds, one row a rule and layer, with a mark where weights hardly moved though the rule trains them."""
    columns = ["cosine", "reference_norm", "relative_weight_change", "silent"]
    table = comparison.networks.groupby(["rule", "layer"], sort=False)[columns].mean()
    weightless = {row.get("layer") for row in comparison.architecture.get("layers", []) if row.get("parameters") == 0}
    rows = []
    for rule in rule_names(comparison):
        own = [layer for layer in dict.fromkeys(comparison.networks["layer"]) if (rule, layer) in table.index]
        frozen = comparison.rules.get(rule, {}).get("frozen") == "hidden"
        for place, layer in enumerate(own):
            values = table.loc[(rule, layer)]
            excused = layer in weightless or (frozen and layer != own[-1])
            still = not excused and values["relative_weight_change"] < MIN_WEIGHT_CHANGE
            rows.append(
                {"rule": rule, "layer": layer, "first": place == 0, "n_layers": len(own), "still": still, **values.to_dict()}
            )
    return rows


def _figures(comparison: Comparison) -> dict[str, Any]:
    """Every figure as an element of its own, the regions' panels apart, so that a narrow screen stacks them."""
    regions, recording = region_names(comparison), str(comparison.recording.get("name", "the recording"))
    timed = [region for region in regions if has_times(comparison, region)]
    rules = wording.joined(rule_names(comparison))

    def panels(plot: Any, name: str, chosen: list[str], alternative: str) -> list[Markup]:
        return [
            inline_svg(
                plot(comparison, [region], legend=False), f"{name}-{place}", f"{alternative} {region}. Values are in the table."
            )
            for place, region in enumerate(chosen)
        ]

    return {
        "overview": inline_svg(
            plot_overview(comparison), "overview", f"Accuracy, plausibility and similarity of {rules}. Values are in the tables."
        ),
        "accuracy": inline_svg(plot_accuracy(comparison), "accuracy", f"Test accuracy by epoch for {rules}."),
        "scores": panels(plot_scores, "scores", regions, "Scores by layer with intervals and noise ceiling in region"),
        "time_courses": panels(plot_scores_over_time, "time", timed, "Scores over time for each layer in region"),
        "sizes": panels(plot_sizes, "sizes", regions, "Scores by size of the stimuli in region")
        if len(by_size(comparison))
        else [],
        "differences": panels(plot_differences, "differences", regions, "Differences from the untrained control by layer in region")
        if len(comparison.main.differences)
        else [],
        "rdms": inline_svg(plot_rdms(comparison), "rdms", f"RDMs of the regions of {recording} and of each rule's layers."),
        "second_order": None
        if (of_rdms := plot_second_order(comparison)) is None
        else inline_svg(of_rdms, "second-order", f"Map of the RDMs of {recording}'s regions and of each rule's layers."),
        "stimuli": inline_svg(plot_stimuli(comparison), "stimuli", f"The {len(comparison.stimuli)} stimuli of {recording}."),
    }


def _environment() -> Environment:
    """What templates are read and filled in by."""
    environment = Environment(
        loader=PackageLoader("experiments", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "decimal": wording.decimal,
        "signed": wording.signed,
        "percent": wording.percent,
        "probability": wording.probability,
        "compact": wording.compact,
        "linked": _linked,
        "breakable": _breakable,
        "shape": _shape,
        "count_of": _count,
        "milliseconds": lambda seconds: wording.decimal(number(seconds) * 1000, 0),
    }
    environment.globals |= {
        name: getattr(wording, name) for name in ("interval", "verdict", "control_name", "control_verdict", "degrees")
    }
    return environment


# Where the list of sections goes once they are known; no data can hold it, since what data hold is escaped.
_CONTENTS = "<!--contents-->"


def _with_contents(page: str) -> str:
    """The page with links to its sections, in the place that was kept for them."""
    sections = [found for found in re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', page) if found[0] != "contents"]
    links = "\n".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in sections)
    return page.replace(_CONTENTS, f"<ol>\n{links}\n</ol>", 1)


def render(comparison: Comparison, folder: Path | None = None) -> str:
    """Render the page.

    Parameters
    ----------
    comparison
        What was run and found.
    folder
        Of the report, whose further tables are shown (`experiments.report.in_time`); None for none.

    Returns
    -------
    str
        HTML, the same bytes for the same comparison.
    """
    styles = rule_styles(rule_names(comparison))
    places = {light: f"--rule-{index}" for index, (light, _) in enumerate(RULE_COLOURS)} | {CONTROL_COLOUR: "--rule-control"}
    accuracy = final_accuracy(comparison)
    style_sheet, script = (Path(__file__).with_name(f"report.{each}").read_text(encoding="utf-8") for each in ("css", "js"))
    return _with_contents(
        _environment()
        .get_template("report.html.j2")
        .render(
            comparison=comparison,
            training=comparison.config["training"],
            scoring=comparison.config["scoring"],
            config=comparison.config,
            recording=comparison.recording,
            dataset=comparison.dataset,
            control=CONTROL,
            rules=rule_names(comparison),
            regions=region_names(comparison),
            layers=layer_names(comparison),
            rule_variables={rule: places[style.colour] for rule, style in styles.items()},
            rule_markers={rule: style.marker for rule, style in styles.items()},
            summary=wording.summary(comparison),
            findings=[wording.region_finding(comparison, region) for region in region_names(comparison)],
            failed=wording.failures(comparison),
            view_names=(views_there := view_names(comparison)),
            conclusions=conclusions(comparison) if len(views_there) > 1 else [],
            subjects=_subjects(comparison.recording),
            accuracy={rule: accuracy.loc[rule].to_dict() for rule in accuracy.index},
            aggregates=table_rows(comparison.aggregates()),
            further=table_rows(comparison.further_aggregates()),
            comparator_labels=COMPARATOR_LABELS,
            measures={name: measure.summary for name, measure in rsa.MEASURES.items()},
            differences=table_rows(comparison.main.differences),
            reference_models=table_rows(comparison.main.reference_models),
            clusters=table_rows(comparison.clusters),
            drawn=wording.drawn(comparison),
            timed=has_times(comparison),
            networks=_network_rows(comparison),
            card=scorecard_html(comparison.scorecards) if comparison.scorecards else "",
            min_weight_change=MIN_WEIGHT_CHANGE,
            verdicts=(verdicts := [row for row in table_rows(comparison.verdicts) if row["rule"] in styles]),
            controls=list(dict.fromkeys(comparison.controls["control"])) if len(comparison.controls) else [],
            between=verdicts[0]["rdm_correlation_between_seeds"] if verdicts else None,
            by_other_means=learning_rules.BY_OTHER_MEANS,
            figures=_figures(comparison),
            in_time=sections_in_time(folder),
            score_label=score_label(comparison),
            distance=_said(comparison.view[0]),
            max_stimuli=MAX_STIMULI,
            configuration=to_yaml(plain(comparison.config)),
            withheld=sorted({row["withheld"] for row in comparison.ceilings if row.get("withheld")}),
            contents=Markup(_CONTENTS),
            # The style sheet and the script are ours and hold no data.
            style_sheet=Markup(style_sheet),
            script=Markup(script),
            colours=[(f"--rule-{index}", light, dark) for index, (light, dark) in enumerate(RULE_COLOURS)]
            + [("--rule-control", CONTROL_COLOUR, CONTROL_COLOUR_DARK)],
        )
    )


def write_report(comparison: Comparison, path: Path) -> Path:
    """Write the report of a comparison.

    Parameters
    ----------
    comparison
        What was run and found.
    path
        The file to write, whole or not at all.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    write_text(path, render(comparison, path.parent))
    return path


__all__ = ["MIN_WEIGHT_CHANGE", "render", "write_report"]
