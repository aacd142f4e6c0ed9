"""Whether a conclusion holds in every view, and what is kept out of rankings: on made-up tables whose answer is known."""

import dataclasses

import fake_comparison as fake
import numpy as np
import pandas as pd
import pytest

from experiments.failures import _is_worse, failure_of
from experiments.report import terminal_table
from experiments.report.conclusions import conclusions, leaders, view_names
from experiments.report.page import render
from experiments.report.views import failures, standings
from experiments.report.wording import region_finding, summary
from experiments.training import train

BETTER = (0.1, 0.08, 0.12, 1e-6)
WORSE = (-0.1, -0.12, -0.08, 1e-6)
OPEN = (0.01, -0.02, 0.04, 0.5)


def seen_in(*views, rule="backprop"):
    """A comparison in which every difference of `rule` in a further view is that of `views`, and in the main one `BETTER`."""
    comparison = fake.fake_comparison(rules=("untrained", "backprop", "feedback_alignment"))
    tables = []
    names = ["difference", "lower", "upper", "p_value"]
    for view, values in (({}, BETTER), *views):
        table = comparison.differences.assign(**{**fake.MAIN_VIEW, **view})
        table.loc[table["rule"] == rule, names] = values
        tables.append(table)
    return dataclasses.replace(comparison, differences=pd.concat(tables, ignore_index=True))


EUCLIDEAN, SMALL, CKA = {"measure": "euclidean"}, {"size": 16}, {"measure": None, "comparator": "cka"}


@pytest.mark.parametrize(
    ("views", "holds"),
    [
        ([(EUCLIDEAN, BETTER)], "holds"),
        ([(EUCLIDEAN, WORSE)], "turns"),
        ([(EUCLIDEAN, OPEN)], "undecided"),
        ([(EUCLIDEAN, OPEN), (SMALL, WORSE)], "turns"),
        ([(EUCLIDEAN, BETTER), (SMALL, BETTER), (CKA, BETTER)], "holds"),
        # Patterns' measures have p-values for these stimuli alone: they decide nothing, on either side.
        ([(CKA, WORSE)], "holds"),
        ([(EUCLIDEAN, OPEN), (CKA, BETTER)], "undecided"),
        # A view in which the layer was not scored says nothing.
        ([(EUCLIDEAN, BETTER), (SMALL, (np.nan,) * 4)], "holds"),
        # What is said without an interval is not decided.
        ([(EUCLIDEAN, (0.1, np.nan, np.nan, np.nan))], "undecided"),
    ],
)
def test_a_conclusion_holds_where_every_view_decides_alike(views, holds):
    comparison = seen_in(*views)
    found = [each for each in conclusions(comparison) if each.rule == "backprop"]
    assert [each.region for each in found] == list(fake.REGIONS) and {each.holds for each in found} == {holds}
    assert len(view_names(comparison)) == 1 + len(views) == len(found[0].views)


def test_views_are_called_by_what_tells_them_apart():
    assert view_names(seen_in((EUCLIDEAN, BETTER))) == ["correlation", "euclidean"]
    assert view_names(seen_in((SMALL, BETTER))) == ["correlation, 32 px", "correlation, 16 px"]
    assert view_names(seen_in((CKA, BETTER), ({"comparator": "pearson"}, BETTER))) == [
        *("correlation, spearman", "cka", "correlation, pearson")
    ]


def test_what_is_taken_out_stands_with_the_measure():
    assert view_names(seen_in((EUCLIDEAN, BETTER), ({"comparator": "spearman beyond pixels, gabor"}, BETTER))) == [
        *("correlation", "euclidean", "correlation beyond pixels, gabor")
    ]


def test_what_no_view_decides_is_said_so():
    nothing = seen_in((EUCLIDEAN, OPEN))
    nothing = dataclasses.replace(nothing, differences=nothing.differences.assign(p_value=0.9))
    assert "backprop scores best, and whether it differs from its untrained control is decided in none of 2 views (" in summary(
        nothing
    )
    some = seen_in((EUCLIDEAN, OPEN))
    assert "backprop scores best, and whether it differs from its untrained control is decided in 1 of 2 views (" in summary(some)


def test_the_correction_is_over_the_table_of_a_view_and_the_choice_of_the_layer():
    """Of 2 rules in 2 regions, each with the best of 4 layers: 4 tests, of which one at .01 alone is not below .05 any more."""
    comparison = seen_in((EUCLIDEAN, OPEN))
    n_layers = {standing.n_layers for region in fake.REGIONS for standing in standings(comparison, region)}
    assert n_layers == {len(fake.LAYERS)}
    differences = comparison.differences.assign(p_value=0.9)
    one = (differences["rule"] == "backprop") & (differences["region"] == "IT") & (differences["measure"] == "correlation")
    n_tests = 2 * len(fake.REGIONS)
    for p_value, decided in ((0.01, False), (0.05 / n_tests / len(fake.LAYERS) - 1e-6, True)):
        differences.loc[one, "p_value"] = p_value
        changed = dataclasses.replace(comparison, differences=differences)
        (found,) = [each for each in conclusions(changed) if each.rule == "backprop" and each.region == "IT"]
        assert (found.views["correlation"].verdict == "above") == decided
        # What is marked in the first table is what the conclusions say of the same view.
        (standing,) = [each for each in standings(changed, "IT") if each.rule == "backprop"]
        assert standing.beats == decided


def ahead_in(comparison, rule, by, **view):
    """The same, where a view has scores too, and `rule` leads in it."""
    scores = comparison.scores.assign(**{**fake.MAIN_VIEW, **view})
    scores.loc[scores["rule"] == rule, "score"] += by
    return dataclasses.replace(comparison, scores=pd.concat([comparison.scores, scores], ignore_index=True))


def test_who_scores_best_is_asked_of_every_view():
    comparison = ahead_in(seen_in((EUCLIDEAN, BETTER)), "feedback_alignment", 0.3, **EUCLIDEAN)
    assert leaders(comparison, "IT") == {"correlation": "backprop", "euclidean": "feedback_alignment"}
    said = "in IT, backprop scores best in 1 of 2 views (feedback_alignment by euclidean), and beats its untrained control in all"
    assert said in summary(comparison)
    both = ahead_in(seen_in((EUCLIDEAN, BETTER)), "backprop", 0.3, **EUCLIDEAN)
    assert "in IT, backprop scores best in all 2 views, and beats its untrained control in all 2 views (" in summary(both)
    assert "It scores best in all 2 views." in region_finding(both, "IT").sentences


def test_a_control_that_leads_is_not_the_last_word():
    """Where a rule is above it in another view, the first sentence says so."""
    comparison = seen_in((EUCLIDEAN, BETTER))
    scores = comparison.scores.copy()
    scores.loc[scores["rule"] == "untrained", "score"] += 0.5
    leading = dataclasses.replace(comparison, scores=scores)
    assert (
        "the untrained control scores best, while layers of rules are above it (backprop by correlation and euclidean)"
        in summary(leading)
    )
    nothing = seen_in((EUCLIDEAN, OPEN))
    nothing = dataclasses.replace(nothing, scores=scores, differences=nothing.differences.assign(p_value=0.9))
    assert "the untrained control scores best (" in summary(nothing)


def test_a_model_without_a_control_has_no_views_to_hold_in():
    comparison = seen_in((EUCLIDEAN, BETTER))
    differences = comparison.differences[comparison.differences["rule"] != "backprop"]
    alone = dataclasses.replace(comparison, differences=differences)
    assert "in IT, backprop scores best, and has no untrained control to compare with (" in summary(alone)
    assert not [each for each in region_finding(alone, "IT").sentences if each.endswith(": .") or "0 views" in each]


def test_the_control_is_shown_beside_the_best_by_its_own_best_layer():
    comparison = fake.fake_comparison()
    control = next(each for each in standings(comparison, "IT") if each.rule == "untrained")
    assert f"the untrained control's best layer {control.score:.3f})" in summary(comparison)


def test_the_first_sentence_says_whether_it_holds():
    turns, holds = (seen_in((EUCLIDEAN, view)) for view in (WORSE, BETTER))
    turning = "in IT, backprop scores best, and whether it is above or below its untrained control turns with the view ("
    assert turning in summary(turns)
    assert "in IT, backprop scores best, and beats its untrained control in all 2 views (" in summary(holds)
    text = " ".join(region_finding(turns, "IT").sentences)
    assert "no conclusion about the rule: correlation +0.100 (above); euclidean −0.100 (below)" in text
    page = render(turns)
    assert "What holds in every view" in page and ">turns<" in page and "+0.100 ▲" in page and "−0.100 ▼" in page
    assert "What holds in every view" not in render(fake.fake_comparison())


def test_models_that_learned_nothing_are_ranked_with_the_rules():
    comparison = fake.fake_comparison()
    models = comparison.reference_models.copy()
    models.loc[models["model"] == "pixels", "score"] = 0.9
    ahead = dataclasses.replace(comparison, reference_models=models)
    finding = region_finding(ahead, "IT")
    assert finding.ranked[0].model == "pixels" and len(finding.ranked) == len(fake.RULES) + 2
    assert "pixels, which learned nothing, scores above every network (pixels 0.900)." in finding.sentences
    assert "in IT, pixels, which learned nothing, scores above every network (0.900); of networks backprop scores best" in summary(
        ahead
    )
    behind = region_finding(comparison, "IT")
    assert "No reference model that is no network scores as high: the best is gabor, 0.120." in behind.sentences


def test_a_rule_that_failed_is_named_and_not_ranked():
    comparison = fake.fake_comparison()
    verdicts = comparison.verdicts.assign(failure=[None, "predicts one class", None, None])
    without = dataclasses.replace(comparison, verdicts=verdicts)
    assert [row.rule for row in standings(comparison, "IT")][0] == "backprop"
    assert "backprop" not in [row.rule for row in standings(without, "IT")]
    assert failures(without) == {"backprop": "predicts one class"}
    assert summary(without).endswith(" Not ranked, since their networks failed: backprop.")
    assert "backprop predicts one class" in render(without) and "Not ranked" not in render(comparison)
    assert "not ranked: backprop predicts one class" in str(terminal_table(without).caption)


@pytest.fixture(scope="module")
def networks():
    small = {
        "dataset": "digits",
        "epochs": 1,
        "n_train": 100,
        "n_seeds": 2,
        "architecture_options": {"hidden": (6,)},
    }
    return [train(rule=rule, batch_size=20, **small) for rule in ("untrained", "backprop")]


def readouts_of(untrained, own):
    rows = [("untrained", seed, value) for seed, value in enumerate(untrained)]
    rows += [("backprop", seed, value) for seed, value in enumerate(own)]
    return pd.DataFrame(rows, columns=["rule", "seed", "test_accuracy"])


def test_what_fails_is_said_by_name(networks):
    untrained, trained = networks
    n_images = len(trained.images.test.labels)
    good = readouts_of((0.3, 0.4), (0.35, 0.45))
    assert failure_of(trained, untrained, good) == "" == failure_of(untrained, untrained, good) == failure_of(trained, None, good)
    # One seed that is better is enough: with few seeds a mean says less.
    assert failure_of(trained, untrained, readouts_of((0.3, 0.4), (0.1, 0.41))) == ""
    # One image fewer in every seed is chance.
    assert failure_of(trained, untrained, readouts_of((0.3, 0.4), (0.3 - 1 / n_images, 0.4 - 1 / n_images))) == ""
    worse = readouts_of((0.3, 0.4), (0.2, 0.3))
    said = failure_of(trained, untrained, worse)
    reads = f"reads worse than the untrained network by more than its error (25.0% beside 35.0% of {n_images} test images)"
    assert said == reads
    for warning, part in (
        ("divergence: backprop, seed 1: the loss is not finite from epoch 1 on", "diverged in at least one of 2 seeds"),
        ("collapse to one class: backprop, seed 0: class 3", "predicts one class"),
    ):
        assert part in failure_of(dataclasses.replace(trained, warnings=[warning]), untrained, good)
    still = dataclasses.replace(trained, networks=trained.networks.assign(relative_weight_change=0.001))
    assert failure_of(still, untrained, good) == "no hidden layer's weights moved by 1%"
    # Without a readout for all, networks' own outputs are compared.
    none = good.iloc[:0]
    lower, higher = (
        dataclasses.replace(each, accuracy=each.accuracy.assign(test_accuracy=value))
        for each, value in ((trained, 0.3), (untrained, 0.4))
    )
    assert "reads worse" in failure_of(lower, higher, none)
    # A layer of few units that answer is no failure by itself; one without any has no geometry.
    sparse, dumb = (dataclasses.replace(trained, networks=trained.networks.assign(silent=share)) for share in (0.91, 1.0))
    assert failure_of(sparse, untrained, good) == ""
    assert failure_of(sparse, untrained, worse) == (
        f"{reads}, and over 90% of a layer's units answer no image in at least one of 2 seeds"
    )
    assert failure_of(dumb, untrained, good) == "has a layer that answers no image in at least one of 2 seeds"


@pytest.mark.parametrize(
    ("n_seeds", "of_equals", "of_varied"), [(1, 0.04, 0.15), (2, 0.01, 0.03), (3, 0.005, 0.015), (5, 0.005, 0.01)]
)
def test_a_rule_that_reads_as_well_as_untrained_networks_is_seldom_left_out(n_seeds, of_equals, of_varied):
    """360 test images, as digits have, of which both read 90 % right: by any margin 49, 22, 11 and 3 % were left out."""
    random, n_images = np.random.default_rng(n_seeds), 360
    for between, most in ((0.0, of_equals), (0.02, of_varied)):
        ability = np.clip(0.9 + between * random.standard_normal((1000, 2, n_seeds)), 0, 1)
        accuracies = random.binomial(n_images, ability) / n_images
        assert np.mean([_is_worse(*each, n_images) for each in accuracies]) <= most
        below = random.binomial(n_images, ability[:, 0] - 0.1) / n_images
        assert np.mean([_is_worse(low, high[1], n_images) for low, high in zip(below, accuracies, strict=True)]) > 0.75
