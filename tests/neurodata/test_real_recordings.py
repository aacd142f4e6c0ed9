"""Published facts of the 92-object recordings; every correlation of RDMs is Spearman's, as the papers report it."""

import numpy as np
import pytest
from scipy.stats import spearmanr

import neurodata
from neurodata import kriegeskorte92

pytestmark = pytest.mark.usefixtures("real_data")


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return spearmanr(one, other).statistic


def test_kriegeskorte_has_four_subjects_of_two_sessions():
    region = neurodata.load("kriegeskorte92").regions["IT"]
    assert region.subjects == ("BE", "KO", "SN", "TI") and region.sessions == ("1", "2")
    by_session = region.rdms_by_session()
    assert by_session.shape == (4, 2, 4186)
    within = [correlation(*subject) for subject in by_session]
    across = [correlation(by_session[i, 0], by_session[j, 1]) for i in range(4) for j in range(4) if i != j]
    assert np.mean(within) > np.mean(across) > 0.1  # sessions are paired with their own subjects


def test_two_laboratories_agree_on_it():
    ours, theirs = (neurodata.load(name).regions["IT"].rdms().mean(axis=0) for name in ("kriegeskorte92", "cichy92"))
    assert correlation(ours, theirs) == pytest.approx(0.56, abs=0.005)


def test_models_and_regions():
    models = kriegeskorte92.model_rdms()
    assert set(models) == {"animacy", "FaceBodyManmadeNatobj", "monkeyIT", "EVA", "HMAX", "V1", "Silhouette", "RADON"}
    regions = {name: region.rdms() for name, region in neurodata.load("cichy92").regions.items()}
    means = {name: rdms.mean(axis=0) for name, rdms in regions.items()}
    assert correlation(means["IT"], models["animacy"]) == pytest.approx(0.47, abs=0.005)
    assert correlation(means["EVC"], models["animacy"]) == pytest.approx(0.06, abs=0.005)
    human = neurodata.load("kriegeskorte92").regions["IT"].rdms().mean(axis=0)
    assert correlation(human, models["monkeyIT"]) == pytest.approx(0.44, abs=0.005)
    ceilings = {
        name: np.mean([correlation(rdms[i], np.delete(rdms, i, axis=0).mean(axis=0)) for i in range(15)])
        for name, rdms in regions.items()
    }
    assert ceilings == pytest.approx({"EVC": 0.24, "IT": 0.45}, abs=0.005)


def test_categories_agree_with_the_published_vectors():
    stimuli = neurodata.load("kriegeskorte92").stimuli
    vectors = kriegeskorte92.category_vectors()
    built = {
        "human bodypart": vectors["human"] & vectors["body"],
        "human face": vectors["human"] & vectors["face"],
        "nonhuman bodypart": vectors["nonhumani"] & vectors["body"],
        "nonhuman face": vectors["nonhumani"] & vectors["face"],
        "natural inanimate": vectors["natObj"],
        "artificial inanimate": vectors["artiObj"],
    }
    for category, members in built.items():
        np.testing.assert_array_equal(stimuli.categories == category, members)


def test_both_recordings_show_the_same_objects_in_the_same_order():
    ours, theirs = (neurodata.load(name).stimuli for name in ("kriegeskorte92", "cichy92"))
    np.testing.assert_array_equal(ours.categories, theirs.categories)
    one, other = ours.images.astype(float), theirs.images.astype(float)
    # each object where ours is not background grey, against each of theirs
    difference = np.zeros((92, 92))
    for index, image in enumerate(one):
        inside = np.abs(image - image[0, 0]).max(axis=-1) > 12
        difference[index] = np.abs(image[inside] - other[:, inside]).mean(axis=(1, 2))
    np.testing.assert_array_equal(difference.argmin(axis=1), np.arange(92))
    np.testing.assert_array_equal(difference.argmin(axis=0), np.arange(92))


def test_similarity_judgements_come_on_request():
    recording = kriegeskorte92.load(with_behaviour=True)
    judgements = recording.regions["similarity judgements"]
    assert judgements.rdms().shape == (16, 4186) and len(judgements.subjects) == 16
    assert "judgments" in recording.citation and "judgments" not in kriegeskorte92.load().citation
    animacy = kriegeskorte92.model_rdms()["animacy"]
    assert correlation(judgements.rdms().mean(axis=0), animacy) > 0.3
    np.testing.assert_array_equal(kriegeskorte92.behaviour().rdms(), judgements.rdms())


def test_real_recording_comes_back_from_a_folder(tmp_path):
    made = neurodata.load("kriegeskorte92")
    found = neurodata.load(neurodata.save(made, tmp_path / "copy"))
    np.testing.assert_array_equal(found.stimuli.images, made.stimuli.images)
    np.testing.assert_array_equal(found.regions["IT"].rdms_by_session(), made.regions["IT"].rdms_by_session())
    assert found.regions["IT"].subjects == made.regions["IT"].subjects
