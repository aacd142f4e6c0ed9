"""Command lines and files that are wrong in one place each: one sentence, status 2, and nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "fuzz" / "commands.py"


@pytest.mark.parametrize("n_cases", [330, pytest.param(0, marks=pytest.mark.thorough)])
def test_whatever_is_given_is_taken_or_refused_in_one_line(n_cases, tmp_path):
    finished = subprocess.run(
        [sys.executable, SCRIPT, str(n_cases)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1800
    )
    assert finished.returncode == 0, finished.stderr
    became = json.loads(finished.stdout.splitlines()[-1])
    assert len(became) == n_cases or (n_cases == 0 and len(became) > 1500)
    refused = {name: each for name, each in became.items() if each["status"] == 2}
    others = {name: each["status"] for name, each in became.items() if each["status"] not in (2, "accepted")}
    assert not others, others
    assert len(refused) > 0.9 * len(became)
    lines = {name: each["said"] for name, each in refused.items() if not _is_a_line(each["said"])}
    assert not lines, lines
    left = {name: each["left"] for name, each in refused.items() if each["left"]}
    assert not left, left


def _is_a_line(said):
    return said.startswith("bioplausible: ") and said.count("\n") == 1 and said.endswith("\n") and "Traceback" not in said
