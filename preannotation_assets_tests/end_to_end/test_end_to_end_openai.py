"""The whole pipeline over vLLM and llama-server: published, resumed, and what is said of the confidence."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from end_to_end.user_place import DATASET, PAGES, Place, leaks, make_place, warehouse_texts
from preannotation_assets.simulator import HabitRates
from preannotation_assets.simulator.openai import Flavour, OpenAiSettings, RunningOpenAiSimulator, ServedModel

KEY = "hunter2-of-the-server"
# How long pages are cut is the same for every server.
SHORT_PAGES = {name: text for name, text in PAGES.items() if len(text) < 10_000}
MODEL = ServedModel(("llama-3.3-70b",))


def make_openai_place(folder: Path, url: str, key: str = "") -> Place:
    place = make_place(folder, SHORT_PAGES, "")
    place.environment.update(
        PREANNOTATION_SERVER="openai",
        PREANNOTATION_SERVER_URLS=f"{url}/v1",
        PREANNOTATION_SERVER_API_KEY=key,
        PREANNOTATION_MODEL=MODEL.names[0],
    )
    return place


def assert_every_page_is_marked_at_its_place(place: Place) -> None:
    rows = pq.read_table(place.parquet).to_pylist()
    texts = warehouse_texts(place.database)
    assert {row["doc_id"] for row in rows} == {f"{DATASET}/{name}" for name in SHORT_PAGES}
    for row in rows:
        assert row["text"] == texts[row["doc_id"]][row["start"] : row["end"]]


def test_vllm_behind_a_key_is_asked_once_about_each_page(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    settings = OpenAiSettings(model=MODEL, api_key=KEY, habits=HabitRates.NONE)
    with RunningOpenAiSimulator(settings) as server:
        place = make_openai_place(tmp_path / "user", server.url, KEY)
        # A process of its own: the tasks take the key from the environment that they were started with.
        done = place.run("run", DATASET)
        assert done.returncode == 0, done.stderr
        assert_every_page_is_marked_at_its_place(place)
        manifest = place.manifest()
        by_source = manifest["confidences_by_source"]
        assert isinstance(by_source, dict)
        assert set(by_source) <= {"masked_log_probabilities", "unknown"}
        assert by_source["masked_log_probabilities"] > 0
        assert "PREANNOTATION_SERVER_REVISION" in str(manifest["model_notes"])
        assert "PREANNOTATION_SERVER_REVISION" in done.stderr

        server.reset()
        assert preannotate(place, "run", DATASET)[0] == 0
        # Nothing but the small requests of the preflights, before the run and in it: they hold no page.
        assert [record for record in server.requests() if (record.prompt_tokens or 0) > 100] == []
    kept = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in kept if KEY.encode() in file.read_bytes()]
    assert KEY not in done.stdout + done.stderr
    assert not leaks(Path(place.environment["DAGSTER_HOME"]))


def test_llama_server_s_log_probabilities_are_the_model_s_own(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    settings = OpenAiSettings(flavour=Flavour.LLAMA, model=MODEL, habits=HabitRates.NONE)
    with RunningOpenAiSimulator(settings) as server:
        place = make_openai_place(tmp_path / "user", server.url)
        status, _, err = preannotate(place, "run", DATASET)
        assert status == 0, err
    assert_every_page_is_marked_at_its_place(place)
    assert set(place.manifest()["confidences_by_source"]) == {"log_probabilities"}  # type: ignore[call-overload]
