import numpy as np
import pytest
from rsatoolbox.util import searchlight as judge_of_searchlights

import rsa
from rsa.neighbourhoods import score_map, volume_neighbourhoods


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    """Three quarters of a small volume's voxels, up to its border."""
    return np.random.default_rng(0).random((7, 6, 8)) < 0.75


@pytest.mark.parametrize(("radius", "share"), [(2, 1.0), (2, 0.7), (3, 0.75), (1.5, 0.5), (np.sqrt(2), 0.9), (2.5, 0.0)])
def test_spheres_equal_rsatoolbox(mask, radius, share):
    mask = mask | (share == 1.0)
    centres, spheres = judge_of_searchlights.get_volume_searchlight(mask, radius, threshold=share)
    ours = volume_neighbourhoods(mask, radius, share)
    inside = np.flatnonzero(mask)
    np.testing.assert_array_equal(inside[ours.centres], centres)
    for columns, sphere in zip(ours.members, spheres, strict=True):
        np.testing.assert_array_equal(inside[columns], np.sort(sphere[mask.ravel()[sphere]]))


def test_a_map_holds_each_score_at_its_centre_and_nothing_elsewhere(mask):
    spheres = volume_neighbourhoods(mask, 2, 0.8)
    volume = score_map(np.stack([spheres.centres, -spheres.centres], axis=1).astype(float), spheres, mask)
    assert volume.shape == (*mask.shape, 2)
    np.testing.assert_array_equal(volume[mask][spheres.centres, 0], spheres.centres)
    assert np.isfinite(volume[..., 1]).sum() == len(spheres.centres) < mask.sum()


@pytest.mark.parametrize("radius", [0, -1.0, np.nan])
def test_a_sphere_needs_a_radius(mask, radius):
    with pytest.raises(rsa.InputError, match="a radius above zero, in voxels"):
        volume_neighbourhoods(mask, radius)
    with pytest.raises(rsa.InputError, match="a volume"):
        volume_neighbourhoods(np.zeros((2, 2, 2), bool), 1)
