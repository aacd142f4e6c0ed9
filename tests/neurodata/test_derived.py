import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neurodata.derived import default_folder, derived


def count_and_double(values: np.ndarray, log: str) -> np.ndarray:
    with open(log, "a") as file:
        file.write("x")
    return 2 * values


def calls(log: Path) -> int:
    return len(log.read_text()) if log.exists() else 0


def test_the_same_content_is_computed_once(tmp_path):
    log = tmp_path / "log"
    double = derived(count_and_double, tmp_path / "cache", ignore=["log"])
    for _ in range(2):
        np.testing.assert_array_equal(double(np.arange(5), str(log)), 2 * np.arange(5))
    again = derived(count_and_double, tmp_path / "cache", ignore=["log"])
    again(np.arange(5), "elsewhere")  # how to compute it does not count
    assert calls(log) == 1
    again(np.arange(6), str(log))
    assert calls(log) == 2


def test_another_source_is_another_function(tmp_path):
    results = []
    for version in ("one", "two"):
        path = tmp_path / version / "module.py"
        path.parent.mkdir()
        path.write_text(f"def answer(number):\n    return '{version}', number\n")
        spec = importlib.util.spec_from_file_location("module", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        results.append(derived(module.answer, tmp_path / "cache")(1))
    assert results == [("one", 1), ("two", 1)]


@pytest.mark.parametrize("content", [b"", b"broken", pickle.dumps(1)[:-1]])
def test_a_broken_entry_is_computed_again(tmp_path, content):
    log = tmp_path / "log"
    double = derived(count_and_double, tmp_path / "cache", ignore=["log"])
    double(np.arange(5), str(log))
    (entry,) = (tmp_path / "cache").rglob("*.joblib")
    entry.write_bytes(content)
    np.testing.assert_array_equal(double(np.arange(5), str(log)), 2 * np.arange(5))
    assert calls(log) == 2
    double(np.arange(5), str(log))
    assert calls(log) == 2


def test_a_folder_that_cannot_be_written_only_warns(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match="cannot be written .* name another folder"):
        result = derived(count_and_double, tmp_path / "file" / "cache")(np.arange(3), str(tmp_path / "log"))
    np.testing.assert_array_equal(result, [0, 2, 4])


def test_results_are_never_among_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BIOPLAUSIBLE_CACHE", str(tmp_path / "kept"))
    derived(count_and_double, ignore=["log"])(np.arange(3), str(tmp_path / "log"))
    assert list((tmp_path / "kept" / "derived").rglob("*.joblib")) and not (tmp_path / "data").exists()
    monkeypatch.delenv("BIOPLAUSIBLE_CACHE")
    assert tmp_path not in default_folder().parents and default_folder().name == "derived"


def test_files_that_were_opened_decide(tmp_path):
    data, log = tmp_path / "study", tmp_path / "log"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "sidecar.txt").write_text("1")
    (data / "unread.txt").write_text("1")

    def read(log: str) -> str:
        with open(log, "a") as file:
            file.write("x")
        return (data / "deep" / "sidecar.txt").read_text()

    remembered = derived(read, tmp_path / "cache", ignore=["log"], files_under=data)
    assert [remembered(str(log)), remembered(str(log))] == ["1", "1"] and calls(log) == 1
    (data / "unread.txt").write_text("2")
    assert remembered(str(log)) == "1" and calls(log) == 1
    (data / "deep" / "sidecar.txt").write_text("20")
    assert remembered(str(log)) == "20" and calls(log) == 2
    (data / "deep" / "sidecar.txt").write_text("1")
    assert remembered(str(log)) == "1"  # what was known before is known again


PROCESS = """
import sys
import numpy as np
from neurodata.derived import default_folder, derived
import numpy.linalg as linalg
for seed in range(10):
    values = np.random.default_rng(seed).standard_normal((60, 60))
    assert np.allclose(derived(linalg.pinv, sys.argv[1])(values) @ values, np.eye(60))
"""


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neurodata.derived.joblib.dump", full)
    with pytest.warns(UserWarning, match="No space left"):
        derived(count_and_double, tmp_path / "cache")(np.arange(3), str(tmp_path / "log"))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_several_processes_share_a_folder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        assert process.wait() == 0, process.stderr.read().decode()
        process.stderr.close()
    assert len(list((tmp_path / "cache").rglob("*.joblib"))) == 10
