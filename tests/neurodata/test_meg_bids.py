"""Trees that mne-bids writes and files that MNE's own simulation writes load without special handling."""

import mne
import numpy as np
import pandas as pd
import pytest
from mne_bids import BIDSPath, write_raw_bids

from neurodata import InputError, Stimuli
from neurodata.meg import MegOptions, MegRun, find_runs, from_bids, load_meg_folder, patterns
from neurodata.meg.helmet import HEAD_CENTRE, dipole_fields, helmet_info

pytestmark = pytest.mark.usefixtures("own_cache")
CONDITIONS = ("axe", "bird", "car")
RATE = 100.0
PLAIN = MegOptions(tmin=-0.1, tmax=0.4, noise_normalisation="none")


def simulated_by_mne(seed: int) -> tuple[mne.io.RawArray, np.ndarray, np.ndarray]:
    """One dipole whose moment depends on the condition, by mne.simulation: raw data, events and the dipole's field."""
    info = helmet_info(RATE)
    place, orientation = np.array([[0.0, -0.06, 0.02]]), np.array([[1.0, 0.0, 0.0]])
    sphere = mne.make_sphere_model(HEAD_CENTRE, 0.09, verbose="error")
    n_samples = 3000
    onsets = 100 + 80 * np.arange(30)
    codes = np.random.default_rng(seed).permutation(np.repeat([1, 2, 3], 10))
    course = np.zeros(n_samples)
    for onset, code in zip(onsets, codes, strict=True):
        course[onset + 10 : onset + 30] = 20e-9 * code
    source_space = mne.setup_volume_source_space(
        pos={"rr": place + np.array(HEAD_CENTRE), "nn": orientation}, sphere=sphere, mindist=0.0, verbose="error"
    )
    forward = mne.make_forward_solution(
        info, mne.transforms.Transform("head", "mri"), source_space, sphere, eeg=False, mindist=0.0, verbose="error"
    )
    forward = mne.convert_forward_solution(forward, force_fixed=True, verbose="error")
    estimate = mne.VolSourceEstimate(course[None], [np.array([0])], tmin=0.0, tstep=1 / RATE)
    raw = mne.simulation.simulate_raw(info, estimate, forward=forward, verbose="error")
    mne.simulation.add_noise(raw, mne.make_ad_hoc_cov(raw.info, std={"grad": 5e-12, "mag": 5e-14}, verbose="error"),
                             rng=seed, verbose="error")  # fmt: skip
    events = np.stack([onsets, np.zeros_like(onsets), codes], axis=1)
    raw._data[-1] = 0
    raw.add_events(events, "STI101")
    return raw, events, dipole_fields(info, place, orientation)[:, 0]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    event_id = {name: index + 1 for index, name in enumerate(CONDITIONS)}
    for subject in ("A1", "A2"):
        for run in ("01", "02"):
            raw, events, _ = simulated_by_mne(int(run) + 10 * int(subject[1]))
            raw.info["line_freq"] = 50
            path = BIDSPath(subject=subject, session="x", task="look", run=run, datatype="meg", root=root)
            write_raw_bids(raw, path, events, event_id, format="FIF", allow_preload=True, verbose="error")
    return root


def test_file_of_mnes_simulation(tmp_path, capsys):
    raw, _, field = simulated_by_mne(0)
    raw.save(tmp_path / "any_name.fif", verbose="error")
    capsys.readouterr()
    regions, times = patterns([MegRun(tmp_path / "any_name.fif")], PLAIN)
    assert capsys.readouterr().out == ""  # MNE has something to say about the name
    driven = (times > 0.11) & (times < 0.28)
    kinds = np.array(raw.get_channel_types(picks="meg"))
    for region, kind in (("magnetometers", "mag"), ("gradiometers", "grad")):
        assert regions[region].conditions == ("1", "2", "3")
        found = regions[region].patterns()[0]
        expected = 20e-9 * field[kinds == kind]
        for index in range(3):
            moments = found[driven, index] @ expected / (expected @ expected)
            np.testing.assert_allclose(moments.mean(), index + 1, atol=0.06)  # noise of ten trials
        assert np.abs(found[times < 0.08] @ expected / (expected @ expected)).max() < 0.25


def test_tree_of_mne_bids(tree):
    regions, times = from_bids(tree, PLAIN)
    region = regions["gradiometers"]
    assert region.subjects == ("A1", "A2") and region.conditions == CONDITIONS and region.n_channels == (204, 204)
    assert region.datasets[0].obs_descriptors["run"] == ["ses-x_task-look_run-01"] * 3 + ["ses-x_task-look_run-02"] * 3
    assert region.patterns_by_run()[0].shape == (2, len(times), 3, 204)
    swing = np.abs(region.patterns()[0]).max(axis=2)
    driven = (times > 0.11) & (times < 0.28)
    assert (swing[driven].mean(axis=0) > [5e-12, 1e-11, 2e-11]).all()
    assert swing[driven, 2].mean() == pytest.approx(3 * swing[driven, 0].mean(), rel=0.15)
    only, _ = from_bids(tree, PLAIN, subjects=["A2"], tasks=["look"])
    np.testing.assert_array_equal(only["gradiometers"].patterns()[0], region.patterns()[1])
    with pytest.raises(InputError, match="has no MEG or EEG recording of subjects B7"):
        from_bids(tree, PLAIN, subjects=["B7"])
    with pytest.raises(InputError, match="has no dataset_description.json"):
        from_bids(tree / "sub-A1", PLAIN)


def test_tree_as_a_folder_of_ones_own(tree):
    shown = Stimuli(np.zeros((3, 8, 8, 3), np.uint8), np.array(["car", "axe", "bird"]))
    regions, times, notes = load_meg_folder(tree, {"tmin": -0.1, "tmax": 0.4, "noise_normalisation": "none"}, shown)
    expected, _ = from_bids(tree, PLAIN)
    for name, region in regions.items():
        assert region.conditions == ("car", "axe", "bird") and region.subjects == ("A1", "A2")
        np.testing.assert_array_equal(region.patterns()[1][:, [1, 2, 0]], expected[name].patterns()[1])
    assert "4 files of 2 subjects: 120 epochs used" in notes
    other = Stimuli(shown.images, np.array(["car", "axe", "brid"]))
    with pytest.raises(InputError, match="no event of 1 of 3 conditions: the first is 'brid'; names seen: axe, bird, car"):
        load_meg_folder(tree, {"tmin": -0.1, "tmax": 0.4}, other)


def test_bad_channels_of_the_sidecar_are_left_out(tree, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tree, copy)
    sidecar = next(copy.glob("sub-A1/ses-x/meg/*run-02_channels.tsv"))
    table = pd.read_csv(sidecar, sep="\t", keep_default_na=False)
    table.loc[table["name"] == "MEG0113", "status"] = "bad"
    before = from_bids(copy, PLAIN, subjects=["A1"])[0]["gradiometers"].n_channels
    table.to_csv(sidecar, sep="\t", index=False)
    after = from_bids(copy, PLAIN, subjects=["A1"])[0]["gradiometers"].n_channels
    assert before == (204,) and after == (203,)  # also: a changed sidecar is a changed content


def test_what_is_no_run_is_not_one(tmp_path):
    folder = tmp_path / "sub-1" / "meg"
    folder.mkdir(parents=True)
    for name in (
        "sub-1_task-a_run-1_meg.fif",
        "sub-1_task-a_run-2_split-01_meg.fif",
        "sub-1_task-a_run-2_split-02_meg.fif",
        "sub-1_acq-crosstalk_meg.fif",
        "sub-1_task-noise_meg.fif",
        "sub-1_task-a_run-1_events.tsv",
        "sub-1_task-a_run-10_epo.fif",
    ):
        (folder / name).touch()
    runs = find_runs(tmp_path)
    assert [run.run for run in runs] == ["task-a_run-1", "task-a_run-2", "task-a_run-10"]
    assert runs[0].events == folder / "sub-1_task-a_run-1_events.tsv" and runs[1].events is None


def write_brain_vision(folder, stem: str, data: np.ndarray, names: list[str]) -> None:
    """Header, markers and samples, (n_channels, n_samples) microvolts, as BrainVision's format has them."""
    channels = "\n".join(f"Ch{index + 1}={name},,1,µV" for index, name in enumerate(names))
    (folder / f"{stem}.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\nMarkerFile={stem}.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(names)}\nSamplingInterval={1e6 / RATE:g}\n\n[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n"
        f"[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    (folder / f"{stem}.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={stem}.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,20200101000000000000\n",
        encoding="utf-8",
    )
    data.T.astype("<f4").tofile(folder / f"{stem}.eeg")


def test_eeg_of_another_format(tmp_path):
    folder = tmp_path / "sub-1" / "eeg"
    folder.mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text('{"Name": "one", "BIDSVersion": "1.9.0"}')
    generator = np.random.default_rng(0)
    names = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]
    onsets, order = 100 + 80 * np.arange(30), generator.permutation(np.repeat(range(3), 10))
    shown = generator.standard_normal((3, 6))
    data = generator.standard_normal((6, 3000))
    for onset, index in zip(onsets, order, strict=True):
        data[:, onset : onset + 30] += 10 * shown[index][:, None]
    write_brain_vision(folder, "sub-1_task-look_eeg", data, names)
    table = pd.DataFrame({"onset": onsets / RATE, "duration": 0.3, "trial_type": [CONDITIONS[index] for index in order]})
    table.to_csv(folder / "sub-1_task-look_events.tsv", sep="\t", index=False)
    regions, times = from_bids(tmp_path, PLAIN)
    assert list(regions) == ["EEG"] and regions["EEG"].conditions == CONDITIONS and regions["EEG"].n_channels == (6,)
    found = regions["EEG"].patterns()[0][(times > 0.05) & (times < 0.25)].mean(axis=0)
    np.testing.assert_allclose(found, 10e-6 * shown, atol=1.5e-6)
