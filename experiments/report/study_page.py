"""A study as one page: its answer, pictures and tables in the look of a comparison's report, one file that makes no request."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.files import write_text
from experiments.report.style import CONTROL_COLOUR, CONTROL_COLOUR_DARK, RULE_COLOURS

__all__ = ["PAGES", "is_study", "write_study_report"]

PAGES = ("README.md", "doubt.md")
"""What a study writes for reading, in the order of the page."""
_TABLE = "brain.parquet"


def is_study(folder: Path) -> bool:
    """Whether a folder holds a study, as `bioplausible sweep` leaves one that compares.

    Parameters
    ----------
    folder
        Any.
    """
    return (folder / _TABLE).is_file() and (folder / PAGES[0]).is_file()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path} cannot be read ({why}): write it anew by the study's command with --tables-only") from error


def _with_pictures(page: str, folder: Path) -> str:
    """Pictures that lie in the folder, within the page; a picture of SVG in an image executes nothing."""

    def embedded(match: re.Match[str]) -> str:
        path = folder / html.unescape(match[1])
        if path.suffix != ".svg" or path.parent != folder or not path.is_file():
            return ""
        kept = base64.b64encode(path.read_bytes()).decode()
        scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{match[2]}">'
        return f'<figure>{scroll}<img class="drawn" src="data:image/svg+xml;base64,{kept}" alt="{match[2]}"></div></figure>'

    return re.sub(r'<p><img src="([^"]*)" alt="([^"]*)"\s*/?></p>', embedded, page)


def _with_sections(page: str) -> tuple[str, list[tuple[str, str]]]:
    """Headings that can be linked to, and tables in regions called by the heading above them."""
    sections: list[tuple[str, str]] = []
    n_tables: dict[str, int] = {}
    pieces = []
    for piece in re.split(r"(<h[123]>.*?</h[123]>|<table>)", page):
        if found := re.fullmatch(r"<h([123])>(.*?)</h\1>", piece):
            # The page has one title: what the texts begin with stands under it.
            level, title = min(int(found[1]) + 1, 3), found[2]
            anchor = f"section-{len(sections)}"
            sections.append((anchor, title))
            piece = f'<h{level} id="{anchor}">{title}</h{level}>'
        elif piece == "<table>":
            above = re.sub(r"<[^>]+>", "", sections[-1][1]) if sections else "table"
            n_tables[above] = n_tables.get(above, 0) + 1
            name = above if n_tables[above] == 1 else f"{above}, {n_tables[above]}"
            piece = f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table class="wide">'
        pieces.append(piece.replace("</table>", "</table></div>"))
    return "".join(pieces), sections


def study_html(folder: Path) -> str:
    """The page of a study.

    Parameters
    ----------
    folder
        That `bioplausible sweep` wrote; nothing in it is executed, and no markup of its own is taken over.
    """
    # Markup within the texts stays text.
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    texts = [_text(folder / name) for name in PAGES if (folder / name).is_file()]
    title = next((line.removeprefix("# ") for line in texts[0].splitlines() if line.startswith("# ")), folder.name)
    texts[0] = texts[0].replace(f"# {title}", "", 1)
    body, sections = _with_sections(_with_pictures("\n".join(reader.render(text) for text in texts), folder))
    # Links between the texts lead within the page, or to files that a reader of the page alone has not.
    body = re.sub(r'<a href="(?!https?://|#)[^"]*">(.*?)</a>', r"\1", body)
    style, script = (Path(__file__).with_name(f"report.{each}").read_text(encoding="utf-8") for each in ("css", "js"))
    colours = [(f"--rule-{index}", light, dark) for index, (light, dark) in enumerate(RULE_COLOURS)]
    colours.append(("--rule-control", CONTROL_COLOUR, CONTROL_COLOUR_DARK))
    light, dark = (" ".join(f"{each[0]}: {each[which]};" for each in colours) for which in (1, 2))
    links = "\n".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in sections)
    return str(
        Markup(
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            '<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>\n:root {{ {light} }}\n'
            "@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{style}</style>\n</head>\n<body>\n"
            '<header class="top">\n<p class="eyebrow">bioplausible study</p>\n<h1>{title}</h1>\n</header>\n<main>\n'
            '<div class="about">\n<nav aria-labelledby="contents">\n<h2 id="contents">On this page</h2>\n'
            "<ol>\n{links}\n</ol>\n</nav>\n"
            "</div>\n{body}\n</main>\n<footer><p>Written by bioplausible. This file holds all it shows.</p></footer>\n"
            "<script>\n{script}</script>\n</body>\n</html>\n"
        ).format(
            title=title,
            light=Markup(light),
            dark=Markup(dark),
            style=Markup(style),
            body=Markup(body),
            links=Markup(links),
            script=Markup(script),
        )
    )


def write_study_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a study.

    Parameters
    ----------
    folder
        That `bioplausible sweep` wrote.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    InputError
        Texts that cannot be read, or a place that cannot be written.
    """
    path = folder / "report.html"
    write_text(path, study_html(folder))
    return path
