"""The bank of filters against closed forms of gratings."""

import numpy as np
import pytest

from rsa.steerable import steerable_responses

SIZE = 64


def _grating(cycles: float, degrees: float, phase: float = 0.0, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    """Amplitude one; cycles per shortest side, along a direction from the horizontal axis downwards."""
    down, right = (np.arange(height) + 0.5) / min(height, width), (np.arange(width) + 0.5) / min(height, width)
    along = right[None, :] * np.cos(np.radians(degrees)) + down[:, None] * np.sin(np.radians(degrees))
    return np.cos(2 * np.pi * cycles * along + phase)


def _sizes(image: np.ndarray, centres: list[float], n_orientations: int = 8) -> np.ndarray:
    """Root mean squared response in the middle half of the image, (n_scales, n_orientations)."""
    sizes = np.empty((len(centres), n_orientations))
    for scale, orientation, response in steerable_responses(image[None], centres, n_orientations, 4):
        middle = tuple(slice(n // 4, n - n // 4) for n in response.shape[1:])
        sizes[scale, orientation] = np.sqrt(np.square(np.abs(response[0][middle])).mean())
    return sizes


@pytest.mark.parametrize("shape", [(64, 64), (64, 96), (80, 64)])
@pytest.mark.parametrize("scale", [0, 1])
def test_a_grating_drives_its_scale_and_orientation(shape, scale):
    centres = [16.0, 8.0, 4.0]
    for orientation in range(8):
        image = _grating(centres[scale], 22.5 * orientation, 0.3, *shape)
        sizes = _sizes(0.5 * image + 7, centres)
        assert np.unravel_index(sizes.argmax(), sizes.shape) == (scale, orientation)
        assert sizes[scale, orientation] == pytest.approx(0.5, rel=0.03)


def test_a_grating_along_an_axis_has_responses_in_closed_form():
    """Where the mirrored image is periodic nothing is approximate: cos^(n - 1) over orientations, cosine over octaves."""
    centres = [8.0 * 2**0.5, 8.0, 4.0]
    sizes = _sizes(_grating(8, 0), centres)
    angular = np.maximum(np.cos(np.pi * np.arange(8) / 8), 0) ** 7
    # Both halves of the frequencies reach orientations beyond a right angle from the other side.
    angular = np.maximum(angular, np.maximum(np.cos(np.pi - np.pi * np.arange(8) / 8), 0) ** 7)
    radial = np.array([np.cos(np.pi / 4), 1, 0])
    np.testing.assert_allclose(sizes, radial[:, None] * angular, atol=1e-12)


def test_energy_does_not_depend_on_phase():
    sizes = [_sizes(_grating(8, degrees, phase), [8.0]) for degrees in (0, 45) for phase in np.linspace(0, np.pi, 7)]
    for one in (sizes[:7], sizes[7:]):
        largest = np.max(one, axis=(1, 2))
        assert np.ptp(largest) < 0.02 * largest.mean()


def test_parts_of_the_response_are_a_quadrature_pair():
    ((_, _, response),) = [found for found in steerable_responses(_grating(8, 0)[None], [8.0], 8, 4) if found[1] == 0]
    samples = (np.arange(response.shape[2]) + 0.5) / response.shape[2]
    np.testing.assert_allclose(response[0, 3], np.exp(2j * np.pi * 8 * samples), atol=1e-12)


def test_scales_and_orientations_tile_the_plane():
    """Squared gains of all filters sum to a constant between the outermost centres: nothing is seen twice or missed."""
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    rows, columns = np.fft.fftfreq(SIZE) * SIZE, np.fft.fftfreq(SIZE) * SIZE
    radius = np.hypot(rows[:, None], columns[None, :])
    spectrum = np.where((radius >= 4) & (radius <= 16), np.fft.fft2(image), 0)
    band = np.fft.ifft2(spectrum).real
    total = 0.0
    for _, _, response in steerable_responses(band[None], [16.0, 8.0, 4.0], 8, 4):
        total += np.square(np.abs(response)).mean()
    # Sum over orientations of cos^14 is 8 * 3432 / 2^14; each response holds twice the energy of its real part.
    assert total == pytest.approx(2 * np.square(band).mean() * 8 * 3432 / 2**14, rel=0.05)


def test_a_mirror_image_has_mirrored_responses():
    image = np.random.default_rng(1).random((1, 40, 48))
    there = {found[:2]: found[2] for found in steerable_responses(image, [8.0, 4.0], 8, 4)}
    back = {found[:2]: found[2] for found in steerable_responses(image[:, :, ::-1], [8.0, 4.0], 8, 4)}
    for (scale, orientation), response in there.items():
        other = np.abs(back[scale, -orientation % 8][:, :, ::-1])
        np.testing.assert_allclose(np.abs(response), other, atol=1e-13)


def test_a_coarse_grid_holds_what_a_fine_one_does():
    image = np.random.default_rng(2).random((1, 32, 32))
    coarse = [np.square(np.abs(r)).mean() for _, _, r in steerable_responses(image, [4.0], 8, 2)]
    fine = [np.square(np.abs(r)).mean() for _, _, r in steerable_responses(image, [4.0], 8, 64)]
    np.testing.assert_allclose(coarse, fine, rtol=0.02)
