"""What an earlier version stored, in the hands of today's code: nothing is asked or published anew."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from evolution.frozen_lake import (
    ANSWERS,
    FrozenLake,
    RunningSimulator,
    asked,
    request_key,
    rows_hash,
    stand_in_digest,
)

# As earlier releases wrote it.
OLD_CONFIGURATION = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def old_home(home: Path, dataset: str) -> str:
    """Makes Dagster's folder as an earlier release left it; the id of the run in it."""
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(OLD_CONFIGURATION)
    with DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("datasets", ["vessels_ocr_before", dataset])
        tags = {"dagster/partition": dataset}
        return create_run_for_test(instance, status=DagsterRunStatus.SUCCESS, tags=tags).run_id


def test_a_run_over_it_and_an_old_home_asks_nothing_and_publishes_the_same_rows(
    copied: FrozenLake, lake: FrozenLake, simulator: RunningSimulator, run: Callable[..., int]
) -> None:
    frozen = lake.frozen
    home = Path(copied.environment(simulator.url)["DAGSTER_HOME"])
    earlier = old_home(home, frozen.dataset)
    doc_ids = [row["doc_id"] for row in lake.warehouse_rows if row["doc_id"] != frozen.failed_doc_id]
    (copied.folder / "doc_ids.txt").write_text("\n".join(doc_ids), "utf-8")
    assert run(copied, "--doc-ids", "doc_ids.txt") == 0
    assert asked(simulator) == 0
    assert copied.published.equals(lake.published)
    manifest = copied.manifest("published")
    assert [page["reason"] for page in manifest["failed_pages"]] == ["hash_mismatch"]
    assert manifest["pages_without_spans"] == lake.manifest("published")["pages_without_spans"]
    assert copied.verify() == []
    with DagsterInstance.from_config(str(home)) as instance:
        runs = [(run.run_id == earlier, run.status) for run in instance.get_runs()]
        assert runs == [(False, DagsterRunStatus.SUCCESS), (True, DagsterRunStatus.SUCCESS)]
        assert set(instance.get_dynamic_partitions("datasets")) == {"vessels_ocr_before", frozen.dataset}
        # What it lacked: runs that died are started again, one run at a time asks.
        assert instance.run_retries_enabled
        assert instance.global_op_concurrency_default_limit == 1


def test_only_what_failed_is_asked_again(
    copied: FrozenLake, lake: FrozenLake, simulator: RunningSimulator, run: Callable[..., int]
) -> None:
    frozen = lake.frozen
    (chunk,) = (row["text_sha256"] for row in lake.warehouse_rows if row["doc_id"] == frozen.failed_doc_id)
    second = request_key(frozen.second_pass_fingerprint, chunk)
    assert run(copied) == 0
    new = copied.journal_rows().filter(pc.invert(pc.is_in(pc.field("run_id"), pa.array(lake.frozen.run_ids))))
    assert frozen.failed_request_key in new["request_key"].to_pylist()
    assert set(new["request_key"].to_pylist()) <= {frozen.failed_request_key, second}
    assert set(new["status"].to_pylist()) == {"answered"}
    assert asked(simulator) == new.num_rows
    is_new = pc.equal(copied.published["doc_id"], frozen.failed_doc_id)
    assert copied.published.filter(pc.invert(is_new)).equals(lake.published)
    assert copied.published.filter(is_new).num_rows > 0


def test_it_holds_every_kind_of_thing_that_is_stored(lake: FrozenLake) -> None:
    """A lake without one of them would prove less than it seems to."""
    rows = lake.journal_rows().to_pylist()
    assert {row["status"] for row in rows} == {"answered", "failed", "split"}
    assert {row["reason"] for row in rows} >= {"salvaged", "answer_too_long", "invalid_answer", None}
    assert any(row["pieces"] for row in rows)
    compacted = [key for key in lake.journal_files() if "/compacted/" in key]
    assert 0 < len(compacted) < len(lake.journal_files())
    version = lake.manifest("raw_model_outputs")["version"]
    outputs = lake.read(f"{lake.layout.stage('raw_model_outputs', version)}/part-00000.parquet")
    assert set(outputs["pass_number"].to_pylist()) == {1, 2}
    assert {key.split("/")[3] for key, _ in lake.tables() if key.startswith("argilla/work/")} == {
        "answers", "chunks", "pages", "raw_model_outputs", "requests", "suggestions",
    }  # fmt: skip


def test_it_is_as_it_was_frozen(lake: FrozenLake) -> None:
    frozen = lake.frozen
    assert lake.published.num_rows == frozen.published_rows
    assert rows_hash(lake.published) == frozen.rows_sha256


def test_every_table_of_it_is_read_with_today_s_columns(lake: FrozenLake) -> None:
    for key, schema in lake.tables():
        table = lake.read_as(key, schema)
        assert table.schema.equals(schema), key
        assert table.num_rows > 0, key


def test_every_manifest_of_it_is_read_with_all_it_says(lake: FrozenLake) -> None:
    for key, kind in lake.manifests():
        stored = json.loads(lake.store.read(key))
        assert stored.items() <= lake.read_manifest_as(key, kind).items(), key


def test_what_is_published_in_it_passes_verification(lake: FrozenLake) -> None:
    assert lake.verify() == []


def test_today_s_code_asks_the_same_questions(lake: FrozenLake) -> None:
    """Where it does not, every answer that users have paid for is asked for again."""
    frozen, template = lake.frozen, lake.template()
    assert stand_in_digest() == frozen.model_digest
    assert template.prompt.fingerprint == frozen.prompt_fingerprint
    assert template.fingerprint == frozen.request_fingerprint
    assert template.for_second_pass().fingerprint == frozen.second_pass_fingerprint
    index = lake.index()
    for chunk, key in frozen.request_keys.items():
        assert request_key(template.fingerprint, chunk) == key
        found = index.get(key)
        assert found is not None
        assert found.status == "answered"


def test_every_answer_of_its_journal_is_found(lake: FrozenLake) -> None:
    stored = lake.journal_rows().sort_by("request_key")
    read = lake.answers(stored["request_key"].to_pylist())
    assert read.schema.equals(ANSWERS)
    assert read.to_pylist() == stored.to_pylist()


@pytest.mark.parametrize("rows_a_file", [1, 2])
def test_its_journal_can_be_compacted_without_loss(copied: FrozenLake, rows_a_file: int) -> None:
    stored = copied.journal_rows().sort_by("request_key")
    keys = stored["request_key"].to_pylist()
    for key in copied.journal_files():
        copied.remove(key)
    for start in range(0, stored.num_rows, rows_a_file):
        copied.write(f"{copied.layout.answers}/run/{start:03}.parquet", stored.slice(start, rows_a_file))
    files = len(copied.journal_files())
    assert copied.compact() == files >= 20
    assert len(copied.journal_files()) == 1
    assert copied.answers(keys).to_pylist() == stored.to_pylist()
