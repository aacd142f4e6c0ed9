import jax
import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments import datasets
from experiments.datasets import Normalisation
from experiments.stimuli import evaluation_shape, luminance, present, transform_record

PLAIN_GREY = Normalisation(np.float32([0]), np.float32([1]))
PLAIN_COLOUR = Normalisation(np.zeros(3, np.float32), np.ones(3, np.float32))
COLOURED = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), np.uint8)


def test_digits_shown_to_a_network_of_their_size_are_unchanged_to_the_bit():
    digits = datasets.load("digits")
    stimuli = np.repeat(digits.test.images, 3, axis=-1)
    presented = present(stimuli, digits.input_shape, digits.normalisation)
    assert np.array_equal(presented, digits.normalise(digits.test.images))


def test_colours_of_the_right_size_are_unchanged_to_the_bit():
    normalisation = Normalisation(np.float32([0.5, 0.4, 0.3]), np.float32([0.2, 0.3, 0.4]))
    assert np.array_equal(present(COLOURED, (48, 48, 3), normalisation), normalisation.apply(COLOURED))


def test_fine_checkerboard_becomes_grey():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    presented = present(np.repeat(board[None, ..., None], 3, -1), (8, 8, 1), PLAIN_GREY)
    np.testing.assert_allclose(presented, 0.5, atol=0.01)
    assert board[::8, ::8].max() == 0, "without antialiasing the same board is black"


def test_resizing_equals_jax_with_antialiasing():
    for size in (16, 17, 31, 96):
        presented = present(COLOURED, (32, 32, 3), PLAIN_COLOUR, size)
        oracle = jax.image.resize(COLOURED / np.float32(255), (3, size, size, 3), "linear", antialias=True)
        np.testing.assert_allclose(presented, oracle, atol=2e-5)


def test_resizing_does_not_leave_the_range_of_pixels():
    edges = np.zeros((1, 40, 40, 3), np.uint8)
    edges[:, :, 20:] = 255
    for size in (13, 100):
        presented = present(edges, (32, 32, 3), PLAIN_COLOUR, size)
        assert presented.min() >= 0 and presented.max() <= 1


def test_luma_has_the_weights_of_rec_601():
    primaries = 255 * np.eye(3, dtype=np.uint8).reshape(1, 1, 3, 3)
    np.testing.assert_allclose(luminance(primaries).ravel() / 255, [0.299, 0.587, 0.114], rtol=1e-6)
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1), 3, -1)
    assert np.array_equal(luminance(levels).ravel(), np.arange(256))


def test_other_proportions_are_centred_on_the_training_mean():
    normalisation = Normalisation(np.float32([0.3]), np.float32([0.2]))
    wide = np.full((2, 20, 40, 3), 255, np.uint8)
    presented = present(wide, (16, 16, 1), normalisation)
    assert np.all(presented[:, :4] == 0) and np.all(presented[:, 12:] == 0)
    np.testing.assert_allclose(presented[:, 4:12], (1 - 0.3) / 0.2, rtol=1e-5)
    assert np.array_equal(present(wide.transpose(0, 2, 1, 3), (16, 16, 1), normalisation), presented.transpose(0, 2, 1, 3))
    odd = present(np.full((1, 30, 50, 3), 255, np.uint8), (10, 10, 1), normalisation)[0, :, :, 0]
    assert np.flatnonzero(odd.any(1)).tolist() == [2, 3, 4, 5, 6, 7]
    thin = present(np.full((1, 1, 500, 3), 255, np.uint8), (8, 8, 1), normalisation)
    assert np.count_nonzero(thin.any((0, 2, 3))) == 1


def test_field_of_the_stimulus_proportions_is_filled():
    presented = present(np.full((1, 175, 350, 3), 255, np.uint8), (33, 66, 1), PLAIN_GREY)
    np.testing.assert_allclose(presented, 1, rtol=1e-6)


def test_each_stimulus_is_presented_apart_from_its_neighbours():
    together = present(COLOURED, (32, 32, 1), PLAIN_GREY)
    alone = [present(COLOURED[index : index + 1], (32, 32, 1), PLAIN_GREY)[0] for index in range(3)]
    assert np.array_equal(together, np.stack(alone))


def test_size_is_an_option():
    assert present(COLOURED, (32, 32, 1), PLAIN_GREY).shape == (3, 32, 32, 1)
    assert present(COLOURED, (32, 32, 1), PLAIN_GREY, 64).shape == (3, 64, 64, 1)
    assert evaluation_shape((32, 24, 3), (64, 48)) == (64, 48, 3)
    assert transform_record((32, 24, 1), 48) == {
        "evaluation_size": [48, 48],
        "training_size": [32, 24],
        "colour": "luma, Rec. 601",
        "resize": "triangle filter with antialiasing (Pillow, bilinear)",
        "other_proportions": "centred on the training set's mean",
        "inverted": False,
    }


def test_mistakes_have_their_sentences():
    with pytest.raises(InputError, match="stimulus size of 0x0"):
        present(COLOURED, (32, 32, 1), PLAIN_GREY, 0)
    with pytest.raises(InputError, match="takes 2 channels, where 1 .luminance. or 3"):
        present(COLOURED, (32, 32, 2), PLAIN_GREY)
    with pytest.raises(InputError, match="normalisation has 3 channels and the network 1"):
        present(COLOURED, (32, 32, 1), PLAIN_COLOUR)
    with pytest.raises(InputError, match=r"stimuli of shape \(0, 48, 48, 3\)"):
        present(COLOURED[:0], (32, 32, 1), PLAIN_GREY)
