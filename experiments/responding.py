"""What networks make of a recording's stimuli: RDMs of every layer, at every size that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import rsa
from architectures import Network
from bioplausible.foundation.errors import InputError
from experiments import stimuli
from experiments.activations import Activations
from experiments.compare_config import CompareConfig
from experiments.config import CONTROL
from experiments.scoring import Model
from experiments.trained import Trained

__all__ = ["Layers", "of_patterns", "part_for_size", "respond"]


class Layers(NamedTuple):
    """What the layers of networks made of the stimuli, at one size.

    Attributes
    ----------
    by_measure
        Measure -> layer of a network -> condensed RDM, the main measure first.
    patterns
        Layer of a network -> patterns, where they are asked for.
    """

    by_measure: dict[str, dict[Model, np.ndarray]]
    patterns: dict[Model, np.ndarray]

    @property
    def rdms(self) -> dict[Model, np.ndarray]:
        """Those of the main measure."""
        return next(iter(self.by_measure.values()))


def add_layers(
    layers_so_far: Layers, trained: Trained, part: Network | None, images: np.ndarray, config: CompareConfig
) -> list[str]:
    """Add every layer of every seed; a layer that tells no stimuli apart is named instead.

    A layer in time is compared by what all its units do at all its steps: its features are steps times units, so that two stimuli
    are alike if they evoke the same course of activity. Layers without weights are layers too.

    Parameters
    ----------
    layers_so_far
        What is added to.
    trained
        The networks of one rule.
    part
        As `Trained.represent` takes it.
    images
        Stimuli as the networks take them.
    config
        Whether patterns are asked for.

    Returns
    -------
    list of str
        One sentence a layer that has no RDM.
    """
    unusable = []
    # The control has a readout that was trained, which is no untrained layer: it is shown with the one that it started with.
    layers = trained.represent(images, part, state=trained.start if trained.name == CONTROL else None)
    for layer, activations in zip((part or trained.network).node_names, layers, strict=True):
        for index in range(trained.config.n_seeds):
            model = Model(trained.name, trained.config.seeds[index], layer)
            unusable += _add(layers_so_far, model, activations[index].reshape(len(images), -1), config)
    return unusable


def _add(layers_so_far: Layers, model: Model, patterns: np.ndarray, config: CompareConfig) -> list[str]:
    """Add one layer of one network; a sentence for each measure by which it tells no stimuli apart."""
    unusable = []
    for measure, rdms in layers_so_far.by_measure.items():
        try:
            rdm = rsa.network_rdm(patterns, measure)
            if np.ptp(rdm) == 0:
                raise rsa.InputError("all its dissimilarities are equal")
        except rsa.InputError as error:
            by = f" by {measure}" if len(layers_so_far.by_measure) > 1 else ""
            unusable.append(f"no RDM{by}: {model.rule}, seed {model.seed}: layer '{model.layer}': {error}")
        else:
            rdms[model] = rdm
    if of_patterns(config) and not unusable:
        # No measure of patterns looks further than their inner products, and wide layers would fill the memory.
        layers_so_far.patterns[model] = rsa.narrow(patterns)
    return unusable


def of_patterns(config: CompareConfig) -> list[str]:
    """Comparators that look at patterns instead of RDMs.

    Parameters
    ----------
    config
        Of a comparison.
    """
    return [name for name in config.scoring.comparators if name in rsa.PATTERN_COMPARATORS]


def part_for_size(network: Network, size: int | None) -> tuple[Network | None, str]:
    """The part of a network that takes stimuli of a size, None for the whole, and a sentence on what was left out.

    Parameters
    ----------
    network
        As it was trained.
    size
        Side of the stimuli in pixels, None for that of the training images.
    """
    shape = stimuli.evaluation_shape(network.input_shape, size)
    if shape == network.input_shape:
        return None, ""
    return network.at_size(shape)


def respond(
    networks: Sequence[Trained],
    images: np.ndarray,
    config: CompareConfig,
    elsewhere: Sequence[Activations] = (),
) -> tuple[dict[int | None, Layers], list[str]]:
    """Show stimuli to networks.

    Parameters
    ----------
    networks
        Of all rules.
    images
        Stimuli, ``(n, height, width, 3)`` uint8.
    config
        Sizes of stimuli, measures, and whether patterns are asked for. Further measures are of the main size alone.
    elsewhere
        What models from elsewhere make of the stimuli, at whatever size they were shown: they stand beside the main one.

    Returns
    -------
    tuple of (dict, list of str)
        Of every size what layers made of it, and a sentence on whatever has no RDM.

    Raises
    ------
    InputError
        No layer of any network tells the stimuli apart.
    """
    main, *others = config.stimuli.sizes
    shown = {main: Layers({measure: {} for measure in config.scoring.measures}, {})}
    shown |= {size: Layers({config.scoring.measures[0]: {}}, {}) for size in others}
    warnings: dict[str, None] = {}
    for trained in networks:
        for size, layers in shown.items():
            part, left_out = part_for_size(trained.network, size)
            presented = stimuli.present(images, trained.network.input_shape, trained.images.normalisation, size)
            warnings |= dict.fromkeys(add_layers(layers, trained, part, presented, config))
            if left_out:
                warnings[f"stimuli of {size} pixels: {left_out}"] = None
    for given in elsewhere:
        for seed, layers_of_seed in given.layers.items():
            for layer, patterns in layers_of_seed.items():
                warnings |= dict.fromkeys(_add(shown[main], Model(given.name, seed, layer), patterns, config))
    if not shown[main].rdms:
        raise InputError(f"no layer of any network tells the stimuli apart: {'; '.join(list(warnings)[:2])}")
    return shown, list(warnings)
