"""Every way in which a recording or its options can be wrong is told in one sentence."""

from dataclasses import replace

import mne
import numpy as np
import pytest
from meg_files import CODES, PLAIN, make_raw, reference, write

from neurodata import InputError
from neurodata.meg import MegOptions, MegRun, options_from, patterns

pytestmark = pytest.mark.usefixtures("own_cache")


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
        ({"decimate": 0}, "decimate=0 was given, expected at least 1"),
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
        "tmax": 5e-1,
        "baseline": [None, 0.2],
        "reject": {"mag": 4e-12},
        "channel_types": ["mag"],
        "event_id": {1: 5},
    }
    options = options_from(stated, "recording.yaml")
    assert (options.tmin, options.tmax, options.baseline, options.reject) == (0.0, 0.5, (None, 0.2), {"mag": 4e-12})
    assert options.channel_types == ("mag",) and options.event_id == {"1": 5}
    for wrong, expected in (
        ({"tmn": 0.1, "decimation": 2}, r"recording.yaml: 'meg' has unknown keys: 'tmn' \(did you mean 'tmin'\?\), "
                                        r"'decimation' \(did you mean 'decimate'\?\); valid are event_id"),
        ({"reject": 4}, "recording.yaml: option 'reject' of 'meg' was given 4, expected a mapping"),
        ({"decimate": 2.5}, "option 'decimate' of 'meg' was given 2.5, expected a whole number"),
        ({"baseline": [-1.0, 0.0]}, "recording.yaml: the baseline from -1 to 0 s is not within"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=expected):
            options_from(wrong, "recording.yaml")
