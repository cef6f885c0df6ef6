"""What the documentation names is there: modules, files, folders, classes, pages and their headings."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from preannotation_assets.extraction.page_failures import PageFailure
from preannotation_assets.extraction.pages import TextFault
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.model_servers.outcomes import Reason

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "preannotation_assets"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("deploy/*.md"), *ROOT.glob("sql/**/*.md")]
)
CODE = ("preannotation_assets", "preannotation_assets_tests", "benchmarks")
MODULE = re.compile(rf"(?<![\w./])(?:{'|'.join(CODE)})(?:\.\w+)+")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
# In backticks, alone: what has another beginning is a place in the lake, or on somebody's machine.
FILE = re.compile(r"`([\w-]+(?:/[\w-]+)*\.(?:py|sh))`")
FOLDER = re.compile(
    rf"`((?:{'|'.join(CODE)}|defs|lake|asking|throttling|model_servers|extraction)(?:/[\w.-]+)*/?)`"
)
CLASS = re.compile(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:\([^`]*\))?`")


def missing(text: str, folder: Path) -> list[str]:
    """Everything a page in ``folder`` names and that is not there."""
    return [
        *(name for name in MODULE.findall(text) if not is_module(name)),
        *(f"{link}#{heading}" for link, heading in LINK.findall(text) if not is_page(folder, link, heading)),
        *(name for name in FILE.findall(text) if not is_file(name)),
        *(name for name in FOLDER.findall(text) if not any((top / name).exists() for top in (ROOT, PACKAGE))),
        *(name for name in CLASS.findall(text) if name not in class_names()),
    ]


def is_module(name: str) -> bool:
    """Whether there is such a module, or a file that is called so, such as a test's ``name.py``."""
    place = ROOT.joinpath(*name.removesuffix(".py").split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def is_page(folder: Path, link: str, heading: str) -> bool:
    if not link:
        return bool(heading)
    target = folder / link
    return target.exists() and (not heading or heading in anchors(target))


def is_file(name: str) -> bool:
    """Whether there is such a file; without a folder it may be anywhere in the package."""
    if "/" in name:
        return any((top / name).is_file() for top in (ROOT, PACKAGE))
    return any(True for _ in PACKAGE.rglob(name))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@cache
def class_names() -> frozenset[str]:
    return frozenset(_class_names())


def _class_names() -> Iterator[str]:
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page: Path) -> None:
    assert missing(page.read_text("utf-8"), page.parent) == []


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text("utf-8"))
    tests = "".join(file.read_text("utf-8") for file in (ROOT / CODE[1]).rglob("test_*.py"))
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link, _ in LINK.findall((ROOT / "README.md").read_text("utf-8"))}
    assert [page.name for page in PAGES if page.name != "README.md" and page not in linked] == []


def test_the_contract_s_page_tells_every_key_of_the_published_manifest() -> None:
    page = (ROOT / "sql" / "motherduck" / "PREANNOTATION_SCHEMA.md").read_text("utf-8")
    _, _, section = page.partition("`_manifest.json` beside it\n")
    rows = re.findall(r"^\| ([\w, ]+) \|", section.partition("\n## ")[0], re.MULTILINE)
    assert rows.pop(0) == "key"
    assert sorted(", ".join(rows).split(", ")) == sorted(SuggestionsManifest.model_fields)


def test_every_reason_of_a_failed_page_is_explained() -> None:
    contract = (ROOT / "sql" / "motherduck" / "PREANNOTATION_SCHEMA.md").read_text("utf-8")
    reasons = contract.partition("\n## Why a page failed\n")[2].partition("\n## ")[0]
    inference = (ROOT / "docs" / "inference.md").read_text("utf-8")
    assert [each for each in (*TextFault, *PageFailure) if f"`{each}`" not in reasons] == []
    assert [each for each in Reason if f"`{each}`" not in inference] == []


@pytest.mark.parametrize(
    "named",
    [
        "preannotation_assets.lake.gone",
        "[a page](gone.md)",
        "[a page](storage.md#a-heading-that-is-gone)",
        "`lake/gone.py`",
        "`gone.py`",
        "`deploy/gone.sh`",
        "`lake/gone/`",
        "`ObjectGone`",
    ],
)
def test_what_is_gone_is_found(named: str) -> None:
    assert missing(f"See {named}.", ROOT / "docs")


@pytest.mark.parametrize(
    "named",
    [
        "`python -m preannotation_assets.recovery`",
        "[a page](storage.md#how-a-stored-format-may-change), [another](../README.md), [far](https://a.example/b)",
        "`lake/local.py`, `definitions.py`, `deploy/entrypoint.sh`, `preannotation_assets/lake/`",
        "`ObjectStore`, `FaultRule(fault, probability)`",
        "`argilla/work/<dataset>/lease.json`, `s3://bucket/lake/`, `/usr/bin/gone.py`",
    ],
)
def test_what_is_there_or_elsewhere_is_not_missed(named: str) -> None:
    assert missing(f"See {named}.", ROOT / "docs") == []
