"""Maps find what was planted where it was planted, and say what a definition written out says."""

import dataclasses
import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr, ttest_1samp

import neurodata
import rsa
from experiments import searchlights
from experiments.measured import reference_names
from experiments.model_rdms import model_rdms
from experiments.searchlight_groups import _permuted, group_of
from experiments.searchlights import SearchlightConfig, searchlight_maps
from neurodata import InputError, Stimuli
from neurodata.fmri import load_volumes, simulate_bold

N = 16
RADIUS = 2.5


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    random = np.random.default_rng(7)
    path = tmp_path_factory.mktemp("layers") / "net.npz"
    arrays = {name: random.standard_normal((N, 20)) for name in ("shallow", "deep")}
    np.savez(path, **arrays)
    return path, arrays


@pytest.fixture(scope="module")
def folder(layers, tmp_path_factory):
    every = neurodata.default_stimuli()
    shown = Stimuli(every.images[:N], every.ids[:N], every.categories[:N], "digits")
    place = tmp_path_factory.mktemp("recording") / "bold"
    drivers = {"V1": layers[1]["shallow"], "IT": layers[1]["deep"]}
    return simulate_bold(place, shown, drivers, n_subjects=5, signal_to_noise=4.0, n_runs=1, repeats=2)


@pytest.fixture(scope="module")
def written(folder, layers, tmp_path_factory):
    """What the whole says and writes."""
    out = tmp_path_factory.mktemp("maps") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOPLAUSIBLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        maps = searchlight_maps(recording=str(folder), models=(str(layers[0]),), radius=RADIUS, out=out)
    return maps, out


def test_the_peak_of_each_layer_lies_in_the_region_that_it_drives(written, folder):
    maps, out = written
    table = pd.read_csv(out / "tables" / "peaks.csv", keep_default_na=False)
    highest = table[table["rank"] == 1].set_index(["model", "subject"])
    for model, region in (("net/shallow", "V1"), ("net/deep", "IT")):
        row = highest.loc[(model, "")]
        assert row["region"] == region and float(row["r"]) > 0.3
        image = nibabel.load(out / "maps" / f"net-{model[4:]}_r.nii.gz")
        values = np.asarray(image.dataobj)
        inside = np.asarray(nibabel.load(folder / "masks" / f"{region}.nii.gz").dataobj) > 0
        assert inside[np.unravel_index(np.nanargmax(values), values.shape)]
        # the place in mm is that of the voxel, by the file's own affine
        voxel = nibabel.affines.apply_affine(np.linalg.inv(image.affine), row[["x", "y", "z"]].to_numpy(float))
        np.testing.assert_allclose(voxel, row[["i", "j", "k"]].to_numpy(float))
        assert (highest.loc[model]["region"] == region).sum() >= 4
    assert (out / "maps.png").stat().st_size > 1000
    assert json.loads((out / "results.json").read_text())["models"] == ["net/shallow", "net/deep"]


def subjects_of(out):
    """Written maps of single subjects, (n_subjects, n_models, n_voxels)."""
    names = ("shallow", "deep")
    files = [[out / "maps" / f"sub-simulated{n + 1:02d}" / f"net-{name}_r.nii.gz" for name in names] for n in range(5)]
    return np.array([[np.asarray(nibabel.load(path).dataobj, float).ravel() for path in each] for each in files])


def test_p_values_are_of_permuted_conditions_over_all_places_and_models(written, layers, monkeypatch):
    """Regions that were driven are found, places are those of the maps, and what is said is written."""
    maps, out = written
    scores = subjects_of(out)
    everywhere = np.isfinite(scores).all(axis=(0, 1))
    assert maps.p_value is not None
    for index, name in enumerate(("shallow", "deep")):
        found = np.asarray(nibabel.load(out / "maps" / f"net-{name}_neglog10p.nii.gz").dataobj).ravel()
        np.testing.assert_array_equal(np.isfinite(found), everywhere)
        peak = np.nanargmax(scores[:, index].mean(axis=0))
        assert found[peak] > 2 and np.nanmax(found) <= -np.log10(1 / 1001) + 1e-6
        np.testing.assert_allclose(found, -np.log10(maps.p_value[index]).ravel(), rtol=1e-5)
    assert json.loads((out / "results.json").read_text())["p_values"] == maps.tested
    assert "permutations of the conditions" in maps.tested and "other stimuli and these subjects" in maps.tested
    # The mean over subjects that the test works out is the maps'.
    kept = []
    whole = rsa.searchlight_permutations
    monkeypatch.setattr(rsa, "searchlight_permutations", lambda *given: kept.append(whole(*given)) or kept[0])
    rdms = {name: pdist(array, "correlation")[None] for name, array in layers[1].items()}
    _permuted(dataclasses.replace(maps.config, n_draws=19), maps.volumes, everywhere.reshape(12, 12, 8), rdms, None)
    np.testing.assert_allclose(kept[0].mean.T, scores[:, :, everywhere].mean(axis=0), atol=1e-6)


def test_what_flips_of_subjects_say_is_counted_over_all_flips_places_and_models(written):
    """From the written files, with SciPy's t test."""
    maps, out = written
    scores = subjects_of(out)
    signs = np.array(np.meshgrid(*[[1, -1]] * 5)).reshape(5, -1).T
    largest = [np.nanmax(ttest_1samp(scores * sign[:, None, None], 0).statistic) for sign in signs]
    observed = ttest_1samp(scores, 0).statistic
    p_value = (np.array(largest) >= observed[..., None] - 1e-4).mean(axis=-1)
    config, warnings = dataclasses.replace(maps.config, test="subjects"), []
    _, t, found = group_of(config, maps.volumes, maps.by_subject, {}, warnings, None)
    for index, name in enumerate(("shallow", "deep")):
        written_t = np.asarray(nibabel.load(out / "maps" / f"net-{name}_t.nii.gz").dataobj).ravel()
        np.testing.assert_allclose(written_t, observed[index], rtol=1e-3)
        np.testing.assert_allclose(t[index].ravel(), observed[index], rtol=1e-3)
        finite = np.isfinite(observed[index])
        np.testing.assert_allclose(found[index].ravel()[finite], p_value[index][finite], atol=1e-5)
    assert p_value.min() == 1 / 32 and not warnings  # the surest that five subjects allow
    assert "not for other stimuli" in dataclasses.replace(maps, config=config).tested


def test_a_comparator_without_a_test_leaves_p_values_out_and_says_so(written):
    maps, _ = written
    config, warnings = dataclasses.replace(maps.config, comparator="kendall"), []
    rdms = {name: np.arange(N * (N - 1) / 2)[None] for name in maps.models}
    mean, _, p_value = group_of(config, maps.volumes, maps.by_subject, rdms, warnings, None)
    assert mean is not None and p_value is None and "kendall" in warnings[0] and "--test subjects" in warnings[0]


def test_a_place_has_the_correlation_of_the_definition(written, folder, layers):
    """From the file: nilearn's model, the voxels of a sphere, SciPy's distances and rank correlation."""
    maps, out = written
    bold = folder / "sub-simulated02" / "func" / "sub-simulated02_task-objects_run-1_bold.nii.gz"
    confounds = pd.read_csv(str(bold).replace("_bold.nii.gz", "_desc-confounds_timeseries.tsv"), sep="\t")
    events = pd.read_csv(str(bold).replace("_bold.nii.gz", "_events.tsv"), sep="\t")
    centre = np.array([2, 2, 6])
    offsets = np.indices((7, 7, 7)).reshape(3, -1).T - 3
    sphere = centre + offsets[np.linalg.norm(offsets, axis=1) < RADIUS]
    sphere = sphere[((sphere >= 0) & (sphere < (12, 12, 8))).all(axis=1)]
    mask = np.zeros((12, 12, 8), np.uint8)
    mask[tuple(sphere.T)] = 1
    image = nibabel.load(bold)
    fitted = FirstLevelModel(
        t_r=2.0, mask_img=nibabel.Nifti1Image(mask, image.affine), hrf_model="glover", drift_model="cosine", noise_model="ar1",
        signal_scaling=False, minimize_memory=False,
    ).fit(image, events=events, confounds=confounds)  # fmt: skip
    names = [str(each) for each in maps.volumes.stimuli.ids]
    patterns = [fitted.masker_.transform(fitted.compute_contrast(name, output_type="stat")).ravel() for name in names]
    expected = spearmanr(pdist(np.stack(patterns), "correlation"), pdist(layers[1]["deep"], "correlation")).statistic
    found = np.asarray(nibabel.load(out / "maps" / "sub-simulated02" / "net-deep_r.nii.gz").dataobj)[tuple(centre)]
    assert found == pytest.approx(expected, abs=0.02)
    assert expected > 0.2


def test_a_mask_by_its_name_keeps_searchlights_within_it(folder, layers):
    maps = searchlight_maps(
        recording=str(folder), models=(str(layers[0]),), radius=RADIUS, mask="IT", subjects=("simulated02",), n_draws=0
    )
    inside = maps.volumes.regions["IT"][0]
    assert maps.mean is None and np.isnan(maps.by_subject[0][0][~inside]).all()
    assert np.isfinite(maps.by_subject[0][0][inside]).sum() > 10
    assert (maps.peaks["region"] == "IT").all()
    assert any("region 'IT'" in note for note in maps.volumes.notes)


def test_brain_masks_of_fmriprep_are_taken_where_each_run_has_one(folder, tmp_path):
    func = tmp_path / "own" / "derivatives" / "fmriprep" / "sub-simulated01" / "func"
    func.mkdir(parents=True)
    (tmp_path / "own" / "stimuli").symlink_to(folder / "stimuli")
    raw = folder / "sub-simulated01" / "func"
    for path in raw.iterdir():
        name = path.name.replace("_bold.", "_desc-preproc_bold.")
        (func / name).symlink_to(path)
    brain = np.zeros((12, 12, 8), np.uint8)
    brain[2:6, 2:6, 2:6] = 1
    nibabel.Nifti1Image(brain, np.diag([3.0, 3, 3, 1])).to_filename(
        func / "sub-simulated01_task-objects_run-1_desc-brain_mask.nii.gz"
    )
    volumes = load_volumes(tmp_path / "own")
    np.testing.assert_array_equal(volumes.masks[0], brain > 0)
    assert volumes.regions == {} and any("fMRIPrep" in note for note in volumes.notes)


def test_models_by_name_are_what_they_are_called():
    shown = neurodata.default_stimuli()
    found = model_rdms(["category", "pixels"], shown)
    pixels = shown.images.reshape(len(shown.images), -1).astype(float)
    np.testing.assert_allclose(found.rdms["pixels"][0], pdist(pixels, "correlation"), atol=1e-9)
    np.testing.assert_array_equal(found.rdms["category"][0], pdist(shown.categories.astype(int)[:, None]) > 0)
    assert reference_names(shown) == ("pixels", "luminance", "gabor", "hmax", "category")
    tinted = dataclasses.replace(shown, images=shown.images // np.array([1, 2, 3], np.uint8))
    assert reference_names(tinted) == ("pixels", "luminance", "colour_layout", "gabor", "hmax", "category")
    assert reference_names(dataclasses.replace(shown, categories=None, has_pictures=False)) == ()


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"recording": "absent"}, ["absent is no folder", "bold.nii.gz"]),
        ({"models": ("pixles",)}, ["model 'pixles'", "did you mean 'pixels'", ".npz"]),
        ({"models": ("absent.npz",)}, ["absent.npz", "not there"]),
        ({"models": ("{folder}",)}, ["holds no training"]),
        ({"mask": "V7"}, ["region 'V7'", "V1", "NIfTI"]),
        ({"subjects": ("nobody",)}, ["nobody", "simulated01"]),
        ({"comparator": "cosin"}, ["cosin", "cosine"]),
        ({"radius": 0.5}, ["radius=0.5"]),
        ({"models": ("pixels", "pixels")}, ["'pixels' twice"]),
    ],
)
def test_mistakes_are_said_in_one_sentence(folder, fields, parts, monkeypatch):
    given = {"recording": str(folder), "models": ("pixels",), "mask": "IT", **fields}
    if "models" in fields:
        given["models"] = tuple(each.format(folder=folder) for each in fields["models"])
    monkeypatch.setattr(searchlights, "_score", None)  # nothing is computed before the mistake is said
    with pytest.raises(InputError) as caught:
        searchlight_maps(SearchlightConfig(**given))
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_subjects_on_several_grids_have_no_group(written, folder, layers, monkeypatch):
    """Places that are not the same are not averaged."""
    volumes = dataclasses.replace(written[0].volumes, affines=(*written[0].volumes.affines[:-1], np.diag([2.0, 2, 2, 1])))
    monkeypatch.setattr(searchlights, "load_volumes", lambda *_: volumes)
    maps = searchlight_maps(recording=str(folder), models=(str(layers[0]),), radius=RADIUS)
    assert maps.mean is None and "several grids" in maps.warnings[0] and len(maps.by_subject) == 5
