import warnings

import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine
from nibabel.gifti import GiftiDataArray, GiftiImage
from nilearn.glm.first_level import FirstLevelModel
from nilearn.image import load_img, new_img_like
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

import rsa
from neurodata import InputError
from neurodata.fmri import FmriOptions, FmriRun, patterns, regions_from_atlas, voxel_mask
from neurodata.fmri.images import BoldImage
from neurodata.fmri.regions import places


@pytest.fixture
def one(tmp_path, bold):
    return bold.run(tmp_path, "1"), bold.mask(tmp_path), tmp_path / "cache"


def test_labels_of_an_atlas_are_regions(one, bold, tmp_path):
    run, _, cache = one
    labels = np.zeros((4, 4, 3), dtype=np.int16)
    labels[1], labels[2, :2] = 1, 5
    atlas = bold.volume(tmp_path / "atlas.nii.gz", labels)
    table = pd.DataFrame({"index": [0, 1, 5], "name": ["Background", "V1", "V2"]})
    for regions in (regions_from_atlas(atlas, table), regions_from_atlas(atlas, {"V1": 1, "V2": 5})):
        found = patterns([run], regions, cache=cache)
        assert {name: each.n_channels for name, each in found.items()} == {"V1": (12,), "V2": (6,)}
    places = found["V2"].datasets[0].channel_descriptors
    assert set(places["i"]) == {2} and set(places["j"]) == {0, 1}
    np.testing.assert_allclose(places["z"], 3.5 * places["k"])
    in_memory = patterns([run], regions_from_atlas(load_img(str(atlas)), ["Background", "V1"]), cache=cache)
    np.testing.assert_allclose(in_memory["V1"].patterns()[0], found["V1"].patterns()[0], rtol=1e-10)
    with pytest.raises(InputError, match="begins with 'V1'"):
        regions_from_atlas(atlas, ["V1", "V2"])
    with pytest.raises(InputError, match="no column 'index'"):
        regions_from_atlas(atlas, table[["name"]])


def test_a_searchlight_runs_on_a_mask_of_the_brain(one, bold):
    run, mask, cache = one
    dataset = patterns([run], {"brain": mask}, FmriOptions(output="beta"), cache)["brain"].datasets[0]
    inside = voxel_mask(dataset)
    assert inside.shape == (4, 4, 3) and inside.sum() == dataset.n_channel
    np.testing.assert_array_equal(inside, load_img(str(mask)).get_fdata() > 0)
    found = rsa.volume_neighbourhoods(inside, radius=1.1, minimum_fraction=0.0)
    centre = 17
    members = found.members[centre]
    places = np.stack([dataset.channel_descriptors[axis] for axis in "ijk"])
    assert (np.abs(places[:, members] - places[:, [found.centres[centre]]]).sum(axis=0) <= 1).all() and len(members) > 3


def surface(values):
    triangles = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    points = np.random.default_rng(0).standard_normal((20, 3))
    mesh = {"coordinates": points, "faces": triangles}
    return SurfaceImage(
        PolyMesh(left=InMemoryMesh(**mesh), right=InMemoryMesh(**mesh)), {"left": values[:20], "right": values[20:]}
    )


def gifti(path, values):
    arrays = [
        GiftiDataArray(np.ascontiguousarray(column, dtype=np.float32), datatype="NIFTI_TYPE_FLOAT32")
        for column in np.atleast_2d(values.T)
    ]
    GiftiImage(darrays=arrays).to_filename(path)
    return path


def test_surfaces(one, tmp_path):
    run, _, cache = one
    values = load_img(str(run.bold)).get_fdata().reshape(-1, 60)[:40].astype(np.float32)
    inside = np.arange(40) % 3 == 0
    image, mask = surface(values), surface(inside.astype(np.float32)[:, None])
    options = FmriOptions(output="beta", repetition_time=2.0)
    found = patterns([FmriRun(image, run.events)], {"V1": mask}, options, cache)["V1"]
    model = FirstLevelModel(t_r=2.0, mask_img=surface(np.ones((40, 1), dtype=bool)), signal_scaling=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Generation of a mask", category=RuntimeWarning)
        model.fit(image, events=pd.read_csv(run.events, sep="\t"))
    for row, name in enumerate("abc"):
        parts = model.compute_contrast(name, output_type="effect_size").data.parts
        together = np.concatenate([np.ravel(parts["left"]), np.ravel(parts["right"])])
        np.testing.assert_allclose(found.patterns()[0][row], together[inside], rtol=1e-3, atol=1e-3)
    places = found.datasets[0].channel_descriptors
    assert list(places["hemisphere"]) == ["left"] * 7 + ["right"] * 7 and max(places["vertex"]) == 19
    pair = [gifti(tmp_path / f"{side}.func.gii", part) for side, part in (("L", values[:20]), ("R", values[20:]))]
    masks = [gifti(tmp_path / f"{side}.label.gii", part) for side, part in (("l", inside[:20, None]), ("r", inside[20:, None]))]
    from_files = patterns([FmriRun(tuple(pair), run.events)], {"V1": tuple(masks), "one": (tuple(masks), 1)}, options, cache)
    np.testing.assert_allclose(from_files["V1"].patterns()[0], found.patterns()[0], rtol=1e-6)
    np.testing.assert_array_equal(from_files["one"].patterns()[0], from_files["V1"].patterns()[0])
    with pytest.raises(InputError, match="is no pair of GIFTI files"):
        patterns([FmriRun(image, run.events)], {"V1": run.bold}, options, cache)
    with pytest.raises(InputError, match="smoothing_mm on a surface"):
        patterns([FmriRun(image, run.events)], {"V1": mask}, FmriOptions(smoothing_mm=4, repetition_time=2), cache)
    with pytest.raises(InputError, match="20 and 10 vertices"):
        short = gifti(tmp_path / "short.gii", inside[:10, None])
        patterns([FmriRun(image, run.events)], {"V1": (masks[0], short)}, options, cache)


def test_masks_in_memory(one):
    run, mask, cache = one
    loaded = load_img(str(mask))
    turned = new_img_like(loaded, (loaded.get_fdata() == 0).astype(np.uint8))
    found = patterns([run], {"brain": loaded, "outside": turned}, cache=cache)
    assert found["brain"].n_channels == (36,) and found["outside"].n_channels == (12,)


def test_voxels_lie_where_the_affine_says():
    affine = np.array([[-3.0, 0.1, 0.0, 60.0], [0.0, 3.5, 0.2, -35.0], [0.0, 0.0, 4.0, 7.0], [0.0, 0.0, 0.0, 1.0]])
    image = BoldImage("run", "run.nii", (4, 5, 6), affine, 10)
    found = places(np.array([0, 37, 119]), image)
    indices = np.stack([found[axis] for axis in "ijk"], axis=1)
    np.testing.assert_array_equal(np.ravel_multi_index(tuple(indices.T), (4, 5, 6)), [0, 37, 119])
    np.testing.assert_allclose(np.stack([found[axis] for axis in "xyz"], axis=1), apply_affine(affine, indices))
