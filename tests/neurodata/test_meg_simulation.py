"""A simulated observer's raw files: what was planted is found when it was planted, and nothing where nothing was."""

import mne
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import spearmanr

import neurodata
import rsa
from neurodata import STAGES, InputError, Stimuli, default_stimuli
from neurodata.meg import MegOptions, MegRun, dissimilarity_over_time, draw_dissimilarity, find_runs, load_meg_folder, make_epochs
from neurodata.meg.helmet import dipole_fields, helmet_info
from neurodata.meg.simulated_tree import REJECT
from neurodata.meg.simulation import simulate_raw

WINDOWS = {"early": (0.05, 0.2), "late": (0.2, 0.35)}
STATED = {"tmin": -0.1, "tmax": 0.5, "baseline": [-0.1, 0.0], "reject": REJECT}
SMALL = {"n_repeats": 8, "sampling_rate": 50.0}
RISE = 0.005  # a window's first and last samples are at its edges to rounding


@pytest.fixture(scope="module", autouse=True)
def cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def shown() -> Stimuli:
    digits = default_stimuli()
    return Stimuli(digits.images[:36], digits.ids[:36], digits.categories[:36], digits.source)


@pytest.fixture(scope="module")
def folder(shown, tmp_path_factory):
    place = tmp_path_factory.mktemp("simulated") / "meg"
    return simulate_raw(place, shown, {"early": "gabor_energy", "late": "category"}, drive_windows=WINDOWS, **SMALL)


@pytest.fixture(scope="module")
def loaded(folder, shown):
    return load_meg_folder(folder, STATED, shown)


def stage_rdm(stimuli: Stimuli, stage: str) -> np.ndarray:
    features = STAGES[stage](stimuli)
    varying = features[:, features.std(axis=0) > 1e-9]
    return rsa.rdm((varying - varying.mean(axis=0)) / varying.std(axis=0), "euclidean")


def scores(patterns, model: np.ndarray) -> np.ndarray:
    """(n_subjects, n_times) Spearman correlations with a model's RDM."""
    return np.array([[spearmanr(rsa.rdm(moment, "euclidean"), model).statistic for moment in each] for each in patterns.patterns()])


def within(times: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    return (times > window[0] + RISE) & (times < window[1] - RISE)


def test_planted_stages_are_found_in_their_windows_alone(loaded, shown):
    regions, times, _ = loaded
    assert list(regions) == ["magnetometers", "gradiometers"]
    outside = (times < -RISE) | (times > 0.35 + RISE)
    models = [stage_rdm(shown, stage) for stage in ("gabor_energy", "category")]
    shared = spearmanr(*models).statistic  # what one stage shows of the other
    for region in regions.values():
        early, late = (scores(region, model) for model in models)
        assert early.shape == (2, len(times))
        assert early[:, within(times, WINDOWS["early"])].min() > 0.25 and late[:, within(times, WINDOWS["late"])].min() > 0.25
        for found, own, elsewhere in ((early, "early", "late"), (late, "late", "early")):
            assert np.abs(found[:, outside].mean()) < 0.1
            assert found[:, within(times, WINDOWS[elsewhere])].mean() < shared * found[:, within(times, WINDOWS[own])].mean() + 0.1


def test_null_recording_gives_nothing(shown, tmp_path):
    place = simulate_raw(tmp_path / "null", shown, {"null": "gabor_energy"}, 1, 0.0, 5, idiosyncratic_to_noise=0.0, **SMALL)
    regions, times, _ = load_meg_folder(place, STATED, shown)
    window = within(times, (0.05, 0.2))
    for region in regions.values():
        found = scores(region, stage_rdm(shown, "gabor_energy"))
        # chance correlations of an RDM of 36 conditions scatter by about 0.1 for each subject
        assert np.abs(found[:, window].mean()) < 0.15
        rise = dissimilarity_over_time(region).mean(axis=2)
        assert rise[:, window].mean() == pytest.approx(rise[:, times > 0.36].mean(), rel=0.05)


def reliability(folder, shown, normalisation: str, covariance: str = "epoch") -> dict[str, float]:
    """Correlation of the RDMs of a subject's two runs, averaged over subjects and the times of the drive."""
    stated = STATED | {"noise_normalisation": normalisation, "noise_covariance": covariance}
    regions, times, _ = load_meg_folder(folder, stated, shown)
    driven = within(times, WINDOWS["early"]) | within(times, WINDOWS["late"])
    found = {}
    for name, region in regions.items():
        rdms = [rsa.rdm(runs[:, driven], "euclidean") for runs in region.patterns_by_run()]
        found[name] = float(np.mean([[np.corrcoef(one, two)[0, 1] for one, two in zip(*each, strict=True)] for each in rdms]))
    return found


def test_noise_normalisation_improves_reliability(folder, shown):
    none, one, all_together, by_baseline = (
        reliability(folder, shown, *each) for each in (("none",), ("univariate",), ("multivariate",), ("multivariate", "baseline"))
    )
    for region in none:
        assert all_together[region] > one[region] + 0.05 and all_together[region] > none[region] + 0.05
        assert by_baseline[region] > one[region]


def test_files_are_a_scanners(folder, shown):
    runs = find_runs(folder)
    assert [(run.subject, run.run) for run in runs] == [
        (f"simulated{subject:02d}", f"task-objects_run-{run:02d}") for subject in (1, 2) for run in (1, 2)
    ]
    raw = mne.io.read_raw_fif(runs[0].path, verbose="error")
    counts = raw.get_channel_types()
    assert (counts.count("grad"), counts.count("mag"), counts.count("stim"), len(counts)) == (204, 102, 1, 307)
    events = mne.find_events(raw, "STI101", verbose="error")
    assert sorted(set(events[:, 2])) == list(range(1, 37))
    assert np.bincount(events[:, 2])[1:].tolist() == [4] * 36
    table = pd.read_csv(runs[0].path.with_name(runs[0].path.name.replace("_meg.fif", "_events.tsv")), sep="\t")
    np.testing.assert_array_equal(table["trial_type"], [str(shown.ids[code - 1]) for code in events[:, 2]])
    np.testing.assert_allclose(table["onset"], (events[:, 0] - raw.first_samp) / 50.0, atol=1e-9)
    stated = yaml.safe_load((folder / "recording.yaml").read_text())
    assert stated["modality"] == "simulated meg" and "simulated" in stated["name"] and "no brain" in stated["citation"]
    assert stated["truth"] == {"early": "gabor_energy", "late": "category"} and stated["drive_windows"]["late"] == [0.2, 0.35]
    assert len(list((folder / "stimuli").glob("*.png"))) == 36


def test_what_is_written_is_a_recording_whose_sources_are_no_regions(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("BIOPLAUSIBLE_CACHE", str(tmp_path))
    recording = neurodata.load(folder)
    assert set(recording.regions) == {"magnetometers", "gradiometers"} and set(recording.truth) == {"early", "late"}
    assert recording.drive_windows["late"] == (0.2, 0.35)


def test_the_stimulus_channel_says_what_the_events_file_says(folder, shown):
    run = find_runs(folder)[0]
    event_id = {str(identity): index for index, identity in enumerate(shown.ids)}
    options = MegOptions(event_id=event_id, event_offset=1, tmin=-0.1, tmax=0.3)
    named, _, _ = make_epochs(run, options)
    bare = folder.parent / "bare_raw.fif"
    bare.write_bytes(run.path.read_bytes())
    channel, _, _ = make_epochs(MegRun(bare), options)
    assert len(named) == len(channel) == 144
    np.testing.assert_array_equal(named.get_data(), channel.get_data())
    order = [
        [{code: name for name, code in each.event_id.items()}[code] for code in each.events[:, 2]] for each in (named, channel)
    ]
    assert order[0] == order[1]


def test_rejection_finds_the_blinks_and_nothing_else(folder, shown, loaded):
    assert "16 left out" in loaded[2]  # 3 % of 144 trials in each of four runs
    kept, _, _ = make_epochs(find_runs(folder)[0], MegOptions(tmin=-0.1, tmax=0.5, reject=REJECT))
    everything, _, _ = make_epochs(find_runs(folder)[0], MegOptions(tmin=-0.1, tmax=0.5))
    swing = np.ptp(everything.get_data(picks="grad"), axis=2).max(axis=1)
    assert len(everything) - len(kept) == (swing > REJECT["grad"]).sum() == 4
    assert np.sort(swing)[-5] < REJECT["grad"] / 2


def test_patterns_come_in_the_order_of_the_stimuli(folder, shown, loaded):
    for region in loaded[0].values():
        assert region.conditions == tuple(shown.ids)
        assert region.subjects == ("simulated01", "simulated02")
        assert [each.shape[0] for each in region.patterns_by_run()] == [2, 2]
    turned = np.arange(36)[::-1]
    other = Stimuli(shown.images[turned], shown.ids[turned], shown.categories[turned], shown.source)
    regions, _, _ = load_meg_folder(folder, STATED, other)
    for name, region in regions.items():
        assert region.conditions == tuple(other.ids)
        np.testing.assert_allclose(region.patterns()[0][:, ::-1], loaded[0][name].patterns()[0], atol=1e-9)


def test_seed_fixes_the_data_and_subjects_stay(shown, tmp_path):
    def data(name: str, **options) -> list[np.ndarray]:
        few = Stimuli(shown.images[:6], shown.ids[:6], shown.categories[:6])
        place = simulate_raw(tmp_path / name, few, {"a": "pixel_energy"}, n_repeats=2, sampling_rate=50.0, **options)
        return [mne.io.read_raw_fif(run.path, verbose="error").get_data() for run in find_runs(place)]

    first = data("a", n_subjects=1, seed=3)
    for one, other in zip(first, data("b", n_subjects=2, seed=3), strict=False):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0][:, :100], data("c", n_subjects=1, seed=4)[0][:, :100])
    assert not np.array_equal(first[0][:306, :100], first[1][:306, :100])


def test_fields_are_physical():
    info = helmet_info(100.0)
    generator = np.random.default_rng(0)
    places = generator.standard_normal((20, 3))
    directions = places / np.linalg.norm(places, axis=1, keepdims=True)
    across = np.cross(directions, generator.standard_normal((20, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    tangential, radial = (dipole_fields(info, 0.07 * directions, each) for each in (across, directions))
    assert np.abs(radial).max() < 1e-10 * np.abs(tangential).max()  # a radial dipole in a sphere is silent outside
    mag = np.array(info.get_channel_types(picks="meg")) == "mag"
    assert 50e-15 < np.abs(tangential[mag]).max() * 10e-9 < 2000e-15  # 10 nA m give some hundred fT
    nearer = dipole_fields(info, 0.08 * directions, across)
    assert (np.abs(nearer[mag]).max(axis=0) > np.abs(tangential[mag]).max(axis=0)).all()


def test_picture(loaded):
    figure = draw_dissimilarity(loaded[0], windows=WINDOWS, moments=[0.0, 0.12, 0.28])
    assert len(figure.axes) == 2 * 4 + 2  # a curve, three RDMs and a colour bar for each region
    curve = figure.axes[0].get_lines()[2]
    times, mean = curve.get_xdata() / 1e3, curve.get_ydata()
    assert mean[within(times, WINDOWS["early"])].min() > 1.5 * mean[times < -RISE].max()
    with pytest.raises(InputError, match="no regions were given"):
        draw_dissimilarity({})


@pytest.mark.parametrize(
    ("drivers", "options", "expected"),
    [
        ({"a": "gabor"}, {}, "unknown stage 'gabor'"),
        ({}, {}, "no drivers were given"),
        ({"a": "category"}, {"name": "my brain"}, "expected it to contain 'simulated'"),
        ({"a": "category"}, {"n_repeats": 3}, "3 repeats in 2 runs"),
        ({"a": "category"}, {"signal_to_noise": -1.0}, "signal_to_noise is -1.0"),
        ({"a": "category"}, {"drive_windows": {"b": (0.0, 0.1)}}, "drive_windows for b; expected one for each of a"),
    ],
)
def test_unusable_options_leave_nothing(shown, tmp_path, drivers, options, expected):
    with pytest.raises(InputError, match=expected):
        simulate_raw(tmp_path / "new", shown, drivers, **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused(shown, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        simulate_raw(tmp_path, shown, {"a": "category"})
