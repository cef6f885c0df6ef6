"""Whatever became of a lake's files, who reads them gets one line with what to do and no value of theirs."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from shared.published_dataset import LABELS, LAYOUT, RULES, Dataset, good_rows

from preannotation_assets import cli
from preannotation_assets.answer_store import compaction
from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan, read_answers
from preannotation_assets.contracts import ANSWERS, SUGGESTIONS
from preannotation_assets.errors import ObjectNotFoundError, PreannotationError, StorageError
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.lake import ObjectStore, write_table
from preannotation_assets.lake.layout import cure_of_damage, part_key
from preannotation_assets.publishing.publisher import recall_verification, verify_dataset
from preannotation_assets.publishing.report import write_report

MARKER = "QZXWB"
SCHEME = parse_label_scheme(
    "name: test\nversion: 1\nlabels:\n"
    + "".join(f"  - name: {label}\n    definition: A {label}.\n" for label in LABELS),
    "labels.yaml",
)
PAGES = part_key(LAYOUT.stage("pages", "v1"), 0)
FOLDER = LAYOUT.answers
ANSWERED = 3


def answer(key: str, **changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(ANSWERS.names) | {
        "request_key": key, "status": "answered", "answer": f"{MARKER} {key}", "estimated_prompt_tokens": 1,
        "attempts": 1, "endpoint": "http://gpu", "answered_at": 1, "run_id": "run",
    }  # fmt: skip
    return row | changes


@pytest.fixture
def whole(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(compaction, "_FEWEST_FILES", ANSWERED - 1)
    dataset.publish(good_rows())
    for number in range(ANSWERED):
        parts = [{"start": 0, "end": 5, "request_key": "1"}]
        rows = [answer(str(number)), answer(f"{number} split", status="split", pieces=parts)]
        table = pa.Table.from_pylist(rows, schema=ANSWERS)
        write_table(dataset.plain_store, f"{FOLDER}/run/{number:02d}.parquet", table)
    shutil.copytree(dataset.root, copy_of(dataset))
    return dataset


def copy_of(dataset: Dataset) -> Path:
    return dataset.root.with_name(f"{dataset.root.name} as it was")


def read_everything(store: ObjectStore) -> None:
    """As a run, the checks, ``verify`` and ``preview`` do."""
    dataset = LAYOUT.dataset
    for reading in (
        lambda: verify_dataset(store, dataset, RULES),
        lambda: recall_verification(store, dataset, RULES),
        lambda: write_report(store, dataset, SCHEME),
        lambda: read_all_answers(store),
        lambda: compaction.compact_answers(store, FOLDER),
    ):
        check_told(reading)


def check_told(reading: Callable[[], object]) -> None:
    try:
        reading()
    except PreannotationError as error:
        told = error
    else:
        return
    assert MARKER not in str(told)
    assert "\n" not in str(told)
    assert told.cure


def read_all_answers(store: ObjectStore) -> None:
    index = AnswerIndex.read(store, FOLDER)
    for number in range(ANSWERED):
        list(index.leaves(RequestSpan(0, 10, f"{number} split")))
    found = {str(number): kept for number in range(ANSWERED) if (kept := index.get(str(number)))}
    read_answers(store, found).to_pylist()


@st.composite
def mutations(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A change of a file: a byte, a stretch, its end, or its footer, where Parquet says what is where."""
    kind = draw(st.sampled_from(["flip", "flip", "cut", "insert", "remove", "footer"]))
    share, byte = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))
    size = draw(st.integers(1, 30))

    def mutate(content: bytes) -> bytes:
        start = max(0, len(content) - 1500) if kind == "footer" else 0
        place = start + int(share * (len(content) - start))
        if kind == "cut":
            return content[:place]
        if kind == "insert":
            return content[:place] + bytes([byte]) * size + content[place:]
        if kind == "remove":
            return content[:place] + content[place + size :]
        return content[:place] + bytes([content[place] ^ byte]) + content[place + 1 :]

    return mutate


FILES = [
    LAYOUT.published_manifest,
    LAYOUT.published_suggestions,
    LAYOUT.stage_manifest("pages"),
    PAGES,
    f"{FOLDER}/run/00.parquet",
]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.lists(mutations(), min_size=1, max_size=2))
def test_a_damaged_file_is_told_in_one_line(
    whole: Dataset, key: str, changes: list[Callable[[bytes], bytes]]
) -> None:
    shutil.rmtree(whole.root)
    shutil.copytree(copy_of(whole), whole.root)
    content = (whole.root / key).read_bytes()
    for change in changes:
        content = change(content) or b"\0"
    (whole.root / key).write_bytes(content)
    read_everything(whole.plain_store)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(MARKER),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just(MARKER), inner, max_size=1),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([LAYOUT.published_manifest, LAYOUT.stage_manifest("pages")]), st.data())
def test_a_manifest_with_other_values_is_told_in_one_line(
    whole: Dataset, key: str, data: st.DataObject
) -> None:
    shutil.rmtree(whole.root)
    shutil.copytree(copy_of(whole), whole.root)
    document = json.loads((whole.root / key).read_text("utf-8"))
    name = data.draw(st.sampled_from([*sorted(document), MARKER]))
    inner = document.get(name)
    if isinstance(inner, list) and inner and isinstance(inner[0], dict) and data.draw(st.booleans()):
        inner[0][data.draw(st.sampled_from(sorted(inner[0])))] = data.draw(json_values)
    else:
        document[name] = data.draw(json_values)
    # A version is part of a key, which is told: no text of a page is ever one.
    assume(document.get("version") != MARKER)
    (whole.root / key).write_text(json.dumps(document), "utf-8")
    read_everything(whole.plain_store)


def test_a_manifest_nested_too_deeply_is_told_with_its_cure(whole: Dataset) -> None:
    (whole.root / LAYOUT.published_manifest).write_text("[" * 200_000)
    with pytest.raises(StorageError, match=r"_manifest\.json is not JSON: remove it while no run is going"):
        verify_dataset(whole.plain_store, LAYOUT.dataset, RULES)


def test_keys_of_whoever_wrote_a_manifest_are_not_repeated(whole: Dataset) -> None:
    path = whole.root / LAYOUT.published_manifest
    document = json.loads(path.read_text("utf-8")) | {"spans_by_label": {MARKER: MARKER}}
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(StorageError) as raised:
        verify_dataset(whole.plain_store, LAYOUT.dataset, RULES)
    assert "is not a SuggestionsManifest, by its spans_by_label: remove it" in str(raised.value)
    assert MARKER not in str(raised.value)


WRONG_COLUMNS = {
    "other types": SUGGESTIONS.set(4, pa.field("start", pa.string(), nullable=False)),
    "a column less": SUGGESTIONS.remove(3),
    "another column": SUGGESTIONS.append(pa.field(f"\x1b[2J{MARKER}" * 50, pa.string())),
}


@pytest.mark.parametrize("columns", WRONG_COLUMNS)
def test_a_published_parquet_of_other_columns_is_told_by_preview(whole: Dataset, columns: str) -> None:
    schema = WRONG_COLUMNS[columns]
    rows = [{name: row.get(name) for name in schema.names} for row in good_rows()]
    if columns == "other types":
        rows = [row | {"start": str(row["start"])} for row in rows]
    path = whole.root / LAYOUT.published_suggestions
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    manifest = whole.root / LAYOUT.published_manifest
    etag = {"parquet_etag": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(json.loads(manifest.read_text("utf-8")) | etag), "utf-8")
    with pytest.raises(PreannotationError) as raised:
        write_report(whole.plain_store, LAYOUT.dataset, SCHEME)
    assert "breaks the contract" in str(raised.value)
    assert "materialize suggestions again" in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_part_of_the_pages_without_columns_is_told_by_verify(whole: Dataset) -> None:
    pq.write_table(pa.table({"doc_id": ["a"]}), whole.root / PAGES)
    with pytest.raises(StorageError) as raised:
        verify_dataset(whole.plain_store, LAYOUT.dataset, RULES)
    assert "lacks the column page_num" in str(raised.value)
    assert f"remove {LAYOUT.stage_manifest('pages')} while no run is going on" in str(raised.value)


def test_a_damaged_file_of_answers_is_told_with_what_becomes_of_them(whole: Dataset) -> None:
    path = whole.root / FOLDER / "run" / "00.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StorageError) as raised:
        read_all_answers(whole.plain_store)
    assert str(path) in str(raised.value)
    assert "move it out of answers/; the next run asks again what only it has answered" in str(raised.value)
    path.unlink()
    read_all_answers(whole.plain_store)


def test_answers_of_the_wrong_type_are_told_without_a_value(whole: Dataset) -> None:
    columns = {"request_key": "a", "status": "answered", "answered_at": MARKER, "pieces": MARKER}
    table = pa.table({name: [value] for name, value in columns.items()})
    write_table(whole.plain_store, f"{FOLDER}/run/00.parquet", table)
    with pytest.raises(StorageError) as raised:
        read_all_answers(whole.plain_store)
    assert "the column answered_at as string" in str(raised.value)
    assert "move it out of answers/" in str(raised.value)
    assert MARKER not in str(raised.value)


@pytest.mark.parametrize("key", [*FILES, part_key(LAYOUT.stage("chunks", "v"), 3), LAYOUT.lease])
def test_there_is_something_to_do_about_every_file(key: str) -> None:
    assert cure_of_damage(key)


def test_the_command_line_tells_it_in_one_line(
    whole: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = whole.root / LAYOUT.published_suggestions
    path.write_bytes(path.read_bytes()[:-100])
    monkeypatch.setenv("PREANNOTATION_ROOT", str(whole.root))
    for command in ("verify", "preview"):
        assert cli.main([command, LAYOUT.dataset]) == 1
        said = capsys.readouterr().err
        assert said.startswith("preannotate: error: ")
        assert said.count("\n") == 1
        assert "materialize suggestions again" in said


def test_a_part_of_a_stage_that_is_gone_is_told_with_what_to_do(whole: Dataset) -> None:
    (whole.root / PAGES).unlink()

    with pytest.raises(ObjectNotFoundError) as told:
        verify_dataset(whole.plain_store, LAYOUT.dataset, RULES)

    assert told.value.cure == cure_of_damage(PAGES)
    assert "pages/manifest.json" in told.value.cure
