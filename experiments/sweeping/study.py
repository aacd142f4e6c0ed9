"""What a sweep keeps of its cells: files while it is at work, and one Parquet table when its tables are written.

```
DIR/study.parquet     one row a cell: what people filter by, and all that is known of it
DIR/runs/*.json       each training since, as `bioplausible train --json` prints it
DIR/rdms/*.npz        of each, RDMs of its hidden layers
DIR/controls/*.json   controls since
```

A file is written by whoever trains the cell, and needs no one else; packing takes all of them into the table, reads it again, and
deletes what it has found there. Where both have a cell the file is the newer one. The table is for other programs too: pandas, R's
arrow or DuckDB read it. Rows are in the order of the plan; `in_tables` says which of them the last tables were made of, the others
are of plans, defaults or code of before. `record` holds the whole cell as JSON, whose numbers are those that were computed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_bytes
from experiments.config import deciding_record
from experiments.results import plain
from experiments.sweeping.plan import Cell
from experiments.sweeping.rdms import rdms_file, read_rdms

__all__ = ["STUDY", "Study", "as_text"]

STUDY = "study.parquet"
"""The name of the table."""
WORK = ("runs", "controls")
"""Folders of files while a sweep is at work."""
_KINDS = {"runs": "training", "controls": "controls"}
_RDM = pa.struct(
    [("distance", pa.string()), ("layer", pa.string()), ("n_seeds", pa.int32()), ("dissimilarities", pa.list_(pa.float32()))]
)
_WORDS = ("rule", "architecture", "front_end", "dataset")
_COUNTS = ("epochs", "n_seeds", "n_units")
_NUMBERS = ("test_accuracy", "validation_accuracy", "seconds")
_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("name", pa.string()),
        ("in_tables", pa.bool_()),
        *((name, pa.string()) for name in _WORDS),
        *((name, pa.int32()) for name in _COUNTS),
        *((name, pa.float64()) for name in _NUMBERS),
        ("config", pa.string()),
        ("record", pa.string()),
        ("rdms", pa.list_(_RDM)),
    ]
)


class Study:
    """The cells that a sweep's folder holds, wherever they are.

    Parameters
    ----------
    folder
        Of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, ...] = ()
        self._table = _SCHEMA.empty_table()
        self._rows: dict[tuple[str, str], int] = {}

    def has(self, path: Path) -> bool:
        """Whether a cell is there.

        Parameters
        ----------
        path
            Of its file while the sweep is at work.

        Raises
        ------
        InputError
            The table is damaged.
        """
        # In this order: packing writes the table before it deletes a file.
        return path.is_file() or self._row(path) is not None

    def record(self, path: Path) -> Any:
        """What is known of a cell.

        Parameters
        ----------
        path
            As of `has`.

        Raises
        ------
        InputError
            It is damaged, or not there.
        """
        try:
            return _parsed(path)
        except FileNotFoundError:
            row = self._row(path)
        if row is None:
            raise InputError(f"there is no {path.stem} in {self._folder}: run the sweep again")
        return json.loads(self._table["record"][row].as_py())

    def rdms(self, path: Path) -> dict[str, np.ndarray]:
        """RDMs of a training, as `read_rdms` gives them; nothing where none were kept.

        Parameters
        ----------
        path
            As of `has`.
        """
        if kept := read_rdms(rdms_file(path)):
            return kept
        row = self._row(path)
        return {} if row is None else dict(_rdms(self._table["rdms"][row]))

    def rows(self) -> list[dict[str, Any]]:
        """What the table holds, but for RDMs."""
        self._read()
        rows: list[dict[str, Any]] = self._table.drop_columns(["rdms"]).to_pylist()
        return rows

    def paths(self) -> Iterator[Path]:
        """Where the cells that are there are written while the sweep is at work, those of the table first."""
        self._read()
        folders = {kind: self._folder / name for name, kind in _KINDS.items()}
        packed = {kind: {name for of, name in self._rows if of == kind} for kind in folders}
        for kind, name in self._rows:
            yield folders[kind] / f"{name}.json"
        for path in self._at_work():
            if path.stem not in packed[_KINDS[path.parent.name]]:
                yield path

    def pack(self, cells: Sequence[Cell] | None) -> list[str]:
        """Take all files into the table, and delete those that are found in it again.

        Nobody else may pack at the same time.

        Parameters
        ----------
        cells
            That tables are made of now, in the order of the plan; None where none could be made: `in_tables` stays as it was.

        Returns
        -------
        list of str
            What could not be packed and stays as it is, a line each.

        Raises
        ------
        InputError
            The table is damaged, or cannot be written; no file is lost then.
        """
        files, damaged = self._sound()
        content = _encoded(self._joined(files, cells))
        place = self._folder / STUDY
        if not place.is_file() or place.read_bytes() != content:
            write_bytes(place, content)
        self._read()
        for path, record in files.items():
            rdms = rdms_file(path)
            if not (self._holds(path, record) and _alike(read_rdms(rdms), dict(_rdms(self._table["rdms"][self._row(path)])))):
                damaged.append(f"{path} is not in {place} as it is: it stays where it is")
                continue
            # The record goes last: whoever is killed between the two leaves one that finds its RDMs in the table.
            rdms.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        for name in (*WORK, "rdms"):
            if (folder := self._folder / name).is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        return damaged

    def _at_work(self) -> list[Path]:
        return [path for name in WORK for path in sorted((self._folder / name).glob("*.json"))]

    def _sound(self) -> tuple[dict[Path, Any], list[str]]:
        """Files that can be packed, and why others cannot."""
        files, damaged = {}, []
        for path in self._at_work():
            try:
                files[path] = _parsed(path)
            except (InputError, OSError) as error:
                damaged.append(str(error))
        return files, damaged

    def _holds(self, path: Path, record: Any) -> bool:
        row = self._row(path)
        return row is not None and bool(self._table["record"][row].as_py() == as_text(record))

    def _joined(self, files: Mapping[Path, Any], cells: Sequence[Cell] | None) -> pa.Table:
        """The table with what is new, in the order of a plan; what is in no plan comes last, by name."""
        self._read()
        fresh = {_key(path): _cell_row(path, record, self._rdms_rows(path)) for path, record in files.items()}
        kept = [row for key, row in self._rows.items() if key not in fresh]
        joined = pa.concat_tables([self._table.take(pa.array(kept, pa.int64())), pa.Table.from_pylist([*fresh.values()], _SCHEMA)])
        keys = _keys(joined)
        plan = {_key(cell.path): (place, cell) for place, cell in enumerate(cells or ())}
        order = list(range(len(keys)))
        if cells is not None:
            order.sort(key=lambda row: (plan[keys[row]][0] if keys[row] in plan else len(plan), keys[row]))
        joined = joined.take(pa.array(order, pa.int64())).combine_chunks()
        asked = [plan[key][1] if (key := keys[row]) in plan else None for row in order]
        of_before = joined["config"].to_pylist()
        told = {
            "in_tables": joined["in_tables"].to_pylist() if cells is None else [cell is not None for cell in asked],
            "config": [before if cell is None else as_text(_asked(cell)) for cell, before in zip(asked, of_before, strict=True)],
        }
        for name, values in told.items():
            joined = joined.set_column(
                _SCHEMA.get_field_index(name), _SCHEMA.field(name), pa.array(values, _SCHEMA.field(name).type)
            )
        return joined

    def _rdms_rows(self, path: Path) -> list[dict[str, Any]]:
        """Of a file's RDMs one entry a layer and distance; those of the table where a file has none."""
        rows = []
        for name, values in self.rdms(path).items():
            distance, _, layer = name.partition("/")
            flat = values.astype(np.float32).ravel()
            rows.append({"distance": distance, "layer": layer, "n_seeds": len(values), "dissimilarities": flat})
        return rows

    def _row(self, path: Path) -> int | None:
        self._read()
        return self._rows.get(_key(path))

    def _read(self) -> None:
        """Read the table, if it is another than the one that was read: several processes may share the folder."""
        place = self._folder / STUDY
        try:
            found = place.stat()
        except FileNotFoundError:
            self._seen, self._table, self._rows = (), _SCHEMA.empty_table(), {}
            return
        seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        if seen == self._seen:
            return
        try:
            table = pq.ParquetFile(io.BytesIO(place.read_bytes()), page_checksum_verification=True).read()
            table = table.select(_SCHEMA.names).cast(_SCHEMA).combine_chunks()
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            why = " ".join(str(error).split())[:100]
            raise InputError(
                f"{place} is damaged, or no table of a sweep ({why}): put a copy of it back, from version control, say, or delete "
                "it, and all that it held is run again"
            ) from error
        self._seen, self._table = seen, table
        self._rows = {key: row for row, key in enumerate(_keys(table))}


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path} is damaged: delete it, and what it held is run again") from None


def _key(path: Path) -> tuple[str, str]:
    return _KINDS[path.parent.name], path.stem


def _keys(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["kind"].to_pylist(), table["name"].to_pylist(), strict=True))


def as_text(value: Any) -> str:
    """A configuration or record as the table holds it.

    Parameters
    ----------
    value
        Plain values.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _asked(cell: Cell) -> dict[str, Any]:
    asked: dict[str, Any] = plain(deciding_record(cell.config))
    return asked


def _cell_row(path: Path, record: Any, rdms: list[dict[str, Any]]) -> dict[str, Any]:
    """One row: of a training, means over its seeds."""
    row: dict[str, Any] = {"kind": _KINDS[path.parent.name], "name": path.stem, "in_tables": False}
    row |= {"record": as_text(record), "rdms": rdms}
    if path.parent.name == "controls":
        units = {each.get("n_units") for each in record}
        return row | {"n_seeds": len({each["seed"] for each in record}), "n_units": units.pop() if len(units) == 1 else None}
    seeds = record.get("seeds", [record])
    config = record.get("config", {})
    row |= {name: record.get(name, config.get(name)) for name in (*_WORDS, "epochs", "seconds")}
    row |= {"n_seeds": len(seeds), "config": as_text(deciding_record(config)) if config else None}
    # What diverged has none.
    row["test_accuracy"] = _mean([each["test_accuracy"] for each in seeds])
    row["validation_accuracy"] = _mean([each["validation_accuracy_by_epoch"][-1] for each in seeds])
    return row


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _rdms(entries: Any) -> Iterator[tuple[str, np.ndarray]]:
    """RDMs of one row: "distance/layer" and dissimilarities, in double precision."""
    for entry in entries or ():
        values = entry["dissimilarities"].values.to_numpy(zero_copy_only=False).astype(np.float64)
        yield f"{entry['distance']}/{entry['layer']}", values.reshape(entry["n_seeds"].as_py(), -1)


def _alike(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether RDMs are the same; a file that has none says nothing."""
    return not one or (list(one) == list(other) and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one))


def _encoded(table: pa.Table) -> bytes:
    """A table as a file, with checksums; the same table is the same bytes."""
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=9,
        # Bytes of like weight beside each other: dissimilarities then take four fifths of the room.
        use_byte_stream_split=["rdms.list.element.dissimilarities.list.element"],
        use_dictionary=["kind", *_WORDS, "rdms.list.element.distance", "rdms.list.element.layer"],
        write_page_checksum=True,
        store_schema=False,
    )
    return buffer.getvalue()
