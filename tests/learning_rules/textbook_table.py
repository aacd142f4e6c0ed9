"""The rules as published: settings, source, what they reach, how far they are from backpropagation, and which test proves them.

    python tests/learning_rules/textbook_table.py [--out docs/results/textbook.md]

Settings are those of the rules themselves, and what they reach is read from the sweeps' tables in docs/results, so that the page
cannot tell otherwise than they do.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

import learning_rules
from experiments.sweeping.page import percent

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
SWEEPS = ("controls", "textbook_stdp")

# Each test types the paper's equations in NumPy, or holds the rule against another program's numbers or a law in closed form.
ORACLES = {
    "hebbian/textbook": ("test_textbook.py", "test_hebbian_units_compete_as_published"),
    "hebbian/textbook_softhebb": ("test_textbook.py", "test_hebbian_units_compete_as_published"),
    "stdp/textbook": ("test_stdp_diehl_cook.py", "test_a_layer_fires_and_learns_as_another_simulator_says"),
    "feedback_alignment/textbook": (
        "test_textbook.py",
        "test_feedback_alignment_takes_plain_steps_through_fixed_weights_of_full_size",
    ),
    "feedback_alignment/textbook_kolen_pollack": (
        "test_textbook.py",
        "test_kolen_pollack_gives_both_paths_the_same_plain_step_and_decay",
    ),
    "target_propagation/textbook": (
        "test_textbook.py",
        "test_difference_target_propagation_sends_targets_through_inverses_that_bend",
    ),
    "target_propagation/textbook_local_difference_reconstruction": (
        "test_textbook.py",
        "test_inverses_follow_local_differences_for_some_steps_before_targets_go_down",
    ),
    "dendritic/textbook": ("test_textbook.py", "test_dendrites_compare_bounded_errors_through_large_weights_of_their_own"),
    "predictive_coding/textbook": ("test_textbook.py", "test_predictive_coding_settles_all_states_at_once_at_one_rate"),
    "forward_forward/textbook": ("test_textbook.py", "test_forward_forward_compares_the_sum_of_squares_with_a_threshold"),
    "forward_forward/textbook_channel_wise": ("test_textbook.py", "test_channels_compete_by_the_softmax_of_their_goodness"),
    "perturbation/textbook": ("test_textbook.py", "test_noise_learns_as_many_times_more_slowly_as_it_has_directions"),
    "pepita/textbook": ("test_textbook.py", "test_pepita_takes_plain_steps_by_what_a_modulated_pass_changes"),
    "local_losses/textbook": ("test_textbook.py", "test_local_losses_match_similarities_among_as_many_dimensions_as_units"),
    "energy_based/textbook": ("test_textbook.py", "test_equilibrium_propagation_settles_free_and_then_nudged_either_way"),
}


def textbook_rules():
    """Every variant that is called as published."""
    return [name for name in learning_rules.names(variants=True) if name.partition("/")[2].startswith("textbook")]


def settings(name):
    """What the rule was published with: its own options, and the batch and network that belong to it."""
    spec, (family, _, variant) = learning_rules.spec(name), name.partition("/")
    options = {key: value for key, value in learning_rules.FAMILIES[family].variants[variant].options.items() if key != "variant"}
    batch = {"batch_size": spec.batch_size} if spec.batch_size else {}
    return {**options, **batch, **{f"network.{key}": value for key, value in spec.network}}


def reached():
    """Rule -> row of a sweep, of those that are there on the network that the rule was published with."""
    tables = [pd.read_csv(path) for sweep in SWEEPS if (path := RESULTS / sweep / "summary.csv").is_file()]
    rows = pd.concat(tables, ignore_index=True)
    rows = rows[[_of_published_depth(*pair) for pair in zip(rows["rule"], rows["architecture_options"], strict=True)]]
    return rows.drop_duplicates("rule").set_index("rule")


def _of_published_depth(rule, architecture_options):
    published = dict(learning_rules.spec(rule).network).get("hidden")
    return published is None or json.loads(architecture_options).get("hidden") == list(published)


def page():
    """The table as Markdown."""
    rows = reached()
    lines = [
        "# Rules as published",
        "",
        "The settings of the paper that named the rule, or of its published code: options of the variant, the batch and the",
        "network that belong to it. What they reach on 10,000 images of Fashion-MNIST in five epochs (five seeds; the rule's own",
        "output, and one readout for all), where a table of `docs/results` has it, is less than what was published on all images",
        "and more epochs: it says what the settings do at the budget that every rule gets. Degrees are the mean angle of hidden",
        "nodes to the gradient of the rule's own objective, at the start, after a tenth and at the end. Oracles are tests in",
        "`tests/learning_rules`.",
        "",
        "| rule | source | settings | test accuracy | one readout | degrees from backprop | oracle |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in textbook_rules():
        row = rows.loc[name] if name in rows.index else None
        accuracy = "" if row is None else percent(row["mean"], row["standard_deviation"])
        read = "" if row is None else percent(row["readout_mean"], row["readout_standard_deviation"])
        angles = [] if row is None else [row[when] for when in ("angle_start", "angle_tenth", "angle")]
        degrees = ", ".join("none" if pd.isna(angle) else f"{angle:.0f}" for angle in angles)
        said = ", ".join(f"{key}={json.dumps(value)}" for key, value in settings(name).items())
        cells = [f"`{name}`", learning_rules.spec(name).citation, f"`{said}`", accuracy, read, degrees, f"`{ORACLES[name][1]}`"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS / "textbook.md")
    parser.parse_args().out.write_text(page(), encoding="utf-8")
