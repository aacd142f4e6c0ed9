"""Estimates against nilearn's own FirstLevelModel, design matrices and images."""

import warnings

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel, make_first_level_design_matrix, run_glm
from nilearn.image import load_img, smooth_img
from nilearn.masking import apply_mask

import rsa
from neurodata import InputError
from neurodata.fmri import FmriOptions, FmriRun, noise_residuals, patterns
from neurodata.fmri import images as images_module
from neurodata.fmri.glm import make_design, matrices
from neurodata.fmri.images import open_bold, read_series


@pytest.fixture
def two(tmp_path, bold):
    """Two runs, a mask, a folder for finished models."""
    return [bold.run(tmp_path, "1"), bold.run(tmp_path, "2")], bold.mask(tmp_path), tmp_path / "cache"


def fit_quietly(model, run):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Generation of a mask", category=RuntimeWarning)
        model.fit(str(run.bold), events=pd.read_csv(run.events, sep="\t"))


def by_nilearn(run, mask, output, **given):
    model = FirstLevelModel(mask_img=mask, signal_scaling=False, minimize_memory=True, **given)
    fit_quietly(model, run)
    kind = {"t": "stat", "beta": "effect_size"}[output]
    return np.stack([apply_mask(model.compute_contrast(name, output_type=kind), mask) for name in "abc"])


@pytest.mark.parametrize("output", ["t", "beta"])
@pytest.mark.parametrize("noise_model", ["ar1", "ols"])
@pytest.mark.parametrize("hrf", ["glover", "spm + derivative"])
def test_least_squares_all_is_the_first_level_model_of_nilearn(two, output, noise_model, hrf):
    runs, mask, cache = two
    options = FmriOptions(output=output, noise_model=noise_model, hrf=hrf)
    found = patterns(runs, {"all": mask}, options, cache)["all"]
    assert found.conditions == ("a", "b", "c") and found.n_channels == (36,)
    for run, ours in zip(runs, found.patterns_by_run()[0], strict=True):
        theirs = by_nilearn(run, mask, output, noise_model=noise_model, hrf_model=hrf, t_r=2.0)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("drift", [{"drift": "polynomial", "drift_order": 2}, {"high_pass": 0.02}, {"drift": "none"}])
def test_drift_models(two, drift):
    runs, mask, cache = two
    ours = patterns(runs, {"all": mask}, FmriOptions(output="beta", **drift), cache)["all"].patterns_by_run()[0][0]
    given = {"drift_model": {"none": None}.get(drift.get("drift", "cosine"), drift.get("drift", "cosine"))}
    given |= {key: drift[key] for key in ("high_pass", "drift_order") if key in drift}
    np.testing.assert_allclose(ours, by_nilearn(runs[0], mask, "beta", t_r=2.0, **given), rtol=1e-3, atol=1e-3)


def test_least_squares_separate_is_one_model_a_trial(two):
    runs, mask, cache = two
    options = FmriOptions(model="lss", output="beta", noise_model="ols", single_trials=True)
    found = patterns(runs[:1], {"all": mask}, options, cache)["all"].datasets[0]
    events = pd.read_csv(runs[0].events, sep="\t")
    series = apply_mask(str(runs[0].bold), mask)
    for condition in "abc":
        for trial, row in enumerate(np.flatnonzero(events["trial_type"] == condition)):
            table = events.assign(trial_type=np.where(np.arange(len(events)) == row, "this", "other"))
            design = make_first_level_design_matrix(np.arange(60) * 2.0, table)
            fit = run_glm(series, design.to_numpy(), noise_model="ols")[1][0.0]
            expected = fit.theta[list(design.columns).index("this")]
            labels = found.obs_descriptors
            ours = found.measurements[(np.array(labels["condition"]) == condition) & (np.array(labels["trial"]) == str(trial + 1))]
            np.testing.assert_allclose(ours[0], expected, rtol=1e-3, atol=1e-3)


def test_trials_of_a_condition_become_their_mean(two):
    runs, mask, cache = two
    single = patterns(runs, {"all": mask}, FmriOptions(model="lss", single_trials=True, noise_model="ols"), cache)["all"]
    mean = patterns(runs, {"all": mask}, FmriOptions(model="lss", noise_model="ols"), cache)["all"]
    assert single.datasets[0].n_obs == 18 and mean.datasets[0].n_obs == 6
    np.testing.assert_allclose(single.patterns()[0], mean.patterns()[0], rtol=1e-10)
    all_together = patterns(runs, {"all": mask}, FmriOptions(noise_model="ols", output="beta"), cache)["all"].patterns()[0]
    separate = patterns(runs, {"all": mask}, FmriOptions(model="lss", noise_model="ols", output="beta"), cache)["all"].patterns()[0]
    assert np.corrcoef(all_together.ravel(), separate.ravel())[0, 1] > 0.9


def test_smoothing_is_that_of_nilearn(two, monkeypatch):
    runs, mask, cache = two
    monkeypatch.setattr(images_module, "BLOCK_BYTES", 48 * 8 * 7)  # volumes come in sevens
    image = open_bold(runs[0].bold, "run")
    voxels = np.flatnonzero(load_img(mask).get_fdata())
    np.testing.assert_allclose(read_series(image, voxels), apply_mask(str(runs[0].bold), mask), rtol=1e-6)
    smooth = apply_mask(smooth_img(str(runs[0].bold), 5.0), mask)
    np.testing.assert_allclose(read_series(image, voxels, 5.0), smooth, rtol=1e-4)
    plain, smoothed = (
        patterns(runs, {"all": mask}, FmriOptions(smoothing_mm=width), cache)["all"].patterns()[0] for width in (None, 5)
    )
    assert not np.allclose(plain, smoothed)


def test_pieces_do_not_change_what_is_estimated(two, monkeypatch):
    runs, mask, cache = two
    whole = patterns(runs, {"all": mask}, cache=cache)["all"].patterns()[0]
    monkeypatch.setattr("neurodata.fmri.glm.CHUNK_BYTES", 8 * 60 * 5)
    np.testing.assert_allclose(
        patterns(runs, {"all": mask}, cache=cache.with_name("other"))["all"].patterns()[0], whole, rtol=1e-10
    )


def test_standardised_time_courses(two):
    runs, mask, cache = two
    plain, scored, percent = (
        patterns(runs, {"all": mask}, FmriOptions(output="beta", noise_model="ols", standardize=how), cache)[
            "all"
        ].patterns_by_run()[0][0]
        for how in ("none", "zscore_sample", "psc")
    )
    series = apply_mask(str(runs[0].bold), mask)
    np.testing.assert_allclose(scored, plain / series.std(axis=0, ddof=1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(percent, 100 * plain / series.mean(axis=0), rtol=1e-3, atol=1e-4)


def test_blocks_are_means_of_volumes_without_drift(two):
    runs, mask, cache = two
    table = pd.DataFrame({"onset": [8.0, 40.0, 80.0], "duration": [12.0, 8.0, 16.0], "trial_type": ["a", "b", "c"]})
    run = FmriRun(runs[0].bold, table)
    options = FmriOptions(model="block", drift="polynomial", drift_order=1, standardize="zscore_sample")
    ours = patterns([run], {"all": mask}, options, cache)["all"].patterns()[0]
    series = apply_mask(str(run.bold), mask)
    line = np.stack([np.ones(60), np.arange(60)], axis=1)
    left = series - line @ np.linalg.lstsq(line, series, rcond=None)[0]
    left /= left.std(axis=0, ddof=1)
    np.testing.assert_allclose(ours, [left[4:10].mean(0), left[20:24].mean(0), left[40:48].mean(0)], atol=1e-3)
    later = patterns([run], {"all": mask}, FmriOptions(**{**vars(options), "block_delay": 4.0}), cache)["all"].patterns()[0]
    np.testing.assert_allclose(later, [left[6:12].mean(0), left[22:26].mean(0), left[42:50].mean(0)], atol=1e-3)


def test_residuals_have_the_scatter_and_freedom_of_the_model(two):
    runs, mask, cache = two
    options = FmriOptions(output="beta", noise_model="ols")
    left = noise_residuals(runs, {"all": mask}, options)["all"]["01"]
    model = FirstLevelModel(mask_img=mask, signal_scaling=False, minimize_memory=False, noise_model="ols", t_r=2.0)
    fit_quietly(model, runs[0])
    np.testing.assert_allclose(left.values[:60], apply_mask(model.residuals_[0], mask), atol=1e-3)
    assert left.values.shape == (120, 36)
    assert left.degrees_of_freedom == 120 - 2 * model.design_matrices_[0].shape[1]
    assert rsa.noise_precision(left.values, degrees_of_freedom=left.degrees_of_freedom).shape == (36, 36)
    scaled = noise_residuals(runs, {"all": mask}, FmriOptions(noise_model="ols"))["all"]["01"]
    variance = np.square(scaled.values[:60]).sum(axis=0) / (60 - model.design_matrices_[0].shape[1])
    np.testing.assert_allclose(variance, 1.0, rtol=1e-4)  # of t values, whose unit is the noise


def test_residuals_lie_in_the_voxels_of_the_patterns(two, bold, tmp_path):
    runs, mask, cache = two
    values = np.array(load_img(str(runs[1].bold)).get_fdata(), dtype=np.float32)
    values[2, 1] = 7.0
    bold.volume(runs[1].bold, values)
    with pytest.warns(UserWarning, match="3 of 36 voxels of region 'all' of subject '01' are constant"):
        found = patterns(runs, {"all": mask}, cache=cache)["all"]
    assert found.n_channels == (33,)
    assert noise_residuals(runs, {"all": mask})["all"]["01"].values.shape == (120, 33)
    places = found.datasets[0].channel_descriptors
    assert not ((places["i"] == 2) & (places["j"] == 1)).any()


def test_two_regions_and_two_subjects(two, bold, tmp_path):
    runs, mask, cache = two
    (tmp_path / "other").mkdir()
    others = [
        FmriRun(run.bold, run.events, subject="02", run=run.run)
        for run in (bold.run(tmp_path / "other", "3"), bold.run(tmp_path / "other", "4"))
    ]
    part = np.zeros((4, 4, 3), dtype=np.uint8)
    part[1, 2] = 1
    small = bold.volume(tmp_path / "small.nii.gz", part)
    found = patterns([*runs, *others], {"all": mask, "small": {"01": small, "sub-02": mask}}, cache=cache)
    assert found["all"].subjects == ("01", "02") and found["small"].n_channels == (3, 36)
    inside = np.flatnonzero(part[1:].ravel())
    np.testing.assert_array_equal(found["small"].patterns()[0], found["all"].patterns()[0][:, inside])
    np.testing.assert_array_equal(found["small"].patterns()[1], found["all"].patterns()[1])
    alone = patterns(runs, {"small": small}, cache=cache)["small"].patterns()[0]
    np.testing.assert_allclose(alone, found["small"].patterns()[0], rtol=1e-10)


def test_conditions_asked_for_come_in_their_order_and_others_are_modelled(two):
    runs, mask, cache = two
    every = patterns(runs, {"all": mask}, cache=cache)["all"]
    turned = patterns(runs, {"all": mask}, FmriOptions(conditions=["c", "a", "b"]), cache)["all"]
    assert turned.conditions == ("c", "a", "b")
    np.testing.assert_allclose(turned.patterns()[0], every.patterns()[0][[2, 0, 1]], rtol=1e-8)
    events = pd.read_csv(runs[0].events, sep="\t")
    asked, others = events[events["trial_type"] != "a"], events[events["trial_type"] == "a"]
    design = make_design(asked, others, np.arange(60) * 2.0, np.empty((60, 0)), FmriOptions(), "events")
    assert next(matrices(design, FmriOptions()))[0].shape[1] == 3 + design.nuisance.shape[1] - 1


def test_runs_may_lack_conditions_where_that_is_allowed(two):
    runs, mask, cache = two
    table = pd.read_csv(runs[1].events, sep="\t")
    short = FmriRun(runs[1].bold, table[table["trial_type"] != "b"], run="2")
    found = patterns([runs[0], short], {"all": mask}, FmriOptions(allow_missing=True), cache)["all"]
    assert found.datasets[0].n_obs == 5 and found.patterns()[0].shape == (3, 36)
    with pytest.raises(InputError, match="no event of 'b'"):
        patterns([runs[0], short], {"all": mask}, cache=cache)


def test_a_run_may_be_part_of_a_file(two, bold, tmp_path):
    runs, mask, cache = two
    both = np.concatenate([load_img(str(run.bold)).get_fdata() for run in runs], axis=-1)
    joined = bold.volume(tmp_path / "joined.nii.gz", both.astype(np.float32))
    parts = [
        FmriRun(joined, run.events, run=run.run, volumes=(start, start + 60)) for run, start in zip(runs, (0, 60), strict=True)
    ]
    apart = patterns(runs, {"all": mask}, cache=cache)["all"].patterns_by_run()[0]
    np.testing.assert_allclose(patterns(parts, {"all": mask}, cache=cache)["all"].patterns_by_run()[0], apart, rtol=1e-6)
    alike = [FmriRun(joined, runs[0].events, run=part.run, volumes=part.volumes) for part in parts]
    first, second = patterns(alike, {"all": mask}, cache=cache)["all"].patterns_by_run()[0]
    assert not np.allclose(first, second)  # finished models are known by their volumes too


def test_confounds_are_taken_out(two):
    runs, mask, cache = two
    image = load_img(str(runs[0].bold))
    motion = pd.DataFrame({"trans_x": np.sin(np.arange(60)), "rot_z": np.arange(60) % 7, "csf": 0.0})
    moved = image.get_fdata() + 40 * motion["trans_x"].to_numpy() + 9 * motion["rot_z"].to_numpy()
    path = mask.with_name("moved.nii.gz")
    moved_image = nibabel.Nifti1Image(moved.astype(np.float32), image.affine, image.header)
    moved_image.to_filename(path)
    table = mask.with_name("confounds.tsv")
    motion.to_csv(table, sep="\t", index=False, na_rep="n/a")
    expected, found = (
        patterns([FmriRun(file, runs[0].events, table)], {"all": mask}, FmriOptions(output="beta", noise_model="ols"), cache)[
            "all"
        ].patterns()[0]
        for file in (runs[0].bold, path)
    )
    np.testing.assert_allclose(found, expected, atol=2e-3)
    ignored = patterns(
        [FmriRun(path, runs[0].events, table)], {"all": mask}, FmriOptions(output="beta", noise_model="ols", confounds=[]), cache
    )
    assert np.abs(ignored["all"].patterns()[0] - expected).max() > 1


def test_a_model_is_fitted_once_and_again_when_the_file_changes(two, monkeypatch):
    runs, mask, cache = two
    first = patterns(runs, {"all": mask}, cache=cache)["all"].patterns()[0]
    moved = [FmriRun(run.bold.rename(run.bold.with_name("moved_" + run.bold.name)), run.events, run=run.run) for run in runs]

    def forbidden(*_):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr("neurodata.fmri.estimation.read_series", forbidden)
        np.testing.assert_array_equal(patterns(moved, {"all": mask}, cache=cache)["all"].patterns()[0], first)
        with pytest.raises(AssertionError, match="read again"):
            patterns(moved, {"all": mask}, FmriOptions(output="beta"), cache)
    image = load_img(str(moved[0].bold))
    changed = nibabel.Nifti1Image(image.get_fdata()[::-1].astype(np.float32), image.affine, image.header)
    changed.to_filename(moved[0].bold)
    assert not np.allclose(patterns(moved, {"all": mask}, cache=cache)["all"].patterns()[0], first)


def test_the_repetition_time_and_the_moment_of_a_volume_count(two, bold, tmp_path):
    runs, mask, cache = two
    (tmp_path / "run-1_bold.json").write_text('{"RepetitionTime": 2.0, "StartTime": 1.0}')
    ours = patterns(runs[:1], {"all": mask}, FmriOptions(output="beta"), cache)["all"].patterns()[0]
    theirs = by_nilearn(runs[0], mask, "beta", t_r=2.0, slice_time_ref=0.5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    stated = patterns(runs[:1], {"all": mask}, FmriOptions(output="beta", slice_time_reference=0.0, repetition_time=2), cache)[
        "all"
    ]
    np.testing.assert_allclose(stated.patterns()[0], by_nilearn(runs[0], mask, "beta", t_r=2.0), rtol=1e-3, atol=1e-3)


def test_a_drift_that_takes_the_signal_is_noted(two):
    runs, mask, cache = two
    table = pd.DataFrame({"onset": [10.0, 40.0, 80.0], "duration": 25.0, "trial_type": ["a", "b", "c"]})
    run = FmriRun(runs[0].bold, table)
    with pytest.warns(UserWarning, match="the cosine drift takes [0-9]+% of the variance of '.', .* lower high_pass"):
        patterns([run], {"all": mask}, FmriOptions(high_pass=0.02), cache)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patterns([run], {"all": mask}, FmriOptions(high_pass=0.001), cache)
