"""Answers that are kept beside a digest of the code that they were made from."""

import importlib
import sys

import pytest

from experiments.kept import kept


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on Python's path, whose source a test may change."""
    place = tmp_path / "source" / "kept_example"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("")
    (place / "rules.py").write_text("NAMES = ('one',)\n")
    monkeypatch.syspath_prepend(str(place.parent))
    importlib.invalidate_caches()
    yield place
    sys.modules.pop("kept_example", None)


def test_an_answer_is_made_once_until_the_code_changes(package, tmp_path):
    made = []

    def ask():
        return kept("names", lambda: made.append(1) or ("one", len(made)), ["kept_example"], tmp_path / "answers")

    assert ask() == ask() == ["one", 1]
    assert "kept_example" not in sys.modules
    (package / "rules.py").write_text("NAMES = ('one', 'two')\n")
    assert ask() == ask() == ["one", 2]
    (package / "more.py").write_text("")
    assert ask() == ["one", 3]


@pytest.mark.parametrize("spoiled", [b"", b"[]", b"{}", b"\xff\xfe", b'{"made_from": "", "answer": 0}'])
def test_what_cannot_be_read_is_made_again(spoiled, package, tmp_path):
    (tmp_path / "names.json").write_bytes(spoiled)
    assert kept("names", lambda: [1], ["kept_example"], tmp_path) == [1]
    assert kept("names", lambda: [2], ["kept_example"], tmp_path) == [1]


def test_where_nothing_can_be_kept_it_is_made_each_time(package, tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "in_it"
    answers = iter((1, 2))
    assert [kept("names", lambda: next(answers), ["kept_example"], folder) for _ in range(2)] == [1, 2]
