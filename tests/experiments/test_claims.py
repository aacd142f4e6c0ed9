"""A claim is one process's, ends with it, and expires where a file system has no locks."""

import errno
import os
import signal
import subprocess
import sys
import time

import filelock._unix
import pytest

from bioplausible.foundation.errors import InputError
from experiments import claims
from experiments.claims import claim

HOLDER = """
import sys, time
from pathlib import Path

import filelock._unix

from experiments import claims

if sys.argv[2] == "no locks":
    def refuse(fd):
        raise OSError(int(sys.argv[3]), "no locks here")

    filelock._unix.lock_fd_nonblocking = refuse
    claims.EXPIRES = 0.6
with claims.claim(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


def held(place, *how):
    """A process that holds a claim."""
    started = subprocess.Popen([sys.executable, "-c", HOLDER, str(place), *how], stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "True\n"
    return started


def is_mine(place, **how):
    with claim(place, **how) as mine:
        return mine


def test_a_claim_is_one_process_s_and_ends_with_it(tmp_path):
    place, told = tmp_path / "locks" / "cell.lock", []
    with claim(place) as mine:
        assert mine and not is_mine(place) and not is_mine(place, wait=0.1, told=lambda: told.append(1))
    assert told == [1] and not place.exists() and is_mine(place)
    holder = held(place, "locks")
    assert not is_mine(place)
    holder.kill()
    holder.wait()
    assert is_mine(place) and not place.exists()
    with pytest.raises(ZeroDivisionError), claim(place):
        raise ZeroDivisionError
    assert is_mine(place)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_where_there_are_no_locks_a_claim_lives_as_long_as_its_holder_gives_signs_of_life(tmp_path, monkeypatch, number):
    def refuse(fd):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(filelock._unix, "lock_fd_nonblocking", refuse)
    monkeypatch.setattr(claims, "EXPIRES", 0.6)
    place = tmp_path / "cell.lock"
    holder = held(place, "no locks", str(number))
    for _ in range(3):
        time.sleep(0.4)
        assert not is_mine(place)  # it is older than it may be without a sign, and has given some
    os.kill(holder.pid, signal.SIGSTOP)
    time.sleep(0.8)
    assert is_mine(place)
    holder.kill()
    holder.wait()
    assert is_mine(place) and not [each for each in tmp_path.iterdir() if each.name != place.name]


def test_what_cannot_be_claimed_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), claim(tmp_path / "file" / "cell.lock"):
        pass
