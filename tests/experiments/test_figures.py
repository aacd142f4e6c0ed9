"""Figures show what the tables hold, are finite, and look the same on a light and on a dark page."""

from __future__ import annotations

import sys

import fake_comparison as fake
import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from experiments.report import (
    plot_accuracy,
    plot_differences,
    plot_rdms,
    plot_scores,
    plot_scores_over_time,
    plot_stimuli,
)
from experiments.report.rdms import ranked_picture
from experiments.report.second_order import plane_of, plot_second_order, rdm_distances
from experiments.report.stimuli import picture_order
from experiments.report.style import MARKERS, RULE_COLOURS, rule_styles
from experiments.report.svg import inline_svg
from experiments.report.views import ceiling, from_reference


def _finite(figure: Figure) -> bool:
    """Whether every drawn line holds a finite point and every picture finite pixels off the diagonal."""
    for axes in figure.axes:
        for line in axes.lines:
            if len(line.get_xdata()) and not np.isfinite(np.asarray(line.get_ydata(), float)).any():
                return False
        if not np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all():
            return False
    return True


def test_accuracy_figure_shows_each_rule_and_chance(comparisons):
    comparison = comparisons["plain"]
    figure = plot_accuracy(comparison)
    (axes,) = figure.axes
    curves = {line.get_label(): line for line in axes.lines if line.get_label() in comparison.rules}
    assert list(curves) == list(comparison.rules)
    expected = comparison.accuracy.groupby(["rule", "epoch"])["test_accuracy"].mean()
    for rule, curve in curves.items():
        np.testing.assert_allclose(curve.get_ydata(), expected[rule].to_numpy())
    assert {text.get_text() for text in axes.texts} == {*comparison.rules, "chance", "■"}
    signs = [text.get_color() for text in axes.texts if text.get_text() == "■"]
    assert signs == [style.colour for style in rule_styles(list(comparison.rules)).values()]
    assert len(axes.collections) == len(comparison.rules)
    assert any(np.allclose(line.get_ydata(), 0.1) for line in axes.lines)


def test_score_figure_shows_means_intervals_and_ceiling(comparisons):
    comparison = comparisons["plain"]
    figure = plot_scores(comparison)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["EVC", "IT"]
    aggregates = comparison.aggregates().set_index(["rule", "layer", "region"])
    for axes in figure.axes:
        region = axes.get_title(loc="left")
        points = {line.get_label(): line.get_ydata() for line in axes.lines if line.get_label() in comparison.rules}
        for rule in comparison.rules:
            wanted = [aggregates.loc[(rule, layer, region), "score"] for layer in fake.LAYERS]
            np.testing.assert_allclose(points[rule], wanted)
        assert len(axes.collections) == len(comparison.rules)
        heights = axes.collections[0].get_segments()[0][:, 1]
        wanted = aggregates.loc[("untrained", "conv_0", region), ["lower", "upper"]].to_numpy(float)
        np.testing.assert_allclose(heights, wanted)
        (band,) = axes.patches
        np.testing.assert_allclose([band.get_y(), band.get_y() + band.get_height()], ceiling(comparison, region)[:2])
    assert len(plot_scores(comparison, ["IT"], legend=False).axes) == 1
    assert plot_scores(comparison, ["IT"]).axes[0].get_ylim() == figure.axes[0].get_ylim()
    # Without an upper bound there is a line and no band.
    assert [len(axes.patches) for axes in plot_scores(comparisons["upper ceiling withheld"]).axes] == [0, 0]


def test_difference_figure_fills_what_excludes_zero(comparisons):
    comparison = comparisons["plain"]
    for axes in plot_differences(comparison).axes:
        region = axes.get_title(loc="left")
        own = from_reference(comparison)
        own = own[own["region"] == region]
        solid = ((own["lower"] > 0) | (own["upper"] < 0)).sum()
        filled = hollow = 0
        for line in axes.lines:
            if line.get_marker() in MARKERS:
                n_points = len(line.get_xdata())
                filled, hollow = (
                    (filled, hollow + n_points) if line.get_markerfacecolor() == "none" else (filled + n_points, hollow)
                )
        assert (filled, hollow) == (solid, len(own) - solid)
    hollow = [
        line for axes in plot_differences(comparisons["no draws"]).axes for line in axes.lines if line.get_marker() in MARKERS
    ]
    assert hollow and all(line.get_markerfacecolor() == "none" for line in hollow)


def test_time_figure_has_a_panel_for_each_layer_and_region(comparisons):
    comparison = comparisons["times"]
    figure = plot_scores_over_time(comparison)
    assert len(figure.axes) == len(fake.LAYERS) * 2
    lines = [line for line in figure.axes[0].lines if line.get_label() in comparison.rules]
    assert len(lines) == len(comparison.rules)
    np.testing.assert_allclose(lines[0].get_xdata(), np.array(fake.MEG_TIMES) * 1000)
    assert _finite(figure)


def test_rdm_figure_has_a_picture_for_each_region_and_layer(comparisons):
    comparison = comparisons["plain"]
    figure = plot_rdms(comparison)
    assert sum(bool(axes.images) for axes in figure.axes) >= len(comparison.region_rdms) + len(comparison.layer_rdms)
    picture = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    np.testing.assert_array_equal(picture, ranked_picture(comparison.region_rdms["EVC"], np.arange(32)))
    assert "face" in {text.get_text() for axes in figure.axes for text in axes.texts}
    bare = plot_rdms(comparisons["one region, no categories"])
    assert sum(bool(axes.images) for axes in bare.axes) >= 17


def test_pictures_are_ordered_by_category():
    comparison = fake.fake_comparison(category_names=["b", "a"] * 16)
    ordering = picture_order(comparison)
    assert ordering.categories == ("b", "a")
    assert ordering.starts == (0, 16)
    assert ordering.order.tolist() == [*range(0, 32, 2), *range(1, 32, 2)]
    rdm = np.arange(32 * 31 / 2)
    square = ranked_picture(rdm, ordering.order)
    assert square[0, 1] == pytest.approx(1 / 495 * 100), "second in the picture is the third stimulus"
    np.testing.assert_array_equal(square, square.T)


def test_large_rdms_are_averaged_to_a_small_picture():
    rdm = np.random.default_rng(0).random(300 * 299 // 2)
    picture = ranked_picture(rdm, np.arange(300), max_pixels=100)
    assert picture.shape == (100, 100)
    assert np.isfinite(picture).all()
    assert picture[np.triu_indices(100, 1)].mean() == pytest.approx(50, abs=1)


def test_stimuli_figure_shows_every_stimulus(comparisons):
    figure = plot_stimuli(comparisons["plain"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(fake.CATEGORIES)
    opaque = sum(int((axes.images[0].get_array()[..., 3] == 255).sum()) for axes in figure.axes)
    assert opaque == 32 * 42 * 42
    assert len(plot_stimuli(comparisons["one region, no categories"]).axes) == 1


@pytest.mark.parametrize("name", fake.VARIANTS)
def test_figures_are_finite_and_leave_pyplot_alone(comparisons, name):
    before = dict(matplotlib.rcParams)
    for plot in (plot_accuracy, plot_scores, plot_differences, plot_rdms, plot_stimuli):
        figure = plot(comparisons[name])
        assert isinstance(figure, Figure)
        assert _finite(figure), plot.__name__
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_one_colour_and_marker_a_rule():
    names = ["untrained", *(f"rule_{index}" for index in range(20))]
    styles = rule_styles(names)
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(names)
    assert styles == {**styles, **rule_styles(names[:3])}, "a rule keeps its style when others join"

    def contrast(first: str, second: str) -> float:
        def luminance(colour):
            channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
            linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
            return float(linear @ [0.2126, 0.7152, 0.0722])

        high, low = sorted((luminance(first), luminance(second)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for light, dark in RULE_COLOURS:
        assert contrast(light, "#ffffff") >= 3
        assert contrast(dark, "#14171c") >= 3


def test_no_word_of_a_figure_is_smaller_than_eleven_pixels():
    figure = Figure(figsize=(10, 2))
    figure.text(0.5, 0.5, "small", fontsize=8)
    figure.text(0.5, 0.5, "large", fontsize=20)
    figure.text(0.5, 0.5, "–", fontsize=2)  # no word
    # 720 points wide: at 990 pixels what is 8 points high has 11 pixels; a page is not asked for more than the figure's own size.
    assert "min-width:960px;max-width:720pt" in inline_svg(figure, "words", "Words of several sizes.")
    figure.texts[0].set_fontsize(9)
    assert "min-width:880px;max-width:720pt" in inline_svg(figure, "words", "Words of several sizes.")


def test_a_map_of_rdms_keeps_what_is_alike_together(comparisons):
    """Against points of a plane, which come back up to a turn, and principal components of points in space."""
    places = np.random.default_rng(0).normal(size=(7, 2))
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    plane = plane_of(distances)
    np.testing.assert_allclose(np.linalg.norm(plane.places[:, None] - plane.places, axis=-1), distances, atol=1e-12)
    assert plane.share == pytest.approx(1) and plane.stress < 1e-12
    flat = plane_of(np.linalg.norm((deep := np.random.default_rng(1).normal(size=(9, 5)))[:, None] - deep, axis=-1))
    variances = np.linalg.svd(deep - deep.mean(0), compute_uv=False) ** 2  # of points in space it is their principal components
    assert flat.share == pytest.approx(variances[:2].sum() / variances.sum()) and 0.05 < flat.stress < 1
    one, other = np.random.default_rng(2).permutation(40.0 * np.arange(21)), np.random.default_rng(3).normal(size=21)
    assert rdm_distances([one, other])[0, 1] == pytest.approx(1 - spearmanr(one, other).statistic)
    figure = plot_second_order(comparisons["plain"])
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == set(comparisons["plain"].region_rdms)
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 1]
    assert len(lines) == len({rule for rule, _ in comparisons["plain"].layer_rdms})


def test_inline_figures_follow_the_page(comparisons):
    svg = str(inline_svg(plot_scores(comparisons["plain"]), "scores", 'a "quoted" <figure>'))
    assert "currentColor" in svg and "var(--rule-0)" in svg and "var(--ceiling)" in svg
    assert RULE_COLOURS[0][0] not in svg
    assert 'aria-label="a &quot;quoted&quot; &lt;figure&gt;"' in svg
    assert "DejaVu" not in svg and "<metadata" not in svg and "<!--" not in svg
