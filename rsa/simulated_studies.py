"""The studies of model recovery: which network and layer each is made from, and the RDMs of its subjects."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import jax
import numpy as np

from rsa.candidates import Networks
from rsa.simulated_subjects import Sampling, calibrated_share, loading, simulate

__all__ = ["BREAKING_TIES", "Study", "number_of", "random_numbers", "schedule", "simulated_studies"]

# What random numbers are for.
CALIBRATING, DRAWING, SIMULATING, BREAKING_TIES = range(4)
FIRST_GUESS = 0.5


class Study(NamedTuple):
    """Where one simulated study came from: which candidate, which of its studies this is, which seed and which layer."""

    candidate: int
    simulation: int
    seed: int
    layer: int


def number_of(name: str) -> int:
    """A candidate's number, whatever others there are."""
    return zlib.crc32(name.encode())


def random_numbers(key: jax.Array, *place: int) -> np.random.Generator:
    """Random numbers of their own for every place, so that no study depends on which others there are."""
    words = [int(word) for word in np.asarray(jax.random.key_data(key)).ravel()]
    return np.random.default_rng(np.random.SeedSequence(words, spawn_key=place))


def schedule(
    key: jax.Array, names: Sequence[str], networks: Networks, n_simulations: int, generating_layer: str | int
) -> Iterator[Study]:
    """Studies, those of the same layer one after the other; seeds take turns, and layers take turns or are drawn.

    Parameters
    ----------
    key
        Of what is drawn.
    names, networks
        Of the candidates.
    n_simulations
        Studies a candidate.
    generating_layer
        As :func:`rsa.model_recovery` takes it.
    """
    for candidate, seeds in enumerate(networks.members):
        n_seeds, n_layers = len(seeds), len(seeds[0])
        simulations = np.arange(n_simulations)
        seed = simulations % n_seeds
        if generating_layer == "in turn":
            layer = simulations // n_seeds % n_layers
        elif generating_layer == "drawn":
            layer = random_numbers(key, DRAWING, number_of(names[candidate])).integers(n_layers, size=n_simulations)
        else:
            layer = np.full(n_simulations, int(generating_layer) % n_layers)
        for simulation in np.lexsort((simulations, layer, seed)):
            yield Study(candidate, int(simulation), int(seed[simulation]), int(layer[simulation]))


def simulated_studies(
    key: jax.Array, names: Sequence[str], networks: Networks, studies: Iterator[Study], ceiling: float, sampling: Sampling
) -> Iterator[tuple[Study, np.ndarray, np.ndarray]]:
    """Each study with its RDMs (n_subjects, n_pairs) and its channels without noise (n_subjects, n_conditions, n_channels).

    Parameters
    ----------
    key
        Of channels and noise.
    names, networks
        Of the candidates.
    studies
        From :func:`schedule`. Noise is calibrated once for those of the same layer.
    ceiling
        That subjects shall have.
    sampling
        How they are measured.
    """
    share, of_candidate = FIRST_GUESS, None
    for (candidate, seed, layer), group in groupby(studies, lambda study: (study.candidate, study.seed, study.layer)):
        name = names[candidate]
        number = number_of(name)
        rows = loading(networks.layers[candidate][seed][layer], sampling.measure)
        # Layers of the same candidate need about as much noise; another candidate must not make a difference to it.
        guess = share if candidate == of_candidate and 0 < share < 1 else FIRST_GUESS
        of_candidate = candidate
        random = random_numbers(key, CALIBRATING, number, seed, layer)
        share = calibrated_share(random, rows, ceiling, sampling, f"layer {layer} of '{name}', seed {seed},", guess)
        for study in group:
            yield study, *simulate(random_numbers(key, SIMULATING, number, study.simulation), rows, share, sampling)
