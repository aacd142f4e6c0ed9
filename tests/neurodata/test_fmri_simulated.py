"""What is planted in simulated BOLD files comes back through the pipeline, and nothing else does."""

import hashlib
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

import neurodata
import rsa
from neurodata import InputError, Recording, Stimuli
from neurodata.fmri import FmriOptions, from_bids, is_fmri_folder, load_fmri_folder, noise_residuals, patterns, simulate_bold
from neurodata.simulated import driver_features

DRIVERS = {"early": "gabor_energy", "late": "category"}


@pytest.fixture(scope="module")
def shown() -> Stimuli:
    every = neurodata.default_stimuli()
    return Stimuli(every.images[::5], every.ids[::5], every.categories[::5], "digits")


@pytest.fixture(scope="module")
def planted(shown, tmp_path_factory) -> Path:
    return simulate_bold(tmp_path_factory.mktemp("planted") / "recording", shown, DRIVERS, n_subjects=2, signal_to_noise=1.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def truth(region: str, shown: Stimuli) -> np.ndarray:
    return pdist(driver_features(region, DRIVERS[region], shown)[1], "sqeuclidean")


def whitened_distances(folder: Path, region: str, options: FmriOptions, cache: Path) -> list[np.ndarray]:
    """Crossnobis of each subject, from the files."""
    runs, masks = from_bids(folder), {region: folder / "masks" / f"{region}.nii.gz"}
    left = noise_residuals(runs, masks, options)[region]
    found = patterns(runs, masks, options, cache)[region]
    noise = [rsa.noise_precision(each.values, degrees_of_freedom=each.degrees_of_freedom) for each in left.values()]
    return [rsa.crossnobis(values, one) for values, one in zip(found.patterns_by_run(), noise, strict=True)]


@pytest.mark.parametrize("options", [{}, {"output": "beta"}, {"model": "lss", "noise_model": "ols"}], ids=str)
@pytest.mark.parametrize("region", list(DRIVERS))
def test_the_planted_geometry_comes_back_from_the_files(planted, shown, cache, options, region):
    conditions = tuple(map(str, shown.ids))
    found = whitened_distances(planted, region, FmriOptions(conditions=conditions, **options), cache)
    agreement = [spearmanr(each, truth(region, shown)).statistic for each in found]
    other = next(each for each in DRIVERS if each != region)
    assert min(agreement) > 0.4
    assert np.mean(agreement) > np.mean([spearmanr(each, truth(other, shown)).statistic for each in found]) + 0.3


def test_a_null_recording_gives_nothing(shown, tmp_path):
    folder = simulate_bold(tmp_path / "null", shown, DRIVERS, n_subjects=3, signal_to_noise=0.0)
    conditions = tuple(map(str, shown.ids))
    distances, agreement = [], []
    for region in DRIVERS:
        found = whitened_distances(
            folder, region, FmriOptions(conditions=conditions, output="beta", noise_model="ols"), tmp_path / "cache"
        )
        distances += [each.mean() / each.std() for each in found]
        agreement += [spearmanr(each, truth(region, shown)).statistic for each in found]
    assert abs(np.mean(distances)) < 3 * np.std(distances) / np.sqrt(len(distances)) + 0.05
    assert abs(np.mean(agreement)) < 0.2


def test_least_squares_separate_and_all_agree_in_the_mean_where_events_are_apart(shown, tmp_path):
    folder = simulate_bold(tmp_path / "sparse", shown, {"early": "gabor_energy"}, n_subjects=1, n_runs=2, interval=12.0)
    runs, masks = from_bids(folder), {"early": folder / "masks" / "early.nii.gz"}
    together, separate = (
        patterns(runs, masks, FmriOptions(model=model, output="beta", noise_model="ols"), tmp_path / "cache")["early"]
        .patterns()[0]
        .ravel()
        for model in ("lsa", "lss")
    )
    assert np.corrcoef(together, separate)[0, 1] > 0.98
    slope, offset = np.polyfit(together, separate, 1)
    assert slope == pytest.approx(1.0, abs=0.05) and abs(offset) < 0.05 * together.std()


def test_confounds_explain_motion_and_spikes(planted):
    runs, masks = from_bids(planted), {"early": planted / "masks" / "early.nii.gz"}
    with_confounds, still_moved, without = (
        noise_residuals(runs[:1], masks, FmriOptions(output="beta", noise_model="ols", confounds=chosen))["early"]["simulated01"]
        for chosen in (None, ["motion_outlier*"], [])
    )
    variances = (np.square(each.values).sum() / 64 / each.degrees_of_freedom for each in (with_confounds, still_moved, without))
    clean, moved, dirty = variances
    assert dirty > 1.3 * moved > 1.3 * 1.1 * clean
    assert np.sqrt(clean) / 10 == pytest.approx(1.0, abs=0.15)  # a standard deviation of one, in units of the files


def test_noise_depends_on_the_volume_before(shown, tmp_path):
    folder = simulate_bold(tmp_path / "long", shown, {"early": "gabor_energy"}, n_subjects=1, n_runs=1, repeats=10)
    masks = {"early": folder / "masks" / "early.nii.gz"}
    left = noise_residuals(from_bids(folder), masks, FmriOptions(output="beta", noise_model="ols"))["early"]["simulated01"].values
    along = np.sum(left[1:] * left[:-1]) / np.sum(np.square(left))
    assert 0.1 < along < 0.3  # 0.3 less what slow regressors take out


def test_files_are_bids_and_say_that_no_brain_was_measured(planted, shown):
    assert is_fmri_folder(planted) and not is_fmri_folder(planted / "stimuli")
    assert "simulated" in json.loads((planted / "dataset_description.json").read_text())["Name"]
    settings = yaml.safe_load((planted / "recording.yaml").read_text())
    assert settings["modality"] == "simulated fmri" and settings["truth"] == DRIVERS and "no brain" in settings["notes"]
    runs = from_bids(planted)
    assert len(runs) == 8 and all("simulated" in run.subject for run in runs)
    image = nibabel.load(runs[0].bold)
    assert image.shape[:3] == (12, 12, 8) and image.header.get_zooms()[3] == 2.0
    confounds = pd.read_csv(runs[0].confounds, sep="\t")
    assert len(confounds) == image.shape[3] and confounds.filter(like="motion_outlier").sum().sum() == 2
    assert set(pd.read_csv(runs[0].events, sep="\t")["trial_type"]) == set(map(str, shown.ids))
    assert sorted(path.stem for path in (planted / "stimuli").iterdir()) == sorted(map(str, shown.ids))


def digest(folder: Path) -> str:
    """Of everything but gzip's headers, which hold names and times."""
    parts = [
        np.asarray(nibabel.load(path).dataobj).tobytes() if path.name.endswith(".nii.gz") else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_a_seed_repeats_everything(shown, tmp_path):
    given = {"n_subjects": 1, "n_runs": 1, "repeats": 1}
    one, again, other = (
        digest(simulate_bold(tmp_path / name, shown, DRIVERS, seed=seed, **given)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == again != other


def test_simulations_that_make_no_sense(shown, tmp_path):
    for given, expected in [
        ({"n_runs": 0}, "n_runs is 0"),
        ({"signal_to_noise": -1.0}, "signal_to_noise is -1"),
        ({"repetition_time": 0.0}, "repetition_time is 0"),
        ({"name": "recording"}, "to contain 'simulated'"),
    ]:
        with pytest.raises(InputError, match=expected):
            simulate_bold(tmp_path / "new", shown, DRIVERS, **given)
    with pytest.raises(InputError, match="unknown stage 'gabor'"):
        simulate_bold(tmp_path / "new", shown, {"V1": "gabor"})
    with pytest.raises(InputError, match="cannot be a file's"):
        simulate_bold(tmp_path / "new", shown, {"V1/V2": "gabor_energy"})
    with pytest.raises(InputError, match="19 regions in a simulated volume of 18 boxes"):
        simulate_bold(tmp_path / "new", shown, {f"r{i}": "gabor_energy" for i in range(19)})
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("")
    with pytest.raises(InputError, match="is there already"):
        simulate_bold(tmp_path / "used", shown, DRIVERS)
    assert {path.name for path in tmp_path.iterdir()} == {"used"}


# a user's folder


def test_a_folder_gives_patterns_in_the_order_of_its_stimuli(planted, shown, cache):
    regions, notes = load_fmri_folder(planted, {}, shown, cache)
    assert list(regions) == ["early", "late"] and "t of lsa" in notes[0]
    assert regions["early"].conditions == tuple(map(str, shown.ids))
    assert regions["early"].patterns_by_run()[0].shape == (4, 12, 64)
    order = np.random.default_rng(0).permutation(12)
    turned = Stimuli(shown.images[order], shown.ids[order])
    again, _ = load_fmri_folder(planted, {"task": "objects"}, turned, cache)
    assert again["early"].conditions == tuple(map(str, turned.ids))
    np.testing.assert_allclose(again["early"].patterns()[0], regions["early"].patterns()[0][order], rtol=1e-8)
    geometry = squareform(pdist(np.mean([pdist(each) for each in regions["early"].patterns()], axis=0)[:, None]))
    assert geometry.shape == (66, 66)


def test_a_folder_becomes_a_recording_that_can_be_saved(planted, shown, cache, tmp_path):
    regions, notes = load_fmri_folder(planted, {}, shown, cache)
    made = Recording("mine", shown, "simulated fmri", regions, notes=" ".join(notes))
    found = neurodata.load(neurodata.save(made, tmp_path / "saved"))
    np.testing.assert_array_equal(found.regions["late"].patterns_by_run()[1], made.regions["late"].patterns_by_run()[1])


def test_options_and_regions_stated_in_a_folder(planted, shown, cache, tmp_path):
    stated = {
        "output": "beta",
        "smoothing_mm": 4,
        "confounds": ["trans_x", "motion_outlier*"],
        "regions": {"V1": "masks/early.nii.gz", "V2": {"image": "masks/late.nii.gz", "label": 1}},
    }
    regions, notes = load_fmri_folder(planted, stated, shown, cache)
    assert list(regions) == ["V1", "V2"] and "beta of lsa" in notes[0]
    copy = Path(shutil.copytree(planted, tmp_path / "copy"))
    for subject in ("simulated01", "simulated02"):
        (copy / "masks" / f"sub-{subject}").mkdir()
        shutil.copy(copy / "masks" / "early.nii.gz", copy / "masks" / f"sub-{subject}" / "own.nii.gz")
    regions, _ = load_fmri_folder(copy, {}, shown, cache)
    np.testing.assert_allclose(regions["own"].patterns()[1], regions["early"].patterns()[1], rtol=1e-12)
    shutil.copy(copy / "masks" / "early.nii.gz", copy / "masks" / "sub-simulated01" / "late.nii.gz")
    with pytest.raises(InputError, match="are both of region 'late'"):
        load_fmri_folder(copy, {}, shown, cache)
    shutil.rmtree(copy / "masks")
    with pytest.raises(InputError, match="no mask found in"):
        load_fmri_folder(copy, {}, shown, cache)


def test_what_is_stated_wrongly_in_a_folder(planted, shown):
    for stated, expected in [
        ({"modle": "lss", "spcae": "MNI"}, "'modle' .did you mean 'model'.., 'spcae' .did you mean 'space'"),
        ({"model": "lsd"}, "recording.yaml: unknown model 'lsd'"),
        ({"high_pass": "low"}, "option 'high_pass' of 'fmri' was given 'low', expected a number"),
        ({"confounds": "trans_x"}, "expected a list of names"),
        ({"single_trials": 1}, "expected true or false"),
        ({"regions": {"V1": 3}}, "region 'V1' is 3; expected a mask's path"),
        ({"regions": {"V1": "masks/gone.nii.gz"}}, "gone.nii.gz is not there"),
        ({"task": "rest"}, "unknown task"),
    ]:
        with pytest.raises(InputError, match=expected) as caught:
            load_fmri_folder(planted, stated, shown)
        assert str(planted) in str(caught.value) and "\n" not in str(caught.value)
    other = Stimuli(shown.images, np.array([f"object_{i}" for i in range(12)]))
    with pytest.raises(InputError, match="has no event of 'object_0' .12 of 12"):
        load_fmri_folder(planted, {}, other)
