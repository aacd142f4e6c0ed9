"""Every key that a folder's recording.yaml may hold, from the dataclasses and the table that read it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from option_ranges import of_dataclass, written
from stored_results import markdown_table

from experiments.options_table import option_rows
from neurodata import settings
from neurodata.fmri import FmriOptions
from neurodata.fmri.folder import KEYS as FMRI_KEYS
from neurodata.meg import MegOptions

# What a folder takes under "fmri" beside the options of a first-level analysis; they are parameters of neurodata.fmri.from_bids.
_OF_THE_TREE = {
    "task": "the task whose runs are taken, where there are several",
    "space": "the space of preprocessed images that are taken, such as MNI152NLin2009cAsym",
    "derivatives": "the folder of a pipeline under derivatives/ whose images are taken",
    "strategy": "names of nilearn's strategies of denoising, for confounds of fMRIPrep",
    "regions": "a mapping from region to a mask's path, or to {image: path of an atlas, label: number}",
}


def _meanings() -> dict[str, str]:
    """Key -> meaning, from the table in the docstring of neurodata.settings."""
    told: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(settings) or "").splitlines():
        match = re.match(r"(\S.*?)\s{2,}(\S.*)$", line)
        if match and not line.startswith("="):
            names = [name.strip() for name in match[1].split(",")]
            told |= dict.fromkeys(names, match[2])
        elif names and line.startswith("   "):
            told |= {name: f"{told[name]} {line.strip()}" for name in names}
        else:
            names = []
    return told


def _keys() -> str:
    told = _meanings()
    missing = [key for key in settings.KEYS if key not in told]
    if missing:
        raise LookupError(f"the table in neurodata.settings lacks {', '.join(missing)}")
    return markdown_table(
        ["key", "expected", "meaning"], [[f"`{key}`", expected, told[key]] for key, (_, expected) in settings.KEYS.items()]
    )


def _options(kind: type, leave_out: tuple[str, ...] = (), further: dict[str, str] | None = None) -> str:
    ranges = of_dataclass(kind)
    rows: list[list[Any]] = []
    for row in option_rows(kind, hidden=leave_out):
        rows.append([f"`{row['option']}`", f"`{written(row['default'])}`", ranges.get(row["option"], ""), row["what"]])
    rows += [[f"`{name}`", "", "", what] for name, what in (further or {}).items()]
    return markdown_table(["key", "default", "range", "what"], rows)


def pages() -> dict[str, str]:
    """The page by its path from the site's folder."""
    names = {field.name for field in dataclasses.fields(FmriOptions)} - {"conditions"}
    if names | set(_OF_THE_TREE) != set(FMRI_KEYS):
        raise LookupError(f"keys under 'fmri' have changed: {sorted(set(FMRI_KEYS) ^ (names | set(_OF_THE_TREE)))}")
    text = f"""# recording.yaml

What a folder of your own states about its recording. Every key may be left out, and the file too; an unknown key is refused with the
nearest known one, and so is a key that means nothing for the files that are there. The file is YAML of the second version: `yes`, `no`
and `on` are words, and a subject called 01 keeps its name.

```yaml
name: my recording
modality: fmri
subjects: [s01, s02, s03, s04]
stimuli: {{size: 400, fit: pad}}
select: {{task: objects, res: 2}}
fmri: {{hrf: spm, smoothing_mm: 4, confounds: [trans_x, trans_y, trans_z]}}
```

## Keys

{_keys()}
(fmri-keys)=
## Under fmri

Options of {{py:class}}`neurodata.fmri.FmriOptions` but the conditions, which the stimuli are, and what chooses files.

{_options(FmriOptions, ("conditions",), _OF_THE_TREE)}
(meg-keys)=
## Under meg

Options of {{py:class}}`neurodata.meg.MegOptions`, of MEG and EEG alike.

{_options(MegOptions)}"""
    return {"reference/recording_yaml.md": text}
