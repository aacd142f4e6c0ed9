"""The page of a study: its answer, pictures and tables, whole, offline, and nothing of a stranger's folder executed."""

import re
import shutil
from pathlib import Path

import pytest

from bioplausible.foundation.errors import InputError
from experiments.report.study_page import is_study, study_html, write_study_report

BRAIN = Path(__file__).parents[2] / "docs" / "results" / "brain"
STRANGE = """# A <b>study</b> & <script>alert(1)</script>

<img src=x onerror=alert(1)>

[go](javascript:alert(1)) and [f](runs.csv)

![one](other.svg)

![two](../secret.svg)

![three](https://example.org/a.svg)

| <i>a</i> | b |
|---|---|
| 1 | 2 |
"""


def _without_script(whole):
    """The page before its script, of which there is one."""
    assert whole.count("<script") == 1
    return whole[: whole.index("<script")]


def test_the_study_that_is_kept_is_a_page_that_holds_all_it_shows(tmp_path, run):
    folder = tmp_path / "brain"
    shutil.copytree(BRAIN, folder)
    status, printed, err = run("report", folder)
    assert (status, err) == (0, "") and printed.strip().endswith("report.html")
    whole = (folder / "report.html").read_text(encoding="utf-8")
    assert whole == study_html(BRAIN)  # the same bytes, wherever the folder lies
    page = _without_script(whole)
    texts = "".join((BRAIN / name).read_text(encoding="utf-8") for name in ("README.md", "doubt.md"))
    n_tables = len(re.findall(r"(?m)^\|(?: ?-+:? ?\|)+$", texts))
    n_pictures = page.count("data:image/svg+xml;base64,")
    assert n_tables > 5 and page.count("<table") == n_tables
    assert n_pictures == texts.count("](brain.svg)") + texts.count("](conclusions.svg)")
    names = re.findall(r'role="region" aria-label="([^"]+)"', page)
    assert len(set(names)) == len(names) == n_tables + n_pictures
    links = re.findall(r'href="#([^"]+)"', page)
    assert links and set(links) <= set(re.findall(r'id="([^"]+)"', page))
    assert not re.findall(r'(?:src|href)="(?!data:|#|https://)', page) and page.count("<h1") == 1


def test_what_a_stranger_wrote_stays_text(tmp_path):
    (tmp_path / "brain.parquet").touch()
    (tmp_path / "other.svg").write_text("<svg/>")
    (tmp_path.parent / "secret.svg").write_text("<svg>secret</svg>")
    (tmp_path / "README.md").write_text(STRANGE, encoding="utf-8")
    assert is_study(tmp_path)
    page = _without_script(write_study_report(tmp_path).read_text(encoding="utf-8"))
    assert not re.findall(r"<(?:b|i|img src=x)[ >]", page) and page.count("data:image/svg+xml;base64") == 1
    assert 'href="javascript' not in page and "runs.csv" not in page and "example.org" not in page


def test_a_study_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "brain.parquet").touch()
    (tmp_path / "README.md").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match="README.md cannot be read .it is no text.*--tables-only"):
        study_html(tmp_path)
