"""Argilla's own server takes what is published, and we refuse all that it refuses.

The server lives in an environment of its own (`make set-up-argilla`), so one process of that environment
does all its work; the tests look at what it reports.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_pages import DATASET, HOSTILE_PAGES, HostilePage, publish_pages
from pyspark.sql import SparkSession
from shared.signal_handlers import kept_signal_handlers
from spoiled_pages import FINE, PLANTED, Case, random_cases, we_take

from preannotation_assets import cli
from preannotation_assets.contracts import PAGES, SUGGESTIONS, span_id
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.settings import Settings

REPOSITORY = Path(__file__).parents[2]
PYTHON = REPOSITORY / ".venv-argilla" / "bin" / "python"
DEMO = "vessels_ocr_demo"
TRIALS = 2000

Row = dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """What went into Argilla and what it made of it."""

    folder: Path
    hostile_lake: Path
    demo_lake: Path
    loads: dict[str, Any]
    names: Sequence[str]
    cases: Sequence[Case]
    verdicts: Sequence[bool]


@pytest.fixture(scope="module")
def scheme() -> LabelScheme:
    return load_label_scheme(Settings.from_environment({}).labels.path)


@pytest.fixture(scope="session")
def argilla_python() -> Path:
    """Of the scope of ``spark``, so that none is started where the tests are skipped."""
    if not PYTHON.exists():
        said = "there is no .venv-argilla with Argilla's server: make set-up-argilla"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return PYTHON


@pytest.fixture(scope="module")
def demo_lake(argilla_python: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, run by the command line in this process with the Spark session of all tests."""
    place = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREANNOTATION_", "OLLAMA_"))]:
            patch.delenv(name)
        patch.setenv("PREANNOTATION_DATABASE", str(place / "pages.duckdb"))
        patch.setenv("PREANNOTATION_ROOT", str(place / "lake"))
        patch.setenv("DAGSTER_HOME", str(place / "home"))
        patch.chdir(place)
        with kept_signal_handlers():
            status = cli.main(["demo"])
        assert status == 0
    return place / "lake"


@pytest.fixture(scope="module")
def accepted(
    argilla_python: Path, demo_lake: Path, scheme: LabelScheme, tmp_path_factory: pytest.TempPathFactory
) -> Accepted:
    folder = tmp_path_factory.mktemp("argilla")
    recipe = (REPOSITORY / "docs" / "argilla-loader.md").read_text("utf-8")
    (folder / "recipe.py").write_text("".join(re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)), "utf-8")
    (folder / "scheme.json").write_text(exported_labels(), "utf-8")
    shutil.copytree(publish_pages(folder / "lake", HOSTILE_PAGES, scheme), folder / "hostile")
    _copy_demo(demo_lake, folder / "demo")
    write_two_loads(folder)
    steps = [
        ("hostile", "hostile"),
        ("demo", "demo"),
        ("again", "first"),
        ("again", "second"),
        ("bad", "bad"),
    ]
    loads = [{"dataset": dataset, "folder": part} for dataset, part in steps]
    (folder / "loads.json").write_text(json.dumps(loads), "utf-8")
    cases = [*PLANTED.values(), *FINE.values(), *random_cases(bases_of(folder / "hostile"), TRIALS)]
    (folder / "cases.json").write_text(json.dumps([case.as_json() for case in cases]), "utf-8")
    result = ask_argilla(argilla_python, folder)
    return Accepted(
        folder,
        folder / "lake",
        demo_lake,
        {part: load for (_, part), load in zip(steps, result["loads"], strict=True)},
        [*PLANTED, *FINE],
        cases,
        result["verdicts"],
    )


def exported_labels() -> str:
    """What `preannotate labels export` prints of the scheme."""
    printed = io.StringIO()
    with kept_signal_handlers(), contextlib.redirect_stdout(printed):
        status = cli.main(["labels", "export", Settings.from_environment({}).labels.path])
    assert status == 0
    return printed.getvalue()


def ask_argilla(python: Path, folder: Path) -> dict[str, Any]:
    program = Path(__file__).with_name("acceptance.py")
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ
    }
    done = subprocess.run(
        [str(python), "-W", "ignore", str(program), str(folder)],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
    return result


def _copy_demo(lake: Path, folder: Path) -> None:
    shutil.copytree(lake / "argilla" / "in" / DEMO / "suggestions", folder)
    stage = lake / "argilla" / "work" / DEMO / "pages"
    version = json.loads((stage / "manifest.json").read_text("utf-8"))["version"]
    parts = sorted((stage / version).glob("*.parquet"))
    pq.write_table(pa.concat_tables([pq.read_table(part) for part in parts]), folder / "pages.parquet")


def bases_of(folder: Path) -> list[Case]:
    """The hostile pages of few spans, as cases to be spoiled."""
    texts = {(page.key["doc_id"], page.page_num): page.text for page in HOSTILE_PAGES}
    spans: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in pq.read_table(folder / "suggestions.parquet").to_pylist():
        span = {name: row[name] for name in ("start", "end", "label", "confidence")}
        spans[row["doc_id"], row["page_num"]].append(span)
    return [Case(texts[key], found) for key, found in spans.items() if len(found) < 10]


def row_of(name: str, text: str, quote: str, hashed: str | None = None) -> Row:
    start = text.index(quote)
    end = start + len(quote)
    return {
        "doc_id": name, "page_num": 1, "span_id": span_id(name, 1, start, end, "port"), "label": "port",
        "start": start, "end": end, "text": quote, "text_sha256": text_sha256(hashed or text),
        "confidence": 0.5, "model": "m", "model_version": "v", "generated_at": 0,
    }  # fmt: skip


def write_published(
    folder: Path, texts: dict[str, str], rows: Sequence[Row], without: Sequence[str] = (),
    failed: Sequence[str] = (),
) -> None:  # fmt: skip
    """A published folder by hand, with what a loader reads of its manifest."""
    folder.mkdir()
    pages = [
        {"doc_id": name, "page_num": 1, "text": text, "text_sha256": text_sha256(text)}
        for name, text in texts.items()
    ]
    pq.write_table(pa.Table.from_pylist(pages, schema=PAGES), folder / "pages.parquet")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SUGGESTIONS), folder / "suggestions.parquet")
    content = (folder / "suggestions.parquet").read_bytes()
    manifest = {
        "content_hash": hashlib.sha256(content).hexdigest(), "model": "m", "model_version": "v",
        "pages_without_spans": [
            {"doc_id": name, "page_num": 1, "text_sha256": text_sha256(texts[name])} for name in without
        ],
        "failed_pages": [{"doc_id": name, "page_num": 1, "reason": "timed_out"} for name in failed],
        "published_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    (folder / "_manifest.json").write_text(json.dumps(manifest), "utf-8")


def write_two_loads(folder: Path) -> None:
    """A dataset that is loaded twice, and one with a page that Argilla refuses."""
    names = ("moved", "vanished", "failed", "outside", "changed", "grown", "ahead")
    first = dict.fromkeys(names, "From Hull to Kiel")
    write_published(folder / "first", first, [row_of(name, text, "Hull") for name, text in first.items()])
    second = first | {"changed": "To Kiel, Hull, Bremen", "grown": "From Hull to Kiel, and then on to Bremen"}
    rows = [
        row_of("moved", second["moved"], "Kiel"),
        row_of("changed", first["changed"], "Kiel"),
        row_of("grown", second["grown"], "Bremen"),
        row_of("ahead", "Kiel is a newer text", "Kiel"),
        row_of("new", "In Hull", "Hull"),
    ]
    write_published(folder / "second", second | {"new": "In Hull"}, rows, ["vanished"], ["failed"])
    texts = {f"page {number}": "From Hull to Kiel" for number in range(7)}
    rows = [row_of(name, text, "Hull") for name, text in texts.items()]
    rows.append(row_of("page 5", texts["page 5"], "Hull to"))
    write_published(folder / "bad", texts, rows)


def spans_in(load: dict[str, Any], name: str) -> list[str] | None:
    """The texts Argilla shows marked on a page; None where it has no suggestion."""
    suggestion = load["stored"][f"{name}:1"]["suggestion"]
    return None if suggestion is None else [span[3] for span in suggestion["spans"]]


@pytest.mark.parametrize("part", ["hostile", "demo"])
def test_argilla_takes_every_published_record_and_holds_what_was_published(
    accepted: Accepted, part: str
) -> None:
    load = accepted.loads[part]
    assert load["refused"] == []
    pages = pq.read_table(accepted.folder / part / "pages.parquet").to_pylist()
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in pq.read_table(accepted.folder / part / "suggestions.parquet").to_pylist():
        rows[f"{row['doc_id']}:{row['page_num']}"].append(row)
    manifest = json.loads((accepted.folder / part / "_manifest.json").read_text("utf-8"))
    failed = {f"{page['doc_id']}:{page['page_num']}" for page in manifest["failed_pages"]}
    assert len(rows) >= 30
    assert load["stored"].keys() == {f"{page['doc_id']}:{page['page_num']}" for page in pages}
    for page in pages:
        name = f"{page['doc_id']}:{page['page_num']}"
        stored = load["stored"][name]
        assert stored["text_sha256"] == page["text_sha256"]
        if name in failed:
            assert stored["suggestion"] is None
            continue
        scores = [row["confidence"] for row in rows[name]]
        assert stored["suggestion"] == {
            "spans": [[row["start"], row["end"], row["label"], row["text"]] for row in rows[name]],
            "scores": None if None in scores or not scores else scores,
            "agent": f"{manifest['model']}/{manifest['model_version']}",
            "type": "model",
        }


def test_the_hostile_pages_have_what_makes_them_hostile(accepted: Accepted) -> None:
    stored = accepted.loads["hostile"]["stored"]

    def suggested(name: str) -> list[list[Any]]:
        found: list[list[Any]] = stored[f"{DATASET}/{name}:1"]["suggestion"]["spans"]
        return found

    assert suggested("crlf")[0][3] == "HANSA\r\nIV"
    assert suggested("nul")[0][3] == "HANSA\0IV"
    assert suggested("entities")[0][3] == "R&amp;D"
    assert suggested("combining")[0][3] == "Ma\u0308rz"
    assert suggested("astral")[0][3] == "𝕳𝖆𝖓𝖘𝖆 𠜎𠜱"
    assert [suggested("ends")[0][0], suggested("ends")[1][1]] == [0, len("HANSA left Hull")]
    assert stored[f"{DATASET}/ends:1"]["suggestion"]["scores"] is None
    assert suggested("long")[-1][1] > 50_000
    assert len(suggested("many")) == 300
    assert suggested("white") == suggested("empty") == []


def test_a_second_load_replaces_clears_and_keeps(accepted: Accepted) -> None:
    first, second = accepted.loads["first"], accepted.loads["second"]
    assert first["refused"] == second["refused"] == []
    assert len(first["stored"]) == 7
    assert all(spans_in(first, name[:-2]) == ["Hull"] for name in first["stored"])
    assert spans_in(second, "moved") == ["Kiel"]
    assert spans_in(second, "vanished") == []
    assert spans_in(second, "failed") == spans_in(second, "outside") == ["Hull"]
    # Made for a text that is no longer the page's: dropped, and gone with the old text.
    assert spans_in(second, "changed") == []
    # Its span lies behind the end of the text that Argilla held.
    assert spans_in(second, "grown") == ["Bremen"]
    # Made for a text that this loader does not have yet: what is there was made for the one it has.
    assert spans_in(second, "ahead") == ["Hull"]
    assert spans_in(second, "new") == ["Hull"]


def test_one_bad_record_is_named_and_the_others_are_loaded(accepted: Accepted) -> None:
    load = accepted.loads["bad"]
    assert load["refused"] == ["page 5:1"]
    assert len(load["stored"]) == 6


def test_what_argilla_refuses_we_refuse(accepted: Accepted, scheme: LabelScheme) -> None:
    ours = [we_take(case, scheme) for case in accepted.cases]
    pairs = list(zip(ours, accepted.verdicts, strict=True))
    by_name = dict(zip(accepted.names, pairs, strict=False))
    assert {name: by_name[name] for name in PLANTED} == dict.fromkeys(PLANTED, (False, False))
    assert {name: by_name[name] for name in FINE} == dict.fromkeys(FINE, (True, True))
    judged = list(zip(accepted.cases, pairs, strict=True))[len(by_name) :]
    assert len(judged) == TRIALS
    assert min(accepted.verdicts.count(True), accepted.verdicts.count(False)) > TRIALS // 4
    assert [case for case, (we, they) in judged if we and not they] == []
    assert [case for case, (we, they) in judged if they and not we and not _is_ours_alone(case)] == []


def _is_ours_alone(case: Case) -> bool:
    """Where we are stricter: white space in an agent, and scores that are not sent as one is unknown."""
    return bool(re.search(r"\s", case.agent)) or None in [span["confidence"] for span in case.spans]


@pytest.mark.parametrize("part", ["hostile", "demo"])
def test_the_command_verifies_the_same_batches(
    accepted: Accepted, part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, dataset = {"hostile": (accepted.hostile_lake, DATASET), "demo": (accepted.demo_lake, DEMO)}[part]
    monkeypatch.setenv("PREANNOTATION_ROOT", str(root))
    monkeypatch.delenv("PREANNOTATION_LABELS", raising=False)
    with kept_signal_handlers():
        assert cli.main(["verify", dataset]) == 0
    *shifted, summary = capsys.readouterr().out.splitlines()
    assert summary.endswith("rows, all right")
    if part == "hostile":
        expected = [page for page in HOSTILE_PAGES if _is_shifted(page)]
        assert shifted[0].startswith(f"{len(expected)} page(s) ")


def _is_shifted(page: HostilePage) -> bool:
    return page.name in SHIFTED


# Marks stand behind an emoji, CR LF, a NUL, an entity or a tag. In `ends` and the like there is none; in
# some odd documents only the name, or the text behind the spans, is odd.
SHIFTED = {"emoji", "astral", "crlf", "nul", "entities", "tags", "nobody"}
