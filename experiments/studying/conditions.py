"""The choices that could turn an answer: each condition differs from the main one in a single choice.

The main condition is the first measure and comparator, stimuli of the size of training, all of them, all hidden layers (the best of
which is chosen on other stimuli and subjects than it is scored on), all seeds, after the last epoch. The readout is no hidden
layer: that of the control has never learned, so that whatever labels alone do to scores would be credited to the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from experiments.studying.config import StudyConfig
from experiments.studying.shown import END, MATCHED, Look

__all__ = ["MAIN", "READOUT", "Condition", "conditions_of", "looks_of"]

MAIN = "main"
READOUT = "readout"
"""The choice that is shown and counts for no conclusion: a trained readout beside one that never learned."""
HIDDEN, LAST, WITH_READOUT, ANY_SIZE = "hidden", "last hidden", "with readout", "any size"


class Condition(NamedTuple):
    """One way to ask whether a rule adds to its control.

    Attributes
    ----------
    name
        What is different, in words; `MAIN` for nothing.
    choice
        Which choice that is: "measure", "comparator", "size", "accuracy", "stimuli", "layers", "seeds", "partial", `READOUT` or "".
    look
        How the networks are looked at; their controls at the same size and by the same measure.
    comparator
        Between RDMs.
    layers
        Which may stand for a network.
    like
        With layers of any size, the look that has no others.
    half
        0 or 1 for a half of the stimuli, None for all.
    seed
        The only one, None for all.
    partial
        Models that are taken out.
    """

    name: str
    choice: str
    look: Look
    comparator: str
    layers: str = HIDDEN
    like: Look | None = None
    half: int | None = None
    seed: int | None = None
    partial: tuple[str, ...] = ()


def conditions_of(config: StudyConfig, seeds: Sequence[int]) -> list[Condition]:
    """All conditions of a study, the main one first.

    Parameters
    ----------
    config
        What is asked for.
    seeds
        Of the networks.
    """
    size, measure, comparator = config.sizes[0], config.measures[0], config.comparators[0]
    main = Condition(MAIN, "", Look(END, size, measure), comparator)
    found = [main]
    found += [main._replace(name=each, choice="measure", look=main.look._replace(measure=each)) for each in config.measures[1:]]
    found += [main._replace(name=each, choice="comparator", comparator=each) for each in config.comparators[1:]]
    found += [
        main._replace(name=f"{each or 'training'} pixels", choice="size", look=main.look._replace(size=each))
        for each in config.sizes[1:]
    ]
    if config.matched:
        found.append(main._replace(name="one accuracy", choice="accuracy", look=main.look._replace(when=MATCHED)))
    if config.partial:
        found.append(main._replace(name=f"beyond {', '.join(config.partial)}", choice="partial", partial=config.partial))
    if config.halves:
        halves = enumerate(("one half of stimuli", "other half of stimuli"))
        found += [main._replace(name=name, choice="stimuli", half=half) for half, name in halves]
    found.append(main._replace(name="last hidden layer", choice="layers", layers=LAST))
    found.append(main._replace(name="readout among layers", choice=READOUT, layers=WITH_READOUT))
    if len(config.sizes) > 1:
        # At another size there are these alone: what the size itself does is seen beside them.
        like = main.look._replace(size=config.sizes[1])
        found.append(main._replace(name="layers of any size", choice="layers", layers=ANY_SIZE, like=like))
    if len(seeds) > 1:
        found += [main._replace(name=f"seed {seed} alone", choice="seeds", seed=seed) for seed in seeds]
    return found


def looks_of(conditions: Sequence[Condition]) -> list[Look]:
    """Every look that conditions need, of networks and of their controls.

    Parameters
    ----------
    conditions
        As `conditions_of` gives them.
    """
    looks = [condition.look for condition in conditions]
    return list(dict.fromkeys([*looks, *(look._replace(when="start") for look in looks)]))
