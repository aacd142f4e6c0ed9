import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from neurodata import STAGES, InputError, Stimuli
from neurodata.stages import GABOR_ORIENTATIONS, gabor_energy


def gratings(size: int, cycles_per_image: float, orientations: int = 8) -> Stimuli:
    """One grating for each orientation of the bank, under a Gaussian window."""
    axis = (np.arange(size) + 0.5) / size - 0.5
    vertical, horizontal = np.meshgrid(axis, axis, indexing="ij")
    window = np.exp(-(vertical**2 + horizontal**2) / (2 * 0.2**2))
    images = []
    for angle in np.arange(orientations) * np.pi / orientations:
        wave = np.cos(2 * np.pi * cycles_per_image * (horizontal * np.cos(angle) + vertical * np.sin(angle)))
        images.append(np.round(127.5 + 127 * wave * window).astype(np.uint8))
    grey = np.repeat(np.stack(images)[..., None], 3, axis=-1)
    return Stimuli(grey, np.array([f"grating_{index}" for index in range(orientations)]))


@pytest.mark.parametrize("band", [0, 1, 2, 3])
def test_gabor_bank_is_tuned(band):
    frequencies = (1.5, 3.0, 6.0, 12.0)
    features = gabor_energy(gratings(96, frequencies[band]))
    cells = [4**2, 8**2, 8**2, 8**2]
    ends = np.cumsum([count * GABOR_ORIENTATIONS for count in cells])
    energy = np.stack([
        features[:, end - count * GABOR_ORIENTATIONS : end].reshape(8, GABOR_ORIENTATIONS, count).sum(axis=2) / count
        for count, end in zip(cells, ends, strict=True)
    ])  # fmt: skip
    best = energy.reshape(4, 8, GABOR_ORIENTATIONS)
    for grating in range(8):
        assert np.unravel_index(best[:, grating].argmax(), (4, GABOR_ORIENTATIONS)) == (band, grating)


def test_gabor_energy_does_not_depend_on_phase_or_size():
    small, large = gabor_energy(gratings(48, 3.0)), gabor_energy(gratings(96, 3.0))
    assert small.shape == large.shape
    assert np.linalg.norm(small - large) < 0.05 * np.linalg.norm(large)
    inverted = gratings(96, 3.0)
    negative = Stimuli(255 - inverted.images, inverted.ids)
    # resampling is in single precision
    np.testing.assert_allclose(gabor_energy(negative), large, atol=1e-6 * large.max())


def test_frequencies_beyond_the_images_are_left_out(stimuli):
    tiny = Stimuli(stimuli.images[:, :8, :8], stimuli.ids)
    assert gabor_energy(tiny).shape[1] == GABOR_ORIENTATIONS * (4**2 + 8**2)
    with pytest.raises(InputError, match="2 x 2 pixels are too small"):
        gabor_energy(Stimuli(stimuli.images[:, :2, :2], stimuli.ids))


@pytest.mark.parametrize("name", ["pixel_energy", "gabor_energy"])
def test_geometry_survives_enlargement(stimuli, name):
    smooth = [Image.fromarray(image).resize((6, 6)).resize((48, 48), Image.Resampling.BICUBIC) for image in stimuli.images]
    enlarged = [image.resize((96, 96), Image.Resampling.BICUBIC) for image in smooth]
    distances = [
        pdist(STAGES[name](Stimuli(np.stack([np.asarray(image) for image in images]), stimuli.ids)))
        for images in (smooth, enlarged)
    ]
    assert spearmanr(*distances).statistic > 0.99


def test_pixel_energy_is_the_squared_deviation():
    grey = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 1), dtype=np.uint8)
    stimuli = Stimuli(np.repeat(grey, 3, axis=-1), np.array(list("abcd")))
    luminance = grey[..., 0] / 255.0
    expected = (luminance - luminance.mean(axis=(1, 2), keepdims=True)) ** 2
    np.testing.assert_allclose(STAGES["pixel_energy"](stimuli), expected.reshape(4, -1), atol=1e-12)


def test_category_needs_categories(stimuli):
    assert STAGES["category"](stimuli).shape == (12, 3)
    np.testing.assert_array_equal(STAGES["category"](stimuli), STAGES["category"](stimuli))
    with pytest.raises(InputError, match="0 categories; .*at least two"):
        STAGES["category"](Stimuli(stimuli.images, stimuli.ids))
