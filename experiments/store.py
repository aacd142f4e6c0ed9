"""Trained networks that are found again: one folder a training, called after all that decides it.

```
STORE/trainings/RULE__NETWORK__DIGEST/     as `train --out` writes it
```

Another recording, measure or size of stimuli asks for the same networks, and trains none. What was interrupted goes on after its
last epoch. Several processes may share a store: who comes second to a training waits for it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress
from experiments.files import short_name
from experiments.identity import digest_of
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
    """

    folder: Path

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
        names = (short_name(setup.config.rule), short_name(setup.config.architecture), digest_of(setup))
        return self.folder / "trainings" / "__".join(names)

    def find(self, setup: Setup) -> Trained | None:
        """Trained networks, None where they are not there or cannot be read: they are trained again then.

        Parameters
        ----------
        setup
            What `prepare` gave.
        """
        place = self.place_of(setup)
        if not (place / "results.json").is_file():
            return None
        try:
            return load_trained(place, setup)
        except (InputError, OSError):
            shutil.rmtree(place, ignore_errors=True)
            return None

    def fit(self, setup: Setup, progress: Progress | None = None) -> Trained:
        """Trained networks: those that are there, else trained and kept.

        Parameters
        ----------
        setup
            What `prepare` gave.
        progress
            Called with epochs done, epochs in all and a line to show.

        Raises
        ------
        InputError
            The store cannot be written.
        """
        place = self.place_of(setup)
        try:
            place.mkdir(parents=True, exist_ok=True)
            locks = self.folder / "locks"
            locks.mkdir(exist_ok=True)
            with FileLock(locks / f"{place.name}.lock"):
                found = self.find(setup)
                if found is None:
                    place.mkdir(exist_ok=True)
                    found = complete(setup, _interrupted(place, setup), progress, [saved_in(place)])
                    save_trained(found, place, digest_of(setup))
        except OSError as error:
            raise self._cannot(error) from error
        return found


def _interrupted(place: Path, setup: Setup) -> Fitting | None:
    """What is there of a training that was interrupted; what cannot be read is trained again from the beginning."""
    try:
        return resume(place, setup)
    except InputError:
        shutil.rmtree(place)
        place.mkdir()
        return None
