import gzip
import shutil

import pytest

from bioplausible.foundation.errors import InputError
from experiments.datasets import fashion_mnist

needs_package = pytest.mark.skipif(
    not fashion_mnist.DEBIAN_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)


def test_idx_header_must_be_that_of_the_shape():
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert fashion_mnist.parse_idx(content, (2, 3), "images").tolist() == [[1, 2, 3], [4, 5, 6]]
    for damaged in (content[:-1], content + b"\0", b"\0\0\x0d" + content[3:], content[:7] + b"\3" + content[8:], b""):
        with pytest.raises(InputError, match=r"^images starts with .* where an IDX file of unsigned bytes of shape \(2, 3\)"):
            fashion_mnist.parse_idx(damaged, (2, 3), "images")


def test_truncated_gzip_is_refused(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(bytes(10_000))[:-12])
    with pytest.raises(InputError, match="images.gz cannot be decompressed"):
        fashion_mnist.decompress(path)


@needs_package
def test_changed_pixel_is_found_by_checksum(tmp_path, monkeypatch):
    for file in fashion_mnist.DEBIAN_FOLDER.glob("*.gz"):
        shutil.copy(file, tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(labels.read_bytes()))
    content[-1] ^= 1
    labels.write_bytes(gzip.compress(bytes(content)))
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path)
    with pytest.raises(InputError, match="train-labels-idx1-ubyte.gz: the decompressed content has sha256 .* was expected"):
        fashion_mnist.read()


def test_without_the_package_the_cache_is_asked_by_checksum(tmp_path, monkeypatch):
    asked = []

    def fetch(remote):
        asked.append(remote)
        path = tmp_path / "empty.gz"
        path.write_bytes(gzip.compress(b""))
        return path

    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "absent")
    monkeypatch.setattr(fashion_mnist, "fetch", fetch)
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    assert len(fashion_mnist.remote_files()) == 4 and not fashion_mnist.NAMED_SET.is_cached()
    with pytest.raises(InputError, match="empty.gz starts with"):
        fashion_mnist.read()
    assert asked[0].path == "fashion_mnist/train-images-idx3-ubyte.gz"
    assert asked[0].url.startswith("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/")
    assert asked[0].checksums == ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",)
