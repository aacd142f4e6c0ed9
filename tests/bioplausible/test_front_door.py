"""The five packages as `import bioplausible` hands them on, and what is said when one of them is not ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bioplausible
from bioplausible.foundation.errors import InputError
from bioplausible.packages import PACKAGES, check_package, check_packages

ROOT = Path(__file__).parents[2]
REPAIR = "pip install --force-reinstall --no-deps bioplausible"


def run(arguments, *places):
    """A fresh process with these places first on Python's path, in an empty folder of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    folder = places[0] / "empty"
    folder.mkdir(exist_ok=True)
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment, timeout=120)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_handed_on(name):
    assert getattr(bioplausible, name) is sys.modules[name]
    assert name in dir(bioplausible)


def test_they_are_imported_only_when_they_are_asked_for(tmp_path):
    program = f"import sys, bioplausible; print([name for name in {PACKAGES} if name in sys.modules], 'jax' in sys.modules)"
    program += "; import experiments; print('jax' in sys.modules)"
    assert run(["-c", program], tmp_path, ROOT).stdout.split() == ["[]", "False", "False"]


def test_there_is_nothing_else_behind_the_door():
    with pytest.raises(AttributeError, match="no attribute 'rules'"):
        bioplausible.rules  # noqa: B018


def test_ours_are_ours():
    check_packages()


@pytest.fixture(params=PACKAGES)
def overwritten(request, tmp_path):
    """Our front door beside five packages, one of which another distribution has written over."""
    shutil.copytree(ROOT / "bioplausible", tmp_path / "bioplausible", ignore=shutil.ignore_patterns("__pycache__"))
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / name / "__init__.py", tmp_path / name)
    content = b"from rsa.key import newkeys\n# \xe9 in Latin 1\nraise AssertionError('it was run')\n"
    (tmp_path / request.param / "__init__.py").write_bytes(content)
    return request.param, tmp_path


def test_the_command_names_a_package_written_over_and_does_not_run_it(overwritten):
    name, place = overwritten
    finished = run(["-m", "bioplausible", "list", "rules"], place)
    assert finished.returncode == 2 and finished.stdout == "" and finished.stderr.count("\n") == 1
    said = finished.stderr
    assert said.startswith(f"bioplausible: the package '{name}'") and str(place / name / "__init__.py") in said
    assert REPAIR in said and "environment of its own" in said and f"pip uninstall {name}" not in said


def test_so_does_the_front_door(overwritten):
    name, place = overwritten
    finished = run(
        ["-c", f"import bioplausible\ntry:\n    bioplausible.{name}\nexcept ValueError as error:\n    print(error)"], place
    )
    assert f"the package '{name}'" in finished.stdout and REPAIR in finished.stdout and finished.stderr == ""


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_stands_before_ours_is_told_from_one_written_over_it(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise AssertionError('it was run')\n")
    finished = run(["-m", "bioplausible", "list", "rules"], tmp_path, ROOT)
    assert finished.returncode == 2 and finished.stdout == "" and finished.stderr.count("\n") == 1
    assert str(tmp_path / name) in finished.stderr and "stands before ours" in finished.stderr and "pip" not in finished.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_said(name, monkeypatch):
    monkeypatch.setattr("bioplausible.packages.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"'{name}' of bioplausible is missing: {REPAIR}"):
        check_package(name)


def test_the_module_is_the_command(tmp_path):
    finished = run(["-m", "bioplausible", "train", "backprob", "--out", str(tmp_path / "run")], tmp_path, ROOT)
    assert finished.returncode == 2 and finished.stdout == ""
    assert finished.stderr.startswith("bioplausible: unknown learning rule 'backprob'") and finished.stderr.count("\n") == 1


def test_modules_of_lazy_packages_are_attributes_of_them(tmp_path):
    names = ("architectures.activations", "rsa.kendall", "neurodata.cache", "learning_rules.signals")
    printed = "".join(f"print({name}.__name__, hasattr({name.partition('.')[0]}, 'nosuch')); " for name in names)
    finished = run(["-c", f"import architectures, learning_rules, neurodata, rsa; {printed}"], tmp_path, ROOT)
    assert finished.stdout.split() == [word for name in names for word in (name, "False")]
