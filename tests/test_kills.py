"""A short form of `tests/kills/run.py`: one kill of the command in a study of three trainings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "kills" / "run.py"
pytest.importorskip("psutil")


def killed(scenario, kills, cells, out):
    command = [sys.executable, SCRIPT, scenario, "--kills", str(kills), "--cells", str(cells), "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text())[scenario]


@pytest.mark.thorough
def test_a_study_that_was_killed_ends_in_the_same_tables_and_trains_nothing_twice(tmp_path):
    counts = killed("local1", 1, 3, tmp_path / "counts.json")
    assert counts["kills"] == 1 and 3 * counts["studies"] <= counts["trainings begun"] <= 3 * counts["studies"] + 1
    assert not any(counts[name] for name in ("finished ones begun again", "processes left", "files left", "tables that differ"))


@pytest.mark.thorough
@pytest.mark.parametrize("scenario", ["local2", "dask"])
def test_so_do_workers_and_a_cluster(scenario, tmp_path):
    killed(scenario, 4, 6, tmp_path / "counts.json")
