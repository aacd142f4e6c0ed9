"""What the README prints works: its Python runs, its commands are understood, its links lead somewhere."""

import re
from pathlib import Path

import pytest
import yaml

import rsa
from experiments import datasets
from experiments.cli import command
from learning_rules import FAMILIES, names

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.M | re.S)


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_runs_as_printed(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), given)  # noqa: S102
    if "comparison" in given:
        scores = given["scores"]
        assert len(scores) and {"rule", "seed", "layer", "region", "subject", "score", "lower", "ceiling_lower"} <= set(scores)
        assert set(scores["rule"]) == {"untrained", "backprop", "feedback_alignment"} and given["figure"].axes
    else:
        assert given["info"]


def test_commands_are_understood():
    lines = [line.partition("#")[0].split() for block in _blocks("text") for line in block.splitlines()]
    ours = [line[1:] for line in lines if line and line[0] == "bioplausible"]
    assert ours
    for name, *arguments in ours:
        options = command.commands[name].make_context(name, arguments).params
        assert set(options["rules"].split(",")) <= set(names()) and options["dataset"] in datasets.names()
    makes = {line[1] for line in lines if line and line[0] == "make"}
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert makes == {"demo", "test", "docs"} <= set(targets)


def test_links_lead_somewhere():
    targets = [each for each in re.findall(r"\]\(([^)]+)\)", TEXT) if not each.startswith("http")]
    assert len(targets) > 20
    for target in targets:
        assert (ROOT / target).is_file(), target


def test_what_is_counted_is_there():
    assert len(TEXT.splitlines()) < 150
    trained = {name: family for name, family in FAMILIES.items() if name not in ("untrained", "backprop")}
    assert len(trained) == 17 and f"{sum(len(family.variants) for family in trained.values())} variants" in TEXT
    assert all(f"`{name}`" in TEXT for name in FAMILIES)
    assert len(rsa.MEASURES) == 7 and len(rsa.COMPARATORS) == 6


def test_it_can_be_cited():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] in (ROOT / "pyproject.toml").read_text(encoding="utf-8") and citation["license"] == "MIT"
