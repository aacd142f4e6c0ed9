"""What a comparison is made of: which networks are trained, what they are shown, and how their layers are scored.

Its parts are configurations of their own. Whoever gives fields by name, in Python or in a file, may give those of parts as well:
`compare(rules=["backprop"], epochs=2, recording="cichy92", measures=["correlation", "crossnobis"])`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.options import at_least, fraction, one_of
from experiments.config import CONTROL, REFERENCE, TrainConfig, with_fields

__all__ = ["AUTO", "CompareConfig", "ScoringConfig", "StimulusConfig"]

AUTO = "auto"
"""What the recording calls for: a measure, or the reference models that its stimuli allow."""
LAYERS = ("all", "best")
SCORECARDS = ("core", "all", "none")

# Draws that anybody waits for.
_MOST_DRAWS = 1_000_000


def _each_once(config: Any, *names: str) -> None:
    """Check that lists name nothing twice."""
    for name in names:
        given = getattr(config, name)
        if len(set(given)) != len(given):
            raise InputError(
                f"{name}={', '.join(map(str, given))} was given, where each may be named once: leave out what is repeated"
            )


@dataclasses.dataclass(frozen=True)
class StimulusConfig:
    """What networks are shown, and whose responses to it they are compared with.

    Attributes
    ----------
    recording
        A named recording or a user's folder.
    select
        Which raw files of a folder, by the entities of their names: "task=objects", "res=2".
    subjects
        Of the recording, those that are compared with; all by default.
    exclude_subjects
        Those that are left out.
    regions
        Those that are compared with; all by default.
    conditions
        Stimuli, or categories of stimuli, that are shown; all by default.
    sizes
        Sides in pixels at which the networks see the stimuli, the main one first: that of the report's pictures and tests. None is
        the size that they were trained at.
    """

    recording: str = "simulated"
    select: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    exclude_subjects: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    sizes: tuple[int | None, ...] = (None,)

    def __post_init__(self) -> None:
        """Check ranges."""
        if not self.sizes:
            raise InputError("no size of stimuli was given: name one in pixels, or leave sizes out")
        _each_once(self, "sizes")
        at_least(self, 1, "sizes")


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """How layers are scored against regions.

    Attributes
    ----------
    measures
        How patterns of networks, and of regions that come as patterns, become RDMs: of `rsa.MEASURES`, the main one first, that of
        the report's pictures and tests. "auto" leaves it to the recording (`experiments.planning.measure_for`): crossnobis where
        every region was measured in several runs, else correlation.
    comparators
        Between RDMs, of `rsa.COMPARATORS`, the main one first. After it also comparators of patterns, which make no RDM: of
        `rsa.PATTERN_COMPARATORS`, for recordings that come as patterns.
    partial
        Models that are no networks, of `rsa.REFERENCE_MODELS` or "category", that are taken out of layers and regions alike for
        scores that stand beside those of the main measure: what is left beyond their RDMs, which is not all that is in them
        (`rsa.partial`): differences from the control are to be read, not scores. By the main comparator, which is then spearman or
        pearson.
    layers
        "all", or "best" for one score more of every network: that of its best layer, chosen on other stimuli and subjects than it
        is scored on.
    n_draws
        Bootstrap draws, and permutations; 0 for scores without intervals.
    factors
        What intervals generalise over, of `rsa.FACTORS`; what there is too little of to draw from is left out and named.
    reference_models
        Models that are no networks and stand beside them, of `rsa.REFERENCE_MODELS` or "category"; "auto" takes all that the
        stimuli allow.
    confidence
        Coverage of the intervals.
    """

    measures: tuple[str, ...] = (AUTO,)
    comparators: tuple[str, ...] = ("spearman",)
    partial: tuple[str, ...] = ()
    layers: str = "all"
    n_draws: int = 1000
    factors: tuple[str, ...] = ("stimuli", "subjects", "seeds")
    reference_models: tuple[str, ...] = (AUTO,)
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("measures", "comparators"):
            if not getattr(self, name):
                raise InputError(f"no {name.removesuffix('s')} was given: name at least one, or leave {name} out")
        _each_once(self, "measures", "comparators", "partial", "factors", "reference_models")
        one_of(self, "layers", LAYERS)
        at_least(self, 0, "n_draws", at_most=_MOST_DRAWS)
        fraction(self, "confidence", with_zero=False, with_one=False)


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Several rules on one architecture and image set, compared with one recording.

    Attributes
    ----------
    rules
        What to train; the untrained control is added where it is missing.
    activations
        Files with what models from elsewhere make of the recording's stimuli, one array a layer (`experiments.activations`), which
        are scored beside the rules.
    fusion
        A recording of the same stimuli that the regions of this one are found in over time, or the other way round: fMRI by MEG
        (`experiments.fusion`); None for none.
    readout_images
        Training images that the one readout for all rules and controls is fitted on, whose accuracy is held against the best
        control; 0 for none.
    scorecard
        Criteria of plausibility that are put to every rule: "core" for those that need no training, "all", or "none".
    rule_options
        Rule -> options other than its defaults.
    training
        What trains each of the rules, but for the rule itself and its options: a `TrainConfig`, whose front end is that of every
        network here, whatever its rule is tuned behind. All rules start from the same weights and see the same order of images.
    stimuli
        What the networks are shown: a `StimulusConfig`.
    scoring
        How their layers are scored: a `ScoringConfig`.
    """

    rules: tuple[str, ...] = (CONTROL, REFERENCE, "feedback_alignment")
    activations: tuple[str, ...] = ()
    fusion: str | None = None
    readout_images: int = 2000
    scorecard: str = "core"
    rule_options: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    training: TrainConfig = TrainConfig(architecture="cnn", batch_size=128, n_seeds=3, front_end="none")
    stimuli: StimulusConfig = StimulusConfig()
    scoring: ScoringConfig = ScoringConfig()

    decided: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"rule": "rules", "rule_options": "rule_options of the comparison", "exclude_indices": "the stimuli"}
    )
    """Fields of a training that the comparison decides, and by what."""
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({"seeds": "n_seeds"})
    """Other names of fields."""

    def __post_init__(self) -> None:
        """Check ranges, and that options are given for rules that are there."""
        if not self.rules:
            raise InputError("no rule was given to compare: name at least one, such as backprop")
        if len(set(self.rules)) != len(self.rules):
            raise InputError(f"rules={','.join(self.rules)} names a rule twice: name each once, seeds repeat it")
        for rule in self.rule_options:
            if rule not in self.rules:
                raise unknown_name("rule with options", rule, self.rules)
        for field in dataclasses.fields(TrainConfig):
            if field.name in self.decided and getattr(self.training, field.name) != getattr(TrainConfig(), field.name):
                raise InputError(f"{field.name} was given for the training: {self.decided[field.name]} decide it, leave it out")
        at_least(self, 0, "readout_images")
        one_of(self, "scorecard", SCORECARDS)

    @classmethod
    def of(cls, **fields: Any) -> CompareConfig:
        """The default with some fields replaced, those of its parts by their own names.

        Raises
        ------
        InputError
            A field that there is not.

        >>> config = CompareConfig.of(rules=["hebbian"], epochs=2, recording="cichy92", measures="euclidean")
        >>> config.training.epochs, config.stimuli.recording, config.scoring.measures
        (2, 'cichy92', ('euclidean',))
        """
        return with_fields(None, cls, fields, "CompareConfig.of", "rules=['backprop']")

    def replace(self, **fields: Any) -> CompareConfig:
        """The same with some fields replaced, those of its parts by their own names.

        Raises
        ------
        InputError
            A field that there is not.
        """
        return with_fields(self, type(self), fields, "replace", "rules=['backprop']")

    def training_of(self, rule: str, exclude_indices: tuple[int, ...] = ()) -> TrainConfig:
        """The configuration that trains one of the rules."""
        return dataclasses.replace(
            self.training, rule=rule, rule_options=self.rule_options.get(rule, {}), exclude_indices=exclude_indices
        )
