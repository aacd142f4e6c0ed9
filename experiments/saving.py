"""What `train --out` leaves behind: configuration, results, tables, and the last and the best checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

from bioplausible.foundation.files import write_text
from experiments import checkpoints
from experiments.config import write_yaml
from experiments.results import plain
from experiments.training import Trained

__all__ = ["save_trained"]


def save_trained(trained: Trained, folder: Path) -> None:
    """Write a training run into an empty folder.

    ```
    DIR/config.yaml, DIR/results.json, DIR/tables/accuracy.csv, DIR/tables/networks.csv
    DIR/checkpoints/last, DIR/checkpoints/best     states, with a leading axis of seeds
    ```
    """
    checkpoints.save(folder / "checkpoints" / "last", trained.state)
    checkpoints.save(folder / "checkpoints" / "best", trained.best)
    write_text(folder / "config.yaml", write_yaml(trained.config))
    write_text(folder / "tables" / "accuracy.csv", trained.accuracy.to_csv(index=False))
    write_text(folder / "tables" / "networks.csv", trained.networks.to_csv(index=False))
    write_text(folder / "results.json", json.dumps(plain(trained.to_json()), indent=1, ensure_ascii=False) + "\n")
