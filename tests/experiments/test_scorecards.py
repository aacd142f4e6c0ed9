"""Cards of many rules: what was asked once is kept until all are there."""

import json

import pytest

from experiments import scorecards as under_test
from experiments.scorecards import UNFINISHED, scorecards
from learning_rules import plausibility

CRITERIA = ("update unlocking",)


def no_more(*_, **__):
    raise AssertionError("asked again")


def test_an_interrupted_scorecard_goes_on_with_the_cards_that_are_there(tmp_path, monkeypatch):
    first = scorecards(("untrained",), criteria=CRITERIA, keep=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(plausibility, "scorecard", no_more)
    seen = []
    again = scorecards(("untrained",), criteria=CRITERIA, keep=tmp_path, progress=lambda *told: seen.append(told))
    assert again == first and seen[0][:2] == (1, 1)


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"criteria": ("single phase",)}, {"architecture": "cnn"}, {"rule_options": {"untrained": {"a": 1}}}]
)
def test_what_is_asked_otherwise_is_asked_anew(other, tmp_path, monkeypatch):
    asked = {"criteria": CRITERIA, "keep": tmp_path}
    scorecards(("untrained",), **asked)
    monkeypatch.setattr(plausibility, "scorecard", no_more)
    with pytest.raises(AssertionError, match="asked again"):
        scorecards(("untrained",), **{**asked, **other})


def test_other_code_asks_anew(tmp_path, monkeypatch):
    scorecards(("untrained",), criteria=CRITERIA, keep=tmp_path)
    monkeypatch.setattr(plausibility, "scorecard", no_more)
    monkeypatch.setattr(under_test, "describe_code", lambda: "changed")
    with pytest.raises(AssertionError, match="asked again"):
        scorecards(("untrained",), criteria=CRITERIA, keep=tmp_path)


def test_the_command_goes_on_and_tidies_up(tmp_path, run_json):
    arguments = ("scorecard", "untrained", "--criteria", "update unlocking", "--workers", "1")
    unfinished = tmp_path / UNFINISHED
    kept = scorecards(("untrained",), criteria=list(CRITERIA), keep=unfinished)
    (file,) = unfinished.iterdir()
    marked = json.loads(file.read_text())
    marked["update unlocking"]["evidence"] = "kept from before"
    file.write_text(json.dumps(marked))
    cards = run_json(*arguments, "--out", tmp_path)
    assert cards["untrained"]["update unlocking"]["evidence"] == "kept from before"
    assert kept["untrained"]["update unlocking"]["verdict"] == cards["untrained"]["update unlocking"]["verdict"]
    assert {each.name for each in tmp_path.iterdir()} == {"scorecard.json", "scorecard.html"}
