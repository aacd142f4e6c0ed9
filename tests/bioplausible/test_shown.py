"""How objects look where a notebook's cell ends in one."""

import dataclasses
import io
from html.parser import HTMLParser

import fake_comparison
import numpy as np
from PIL import Image
from rsatoolbox.rdm import RDMs

import neurodata
from bioplausible.foundation.html_tables import html_table
from bioplausible.foundation.pictures import Picture
from experiments.report import summary
from experiments.training import train
from neurodata import meg

SMALL = {"dataset": "digits", "architecture": "mlp", "epochs": 1}


class Cells(HTMLParser):
    """The text of each cell and paragraph, and the tags."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("p", "th", "td"):
            self.texts.append("")

    def handle_data(self, data):
        self.texts[-1] += data


def seen(figure):
    return np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGBA"))


def test_a_picture_is_drawn_without_pyplot_and_is_the_same_twice():
    figure = Picture(figsize=(2, 1))
    assert (seen(figure)[..., :3] == 255).all()
    figure.add_axes((0, 0, 1, 1)).axvspan(0.25, 0.75, color="#0072b2")
    assert seen(figure).shape == (90, 180, 4) and tuple(seen(figure)[45, 90]) == (0, 114, 178, 255)
    assert figure._repr_png_() == figure._repr_png_()


def test_figures_of_comparisons_and_recordings_show_themselves():
    comparison = fake_comparison.fake_comparison(rules=("untrained", "backprop"), n_subjects=3, n_seeds=2, n_epochs=2)
    for what in ("overview", "accuracy", "scores", "differences", "rdms", "stimuli"):
        assert isinstance(comparison.plot(what), Picture)
    times = np.array([-0.1, 0.1, 0.2])
    recording = neurodata.simulate(neurodata.default_stimuli((0, 1), 3), {"a": "category"}, n_subjects=1, times=times)
    assert isinstance(meg.draw_dissimilarity(recording.regions), Picture)


def test_a_comparison_is_its_summary_and_ranking():
    comparison = fake_comparison.fake_comparison(rules=("untrained", "backprop"), n_subjects=3, n_seeds=2, n_epochs=2)
    shown = Cells(comparison._repr_html_())
    assert summary(comparison) in shown.texts and shown.texts[0] == "made_up_92 (recording)"
    simulated = dataclasses.replace(comparison, recording={**comparison.recording, "simulated": True})
    assert "no brain was measured" in Cells(simulated._repr_html_()).texts[0]
    best = comparison.aggregates().query("region == 'IT' and rule == 'backprop'")["score"].max()
    assert any(text.startswith(f"{best:.3f} [") for text in shown.texts)
    assert not {"script", "style"} & set(shown.tags) and len(repr(comparison)) < 200


def test_names_stay_text():
    comparison = fake_comparison.fake_comparison(rules=("untrained", "backprop"), regions=("<script>",), n_subjects=3, n_seeds=2)
    assert "script" not in Cells(comparison._repr_html_()).tags
    assert "b" not in Cells(html_table("<b>", ["<b>"], [["<b>"], ["<b>"]], ["<b>"])).tags


def test_a_recording_is_its_regions():
    recording = neurodata.simulate(neurodata.default_stimuli((0, 1), 3), {"early": "category"}, n_subjects=2, n_channels=7)
    texts = Cells(recording._repr_html_()).texts
    assert texts[-5:] == ["early", "2", "patterns of 7 channels", "", "category"]
    region = neurodata.RdmSet(RDMs(np.ones((2, 15)), rdm_descriptors={"subject": ["a", "b"]}))
    measured = dataclasses.replace(recording, modality="fmri", regions={"V1": region}, truth={}, drive_windows={})
    assert Cells(measured._repr_html_()).texts[-4:] == ["V1", "2", "RDMs", ""]


def test_a_training_is_its_layers():
    trained = train(**{"rule": "untrained", "architecture_options": {"hidden": [4]}, "batch_size": 64, "n_train": 64}, **SMALL)
    texts = Cells(trained._repr_html_()).texts
    assert f"{100 * trained.test_accuracy[0]:.1f} % of test images right" in texts[0] == repr(trained)[1:-1]
    assert [text for text in texts if text in ("hidden_0", "output")] == ["hidden_0", "output"]
