"""Test the statistics as statistics: how often each p-value and interval is wrong on simulated studies.

    python tests/rsa/calibrate.py [--studies 500] [--out docs/results/calibration]

Every check draws studies anew, of which nothing, or a known truth, is true, and counts. Written are a table with the binomial
interval of each count, a curve of power, and a picture of both.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import jax
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binomtest

import rsa

N_CONDITIONS, N_CHANNELS = 24, 15
BOTH, ALL = ("stimuli", "subjects"), ("stimuli", "subjects", "seeds")


def study(random, relation=0.0, n_subjects=8, n_seeds=1):
    """Two models, equally related to what subjects share, and the subjects; stimuli, subjects and seeds are drawn anew."""
    shape = (N_CONDITIONS, N_CHANNELS)
    shared = random.normal(size=shape)
    models = relation * shared + random.normal(size=(2, 1, *shape)) + 0.7 * random.normal(size=(2, n_seeds, *shape))
    loudness = random.normal(size=(n_subjects, 1, N_CHANNELS)) * random.normal(size=(1, N_CONDITIONS, 1))
    return rsa.rdm(models), rsa.rdm(shared + loudness + random.normal(size=(n_subjects, *shape)))


def score_p_value(random, key, comparator):
    """A model that is unrelated, by permutation."""
    models, data = study(random)
    return rsa.evaluate(key, models[:, 0], data, comparator, n_draws=99).p_value[0] <= 0.05


def contrast_over_stimuli(random, key, comparator):
    """Two models that are equally related, for these subjects."""
    models, data = study(random, relation=1.0)
    return rsa.contrast(rsa.evaluate(key, models[:, 0], data, comparator, n_draws=200), 0, 1).p_value <= 0.05


def contrast_over_all(random, key, factors):
    """Two models that are equally related, for other stimuli, subjects and seeds."""
    result = rsa.generalise(key, *study(random, 1.0, n_seeds=4 if factors == ALL else 1), "pearson", factors, n_draws=200)
    return rsa.generalised_contrast(result, 0, 1).p_value <= 0.05


def truth(n_seeds):
    """The expected score of a related model, over very many studies."""
    random = np.random.default_rng(10_000)
    return np.mean([rsa.compare(*study(random, 1.0, n_seeds=n_seeds), "pearson").mean() for _ in range(500)])


def missed_by_interval(random, key, factors, expected):
    """The interval of a related model's score misses its expectation."""
    result = rsa.generalise(key, *study(random, 1.0, n_seeds=4 if factors == ALL else 1), "pearson", factors, n_draws=200)
    return not result.lower[0] <= expected <= result.upper[0]


def family_of_maxima(random, key):
    """Any of forty unrelated scores, corrected by the largest."""
    null = random.normal(size=(200, 40))
    return rsa.max_statistic_p_values(null[0], null[1:]).min() <= 0.05


def clusters_of_flips(random, key):
    """Any stretch of smooth noise over time, in ten subjects."""
    noise = gaussian_filter1d(random.normal(size=(10, 60)), 3, axis=1)
    return any(cluster.p_value <= 0.05 for cluster in rsa.cluster_sign_flips(key, noise, n_draws=199).clusters)


def clusters_of_permutations(random, key):
    """Any stretch of smooth noise over time, against its permutations."""
    noise = gaussian_filter1d(random.normal(size=(200, 60)), 3, axis=1)
    return any(cluster.p_value <= 0.05 for cluster in rsa.cluster_permutations(noise[0], noise[1:]).clusters)


def mean_zero(random, key):
    """The sign of a cross-validated distance of noise."""
    return rsa.crossnobis(random.normal(size=(4, 6, 20))).mean() > 0


def checks():
    """Name, what is counted, nominal rate, and whether one study counts."""
    both, every = truth(1), truth(4)
    return [
        ("score, permutation, Pearson", "false positives", 0.05, lambda r, k: score_p_value(r, k, "pearson")),
        ("score, permutation, rho-a", "false positives", 0.05, lambda r, k: score_p_value(r, k, "spearman")),
        ("score, permutation, whitened", "false positives", 0.05, lambda r, k: score_p_value(r, k, "whitened_pearson")),
        ("contrast, stimuli, Pearson", "false positives", 0.05, lambda r, k: contrast_over_stimuli(r, k, "pearson")),
        ("contrast, stimuli, rho-a", "false positives", 0.05, lambda r, k: contrast_over_stimuli(r, k, "spearman")),
        ("contrast, stimuli and subjects", "false positives", 0.05, lambda r, k: contrast_over_all(r, k, BOTH)),
        ("contrast, stimuli, subjects, seeds", "false positives", 0.05, lambda r, k: contrast_over_all(r, k, ALL)),
        ("interval, stimuli and subjects", "misses", 0.05, lambda r, k: missed_by_interval(r, k, BOTH, both)),
        ("interval, stimuli, subjects, seeds", "misses", 0.05, lambda r, k: missed_by_interval(r, k, ALL, every)),
        ("maximum statistic, 40 tests", "false families", 0.05, family_of_maxima),
        ("clusters in time, sign flips", "false families", 0.05, clusters_of_flips),
        ("clusters in time, permutation", "false families", 0.05, clusters_of_permutations),
        ("crossnobis of noise above zero", "share", 0.5, mean_zero),
    ]


def calibrate(n_studies: int, tell: Callable[[str], None] = print) -> pd.DataFrame:
    """One row a check: the rate, its 95 % binomial interval, and whether it is nominal, or lower (conservative), or too high."""
    rows = []
    for number, (name, what, nominal, hit) in enumerate(checks()):
        random = np.random.default_rng(number)
        keys = jax.random.split(jax.random.key(number), n_studies)
        hits = sum(bool(hit(random, key)) for key in keys)
        interval = binomtest(hits, n_studies).proportion_ci(0.95, "wilson")
        verdict = (
            "nominal" if interval.low <= nominal <= interval.high else "conservative" if hits / n_studies < nominal else "too high"
        )
        bounds = {"lower": interval.low, "upper": interval.high}
        rows.append({"check": name, "counted": what, "nominal": nominal, "rate": hits / n_studies, **bounds, "verdict": verdict})
        tell(f"{name}: {hits / n_studies:.3f} of {n_studies} ({verdict})")
    return pd.DataFrame(rows)


def power(n_studies: int) -> pd.DataFrame:
    """How often a related model is found, and told from an unrelated one, by how strongly it is related."""
    rows = []
    for relation in (0.0, 0.25, 0.5, 0.75, 1.0):
        random = np.random.default_rng(99)
        found = []
        for key in jax.random.split(jax.random.key(99), n_studies):
            models, data = study(random, relation)
            found.append(rsa.evaluate(key, models[:, 0], data, "spearman", n_draws=99).p_value[0] <= 0.05)
        rows.append({"relation": relation, "found": float(np.mean(found)), "n_studies": n_studies})
    return pd.DataFrame(rows)


def picture(table: pd.DataFrame, curve: pd.DataFrame) -> str:
    """Rates with their intervals beside what they should be, and the curve of power, as SVG."""
    rates = table[table["nominal"] == 0.05]
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [2, 1]})
    places = np.arange(len(rates))
    colours = ["#c4500a" if verdict == "too high" else "#0b6fb8" for verdict in rates["verdict"]]
    left.axvline(0.05, color="#777777", linewidth=1.2)
    left.hlines(places, rates["lower"], rates["upper"], color=colours, linewidth=2)
    left.scatter(rates["rate"], places, color=colours, zorder=3)
    left.set_yticks(places, rates["check"])
    left.invert_yaxis()
    left.set_xlim(0, max(0.12, 1.05 * rates["upper"].max()))
    left.set_xlabel("rate of errors; line: nominal")
    right.plot(curve["relation"], curve["found"], marker="o", color="#0b6fb8")
    right.axhline(0.05, color="#777777", linewidth=1.2)
    right.set_ylim(0, 1.02)
    right.set_xlabel("relation of the model")
    right.set_ylabel("share of studies in which it is found")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "bioplausible", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def to_markdown(table: pd.DataFrame, curve: pd.DataFrame, n_studies: int) -> str:
    """The tables for reading."""
    lines = [
        "# How often the statistics are wrong",
        "",
        f"{n_studies} simulated studies a check ({N_CONDITIONS} stimuli); in brackets the 95 % binomial interval of the rate.",
        "",
        "![Rates of errors beside their nominal rate, and power](calibration.svg)",
        "",
        "| check | counted | nominal | rate | verdict |",
        "|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        rate = f"{row.rate:.3f} [{row.lower:.3f}, {row.upper:.3f}]"
        lines.append(f"| {row.check} | {row.counted} | {row.nominal:.2f} | {rate} | {row.verdict} |")
    lines += ["", "| relation | found |", "|---|---|"]
    lines += [f"| {row.relation:.2f} | {row.found:.3f} |" for row in curve.itertuples()]
    return "\n".join([*lines, ""])


def main():
    """Run every check and write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    table, curve = calibrate(arguments.studies), power(max(arguments.studies // 2, 1))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        table.to_csv(arguments.out / "calibration.csv", index=False)
        curve.to_csv(arguments.out / "power.csv", index=False)
        (arguments.out / "calibration.svg").write_text(picture(table, curve), encoding="utf-8")
        (arguments.out / "README.md").write_text(to_markdown(table, curve, arguments.studies), encoding="utf-8")
    raise SystemExit(1 if (table["verdict"] == "too high").any() else 0)


if __name__ == "__main__":
    main()
