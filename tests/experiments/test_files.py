import errno
import os
from pathlib import Path

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from experiments.files import no_empty_folder, prepare_folder, write_arrays

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_training_that_was_interrupted_is_told_how_it_goes_on(tmp_path):
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(InputError, match="was interrupted: go on with it by `train --out .* --resume`"):
        prepare_folder(tmp_path)


def test_arrays_come_back(tmp_path):
    arrays = {"layer|backprop|conv_0": np.arange(5.0), "region|V1 (left)/dorsal": np.eye(2), "names": np.array(["a", "ü"])}
    write_arrays(tmp_path / "arrays.npz", arrays)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as stored:
        assert set(stored.files) == set(arrays)
        assert all(np.array_equal(stored[name], arrays[name]) for name in arrays)


def test_arrays_that_find_no_room_leave_the_old_ones(tmp_path, monkeypatch):
    path = tmp_path / "arrays.npz"
    write_arrays(path, {"old": np.ones(2)})

    def full(*arguments):
        raise NO_SPACE

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"no disk space left to write .*arrays\.npz"):
        write_arrays(path, {"new": np.ones(2)})
    assert os.listdir(tmp_path) == ["arrays.npz"] and np.load(path).files == ["old"]


def test_a_new_or_empty_folder_is_prepared_and_stays_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "new" / "nested", tmp_path / "empty"):
        assert prepare_folder(path) == path
        assert path.is_dir() and not any(path.iterdir())


def test_a_used_folder_a_file_and_an_unwritable_place_are_refused(tmp_path, monkeypatch):
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"used holds files already: give a folder that is new or empty"):
        prepare_folder(used)
    with pytest.raises(InputError, match=r"mine\.txt is a file"):
        prepare_folder(used / "mine.txt")
    with pytest.raises(InputError, match="cannot be written"):
        prepare_folder(used / "mine.txt" / "inside")
    with pytest.raises(InputError, match=r"cannot be written \(File name too long\)"):
        prepare_folder(tmp_path / ("long" * 100))
    assert (used / "mine.txt").read_text() == "mine"

    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("experiments.files.tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"locked cannot be written \(Permission denied\)"):
        prepare_folder(tmp_path / "locked")


@pytest.mark.parametrize("failure", [InputError("a mistake"), KeyboardInterrupt()])
def test_a_failed_run_takes_its_empty_folder_away_and_no_other(failure, tmp_path):
    (tmp_path / "the users own").mkdir()

    def run(path: Path, content: str | None) -> None:
        with no_empty_folder(path):
            prepare_folder(path)
            if content is not None:
                write_text(path / "results.txt", content)
            raise failure

    for name, content in (("new", None), ("the users own", None), ("written", "results")):
        with pytest.raises(type(failure)):
            run(tmp_path / name, content)
    assert sorted(os.listdir(tmp_path)) == ["the users own", "written"]
    # Nor those that hold it, where it could not be made itself.
    for inside in ("deeper", "a" * 300):
        with pytest.raises((type(failure), OSError, InputError)):
            run(tmp_path / "new" / "still" / inside, None)
    assert sorted(os.listdir(tmp_path)) == ["the users own", "written"]


def test_a_run_that_succeeds_keeps_its_folder_even_if_empty(tmp_path):
    with no_empty_folder(tmp_path / "kept"):
        prepare_folder(tmp_path / "kept")
    with no_empty_folder(None):
        pass
    assert (tmp_path / "kept").is_dir()
