"""Argilla's own server takes what is published, and we refuse all that it refuses.

The server lives in an environment of its own (`make set-up-argilla`), so one process of that environment
does all its work; the tests look at what it reports.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from argilla_folders import run_program, write_hostile, write_loads
from hostile_pages import DATASET, HOSTILE_PAGES, SHIFTED, HostilePage
from published_demo import DEMO
from shared.loader_recipe import text_to_show
from shared.signal_handlers import kept_signal_handlers
from spoiled_pages import FINE, PLANTED, Case, random_cases, we_take

from preannotation_assets import cli
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import text_sha256

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
def accepted(
    argilla_python: Path,
    demo_lake: Path,
    scheme: LabelScheme,
    exported_labels: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Accepted:
    folder = tmp_path_factory.mktemp("argilla")
    write_hostile(folder, HOSTILE_PAGES, scheme, exported_labels)
    steps = [
        ("hostile", "hostile"),
        ("demo", "demo"),
        ("again", "first"),
        ("again", "second"),
        ("bad", "bad"),
    ]
    write_loads(folder, demo_lake, [{"dataset": dataset, "folder": part} for dataset, part in steps])
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


def ask_argilla(python: Path, folder: Path) -> dict[str, Any]:
    run_program(python, "acceptance.py", folder)
    result: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
    return result


def bases_of(folder: Path) -> list[Case]:
    """The hostile pages of few spans, as cases to be spoiled."""
    texts = {(page.key["doc_id"], page.page_num): page.text for page in HOSTILE_PAGES}
    spans: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in pq.read_table(folder / "suggestions.parquet").to_pylist():
        span = {name: row[name] for name in ("start", "end", "label", "confidence")}
        spans[row["doc_id"], row["page_num"]].append(span)
    return [Case(texts[key], found) for key, found in spans.items() if len(found) < 10]


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
        shown = text_to_show(page["text"])
        assert stored["text_sha256"] == text_sha256(shown)
        if name in failed:
            assert stored["suggestion"] is None
            continue
        scores = [row["confidence"] for row in rows[name]]
        assert stored["suggestion"] == {
            "spans": [
                [row["start"], row["end"], row["label"], shown[row["start"] : row["end"]]]
                for row in rows[name]
            ],
            "scores": None if None in scores or not scores else scores,
            "agent": f"{manifest['model']}/{manifest['model_version']}",
            "type": "model",
        }


def test_the_hostile_pages_have_what_makes_them_hostile(accepted: Accepted) -> None:
    stored = accepted.loads["hostile"]["stored"]

    def suggested(name: str) -> list[list[Any]]:
        found: list[list[Any]] = stored[f"{DATASET}/{name}:1"]["suggestion"]["spans"]
        return found

    assert suggested("crlf")[0][3] == "HANSA \nIV"
    assert suggested("nul")[0][3] == "HANSA\ufffdIV"
    assert suggested("entities")[0][3] == "R\uff06amp;D"
    assert suggested("combining")[0][3] == "Ma\u0308rz"
    assert suggested("astral")[0][3] == "Hansa \ufffd\ufffd"
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
