"""Networks that a rule has trained: their weights, their tables, and what they make of images."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import learning_rules
from architectures import Network
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.html_tables import html_table
from experiments import datasets
from experiments.config import TrainConfig, to_record
from experiments.environment import describe_environment
from experiments.epochs import in_chunks, over_seeds
from experiments.identity import options_record
from learning_rules import LearningRule, RuleState

__all__ = ["Trained"]

_SHOWN = {
    "cosine": "cosine with backprop",
    "reference_norm": "norm of the gradient",
    "relative_weight_change": "relative change of weights",
    "silent": "share of silent units",
}


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks trained by one rule.

    Attributes
    ----------
    config
        What was run; its epochs are those that were run.
    images
        The image set.
    rule
        The rule, on the network without its front end.
    network
        The network with its front end.
    initial
        Initial parameters of the network, with a leading axis of seeds.
    start
        The rule's state before the first image, with a leading axis of seeds.
    state
        The last state, likewise.
    best
        Per seed the state of the epoch that was best on the validation images.
    best_epoch
        Which one that was, (n_seeds,), counted from one.
    accuracy
        Rule, seed, epoch, train_loss, train_accuracy, validation_accuracy, test_accuracy.
    networks
        Rule, seed, layer, cosine, reference_norm, norm, relative_weight_change, silent, mean, rms, saturated.
    angles
        "start", "tenth" (after a tenth of the epochs, one at least) and "end" -> degrees from backpropagation, (n_seeds,): the mean
        over hidden nodes of the angle to the gradient of the rule's own objective. NaN where hidden nodes are asked for nothing.
    info
        What the rule tells of itself on a batch after training (its loss, and quantities of its own such as settling energies,
        goodness or reconstruction errors), with a leading axis of seeds.
    warnings
        What went wrong, by name.
    seconds
        Wall time of the epochs and their evaluation.
    compile_seconds
        Wall time of compiling them.
    digest
        Of all that decided the weights, as `experiments.identity.digest_of` gives it.
    """

    config: TrainConfig
    images: datasets.ImageSet
    rule: LearningRule
    network: Network
    initial: Any
    start: RuleState
    state: RuleState
    best: RuleState
    best_epoch: np.ndarray
    accuracy: pd.DataFrame
    networks: pd.DataFrame
    angles: dict[str, np.ndarray]
    info: dict[str, Any]
    warnings: list[str]
    seconds: float
    compile_seconds: float
    digest: str = ""

    @classmethod
    def load(cls, folder: str | Path) -> Trained:
        """Networks that were trained before, as `train --out`, `experiments.saving.save_trained` or a store keeps them.

        Parameters
        ----------
        folder
            Of the training.

        Raises
        ------
        InputError
            No such folder, a training that is not finished, or files that are damaged.
        """
        from experiments.saving import load_trained  # what saves knows what is saved

        return load_trained(Path(folder))

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.config.rule

    @property
    def test_accuracy(self) -> np.ndarray:
        """After the last epoch, (n_seeds,)."""
        last = self.accuracy[self.accuracy["epoch"] == self.config.epochs]
        return last.sort_values("seed")["test_accuracy"].to_numpy()

    def __repr__(self) -> str:
        """What was trained, in one line."""
        reached = ", ".join(f"{100 * each:.1f}" for each in self.test_accuracy)
        return f"<{self.name} on {self.images.name}, {self.config.architecture}: {reached} % of test images right>"

    def _repr_html_(self) -> str:
        """What was trained and what became of its layers, means over seeds, as a notebook shows it."""
        means = self.networks.groupby("layer", sort=False)[list(_SHOWN)].mean()
        rows = [(layer, *(f"{value:.3g}" for value in row)) for layer, row in zip(means.index, means.to_numpy(), strict=True)]
        return html_table(repr(self)[1:-1], ("layer", *_SHOWN.values()), rows, self.warnings)

    def to_frame(self) -> pd.DataFrame:
        """Accuracy, one row an epoch of a network."""
        return self.accuracy.copy()

    def represent(
        self,
        images: np.ndarray,
        network: Network | None = None,
        state: RuleState | None = None,
        kept: Callable[[jax.Array], jax.Array] | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Activations of every layer for normalised images: (n_seeds, n_images, ...), in time (n_seeds, n_images, n_steps, ...).

        Parameters
        ----------
        images
            (n, height, width, channels), as `ImageSet.normalise` gives them.
        network
            A part of the network that takes this size of images, from `Network.at_size`; the whole by default.
        state
            `start` or `best`, say; the last by default.
        kept
            Of a layer's activations for some images, what is to be returned of them, such as means over places: maps of all images
            would fill the memory. All by default.

        Raises
        ------
        InputError
            A part is asked of a rule whose representation is not the forward pass.
        """
        state = self.state if state is None else state
        if network is not None and network.input_shape != self.network.input_shape:
            if not self.rule.spec.represents_by_forward_pass:
                raise InputError(f"'{self.name}' settles or spikes and represents images at the size that it was trained at only")
            state = RuleState({"network": state.params["network"][: len(network.nodes)]}, ())
        else:
            network = None
        asked = (network and network.input_shape, kept)
        if asked not in self._programs:
            self._programs[asked] = jax.jit(self._represent(network, kept))
        layers = self._programs[asked](state, jnp.asarray(images))
        return tuple(np.asarray(layer) for layer in layers)

    @functools.cached_property
    def _programs(self) -> dict[Any, Callable[..., tuple[jax.Array, ...]]]:
        """What represents images, by the size of its part of the network and by what is kept: compiled once for all states."""
        return {}

    def _represent(self, part: Network | None, kept: Callable[[jax.Array], jax.Array] | None) -> Callable[..., Any]:
        """(states, images) -> activations of every layer."""

        def one(state: RuleState, x: jax.Array) -> tuple[jax.Array, ...]:
            if part is None:
                layers = self.rule.represent(state, x)
            else:
                layers = part.by_example(part.forward(state.params["network"], x))
            return layers if kept is None else tuple(map(kept, layers))

        def all_seeds(states: RuleState, images: jax.Array) -> Any:
            # A front end is the same for all seeds; that of a part belongs to it.
            x = in_chunks(self.network.front_end, images) if part is None else images
            return over_seeds(lambda state: in_chunks(lambda chunk: one(state, chunk), x))(states)

        return all_seeds

    def to_json(self) -> dict[str, Any]:
        """What `bioplausible train --json` prints: of the first seed, and of the others where there are any."""
        by_seed = [self._one_seed(seed) for seed in sorted(self.accuracy["seed"].unique().tolist())]
        record = {
            "rule": learning_rules.spec(self.config.rule).name,
            "architecture": self.config.architecture,
            "dataset": self.images.name,
            "epochs": self.config.epochs,
            **by_seed[0],
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "warnings": self.warnings,
            "options": options_record(self.rule),
            "network": self.network.describe(),
            "images": self.images.to_record(),
            "config": to_record(self.config),
            "environment": describe_environment(),
        }
        if len(by_seed) > 1:
            record["seeds"] = by_seed
        return record

    def _one_seed(self, seed: int) -> dict[str, Any]:
        history = self.accuracy[self.accuracy["seed"] == seed].sort_values("epoch")
        nodes = self.networks[self.networks["seed"] == seed].set_index("layer")
        best = history[history["epoch"] == self.best_epoch[seed - self.config.seed]].iloc[0]
        return {
            "seed": seed,
            "test_accuracy": float(history["test_accuracy"].iloc[-1]),
            "test_accuracy_by_epoch": history["test_accuracy"].tolist(),
            "validation_accuracy_by_epoch": history["validation_accuracy"].tolist(),
            "best_on_validation": {
                "epoch": int(best["epoch"]),
                "validation_accuracy": float(best["validation_accuracy"]),
                "test_accuracy": float(best["test_accuracy"]),
            },
            "alignment_with_backprop": {
                layer: {"cosine": float(row["cosine"]), "reference_norm": float(row["reference_norm"])}
                for layer, row in nodes.iterrows()
            },
            "angle_to_backprop": {when: _or_none(angles[seed - self.config.seed]) for when, angles in self.angles.items()},
            "relative_weight_change": {layer: float(row["relative_weight_change"]) for layer, row in nodes.iterrows()},
            "activity": {
                layer: {name: float(row[name]) for name in ("silent", "mean", "rms", "saturated")}
                for layer, row in nodes.iterrows()
            },
            "info": jax.tree.map(lambda leaf: leaf[seed - self.config.seed].tolist(), self.info),
        }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
