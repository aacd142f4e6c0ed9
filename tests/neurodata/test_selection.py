"""A part of a recording is what slicing its arrays gives."""

import numpy as np
import pytest

import neurodata
from bioplausible.foundation.errors import InputError
from neurodata import PatternSet, RdmSet, Recording, Stimuli, select

N = 6
RNG = np.random.default_rng(0)
TIMES = np.array([0.0, 0.1])
SQUARES = RNG.random((4, 2, N, N))
SQUARES = SQUARES + np.swapaxes(SQUARES, -1, -2)
SQUARES[..., np.arange(N), np.arange(N)] = 0
PATTERNS = RNG.random((3, 2 * N, 5))  # every condition in two runs


@pytest.fixture
def recording():
    images = RNG.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    stimuli = Stimuli(images, np.array(list("fbdaec")), np.array(["x", "y"] * 3), source_indices=np.arange(N) * 7)
    names = [*stimuli.ids] * 2
    regions = {
        "rdms": RdmSet.from_array(SQUARES, subjects=["s1", "s2", "s3", "s4"], times=TIMES, conditions=list(stimuli.ids)),
        "patterns": PatternSet.from_arrays(PATTERNS, subjects=["s4", "s2", "s9"], conditions=names, runs=["1"] * N + ["2"] * N),
    }
    return Recording("made up", stimuli, "simulated fmri", regions, TIMES, truth={"rdms": "a stage"}, notes="Made up.")


def test_nothing_asked_for_is_the_recording_itself(recording):
    assert select(recording) is recording


def test_a_part_is_what_slicing_gives(recording):
    part = select(recording, exclude_subjects=["s2"], conditions=["y", "f"])
    kept = [0, 1, 3, 5]  # y is every other one
    np.testing.assert_array_equal(part.stimuli.images, recording.stimuli.images[kept])
    assert list(part.stimuli.ids) == ["f", "b", "a", "c"] and list(part.stimuli.source_indices) == [0, 7, 21, 35]
    rows, columns = np.triu_indices(len(kept), 1)
    assert part.regions["rdms"].subjects == ("s1", "s3", "s4")
    np.testing.assert_allclose(part.regions["rdms"].rdms(), SQUARES[[0, 2, 3]][:, :, kept][..., kept][..., rows, columns])
    assert part.regions["patterns"].subjects == ("s4", "s9")
    by_run = PATTERNS.reshape(3, 2, N, 5)[[0, 2]][:, :, kept]
    np.testing.assert_allclose(np.stack(part.regions["patterns"].patterns()), by_run.mean(1))
    np.testing.assert_allclose(np.stack(part.regions["patterns"].patterns_by_run()), by_run)
    assert part.notes == "Made up. A part of it: subjects s1, s3, s4, s9 of 5; 4 of 6 stimuli."


def test_regions_are_chosen_and_times_go_with_them(recording):
    part = select(recording, regions=["patterns"], subjects=["s9", "s4"])
    assert list(part.regions) == ["patterns"] and part.regions["patterns"].subjects == ("s4", "s9")
    assert part.times is None and not part.truth
    assert select(recording, regions=["rdms"]).truth == {"rdms": "a stage"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"subjects": ["s5"]}, "'s5'.*s1, s2, s3, s4, s9"),
        ({"exclude_subjects": ["S1"]}, "did you mean 's1'"),
        ({"regions": ["rdm"]}, "did you mean 'rdms'"),
        ({"conditions": ["z"]}, "unknown stimulus or category of recording 'made up' 'z'"),
        ({"conditions": ["a", "b"]}, "leave 2 stimuli of recording 'made up', expected 3"),
        ({"subjects": ["s1"]}, "region 'patterns' .* has none of the subjects that are left .s1.: it has s4, s2, s9"),
        ({"exclude_subjects": ["s1", "s2", "s3", "s4"]}, "region 'rdms'"),
    ],
)
def test_what_cannot_be_chosen_is_said(recording, asked, told):
    with pytest.raises(InputError, match=told) as caught:
        select(recording, **asked)
    assert "\n" not in str(caught.value)


def test_of_real_recordings_too():
    part = select(neurodata.load("simulated"), subjects=["simulated_02", "simulated_05"])
    assert {region.subjects for region in part.regions.values()} == {("simulated_02", "simulated_05")}
