import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from bioplausible.foundation.errors import InputError
from experiments.engine import Engine, Failure, run_all


def half(n):
    return n / 2


def refused():
    raise InputError("no such thing: give another")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def slow():
    time.sleep(1)
    return "done"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_is_named_and_stops_no_other(workers):
    jobs = {"a": partial(half, 1), "refused": refused, "wrong": partial(half, "one"), "b": partial(half, 2)}
    found = dict(run_all(jobs, workers))
    assert found.pop("refused") == Failure("no such thing: give another")
    wrong = found.pop("wrong")
    assert wrong.reason.startswith("TypeError: unsupported operand") and "in half" in wrong.details
    assert found == {"a": 0.5, "b": 1.0}


def test_who_is_killed_is_named_and_the_rest_goes_on():
    jobs = {"beside it": slow, "killed": killed, **{str(n): partial(half, n) for n in range(8)}}
    found = dict(run_all(jobs, 2))
    assert "killed" in found.pop("killed").reason and found.pop("beside it") == "done"
    assert found == {str(n): n / 2 for n in range(8)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "slurm"}, "unknown engine 'slurm'"),
        ({"workers": 0}, "workers=0 was given"),
        ({"address": "here:1"}, "with the engine local: add --engine dask"),
        ({"name": "dask", "address": "here:1", "workers": 2}, "a cluster has its own"),
        ({"name": "dask", "address": "here"}, "expected HOST:PORT"),
        ({"name": "dask", "address": "a b:8786"}, "expected HOST:PORT"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(fields, said):
    with pytest.raises(InputError, match=said):
        Engine(**fields)


def test_where_no_scheduler_answers_it_is_said(monkeypatch):
    pytest.importorskip("distributed")
    from experiments import cluster

    monkeypatch.setattr(cluster, "_ANSWERS_WITHIN", 0.5)
    with pytest.raises(InputError, match="no dask scheduler answers at 127.0.0.1:1 "):
        list(Engine("dask", address="127.0.0.1:1").run({"a": slow}))


def test_where_dask_is_not_installed_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'bioplausible\[dask\]'"):
        list(Engine("dask").run({"a": slow}))


def test_a_cluster_does_jobs_and_says_what_fails(cluster_in_threads):
    jobs = {"a": partial(half, 1), "refused": refused, "wrong": partial(half, "one"), "b": partial(half, 2)}
    found = dict(Engine("dask", address=cluster_in_threads).run(jobs))
    assert found.pop("refused") == Failure("no such thing: give another")
    assert found.pop("wrong").reason.startswith("TypeError: unsupported operand")
    assert found == {"a": 0.5, "b": 1.0}


def test_workers_of_a_cluster_work_where_the_command_was_given(cluster_in_threads, tmp_path, monkeypatch):
    from experiments import cluster

    elsewhere, gone = tmp_path / "elsewhere", tmp_path / "gone"
    elsewhere.mkdir()
    gone.mkdir()
    job = cluster._tried_within
    monkeypatch.chdir(tmp_path)
    assert job(str(elsewhere), "a", os.getcwd) == ("a", str(elsewhere))
    monkeypatch.chdir(tmp_path)
    assert dict(Engine("dask", address=cluster_in_threads).run({"a": os.getcwd})) == {"a": str(tmp_path)}
    gone.rmdir()
    assert "workers need to see its folders at the same places" in job(str(gone), "a", os.getcwd)[1].reason


WORKER = """
import os, pathlib, sys, time
from experiments.engine import run_all

def wait(folder):
    pathlib.Path(folder, str(os.getpid())).write_text("")
    time.sleep(600)

if __name__ == "__main__":
    from functools import partial
    list(run_all({str(n): partial(wait, sys.argv[1]) for n in range(int(sys.argv[2]))}, 2))
"""


@pytest.mark.parametrize("n_jobs", [2, 1])
def test_nobody_stays_behind_when_the_command_is_killed(tmp_path, n_jobs):
    """Nor who had nothing to do yet."""
    psutil = pytest.importorskip("psutil")
    started = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), str(n_jobs)])
    for _ in range(600):
        if len(list(tmp_path.iterdir())) == n_jobs:
            break
        time.sleep(0.1)
    workers = [each.pid for each in psutil.Process(started.pid).children(recursive=True)]
    assert len(workers) >= 2
    started.kill()
    started.wait()
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{worker}") for worker in workers):
            return
        time.sleep(0.1)
    pytest.fail("processes are still there")
