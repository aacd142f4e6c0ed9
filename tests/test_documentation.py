"""The site's pages say all that is public, and what they link to is there; `make docs` builds them, and runs their examples."""

import dataclasses
import inspect
import re
import sys
from pathlib import Path

import pytest
import yaml

import learning_rules

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"
sys.path.insert(0, str(SITE / "extensions"))

import api_pages  # noqa: E402
import column_pages  # noqa: E402
import command_pages  # noqa: E402
import rule_pages  # noqa: E402
import settings_pages  # noqa: E402
from public_names import PACKAGES, PublicName, public_names  # noqa: E402

PAGES = sorted(
    path
    for path in SITE.rglob("*.md")
    if not {"_build", "results"} & set(path.relative_to(SITE).parts) and path.parent.name not in ("rules",)
)
HAND_WRITTEN = [path for path in PAGES if path.name not in ("command_line.md", "recording_yaml.md", "tables.md")]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented_and_in_the_reference(package):
    page = api_pages.pages()[f"reference/api/{package}.rst"]
    for found in public_names(package):
        assert summary_of(found).strip(), f"{found.path} has no summary"
        assert re.search(rf"(?<![\w]){re.escape(found.name)}(?![\w])|{re.escape(canonical(found))}", page), found.path


def summary_of(found: PublicName) -> str:
    if found.kind == "data":
        return api_pages.data_docstring(found.package, found.name)
    text = (inspect.getdoc(found.value) or "").partition("\n")[0]
    # A dataclass or tuple without a docstring is given its signature for one.
    return "" if text.startswith(f"{found.name}(") else text


def canonical(found: PublicName) -> str:
    return api_pages.canonical()[api_pages._identity(found)]


def test_a_name_without_a_docstring_is_found(tmp_path, monkeypatch):
    (tmp_path / "undocumented.py").write_text("__all__ = ['A', 'b', 'C']\nA = 1\nC = 2\n'''Two.'''\ndef b(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [bool(summary_of(each)) for each in public_names("undocumented")] == [False, False, True]


def test_every_option_of_the_command_is_on_its_page():
    from experiments.cli import command

    (page,) = command_pages.pages().values()
    for name, subcommand in command.commands.items():
        assert f"bioplausible {name}" in page
        for option in (each for each in getattr(subcommand, "params", ()) if each.param_type_name == "option"):
            assert option.opts[0] in page, (name, option.opts)


def test_every_key_of_recording_yaml_has_its_meaning():
    from neurodata.fmri import FmriOptions
    from neurodata.meg import MegOptions
    from neurodata.settings import KEYS

    (page,) = settings_pages.pages().values()
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    for key in (*KEYS, *FmriOptions.__dataclass_fields__, *MegOptions.__dataclass_fields__):
        if key != "conditions":  # of FmriOptions; in a folder the stimuli are these
            assert rows[key].rstrip("| ").rpartition("|")[2].strip(), key
    assert "above 0" in rows["high_pass"] and "`lsa`, `lss`, `block`" in rows["model"]


def test_every_column_is_explained():
    said = yaml.safe_load(column_pages.MEANINGS.read_text())
    written = column_pages.written_columns(said["tables"])
    assert column_pages.missing_meanings(written, said["tables"], said["shared"]) == []
    more = {**written, "tables/scores.csv": (*written["tables/scores.csv"], "new")}
    assert column_pages.missing_meanings(more, said["tables"], said["shared"]) == ["tables/scores.csv: 'new' is not explained"]


@pytest.mark.parametrize("family", learning_rules.FAMILIES)
def test_every_family_has_a_page_with_its_circuit_options_and_sources(family):
    page = rule_pages._page(family, False)
    assert "## The circuit in words" in page and "## What is published, and what is tuned" in page
    for variant in learning_rules.FAMILIES[family].variants.values():
        assert f"| `{variant.spec.variant or family}` | {variant.spec.summary}" in page
    for option in (field.name for field in dataclasses.fields(learning_rules.FAMILIES[family].options)):
        assert option == "variant" or f"| `{option}` |" in page


def test_limits_of_the_scorecard_name_tests_that_are_there():
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "learning_rules").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", (SITE / "explanation" / "scorecard.md").read_text())
    assert len(named) == 8 and all(f"def {name}(" in tests for name in named)


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=lambda path: str(path.relative_to(SITE)))
def test_links_within_the_site_lead_somewhere(path):
    made = {f"explanation/rules/{family}.md" for family in learning_rules.FAMILIES} | {"explanation/rules/index.md"}
    made |= {
        *api_pages.pages(),
        "reference/command_line.md",
        "reference/recording_yaml.md",
        "reference/tables.md",
        "results/index.md",
    }
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        found = (path.parent / target).resolve().relative_to(SITE.resolve()).as_posix()
        copied = {"results": ROOT / "docs", "notebooks": ROOT}
        source = copied.get(found.partition("/")[0], SITE) / found
        assert found in made or source.is_file(), f"{path}: {target}"


def test_formulas_are_shown_without_a_script():
    pytest.importorskip("latex2mathml")
    pytest.importorskip("sphinx")
    from mathml import to_mathml
    from sphinx.errors import ExtensionError

    shown = to_mathml(r"\Delta\theta_k \propto \tfrac1\beta \langle h_{<k}, \varepsilon_k \rangle", "inline")
    assert shown.startswith("<math") and "mfrac" in shown and "\\" not in shown
    with pytest.raises(ExtensionError, match="nosuchcommand"):
        to_mathml(r"\nosuchcommand x", "block")
