"""Every image set is a file, a line in the registry and a row here; each row states what its source is known to hold."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments import datasets
from experiments.datasets import registry
from experiments.datasets.known_files import CIFAR10_CLASSES

# Modules that are no image set.
INFRASTRUCTURE = {"__init__", "checks", "contract", "known_files", "loading", "pictures", "registry", "splits"}


class Row(NamedTuple):
    n_train: int
    n_test: int
    shape: tuple[int, int, int]
    first_training_labels: list[int]
    test_counts: list[int]
    source_mean: tuple[float, ...]


# Class counts and means are those that the sets' own papers, pages and common use state (MNIST 0.1307, Fashion-MNIST 0.2860,
# CIFAR-10 0.4914, 0.4822, 0.4465), of all training images. The digits' split is ours; its row pins it from release to release.
NAMED = {
    "digits": Row(1438, 359, (8, 8, 1), [0, 2, 5, 7, 8], [36, 36, 35, 37, 36, 36, 36, 36, 35, 36], (0.3050,)),
    "fashion_mnist": Row(60000, 10000, (28, 28, 1), [9, 0, 0, 3, 0], [1000] * 10, (0.2860,)),
    "mnist": Row(60000, 10000, (28, 28, 1), [5, 0, 4, 1, 9], [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], (0.1307,)),
    # Of the file itself: that of all of CIFAR-10 is 0.002 away at most.
    "cifar10_jpeg": Row(10000, 2000, (32, 32, 3), [3, 8, 1, 0, 4], [200] * 10, (0.4934, 0.4831, 0.4471)),
    # Ours again: 50 clips of each digit and speaker, or 5 of them by the authors' split; as many trials of either answer.
    "fsdd": Row(2700, 300, (64, 32, 1), [0] * 5, [30] * 10, (0.2259,)),
    "fsdd_george": Row(2500, 500, (64, 32, 1), [0] * 5, [50] * 10, (0.2223,)),
    "fsdd_jackson": Row(2500, 500, (64, 32, 1), [0] * 5, [50] * 10, (0.2188,)),
    "fsdd_lucas": Row(2500, 500, (64, 32, 1), [0] * 5, [50] * 10, (0.2266,)),
    "fsdd_nicolas": Row(2500, 500, (64, 32, 1), [0] * 5, [50] * 10, (0.2259,)),
    "fsdd_theo": Row(2500, 500, (64, 32, 1), [0] * 5, [50] * 10, (0.2256,)),
    "fsdd_yweweler": Row(2500, 500, (64, 32, 1), [0] * 5, [50] * 10, (0.2325,)),
    "delayed_match_10": Row(4000, 1000, (14, 8, 1), [1, 0, 1, 0, 1], [500, 500], (0.2870,)),
    "delayed_match_40": Row(4000, 1000, (44, 8, 1), [1, 1, 1, 1, 0], [500, 500], (0.2624,)),
    "delayed_match_160": Row(4000, 1000, (164, 8, 1), [0, 1, 1, 1, 0], [500, 500], (0.2540,)),
    "evidence": Row(4000, 1000, (60, 2, 1), [1, 1, 1, 1, 1], [500, 500], (0.3266,)),
    "cifar10": Row(50000, 10000, (32, 32, 3), [6, 9, 9, 4, 1], [1000] * 10, (0.4914, 0.4822, 0.4465)),
}
FORMATS = {"keras_npz": ".npz", "class_folders": "folder"}


def test_file_registry_and_table_name_the_same_sets():
    folder = Path(registry.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - INFRASTRUCTURE
    # A file that holds several sets, of one kind, names them all.
    several = {
        module: getattr(registry, module).NAMED_SETS for module in modules if hasattr(getattr(registry, module), "NAMED_SETS")
    }
    named = (modules - set(several)) | {name for of_module in several.values() for name in of_module}
    assert named == set(registry.NAMED_SETS) | set(registry.FILE_FORMATS)
    assert named == set(NAMED) | set(FORMATS)
    assert datasets.names() == tuple(registry.NAMED_SETS)


@pytest.mark.parametrize("name", NAMED)
def test_description_states_the_facts(name):
    facts = datasets.describe(name)
    row = NAMED[name]
    assert set(facts) == {"name", "n_train", "n_test", "shape", "n_classes", "citation", "licence", "size_bytes", "cached"}
    assert (facts["name"], facts["n_train"], facts["n_test"], facts["shape"]) == (name, row.n_train, row.n_test, row.shape)
    assert facts["n_classes"] == len(row.test_counts)
    assert facts["citation"] and facts["licence"] and facts["size_bytes"] > 0


@pytest.mark.parametrize("name", NAMED)
def test_named_set_holds_what_its_row_says(name):
    if not datasets.describe(name)["cached"]:
        pytest.skip(f"{name} is not on this machine")
    row = NAMED[name]
    source = registry.NAMED_SETS[name].read()
    assert source.train.images.shape == (row.n_train, *row.shape)
    assert source.test.images.shape == (row.n_test, *row.shape)
    assert source.train.images.dtype == source.test.images.dtype == np.uint8
    assert source.train.labels.dtype == source.test.labels.dtype == np.int32
    assert np.bincount(source.test.labels).tolist() == row.test_counts
    assert source.train.labels[:5].tolist() == row.first_training_labels
    np.testing.assert_allclose(source.train.images.mean((0, 1, 2)) / 255, row.source_mean, atol=1e-4)
    assert all(len(file.sha256) == 64 for file in source.source)
    images = datasets.load(name)
    assert images.input_shape == row.shape and images.n_classes == len(row.test_counts)
    assert len(images.train.labels) + len(images.validation.labels) == row.n_train
    normalised = images.normalise(images.train.images[:2000])
    assert normalised.dtype == np.float32
    assert abs(float(normalised.mean())) < 0.1


def test_fetching_what_is_there_gives_its_files():
    assert datasets.fetch("digits") == ()
    if not datasets.describe("mnist")["cached"]:
        pytest.skip("mnist/mnist.npz is not on this machine")
    assert [path.name for path in datasets.fetch("mnist")] == ["mnist.npz"]


def test_sets_that_are_absent_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    assert [datasets.describe(name)["cached"] for name in ("digits", "mnist", "cifar10")] == [True, False, False]
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "mnist.npz").touch()
    assert datasets.describe("mnist")["cached"]


def test_the_lossy_set_says_so_everywhere_and_cannot_be_taken_for_another(tmp_path, monkeypatch):
    facts = datasets.describe("cifar10_jpeg")
    assert "lossy JPEG" in facts["licence"] and facts["name"] != "cifar10"
    if facts["cached"]:
        images = datasets.load("cifar10_jpeg")
        assert "lossy JPEG" in images.to_record()["notes"] and images.class_names == CIFAR10_CLASSES
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    with pytest.raises(InputError, match="no address to be downloaded from, and it is not there: put the file with the sha256 18f"):
        datasets.load("cifar10_jpeg")
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar10_jpeg_10k.npz").write_bytes(b"another")
    with pytest.raises(InputError, match="another file is there"):
        datasets.fetch("cifar10_jpeg")


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown image set 'fashion_mnits': did you mean 'fashion_mnist'\?.*path of an \.npz"):
        datasets.load("fashion_mnits")
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        datasets.describe("cifar")
    with pytest.raises(InputError, match="did you mean 'mnist'"):
        datasets.fetch("mnits")
