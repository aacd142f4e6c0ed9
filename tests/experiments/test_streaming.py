"""Streamed images end in the same weights, to the bit, and what goes wrong on the way is said where it belongs."""

import dataclasses
import shutil
import threading
import time

import jax
import numpy as np
import pytest
from PIL import Image

from bioplausible.foundation.errors import InputError
from experiments import datasets, environment, feeding, streaming
from experiments.config import TrainConfig
from experiments.datasets import Pictures
from experiments.preparing import prepare
from experiments.streaming import ahead
from experiments.training import complete, fit, train

N_A_CLASS = 130
CNN = {"channels": (4,), "hidden": (6,)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of coloured pictures, one of them grey in its file, in PNG and JPEG."""
    place = tmp_path_factory.mktemp("photographs") / "birds"
    generator = np.random.default_rng(0)
    for shade, name in ((90, "jay"), (150, "wren")):
        (place / name).mkdir(parents=True)
        for number in range(N_A_CLASS):
            pixels = np.clip(generator.normal(shade, 50, (8, 6, 3)), 0, 255).astype(np.uint8)
            path = place / name / f"{number:03d}.{'jpg' if number % 5 else 'png'}"
            (Image.fromarray(pixels[..., 0]) if number == 7 else Image.fromarray(pixels)).save(path)
    return place


def same_bits(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": "feedback_alignment/kolen_pollack", "front_end": "on_off", "n_seeds": 2},
        {
            "rule": "perturbation",
            "front_end": "zca",
            "architecture": "cnn",
            "architecture_options": {"channels": (4,), "hidden": (6,)},
            "batch_size": 23,
        },
    ],
    ids=["dense, two seeds, filters in front", "convolutional, whitening in front, a rule that draws noise"],
)
@pytest.mark.costly
def test_weights_and_tables_are_the_same_to_the_bit(folder, fields, monkeypatch):
    given = {"epochs": 2, "batch_size": 16, "architecture_options": {"hidden": (7,)}, **fields}
    config = TrainConfig(dataset=str(folder), **given)
    whole = train(config, stream="never")
    # eleven steps as three chunks of four, four and three; eight as two of four
    monkeypatch.setattr(feeding, "steps_at_once", lambda n_steps, _: 4)
    monkeypatch.setattr(feeding, "EVALUATION_CHUNK", 20)
    # what chooses and tests is fetched after every epoch, or held
    monkeypatch.setattr(feeding, "is_streamed", lambda *_: config.n_seeds == 2)
    setup = prepare(config, stream="always")
    assert setup.streamed and isinstance(setup.images.train.images, Pictures)
    assert len(setup.images.train.labels) // given["batch_size"] == (11 if config.n_seeds == 2 else 8)
    streamed = complete(setup)
    assert streamed.digest == whole.digest  # what a store finds them by
    same_bits(streamed.state, whole.state)
    same_bits(streamed.best, whole.best)
    assert streamed.accuracy.equals(whole.accuracy)
    assert streamed.networks.equals(whole.networks)
    assert not np.array_equal(*(jax.tree.leaves(each.params)[0] for each in (whole.state, whole.start)))


def test_images_in_memory_are_streamed_too_where_the_device_has_no_room(monkeypatch):
    config = TrainConfig(dataset="digits", n_train=100, batch_size=32, architecture_options={"hidden": (5,)})
    n_numbers = (100 + 120 + 359) * 64
    monkeypatch.setattr(streaming, "memory_for_arrays", lambda: 16 * n_numbers - 1)
    setup = prepare(config)
    assert setup.streamed and isinstance(setup.images.train.images, np.ndarray)
    monkeypatch.setattr(streaming, "memory_for_arrays", lambda: 16 * n_numbers)
    assert not prepare(config).streamed
    monkeypatch.setattr(streaming, "memory_for_arrays", lambda: None)  # a device that does not say
    assert not prepare(config).streamed


def test_pictures_are_the_array_that_they_would_be(folder):
    read = datasets.load(str(folder))
    lazy = datasets.load(str(folder), in_files=lambda n_numbers: n_numbers == 260 * 8 * 6 * 3)
    for split in ("train", "validation", "test"):
        array, pictures = getattr(read, split).images, getattr(lazy, split).images
        assert isinstance(array, np.ndarray) and isinstance(pictures, Pictures) and pictures.shape == array.shape
        np.testing.assert_array_equal(np.asarray(pictures), array)
        np.testing.assert_array_equal(pictures[[[3, 1], [0, 3]]], array[[[3, 1], [0, 3]]])
        np.testing.assert_array_equal(pictures[2], array[2])
        np.testing.assert_array_equal(pictures[-3:], array[-3:])
        np.testing.assert_array_equal(getattr(read, split).labels, getattr(lazy, split).labels)
    np.testing.assert_array_equal(read.normalisation.mean, lazy.normalisation.mean)
    np.testing.assert_array_equal(read.normalisation.std, lazy.normalisation.std)
    assert read.source == lazy.source
    pixels = read.train.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(lazy.normalisation.mean, pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(lazy.normalisation.std, pixels.std(axis=0), rtol=1e-5)


def test_a_picture_that_changes_or_breaks_is_named(folder, tmp_path):
    for number in range(3):
        Image.fromarray(np.full((4, 5), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
    pictures = Pictures(sorted(tmp_path.glob("*.png")), (4, 5, 1))
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[:50])
    with pytest.raises(InputError, match=r"1\.png cannot be read as an image"):
        pictures[:]
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png has the shape \(5, 5, 1\)"):
        pictures[1]


def test_a_picture_that_breaks_during_an_epoch_ends_it_in_a_sentence(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "birds")
    setup = prepare(rule="backprop", dataset=str(place), epochs=2, batch_size=16, stream="always")
    fitting = fit(setup)
    assert next(fitting).epoch == 1
    for path in (place / "jay").iterdir():
        path.write_bytes(b"gone")
    with pytest.raises(InputError, match="cannot be read as an image"):
        next(fitting)


def test_what_is_made_ahead_keeps_its_order_and_does_not_run_away():
    made, most = [], []

    def make(item):
        made.append(item)
        return item

    for item in ahead(make, range(12), depth=3):
        time.sleep(0.002)
        most.append(len(made) - item)
    assert made == list(range(12)) and max(most) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead") and thread.is_alive()]


def test_what_goes_wrong_ahead_is_raised_in_its_place():
    def make(item):
        if item == 2:
            raise InputError("the second")
        return item

    taken = []
    with pytest.raises(InputError, match="the second"):
        for item in ahead(make, range(9)):
            taken.append(item)
    assert taken == [0, 1]


@pytest.mark.parametrize(
    ("n_steps", "bytes_a_step", "expected"),
    [(60, 2**20, 15), (60, 2**10, 60), (128, 2**10, 64), (97, 2**20, 16), (10, 2**23, 2), (3, 2**30, 1)],
)
def test_chunks_fit_and_divide_an_epoch_where_they_can(n_steps, bytes_a_step, expected):
    assert streaming.steps_at_once(n_steps, bytes_a_step) == expected


def test_a_front_end_that_no_memory_fits_is_refused(folder, monkeypatch):
    monkeypatch.setattr(environment, "memory_for_arrays", lambda: 10_000)
    config = TrainConfig(dataset=str(folder), front_end="zca", stream="always", architecture_options={"hidden": (2,)})
    with pytest.raises(InputError, match="front end 'zca' is fitted to all training images"):
        prepare(dataclasses.replace(config, rule="backprop"))


def test_images_on_the_device_are_the_bits_that_normalisation_says(folder):
    setup = prepare(rule="backprop", dataset=str(folder), architecture_options={"hidden": (2,)})
    every_byte = np.arange(256, dtype=np.uint8).repeat(6 * 3).reshape(32, 8, 6, 3)
    np.testing.assert_array_equal(np.asarray(setup.encode(every_byte)), setup.images.normalise(every_byte))
    np.testing.assert_array_equal(np.asarray(setup.diagnostic[0]), np.asarray(setup.splits[0][0])[:512])
