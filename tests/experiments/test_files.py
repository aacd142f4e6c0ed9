import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments.files import no_empty_folder, prepare_folder, write_arrays, write_bytes, write_text

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _FullDisk:
    """A file that takes the first bytes and has no room for the rest."""

    def __init__(self, handle, *arguments):
        self.handle = handle

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        os.close(self.handle)

    def write(self, content):
        os.write(self.handle, content[:3])
        raise NO_SPACE


def _raise(*arguments, **keywords):
    raise NO_SPACE


def test_a_file_is_written_with_its_folders_and_replaced_whole(tmp_path):
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "größer\n")
    write_text(path, "klein")
    assert path.read_bytes() == b"klein"
    assert [each.name for each in path.parent.iterdir()] == ["text.txt"]


def test_a_file_is_readable_as_any_other_that_this_user_makes(tmp_path):
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "other").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_arrays_come_back(tmp_path):
    arrays = {"layer|backprop|conv_0": np.arange(5.0), "region|V1 (left)/dorsal": np.eye(2), "names": np.array(["a", "ü"])}
    write_arrays(tmp_path / "arrays.npz", arrays)
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as stored:
        assert set(stored.files) == set(arrays)
        assert all(np.array_equal(stored[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize(("function", "replacement"), [("fdopen", _FullDisk), ("replace", _raise)])
def test_a_full_disk_leaves_the_old_file_whole_and_nothing_beside_it(function, replacement, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_text(path, "the old results")
    monkeypatch.setattr(os, function, replacement)
    with pytest.raises(InputError) as caught:
        write_text(path, "the new results, which are longer")
    monkeypatch.undo()
    assert "no disk space" in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_text() == "the old results"
    assert os.listdir(tmp_path) == ["results.json"]


def test_an_interrupted_write_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_text(path, "the old results")

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "the old results"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "inside.txt", "")


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


def test_a_run_that_succeeds_keeps_its_folder_even_if_empty(tmp_path):
    with no_empty_folder(tmp_path / "kept"):
        prepare_folder(tmp_path / "kept")
    with no_empty_folder(None):
        pass
    assert (tmp_path / "kept").is_dir()
