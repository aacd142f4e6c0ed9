"""How near every rule is to backpropagation: shallow and deep, at the start and after training, in single and double precision.

A rule is asked on one batch what it would change, in the precision that it learns in and again with the same numbers in double
precision. Both are compared with the gradient of its own objective, and with each other: where the two differ, single precision
decides where weights go. Of a rule that draws noise the two draw differently, so that they are compared for the others only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array

import learning_rules
from bioplausible.foundation.errors import InputError, shortened
from bioplausible.foundation.progress import Progress
from experiments.benchmarks import check_sizes
from experiments.config import CONTROL, TrainConfig
from experiments.epochs import in_chunks, make_programs
from experiments.preparing import build_network, front_end_of, load_images
from learning_rules import LearningRule, RuleState, alignment_with_backprop
from learning_rules.plausibility.precision import as_double, double_precision

__all__ = ["ENOUGH", "benchmark_angles", "to_markdown"]

ENOUGH = 0.99
"""Below this cosine between single and double precision rounding has a say in where weights go."""

_BATCH_SIZE = 128
_N_IMAGES = 512
_SAME = 1 - 1e-6
_DEEPEST = 100


def _cosines(one: Sequence[Any], other: Sequence[Any]) -> np.ndarray:
    """Between two updates, node by node: NaN where one of them asks for nothing."""

    def flat(tree: Any) -> np.ndarray:
        leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
        vector = np.concatenate(leaves) if leaves else np.zeros(1)
        return vector / max(float(np.abs(vector).max()), np.finfo(float).tiny)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        length = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / length) if length > 0 else np.nan

    return np.array([cosine(flat(a), flat(b)) for a, b in zip(one, other, strict=True)])


class _Measure:
    """Looks at one rule where it stands; compiles once a precision."""

    def __init__(self, rule: LearningRule, batch: tuple[Array, Array]) -> None:
        self._rule, self._batch = rule, batch

        def ask(state: RuleState, batch: Any) -> tuple[Any, Any, Any]:
            key, other = jax.random.split(jax.random.key(0))
            updates, again = (rule.assign_credit(each, state, batch)[0]["network"] for each in (key, other))
            return updates, again, alignment_with_backprop(rule, state, key, batch)

        self._single, self._in_double = jax.jit(ask), jax.jit(ask)

    def __call__(self, state: RuleState) -> list[dict[str, Any]]:
        """One row a node."""
        updates, again, single = self._single(state, self._batch)
        draws = bool(np.nanmin(np.append(_cosines(updates, again), 1)) < _SAME)
        with double_precision():
            exact, _, double = self._in_double(as_double(state), as_double(self._batch))
            apart = _cosines(updates, exact)
            found = zip(self._rule.network.nodes, single.cosine, double.cosine, double.norm, apart, strict=True)
            return [
                {
                    "layer": node.name,
                    "single": float(a) if asked else np.nan,
                    "double": float(b) if asked else np.nan,
                    "single_with_double": np.nan if draws else float(c),
                }
                for node, a, b, norm, c in found
                if node.weighted
                for asked in (float(norm) > 0,)
            ]


def _of_rule(name: str, depth: int, width: int, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one rule at one depth."""
    options = {"hidden": (width,) * (depth - 1)}
    config = TrainConfig(rule=name, architecture="mlp", architecture_options=options, batch_size=_BATCH_SIZE, **fields)
    images = load_images(config)
    network = build_network(TrainConfig(**{**vars(config), "front_end": front_end_of(config)}), images)
    rule = learning_rules.build(name, network.core)
    shown = jnp.asarray(images.normalise(images.train.images))
    x = jax.jit(lambda x: in_chunks(network.front_end, x))(shown)
    y = jnp.asarray(images.train.labels)
    assert config.epochs is not None  # given by `benchmark_angles`
    n_steps = config.epochs * (len(y) // _BATCH_SIZE)
    programs = make_programs(rule, rule.optimizer(n_steps), _BATCH_SIZE, images.n_classes)
    keys = jax.random.key(config.seed)[None]
    learner = programs.init(keys)
    measure = _Measure(rule, (x[:_N_IMAGES], y[:_N_IMAGES]))

    def rows(when: str) -> list[dict[str, Any]]:
        state = jax.tree.map(lambda leaf: leaf[0], learner.state)
        return [{"rule": name, "depth": depth, "when": when, **row} for row in measure(state)]

    found = rows("start")
    for index in range(config.epochs):
        learner, _ = programs.epoch(learner, keys, jnp.int32(index), x, y)
    return found + rows("end")


def benchmark_angles(
    rules: Sequence[str] | None = None,
    depths: Sequence[int] = (2, 6),
    width: int = 256,
    dataset: str = "digits",
    n_train: int | None = None,
    epochs: int = 2,
    seed: int = 0,
    progress: Progress | None = None,
    keep: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Measure how near rules are to backpropagation on dense networks, with their default options.

    Parameters
    ----------
    rules
        Names; every variant that a dense network can be trained by, by default.
    depths
        Numbers of weight layers, at least 2.
    width
        Units of every hidden layer.
    dataset, n_train, epochs, seed
        As `TrainConfig` has them; what the rule is trained on between the two measurements.
    progress
        Called with measurements done, in all, and a line to show.
    keep
        Called with the table so far after each measurement.

    Returns
    -------
    pandas.DataFrame
        One row a rule, depth, time ("start", "end") and layer: `single` and `double`, the cosine between what the rule asks for and
        the gradient of its own objective in either precision, NaN where it asks for nothing; `single_with_double`, between what it
        asks for in both, NaN where it draws noise.

    Raises
    ------
    InputError
        An unknown rule, a depth below 2, or a rule that trains no dense network.
    """
    if not depths or not all(2 <= depth <= _DEEPEST for depth in depths):
        told = ",".join(shortened(str(depth)) for depth in depths)
        raise InputError(f"depths={told} were given, expected numbers of weight layers from 2 to {_DEEPEST}: try 2,6")
    check_sizes(width=width)
    if rules is None:
        supported = learning_rules.support_matrix()
        rules = [name for name in learning_rules.names(variants=True) if supported[name]["mlp"].supported and name != CONTROL]
    names = [learning_rules.spec(name).name for name in rules]
    cells = [(name, depth) for name in names for depth in depths]
    fields = {"dataset": dataset, "n_train": n_train, "epochs": epochs, "seed": seed}
    found: list[dict[str, Any]] = []
    for index, (name, depth) in enumerate(cells):
        if progress is not None:
            progress(index, len(cells), f"{name} at depth {depth}")
        found += _of_rule(name, depth, width, fields)
        if keep is not None:
            keep(pd.DataFrame(found))
    return pd.DataFrame(found)


def _list(values: pd.Series) -> str:
    return " ".join("–" if np.isnan(value) else f"{value:.2f}" for value in values)


def to_markdown(table: pd.DataFrame, environment: Mapping[str, Any]) -> str:
    """The table for reading; every figure in it comes from the measurement.

    Parameters
    ----------
    table
        As `benchmark_angles` gives it.
    environment
        As `describe_environment` gives it.
    """
    lines = [
        "# Cosines with backpropagation",
        "",
        "Between what a rule asks of each layer and the gradient of its own objective, first layer first, with default options;",
        f"`–` where it asks for nothing. The last column is the least cosine between single and double precision: under {ENOUGH}",
        "rounding has a say in where weights go. Rules that draw noise have none.",
    ]
    for depth, of_depth in table.groupby("depth", sort=False):
        lines += ["", f"## Depth {depth}", "", "| rule | start | trained, double | trained, single | single with double |"]
        lines += ["|---|---|---|---|---|"]
        for rule, rows in of_depth.groupby("rule", sort=False):
            start, end = (rows[rows["when"] == when] for when in ("start", "end"))
            least = rows["single_with_double"].min()
            least_shown = "" if np.isnan(least) else f"{least:.3f}" if least >= ENOUGH else f"**{least:.3f}**"
            cells = (rule, _list(start["double"]), _list(end["double"]), _list(end["single"]), least_shown)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    told = ", ".join(f"{name} {environment[name]}" for name in ("jax", "device", "platform") if name in environment)
    return "\n".join([*lines, "", f"Measured with {told}.", ""])
