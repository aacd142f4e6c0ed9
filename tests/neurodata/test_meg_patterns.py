"""The pipeline against MNE's own averages and closed forms, on small files."""

from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from meg_files import CODES, N_REPEATS, PLAIN, RATE, make_raw, reference, write
from sklearn.covariance import ShrunkCovariance, ledoit_wolf
from sklearn.model_selection import GridSearchCV, GroupKFold

from neurodata import InputError, Stimuli
from neurodata.meg import MegRun, find_runs, load_meg_folder, patterns
from neurodata.meg.fingerprints import contents_of
from neurodata.meg.normalisation import baseline_covariance, epoch_covariance, likeliest_shrinkage, normaliser

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def path(tmp_path) -> Path:
    return write(make_raw(), tmp_path / "anna_raw.fif")


def test_averages_are_mnes(path):
    regions, times = patterns([MegRun(path)], PLAIN)
    expected = reference(path)
    np.testing.assert_allclose(times, expected.times, atol=1e-7)
    assert set(regions) == {"magnetometers", "gradiometers"}
    for region, kind in (("magnetometers", "mag"), ("gradiometers", "grad")):
        dataset = regions[region].datasets[0]
        assert dataset.channel_descriptors["channel"] == [expected.ch_names[i] for i in mne.pick_types(expected.info, meg=kind)]
        assert dataset.obs_descriptors["n_trials"] == [N_REPEATS] * 4
        for row, condition in enumerate(CODES):
            average = expected[condition].average().get_data(picks=kind)
            np.testing.assert_allclose(dataset.measurements[row], average, atol=1e-9 * average.std())


def test_events_of_every_kind_are_the_same(path, tmp_path):
    raw = mne.io.read_raw_fif(path, verbose="error")
    events = mne.find_events(raw, verbose="error")
    names = {code: name for name, code in CODES.items()}
    table = pd.DataFrame(
        {"onset": (events[:, 0] - raw.first_samp) / RATE, "duration": 0.0, "trial_type": [names[code] for code in events[:, 2]]}
    )
    table.loc[len(table)] = [0.2, 0.0, "n/a"]
    table.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    epochs = reference(path)
    epochs.save(tmp_path / "anna_epo.fif", verbose="error")
    by_channel, _ = patterns([MegRun(path)], PLAIN)
    triggers = {name: code - 2 for name, code in CODES.items()}
    others = {
        "array": (MegRun(path, events), PLAIN),
        "table": (MegRun(path, tmp_path / "events.tsv"), replace(PLAIN, event_id=None)),
        "offset": (MegRun(path), replace(PLAIN, event_id=triggers, event_offset=2)),
        "epochs": (MegRun(tmp_path / "anna_epo.fif"), replace(PLAIN, event_id=None)),
    }
    for run, options in others.values():
        found, _ = patterns([run], options)
        for region in by_channel:
            assert found[region].conditions == tuple(CODES)
            np.testing.assert_allclose(found[region].patterns()[0], by_channel[region].patterns()[0], rtol=1e-5, atol=1e-16)
    numbers, _ = patterns([MegRun(path)], replace(PLAIN, event_id=None))
    assert numbers["magnetometers"].conditions == ("3", "7", "8", "12")


def test_runs_and_subjects_stay_apart(tmp_path):
    paths = [write(make_raw(seed), tmp_path / f"{seed}_raw.fif") for seed in range(4)]
    runs = [MegRun(path, subject="ab"[index // 2], run=str(index % 2)) for index, path in enumerate(paths)]
    regions, _ = patterns(runs, PLAIN)
    region = regions["gradiometers"]
    assert region.subjects == ("a", "b") and region.patterns_by_run()[0].shape == (2, 41, 4, 8)
    for index, path in enumerate(paths):
        alone = patterns([MegRun(path)], PLAIN)[0]["gradiometers"].patterns()[0]
        np.testing.assert_array_equal(region.patterns_by_run()[index // 2][index % 2], alone)


def test_pseudo_trials_are_dealt_evenly_and_by_seed(tmp_path):
    runs = [MegRun(write(make_raw(seed), tmp_path / f"{seed}_raw.fif"), run=str(seed)) for seed in range(2)]
    options = replace(PLAIN, pseudo_trials=5)
    region = patterns(runs, options)[0]["magnetometers"]
    dataset = region.datasets[0]
    assert list(dict.fromkeys(dataset.obs_descriptors["run"])) == [f"pseudo-trial {index}" for index in range(1, 6)]
    assert sorted(dataset.obs_descriptors["n_trials"]) == [2] * 12 + [3] * 8  # twelve trials of each condition
    weights = np.array(dataset.obs_descriptors["n_trials"]).reshape(5, 4)
    by_group = dataset.measurements.reshape(5, 4, *dataset.measurements.shape[1:])
    together = np.einsum("gc,gc...->c...", weights, by_group) / 12
    everything = patterns(runs, PLAIN)[0]["magnetometers"].patterns_by_run()[0].mean(axis=0)
    np.testing.assert_allclose(np.moveaxis(together, -1, 0), everything, atol=1e-22)
    again, other = (patterns(runs, replace(options, seed=seed))[0]["magnetometers"].datasets[0].measurements for seed in (0, 1))
    np.testing.assert_array_equal(again, dataset.measurements)
    assert not np.allclose(other, dataset.measurements, rtol=1e-3, atol=0)
    with pytest.raises(InputError, match="_raw.fif.*condition 'apple' has 12 clean trials for 13 pseudo-trials"):
        patterns(runs, replace(PLAIN, pseudo_trials=13))


def test_conditions_that_are_dealt_over_runs_need_pseudo_trials(tmp_path):
    halves = [tuple(CODES.values())[:3], tuple(CODES.values())[1:]]
    runs = [MegRun(write(make_raw(i, codes=half), tmp_path / f"{i}_raw.fif"), run=str(i)) for i, half in enumerate(halves)]
    with pytest.raises(
        InputError, match=r"0_raw.fif has no event of 1 of 4 conditions: the first is 'door', code 12.*state pseudo_trials"
    ):
        patterns(runs, PLAIN)
    assert patterns(runs, replace(PLAIN, pseudo_trials=3))[0]["gradiometers"].n_conditions == 4


def test_whitened_noise_is_white(tmp_path):
    path = write(make_raw(), tmp_path / "r_raw.fif")
    epochs = reference(path)
    data = epochs.get_data(picks="grad")
    codes = epochs.events[:, 2]
    errors = data - np.stack([data[codes == code].mean(axis=0) for code in codes])
    flat = np.moveaxis(errors, 1, -1).reshape(-1, 8) * np.sqrt(24 / 20)
    away = {}
    for normalisation in ("multivariate", "univariate"):
        region = patterns([MegRun(path)], replace(PLAIN, noise_normalisation=normalisation))[0]["gradiometers"]
        plain = patterns([MegRun(path)], PLAIN)[0]["gradiometers"].patterns()[0]
        matrix = np.linalg.lstsq(plain.reshape(-1, 8), region.patterns()[0].reshape(-1, 8), rcond=None)[0]
        covariance = np.cov(flat @ matrix, rowvar=False)
        # shrunk eigenvalues are not those of these few residuals, variances are
        assert np.diag(covariance).mean() == pytest.approx(1.0, abs=0.2 if normalisation == "multivariate" else 0.01)
        away[normalisation] = np.abs(covariance - np.diag(np.diag(covariance))).mean()
    assert away["multivariate"] < away["univariate"] / 2


def test_epoch_covariance_is_the_mean_of_shrunk_ones():
    generator = np.random.default_rng(1)
    mixing = generator.standard_normal((5, 5))
    conditions = np.repeat(np.arange(8), 30)
    trials = np.einsum("cd,ndt->nct", mixing, generator.standard_normal((240, 5, 7))) * 1e-13
    trials += generator.standard_normal((8, 5, 7))[conditions] * 1e-12  # what is evoked is no noise
    found = epoch_covariance(trials, conditions)
    errors = trials - np.stack([trials[conditions == each].mean(axis=0) for each in range(8)])[conditions]
    expected = np.mean([ledoit_wolf(1e13 * errors[:, :, time], assume_centered=True)[0] for time in range(7)], axis=0)
    np.testing.assert_allclose(1e26 * found, expected * 240 / 232, rtol=1e-9)
    truth = mixing @ mixing.T
    assert np.abs(1e26 * found - truth).max() < 0.15 * np.abs(truth).max()
    np.testing.assert_allclose(normaliser(found, "multivariate") @ found @ normaliser(found, "multivariate"), np.eye(5), atol=1e-9)


def test_shrinkage_is_what_scikit_learn_finds_and_grows_when_samples_depend():
    generator = np.random.default_rng(2)
    mixing = generator.standard_normal((12, 12))
    independent = generator.standard_normal((10, 40, 12)) @ mixing
    dependent = np.repeat(independent[:, ::8], 8, axis=1)
    trials = np.repeat(np.arange(10), 40)
    found = []
    for samples in (independent.reshape(-1, 12), dependent.reshape(-1, 12)):
        grid = {"shrinkage": np.logspace(-2.5, 0.0, 11)}
        search = GridSearchCV(ShrunkCovariance(assume_centered=True), grid, cv=GroupKFold(5)).fit(samples, groups=trials)
        found.append(likeliest_shrinkage(samples, trials))
        assert found[-1] == pytest.approx(search.best_params_["shrinkage"])
    assert found[1] > found[0]
    covariance = baseline_covariance(np.moveaxis(independent, 1, 2))
    assert np.trace(covariance) == pytest.approx(np.trace(mixing @ mixing.T), rel=0.1)


def test_directions_without_data_stay_empty():
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    covariance = basis[:, :3] @ np.diag([1.0, 4.0, 9.0]) @ basis[:, :3].T
    matrix = normaliser(covariance, "multivariate")
    np.testing.assert_allclose(matrix @ covariance @ matrix, basis[:, :3] @ basis[:, :3].T, atol=1e-9)
    assert np.abs(matrix @ basis[:, 3]).max() < 1e-9


def test_filter_and_decimation_are_mnes(path):
    options = replace(PLAIN, l_freq=0.5, h_freq=10.0, decimate=4)
    regions, times = patterns([MegRun(path)], options)
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
    events = mne.find_events(raw, verbose="error")
    raw.filter(0.5, 10.0, verbose="error")
    expected = mne.Epochs(raw, events, CODES, -0.1, 0.3, preload=True, verbose="error").decimate(4, verbose="error")
    np.testing.assert_allclose(times, expected.times, atol=1e-7)
    average = np.stack([expected[name].average().get_data(picks="grad") for name in CODES])
    np.testing.assert_allclose(np.moveaxis(regions["gradiometers"].patterns()[0], 0, -1), average, atol=1e-9 * average.std())
    whole = mne.Epochs(raw, events, CODES, -0.1, 0.3, preload=True, verbose="error")
    whole.save(path.with_name("whole_epo.fif"), verbose="error")
    again, _ = patterns([MegRun(path.with_name("whole_epo.fif"))], replace(PLAIN, event_id=None, decimate=4))
    np.testing.assert_allclose(again["gradiometers"].patterns()[0], regions["gradiometers"].patterns()[0], rtol=1e-4, atol=1e-16)


def test_one_type_alone_is_filtered_for_decimation(path):
    regions, _ = patterns([MegRun(path)], replace(PLAIN, h_freq=10.0, decimate=4, channel_types=("mag",)))
    both, _ = patterns([MegRun(path)], replace(PLAIN, h_freq=10.0, decimate=4))
    assert list(regions) == ["magnetometers"]
    np.testing.assert_array_equal(regions["magnetometers"].patterns()[0], both["magnetometers"].patterns()[0])


def test_fingerprints_are_of_this_run_alone(tmp_path):
    names = ("sub-1_run-1_meg.fif", "sub-1_run-1_events.tsv", "sub-1_run-10_meg.fif", "sub-1_run-2_split-01_meg.fif",
             "sub-1_run-2_split-02_meg.fif", "long_raw.fif", "long_raw-1.fif", "short_raw.fif")  # fmt: skip
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "sub-1_run-3_meg.ds").mkdir()
    (tmp_path / "sub-1_run-3_meg.ds" / "data.meg4").write_text("ctf")
    for index, expected in ((0, names[:2][::-1]), (3, names[3:5]), (5, names[5:7][::-1]), (7, names[7:])):
        found = {each.split()[0].removeprefix("./") for each in contents_of(MegRun(tmp_path / names[index]))}
        assert found == set(expected)
    assert [each.split()[0] for each in contents_of(MegRun(tmp_path / "sub-1_run-3_meg.ds"))] == ["data.meg4"]


def test_rejected_trials_do_not_count(tmp_path):
    path = write(make_raw(artefacts=3), tmp_path / "a_raw.fif")
    dataset = patterns([MegRun(path)], replace(PLAIN, reject={"grad": 1e-8}))[0]["gradiometers"].datasets[0]
    assert sum(dataset.obs_descriptors["n_trials"]) == 21
    assert np.abs(dataset.measurements).max() < 1e-9


def test_bad_channels_of_any_run_are_left_out(tmp_path):
    runs = []
    for seed, bad in enumerate(("MEG0113", "MEG0121")):
        raw = make_raw(seed)
        raw.info["bads"] = [bad]
        runs.append(MegRun(write(raw, tmp_path / f"{seed}_raw.fif"), run=str(seed)))
    regions, _ = patterns(runs, PLAIN)
    assert regions["gradiometers"].n_channels == (7,) and regions["magnetometers"].n_channels == (3,)


def test_same_content_is_not_read_again(path, tmp_path, monkeypatch, own_cache):
    first, _ = patterns([MegRun(path)], PLAIN)
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    path.rename(moved)

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("neurodata.meg.pipeline.epochs_and_notes", refuse)
    again, _ = patterns([MegRun(moved)], PLAIN)
    np.testing.assert_array_equal(first["gradiometers"].patterns()[0], again["gradiometers"].patterns()[0])
    for options in (replace(PLAIN, tmax=0.2), replace(PLAIN, event_id=dict(reversed(CODES.items())))):
        with pytest.raises(AssertionError, match="read again"):
            patterns([MegRun(moved)], options)
    fingerprint = contents_of(MegRun(moved))
    write(make_raw(1), moved)
    assert contents_of(MegRun(moved)) != fingerprint


@pytest.fixture
def few() -> Stimuli:
    return Stimuli(np.zeros((4, 8, 8, 3), np.uint8), np.array(["door", "apple", "cup", "bear"]))


def test_plain_folder_of_files(tmp_path, few):
    (tmp_path / "meg").mkdir()
    for seed, name in enumerate(("anna_run-1_raw.fif", "anna_run-2_raw.fif", "ben_raw.fif", "ben_run-2_tsss_mc.fif")):
        write(make_raw(seed), tmp_path / "meg" / name)
    named = [(run.subject, run.run) for run in find_runs(tmp_path)]
    assert named == [("anna", "1"), ("anna", "2"), ("ben", "1"), ("ben", "2")]
    stated = {"tmin": -0.1, "tmax": 0.3, "event_id": CODES, "noise_normalisation": "none"}
    regions, times, notes = load_meg_folder(tmp_path, stated, few)
    assert regions["gradiometers"].subjects == ("anna", "ben") and regions["gradiometers"].conditions == tuple(few.ids)
    alone = patterns([MegRun(tmp_path / "meg" / "ben_raw.fif")], PLAIN)[0]["gradiometers"].patterns()[0]
    np.testing.assert_array_equal(regions["gradiometers"].patterns_by_run()[1][0][:, [1, 3, 2, 0]], alone)
    assert "4 files of 2 subjects: 96 epochs used and 0 left out" in notes and "-0.1 to 0.3 s" in notes
    with pytest.raises(InputError, match="'bear' has no trigger in event_id"):
        load_meg_folder(tmp_path, stated | {"event_id": {"apple": 3, "cup": 8, "door": 12}}, few)
    with pytest.raises(InputError, match=r"the first is 'door', code 1 = trigger 0 \+ event_offset 1; codes seen: 3"):
        load_meg_folder(tmp_path, {"tmin": -0.1, "tmax": 0.3}, few)
    with pytest.raises(InputError, match="'meg' has unknown keys: 'evnt_id'"):
        load_meg_folder(tmp_path, {"evnt_id": CODES}, few)
    with pytest.raises(InputError, match=f"no MEG or EEG file found in {tmp_path / 'meg'}; expected sub-"):
        load_meg_folder(tmp_path / "meg", {}, few)
