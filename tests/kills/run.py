"""Run a study of small trainings, kill its processes at random moments, go on, and see what is lost.

    python tests/kills/run.py [local1 local2 dask ...] [--kills N] [--cells N] [--seed S] [--out FILE]

`local1` and `local2` are one and two workers of this machine, of which any process is killed: the command, a worker, joblib's
tracker. `dask` is a scheduler and two workers beside the command, of which a worker, the scheduler or the command is killed. Who
ends is started again. Each scenario must end in the tables of a study that nobody disturbed; a training that was finished must not
begin again; no temporary file and no process may stay behind. Ends with status 1 if anything did.
"""

import argparse
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
SCENARIOS = ("local1", "local2", "dask")
LOCAL = {"local1": 1, "local2": 2}
# What is measured anew by every training, and decides nothing.
TIMES = ("seconds", "compile_seconds")
KEPT = {"README.md", "runs.csv", "study.parquet", "summary.csv", "sweep.yaml"}
# Whoever is still importing when its parent ends sees it afterwards, which takes a minute on a machine with much else to do.
GONE_WITHIN = 120.0


def plan(n_cells):
    """A study of trainings that differ in nothing but a number, so that they are compiled once."""
    trained = {"dataset": "digits", "epochs": 3, "n_train": 200, "batch_size": 32, "architecture": "mlp"}
    block = {"rule": f"{Path(__file__).with_name('counted.py')}:counted", "rule_options": [{"number": n} for n in range(n_cells)]}
    return {
        "title": "counted",
        "train": trained | {"architecture_options": {"hidden": [8]}},
        "runs": [block],
        "search": {"trials": 1},
    }


class Study:
    """One study and its processes."""

    def __init__(self, scenario, place, n_cells):
        self.scenario, self.n_cells = scenario, n_cells
        place.mkdir(parents=True)
        self.folder, self.begun, self.log = place / "out", place / "begun.txt", place / "log.txt"
        self.begun.touch()
        (place / "plan.yaml").write_text(json.dumps(plan(n_cells)))
        self.config = place / "plan.yaml"
        self.processes = {}
        self.scheduler_file = place / "scheduler.json"

    def start(self, name, *command):
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"BEGUN": str(self.begun), "PYTHONPATH": paths}
        with open(self.log, "ab") as log:
            started = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment, cwd=ROOT)
        self.processes[name] = psutil.Process(started.pid), started

    def ensure(self):
        """Start whoever is not there."""
        command = ["-m", "bioplausible", "sweep", str(self.config), "--out", str(self.folder)]
        if self.scenario in LOCAL:
            command += ["--workers", str(LOCAL[self.scenario])]
        else:
            if not self.alive("scheduler"):
                self.end("worker 0", "worker 1")
                self.scheduler_file.unlink(missing_ok=True)
                self.start(
                    "scheduler", "-m", "dask", "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self.scheduler_file
                )
                wait_for(self.scheduler_file.is_file)
            for number in range(2):
                if not self.alive(f"worker {number}"):
                    given = ["--scheduler-file", self.scheduler_file, "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
                    self.start(f"worker {number}", "-m", "dask", "worker", *given)
            command += ["--engine", "dask", "--address", json.loads(self.scheduler_file.read_text())["address"]]
        if not self.alive("command"):
            self.start("command", *command)

    def alive(self, name):
        return name in self.processes and self.processes[name][1].poll() is None

    def family(self, name):
        """A process and all that it started."""
        try:
            return [self.processes[name][0], *self.processes[name][0].children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def victims(self, rng):
        """Processes of which one is killed; of a cluster a worker, or its nanny, as often as the scheduler or the command."""
        if self.scenario in LOCAL:
            return self.family("command")
        kinds = {
            "scheduler": self.family("scheduler")[:1],
            "worker": [each for number in range(2) if self.alive(f"worker {number}") for each in self.family(f"worker {number}")],
            "command": self.family("command")[:1],
        }
        return kinds[rng.choice(list(kinds))]

    def finished(self):
        """Numbers of the trainings that are there."""
        records = [path.read_text(encoding="utf-8") for path in (self.folder / "runs").glob("*.json")]
        if (table := self.folder / "study.parquet").is_file():
            records += pq.read_table(table)["record"].to_pylist()
        return {json.loads(record)["config"]["rule_options"]["number"] for record in records}

    def lines(self):
        return [tuple(map(int, line.split())) for line in self.begun.read_text().splitlines()]

    def end(self, *names):
        for name in names or list(self.processes):
            if self.alive(name):
                for each in self.family(name):
                    kill(each)
                self.processes[name][1].wait()


def kill(process):
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def wait_for(what, within=GONE_WITHIN):
    """Whether something comes to be in time."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.05)
    return False


def tables(folder):
    """What the tables hold, but for times."""
    rows = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text(encoding="utf-8"))))
    runs = [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
    return runs, (folder / "summary.csv").read_bytes(), (folder / "README.md").read_bytes()


def undisturbed(place, n_cells):
    """Tables, how many notes a training makes of its beginning, and how long the study takes."""
    study = Study("local1", place, n_cells)
    began = time.monotonic()
    study.ensure()
    if study.processes["command"][1].wait():
        raise SystemExit(study.log.read_text())
    notes = {len(study.lines()) / n_cells}
    assert {study.lines().count(line) for line in study.lines()} == notes, "trainings begin alike"
    return tables(study.folder), int(notes.pop()), time.monotonic() - began


def disturbed(scenario, place, n_cells, kills, rng, reference, notes):
    """Counts of one scenario."""
    counts = {
        "kills": 0,
        "of the command": 0,
        "commands started": 0,
        "studies": 0,
        "trainings begun": 0,
        "finished ones begun again": 0,
    }
    counts |= {"processes left": 0, "files left": 0, "tables that differ": 0}
    began = time.monotonic()
    while counts["kills"] < kills:
        counts["studies"] += 1
        study = Study(scenario, place / str(counts["studies"]), n_cells)
        there, seen = set(), 0
        while True:
            if not study.alive("command"):
                status = study.processes["command"][1].returncode if "command" in study.processes else None
                if status == 0:
                    break
                counts["commands started"] += 1
            study.ensure()
            if counts["kills"] >= kills:
                wait_for(lambda study=study: not study.alive("command"), 600)
                continue
            # Until something is begun, and then as long as a training or two take: most of a start is imports.
            before = len(study.lines())
            if rng.random() < 0.8:
                wait_for(lambda study=study, before=before: len(study.lines()) > before or not study.alive("command"), 120)
            time.sleep(rng.uniform(0, 3))
            if not study.alive("command"):
                continue
            if not (possible := study.victims(rng)):
                continue
            victim, family = rng.choice(possible), study.family("command")
            kill(victim)
            counts["kills"] += 1
            if counts["kills"] % 5 == 0:
                print(scenario, json.dumps(counts), file=sys.stderr, flush=True)
            if victim == family[0]:
                counts["of the command"] += 1
                study.processes["command"][1].wait()
                gone = wait_for(lambda family=family: not any(map(runs, family)))
                counts["processes left"] += 0 if gone else sum(map(runs, family))
            counts["finished ones begun again"] += sum(number in there for number, _ in study.lines()[seen:])
            there, seen = study.finished(), len(study.lines())
        counts["finished ones begun again"] += sum(number in there for number, _ in study.lines()[seen:])
        families = [each for name in study.processes for each in study.family(name)]
        study.end()
        counts["processes left"] += 0 if wait_for(lambda families=families: not any(map(runs, families))) else 1
        counts["trainings begun"] += sum(-(-study.lines().count(line) // notes) for line in set(study.lines()))
        left = [path for path in study.folder.rglob("*") if path.is_file() and path.name not in KEPT]
        for path in left:
            print(f"{scenario}, study {counts['studies']}: {path.relative_to(study.folder)} is left", file=sys.stderr, flush=True)
        counts["files left"] += len(left)
        counts["tables that differ"] += tables(study.folder) != reference
    return counts | {"minutes": round((time.monotonic() - began) / 60, 1)}


def runs(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wrong(counts, n_cells):
    """What must not be: each kill costs the trainings that were running, at most two, and nothing else."""
    bad = [name for name in ("finished ones begun again", "processes left", "files left", "tables that differ") if counts[name]]
    again = counts["trainings begun"] - n_cells * counts["studies"]
    return bad + (["trainings begun"] if again > 2 * counts["kills"] else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], default=SCENARIOS)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    bad = []
    with tempfile.TemporaryDirectory() as name:
        reference, notes, seconds = undisturbed(Path(name) / "undisturbed", asked.cells)
        print(f"undisturbed: {seconds:.0f} s", flush=True)
        found = {}
        for scenario in asked.scenarios or SCENARIOS:
            rng = random.Random(f"{asked.seed} {scenario}")
            place = Path(name) / scenario
            found[scenario] = disturbed(scenario, place, asked.cells, asked.kills, rng, reference, notes)
            print(scenario, json.dumps(found[scenario]), flush=True)
            bad += [f"{scenario}: {each}" for each in wrong(found[scenario], asked.cells)]
        if asked.out:
            asked.out.write_text(json.dumps(found, indent=1) + "\n")
    if bad:
        raise SystemExit("; ".join(bad))


if __name__ == "__main__":
    main()
