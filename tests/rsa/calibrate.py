"""Test the statistics as statistics: how often each p-value and interval is wrong on simulated studies.

    python tests/rsa/calibrate.py [--studies 500] [--out docs/results/calibration] [--only 'subjects|seeds']

Every check draws studies anew, of which nothing, or a known truth, is true, and counts. Written are a table with the binomial
interval of each count, a curve of power, and a picture of both. `--only` runs the checks whose names this pattern
is found in, and leaves the others in the folder as they were counted.
"""

import argparse
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binomtest, t

import rsa
from rsa.factors import spread_of_parts

N_CONDITIONS, N_CHANNELS = 24, 15
SHARES, LEVELS = (0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1), (0.05, 0.01)
# Scores of seeds are nearly squares of their strengths, and skewed: of three, no interval from a t distribution holds the mean.
SKEWED = ("interval, 3 seeds dominate", "interval, 3 seeds dominate, Student's t over seeds")
BOTH, ALL = ("stimuli", "subjects"), ("stimuli", "subjects", "seeds")


def study(random, relation=0.0, n_subjects=8, n_seeds=1):
    """Two models, equally related to what subjects share, and the subjects; stimuli, subjects and seeds are drawn anew."""
    shape = (N_CONDITIONS, N_CHANNELS)
    shared = random.normal(size=shape)
    models = relation * shared + random.normal(size=(2, 1, *shape)) + 0.7 * random.normal(size=(2, n_seeds, *shape))
    loudness = random.normal(size=(n_subjects, 1, N_CHANNELS)) * random.normal(size=(1, N_CONDITIONS, 1))
    return rsa.rdm(models), rsa.rdm(shared + loudness + random.normal(size=(n_subjects, *shape)))


def study_of_seeds(random, n_seeds, n_conditions=30, n_channels=30):
    """Two models whose networks are related to what eight subjects share each by a strength of its own, the same on average."""
    shape = (n_conditions, n_channels)
    shared = random.normal(size=shape)
    strength = 0.5 + 0.3 * random.normal(size=(2, n_seeds, 1, 1))
    return rsa.rdm(strength * shared + random.normal(size=(2, n_seeds, *shape))), rsa.rdm(shared + random.normal(size=(8, *shape)))


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


def contrast_of_seeds(random, key, n_seeds):
    """Two models that differ by chance in the seeds that they were trained with, and little by anything else."""
    result = rsa.generalise(key, *study_of_seeds(random, n_seeds), "pearson", ALL, n_draws=200)
    return rsa.generalised_contrast(result, 0, 1).p_value <= 0.05


def missed_by_interval_of_seeds(random, key, n_seeds, expected):
    """The interval of a score that seeds move most misses its expectation."""
    result = rsa.generalise(key, *study_of_seeds(random, n_seeds), "pearson", ALL, n_draws=200)
    return not result.lower[0] <= expected <= result.upper[0]


def missed_by_students_t(random, n_seeds, expected):
    """Student's t over the seeds' mean scores misses the expectation, for these stimuli and subjects."""
    means = rsa.compare(*study_of_seeds(random, n_seeds), "pearson")[0].mean(axis=-1)
    return abs(means.mean() - expected) > t.ppf(0.975, n_seeds - 1) * means.std(ddof=1) / np.sqrt(n_seeds)


def truth_of_seeds():
    """The expected score where seeds dominate."""
    random = np.random.default_rng(10_001)
    return np.mean([rsa.compare(*study_of_seeds(random, 10), "pearson").mean() for _ in range(500)])


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
    both, every, of_seeds = truth(1), truth(4), truth_of_seeds()
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
        ("contrast, 3 seeds dominate", "false positives", 0.05, lambda r, k: contrast_of_seeds(r, k, 3)),
        ("contrast, 5 seeds dominate", "false positives", 0.05, lambda r, k: contrast_of_seeds(r, k, 5)),
        ("contrast, 10 seeds dominate", "false positives", 0.05, lambda r, k: contrast_of_seeds(r, k, 10)),
        (SKEWED[0], "misses", 0.05, lambda r, k: missed_by_interval_of_seeds(r, k, 3, of_seeds)),
        (SKEWED[1], "misses", 0.05, lambda r, k: missed_by_students_t(r, 3, of_seeds)),
    ]


def calibrate(n_studies: int, tell: Callable[[str], None] = print, only: str = "") -> pd.DataFrame:
    """One row a check: the rate, its 95 % binomial interval, and whether it is nominal, or lower (conservative), or too high."""
    rows = []
    for number, (name, what, nominal, hit) in enumerate(checks()):
        if not re.search(only, name):
            continue
        random = np.random.default_rng(number)
        keys = jax.random.split(jax.random.key(number), n_studies)
        hits = sum(bool(hit(random, key)) for key in keys)
        interval = binomtest(hits, n_studies).proportion_ci(0.95, "wilson")
        verdict = (
            "nominal" if interval.low <= nominal <= interval.high else "conservative" if hits / n_studies < nominal else "too high"
        )
        limits = {"lower": interval.low, "upper": interval.high}
        counted = {"check": name, "counted": what, "nominal": nominal, "rate": hits / n_studies}
        rows.append({**counted, **limits, "verdict": verdict, "studies": n_studies})
        tell(f"{name}: {hits / n_studies:.3f} of {n_studies} ({verdict})")
    return pd.DataFrame(rows)


def bounds(
    n_studies: int, sizes: Sequence[tuple[int, int, int]] = ((92, 20, 3), (30, 8, 3), (30, 8, 5), (92, 20, 5), (30, 8, 10))
) -> pd.DataFrame:
    """Ways to find degrees of freedom, on normal scores whose variance is a sum of stimuli's, subjects' and seeds' parts.

    One row for each size and way: the highest rate of false positives over shares of the seeds from 0 to all and of the subjects in
    the rest, and the mean width beside Satterthwaite's where seeds have a tenth of the variance or less.
    """
    shares = [(others * (1 - seeds), (1 - others) * (1 - seeds), seeds) for seeds in SHARES for others in (0.9, 0.5, 0.2)]
    rows = []
    for members in sizes:
        random = np.random.default_rng(0)
        own = np.array(members)[:, None] - 1
        found: dict[tuple[str, float], list[tuple[float, float]]] = {}
        for share in shares:
            parts = np.array(share)[:, None] * random.chisquare(own, (3, n_studies)) / own
            away = np.abs(random.normal(size=n_studies))
            spread = spread_of_parts(parts.sum(axis=0), parts, np.array(members))
            for level in LEVELS:
                for name, half in _half_widths(spread, own, level).items():
                    found.setdefault((name, level), []).append((float(np.mean(away > half)), float(np.mean(half))))
        small = [share[2] <= 0.1 for share in shares]
        for name in dict.fromkeys(name for name, _ in found):
            rates = {f"rate at {level}": max(rate for rate, _ in found[name, level]) for level in LEVELS}
            width, plain = (np.array([width for _, width in found[way, LEVELS[0]]])[small] for way in (name, "Satterthwaite"))
            size = dict(zip(ALL, members, strict=True))
            rows.append({**size, "degrees of freedom": name, **rates, "width": float(np.mean(width / plain)), "studies": n_studies})
    return pd.DataFrame(rows)


def _half_widths(spread, own, level):
    """Half-width of intervals by each way."""
    quantile = t.ppf(1 - level / 2, own)
    satterthwaite = np.square(spread.variance) / (np.square(spread.parts) / own).sum(axis=0)
    error = np.sqrt(spread.variance)
    plain = t.ppf(1 - level / 2, satterthwaite) * error
    return {
        "Satterthwaite": plain,
        "the largest of his and each alone": np.maximum(plain, (quantile * np.sqrt(spread.parts)).max(axis=0)),
        "here": spread.half_width(1 - level),
        "Banerjee's bound": np.sqrt((np.square(quantile) * spread.parts).sum(axis=0)),
        "the fewest": quantile.max() * error,
    }


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


def to_markdown(table: pd.DataFrame, curve: pd.DataFrame, of_bounds: pd.DataFrame) -> str:
    """The tables for reading."""
    lines = [
        "# How often the statistics are wrong",
        "",
        f"Simulated studies of {N_CONDITIONS} stimuli, and of 30 where seeds dominate (networks of a model are related to the",
        "subjects by 0.5, with a spread of 0.3 between seeds); in brackets the 95 % binomial interval of the rate.",
        "",
        "![Rates of errors beside their nominal rate, and power](calibration.svg)",
        "",
        "| check | counted | nominal | rate | verdict | studies |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        rate = f"{row.rate:.3f} [{row.lower:.3f}, {row.upper:.3f}]"
        lines.append(f"| {row.check} | {row.counted} | {row.nominal:.2f} | {rate} | {row.verdict} | {row.studies} |")
    lines += [
        "",
        "Means of three seeds that dominate are missed too often because their scores are skewed (they go with the square of the",
        "relation): Student's t over these three seeds, without any draw, misses as well. Differences of two models are symmetric.",
    ]
    lines += ["", "| relation | found |", "|---|---|"]
    lines += [f"| {row.relation:.2f} | {row.found:.3f} |" for row in curve.itertuples()]
    lines += [
        "",
        "## Degrees of freedom",
        "",
        f"Normal scores whose variance is a sum of three estimated parts, {of_bounds['studies'].max()} studies for each of "
        f"{3 * len(SHARES)} ways to share it out: the highest rate",
        "of false positives, and the mean width of 95 % intervals beside Satterthwaite's where seeds have a tenth of the variance",
        "or less.",
        "`here` is `rsa.factors`.",
        "",
        "| stimuli, subjects, seeds | degrees of freedom | rate at 0.05 | rate at 0.01 | width |",
        "|---|---|---|---|---|",
    ]
    for row in of_bounds.to_dict("records"):
        rates = " | ".join(f"{row[f'rate at {level}']:.3f}" for level in LEVELS)
        sizes = ", ".join(str(row[name]) for name in ALL)
        lines.append(f"| {sizes} | {row['degrees of freedom']} | {rates} | {row['width']:.2f} |")
    return "\n".join([*lines, ""])


def _kept(folder: Path, fresh: pd.DataFrame) -> pd.DataFrame:
    """What was counted before, with what was counted now in its place."""
    before = pd.read_csv(folder / "calibration.csv")
    order = {name: place for place, (name, *_) in enumerate(checks())}
    table = pd.concat([before[~before["check"].isin(fresh["check"])], fresh])
    return table.sort_values("check", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


def main():
    """Run every check, or some, and write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--only", default="", help="run the checks whose names this pattern is found in, beside what stands in --out"
    )
    arguments = parser.parse_args()
    table = fresh = calibrate(arguments.studies, only=arguments.only)
    partly = bool(arguments.only and arguments.out)
    curve = pd.read_csv(arguments.out / "power.csv") if partly else power(max(arguments.studies // 2, 1))
    counted = partly and (arguments.out / "bounds.csv").exists()
    of_bounds = pd.read_csv(arguments.out / "bounds.csv") if counted else bounds(100 * arguments.studies)
    if partly:
        table = _kept(arguments.out, fresh)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        table.to_csv(arguments.out / "calibration.csv", index=False)
        curve.to_csv(arguments.out / "power.csv", index=False)
        of_bounds.to_csv(arguments.out / "bounds.csv", index=False)
        (arguments.out / "calibration.svg").write_text(picture(table, curve), encoding="utf-8")
        (arguments.out / "README.md").write_text(to_markdown(table, curve, of_bounds), encoding="utf-8")
    raise SystemExit(1 if (fresh.loc[~fresh["check"].isin(SKEWED), "verdict"] == "too high").any() else 0)


if __name__ == "__main__":
    main()
