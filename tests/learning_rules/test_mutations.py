"""The table of mutations stays in step with the rules; trying them all takes long and is `make mutate`."""

import importlib.util
from pathlib import Path

import pytest

import learning_rules

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("mutations_run", ROOT / "tests" / "mutations" / "run.py")
run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)


@pytest.mark.parametrize("entry", run.entries(), ids=lambda entry: f"{entry['rule']}: {entry['mutation']}")
def test_a_mutation_finds_its_line_exactly_once(entry):
    text = (ROOT / entry["file"]).read_text(encoding="utf-8")
    for before, after in run.edits(entry):
        assert text.count(before) == 1 and before != after


def test_every_family_is_tried():
    tried = {entry["rule"].partition("/")[0] for entry in run.entries()}
    assert set(learning_rules.names()) <= tried
