import json

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments import datasets
from experiments.datasets.contract import training_normalisation


@pytest.fixture
def numbered(tmp_path):
    """A set whose training images number themselves in their first two pixels, and whose test images are all white."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 200, (240, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(240)
    path = tmp_path / "numbered.npz"
    labels = np.repeat([0, 1, 2], [140, 70, 30])
    np.savez(path, x_train=images, y_train=labels, x_test=np.full((9, 4, 4, 3), 255, np.uint8), y_test=np.arange(9) % 3)
    return path, images, labels


def test_splits_are_disjoint_stratified_and_never_from_test(numbered):
    path, images, labels = numbered
    loaded = datasets.load(path, validation_fraction=0.25, split_seed=4)
    train, validation = loaded.train.images[:, 0, 0, 0], loaded.validation.images[:, 0, 0, 0]
    assert sorted([*train, *validation]) == list(range(240))
    assert np.array_equal(loaded.validation.labels, labels[validation])
    assert np.array_equal(loaded.validation.images, images[validation])
    # 35, 17.5 and 7.5 are the exact shares; of equal remainders the first class is served first.
    assert np.bincount(loaded.validation.labels).tolist() == [35, 18, 7]
    assert loaded.test.images.min() == 255 and loaded.validation.images.max() < 255


def test_splits_repeat_by_seed(numbered):
    path, _, _ = numbered

    def validation(seed):
        return datasets.load(path, split_seed=seed).validation.images[:, 0, 0, 0].tolist()

    assert validation(3) == validation(3) != validation(4)


def test_subset_leaves_validation_and_test_whole(numbered):
    path, _, _ = numbered
    whole, small = datasets.load(path), datasets.load(path, n_train=24)
    assert np.array_equal(whole.validation.images, small.validation.images)
    assert np.array_equal(whole.test.images, small.test.images)
    assert np.bincount(small.train.labels).tolist() == [14, 7, 3]
    assert set(small.train.images[:, 0, 0, 0]) < set(whole.train.images[:, 0, 0, 0])


def test_normalisation_is_of_the_training_split_alone(numbered):
    path, _, _ = numbered
    loaded = datasets.load(path, n_train=60)
    pixels = loaded.train.images.astype(np.float64) / 255
    np.testing.assert_allclose(loaded.normalisation.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(loaded.normalisation.std, pixels.std((0, 1, 2)), rtol=1e-6)
    normalised = loaded.normalise(loaded.train.images)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std((0, 1, 2)), 1, atol=1e-5)
    everything = np.concatenate([loaded.train.images, loaded.validation.images])
    assert not np.allclose(loaded.normalisation.mean, everything.mean((0, 1, 2)) / 255, rtol=1e-6)


def test_normalisation_is_the_same_in_jax(numbered):
    import jax

    loaded = datasets.load(numbered[0])
    compiled = jax.jit(loaded.normalisation.apply)(loaded.test.images)
    np.testing.assert_allclose(compiled, loaded.normalise(loaded.test.images), rtol=1e-5)


def test_histogram_normalisation_is_exact_on_many_images():
    images = np.random.default_rng(0).integers(0, 256, (500, 9, 9, 2), np.uint8)
    normalisation = training_normalisation(images, "random")
    np.testing.assert_allclose(normalisation.mean, images.mean((0, 1, 2)) / 255, rtol=1e-7)
    np.testing.assert_allclose(normalisation.std, images.std((0, 1, 2)) / 255, rtol=1e-7)


def test_record_is_plain_and_says_how_to_get_the_same_images(numbered):
    path, _, _ = numbered
    loaded = datasets.load(path, n_train=60, split_seed=2)
    record = json.loads(json.dumps(loaded.to_record()))
    assert record["split"] == {
        "train": 60,
        "validation": 20,
        "test": 9,
        "validation_fraction": 1 / 12,
        "split_seed": 2,
        "n_train": 60,
        "excluded_indices": [],
    }
    assert record["source"] == [{"path": str(path), "sha256": loaded.source[0].sha256}]
    assert np.array_equal(np.float32(record["normalisation"]["std"]), loaded.normalisation.std)


def test_paths_and_options_that_cannot_be_used(tmp_path, monkeypatch):
    text = tmp_path / "notes.txt"
    text.write_text("x")
    with pytest.raises(InputError, match=r"notes\.txt is not an image set that can be read, where an \.npz of the Keras layout or"):
        datasets.load(text)
    for missing in (tmp_path / "absent", str(tmp_path / "absent"), "absent.npz"):
        with pytest.raises(InputError, match="absent.* does not exist, where an .npz"):
            datasets.load(missing)
    for fraction in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="where a fraction between 0 and 1 was expected"):
            datasets.load("digits", validation_fraction=fraction)
    with pytest.raises(InputError, match="split_seed=-1"):
        datasets.load("digits", split_seed=-1)
    with pytest.raises(InputError, match="n_train=5000 was given, where 10 .* to 1318"):
        datasets.load("digits", n_train=5000)
