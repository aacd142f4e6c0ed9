"""What the command imports before it has to: seconds of whoever waits for a line of help, or for a slip of the pen to be named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.catalogue import architecture_rows, comparator_rows, front_end_rows, measure_rows, rule_rows

ROOT = Path(__file__).parents[2]
# A part of each that nothing imports but its whole; names alone may stand for what is loaded on first use.
HEAVY = ("jax.numpy", "flax.nnx", "optax", "scipy.stats", "pandas.core", "sklearn.utils", "numba.core", "matplotlib.figure")
BRAINS = ("nilearn.image", "mne.io", "mne_bids.read", "rsatoolbox.rdm", "nibabel.loadsave")

PROGRAM = """
import json, sys
from experiments.cli import main
for line in json.loads(sys.argv[1]):
    try:
        main(line)
    except SystemExit:
        pass
sys.stdout.flush()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(place, *lines):
    """What a fresh process has imported for some commands, with a cache of its own, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BIOPLAUSIBLE_CACHE": str(place / "cache"), "JAX_PLATFORMS": "cpu"}
    given = json.dumps([line.split() for line in lines])
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, given], capture_output=True, text=True, cwd=place, env=environment, timeout=120
    )
    return set(json.loads(finished.stderr.splitlines()[-1])), finished.stdout, finished.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder whose cache holds what has been asked for once."""
    return tmp_path_factory.mktemp("startup")


def test_help_needs_no_library(place):
    commands = ("compare", "train", "list", "searchlight", "scorecard", "sweep", "report", "export", "benchmark rsa", "data fetch")
    modules, told, _ = imported(place, "--help", *(f"{each} -h" for each in commands))
    assert told.count("Usage:") == 1 + len(commands) and not modules & {*HEAVY, *BRAINS, "numpy"}


def test_rules_are_asked_of_their_code_once_and_without_what_reads_brains(place):
    asked, told, _ = imported(place, "list rules")
    assert "jax.numpy" in asked and not asked & {*BRAINS, "sklearn.utils", "numba.core", "matplotlib.figure"}
    kept, again, _ = imported(place, "list rules")
    assert again == told and "feedback_alignment/sign" in told and not kept & {*HEAVY, *BRAINS, "numpy"}


def test_what_is_no_question_of_networks_needs_no_jax(place):
    modules, told, _ = imported(place, "list recordings", "list datasets", "list recording-keys", "data list")
    assert "haxby2001" in told and "fashion_mnist" in told and "high_pass" in told and not modules & {*HEAVY, *BRAINS}


def test_a_misspelt_name_is_refused_before_anything_is_imported_that_would_use_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOPLAUSIBLE_CACHE", str(tmp_path / "cache"))
    for rows in (rule_rows, architecture_rows, front_end_rows, measure_rows, comparator_rows):
        assert rows()  # what the processes below find there
    options = ("rules", "recording", "dataset", "measure", "comparator", "architecture", "front-end")
    lines = [*(f"compare --{each} nosuch" for each in options), "train nosuch", "scorecard nosuch"]
    lines += ["benchmark rules --rules nosuch", "benchmark angles --rules nosuch", "data describe nosuch", "data fetch nosuch"]
    fields = {"rule": "rule: [backprop, nosuch]", "architecture": "{rule: backprop, architecture: nosuch}"}
    fields |= {name: f"{{rule: all, {name}: [nosuch]}}" for name in ("dataset", "front_end")}
    for name, block in fields.items():
        (tmp_path / f"{name}.yaml").write_text(f"runs: [{block if block[0] == '{' else '{' + block + '}'}]")
    (tmp_path / "study.yaml").write_text("runs: [{rule: backprop}]\ncompare: {recordings: [cichy92, nosuch]}")
    lines += [f"sweep {name}.yaml" for name in (*fields, "study")]
    modules, told, said = imported(tmp_path, *lines, "train backprop --set learning_rat=1", "train backprop --set network.hiden=1")
    assert told == "" and not modules & {*HEAVY, *BRAINS}
    assert said.count("bioplausible: unknown ") == len(lines) + 2 and said.count("'nosuch'") == len(lines)


@pytest.mark.parametrize(
    ("package", "name", "heavy"),
    [
        ("rsa", "condition_count", ("numba.core", "scipy.stats", "sklearn.utils", "rsatoolbox.rdm")),
        ("neurodata", "names", (*BRAINS, *HEAVY)),
        ("learning_rules", "InputError", ("jax.numpy",)),
        ("architectures", "InputError", ("jax.numpy",)),
        ("experiments", "CompareConfig", (*BRAINS, *HEAVY)),
    ],
)
def test_a_package_imports_what_is_asked_of_it(package, name, heavy, place):
    program = f"import sys, {package}; {package}.{name}; print(*[each for each in {heavy} if each in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert (finished.returncode, finished.stdout) == (0, "\n"), finished.stderr


@pytest.mark.parametrize("package", ["rsa", "neurodata", "learning_rules", "architectures", "experiments", "experiments.report"])
def test_every_public_name_is_there_and_completed(package):
    module = __import__(package, fromlist=["__all__"])
    assert len(module.__all__) > 5 and dir(module) == sorted(module.__all__)
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018
