import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import whole_file, whole_folder, write_bytes, write_text

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _raise(*arguments, **keywords):
    raise NO_SPACE


def _write_half(path, content):
    with path.open("wb") as file:
        file.write(content[:3])
    raise NO_SPACE


def test_a_file_is_written_with_its_folders_and_replaced_whole(tmp_path):
    path = tmp_path / "a" / "b" / "text.txt"
    write_text(path, "größer\n")
    write_text(path, "klein")
    assert path.read_bytes() == b"klein"
    assert [each.name for each in path.parent.iterdir()] == ["text.txt"]


def test_a_file_and_a_folder_are_as_readable_as_any_other_that_this_user_makes(tmp_path):
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "other").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)
    with whole_folder(tmp_path / "our folder"):
        pass
    (tmp_path / "other folder").mkdir()
    assert (tmp_path / "our folder").stat().st_mode == (tmp_path / "other folder").stat().st_mode


@pytest.mark.parametrize(("owner", "function", "replacement"), [(Path, "write_bytes", _write_half), (os, "replace", _raise)])
def test_a_full_disk_leaves_the_old_file_whole_and_nothing_beside_it(owner, function, replacement, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_text(path, "the old results")
    monkeypatch.setattr(owner, function, replacement)
    with pytest.raises(InputError) as caught:
        write_text(path, "the new results, which are longer")
    monkeypatch.undo()
    assert "no disk space" in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_text() == "the old results"
    assert os.listdir(tmp_path) == ["results.json"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file_whole_and_nothing_beside_it(failure, tmp_path):
    path = tmp_path / "results.json"
    write_text(path, "the old results")
    with pytest.raises(failure), whole_file(path) as partial:
        assert partial.suffix == ".json" and partial.parent == tmp_path and not partial.exists()
        partial.write_text("half of the n")
        raise failure
    assert path.read_text() == "the old results"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_process_killed_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    write_text(path, "the old results")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom bioplausible.foundation.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half of the n')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert finished.returncode == -signal.SIGKILL
    assert path.read_text() == "the old results"
    # What is left is hidden, and in no later writer's way.
    assert all(name == "results.json" or name.startswith(".") for name in os.listdir(tmp_path))
    write_text(path, "the new results")
    assert path.read_text() == "the new results"


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "file" / "inside.txt", "")
    with pytest.raises(InputError, match="cannot be written"), whole_folder(tmp_path / "file" / "inside"):
        pass


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / name) as partial:
            (partial / "half").write_text("")
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["empty"] and not os.listdir(tmp_path / "empty")
    for name in ("new", "empty"):
        with whole_folder(tmp_path / name) as partial:
            (partial / "all").write_text("")
        assert os.listdir(tmp_path / name) == ["all"]
    for used in (tmp_path / "new", tmp_path / "new" / "all"):
        with pytest.raises(InputError, match="is there already and not an empty folder"), whole_folder(used):
            pass
    assert sorted(os.listdir(tmp_path)) == ["empty", "new"]
