"""Trained networks that are found again: one folder a training, called after all that decides it.

```
STORE/trainings/RULE__NETWORK__DIGEST/     as `train --out` writes it; with `every_epoch`, `epochs` in it
STORE/tables/NAME__DIGEST.json             what was read from networks, and what controls reach
```

Another recording, measure or size of stimuli asks for the same networks, and trains none. What was interrupted goes on after its
last epoch. Several processes may share a store: who comes second to a training waits for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from experiments.claims import claim
from experiments.config import TrainConfig
from experiments.epoch_states import are_kept, states_in
from experiments.files import short_name
from experiments.identity import reading_code
from experiments.preparing import Setup
from experiments.saving import load_trained, resume, save_trained, saved_in
from experiments.trained import Trained
from experiments.training import Fitting, complete

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """A folder of trained networks.

    Attributes
    ----------
    folder
        Where they are kept; made with the first.
    every_epoch
        Keep the networks after every epoch as well (`experiments.epoch_states`), and train anew what was kept without them.
    """

    folder: Path
    every_epoch: bool = False

    def ready(self) -> Store:
        """The store, with a folder that can be written.

        Raises
        ------
        InputError
            It cannot.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except (OSError, ValueError) as error:
            raise self._cannot(error) from error
        return self

    def _cannot(self, error: Exception) -> InputError:
        why = getattr(error, "strerror", None) or error
        return InputError(f"the store {self.folder} cannot be written ({why}): give another folder with --store")

    def place_of(self, setup: Setup) -> Path:
        """The folder of a training.

        Parameters
        ----------
        setup
            What `prepare` gave.
        """
        return self.place_of_digest(setup.config, setup.digest)

    def place_of_digest(self, config: TrainConfig, digest: str) -> Path:
        """The same of networks that are there.

        Parameters
        ----------
        config, digest
            Of the training.
        """
        return self.folder / "trainings" / "__".join((short_name(config.rule), short_name(config.architecture), digest))

    def find(self, setup: Setup) -> Trained | None:
        """Trained networks, None where they are not there or are damaged.

        Parameters
        ----------
        setup
            What `prepare` gave.
        """
        place = self.place_of(setup)
        if self.every_epoch and not are_kept(place, setup.config.epochs or 0):
            return None
        return _read(place, setup)

    def fit(self, setup: Setup, progress: Progress | None = None) -> tuple[Trained, bool]:
        """Trained networks: those that are there, else trained and kept.

        Parameters
        ----------
        setup
            What `prepare` gave.
        progress
            Called with epochs done, epochs in all and a line to show.

        Returns
        -------
        tuple of (Trained, bool)
            The networks, and whether they were there. What was there and is damaged is put aside and trained again.

        Raises
        ------
        InputError
            The store cannot be written.
        """
        if (found := self.find(setup)) is not None:
            return found, True
        place = self.place_of(setup)
        self._make(place)

        def told() -> None:
            if progress is not None:
                progress(0, setup.config.epochs or 0, "another process is at it: waiting")

        with claim(self.folder / "locks" / f"{place.name}.lock", wait=-1.0, told=told):
            # Somebody may have trained it meanwhile.
            if (found := self.find(setup)) is not None:
                return found, True
            if (place / "results.json").is_file() and _read(place, setup) is None:
                _put_aside(place)
            # States first: what goes on after an epoch has those of the epochs before.
            keep = [states_in(place)] if self.every_epoch else []
            trained = complete(setup, _interrupted(place, setup), progress, [*keep, saved_in(place)])
            save_trained(trained, place)
            return trained, False

    def table(self, name: str, decided_by: Sequence[Any], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """A table that is there, else made and kept.

        Parameters
        ----------
        name
            What it holds.
        decided_by
            All that decides it, beside the code that reads networks.
        make
            Makes it.

        Raises
        ------
        InputError
            The store cannot be written.
        """
        asked = json.dumps([name, *decided_by, reading_code()], default=repr)
        path = self.folder / "tables" / f"{name}__{hashlib.sha256(asked.encode()).hexdigest()[:20]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # what is damaged is made again
            kept = json.loads(path.read_text(encoding="utf-8"))
            return pd.DataFrame(kept["rows"], columns=kept["columns"])
        made = make()
        write_text(path, json.dumps({"columns": list(made.columns), "rows": made.to_numpy(object).tolist()}) + "\n")
        return made

    def _make(self, place: Path) -> None:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot(error) from error


def _read(place: Path, setup: Setup) -> Trained | None:
    """What lies there, None where nothing does or it is damaged."""
    try:
        return load_trained(place, setup) if (place / "results.json").is_file() else None
    except InputError:
        return None


def _put_aside(place: Path) -> None:
    """Make room, and delete nothing: what cannot be read here may be read elsewhere."""
    number = next(n for n in range(1, 10**6) if not place.with_name(f"{place.name}.damaged-{n}").exists())
    place.rename(place.with_name(f"{place.name}.damaged-{number}"))
    place.mkdir()


def _interrupted(place: Path, setup: Setup) -> Fitting | None:
    """What is there of a training that was interrupted; what cannot be read is trained again from the beginning."""
    try:
        return resume(place, setup)
    except InputError:
        _put_aside(place)
        return None
