import time

import numpy as np
import pytest

import rsa
from rsa import reference_models
from rsa.reference_models import N_CELLS, REFERENCE_MODELS, cielab, colour_layout, gabor, hmax, luminance, pixels


def _images(seed: int, n_images: int = 5, height: int = 24, width: int = 24, n_colours: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(n_images, height, width, n_colours), dtype=np.uint8)


def _grating(cycles: float, degrees: float, phase: float = 0.0, size: int = 64) -> np.ndarray:
    along = (np.arange(size) + 0.5) / size
    along = along[None, :] * np.cos(np.radians(degrees)) + along[:, None] * np.sin(np.radians(degrees))
    return 0.5 + 0.4 * np.cos(2 * np.pi * cycles * along + phase)


@pytest.mark.parametrize("name", sorted(REFERENCE_MODELS))
def test_every_model_makes_one_pattern_an_image(name):
    images = _images(0)
    patterns = REFERENCE_MODELS[name](images)
    assert patterns.dtype == np.float64 and patterns.shape[0] == 5 and patterns.ndim == 2
    np.testing.assert_allclose(REFERENCE_MODELS[name](images / 255), patterns, rtol=1e-13)
    np.testing.assert_array_equal(REFERENCE_MODELS[name](images[3:]), patterns[3:])
    if name == "colour_layout":
        return
    grey = images[..., :1]
    np.testing.assert_allclose(
        REFERENCE_MODELS[name](np.repeat(grey, 3, axis=-1) / 255)[:, 0], REFERENCE_MODELS[name](grey)[:, 0], rtol=1e-12
    )


def test_pixels_and_luminance_are_what_they_say():
    images = _images(1)
    np.testing.assert_array_equal(pixels(images), images.reshape(5, -1) / 255)
    np.testing.assert_allclose(luminance(images)[:, 0], (images / 255).mean(axis=(1, 2)) @ [0.299, 0.587, 0.114], rtol=1e-12)


@pytest.mark.parametrize(("scale", "cycles"), [(0, 16), (1, 8), (2, 4)])
def test_a_grating_drives_the_matching_orientation_and_scale(scale, cycles):
    for orientation in range(8):
        response = gabor(_grating(cycles, 22.5 * orientation)[None, ..., None]).reshape(4, 8, N_CELLS, N_CELLS)
        middle = response[:, :, 2:-2, 2:-2].mean(axis=(2, 3))
        assert np.unravel_index(middle.argmax(), middle.shape) == (scale, orientation)
        # Of the root mean energy that is the grating's amplitude.
        assert middle[scale, orientation] == pytest.approx(0.4, rel=0.05)


def test_energy_is_where_the_grating_is():
    image = np.full((64, 64), 0.5)
    image[:, 32:] = _grating(16, 0)[:, 32:]
    response = gabor(image[None, ..., None]).reshape(4, 8, N_CELLS, N_CELLS)[0, 0]
    assert response[:, 5:].min() > 0.39 and response[:, :3].max() < 0.02


def test_energy_ignores_phase_where_simple_cells_and_pixels_do_not():
    images = np.stack([_grating(8, 45, phase) for phase in np.linspace(0, np.pi, 6)])[..., None]
    middle = gabor(images).reshape(6, 4, 8, N_CELLS, N_CELLS)[:, 1, 2, 2:-2, 2:-2]
    assert np.ptp(middle, axis=0).max() < 0.02 * middle.mean()
    assert np.ptp(pixels(images), axis=0).mean() > 0.4
    # The largest response over a neighbourhood of a period or more ignores phase too.
    largest = hmax(images).reshape(6, 4, 4, 7, 7)[:, 1, 1, 2:-2, 2:-2]
    assert np.ptp(largest, axis=0).max() < 0.05 * largest.mean()


def test_c1_prefers_the_matching_orientation_and_scale():
    for band, cycles in ((0, 13), (1, 7), (2, 3)):
        for orientation in range(4):
            response = hmax(_grating(cycles, 45 * orientation)[None, ..., None]).reshape(4, 4, 7, 7)
            middle = response[:, :, 2:-2, 2:-2].mean(axis=(2, 3))
            assert np.unravel_index(middle.argmax(), middle.shape) == (band, orientation)


@pytest.mark.parametrize("model", [gabor, hmax])
def test_contrast_scales_and_brightness_does_not_matter(model):
    images = _images(2, n_colours=1) / 255
    np.testing.assert_allclose(model(0.5 * images + 0.2), 0.5 * model(images), rtol=1e-9)


@pytest.mark.parametrize("model", [gabor, hmax])
def test_blank_images_drive_nothing(model):
    assert (model(np.full((2, 33, 20, 3), 0.3)) == 0).all()


def test_the_resolution_hardly_matters():
    small = _grating(4, 22.5, size=64)
    large = _grating(4, 22.5, size=160)
    np.testing.assert_allclose(gabor(small[None, ..., None]), gabor(large[None, ..., None]), atol=0.01)


def test_luminance_of_black_and_white_images_tells_the_two_apart():
    images = np.zeros((4, 8, 8, 1), dtype=np.uint8)
    images[2:] = 255
    np.testing.assert_array_equal(rsa.reference_rdms(images, ["luminance"])["luminance"], [0, 1, 1, 1, 1, 0])


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        # L*, a*, b* of the primaries, of white and of the middle grey, as tables of sRGB under D65 give them.
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((128 / 255, 128 / 255, 128 / 255), (53.59, 0, 0)),
        ((0.01, 0.01, 0.01), (0.70, 0, 0)),
    ],
)
def test_colours_are_those_of_published_tables(rgb, lab):
    np.testing.assert_allclose(cielab(np.array(rgb, float)), lab, atol=0.03)


def test_the_colour_layout_is_the_mean_of_each_cell():
    images = _images(7, 3, 24, 40)
    layout = colour_layout(images).reshape(3, 8, 8, 3)
    np.testing.assert_allclose(layout[1, 2, 5], cielab(images[1, 6:9, 25:30] / 255).mean(axis=(0, 1)))
    # Detail within a cell does not matter, hue does: these two have one luma everywhere.
    fine = np.kron(images, np.ones((1, 2, 2, 1), np.uint8))
    np.testing.assert_allclose(colour_layout(fine), colour_layout(images))
    uneven = colour_layout(_images(7, 3, 21, 19)).reshape(3, 8, 8, 3)
    np.testing.assert_allclose(uneven[0, 1, 7], cielab(_images(7, 3, 21, 19)[0, 2:5, 16:19] / 255).mean(axis=(0, 1)))


def test_images_without_colours_have_no_colour_layout():
    grey = np.repeat(_images(8, n_colours=1), 3, axis=-1)
    for images in (grey, grey[..., :1], grey / 255):
        with pytest.raises(rsa.InputError, match="reference model 'colour_layout' has no RDM: the images hold no colours"):
            rsa.reference_rdms(images, ["colour_layout"])
    with pytest.raises(rsa.InputError, match="6x24 pixels are too small for 8 cells"):
        rsa.reference_rdms(_images(8, height=6), ["colour_layout"])


def test_rdms_are_those_of_the_patterns():
    images = _images(3)
    found = rsa.reference_rdms(images)
    assert sorted(found) == sorted(REFERENCE_MODELS)
    for name, condensed in found.items():
        expected = rsa.rdm(REFERENCE_MODELS[name](images), "euclidean" if name == "luminance" else "correlation")
        np.testing.assert_array_equal(condensed, expected)
    np.testing.assert_array_equal(rsa.reference_rdms(images, ["gabor"], "euclidean")["gabor"], rsa.rdm(gabor(images), "euclidean"))


def test_equal_luminance_is_refused_by_name_and_left_out_otherwise():
    images = np.stack([np.roll(_images(4, 1), shift, axis=2)[0] for shift in range(5)])
    with pytest.raises(rsa.InputError, match="reference model 'luminance' has no RDM: it is the same for all images.*constant RDM"):
        rsa.reference_rdms(images, ["pixels", "luminance"])
    with pytest.warns(UserWarning, match="'luminance' has no RDM: it is the same"):
        found = rsa.reference_rdms(images)
    assert sorted(found) == ["colour_layout", "gabor", "hmax", "pixels"]


def test_a_blank_image_is_named():
    images = _images(5)
    images[2] = 128
    with pytest.raises(rsa.InputError, match="reference model 'gabor' has no RDM: the pattern of condition 3 is constant"):
        rsa.reference_rdms(images, ["gabor"])


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (_images(6)[..., 0], {}, r"these have \(5, 24, 24\): add the axis of colours"),
        (_images(6)[..., :2], {}, "1 or 3"),
        (_images(6).astype(np.int32), {}, "these are int32: convert them to float"),
        (np.full((5, 20, 20, 1), np.nan), {}, "NaN"),
        (_images(6)[:2], {}, "at least 3 images, and 2 were given"),
        (_images(6), {"names": ["gabour"]}, "unknown reference model 'gabour': did you mean 'gabor'"),
        (_images(6), {"distance": "manhattan"}, "unknown distance between images 'manhattan'"),
        (_images(6, height=12), {"names": ["hmax"]}, "'hmax' .*12x24 pixels are too small"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_images_are_refused(images, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.reference_rdms(images, **options)


def test_a_set_of_photographs_takes_seconds():
    images = _images(7, 118, 175, 175)
    start = time.process_time()
    gabor(images)
    hmax(images)
    assert time.process_time() - start < 12
    assert reference_models.IMAGES_AT_ONCE < 118
