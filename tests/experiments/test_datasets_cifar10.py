import io
import os
import pickle
import struct
import tarfile
import warnings

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments.datasets import cifar10


def python2_string(value: bytes) -> bytes:
    return b"T" + struct.pack("<I", len(value)) + value


def python2_batch(rows: np.ndarray, labels: list[int], type_code: bytes = b"u1") -> bytes:
    """A batch as Python 2 pickles it with protocol 2, opcode by opcode."""
    shape = b"M" + struct.pack("<H", rows.shape[0]) + b"M" + struct.pack("<H", rows.shape[1]) + b"\x86"
    dtype = b"cnumpy\ndtype\n" + python2_string(type_code) + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + python2_string(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + python2_string(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + python2_string(rows.tobytes()) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = python2_string(b"data") + array + python2_string(b"labels") + numbers
    return b"\x80\x02}(" + items + python2_string(b"batch_label") + python2_string(b"batch 1 of 5") + b"u."


def write_archive(path, batches: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in batches.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def batches():
    generator = np.random.default_rng(0)
    names = [f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)] + ["cifar-10-batches-py/test_batch"]
    return {
        name: python2_batch(generator.integers(0, 256, (300, 3072), np.uint8), (np.arange(300) % 10).tolist()) for name in names
    }


def test_python2_batch_equals_what_pickle_itself_reads():
    rows = np.random.default_rng(1).integers(0, 256, (7, 3072), np.uint8)
    content = python2_batch(rows, [3, 1, 4, 1, 5, 9, 2])
    # NumPy deprecates the way in which these old pickles state alignment.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = pickle.loads(content, encoding="bytes")
    images, labels = cifar10.read_batch(content, "batch")
    assert np.array_equal(images, oracle[b"data"].reshape(7, 3, 32, 32).transpose(0, 2, 3, 1))
    assert np.array_equal(images[2, 5, 6], rows[2, [5 * 32 + 6, 1024 + 5 * 32 + 6, 2048 + 5 * 32 + 6]])
    assert labels.tolist() == [3, 1, 4, 1, 5, 9, 2]


class Command:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(6))
def test_malicious_pickle_is_refused_and_not_run(tmp_path, protocol):
    proof = tmp_path / "was_run"
    content = pickle.dumps([1, Command(f"touch {proof}")], protocol=protocol)
    with pytest.raises(InputError, match=r"^data_batch_1 cannot be read \(it asks for (posix|nt).system\)"):
        cifar10.read_batch(content, "data_batch_1")
    assert not proof.exists()
    pickle.loads(content)
    assert proof.exists(), "the pickle that was refused must be one that does harm"


@pytest.mark.parametrize("name", ["builtins\neval", "numpy\nload", "numpy.core.multiarray\nfrombuffer", "numpy\nndarray.tofile"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="it asks for"):
        cifar10.read_batch(b"\x80\x02c" + name.encode() + b"\n.", "batch")


def test_damaged_batches_are_refused():
    rows = np.zeros((3, 3072), np.uint8)
    for content in (
        b"",
        python2_batch(rows, [1, 2, 3])[:-3000],
        python2_batch(rows, [1, 2]),
        python2_batch(rows, [1, 2, 10]),
        python2_batch(rows[:, :-1], [1, 2, 3]),
        python2_batch(rows, [1, 2, 3], type_code=b"O8"),
        pickle.dumps([1, 2]),
    ):
        with pytest.raises(InputError, match=r"^batch cannot be read \(.*\), where a CIFAR-10 batch of plain arrays was expected"):
            cifar10.read_batch(content, "batch")


def test_decoded_copy_is_kept_beside_and_used_again(tmp_path, monkeypatch, batches):
    folder = tmp_path / "cifar10"
    folder.mkdir()
    archive = folder / "cifar-10-python.tar.gz"
    write_archive(archive, batches)
    fetched = []
    monkeypatch.setattr(cifar10, "data_path", lambda: tmp_path)
    monkeypatch.setattr(cifar10, "fetch", lambda remote: fetched.append(remote.path) or archive)
    first = cifar10.read()
    assert first.train.images.shape == (1500, 32, 32, 3) and first.test.images.shape == (300, 32, 32, 3)
    assert sorted(path.name for path in folder.iterdir()) == ["cifar-10-decoded.npz", "cifar-10-python.tar.gz"]
    second = cifar10.read()
    assert fetched == ["cifar10/cifar-10-python.tar.gz"]
    assert np.array_equal(first.train.images, second.train.images) and np.array_equal(first.test.labels, second.test.labels)
    decoded = folder / "cifar-10-decoded.npz"
    decoded.write_bytes(decoded.read_bytes()[:-1000])
    assert np.array_equal(cifar10.read().train.images, first.train.images)
    assert len(fetched) == 2
    assert cifar10.read_decoded(decoded, "of another archive") is None


def test_copy_that_cannot_be_written_is_gone_without(tmp_path):
    cifar10.write_decoded(tmp_path / "absent" / "decoded.npz", {}, "0")
    assert list(tmp_path.iterdir()) == []


def test_damaged_archives_are_refused(tmp_path, batches):
    path = tmp_path / "archive.tar.gz"
    write_archive(path, {name: content for name, content in batches.items() if "batch_3" not in name})
    with pytest.raises(InputError, match="archive.tar.gz has no cifar-10-batches-py/data_batch_3"):
        cifar10.read_archive(path)
    write_archive(path, batches)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(InputError, match="archive.tar.gz cannot be unpacked"):
        cifar10.read_archive(path)
    path.write_text("not an archive")
    with pytest.raises(InputError, match="archive.tar.gz cannot be unpacked"):
        cifar10.read_archive(path)
