import math
import sys

import pytest

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.resolve import is_reference, load_object, resolve

KNOWN = {"backprop": 1, "hebbian": 2}


@pytest.fixture(autouse=True)
def the_path_of_modules_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_known_name_is_its_object_and_a_bare_name_itself():
    assert resolve("hebbian", KNOWN, "learning rule") == 2
    assert resolve("hebbian", list(KNOWN), "learning rule") == "hebbian"


def test_a_module_s_and_a_file_s(tmp_path):
    (tmp_path / "mine.py").write_text("import dataclasses\n@dataclasses.dataclass\nclass Rule:\n    rate: 'float' = 2.0\n")
    assert resolve("math:sqrt", KNOWN, "learning rule") is math.sqrt
    found = resolve(f"{tmp_path}/mine.py:Rule", KNOWN, "learning rule")
    assert found().rate == 2.0
    # Asked for twice it is the same class, so that isinstance holds; once the file is changed, it is what stands there now.
    assert load_object(f"{tmp_path}/../{tmp_path.name}/mine.py:Rule", "rule") is found
    (tmp_path / "mine.py").write_text("Rule = 5\n")
    assert load_object(f"{tmp_path}/mine.py:Rule", "rule") == 5


def test_a_file_finds_what_lies_beside_it_and_ours_still_come_first(tmp_path):
    (tmp_path / "beside_it.py").write_text("value = 3\n")
    (tmp_path / "rsa.py").write_text("raise AssertionError('ours comes first')\n")
    (tmp_path / "mine.py").write_text("from beside_it import value\nimport rsa\n")
    assert load_object(f"{tmp_path}/mine.py:value", "rule") == 3


def test_a_module_in_the_folder_where_the_user_is(tmp_path, monkeypatch):
    (tmp_path / "module_of_the_user.py").write_text("value = 4\n")
    monkeypatch.chdir(tmp_path)
    assert load_object("module_of_the_user:value", "rule") == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backprob", ["unknown learning rule 'backprob'", "did you mean 'backprop'"]),
        ("{here}/mine.py", ["is a file", "mine.py:name"]),
        ("{here}/mime.py:Rule", ["no file", "mime.py", "there is mine.py"]),
        ("{here}/nowhere/mine.py:Rule", ["no file", "path.py:name"]),
        ("{here}/mine.py:Rul", ["unknown learning rule in", "did you mean 'Rule'"]),
        ("{here}/mine.py:", ["lacks a name", "path.py:name"]),
        (":Rule", ["lacks a module or file"]),
        ("{here}/broken.py:Rule", ["broken.py cannot be run", "ZeroDivisionError at line 2", "division by zero"]),
        ("{here}/exits.py:Rule", ["exits.py cannot be run", "SystemExit"]),
        ("{here}/syntax.py:Rule", ["syntax.py cannot be run", "SyntaxError", "line 1"]),
        ("{here}/imports.py:Rule", ["imports.py cannot be run", "ModuleNotFoundError", "no_such_module_of_anyone"]),
        ("no_such_module_of_anyone:Rule", ["no_such_module_of_anyone cannot be imported", "no such module", "path.py:name"]),
        ("math.nothing:Rule", ["math.nothing cannot be imported"]),
        ("math:sqr", ["unknown learning rule in math", "did you mean 'sqrt'"]),
    ],
)
def test_every_mistake_is_one_sentence(text, said, tmp_path):
    (tmp_path / "mine.py").write_text("from math import sqrt\nclass Rule:\n    pass\n")
    (tmp_path / "broken.py").write_text("a = 0\nb = 1 / a\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "syntax.py").write_text("def (:\n")
    (tmp_path / "imports.py").write_text("import no_such_module_of_anyone\n")
    given = text.format(here=tmp_path)
    with pytest.raises(InputError) as caught:
        resolve(given, KNOWN, "learning rule")
    message = str(caught.value)
    assert all(word in message for word in said), message
    assert "\n" not in message


def test_a_module_that_is_there_and_fails_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "module_that_needs_more.py").write_text("import no_such_module_of_anyone\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="No module named 'no_such_module_of_anyone'"):
        load_object("module_that_needs_more:Rule", "rule")


def test_names_and_references_are_told_apart():
    assert not is_reference("hebbian/oja") and is_reference("a.b:c") and is_reference("a.py:c")
