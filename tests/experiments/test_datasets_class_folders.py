import shutil

import numpy as np
import pytest
from PIL import Image

from bioplausible.foundation.errors import InputError
from experiments import datasets


def write_images(folder, n_images, mode="L", size=(5, 4), seed=0, suffix=".png"):
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_images):
        pixels = generator.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number:02d}{suffix}")


@pytest.fixture
def birds(tmp_path):
    for seed, name in enumerate(["wren", "jay", "owl"]):
        write_images(tmp_path / "birds" / name, 20, seed=seed)
    return tmp_path / "birds"


def test_class_folders_give_a_fixed_stratified_fifth_for_testing(birds):
    images = datasets.load(birds)
    assert images.name == "birds" and images.class_names == ("jay", "owl", "wren") and images.input_shape == (4, 5, 1)
    assert np.bincount(images.test.labels).tolist() == [4, 4, 4]
    assert len(images.train.labels) + len(images.validation.labels) == 48
    assert "stratified fifth" in images.notes
    again = datasets.load(birds, split_seed=5)
    assert np.array_equal(images.test.images, again.test.images)
    rows = np.concatenate([images.train.images, images.validation.images, images.test.images]).reshape(60, -1)
    assert len(np.unique(rows, axis=0)) == 60


def test_labels_and_pixels_are_those_of_the_files(birds):
    images = datasets.load(birds)
    by_pixels = {np.asarray(Image.open(path)).tobytes(): path.parent.name for path in birds.glob("*/*.png")}
    for split in (images.train, images.validation, images.test):
        for image, label in zip(split.images, split.labels, strict=True):
            assert by_pixels[image.tobytes()] == images.class_names[label]


def test_own_test_folder_is_kept_whole(tmp_path):
    for seed, name in enumerate(["jay", "owl"]):
        write_images(tmp_path / "birds" / "train" / name, 12, seed=seed)
        write_images(tmp_path / "birds" / "test" / name, 3, seed=10 + seed)
    (tmp_path / "birds" / "train" / ".hidden").mkdir()
    (tmp_path / "birds" / "train" / "jay" / ".DS_Store").write_text("x")
    images = datasets.load(str(tmp_path / "birds"))
    assert np.bincount(images.test.labels).tolist() == [3, 3] and images.notes == ""
    assert len(images.train.labels) + len(images.validation.labels) == 24


def test_one_coloured_image_makes_the_set_coloured(birds):
    grey = np.asarray(Image.open(birds / "jay" / "00.png"))
    write_images(birds / "owl", 1, mode="RGB", seed=77)
    images = datasets.load(birds)
    assert images.input_shape == (4, 5, 3)
    everything = np.concatenate([images.train.images, images.validation.images, images.test.images])
    assert any(np.array_equal(image, np.repeat(grey[..., None], 3, -1)) for image in everything)


@pytest.mark.parametrize("mode", ["1", "P", "RGBA", "LA"])
def test_opaque_images_of_every_eight_bit_mode_are_read(birds, mode):
    write_images(birds / "owl", 2, mode=mode, seed=5)
    expected = 1 if mode in ("1", "LA") else 3
    assert datasets.load(birds).input_shape == (4, 5, expected)


def test_checksum_follows_content_and_name(birds):
    def checksum():
        return datasets.load(birds).source[0].sha256

    first = checksum()
    assert first == checksum()
    (birds / "jay" / "00.png").rename(birds / "jay" / "zz.png")
    renamed = checksum()
    write_images(birds / "jay", 1, seed=99)
    assert len({first, renamed, checksum()}) == 3


def test_other_size_names_two_files(birds):
    write_images(birds / "owl", 1, size=(6, 4))
    with pytest.raises(InputError, match=r"owl/00\.png is 4x6 and .*jay/00\.png is 4x5 .* resize them"):
        datasets.load(birds)


def test_unreadable_images_are_named(birds):
    whole = (birds / "jay" / "03.png").read_bytes()
    for content in (whole[:60], b"", b"not an image"):
        (birds / "jay" / "03.png").write_bytes(content)
        with pytest.raises(InputError, match=r"jay/03\.png cannot be read as an image"):
            datasets.load(birds)


def test_transparent_and_deep_images_are_refused(birds):
    see_through = Image.fromarray(np.full((4, 5, 4), 100, np.uint8))
    see_through.save(birds / "jay" / "00.png")
    with pytest.raises(InputError, match=r"jay/00\.png has transparent pixels"):
        datasets.load(birds)
    (birds / "jay" / "00.png").unlink()
    Image.fromarray(np.full((4, 5), 0.5, np.float32)).save(birds / "jay" / "00.tif")
    with pytest.raises(InputError, match=r"jay/00\.tif has pixels of mode F; expected 8 or 16 bits a channel"):
        datasets.load(birds)


def test_folders_that_are_no_image_set_are_refused(tmp_path, birds):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty holds no class folder"):
        datasets.load(empty)
    write_images(empty / "jay", 3)
    with pytest.raises(InputError, match="'jay' is the only class folder"):
        datasets.load(empty)
    (empty / "owl").mkdir()
    with pytest.raises(InputError, match="owl holds no image"):
        datasets.load(empty)
    write_images(empty / "owl", 1)
    with pytest.raises(InputError, match="1 in the smallest of 2 classes"):
        datasets.load(empty)
    (birds / "train").mkdir()
    with pytest.raises(InputError, match="has a folder 'train' but no 'test'"):
        datasets.load(birds)


def test_test_class_without_training_images_is_refused(tmp_path):
    for name in ["jay", "owl"]:
        write_images(tmp_path / "train" / name, 4)
        write_images(tmp_path / "test" / name, 2)
    write_images(tmp_path / "test" / "wren", 2)
    with pytest.raises(InputError, match="the test class 'wren' has no folder in train"):
        datasets.load(tmp_path)


def test_what_the_layout_passes_over_is_said(tmp_path, birds):
    with Image.open(next(birds.rglob("*.png"))) as picture:
        picture.load()
    first = next(path for path in birds.iterdir() if path.is_dir())
    (first / "more").mkdir()
    picture.save(first / "more" / "x.png")
    picture.save(birds / "y.png")
    with pytest.warns(
        UserWarning, match=r"1 picture outside class folders left out, such as .*; 1 picture in folders within class"
    ):
        notes = datasets.load(birds).notes
    assert "y.png" in notes and "x.png" in notes
    for split in ("Train", "TEST", "val"):
        shutil.copytree(birds, tmp_path / "own" / split, ignore=shutil.ignore_patterns("more", "y.png"))
    with pytest.warns(UserWarning, match="folders beside train and test left out: val"):
        own = datasets.load(tmp_path / "own")
    assert own.notes == "folders beside train and test left out: val" and len(own.test.labels) == len(list(birds.glob("*/*.png")))
