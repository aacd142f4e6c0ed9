"""The pipeline against MNE's own averages and closed forms, on small files; and every way in which a file can be wrong."""

from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import ShrunkCovariance, ledoit_wolf
from sklearn.model_selection import GridSearchCV, GroupKFold

from neurodata import InputError, Stimuli
from neurodata.meg import MegOptions, MegRun, find_runs, load_meg_folder, options_from, patterns
from neurodata.meg.fingerprints import contents_of
from neurodata.meg.helmet import helmet_info
from neurodata.meg.normalisation import baseline_covariance, epoch_covariance, likeliest_shrinkage, normaliser

pytestmark = pytest.mark.usefixtures("own_cache")
RATE = 100.0
CODES = {"apple": 3, "bear": 7, "cup": 8, "door": 12}
PLAIN = MegOptions(event_id=CODES, tmin=-0.1, tmax=0.3, noise_normalisation="none")
N_REPEATS = 6


def make_raw(seed: int = 0, rate: float = RATE, n_chips: int = 4, codes=(3, 7, 8, 12), artefacts: int = 0) -> mne.io.RawArray:
    """Correlated noise and a field for each code, on some chips of the helmet, with a stimulus channel."""
    generator = np.random.default_rng(seed)
    full = helmet_info(rate)
    info = mne.pick_info(full, [*range(3 * n_chips), len(full["ch_names"]) - 1])
    order = generator.permutation(np.repeat(codes, N_REPEATS))
    onsets = 50 + 60 * np.arange(len(order))
    n_samples = onsets[-1] + 100
    units = np.tile([1e-11, 1e-11, 1e-13], n_chips)[:, None]
    mixing = generator.standard_normal((3 * n_chips, 3 * n_chips))
    data = mixing @ generator.standard_normal((3 * n_chips, n_samples))
    pulse = np.zeros((1, n_samples))
    for onset, code in zip(onsets, order, strict=True):
        data[:, onset + 5 : onset + 20] += 5 * np.random.default_rng(code).standard_normal((3 * n_chips, 1))
        pulse[:, onset : onset + 3] = code
    for onset in onsets[:artefacts]:
        data[0, onset + 10] += 1e4
    # scanners count samples from before the file begins
    return mne.io.RawArray(np.vstack([units * data, pulse]), info, first_samp=700, verbose="error")


def write(raw: mne.io.RawArray, path: Path) -> Path:
    raw.save(path, fmt="double", overwrite=True, verbose="error")
    return path


@pytest.fixture
def path(tmp_path) -> Path:
    return write(make_raw(), tmp_path / "anna_raw.fif")


def reference(path: Path, **options) -> mne.Epochs:
    raw = mne.io.read_raw_fif(path, verbose="error")
    return mne.Epochs(raw, mne.find_events(raw, verbose="error"), CODES, -0.1, 0.3, preload=True, verbose="error", **options)


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
        found = [each.split()[0] for each in contents_of(MegRun(tmp_path / names[index]))]
        assert sorted(found) == sorted(expected)
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

    monkeypatch.setattr("neurodata.meg.pipeline.make_epochs", refuse)
    again, _ = patterns([MegRun(moved)], PLAIN)
    np.testing.assert_array_equal(first["gradiometers"].patterns()[0], again["gradiometers"].patterns()[0])
    for options in (replace(PLAIN, tmax=0.2), replace(PLAIN, event_id=dict(reversed(CODES.items())))):
        with pytest.raises(AssertionError, match="read again"):
            patterns([MegRun(moved)], options)
    fingerprint = contents_of(MegRun(moved))
    write(make_raw(1), moved)
    assert contents_of(MegRun(moved)) != fingerprint


# what goes wrong: (make the runs and options from a folder, what the one sentence says)
def all_rejected(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, reject={"grad": 1e-12, "mag": 1.0})


def unknown_codes(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, event_offset=1)


def other_rate(folder):
    paths = [write(make_raw(rate=rate), folder / f"{rate:g}_raw.fif") for rate in (100.0, 125.0)]
    return [MegRun(path, run=path.stem) for path in paths], PLAIN


def other_rate_of_subjects(folder):
    paths = [write(make_raw(rate=rate), folder / f"{rate:g}_raw.fif") for rate in (100.0, 125.0)]
    return [MegRun(path, subject=path.stem) for path in paths], PLAIN


def absent_type(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, channel_types=("mag", "eeg"))


def absent_type_in_reject(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, reject={"eog": 1e-4})


def truncated(folder):
    path = write(make_raw(), folder / "a_raw.fif")
    path.write_bytes(path.read_bytes()[:-20_000])
    return [MegRun(path)], PLAIN


def truncated_by_a_little(folder):
    path = write(make_raw(), folder / "a_raw.fif")
    path.write_bytes(path.read_bytes()[:-4])
    return [MegRun(path)], PLAIN


def truncated_epochs(folder):
    path = write(make_raw(), folder / "a_raw.fif")
    reference(path).save(folder / "a_epo.fif", verbose="error")
    (folder / "a_epo.fif").write_bytes((folder / "a_epo.fif").read_bytes()[:-30_000])
    return [MegRun(folder / "a_epo.fif")], PLAIN


def empty_file(folder):
    (folder / "a_raw.fif").touch()
    return [MegRun(folder / "a_raw.fif")], PLAIN


def no_fif(folder):
    (folder / "a_raw.fif").write_text("not at all a FIF file, but a long text " * 50)
    return [MegRun(folder / "a_raw.fif")], PLAIN


def missing_file(folder):
    return [MegRun(folder / "a_raw.fif")], PLAIN


def condition_gone(folder):
    path = write(make_raw(), folder / "a_raw.fif")
    events = mne.find_events(mne.io.read_raw_fif(path, verbose="error"), verbose="error")
    at_the_end = events[events[:, 2] == 12][:1] + [[10_000, 0, 0]]  # its epoch would end after the data
    return [MegRun(path, np.vstack([events[events[:, 2] != 12], at_the_end]))], PLAIN


def aliasing(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, h_freq=20.0, decimate=4)


def aliasing_without_filter(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, decimate=2)


def filter_above_nyquist(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, h_freq=80.0)


def epochs_too_short(folder):
    path = write(make_raw(), folder / "a_raw.fif")
    reference(path).save(folder / "a_epo.fif", verbose="error")
    return [MegRun(folder / "a_epo.fif")], replace(PLAIN, tmax=0.5)


def epochs_high_passed(folder):
    return epochs_too_short(folder)[0], replace(PLAIN, l_freq=0.1)


def filter_of_epochs_above_nyquist(folder):
    return epochs_too_short(folder)[0], replace(PLAIN, h_freq=51.0)


def same_run_twice(folder):
    return [MegRun(folder / "a_raw.fif"), MegRun(folder / "b_raw.fif")], PLAIN


def events_of_another_shape(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"), np.zeros((4, 2), dtype=int))], PLAIN


def events_without_names(folder):
    (folder / "events.tsv").write_text("onset\tduration\n1.0\t0.0\n")
    return [MegRun(write(make_raw(), folder / "a_raw.fif"), folder / "events.tsv")], PLAIN


def no_stimulus_channel(folder):
    return [MegRun(write(make_raw(), folder / "a_raw.fif"))], replace(PLAIN, stim_channel="STI014")


def one_trial_each(folder):
    path = write(make_raw(), folder / "a_raw.fif")
    events = mne.find_events(mne.io.read_raw_fif(path, verbose="error"), verbose="error")
    first = [np.flatnonzero(events[:, 2] == code)[0] for code in CODES.values()]
    return [MegRun(path, events[first])], replace(PLAIN, noise_normalisation="multivariate")


def missing_split(folder):
    path = folder / "long_raw.fif"
    make_raw(n_chips=102).save(path, split_size="2MB", overwrite=True, verbose="error")
    (folder / "long_raw-1.fif").unlink()
    return [MegRun(path)], PLAIN


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (all_rejected, "a_raw.fif: all 24 epochs are rejected: 'grad' exceeds its limit of 1e-12 peak to peak in 24"),
        (unknown_codes, r"a_raw.fif has no event of 3 of 4 conditions: the first is 'apple', code 4 = trigger 3 \+ event_offset 1; "
                        r"codes seen: 3 \(6 times\), 7 \(6 times\), 8 \(6 times\), 12 \(6 times\)"),
        (other_rate, "100_raw.fif gives 100 samples a second and .*125_raw.fif 125; expected one sampling rate"),
        (other_rate_of_subjects, "100_raw.fif has 41 samples in an epoch and .*125_raw.fif 51, at other times"),
        (absent_type, r"a_raw.fif has no good channel of type 'eeg' \(it has mag, grad\)"),
        (absent_type_in_reject, "a_raw.fif has no channel of type 'eog', which reject has a limit for"),
        (truncated, "a_raw.fif is truncated: the file ends before its data do"),
        (truncated_by_a_little, "a_raw.fif is truncated"),
        (truncated_epochs, "a_epo.fif is truncated"),
        (empty_file, "a_raw.fif is truncated|a_raw.fif cannot be read"),
        (no_fif, "a_raw.fif cannot be read|a_raw.fif is truncated"),
        (missing_file, "a_raw.fif does not exist"),
        (condition_gone, "a_raw.fif has no clean trial of condition 'door'; expected every condition in every run"),
        (aliasing, "a_raw.fif: every 4th sample of 100 Hz is 25 Hz, which aliases .* 20 Hz; expected h_freq of at most 10 Hz"),
        (aliasing_without_filter, "every 2th sample of 100 Hz is 50 Hz, which aliases .* 50 Hz; expected h_freq of at most 20 Hz"),
        (filter_above_nyquist, "h_freq is 80 Hz; expected more than 0 and less than 50 Hz"),
        (filter_of_epochs_above_nyquist, "a_epo.fif: h_freq is 51 Hz; expected more than 0 and less than 50 Hz"),
        (epochs_too_short, "a_epo.fif has epochs from -0.1 to 0.3 s, which do not reach"),
        (epochs_high_passed, "a_epo.fif has epochs, too short for a high-pass filter"),
        (same_run_twice, "a_raw.fif and .*b_raw.fif are both run '1' of subject '01'"),
        (events_of_another_shape, r"a_raw.fif: events of shape \(4, 2\)"),
        (events_without_names, "events.tsv has no column 'trial_type'"),
        (no_stimulus_channel, r"a_raw.fif has no events on the stimulus channel STI014 \(it has the stimulus channels: STI101\)"),
        (one_trial_each, "a_raw.fif, magnetometers: 4 trials of 4 conditions leave nothing to estimate noise from"),
        (missing_split, "long_raw.fif cannot be read"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)  # fmt: skip
def test_bad_input_is_one_sentence(tmp_path, spoil, expected):
    runs, options = spoil(tmp_path)
    with pytest.raises(InputError, match=expected) as caught:
        patterns(runs, options)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"baseline": (-0.3, 0.0)}, "baseline from -0.3 to 0 s is not within the epoch from -0.2 to 0.8 s"),
        ({"baseline": (0.0, 1.0)}, "baseline from 0 to 1 s is not within the epoch"),
        ({"tmin": 0.9}, "tmin before tmax"),
        ({"decimate": 0}, "decimate is 0"),
        ({"noise_normalisation": "univariat"}, "unknown noise_normalisation 'univariat': did you mean 'univariate'"),
        ({"channel_types": ("megs",)}, "unknown channel type 'megs': did you mean 'mag'"),
        ({"reject": {"grads": 1e-10}}, "unknown channel type in reject 'grads': did you mean 'grad'"),
        ({"reject": {"grad": 0.0}}, "reject allows 0 for 'grad'"),
        ({"baseline": None, "noise_covariance": "baseline"}, "noise_covariance is 'baseline' but baseline is None"),
    ],
)
def test_options_that_fit_nothing(options, expected):
    with pytest.raises(InputError, match=expected):
        MegOptions(**options)


def test_options_of_a_file():
    stated = {
        "tmin": 0,
        "tmax": "5e-1",
        "baseline": [None, 0.2],
        "reject": {"mag": "4e-12"},
        "channel_types": ["mag"],
        "event_id": {1: 5},
    }
    options = options_from(stated, "recording.yaml")
    assert (options.tmin, options.tmax, options.baseline, options.reject) == (0.0, 0.5, (None, 0.2), {"mag": 4e-12})
    assert options.channel_types == ("mag",) and options.event_id == {"1": 5}
    for wrong, expected in (
        ({"tmn": 0.1, "decimation": 2}, r"recording.yaml: 'meg' has unknown keys: 'tmn' \(did you mean 'tmin'\?\), "
                                        r"'decimation' \(did you mean 'decimate'\?\); valid are event_id"),
        ({"reject": 4}, "recording.yaml: 'reject' under 'meg' is 4; expected a mapping"),
        ({"decimate": 2.5}, "'decimate' under 'meg' is 2.5; expected a whole number"),
        ({"baseline": [-1.0, 0.0]}, "recording.yaml: the baseline from -1 to 0 s is not within"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=expected):
            options_from(wrong, "recording.yaml")


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
    with pytest.raises(InputError, match=f"no FIF file found in {tmp_path / 'meg'}; expected sub-"):
        load_meg_folder(tmp_path / "meg", {}, few)
