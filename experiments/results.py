"""What a run leaves behind: tidy tables, arrays, configuration, versions and device, in one folder.

```
DIR/config.yaml                 what was run, to be run again
DIR/results.json                what `--json` prints, with versions and device
DIR/tables/scores.csv           one row an observation, and the aggregates; of every measure, comparator and size of stimuli
DIR/tables/scores.parquet       the same, for programs that read tables by column
DIR/tables/differences.csv      each rule's differences from the untrained control and from backpropagation
DIR/tables/reference_models.csv scores of models that are no networks: pixels, colours, Gabor energy, HMAX, category
DIR/tables/clusters.csv         of a recording in time: stretches in which a layer scores above its permutations
DIR/tables/accuracy.csv         one row an epoch of a network
DIR/tables/networks.csv         one row a node of a network: alignment with backpropagation, change of weights, activity
DIR/tables/readouts.csv         one row a network: what the one readout for all reaches, trained and frozen
DIR/tables/controls.csv         the same of controls that learn no hidden layer: logistic regression, random features, random maps
DIR/tables/verdicts.csv         one row a rule: against the best control, and its distance from backpropagation
DIR/arrays.npz                  RDMs of layers and regions, stimuli
DIR/report.html                 one self-contained file
```
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.files import write_bytes, write_text
from experiments.files import write_arrays
from experiments.plain_values import plain as plain
from experiments.results_schema import check_arrays, check_record, check_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rsatoolbox.rdm import RDMs

__all__ = [
    "CLUSTER_COLUMNS",
    "GENERALISATION",
    "REFERENCE_MODEL_COLUMNS",
    "DIFFERENCE_COLUMNS",
    "SCORE_COLUMNS",
    "VIEW_COLUMNS",
    "Comparison",
    "plain",
]

VIEW_COLUMNS = ("measure", "comparator", "size")
"""What tells one view of the same networks from another: the measure, missing where patterns themselves are compared, the
comparator, and the stimuli's height in pixels."""
SCORE_COLUMNS = (
    "rule",
    "seed",
    "layer",
    "region",
    "time",
    "subject",
    "score",
    "lower",
    "upper",
    "ceiling_lower",
    "ceiling_upper",
    "p_value",
    "p_adjusted",
    *VIEW_COLUMNS,
)
DIFFERENCE_COLUMNS = (
    *("rule", "reference", "layer", "region", "time", "difference", "lower", "upper", "p_value", "p_adjusted"),
    *VIEW_COLUMNS,
)
REFERENCE_MODEL_COLUMNS = ("model", "region", "time", "score", "lower", "upper", "p_value", *VIEW_COLUMNS)
CLUSTER_COLUMNS = ("rule", "layer", "region", "start", "stop", "mass", "p_value")
GENERALISATION = "generalisation_over_time"
"""Of the tables beside a comparison, that which documents leave out."""
_TABLES = (
    *("scores", "differences", "reference_models", "clusters"),
    *("accuracy", "networks", "readouts", "controls", "verdicts"),
)
_VIEWED = ("scores", "differences", "reference_models")
_COLUMNS = {
    "scores": SCORE_COLUMNS,
    "differences": DIFFERENCE_COLUMNS,
    "reference_models": REFERENCE_MODEL_COLUMNS,
    "clusters": CLUSTER_COLUMNS,
    "accuracy": ("rule", "seed", "epoch", "test_accuracy"),
    "networks": ("rule", "seed", "layer", "cosine", "reference_norm", "relative_weight_change", "silent"),
    "readouts": ("rule", "seed", "read_from", "test_accuracy"),
    "controls": ("control", "seed", "test_accuracy"),
    "verdicts": (
        *("rule", "readout_mean", "read_from", "best_control", "control_mean", "difference", "p_adjusted", "beats_control"),
        *("angle_start", "angle_tenth", "angle_end", "rdm_correlation", "rdm_correlation_between_seeds", "failure"),
    ),
}
_MAY_LACK = ("readouts", "controls", "verdicts")
_MAY_BE_EMPTY = ("differences", "reference_models", "clusters", *_MAY_LACK)
_TEXT = (
    *("rule", "reference", "model", "layer", "region", "subject", "measure", "comparator"),
    *("control", "network", "read_from", "best_control", "failure"),
)
_TRUTH = {"True": True, "False": False, "": None}
_WHOLE = ("seed", "epoch", "size")
_ARRAYS = ("stimuli", "stimulus_ids")
_SEPARATOR = "|"
# What files raise that are not what was written.
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, RecursionError),
    *(zipfile.BadZipFile, zlib.error),
)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as one plain mapping a row."""
    return [
        {
            # Where a column has gaps, pandas keeps whole numbers as others.
            str(name): None if pd.isna(value) else int(value) if name in _WHOLE and isinstance(value, float) else plain(value)
            for name, value in row.items()
        }
        for row in frame.to_dict("records")
    ]


def _read_table(path: Path) -> pd.DataFrame:
    """A table as it was written: a region called NA and a subject called 01 keep their names, numbers their last bit."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in frame:
        if name in _TEXT:
            frame[name] = frame[name].where(frame[name] != "")
        elif name == "beats_control":
            frame[name] = pd.Series([_TRUTH[text] for text in frame[name]], dtype=object)
        else:
            frame[name] = np.array([float(text) if text else np.nan for text in frame[name]])
    return frame.astype({name: "Int64" for name in _WHOLE if name in frame})


def _parquet(table: pd.DataFrame) -> bytes:
    """The table in Parquet, each column of the kind that its name says, also where all of it is missing."""
    kinds = {name: "string" if name in _TEXT else "Int64" if name in _WHOLE else "float64" for name in table}
    written = io.BytesIO()
    table.astype(kinds).to_parquet(written, index=False)
    return written.getvalue()


def _in_view(table: pd.DataFrame, view: Sequence[Any]) -> pd.Series:
    """Which rows are of a view."""
    alike = [(table[name] == value).fillna(False).astype(bool) for name, value in zip(VIEW_COLUMNS, view, strict=True)]
    return alike[0] & alike[1] & alike[2]


def _together(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["seed"].isna() & scores["subject"].isna()].reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Networks trained by several rules, compared with a recording.

    Attributes
    ----------
    config
        What was run, as plain values.
    environment
        Versions and device.
    dataset
        What the networks were trained on, as `ImageSet.to_record` gives it.
    recording
        Name, modality, simulated, n_conditions, subjects (per region), citation, licence, notes, truth.
    transform
        How the stimuli were shown.
    architecture
        Name, options and one row a layer.
    rules
        Rule -> what it declares about itself.
    scores
        Columns `SCORE_COLUMNS`. A row has a seed and a subject, and an interval for other stimuli; in aggregates both are missing,
        and lower and upper are the interval of the mean over seeds and subjects for all of `factors`. `time` is missing where the
        recording has none. `p_adjusted` is the false discovery rate over all aggregates. Of all measures, comparators and sizes of
        stimuli; patterns' scores have intervals over subjects and seeds alone and no p-values. `main` has those of the main view.
    differences
        Columns `DIFFERENCE_COLUMNS`: rule minus reference (the untrained network, or backpropagation), paired, with intervals for
        all of `factors`, and the false discovery rate over all differences.
    reference_models
        Columns `REFERENCE_MODEL_COLUMNS`: scores of models that are no networks.
    clusters
        Columns `CLUSTER_COLUMNS`: first and last time in seconds, corrected for all times of one layer.
    scorecards
        Rule -> criterion -> verdict, value, evidence, claimed, difference, as `learning_rules.plausibility` finds them.
    factors
        Region -> what its intervals generalise over.
    accuracy
        Rule, seed, epoch, train_loss, train_accuracy, validation_accuracy, test_accuracy.
    networks
        Rule, seed, layer, cosine, reference_norm, relative_weight_change, silent, mean, rms, saturated, and rdm_correlation: with
        the same layer of backpropagation from the same seed, of backpropagation itself with its other seeds.
    readouts
        Rule, seed, read_from, validation_accuracy, test_accuracy, frozen_accuracy, of the readout that is one for all.
    controls
        Control, seed, network, read_from, validation_accuracy, test_accuracy, of controls that learn no hidden layer.
    verdicts
        One row a rule, as `experiments.judging.judge` gives them: whether it beats all controls, how far it is from
        backpropagation, and why it is kept out of rankings, where it is.
    ceilings
        Region, time, lower, upper, withheld, n_subjects (one row a region and time), as plain mappings. `withheld` says what has to
        be known of the bounds: why there is none, or that the only subject's trials were split.
    layer_rdms
        (rule, layer) -> condensed RDM, mean over seeds.
    region_rdms
        Region -> condensed RDM, mean over subjects (and times).
    stimuli
        (n_conditions, height, width, 3) uint8.
    stimulus_ids
        Their names.
    categories
        One a stimulus, or None.
    beside
        Further tables by name (`experiments.beside`), which stand in the folder with the others: fusion with another recording, and
        how long a region's geometry lasts.
    warnings
        What went wrong or has to be known, by name.
    seconds
        Phase -> wall time; "compile" apart.
    report
        Path of the report, once written.
    """

    config: dict[str, Any]
    environment: dict[str, Any]
    dataset: dict[str, Any]
    recording: dict[str, Any]
    transform: dict[str, Any]
    architecture: dict[str, Any]
    rules: dict[str, dict[str, Any]]
    scores: pd.DataFrame
    differences: pd.DataFrame
    reference_models: pd.DataFrame
    clusters: pd.DataFrame
    accuracy: pd.DataFrame
    networks: pd.DataFrame
    ceilings: list[dict[str, Any]]
    layer_rdms: dict[tuple[str, str], np.ndarray]
    region_rdms: dict[str, np.ndarray]
    stimuli: np.ndarray
    stimulus_ids: list[str]
    categories: list[str] | None = None
    readouts: pd.DataFrame = field(default_factory=pd.DataFrame)
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    verdicts: pd.DataFrame = field(default_factory=pd.DataFrame)
    scorecards: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    factors: dict[str, list[str]] = field(default_factory=dict)
    beside: dict[str, pd.DataFrame] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    report: str | None = None

    def __repr__(self) -> str:
        """What was compared, in one line."""
        rules, recording = ", ".join(self.rules), self.recording.get("name", "recording")
        return f"<Comparison of {rules} with {recording}: {len(self.scores)} scores>"

    def _repr_html_(self) -> str:
        """What was found, as a notebook shows it."""
        from experiments.report import comparison_html

        return comparison_html(self)

    def to_frame(self) -> pd.DataFrame:
        """The scores, one row an observation, of all measures, comparators and sizes of stimuli."""
        return self.scores.copy()

    @functools.cached_property
    def main(self) -> Comparison:
        """The same with rows of the main view alone: the first measure and comparator, and the first size of stimuli."""
        rows_of = {name: getattr(self, name)[_in_view(getattr(self, name), self.view)] for name in _VIEWED}
        return dataclasses.replace(self, **{name: table.reset_index(drop=True) for name, table in rows_of.items()})

    @property
    def view(self) -> tuple[str, str, int]:
        """The main measure, comparator and size of stimuli."""
        scoring = self.config["scoring"]
        return scoring["measures"][0], scoring["comparators"][0], self.transform["evaluation_size"][0]

    def aggregates(self) -> pd.DataFrame:
        """The rows that stand for all seeds and subjects together, of the main view."""
        return _together(self.main.scores)

    def further_aggregates(self) -> pd.DataFrame:
        """The same of all other views."""
        return _together(self.scores[~_in_view(self.scores, self.view)])

    def plot(self, what: str = "scores") -> Figure:
        """A figure: "overview", "accuracy", "scores", "scores_over_time", "sizes", "differences", "rdms" or "stimuli".

        Raises
        ------
        InputError
            There is no such figure.
        """
        # matplotlib is slow to import; a run without pictures does without it.
        from experiments import report

        figures = {name.removeprefix("plot_"): name for name in report.__all__ if name.startswith("plot_")}
        if what not in figures:
            raise unknown_name("figure", what, figures)
        figure: Figure = getattr(report, figures[what])(self)
        return figure

    def to_rsatoolbox(self) -> RDMs:
        """RDMs of regions and layers (means over subjects and seeds) as rsatoolbox has them, for its pictures and its inference.

        The descriptor "name" says whose each is, "stimulus" and "category" what its rows are.
        """
        from rsatoolbox.rdm import RDMs

        named = {**self.region_rdms, **{" ".join(names): rdm for names, rdm in self.layer_rdms.items()}}
        rows = {"stimulus": self.stimulus_ids} | ({} if self.categories is None else {"category": self.categories})
        return RDMs(np.stack(list(named.values())), rdm_descriptors={"name": list(named)}, pattern_descriptors=rows)

    def to_json(self) -> dict[str, Any]:
        """Everything but arrays, as plain values."""
        record = {
            name: plain(getattr(self, name))
            for name in (
                "config",
                "environment",
                "dataset",
                "recording",
                "transform",
                "architecture",
                "rules",
                "ceilings",
                "scorecards",
                "factors",
                "warnings",
                "seconds",
            )
        }
        # Every time with every other is too long for a document.
        further = {name: rows(table) for name, table in self.beside.items() if name != GENERALISATION}
        return {**record, **{name: rows(getattr(self, name)) for name in _TABLES}, **further, "report": self.report}

    def save(self, folder: Path) -> None:
        """Write everything but the report into a folder, each file beside its name and renamed."""
        for name in _TABLES:
            write_text(folder / "tables" / f"{name}.csv", getattr(self, name).to_csv(index=False))
        for name, table in self.beside.items():
            write_text(folder / "tables" / f"{name}.csv", table.to_csv(index=False))
        write_bytes(folder / "tables" / "scores.parquet", _parquet(self.scores))
        arrays: dict[str, np.ndarray] = {"stimuli": self.stimuli, "stimulus_ids": np.array(self.stimulus_ids)}
        if self.categories is not None:
            arrays["categories"] = np.array(self.categories)
        arrays |= {_SEPARATOR.join(("layer", *names)): rdm for names, rdm in self.layer_rdms.items()}
        arrays |= {_SEPARATOR.join(("region", name)): rdm for name, rdm in self.region_rdms.items()}
        write_arrays(folder / "arrays.npz", arrays)
        write_text(folder / "results.json", json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            A folder without results, or with some that cannot be read.
        """
        path = folder / "results.json"
        if (folder / "training.json").is_file() and not (folder / "arrays.npz").is_file():
            raise InputError(
                f"{folder} holds one training, as train --out wrote it, and a report is of a comparison: make one with compare; "
                f"train --init {folder} starts from these weights, and searchlight --models {folder} seeks its layers in a brain"
            )
        if not path.is_file():
            raise InputError(f"{folder} holds no results.json: give the folder that compare wrote with --out")
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            tables = {name: _read_table(folder / "tables" / f"{name}.csv") for name in _TABLES}
            if not isinstance(record, dict):
                raise ValueError(f"results.json holds {type(record).__name__}, not a mapping")
            missing = [name for name in _ARRAYS if name not in arrays]
            if missing:
                raise ValueError(f"{', '.join(missing)} missing")
            check_record(record, "results.json")
            check_tables(tables, _COLUMNS, _MAY_BE_EMPTY, _MAY_LACK)
            check_arrays(arrays, [name for name in arrays if name.partition(_SEPARATOR)[0] in ("layer", "region")])
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            EOFError,
            MemoryError,
            RecursionError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise InputError(f"the results in {folder} cannot be read ({error}): run compare again") from None
        layer_rdms, region_rdms = {}, {}
        for name, rdm in arrays.items():
            kind, *names = name.split(_SEPARATOR)
            if kind == "layer":
                layer_rdms[names[0], names[1]] = rdm
            elif kind == "region":
                region_rdms[_SEPARATOR.join(names)] = rdm
        known = {each.name for each in dataclasses.fields(cls)}
        categories = arrays.get("categories")
        return cls(
            **{name: value for name, value in record.items() if name in known and name not in tables},
            **tables,
            layer_rdms=layer_rdms,
            region_rdms=region_rdms,
            stimuli=arrays["stimuli"],
            stimulus_ids=[str(each) for each in arrays["stimulus_ids"]],
            categories=None if categories is None else [str(each) for each in categories],
        )
