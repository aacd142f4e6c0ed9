import errno
import hashlib
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pooch
import pytest

from neurodata import InputError, cache, transfer

BODY = bytes(range(256)) * 4000  # several chunks


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refused(remote: cache.RemoteFile, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        cache.fetch(remote, folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_downloads_once(server, tmp_path):
    remote = server.remote("a.bin", BODY)
    path = cache.fetch(remote, tmp_path)
    assert path == tmp_path / "set" / "a.bin"
    assert path.read_bytes() == BODY
    assert cache.fetch(remote, tmp_path) == path
    assert server.requests == ["/a.bin"]
    assert leftovers(tmp_path) == ["a.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_any_accepted_checksum_is_right(server, tmp_path):
    other = server.remote("a.bin", BODY, sha256=("0" * 64, hashlib.sha256(BODY).hexdigest()))
    assert cache.fetch(other, tmp_path).read_bytes() == BODY


def test_addresses_are_tried_in_turn(server, tmp_path):
    remote = server.remote("a.bin", BODY, url=(f"{server.url}/gone.bin", f"{server.url}/a.bin"))
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY
    assert server.requests == ["/gone.bin", "/a.bin"]


def test_progress_ends_at_the_size(server, tmp_path):
    seen = []
    cache.fetch(server.remote("a.bin", BODY), tmp_path, lambda done, total, line: seen.append((done, total)))
    assert len(seen) > 2
    assert seen[-1] == (len(BODY), len(BODY))
    assert all(total == len(BODY) for _, total in seen)


def test_several_files_report_their_sum(server, tmp_path):
    bodies = {f"{index}.bin": BODY[index : 1000 + 7 * index] for index in range(20)}
    remotes = [server.remote(name, body) for name, body in bodies.items()]
    seen = []
    paths = cache.fetch_all(remotes, tmp_path, lambda done, total, line: seen.append((done, total)))
    assert [path.read_bytes() for path in paths] == list(bodies.values())
    total = sum(map(len, bodies.values()))
    assert max(seen) == (total, total)
    server.requests.clear()
    assert cache.fetch_all(remotes, tmp_path) == paths
    assert server.requests == []


def test_one_failure_among_several_is_reported(server, tmp_path):
    good, bad = server.remote("good.bin", BODY), server.remote("bad.bin", BODY, url=f"{server.url}/nothing")
    with pytest.raises(InputError, match="bad.bin could not be downloaded .*404"):
        cache.fetch_all([good, bad], tmp_path)
    # the other one was done by then, or stopped on its way, or before
    assert leftovers(tmp_path) in ([], ["good.bin"], [f".good.bin.{good.checksums[0][:12]}.part"])
    assert cache.fetch(good, tmp_path).read_bytes() == BODY


def test_wrong_checksum(server, tmp_path):
    message = refused(server.remote("a.bin", BODY, sha256="ab" * 32), tmp_path)
    assert "wrong checksum" in message and "abababababab" in message
    assert leftovers(tmp_path) == []


def test_broken_download_is_gone_on_with(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 1000)
    remote = server.remote("a.bin", BODY)
    server.truncated.add("/a.bin")
    server.knows_ranges = False
    message = refused(remote, tmp_path)
    assert "broke before the end" in message and "0.5 MB are kept and will be gone on with: try again later" in message
    (partial,) = leftovers(tmp_path)
    assert partial == f".a.bin.{remote.checksums[0][:12]}.part"
    kept = (tmp_path / "set" / partial).read_bytes()
    assert BODY.startswith(kept) and len(kept) > 500_000
    server.truncated.clear()
    server.knows_ranges = True
    seen = []
    assert cache.fetch(remote, tmp_path, lambda done, total, line: seen.append((done, total))).read_bytes() == BODY
    assert server.ranges == [f"bytes={len(kept)}-"]
    assert seen[0][0] > len(kept) and seen[-1] == (len(BODY), len(BODY))
    assert leftovers(tmp_path) == ["a.bin"]


def test_breaks_on_the_way_are_gone_over(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 1000)
    remote = server.remote("a.bin", BODY)
    server.truncated.add("/a.bin")  # each answer brings half of what is left, the last of them too little
    refused(remote, tmp_path)
    (partial,) = leftovers(tmp_path)
    kept = (tmp_path / "set" / partial).read_bytes()
    assert BODY.startswith(kept) and len(kept) > len(BODY) - 3000 and len(server.requests) > 8


def test_server_without_ranges_starts_again(server, tmp_path):
    remote = server.remote("a.bin", BODY)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / f".a.bin.{remote.checksums[0][:12]}.part").write_bytes(BODY[:1000])
    server.knows_ranges = False
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY
    assert leftovers(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("left", [b"something else", BODY + b"more", BODY], ids=["other bytes", "too many", "whole"])
def test_what_an_earlier_attempt_left_is_checked(server, tmp_path, left):
    remote = server.remote("a.bin", BODY)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / f".a.bin.{remote.checksums[0][:12]}.part").write_bytes(left)
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY
    assert leftovers(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((202, b""), "the server answered 202 Accepted instead of the file"),
        ((200, b"<html>Are you human?</html>"), "the server has 27 bytes, expected 1024000"),
        ((503, b"later"), "the server answered 503"),
    ],
)
def test_other_answers_cost_nothing(server, tmp_path, answer, message):
    remote = server.remote("a.bin", BODY)
    (tmp_path / "set").mkdir()
    partial = tmp_path / "set" / f".a.bin.{remote.checksums[0][:12]}.part"
    partial.write_bytes(BODY[:1000])
    server.answers["/a.bin"] = answer
    assert message in refused(remote, tmp_path)
    assert partial.read_bytes() == BODY[:1000]
    server.answers.clear()
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY and server.ranges[-1] == "bytes=1000-"


def test_redirections_keep_the_range(server, tmp_path):
    remote = server.remote("a.bin", BODY, url=f"{server.url}/elsewhere")
    server.answers["/elsewhere"] = (302, f"{server.url}/a.bin".encode())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / f".a.bin.{remote.checksums[0][:12]}.part").write_bytes(BODY[:1000])
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY and server.ranges == ["bytes=1000-"]


def test_interruption_stops_all_downloads(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 1000)
    remotes = [server.remote(f"{index}.bin", BODY) for index in range(20)]

    def interrupt(done: int, _: int, line: str) -> None:
        if done > len(BODY) // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch_all(remotes, tmp_path, interrupt)
    assert all(name.endswith(".part") for name in leftovers(tmp_path)) and len(server.requests) < 20
    assert all(path.read_bytes() == BODY for path in cache.fetch_all(remotes, tmp_path))


def test_another_version_starts_anew(server, tmp_path):
    old = server.remote("a.bin", BODY)
    server.truncated.add("/a.bin")
    refused(old, tmp_path)
    server.truncated.clear()
    server.ranges.clear()
    assert cache.fetch(server.remote("a.bin", BODY[::-1]), tmp_path).read_bytes() == BODY[::-1]
    assert server.ranges == []


def test_md5_where_nothing_better_is_stated(server, tmp_path):
    remote = server.remote("a.bin", BODY, sha256=hashlib.md5(BODY).hexdigest(), algorithm="md5")
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY
    assert "wrong checksum (md5" in refused(server.remote("b.bin", BODY, sha256="ab" * 16, algorithm="md5"), tmp_path)


def test_two_at_once_download_once(server, tmp_path):
    remote = server.remote("a.bin", BODY)
    waiting = threading.Barrier(2)

    def fetch(_: int) -> bytes:
        waiting.wait()
        return cache.fetch(remote, tmp_path).read_bytes()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fetch, range(2))) == [BODY, BODY]
    assert server.requests == ["/a.bin"] and leftovers(tmp_path) == ["a.bin"]


def test_not_found(server, tmp_path):
    message = refused(server.remote("a.bin", BODY, url=f"{server.url}/gone"), tmp_path)
    assert "404" in message and str(tmp_path / "set" / "a.bin") in message
    assert leftovers(tmp_path) == []


def test_no_network(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        message = refused(cache.RemoteFile("a.bin", f"http://127.0.0.1:{port}/a.bin", "0" * 64, 10), tmp_path)
    assert "no connection to the server, or it broke" in message
    assert leftovers(tmp_path) == []


def test_corrupted_file_is_replaced(server, tmp_path):
    remote = server.remote("a.bin", BODY)
    path = cache.fetch(remote, tmp_path)
    path.write_bytes(BODY[:-1])
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY


def test_corrupted_file_stays_when_nothing_better_comes(server, tmp_path):
    remote = server.remote("a.bin", BODY, url=f"{server.url}/gone")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.bin").write_bytes(b"half")
    refused(remote, tmp_path)
    assert (tmp_path / "set" / "a.bin").read_bytes() == b"half"


def test_filled_folder_may_be_read_only(server, tmp_path, monkeypatch):
    remotes = [server.remote("a.bin", BODY), server.remote("b.bin", BODY[1:])]
    paths = cache.fetch_all(remotes, tmp_path)

    def deny(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", deny)
    assert cache.fetch_all(remotes, tmp_path) == paths
    message = refused(server.remote("c.bin", BODY[2:]), tmp_path)
    assert "cannot be written (Read-only file system)" in message and "BIOPLAUSIBLE_DATA" in message


def test_unwritable_folder(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = refused(server.remote("a.bin", BODY), tmp_path / "file" / "below")
    assert "cannot be written" in message
    assert server.requests == []


def test_disk_too_small(server, tmp_path, monkeypatch):
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10_000, 9_000, 1_000))
    message = refused(server.remote("a.bin", BODY), tmp_path)
    assert message.startswith("no disk space left for set/a.bin") and "1.0 MB is needed" in message
    assert server.requests == [] and leftovers(tmp_path) == []


def test_disk_full_on_the_way(server, tmp_path, monkeypatch):
    def fill(_: str, partial: Path, *__: object) -> None:
        partial.write_bytes(BODY[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(cache, "resume", fill)
        message = refused(server.remote("a.bin", BODY), tmp_path)
    assert message.startswith("no disk space left") and "what came is kept" in message
    (partial,) = leftovers(tmp_path)
    assert partial.endswith(".part")
    assert cache.fetch(server.remote("a.bin", BODY), tmp_path).read_bytes() == BODY and server.ranges == ["bytes=9-"]


def test_interruption_is_gone_on_with(server, tmp_path):
    def interrupt(done: int, _: int, line: str) -> None:
        if done > len(BODY) // 2:
            raise KeyboardInterrupt

    remote = server.remote("a.bin", BODY)
    with pytest.raises(KeyboardInterrupt):
        cache.fetch(remote, tmp_path, interrupt)
    assert leftovers(tmp_path) == [f".a.bin.{remote.checksums[0][:12]}.part"]
    assert cache.fetch(remote, tmp_path).read_bytes() == BODY and len(server.ranges) == 1


def test_verified_file_is_read_once(server, tmp_path, monkeypatch):
    remote = server.remote("a.bin", BODY)
    path = cache.fetch(remote, tmp_path)
    hashed = []
    honest = pooch.file_hash
    monkeypatch.setattr(pooch, "file_hash", lambda name, alg: hashed.append(name) or honest(name, alg=alg))
    for _ in range(3):
        cache.fetch(remote, tmp_path)
    assert hashed == [str(path)]


def test_environment_moves_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    assert cache.data_path() == tmp_path
    monkeypatch.delenv("BIOPLAUSIBLE_DATA")
    assert cache.data_path() == Path(pooch.os_cache("bioplausible"))


def test_is_cached_looks_at_the_size(server, tmp_path):
    remote = server.remote("a.bin", BODY)
    assert not cache.is_cached(remote, tmp_path)
    path = cache.fetch(remote, tmp_path)
    assert cache.is_cached(remote, tmp_path)
    path.write_bytes(BODY[:-1])
    assert not cache.is_cached(remote, tmp_path)
