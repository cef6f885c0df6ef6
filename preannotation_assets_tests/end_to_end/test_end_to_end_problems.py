"""What is wrong is told before anything starts."""

from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance

from end_to_end.user_place import BLANK, DATASET, REPORT, Place, asked, make_place
from preannotation_assets.simulator import RunningSimulator, SimulatedModel, SimulatorSettings


def datasets_known(place: Place) -> Sequence[str]:
    if not Path(place.environment["DAGSTER_HOME"]).is_dir():
        return []
    with DagsterInstance.from_config(place.environment["DAGSTER_HOME"]) as instance:
        return instance.get_dynamic_partitions("datasets")


WRONG = {
    "unknown dataset": (["run", "vessels_ocr_8"], {}, "no pages of vessels_ocr_8"),
    "prefix of a dataset": (["run", "vessels_ocr_"], {}, "no pages of vessels_ocr_:"),
    "impossible name": (["run", "../x"], {}, "cannot be a dataset name"),
    "missing database": (["run", DATASET], {"PREANNOTATION_DATABASE": "none.duckdb"}, "no DuckDB file"),
    "unwritable root": (["run", DATASET], {"PREANNOTATION_ROOT": "warehouse.duckdb/x"}, "storage root"),
    "label scheme": (["run", DATASET], {"PREANNOTATION_LABELS": "warehouse.duckdb"}, "label scheme"),
    "no model": (["run", DATASET], {"PREANNOTATION_MODEL": "none:1b"}, "ollama pull none:1b"),
    "no server": (["run", DATASET], {"OLLAMA_HOST": "127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached"),
    "too long chunks": (["run", DATASET], {"PREANNOTATION_CHUNK_TOKENS": "60000"}, "PREANNOTATION_NUM_CTX"),
    "overlap": (["run", DATASET], {"PREANNOTATION_OVERLAP_TOKENS": "9000"}, "PREANNOTATION_OVERLAP_TOKENS"),
    "malformed setting": (["run", DATASET], {"PREANNOTATION_NUM_CTX": "many"}, "PREANNOTATION_NUM_CTX"),
    "no documents": (["run", DATASET, "--doc-ids", "none.txt"], {}, "none.txt cannot be read"),
    "Dagster's folder": (["run", DATASET], {"DAGSTER_HOME": "/dev/null/x"}, "DAGSTER_HOME"),
    "nothing to verify": (["verify", DATASET], {}, "is not materialized"),
    "nothing to preview": (["preview", DATASET], {}, "is not materialized"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line_before_anything_starts(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]], name: str
) -> None:
    arguments, environment, named = WRONG[name]
    place = make_place(tmp_path / "user", {"plain": REPORT}, simulator.url)
    before = asked(simulator)
    status, out, err = preannotate(place, *arguments, **environment)
    assert status == 1
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("preannotate: error: ")
    assert named in err
    assert asked(simulator) == before
    assert not (place.lake / "argilla" / "in").exists()
    assert datasets_known(place) == []


def test_a_model_whose_name_argilla_refuses_is_told_before_a_page_is_asked_about(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    model = f"hf.co/{'some-organisation-' * 4}x/{'a-long-model-' * 5}GGUF:Q4_K_M"
    with RunningSimulator(SimulatorSettings(models=(SimulatedModel(model),))) as simulator:
        place = make_place(tmp_path / "user", {"plain": REPORT}, simulator.url)
        for command in ("run", "try"):
            status, out, err = preannotate(place, command, DATASET, PREANNOTATION_MODEL=model)
            assert (status, out) == (1, "")
            assert err.count("\n") == 1
            assert "Argilla takes no suggestions of a model named 'hf.co/some-organisation-" in err
            assert "ollama cp" in err
        assert asked(simulator) == 0


def test_several_problems_are_told_at_once(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", {"plain": REPORT}, simulator.url)
    status, _, err = preannotate(place, "run", "vessels_ocr_8", PREANNOTATION_MODEL="none:1b")
    assert status == 1
    assert [line.startswith("preannotate: error: ") for line in err.splitlines()] == [True, True]


def test_documents_that_are_not_there_publish_nothing(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", {"plain": REPORT}, simulator.url)
    (place.folder / "wanted.txt").write_text(f"{DATASET}0/not of this batch\n", "utf-8")
    status, out, err = preannotate(place, "run", DATASET, "--doc-ids", "wanted.txt")
    assert (status, out) == (1, "")
    assert "doc_ids are not in" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (place.lake / "argilla" / "in").exists()


def test_pages_of_which_none_can_be_used_are_counted_by_reason_and_nothing_is_asked(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", {"plain": REPORT, "other": REPORT}, simulator.url)
    assert preannotate(place, "run", DATASET)[0] == 0
    published, before = place.parquet.read_bytes(), asked(simulator)
    with duckdb.connect(str(place.database)) as connection:
        connection.execute("UPDATE p SET text_sha256 = 'of another text'")
        connection.execute("UPDATE p SET text = NULL WHERE doc_id LIKE '%other'")
    status, out, err = preannotate(place, "run", DATASET)
    assert (status, out) == (1, "")
    said = err.splitlines()[-1]
    assert f"no page of {DATASET} can be used: 2 hash_mismatch, 1 text_missing: mend the view" in said
    assert "Traceback" not in err
    assert asked(simulator) == before
    assert place.parquet.read_bytes() == published
    assert preannotate(place, "verify", DATASET)[0] == 0


def test_a_batch_without_any_text_is_published_as_pages_without_spans(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", BLANK, simulator.url)
    before = asked(simulator)
    status, out, err = preannotate(place, "run", DATASET)
    assert (status, "Traceback" in err) == (0, False)
    assert f"0 with spans, {len(BLANK)} without ({len(BLANK)} blank), 1 failed" in out
    assert asked(simulator) == before
    assert pq.read_table(place.parquet).num_rows == 0
    assert preannotate(place, "verify", DATASET)[0] == 0
    assert preannotate(place, "run", DATASET)[0] == 0
