"""Cards of many rules: what was asked once is kept until all are there. What a card says is not asked here."""

import pytest

from experiments import comparing
from experiments import scorecards as under_test
from experiments.compare_config import CompareConfig
from experiments.scorecards import UNFINISHED, scorecards
from experiments.store import Store
from learning_rules import plausibility

ASKED = {"criteria": ("update unlocking",)}


@pytest.fixture
def asked(monkeypatch):
    """Which rules have been asked; in the place of the scorecard, which takes seconds."""
    rules = []

    def answer(rule, *_, **__):
        rules.append(rule)
        return {"update unlocking": plausibility.Entry("meets", 0.5, f"question {len(rules)}")}

    monkeypatch.setattr(plausibility, "scorecard", answer)
    return rules


def test_an_interrupted_scorecard_goes_on_with_the_cards_that_are_there(tmp_path, asked):
    first = scorecards(("untrained",), keep=tmp_path, **ASKED)
    seen = []
    both = scorecards(("untrained", "backprop"), keep=tmp_path, progress=lambda *told: seen.append(told), **ASKED)
    assert asked == ["untrained", "backprop"] and list(both) == asked and both["untrained"] == first["untrained"]
    assert [told[:2] for told in seen] == [(1, 2), (2, 2)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_card_that_is_damaged_is_made_again(tmp_path, asked):
    for content in ("{", "[1]", ""):
        scorecards(("untrained",), keep=tmp_path, **ASKED)
        (kept,) = tmp_path.iterdir()
        kept.write_text(content)
    assert scorecards(("untrained",), keep=tmp_path, **ASKED)["untrained"]["update unlocking"]["evidence"] == "question 4"
    assert len(asked) == 4


def test_a_comparison_with_a_store_asks_once(tmp_path, asked):
    rules = ["untrained", "backprop"]
    config = CompareConfig.of(rules=("untrained", "backprop"), architecture="mlp")
    first = comparing._cards(rules, config, Store(tmp_path))
    assert comparing._cards(rules, config, Store(tmp_path)) == first and len(asked) == 2
    comparing._cards(rules, config, None)
    assert len(asked) == 4


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"criteria": ("single phase",)}, {"architecture": "cnn"}, {"rule_options": {"untrained": {"a": 1}}}]
)
def test_what_is_asked_otherwise_is_asked_anew(other, tmp_path, asked):
    for given in (ASKED, {**ASKED, **other}):
        scorecards(("untrained",), keep=tmp_path, **given)
    assert len(asked) == 2


def test_other_code_and_another_file_of_the_users_ask_anew(tmp_path, asked, monkeypatch):
    path = tmp_path / "rules.py"
    source = "import learning_rules\n\ndef mine(network):\n    return learning_rules.build('backprop', network)\n"
    for text in (source, source, source + "# changed\n"):
        path.write_text(text)
        scorecards((f"{path}:mine",), keep=tmp_path / "cards", **ASKED)
    assert len(asked) == 2
    monkeypatch.setattr(under_test, "describe_code", lambda: "changed")
    scorecards((f"{path}:mine",), keep=tmp_path / "cards", **ASKED)
    assert len(asked) == 3


def test_the_command_goes_on_and_tidies_up(tmp_path, asked, run_json):
    scorecards(("untrained",), criteria=list(ASKED["criteria"]), keep=tmp_path / UNFINISHED)
    arguments = ("scorecard", "untrained", "backprop", "--criteria", "update unlocking", "--workers", "1")
    cards = run_json(*arguments, "--out", tmp_path)
    assert {rule: card["update unlocking"]["evidence"] for rule, card in cards.items()} == {
        "untrained": "question 1",
        "backprop": "question 2",
    }
    assert {each.name for each in tmp_path.iterdir()} == {"scorecard.json", "scorecard.html"}
