"""The report is whole, honest, offline and the same every time, whatever a comparison holds and lacks."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from experiments.report import (
    plot_accuracy,
    plot_differences,
    plot_rdms,
    plot_scores,
    plot_scores_over_time,
    plot_stimuli,
    terminal_table,
    write_report,
)
from experiments.report.rdms import ranked_picture
from experiments.report.stimuli import picture_order
from experiments.report.style import MARKERS, RULE_COLOURS, rule_styles
from experiments.report.svg import inline_svg
from experiments.report.views import ceiling, from_control, reference_time, standings
from experiments.report.wording import region_finding, summary
from experiments.results import Comparison

_place = Path(__file__).with_name("fake_comparison.py")
_spec = importlib.util.spec_from_file_location("fake_comparison", _place)
fake = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake)

BANNER = "Simulated recording: no brain was measured"
VOID = {"meta", "link", "br", "wbr", "img", "hr", "input"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Reads a page, noting tags left open, ids, what it would load, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.mistakes, self.ids, self.loads, self.words, self.tags = [], [], [], [], [], []
        self.feed(text)
        self.close()
        self.mistakes += [f"never closed: {tag}" for tag in self.open]

    def handle_starttag(self, tag, attrs, closed=False):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and not closed:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "data") and tag != "a":
                self.loads.append(value)
            self.loads += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs, closed=True)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.mistakes.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.loads += re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    return {name: fake.fake_comparison(**options) for name, options in fake.VARIANTS.items()}


@pytest.fixture(scope="module")
def reports(comparisons, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    return {
        name: write_report(comparison, folder / f"{index}.html") for index, (name, comparison) in enumerate(comparisons.items())
    }


def _renamed(comparison: Comparison, names: dict[str, str]) -> Comparison:
    """The same comparison with other names of rules, layers and regions."""

    def tables(name):
        frame = getattr(comparison, name)
        return frame.replace({column: names for column in ("rule", "control", "layer", "region") if column in frame})

    def other(name):
        return names.get(name, name)

    return dataclasses.replace(
        comparison,
        rules={other(rule): spec for rule, spec in comparison.rules.items()},
        ceilings=[{**row, "region": other(row["region"])} for row in comparison.ceilings],
        layer_rdms={(other(rule), other(layer)): rdm for (rule, layer), rdm in comparison.layer_rdms.items()},
        region_rdms={other(region): rdm for region, rdm in comparison.region_rdms.items()},
        architecture={
            **comparison.architecture,
            "layers": [{**row, "layer": other(row["layer"])} for row in comparison.architecture["layers"]],
        },
        factors={other(region): drawn for region, drawn in comparison.factors.items()},
        **{name: tables(name) for name in ("scores", "differences", "controls", "clusters", "accuracy", "networks")},
    )


def _finite(figure: Figure) -> bool:
    """Whether every drawn line holds a finite point and every picture finite pixels off the diagonal."""
    for axes in figure.axes:
        for line in axes.lines:
            if len(line.get_xdata()) and not np.isfinite(np.asarray(line.get_ydata(), float)).any():
                return False
        if not np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all():
            return False
    return True


@pytest.mark.parametrize("name", fake.VARIANTS)
def test_page_is_whole_and_offline(reports, name):
    text = reports[name].read_text(encoding="utf-8")
    page = Page(text)
    assert page.mistakes == []
    assert page.open == []
    assert len(page.ids) == len(set(page.ids)), "two elements share an id"
    for address in page.loads:
        assert str(address).startswith(("data:", "#")), address
        if str(address).startswith("#"):
            assert str(address)[1:] in page.ids, f"{address} leads nowhere"
    assert not [tag for tag, _ in page.tags if tag in ("script", "iframe", "object", "embed")]
    assert len(text.encode()) < 5_000_000
    assert "nan" not in page.text.lower().split()
    pictures = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") == "plot"]
    assert len(pictures) >= 5
    assert all(attributes["role"] == "img" and len(attributes["aria-label"]) > 20 for attributes in pictures)


@pytest.mark.parametrize("name", fake.VARIANTS)
def test_banner_says_simulated_only_where_it_is(reports, name):
    page = Page(reports[name].read_text(encoding="utf-8"))
    assert (BANNER in page.text) == (name == "simulated")
    if name == "simulated":
        assert "EVC by pixel_energy; IT by category" in page.text


def test_page_says_what_was_run(reports, comparisons):
    text = Page(reports["plain"].read_text(encoding="utf-8")).text
    for said in (
        "Decoded from lossy JPEG",
        "15 subjects",
        "32 stimuli",
        "524\u202f416",
        "n_draws: 1000",
        "71.2 s",
        "Nili et al. 2014",
    ):
        assert said in text, said
    for rule in comparisons["plain"].rules:
        assert rule in text
    assert "moved by 0.4 % only" in text
    assert text.count("▲") == 2, "one layer of one rule hardly moved, and the sentence above says so"


def test_same_comparison_gives_same_bytes(reports, tmp_path):
    again = fake.fake_comparison(**fake.VARIANTS["plain"])
    assert write_report(again, tmp_path / "again.html").read_bytes() == reports["plain"].read_bytes()


def test_saved_comparison_gives_same_page(tmp_path, comparisons, reports):
    """What JSON and CSV turn into null, text or whole numbers reads as it did."""
    name = "upper ceiling withheld"
    comparisons[name].save(tmp_path / name)
    path = write_report(Comparison.load(tmp_path / name), tmp_path / f"{name}.html")
    assert Page(path.read_text(encoding="utf-8")).text == Page(reports[name].read_text(encoding="utf-8")).text


def test_names_are_escaped(tmp_path, comparisons):
    harm = '<script>alert("x")</script>'
    names = {"backprop": f"{harm}&rule", "conv_0": "<b>layer$x^2$", "EVC": "EVC</svg><img src=x>"}
    hostile = dataclasses.replace(
        _renamed(comparisons["plain"], names),
        warnings=[harm],
        recording={**comparisons["plain"].recording, "name": harm, "citation": f'{harm} doi:10.1000/a"onclick="b'},
        categories=[f"{each}<i>" for each in comparisons["plain"].categories],
        config={**comparisons["plain"].config, "note": harm},
    )
    text = write_report(hostile, tmp_path / "hostile.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.mistakes == []
    assert "<script" not in text
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "b", "i")]
    assert not [attributes for _, attributes in page.tags if "onclick" in attributes]
    assert f"{harm}&rule" in page.text
    assert "<b>layer$x^2$" in page.text, "a dollar sign begins no formula"


def test_headline_of_a_rule_that_does_not_beat_its_control(comparisons):
    comparison = comparisons["plain"]
    table = comparison.scores.copy()
    here = (table["region"] == "EVC") & table["seed"].isna()
    table.loc[here, "score"] = 0.1
    table.loc[here & (table["rule"] == "backprop") & (table["layer"] == "conv_1"), "score"] = 0.2
    differences = comparison.differences.copy()
    row = (differences["rule"] == "backprop") & (differences["layer"] == "conv_1") & (differences["region"] == "EVC")

    def said(lower: float, upper: float) -> str:
        differences.loc[row, ["difference", "lower", "upper"]] = [(lower + upper) / 2, lower, upper]
        changed = dataclasses.replace(comparison, scores=table, differences=differences)
        return f"{' '.join(region_finding(changed, 'EVC').sentences)} {summary(changed)}"

    for lower, upper in ((-0.01, 0.03), (-0.05, -0.01), (0.0, 0.03)):
        text = said(lower, upper)
        assert "backprop scores best: 0.200" in text
        assert "It does not beat its untrained control" in text
        assert "In EVC, backprop scores best but does not beat its untrained control" in text
    text = said(0.01, 0.05)
    assert "It beats its untrained control: difference +0.030 [0.010,\u00a00.050]" in text
    assert "does not beat" not in text.split(";")[0]


def test_headline_holds_scores_against_the_ceiling(comparisons):
    comparison = comparisons["plain"]
    best = standings(comparison, "IT")[0]
    bound = ceiling(comparison, "IT").lower
    assert (
        f"{best.score / bound * 100:.0f}\u00a0% of the noise ceiling's lower bound {bound:.3f}"
        in region_finding(comparison, "IT").sentences[1]
    )
    above = comparison.scores.copy()
    above.loc[above["region"] == "IT", "score"] += bound
    sentence = region_finding(dataclasses.replace(comparison, scores=above), "IT").sentences[1]
    assert "reaches the noise ceiling" in sentence
    low = [{**row, "lower": -0.02} for row in comparison.ceilings]
    assert "share nothing" in region_finding(dataclasses.replace(comparison, ceilings=low), "IT").sentences[1]


def test_without_draws_nothing_is_claimed(reports, comparisons):
    text = Page(reports["no draws"].read_text(encoding="utf-8")).text
    assert "nothing here was tested" in text
    assert "without a test against its untrained control" in text
    assert "and beats its untrained control" not in text
    assert "does not beat" not in text
    assert all(row.beats is None for row in standings(comparisons["no draws"], "IT"))


def test_withheld_ceiling_is_explained(reports):
    text = Page(reports["upper ceiling withheld"].read_text(encoding="utf-8")).text
    assert "Upper bound: the mean of 3 subjects follows each of them too closely" in text
    assert "noise ceiling (lower bound)" in text


def test_summary_of_a_time_axis_is_chosen_by_the_recording_alone(comparisons):
    comparison = comparisons["times"]
    lower = {row["time"]: row["lower"] for row in comparison.ceilings if row["region"] == "IT"}
    chosen = reference_time(comparison, "IT")
    assert lower[chosen] == max(lower.values())
    scores = comparison.scores.copy()
    scores["score"] = np.random.default_rng(0).permutation(scores["score"].to_numpy())
    assert reference_time(dataclasses.replace(comparison, scores=scores), "IT") == chosen
    aggregates = comparison.aggregates()
    own = aggregates[(aggregates["region"] == "IT") & np.isclose(aggregates["time"].astype(float), chosen)]
    assert standings(comparison, "IT")[0].score == own["score"].max()


def test_accuracy_figure_shows_each_rule_and_chance(comparisons):
    comparison = comparisons["plain"]
    figure = plot_accuracy(comparison)
    (axes,) = figure.axes
    curves = {line.get_label(): line for line in axes.lines if line.get_label() in comparison.rules}
    assert list(curves) == list(comparison.rules)
    expected = comparison.accuracy.groupby(["rule", "epoch"])["test_accuracy"].mean()
    for rule, curve in curves.items():
        np.testing.assert_allclose(curve.get_ydata(), expected[rule].to_numpy())
    assert {text.get_text() for text in axes.texts} == {*comparison.rules, "chance"}
    assert len(axes.collections) == len(comparison.rules)
    assert any(np.allclose(line.get_ydata(), 0.1) for line in axes.lines)


def test_score_figure_shows_means_intervals_and_ceiling(comparisons):
    comparison = comparisons["plain"]
    figure = plot_scores(comparison)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["EVC", "IT"]
    aggregates = comparison.aggregates().set_index(["rule", "layer", "region"])
    for axes in figure.axes:
        region = axes.get_title(loc="left")
        points = {line.get_label(): line.get_ydata() for line in axes.lines if line.get_label() in comparison.rules}
        for rule in comparison.rules:
            wanted = [aggregates.loc[(rule, layer, region), "score"] for layer in fake.LAYERS]
            np.testing.assert_allclose(points[rule], wanted)
        assert len(axes.collections) == len(comparison.rules)
        heights = axes.collections[0].get_segments()[0][:, 1]
        wanted = aggregates.loc[("untrained", "conv_0", region), ["lower", "upper"]].to_numpy(float)
        np.testing.assert_allclose(heights, wanted)
        (band,) = axes.patches
        np.testing.assert_allclose([band.get_y(), band.get_y() + band.get_height()], ceiling(comparison, region)[:2])
    assert len(plot_scores(comparison, ["IT"], legend=False).axes) == 1
    assert plot_scores(comparison, ["IT"]).axes[0].get_ylim() == figure.axes[0].get_ylim()
    # Without an upper bound there is a line and no band.
    assert [len(axes.patches) for axes in plot_scores(comparisons["upper ceiling withheld"]).axes] == [0, 0]


def test_difference_figure_fills_what_excludes_zero(comparisons):
    comparison = comparisons["plain"]
    for axes in plot_differences(comparison).axes:
        region = axes.get_title(loc="left")
        own = from_control(comparison)
        own = own[own["region"] == region]
        solid = ((own["lower"] > 0) | (own["upper"] < 0)).sum()
        filled = hollow = 0
        for line in axes.lines:
            if line.get_marker() in MARKERS:
                n_points = len(line.get_xdata())
                filled, hollow = (
                    (filled, hollow + n_points) if line.get_markerfacecolor() == "none" else (filled + n_points, hollow)
                )
        assert (filled, hollow) == (solid, len(own) - solid)
    hollow = [
        line for axes in plot_differences(comparisons["no draws"]).axes for line in axes.lines if line.get_marker() in MARKERS
    ]
    assert hollow and all(line.get_markerfacecolor() == "none" for line in hollow)


def test_time_figure_has_a_panel_for_each_layer_and_region(comparisons):
    comparison = comparisons["times"]
    figure = plot_scores_over_time(comparison)
    assert len(figure.axes) == len(fake.LAYERS) * 2
    lines = [line for line in figure.axes[0].lines if line.get_label() in comparison.rules]
    assert len(lines) == len(comparison.rules)
    np.testing.assert_allclose(lines[0].get_xdata(), np.array(fake.MEG_TIMES) * 1000)
    assert _finite(figure)


def test_rdm_figure_has_a_picture_for_each_region_and_layer(comparisons):
    comparison = comparisons["plain"]
    figure = plot_rdms(comparison)
    assert sum(bool(axes.images) for axes in figure.axes) >= len(comparison.region_rdms) + len(comparison.layer_rdms)
    picture = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    np.testing.assert_array_equal(picture, ranked_picture(comparison.region_rdms["EVC"], np.arange(32)))
    assert "face" in {text.get_text() for axes in figure.axes for text in axes.texts}
    bare = plot_rdms(comparisons["one region, no categories"])
    assert sum(bool(axes.images) for axes in bare.axes) >= 17


def test_pictures_are_ordered_by_category():
    comparison = fake.fake_comparison(category_names=["b", "a"] * 16)
    ordering = picture_order(comparison)
    assert ordering.categories == ("b", "a")
    assert ordering.starts == (0, 16)
    assert ordering.order.tolist() == [*range(0, 32, 2), *range(1, 32, 2)]
    rdm = np.arange(32 * 31 / 2)
    square = ranked_picture(rdm, ordering.order)
    assert square[0, 1] == pytest.approx(1 / 495 * 100), "second in the picture is the third stimulus"
    np.testing.assert_array_equal(square, square.T)


def test_large_rdms_are_averaged_to_a_small_picture():
    rdm = np.random.default_rng(0).random(300 * 299 // 2)
    picture = ranked_picture(rdm, np.arange(300), most_pixels=100)
    assert picture.shape == (100, 100)
    assert np.isfinite(picture).all()
    assert picture[np.triu_indices(100, 1)].mean() == pytest.approx(50, abs=1)


def test_stimuli_figure_shows_every_stimulus(comparisons):
    figure = plot_stimuli(comparisons["plain"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(fake.CATEGORIES)
    opaque = sum(int((axes.images[0].get_array()[..., 3] == 255).sum()) for axes in figure.axes)
    assert opaque == 32 * 42 * 42
    assert len(plot_stimuli(comparisons["one region, no categories"]).axes) == 1


@pytest.mark.parametrize("name", fake.VARIANTS)
def test_figures_are_finite_and_leave_pyplot_alone(comparisons, name):
    before = dict(matplotlib.rcParams)
    for plot in (plot_accuracy, plot_scores, plot_differences, plot_rdms, plot_stimuli):
        figure = plot(comparisons[name])
        assert isinstance(figure, Figure)
        assert _finite(figure), plot.__name__
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_one_colour_and_marker_a_rule():
    names = ["untrained", *(f"rule_{index}" for index in range(20))]
    styles = rule_styles(names)
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(names)
    assert styles == {**styles, **rule_styles(names[:3])}, "a rule keeps its style when others join"

    def contrast(first: str, second: str) -> float:
        def luminance(colour):
            channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
            linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
            return float(linear @ [0.2126, 0.7152, 0.0722])

        high, low = sorted((luminance(first), luminance(second)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for light, dark in RULE_COLOURS:
        assert contrast(light, "#ffffff") >= 3
        assert contrast(dark, "#14171c") >= 3


def test_inline_figures_follow_the_page(comparisons):
    svg = str(inline_svg(plot_scores(comparisons["plain"]), "scores", 'a "quoted" <figure>'))
    assert "currentColor" in svg and "var(--rule-0)" in svg and "var(--ceiling)" in svg
    assert RULE_COLOURS[0][0] not in svg
    assert 'aria-label="a &quot;quoted&quot; &lt;figure&gt;"' in svg
    assert "DejaVu" not in svg and "<metadata" not in svg and "<!--" not in svg


def test_one_seed_one_epoch_one_rule(tmp_path):
    """The smallest comparison there is: no spread, a single point of training, nothing but the control."""
    comparison = fake.fake_comparison(rules=("untrained",), n_seeds=1, n_epochs=1)
    page = Page(write_report(comparison, tmp_path / "small.html").read_text(encoding="utf-8"))
    assert page.mistakes == []
    assert "Only the control was run" in page.text
    assert "1 learning rule compared" in page.text


@pytest.mark.parametrize("name", fake.VARIANTS)
def test_terminal_table_fits_a_hundred_columns(comparisons, name):
    console = Console(width=100, file=None, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(terminal_table(comparisons[name]))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= 100
    for rule in comparisons[name].rules:
        assert rule in text
    assert "…" not in text and "nan" not in text
    assert (BANNER in text) == (name == "simulated")
    finding = region_finding(comparisons[name], list(comparisons[name].region_rdms)[0])
    assert f"{finding.standings[0].score:.3f}" in text
    assert f"{finding.ceiling.lower:.3f}" in text
    assert ("withheld" in text) == (name == "upper ceiling withheld")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("name", ["simulated", "times"])
def test_browser_opens_the_page_without_a_complaint(reports, tmp_path, name):
    picture = tmp_path / "page.png"
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --v=0 --window-size=1280,1600"
    )
    finished = subprocess.run(
        [
            CHROMIUM,
            *options.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={picture}",
            f"--log-net-log={tmp_path / 'net.json'}",
            reports[name].as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in finished.stderr
    assert picture.stat().st_size > 20_000
    requested = re.findall(r'"url":"(https?://[^/"]+)', (tmp_path / "net.json").read_text(encoding="utf-8"))
    # The browser itself asks its maker for the time and for updates.
    assert [host for host in requested if not host.endswith((".google.com", ".googleapis.com"))] == []
