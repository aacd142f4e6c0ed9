"""The report is whole, honest, offline and the same every time, whatever a comparison holds and lacks."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import fake_comparison as fake
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from experiments import report
from experiments.report import controls_table, terminal_table, write_report
from experiments.report.views import ceiling, reference_time, standings
from experiments.report.wording import region_finding, summary
from experiments.results import Comparison

BANNER = "Simulated recording: no brain was measured"
VOID = {"meta", "link", "br", "wbr", "img", "hr", "input"}
SCRIPT = Path(report.__file__).with_name("report.js").read_text(encoding="utf-8")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Reads a page, noting tags left open, ids, what it would load, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.mistakes, self.ids, self.loads, self.words, self.tags, self.scripts = [], [], [], [], [], [], []
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
        elif self.open and self.open[-1] == "script":
            self.scripts.append(data.strip())
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def reports(comparisons, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    return {
        name: write_report(comparison, folder / f"{index}.html") for index, (name, comparison) in enumerate(comparisons.items())
    }


_TABLES = ("scores", "differences", "reference_models", "clusters", "accuracy", "networks", "readouts", "verdicts")


def _renamed(comparison: Comparison, names: dict[str, str]) -> Comparison:
    """The same comparison with other names of rules, layers and regions."""

    def tables(name):
        frame = getattr(comparison, name)
        return frame.replace({column: names for column in ("rule", "reference", "model", "layer", "region") if column in frame})

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
        **{name: tables(name) for name in _TABLES},
    )


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
    assert not [tag for tag, _ in page.tags if tag in ("iframe", "object", "embed")]
    assert page.scripts == [SCRIPT.strip()], "the page's own script and no other"
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


def test_page_lists_its_sections_its_origin_and_its_data(comparisons, tmp_path):
    told = {"date": "2026-11-30 12:00 UTC", "command": "bioplausible compare --rules 'a & b'"}
    comparison = dataclasses.replace(
        comparisons["plain"],
        environment=comparisons["plain"].environment | told,
        recording=comparisons["plain"].recording | {"sha256": "ab" * 32},
        dataset=comparisons["plain"].dataset | {"sha256": "cd" * 32},
    )
    page = Page(text := write_report(comparison, tmp_path / "origin.html").read_text(encoding="utf-8"))
    assert all(each in page.text for each in (*told.values(), "ab" * 8, "cd" * 8))
    contents = text[text.index('<nav aria-labelledby="contents">') : text.index("</nav>")]
    links = re.findall(r'href="#([^"]+)"', contents)
    assert links == [each for each in re.findall(r'<h2 id="([^"]+)"', text) if each != "contents"] and len(links) > 6
    # What a button is called by, and what a keyboard moves: every table lies in a region of its own name, but for the evidence.
    named = re.findall(r'<div class="scroll[^"]*" tabindex="0" role="region" aria-label="([^"]+)">\s*<table', text)
    assert len(named) == len(re.findall(r"<table", text)) - text.count(": the evidence") and len(set(named)) == len(named)


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
    assert page.scripts == [SCRIPT.strip()] and text.count("<script") == 1
    assert not [tag for tag, _ in page.tags if tag in ("img", "b", "i")]
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
        p_value = 0.2 if lower <= 0 <= upper else 1e-5
        differences.loc[row, ["difference", "lower", "upper", "p_value"]] = [(lower + upper) / 2, lower, upper, p_value]
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


def test_one_seed_one_epoch_one_rule(tmp_path):
    """The smallest comparison there is: no spread, a single point of training, nothing but the control."""
    comparison = fake.fake_comparison(rules=("untrained",), n_seeds=1, n_epochs=1)
    page = Page(write_report(comparison, tmp_path / "small.html").read_text(encoding="utf-8"))
    assert page.mistakes == []
    assert "Only the control was run" in page.text
    assert "1 learning rule compared" in page.text and "How alike are untrained and" in page.text


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


def test_rules_are_held_against_their_best_control_in_words(comparisons, tmp_path):
    """On the page and in the terminal: which control, whether the rule is above all of them, and how far from backpropagation."""
    console = Console(width=100, file=None, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(controls_table(comparisons["plain"]))
    page = Page(write_report(comparisons["plain"], tmp_path / "judged.html").read_text(encoding="utf-8"))
    for text in (captured.get(), page.text):
        words = " ".join(text.split())
        assert "yes, p = 0.003" in words and "no, p = 1.000" in words and "a control itself" in words
        assert "88, 70, 61" in words and "66.0" in words and "nan" not in words
    assert max(map(len, captured.get().splitlines())) <= 100
    without = dataclasses.replace(comparisons["plain"], controls=pd.DataFrame())
    assert "a control itself" not in Page(write_report(without, tmp_path / "distance.html").read_text(encoding="utf-8")).text


# What a reader does, by hand: sort by score and back, filter, and ask for files.
CLICKS = """
<script>
const given = [];
URL.createObjectURL = (blob) => { given.push(blob); return "about:blank"; };
HTMLAnchorElement.prototype.click = function () { given.push(this.download); };
const table = document.querySelector(".finding table"), heads = [...table.tHead.rows[0].cells];
const column = (place) => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[place].textContent.trim());
const by = heads.findIndex((head) => head.textContent === "score"), said = { first: column(by) };
heads[0].firstChild.click(); said.names = column(0);
heads[by].firstChild.click(); said.falling = column(by); said.sort = heads[by].getAttribute("aria-sort");
heads[by].firstChild.click(); said.rising = column(by);
const box = document.querySelector('input[aria-label="Filter: All scores"]'), count = box.nextSibling;
box.value = "backprop conv_1"; box.dispatchEvent(new Event("input")); said.filtered = count.textContent;
document.querySelector('button[aria-label^="Download as CSV"]').click();
document.querySelector('button[aria-label="Download as CSV: All scores"]').click();
const layers = document.querySelector('[aria-label="Layers"] table'), last = layers.tHead.rows[0].cells.length - 1;
layers.tHead.rows[0].cells[last].firstChild.click();
said.parameters = [...layers.tBodies[0].rows].map((row) => row.cells[last].textContent.trim());
document.querySelector('button[aria-label^="Download as SVG"]').click();
Promise.all(given.filter((each) => each.text).map((each) => each.text())).then((files) => {
  said.files = files; said.names_of_files = given.filter((each) => typeof each === "string");
  const pre = document.createElement("pre"); pre.id = "said"; pre.textContent = JSON.stringify(said); document.body.append(pre);
});
</script>
</body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
def test_tables_sort_and_filter_and_are_given_away_with_the_figures(reports, tmp_path):
    text = reports["plain"].read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(text.replace("</body>", CLICKS), encoding="utf-8")
    finished = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        + ["--virtual-time-budget=5000", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = json.loads(html.unescape(re.search(r'<pre id="said">(.*?)</pre>', finished.stdout, re.DOTALL)[1]))
    scores = [float(each.replace("−", "-")) for each in said["first"]]
    assert said["sort"] == "descending" and said["names"] == sorted(said["names"]) and said["names"] != []
    for name, order in (("falling", sorted(scores, reverse=True)), ("rising", sorted(scores))):
        assert [float(each.replace("−", "-")) for each in said[name]] == order
    shown, of = map(int, said["filtered"].split(" of "))
    assert 0 < shown < of
    table, filtered, picture = said["files"]
    assert len(list(csv.reader(io.StringIO(filtered)))) == shown + 1
    parameters = [int(each.replace("\u202f", "")) for each in said["parameters"]]
    assert parameters == sorted(parameters, reverse=True) and max(parameters) > 9999
    rows = list(csv.reader(io.StringIO(table.lstrip("\ufeff"))))
    assert len({len(row) for row in rows}) == 1 and len(rows) == len(scores) + 1 and "score" in rows[0]
    assert [float(row[rows[0].index("score")]) for row in rows[1:]] == sorted(scores)
    assert picture.startswith("<svg") and "var(--" not in picture and ElementTree.fromstring(picture).tag.endswith("svg")
    assert [name.rpartition(".")[2] for name in said["names_of_files"]] == ["csv", "csv", "svg"]


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
