"""What a study asks of the networks that a sweep trains: which brains they are held against, and what might change the answer."""

from __future__ import annotations

import dataclasses

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least, fraction

__all__ = ["StudyConfig"]


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Comparisons of all trained networks with recordings.

    Attributes
    ----------
    recordings
        Named recordings or users' folders.
    measures
        How patterns become RDMs, of `rsa.MEASURES`, the main one first: that of the ranking, of matched accuracy and of recovery.
    comparators
        Between RDMs, of `rsa.COMPARATORS`, the main one first.
    sizes
        Sides in pixels at which networks see the stimuli, the main one first; None is the size of their training.
    partial
        Reference models that are taken out for one condition more.
    halves
        Compare on either half of the stimuli too, as a condition each.
    matched
        Compare networks at one accuracy too: each after the epoch at which it was nearest to what the least accurate rule of those
        that learned reaches. Networks are then kept after every epoch.
    n_draws
        Bootstrap draws, and permutations.
    n_simulations
        Of model recovery, a rule; 0 for none.
    n_shuffles
        Of the null study, in which networks see the stimuli in another order; 0 for none.
    confidence
        Coverage of the intervals.
    seed
        Of all draws.
    """

    recordings: tuple[str, ...] = ("simulated",)
    measures: tuple[str, ...] = ("correlation", "correlation-centred", "euclidean")
    comparators: tuple[str, ...] = ("spearman",)
    sizes: tuple[int | None, ...] = (None,)
    partial: tuple[str, ...] = ()
    halves: bool = True
    matched: bool = True
    n_draws: int = 1000
    n_simulations: int = 100
    n_shuffles: int = 100
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that there is something to compare with."""
        for name in ("recordings", "measures", "comparators", "sizes"):
            if not getattr(self, name):
                raise InputError(f"a study with {name}: [] was given, expected at least one")
        at_least(self, 0, "n_draws", "n_simulations", "n_shuffles", "seed")
        fraction(self, "confidence", with_zero=False, with_one=False)
