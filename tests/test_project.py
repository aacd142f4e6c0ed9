"""What the project promises about itself: import contracts, one distribution, no word of a machine."""

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bioplausible", "architectures", "learning_rules", "neurodata", "rsa", "experiments")


def project_files():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\0")
    if not names[0]:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_imports_point_one_way():
    result = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_command_and_the_packages_are_installed():
    distribution = metadata.distribution("bioplausible")
    commands = [entry.name for entry in distribution.entry_points if entry.group == "console_scripts"]
    assert commands == ["bioplausible"]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["packages"]) == set(PACKAGES)


def test_no_file_names_a_package_registry_or_holds_data():
    hosts = [part + ".org" for part in ("pypi", "pythonhosted", "registry.npmjs")]
    for path in project_files():
        # What is known of all trainings of a study is a result of ours, and its tables are made of it.
        kept = path.name in ("study.parquet", "brain.parquet") and path.is_relative_to(ROOT / "docs" / "results")
        assert path.stat().st_size < (4_000_000 if kept else 1_000_000), path
        assert kept or path.suffix not in {".npz", ".mat", ".gz", ".fif", ".nii", ".h5", ".jpg", ".parquet"}, path
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not any(host in text for host in hosts), path


def test_no_rule_asks_what_kind_of_layer_it_has():
    for path in (ROOT / "learning_rules").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("Conv(", "Linear(", "takes_any_size", "convolutional_block", "dense_block"):
            assert word not in text, f"{path.name} names {word}"


def test_no_global_random_state():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for call in ("np.random.seed", "np.random.rand", "np.random.normal", "np.random.choice", "np.random.permutation"):
                assert call not in text, f"{path}: {call}"


def test_tests_that_share_what_they_train_go_to_one_worker(request):
    """A version of pytest or pytest-xdist that loses the groups says nothing, and the suite takes twice as long."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("not run by several workers with --dist loadgroup")
    assert request.node.nodeid.endswith("@tests/test_project.py")
