"""THINGS-data on trees in its published layout: few voxels, sensors and samples, everything else as it is."""

import errno
import hashlib
import json
import zipfile
from pathlib import Path

import h5py
import mne
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import neurodata
from neurodata import InputError, figshare, openneuro, things, things_fmri, things_meg

CONCEPTS = [f"thing{index:03d}" for index in range(200)]
REGION_COLUMNS = sorted({column for named in things_fmri.REGIONS.values() for column in named})


def write_photographs(data: Path, endings: str) -> None:
    for index, concept in enumerate(CONCEPTS):
        folder = data / things.FOLDER / concept
        folder.mkdir(parents=True)
        for ending in endings.split():
            Image.new("RGB", (40, 30), (index, 255 - index, 7)).save(folder / f"{concept}_{ending}.jpg")


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BIOPLAUSIBLE_CACHE", str(tmp_path / "data"))
    return tmp_path / "data"


def write_tables(folder: Path, n_voxels: int = 30) -> dict[str, np.ndarray]:
    """Three subjects' tables; gives the responses of each test photograph, (n_voxels, 12 sessions), by subject and name."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    truth = {}
    for subject in things_fmri.SUBJECTS:
        trials = [
            (kind, session, name)
            for session in range(1, 13)
            for kind, name in [("test", f"{concept}_14s.jpg") for concept in CONCEPTS[:100]]
            + [("train", f"{concept}_{session:02d}t.jpg") for concept in CONCEPTS[:5]]
        ]
        trials = [trials[row] for row in generator.permutation(len(trials))]
        table = pd.DataFrame(trials, columns=["trial_type", "session", "stimulus"])
        table.insert(2, "run", 1)
        table.to_csv(folder / f"sub-{subject:02d}_StimulusMetadata.csv", index=False)
        responses = generator.standard_normal((n_voxels, len(trials)))
        # as pandas writes a fixed table: one block of floats, one of whole numbers
        with h5py.File(folder / f"sub-{subject:02d}_ResponseData.h5", "w") as file:
            group = file.create_group("ResponseData")
            group["axis1"] = np.arange(n_voxels)
            group["block0_values"] = responses
            group["block1_values"] = np.arange(n_voxels)[:, None]
        voxels = pd.DataFrame(0, index=range(n_voxels), columns=REGION_COLUMNS)
        for number, column in enumerate(REGION_COLUMNS):
            voxels.loc[2 * number : 2 * number + 2, column] = 1  # neighbours share a voxel
        voxels.insert(0, "voxel_id", range(n_voxels))
        voxels.to_csv(folder / f"sub-{subject:02d}_VoxelMetadata.csv", index=False)
        for name in [f"{concept}_14s" for concept in CONCEPTS[:100]]:
            rows = [
                next(row for row, (_, when, what) in enumerate(trials) if (when, what) == (session, f"{name}.jpg"))
                for session in range(1, 13)
            ]
            truth[f"{subject} {name}"] = responses[:, rows]
    return truth


def test_fmri_brings_every_response_to_its_place(data, monkeypatch):
    truth = write_tables(data / "things_fmri" / "betas_csv")
    write_photographs(data, "14s")
    monkeypatch.setattr(things_fmri, "ROWS_AT_ONCE", 7)
    assert things_fmri.RECORDING.cached
    recording = neurodata.load("things_fmri")
    assert list(recording.regions) == list(things_fmri.REGIONS) and recording.n_conditions == 100
    assert recording.stimuli.images.shape == (100, 256, 256, 3)
    assert recording.stimuli.images[42, 9, 9] == pytest.approx([42, 213, 7], abs=4)
    region = recording.regions["FFA"]
    assert region.subjects == ("subject_1", "subject_2", "subject_3")
    left, right = (2 * REGION_COLUMNS.index(column) for column in ("lFFA", "rFFA"))
    voxels = sorted({*range(left, left + 3), *range(right, right + 3)})
    assert region.n_channels == (len(voxels),) * 3
    for subject, runs in zip((1, 2, 3), region.patterns_by_run(), strict=True):
        assert runs.shape == (12, 100, len(voxels))
        for row, name in enumerate(recording.stimuli.ids):
            np.testing.assert_allclose(runs[:, row].T, truth[f"{subject} {name}"][voxels])
    assert list(neurodata.things_fmri.load(subjects=[2], regions={"early": ("V1", "V2")}).regions) == ["early"]


def test_fmri_reads_what_pandas_writes(tmp_path):
    pytest.importorskip("tables", reason="pandas writes HDF5 with PyTables: pip install tables, to try its own files")
    responses = np.random.default_rng(0).standard_normal((6, 5))
    table = pd.DataFrame(responses, columns=[str(trial) for trial in range(5)])
    table.insert(0, "voxel_id", range(6))
    table.to_hdf(tmp_path / "a.h5", key="ResponseData")
    trials, voxels = np.array([0, 1, 1, 0, 1], bool), np.array([1, 0, 0, 1, 1, 0], bool)
    np.testing.assert_array_equal(things_fmri.read_responses(tmp_path / "a.h5", trials, voxels), responses[voxels][:, trials].T)


def test_fmri_says_what_is_wrong(data):
    with pytest.raises(
        InputError, match=r"photographs of THINGS are not at .*object_images; read their terms at https://osf.io/jum2f"
    ):
        things_fmri.load()
    with pytest.raises(InputError, match="no subject 4; expected some of 1, 2, 3"):
        things_fmri.load(subjects=[4])
    with pytest.raises(InputError, match="at least one subject; expected some of 1, 2, 3"):
        things_fmri.load(subjects=())
    folder = data / "things_fmri" / "betas_csv"
    write_tables(folder)
    write_photographs(data, "14s")
    with pytest.raises(InputError, match="column of .*sub-01_VoxelMetadata.csv: 'V9'"):
        things_fmri.load(regions={"V9": ("V9",)})
    broken = data / things.FOLDER / CONCEPTS[3] / f"{CONCEPTS[3]}_14s.jpg"
    broken.write_bytes(b"no photograph")
    with pytest.raises(InputError, match="thing003_14s.jpg is missing or cannot be read"):
        things_fmri.load()
    table = pd.read_csv(folder / "sub-02_StimulusMetadata.csv")
    first = table.index[table["trial_type"] == "test"][0]
    table.drop(first).to_csv(folder / "sub-02_StimulusMetadata.csv", index=False)
    with pytest.raises(InputError, match="sub-02_StimulusMetadata.csv has 100 test photographs in 12 sessions, from 0 to 1 times"):
        things_fmri.load()
    table.loc[first, "trial_type"] = "train"
    table.loc[len(table)] = table.loc[first].replace("train", "test")
    table.to_csv(folder / "sub-02_StimulusMetadata.csv", index=False)
    with pytest.raises(
        InputError, match=r"sub-02_ResponseData.h5 holds tables of shapes \(30, 1260\), \(30, 1\); expected 30 voxels by 1261"
    ):
        things_fmri.load()
    (folder / "sub-01_ResponseData.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="sub-01_ResponseData.h5 cannot be read as HDF5"):
        things_fmri.load()


def test_fmri_is_fetched_from_figshare(server, data, tmp_path, monkeypatch):
    (tmp_path / "betas_csv").mkdir()
    for subject in things_fmri.SUBJECTS:
        for table in things_fmri.TABLES:
            (tmp_path / "betas_csv" / f"sub-{subject:02d}_{table}").write_text(f"{subject} {table}")
    archive = tmp_path / "betas_csv.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((tmp_path / "betas_csv").iterdir()):
            packed.write(path, f"betas_csv/{path.name}")
    body = archive.read_bytes()
    server.content["/file"] = body
    stated = {"id": 43635873, "name": "betas_csv.zip", "size": len(body), "download_url": f"{server.url}/file"}
    stated["computed_md5"] = hashlib.md5(body).hexdigest()
    server.content["/20492835/versions/2"] = json.dumps({"files": [stated]}).encode()
    monkeypatch.setattr(figshare, "API", server.url)
    with pytest.raises(InputError, match="photographs of THINGS are not at"):  # before anything moves
        neurodata.download("things_fmri")
    write_photographs(data, "14s")
    with monkeypatch.context() as patched, pytest.raises(InputError, match="GB free; things_fmri needs about 1000043 GB while"):
        patched.setattr(things_fmri, "TABLE_BYTES", 10**15)
        neurodata.download("things_fmri")
    assert server.requests == []
    monkeypatch.setattr(things_fmri, "ARCHIVE_BYTES", len(body))
    monkeypatch.setattr(things_fmri, "TABLE_BYTES", 1000)
    seen = []
    paths = neurodata.download("things_fmri", lambda done, total, line: seen.append((done, total)))
    assert len(paths) == 9 and all(path.is_file() for path in paths) and seen[-1] == (len(body), len(body))
    assert sorted(path.name for path in (data / "things_fmri").iterdir()) == ["betas_csv"]  # the archive is gone
    assert len(list((data / "things_fmri" / "betas_csv").iterdir())) == 9
    assert neurodata.describe("things_fmri")["cached"]
    server.requests.clear()
    assert neurodata.download("things_fmri") == paths and server.requests == []
    for path in paths[:2]:  # what is there is not unpacked again, what is not is
        path.unlink()
    before = paths[-1].stat().st_mtime_ns
    neurodata.download("things_fmri")
    assert all(path.is_file() for path in paths) and paths[-1].stat().st_mtime_ns == before


def test_fmri_archive_is_kept_when_it_cannot_be_unpacked(server, data, tmp_path, monkeypatch):
    write_photographs(data, "14s")
    monkeypatch.setattr(figshare, "API", server.url)
    monkeypatch.setattr(things_fmri, "TABLE_BYTES", 1000)
    monkeypatch.setattr(things_fmri, "ARCHIVE_BYTES", 1000)
    body = (tmp_path / "other.zip").with_suffix(".zip")
    with zipfile.ZipFile(body, "w") as packed:
        packed.writestr("betas_csv/sub-01_ResponseData.h5", "1")
    server.content["/file"] = body.read_bytes()
    stated = {"id": 1, "name": "betas_csv.zip", "size": body.stat().st_size, "download_url": f"{server.url}/file"}
    stated["computed_md5"] = hashlib.md5(body.read_bytes()).hexdigest()
    server.content["/20492835/versions/2"] = json.dumps({"files": [stated]}).encode()
    with pytest.raises(InputError, match="betas_csv.zip holds no sub-01_StimulusMetadata.csv"):
        things_fmri.fetch_tables()
    kept = sorted(path.name for path in (data / "things_fmri").rglob("*") if path.is_file())
    assert kept == ["betas_csv.zip", "sub-01_ResponseData.h5"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    (data / "things_fmri" / "betas_csv" / "sub-01_ResponseData.h5").unlink()
    with pytest.raises(InputError, match="could not be unpacked .No space left on device.; about 0 GB are needed beside it"):
        things_fmri.fetch_tables()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "does not answer with a list of files"),
        (b'{"message": "gone"}', "does not answer with a list of files"),
        (b'{"files": []}', r"article 20492835 has no betas_csv.zip"),
        (None, "versions/2 could not be read: the server answered 404"),
    ],
)
def test_figshare_answers_something_else(server, data, monkeypatch, answer, message):
    monkeypatch.setattr(figshare, "API", server.url)
    monkeypatch.setattr(things_fmri, "ARCHIVE_BYTES", 0)
    monkeypatch.setattr(things_fmri, "TABLE_BYTES", 0)
    if answer is not None:
        server.content["/20492835/versions/2"] = answer
    (data / things.FOLDER).mkdir(parents=True)
    with pytest.raises(InputError, match=message):
        things_fmri.fetch_tables()


def write_epochs(folder: Path, subjects=things_meg.SUBJECTS, n_photographs: int = 200) -> dict[str, np.ndarray]:
    """Epochs in the published form, test trials among others; gives each test photograph's mean by subject and name."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(2)
    info = mne.create_info([f"MLO{index:02d}-1609" for index in range(6)], 100.0, "mag")
    truth = {}
    for subject in subjects:
        rows = [
            ("test", session, f"images_test_meg/{concept}_13s.jpg")
            for session in range(1, 13)
            for concept in CONCEPTS[:n_photographs]
        ] + [("exp", session, f"images_meg/{concept}/{concept}_02s.jpg") for session in (1, 2) for concept in CONCEPTS[:9]]
        rows += [("catch", 1, "images_catch_meg/catch047.jpg")]
        rows = [rows[row] for row in generator.permutation(len(rows))]
        metadata = pd.DataFrame(rows, columns=["trial_type", "session_nr", "image_path"])
        data = generator.standard_normal((len(rows), 6, 95))
        events = np.stack([np.arange(len(rows)), np.zeros(len(rows), int), np.full(len(rows), 7)], axis=1)
        epochs = mne.EpochsArray(data, info, events, -0.1, metadata=metadata, verbose="error")
        epochs.save(folder / f"preprocessed_P{subject}-epo.fif", split_size="2MB", verbose="error")
        for number in (1, 2, 3):  # the published ones have four parts
            (folder / f"preprocessed_P{subject}-epo-{number}.fif").touch()
        paths = metadata["image_path"].to_numpy()
        for concept in CONCEPTS[:n_photographs]:
            truth[f"{subject} {concept}_13s"] = data[paths == f"images_test_meg/{concept}_13s.jpg"].mean(axis=0)
    return truth


def test_meg_averages_test_trials(data):
    truth = write_epochs(data / "things_meg", subjects=(1, 3))
    write_photographs(data, "13s")
    options = things_meg.MegOptions(
        tmin=-0.1, tmax=0.8, baseline=None, pseudo_trials=4, noise_normalisation="none", noise_covariance="epoch"
    )
    recording = things_meg.load(subjects=(1, 3), options=options)
    assert recording.modality == "meg" and list(recording.regions) == ["MEG"] and recording.n_conditions == 200
    region = recording.regions["MEG"]
    assert region.subjects == ("subject_1", "subject_3") and region.n_channels == (6, 6)
    assert recording.times[0] == -0.1 and recording.times[-1] == pytest.approx(0.8) and len(recording.times) == 91
    for subject, runs in zip((1, 3), region.patterns_by_run(), strict=True):
        assert runs.shape == (4, 91, 200, 6)
        for row, name in enumerate(recording.stimuli.ids):
            # four averages of three are the average of twelve; FIF keeps single precision
            np.testing.assert_allclose(runs[:, :, row].mean(axis=0).T, truth[f"{subject} {name}"][:, :91], atol=1e-5)
    written = things_meg.trial_file(1)
    before = written.stat().st_mtime_ns
    normalised = things_meg.load(subjects=(1,))
    assert written.stat().st_mtime_ns == before  # once
    assert np.isfinite(normalised.regions["MEG"].patterns()[0]).all() and "dealt at random over sessions" in normalised.notes


def test_meg_says_what_is_wrong(data):
    for call in (things_meg.fetch_epochs, things_meg.load):
        with pytest.raises(InputError, match="no subject 5; expected some of 1, 2, 3, 4"):
            call(subjects=[5])
    with pytest.raises(InputError, match="no subject 5; expected some of 1, 2, 3, 4"):
        things_meg.trial_file(5)
    with pytest.raises(InputError, match="photographs of THINGS are not at"):
        things_meg.load()
    assert not things_meg.RECORDING.cached and things_meg.RECORDING.size_bytes == 33_006_800_000
    write_epochs(data / "things_meg", subjects=(1,), n_photographs=5)
    with pytest.raises(InputError, match="preprocessed_P1-epo.fif has 5 test photographs; expected 200, remove it"):
        things_meg.trial_file(1)
    bare = mne.EpochsArray(np.zeros((3, 2, 5)), mne.create_info(2, 100.0, "mag"), verbose="error")
    bare.save(data / "things_meg" / "preprocessed_P2-epo.fif", verbose="error")
    with pytest.raises(InputError, match="has no metadata 'trial_type' .it has none.; expected THINGS-MEG's epochs"):
        things_meg.trial_file(2)
    assert list((data / "derived").glob("**/*")) == []


LINK = (
    "../../.git/annex/objects/Wm/qq/SHA256E-s2062928825--52200eb4b46340185970d6df82ba5f5169e396a63efaead4b82268014b96b1fa.fif/"
    "SHA256E-s2062928825--52200eb4b46340185970d6df82ba5f5169e396a63efaead4b82268014b96b1fa.fif"
)


def test_openneuro_links_state_size_and_checksum(server, monkeypatch):
    monkeypatch.setattr(openneuro, "REPOSITORIES", server.url)
    path = "derivatives/preprocessed/preprocessed_P2-epo-3.fif"
    server.content[f"/ds004212/{things_meg.COMMIT}/{path}"] = LINK.encode()
    version = things_meg.VERSIONS["preprocessed_P2-epo-3.fif"]
    remote = openneuro.annexed_file("ds004212", things_meg.COMMIT, path, version, "things_meg")
    assert remote.path == "things_meg/preprocessed_P2-epo-3.fif" and remote.size_bytes == 2_062_928_825
    assert remote.checksums == ("52200eb4b46340185970d6df82ba5f5169e396a63efaead4b82268014b96b1fa",)
    assert remote.urls == (f"https://s3.amazonaws.com/openneuro.org/ds004212/{path}?versionId={version}",)
    server.content["/ds1/c/a.nii"] = b"/annex/MD5E-s12--5c20464c25f35c829aa410a26c0da05f.nii.gz\n"
    assert openneuro.annexed_file("ds1", "c", "a.nii", "v", "f").algorithm == "md5"
    server.content["/ds1/c/b.tsv"] = b"onset\tduration"
    with pytest.raises(InputError, match="no link to an annexed file"):
        openneuro.annexed_file("ds1", "c", "b.tsv", "v", "f")


def test_meg_is_fetched_from_openneuro(server, data, monkeypatch):
    monkeypatch.setattr(openneuro, "REPOSITORIES", server.url)
    monkeypatch.setattr(openneuro, "BUCKET", f"{server.url}/bucket")
    write_photographs(data, "13s")
    bodies = {}
    for name, version in things_meg.VERSIONS.items():
        body = bodies[name] = name.encode() * 3
        path = f"ds004212/{{}}derivatives/preprocessed/{name}"
        link = f"../.git/annex/objects/x/SHA256E-s{len(body)}--{hashlib.sha256(body).hexdigest()}.fif"
        server.content["/" + path.format(f"{things_meg.COMMIT}/")] = link.encode()
        server.content[f"/bucket/{path.format('')}?versionId={version}"] = body
    paths = neurodata.download("things_meg")
    assert {path.name: path.read_bytes() for path in paths} == bodies
    assert neurodata.describe("things_meg")["cached"]
