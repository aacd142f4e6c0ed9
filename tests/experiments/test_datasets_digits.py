import numpy as np
import pytest
from sklearn.datasets import load_digits

from bioplausible.foundation.errors import InputError
from experiments import datasets
from experiments.datasets import digits


def test_bytes_keep_all_seventeen_levels():
    counts = load_digits().images
    pixels = digits.to_bytes(counts)
    assert len(np.unique(pixels)) == 17 and pixels.min() == 0 and pixels.max() == 255
    assert np.array_equal(np.round(pixels / (255 / 16)), counts)


def test_every_digit_is_in_exactly_one_split():
    images = datasets.load("digits")
    splits = (images.train, images.validation, images.test)
    together = np.concatenate([split.images for split in splits]).reshape(1797, -1)
    source = digits.to_bytes(load_digits().data)
    # All 1,797 images of the source differ, so that rows can be told apart.
    assert len(np.unique(source, axis=0)) == 1797
    assert np.array_equal(np.unique(together, axis=0), np.unique(source, axis=0))


def test_test_split_is_fixed_while_validation_follows_its_seed():
    first, second = datasets.load("digits", split_seed=0), datasets.load("digits", split_seed=1, validation_fraction=0.3)
    assert np.array_equal(first.test.images, second.test.images)
    assert not np.array_equal(first.validation.images[:50], second.validation.images[:50])


def test_excluded_images_are_in_no_split_and_others_stay():
    excluded = list(range(100, 192))
    source = digits.to_bytes(load_digits().data)
    images = datasets.load("digits", exclude_indices=np.array(excluded))
    everywhere = {row.tobytes() for split in (images.train, images.validation, images.test) for row in split.images.reshape(-1, 64)}
    assert len(everywhere) == 1797 - 92
    assert not everywhere & {source[index].tobytes() for index in excluded}
    whole_test = {row.tobytes() for row in datasets.load("digits").test.images.reshape(-1, 64)}
    assert {row.tobytes() for row in images.test.images.reshape(-1, 64)} < whole_test
    assert images.to_record()["split"]["excluded_indices"] == excluded
    assert "92 images that serve as stimuli" in images.notes


def test_indices_beyond_the_images_are_refused():
    for bad in (-1, 1797):
        with pytest.raises(InputError, match=f"exclude_indices holds {bad}, where indices of 0 to 1796"):
            datasets.load("digits", exclude_indices=[3, bad])
    zeros = np.flatnonzero(load_digits().target == 0)
    with pytest.raises(InputError, match="a class has no training or no test image"):
        datasets.load("digits", exclude_indices=zeros.tolist())
    with pytest.raises(InputError, match="understood for 'digits' alone"):
        datasets.load("mnist", exclude_indices=[1])
