"""Comparisons made up from a seed, so that a report can be drawn and tested without training a network.

The stimuli are coloured shapes in four categories; the first region's RDM follows their colours, the second's their category, and a
layer's RDM mixes the two, so that its pictures, scores and differences look as those of a study do. Nothing here was measured.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit
from scipy.stats import rankdata

from experiments.results import CLUSTER_COLUMNS, DIFFERENCE_COLUMNS, REFERENCE_MODEL_COLUMNS, Comparison

LAYERS = ("conv_0", "conv_1", "hidden_0", "output")
RULES = ("untrained", "backprop", "feedback_alignment", "feedback_alignment/direct")
REGIONS = ("EVC", "IT")
CATEGORIES = ("face", "body part", "animal", "artefact")
# How much of a layer's RDM follows the category: rule -> one number a layer.
CATEGORY_SHARE = {
    "untrained": (0.02, 0.03, 0.05, 0.05),
    "backprop": (0.03, 0.12, 0.40, 0.55),
    "feedback_alignment": (0.02, 0.08, 0.25, 0.40),
    "feedback_alignment/direct": (0.02, 0.03, 0.05, 0.08),
}
MAIN_VIEW = {"measure": "correlation", "comparator": "spearman", "size": 32}
FINAL_ACCURACY = {"untrained": 0.31, "backprop": 0.68, "feedback_alignment": 0.61, "feedback_alignment/direct": 0.57}


def fake_stimuli(n_conditions: int = 32, size: int = 24, seed: int = 0) -> np.ndarray:
    """Draw discs and bars of several colours on white, (n, size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    images = np.full((n_conditions, size, size, 3), 255, np.uint8)
    for index, image in enumerate(images):
        category = index * len(CATEGORIES) // n_conditions
        wide, high = rng.uniform(0.4, 0.9, 2)
        inside = [
            rows**2 + columns**2 < wide**2,
            (abs(rows) < high) & (abs(columns) < wide / 2),
            abs(rows) + abs(columns) < wide,
            (abs(rows) < wide) & (abs(columns) < high),
        ]
        image[inside[category]] = rng.integers(40, 220, 3)
    return images


def _condensed(features: np.ndarray) -> np.ndarray:
    upper = np.triu_indices(len(features), 1)
    return np.linalg.norm(features[:, None] - features[None], axis=-1)[upper]


def _standard(values: np.ndarray) -> np.ndarray:
    ranks = rankdata(values, axis=-1)
    return (ranks - ranks.mean(axis=-1, keepdims=True)) / ranks.std(axis=-1, keepdims=True)


def _interval(score: float, error: float, n_conditions: int, intervals: bool) -> tuple[float, float, float]:
    if not intervals:
        return np.nan, np.nan, np.nan
    half = stdtrit(n_conditions - 1, 0.975) * error  # a hundredth of the time of scipy.stats.t's, for the same numbers
    return score - half, score + half, float(2 * stdtr(n_conditions - 1, -abs(score) / error))


def fake_comparison(
    *,
    rules: tuple[str, ...] = RULES,
    regions: tuple[str, ...] = REGIONS,
    times: tuple[float, ...] | None = None,
    categories: bool = True,
    simulated: bool = False,
    n_draws: int = 1000,
    n_subjects: int = 15,
    n_seeds: int = 3,
    n_epochs: int = 12,
    stimuli: np.ndarray | None = None,
    category_names: list[str] | None = None,
    subject_rdms: dict[str, np.ndarray] | None = None,
    seed: int = 0,
) -> Comparison:
    """Make a comparison up.

    Args:
        rules: what was "trained"; a rule without a known share of category follows the untrained control.
        regions: names of the regions.
        times: in seconds, or None for a recording without a time axis.
        categories: whether the stimuli have some.
        simulated: whether the recording says that no brain was measured.
        n_draws: 0 leaves intervals and p-values out.
        n_subjects: fewer than 4 withhold the upper ceiling.
        n_seeds: networks a rule.
        n_epochs: of training.
        stimuli: to show instead of the made-up shapes, (n, height, width, 3) uint8.
        category_names: one a stimulus, in place of the four made-up ones.
        subject_rdms: region -> (n_subjects, n_pairs), in place of made-up ones.
        seed: repeats everything to the bit.
    """
    rng = np.random.default_rng(seed)
    images = fake_stimuli() if stimuli is None else stimuli
    n_conditions = len(images)
    names = category_names or [CATEGORIES[index * len(CATEGORIES) // n_conditions] for index in range(n_conditions)]
    category_rdm = _standard(_condensed(np.eye(len(set(names)))[np.unique(names, return_inverse=True)[1]] + 0.0))
    small = images[:, ::4, ::4].reshape(n_conditions, -1) / 255
    pixel_rdm = _standard(_condensed(small))
    n_pairs = len(pixel_rdm)
    truth = {region: pixel_rdm if index == 0 else category_rdm for index, region in enumerate(regions)}
    measured = subject_rdms or {
        region: truth[region] * 0.3 + rng.standard_normal((n_subjects, n_pairs)) * 0.6 + rng.standard_normal(n_pairs) * 0.2
        for region in regions
    }
    signal = {None: 1.0} if times is None else {time: float(np.exp(-(((time - 0.17) / 0.09) ** 2))) for time in times}

    layer_rdms_of_seed = {}
    for rule in rules:
        for layer, share in zip(LAYERS, CATEGORY_SHARE.get(rule, CATEGORY_SHARE["untrained"]), strict=True):
            own = rng.standard_normal((n_seeds, n_pairs)) * 0.5
            layer_rdms_of_seed[rule, layer] = share * category_rdm + (1 - share) * 0.6 * pixel_rdm + own

    score_rows, difference_rows, reference_rows, cluster_rows, ceilings = [], [], [], [], []
    for region in regions:
        for time, strength in signal.items():
            data = _standard(measured[region] * strength + rng.standard_normal(measured[region].shape) * (1.01 - strength))
            others = (data.sum(axis=0) - data) / (n_subjects - 1)
            lower = float((_standard(others) * data).mean())
            upper = float((_standard(data.mean(axis=0)) * data).mean()) if n_subjects >= 4 else float("nan")
            withheld = "" if n_subjects >= 4 else f"upper bound: the mean of {n_subjects} subjects follows each of them too closely"
            ceilings.append(
                {"region": region, "time": time, "lower": lower, "upper": upper, "withheld": withheld, "n_subjects": n_subjects}
            )
            for layer in LAYERS:
                means = {}
                for rule in rules:
                    single = _standard(layer_rdms_of_seed[rule, layer]) @ data.T / n_pairs
                    means[rule] = float(single.mean())
                    place = {"rule": rule, "layer": layer, "region": region, "time": np.nan if time is None else time}
                    bounds = {"ceiling_lower": lower, "ceiling_upper": upper}
                    low, high, p_value = _interval(means[rule], 0.02, n_conditions, n_draws > 0)
                    aggregate = {"seed": np.nan, "subject": None, "score": means[rule], "lower": low, "upper": high}
                    adjusted = min(2 * p_value, 1.0)
                    score_rows.append({**place, **aggregate, "p_value": p_value, "p_adjusted": adjusted, **bounds})
                    for network, of_subjects in enumerate(single):
                        for subject, score in enumerate(of_subjects):
                            low, high, _ = _interval(score, 0.03, n_conditions, n_draws > 0)
                            one = {"seed": float(network), "subject": f"subject_{subject + 1:02d}", "score": float(score)}
                            score_rows.append(
                                {**place, **one, "lower": low, "upper": high, "p_value": np.nan, "p_adjusted": np.nan, **bounds}
                            )
                for reference in ("untrained", "backprop"):
                    for rule in rules:
                        if rule in ("untrained", reference) or reference not in rules:
                            continue
                        difference = means[rule] - means[reference]
                        low, high, p_value = _interval(difference, 0.012, n_conditions, n_draws > 0)
                        place = {"rule": rule, "reference": reference, "layer": layer, "region": region}
                        place["time"] = np.nan if time is None else time
                        tested = {"lower": low, "upper": high, "p_value": p_value, "p_adjusted": min(2 * p_value, 1.0)}
                        difference_rows.append({**place, "difference": difference, **tested})
            for name, score in (("pixels", 0.1), ("gabor", 0.12)):
                low, high, p_value = _interval(score * strength, 0.02, n_conditions, n_draws > 0)
                place = {"model": name, "region": region, "time": np.nan if time is None else time}
                reference_rows.append({**place, "score": score * strength, "lower": low, "upper": high, "p_value": p_value})
        if times is not None and n_draws > 0:
            stretch = {"region": region, "start": times[0], "stop": times[-1], "mass": 12.3, "p_value": 0.01}
            cluster_rows.append({"rule": rules[-1], "layer": LAYERS[0], **stretch})

    accuracy_rows, network_rows = [], []
    for rule in rules:
        final = FINAL_ACCURACY.get(rule, 0.5)
        for network in range(n_seeds):
            for epoch in range(1, n_epochs + 1):
                reached = 0.1 + (final - 0.1) * (1 - np.exp(-epoch / 2.5)) + rng.normal(0, 0.008)
                accuracy_rows.append(
                    {
                        "rule": rule,
                        "seed": network,
                        "epoch": epoch,
                        "train_loss": 2.3 - 1.6 * reached,
                        "train_accuracy": min(1.0, reached + 0.04),
                        "validation_accuracy": reached + 0.005,
                        "test_accuracy": reached,
                    }
                )
            for depth, layer in enumerate(LAYERS):
                trained = rule != "untrained" or layer == "output"
                cosine = 1.0 if rule == "backprop" or layer == "output" else 0.15 * depth if trained else 0.0
                network_rows.append(
                    {
                        "rule": rule,
                        "seed": network,
                        "layer": layer,
                        "cosine": cosine,
                        "reference_norm": float(np.exp(rng.normal(-2, 0.4))),
                        "relative_weight_change": float(rng.uniform(0.2, 1.4)) if trained else 0.0,
                        "silent": float(rng.uniform(0, 0.1)),
                        "mean": float(rng.uniform(0.1, 0.5)),
                        "rms": float(rng.uniform(0.4, 1.2)),
                        "saturated": float(rng.uniform(0.0, 0.3)),
                        "rdm_correlation": float("nan") if layer == "output" else 0.9 - 0.1 * depth,
                    }
                )
    if "feedback_alignment/direct" in rules:
        for row in network_rows:
            if row["rule"] == "feedback_alignment/direct" and row["layer"] == "conv_0":
                row["relative_weight_change"] = 0.004

    recording = {
        "name": "simulated" if simulated else "made_up_92",
        "modality": "simulated fmri" if simulated else "fmri" if times is None else "meg",
        "simulated": simulated,
        "n_conditions": n_conditions,
        "subjects": {region: [f"subject_{index + 1:02d}" for index in range(n_subjects)] for region in regions},
        "citation": "Nobody A, Noone B (2099). A study that was never done. doi:10.1000/never",
        "licence": "not stated",
        "notes": "RDMs are 1 - Pearson correlation between voxel patterns.",
        "truth": {region: "pixel_energy" if index == 0 else "category" for index, region in enumerate(regions)}
        if simulated
        else {},
    }
    sizes = {"conv_0": (16, 16, 32), "conv_1": (8, 8, 64), "hidden_0": (128,), "output": (10,)}
    inputs = {"conv_0": (32, 32, 3), "conv_1": (16, 16, 32), "hidden_0": (8, 8, 64), "output": (128,)}
    parameters = {"conv_0": 896, "conv_1": 18_496, "hidden_0": 524_416, "output": 1_290}
    return Comparison(
        config={
            "rules": list(rules),
            "readout_images": 2000,
            "rule_options": {},
            "training": {
                "architecture": "cnn",
                "dataset": "small_pictures.npz",
                "epochs": n_epochs,
                "batch_size": 128,
                "seed": 0,
                "n_seeds": n_seeds,
            },
            "stimuli": {"recording": recording["name"], "sizes": [None]},
            "scoring": {"measures": ["correlation"], "comparators": ["spearman"], "n_draws": n_draws, "confidence": 0.95},
        },
        environment={
            "python": "3.11.2",
            "bioplausible": "0.1.0",
            "jax": "0.10.2",
            "numpy": "2.4.0",
            "platform": "Linux-6.1-x86_64",
            "device": "cpu (cpu)",
            "n_devices": 1,
        },
        dataset={
            "name": "small_pictures",
            "input_shape": [32, 32, 3],
            "n_classes": 10,
            "class_names": [f"class {index}" for index in range(10)],
            "source": [{"path": "small_pictures.npz", "sha256": "0" * 64}],
            "split": {"train": 9167, "validation": 833, "test": 2000, "validation_fraction": 1 / 12, "split_seed": 0},
            "normalisation": {"mean": [0.49, 0.48, 0.44], "std": [0.24, 0.24, 0.26]},
            "notes": "Decoded from lossy JPEG: not the original pixels.",
            "citation": "Somebody C (2009). Small pictures.",
            "licence": "none stated",
        },
        recording=recording,
        transform={
            "evaluation_size": [32, 32],
            "training_size": [32, 32],
            "colour": "RGB",
            "resize": "triangle filter with antialiasing (Pillow, bilinear)",
            "other_proportions": "centred on the training set's mean",
            "inverted": False,
        },
        architecture={
            "name": "cnn",
            "options": {"channels": [32, 64], "strides": 2, "kernel_size": 3, "hidden": [128], "activation": "relu"},
            "layers": [
                {"layer": layer, "input": list(inputs[layer]), "output": list(sizes[layer]), "parameters": parameters[layer]}
                for layer in LAYERS
            ],
        },
        rules={
            rule: {
                "family": rule.partition("/")[0],
                "variant": rule.partition("/")[2],
                "summary": f"what {rule} does, in one sentence",
                "citation": "Inventor 1986, doi:10.1000/rule",
                "teaching_signal": "labels",
                "phases": 2,
                "frozen": "hidden" if rule == "untrained" else "",
                "trained_otherwise": [["network[-1]", "delta rule"]] if rule == "untrained" else [],
                "activation": "",
            }
            for rule in rules
        },
        scores=pd.DataFrame(score_rows).assign(**MAIN_VIEW),
        differences=pd.DataFrame(difference_rows, columns=list(DIFFERENCE_COLUMNS)).assign(**MAIN_VIEW),
        reference_models=pd.DataFrame(reference_rows, columns=list(REFERENCE_MODEL_COLUMNS)).assign(**MAIN_VIEW),
        clusters=pd.DataFrame(cluster_rows, columns=list(CLUSTER_COLUMNS)),
        factors={region: ["stimuli", *(["subjects"] if n_subjects >= 4 else [])] for region in regions},
        accuracy=pd.DataFrame(accuracy_rows),
        networks=pd.DataFrame(network_rows),
        **_judged(rules, n_seeds),
        ceilings=ceilings,
        layer_rdms={names: rdms.mean(axis=0) for names, rdms in layer_rdms_of_seed.items()},
        region_rdms={region: rdms.mean(axis=0) for region, rdms in measured.items()},
        stimuli=images,
        stimulus_ids=[f"stimulus_{index:03d}" for index in range(n_conditions)],
        categories=names if categories else None,
        warnings=["feedback_alignment/direct: the weights of conv_0 moved by 0.4 % only"],
        seconds={"compile": 12.4, "train": 71.2, "represent": 1.3, "evaluate": 8.9},
    )


def _judged(rules: tuple[str, ...], n_seeds: int) -> dict[str, pd.DataFrame]:
    """Readouts, controls and verdicts: only backpropagation beats its best control."""
    read = {rule: FINAL_ACCURACY[rule] + 0.02 for rule in rules}
    best = 0.66
    readouts = [
        {
            "rule": rule,
            "seed": seed,
            "read_from": "hidden_0",
            "validation_accuracy": each,
            "test_accuracy": each,
            "frozen_accuracy": 0.35,
        }
        for rule, each in read.items()
        for seed in range(n_seeds)
    ]
    controls = [
        {"control": name, "seed": seed, "network": network, "read_from": layer, "validation_accuracy": each, "test_accuracy": each}
        for name, network, layer, each in (
            ("logistic regression", None, "pixels", 0.4),
            ("random maps", "cnn channels=64", "conv_0", best),
        )
        for seed in range(n_seeds)
    ]
    verdicts = [
        {
            "rule": rule,
            "readout_mean": each,
            "read_from": "hidden_0",
            "control_mean": np.nan if rule == "untrained" else best,
            "best_control": None if rule == "untrained" else "random maps (cnn channels=64)",
            "difference": np.nan if rule == "untrained" else each - best,
            "p_value": np.nan if rule == "untrained" else 0.001 if each > best else 0.9,
            "p_adjusted": np.nan if rule == "untrained" else 0.003 if each > best else 1.0,
            "beats_control": None if rule == "untrained" else each > best,
            "angle_start": np.nan if rule == "untrained" else 0.0 if rule == "backprop" else 88.0,
            "angle_tenth": np.nan if rule == "untrained" else 0.0 if rule == "backprop" else 70.0,
            "angle_end": np.nan if rule == "untrained" else 0.0 if rule == "backprop" else 61.0,
            "rdm_correlation": 1.0 if rule == "backprop" else 0.4,
            "rdm_correlation_between_seeds": 0.7,
            "failure": None,
        }
        for rule, each in read.items()
    ]
    return {"readouts": pd.DataFrame(readouts), "controls": pd.DataFrame(controls), "verdicts": pd.DataFrame(verdicts)}


MEG_TIMES = tuple(np.round(np.arange(-0.1, 0.501, 0.025), 3).tolist())

VARIANTS = {
    "plain": {},
    "times": {"times": MEG_TIMES, "n_subjects": 6},
    "simulated": {"simulated": True},
    "one region, no categories": {"regions": ("V1",), "categories": False},
    "no draws": {"n_draws": 0},
    "upper ceiling withheld": {"n_subjects": 3},
}
