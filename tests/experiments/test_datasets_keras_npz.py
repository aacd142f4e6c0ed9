import os
from pathlib import Path

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
from experiments import datasets

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (60, 6, 5), np.uint8)
LABELS = np.arange(60) % 3


def arrays(**changes):
    """A sound set of arrays with some changed; None takes one away."""
    sound = {"x_train": GREY[:45], "y_train": LABELS[:45], "x_test": GREY[45:], "y_test": LABELS[45:]}
    return {key: value for key, value in {**sound, **changes}.items() if value is not None}


@pytest.fixture
def save(tmp_path):
    def write(**changes):
        path = tmp_path / "birds.npz"
        np.savez(path, **arrays(**changes))
        return path

    return write


def test_grey_bytes_are_taken_as_they_are(save):
    images = datasets.load(str(save()), validation_fraction=0.2)
    assert images.name == "birds" and images.input_shape == (6, 5, 1) and images.n_classes == 3
    assert np.array_equal(images.test.images[..., 0], GREY[45:])
    assert images.citation == images.licence == "none stated" and images.notes == ""
    assert images.source[0].path.endswith("birds.npz")


@pytest.mark.parametrize("labels", [LABELS.astype(np.uint8), LABELS.astype(np.int64)[:, None]])
@pytest.mark.parametrize("channels", [1, 3])
def test_channel_axis_and_label_columns_are_understood(save, labels, channels):
    stack = np.repeat(GREY[..., None], channels, -1)
    images = datasets.load(save(x_train=stack[:45], x_test=stack[45:], y_train=labels[:45], y_test=labels[45:]))
    assert images.input_shape == (6, 5, channels)
    assert np.array_equal(images.test.labels, LABELS[45:])


@pytest.mark.parametrize("scaled", [GREY / 255, (GREY / 255).astype(np.float32), GREY.astype(np.float64), GREY.astype(np.int64)])
def test_the_same_pixels_come_from_every_scale(save, scaled):
    images = datasets.load(save(x_train=scaled[:45], x_test=scaled[45:]))
    assert np.array_equal(images.test.images[..., 0], GREY[45:])
    assert images.notes == ""


def test_rounding_of_fractions_is_noted(save):
    fractions = GENERATOR.uniform(size=GREY.shape)
    images = datasets.load(save(x_train=fractions[:45], x_test=fractions[45:], note="from the garden"))
    assert np.abs(images.test.images[..., 0] / 255 - fractions[45:]).max() <= 0.5 / 255 + 1e-12
    assert images.notes == "from the garden; pixels given as fractions were rounded to 8 bits"


def test_texts_in_the_file_are_carried_on(save):
    names = np.array(["jay", "owl", "wren"])
    images = datasets.load(save(class_names=names, source="camera 3", citation="Doe (2020)", licence="CC0"))
    record = images.to_record()
    assert record["class_names"] == ["jay", "owl", "wren"]
    assert (record["notes"], record["citation"], record["licence"]) == ("camera 3", "Doe (2020)", "CC0")


def test_arrays_that_are_not_read_are_said(save):
    path = save(x_val=GREY[:3], y_val=LABELS[:3])
    with pytest.warns(UserWarning, match="arrays that are not read: x_val, y_val"):
        assert datasets.load(path).notes == "arrays that are not read: x_val, y_val"


BAD = {
    "missing keys": (
        dict(y_test=None, x_test=None, extra=np.zeros(2)),
        r"has no x_test, y_test \(found: extra, x_train, y_train\)",
    ),
    "fewer labels than images": (dict(y_train=LABELS[:44]), "y_train has 44 labels for 45 images"),
    "negative label": (dict(y_train=LABELS[:45] - 1), "y_train holds the label -1"),
    "label too large for any class": (dict(y_test=LABELS[45:] + 2**40), "y_test holds the label 10995"),
    "fractional labels": (dict(y_train=LABELS[:45] + 0.5), "y_train has dtype float64, where whole-number labels"),
    "one-hot labels": (dict(y_train=np.eye(3, dtype=int)[LABELS[:45]]), r"shape \(45, 3\).*take the argmax"),
    "test label out of range": (dict(y_test=LABELS[45:] + 1), "y_test holds the label 3, where 0 to 2, the range of y_train"),
    "gap in the labels": (dict(y_train=LABELS[:45] * 2), "training labels reach 4 but none is 1"),
    "one class": (dict(y_train=LABELS[:45] * 0, y_test=LABELS[45:] * 0), "all training labels are 0, where at least two"),
    "other size": (dict(x_test=GREY[45:, :4]), "training images are 6x5x1 and test images 4x5x1"),
    "channels first": (dict(x_train=np.zeros((45, 3, 6, 5), np.uint8)), r"shape \(45, 3, 6, 5\).*move the channel axis last"),
    "flat images": (dict(x_train=GREY[:45].reshape(45, -1)), r"x_train has shape \(45, 30\).*reshape the array"),
    "four channels": (dict(x_train=np.zeros((45, 6, 5, 4), np.uint8)), r"shape \(45, 6, 5, 4\)"),
    "no images": (dict(x_train=GREY[:0], y_train=LABELS[:0]), "at least one image"),
    "not a number": (dict(x_train=np.where(GREY[:45] == GREY[0, 0, 0], np.nan, GREY[:45])), "x_train has .* NaN or infinite"),
    "infinite": (dict(x_test=np.where(GREY[45:] > 250, np.inf, GREY[45:])), "x_test has .* NaN or infinite"),
    "below zero": (dict(x_train=GREY[:45] / 127.5 - 1), "pixels run from -1 to 255, where 0 to 1 or 0 to 255"),
    "above 255": (dict(x_train=GREY[:45].astype(np.uint16) * 257), "pixels run from 0 to 65535"),
    "fractions above one": (dict(x_train=GREY[:45] * 0.9), "pixels are fractions that reach"),
    "mask": (dict(x_train=GREY[:45] // 128, x_test=GREY[45:] // 128), "do not exceed 1.*multiply them by 255"),
    "truth values": (dict(x_train=GREY[:45] > 127), "x_train has dtype bool, where numbers were expected"),
    "constant pixels": (dict(x_train=np.full((45, 6, 5), 9, np.uint8)), "all training pixels of channel 0 have the value 9"),
    "wrong number of names": (dict(class_names=np.array(["jay", "owl"])), r"class_names has shape \(2,\), where 3 different names"),
    "names that are numbers": (dict(class_names=np.arange(3)), "class_names has dtype int64, where text"),
    "pickled objects": (dict(x_train=np.array([GREY[0], None], object)), "cannot be read at x_train .*plain arrays"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_each_mistake_has_its_sentence(save, mistake):
    changes, sentence = BAD[mistake]
    path = save(**changes)
    with pytest.raises(InputError, match=sentence) as caught:
        datasets.load(path)
    assert "birds" in str(caught.value) and "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


def test_damaged_files_are_refused(save, tmp_path):
    path = save()
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 0xFF
    for content in (whole[: len(whole) // 2], whole[:-30], bytes(damaged), b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"birds\.npz cannot be read at .*where a whole \.npz of plain arrays was expected"):
            datasets.load(path)
    with path.open("wb") as file:
        np.save(file, GREY)
    with pytest.raises(InputError, match=r"birds\.npz cannot be read"):
        datasets.load(path)


def test_lossy_file_is_known_by_its_bytes(tmp_path):
    path = Path(os.environ.get("BIOPLAUSIBLE_DATA", "absent")) / "cifar10" / "cifar10_jpeg_10k.npz"
    if not path.is_file():
        pytest.skip("cifar10/cifar10_jpeg_10k.npz is not on this machine")
    renamed = tmp_path / "cifar10.npz"
    renamed.symlink_to(path)
    images = datasets.load(renamed)
    assert images.notes == "decoded from lossy JPEG; not the original CIFAR-10 pixels"
    assert images.to_record()["notes"] == images.notes
    assert images.class_names[6] == "frog" and images.input_shape == (32, 32, 3)
    assert [len(split.labels) for split in (images.train, images.validation, images.test)] == [9167, 833, 2000]
