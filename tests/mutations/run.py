"""Break the rules one line at a time and see that the tests notice.

    python tests/mutations/run.py [FAMILY ...] [--out FILE]

Each entry of table.yaml is applied to a copy of the project, and the family's own tests are run there until the first failure.
Writes a table of who noticed; ends with status 1 if any change survived.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COPIED = ("architectures", "learning_rules", "neurodata", "rsa", "experiments", "tests", "pyproject.toml")


def entries(families=()):
    """The changes, of all families or of some."""
    table = yaml.safe_load((Path(__file__).parent / "table.yaml").read_text(encoding="utf-8"))
    return [entry for entry in table if not families or entry["rule"].partition("/")[0] in families]


def edits(entry):
    """What is replaced, by what."""
    return [(each["replace"], each["by"]) for each in (entry, entry.get("also")) if each]


def apply(entry, folder):
    """Make the change in a copy; each text must stand there exactly once."""
    path = folder / entry["file"]
    text = path.read_text(encoding="utf-8")
    for before, after in edits(entry):
        if text.count(before) != 1:
            raise SystemExit(f"{entry['rule']}: {before!r} stands {text.count(before)} times in {entry['file']}, expected once")
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def judge(entry):
    """The first test that fails on the change, or None."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        apply(entry, folder)
        family = entry["rule"].partition("/")[0]
        tests = entry.get("tests", f"tests/learning_rules/test_{family}.py").split(" ", 2)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--thorough", "--no-header", "--tb=no", *tests]
        output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
    failed = re.search(r"^(?:FAILED|ERROR) \S*?(?:::(\S+))?(?: |$)", output, flags=re.MULTILINE)
    if failed is None and " passed" not in output:
        raise SystemExit(f"{entry['rule']}: the tests did not run:\n{output[-2000:]}")
    return None if failed is None else failed.group(1) or "collection"


def main():
    """Try every change and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = ["| rule | mutation | noticed by |", "|---|---|---|"]
    survived = 0
    for entry in entries(arguments.families):
        noticed = judge(entry)
        survived += noticed is None
        lines.append(f"| `{entry['rule']}` | {entry['mutation']} | {'**nobody**' if noticed is None else f'`{noticed}`'} |")
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text(
            "# Mutations of the rules, and the tests that noticed\n\n" + "\n".join(lines) + "\n", encoding="utf-8"
        )
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
