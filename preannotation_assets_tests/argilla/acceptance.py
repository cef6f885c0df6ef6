"""Loads published suggestions into Argilla's own server, with the recipe of docs/argilla-loader.md.

Runs in the environment of the dependency group `argilla`, which has no `preannotation_assets`:

    .venv-argilla/bin/python acceptance.py FOLDER

FOLDER holds recipe.py, scheme.json, loads.json and cases.json; result.json is written beside them. The
server is the real application over its database (SQLite in FOLDER). Only the search engine and the job
queue, which are other servers, are stubs.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock, patch

import argilla as rg
import pyarrow.parquet as pq
from argilla_application import FOLDER, KEY, WORKSPACE, load_recipe, make_database
from argilla_server._app import create_server_app
from argilla_server.api.routes import api_v1
from argilla_server.api.schemas.v1.records_bulk import RecordsBulkUpsert
from argilla_server.database import AsyncSessionLocal, async_engine
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Dataset, Record, Suggestion
from argilla_server.search_engine import SearchEngine, get_search_engine
from argilla_server.validators.records import RecordUpsertValidator
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import selectinload

URL = "http://argilla.test"


async def without_search_engine() -> AsyncIterator[SearchEngine]:
    yield AsyncMock(spec=SearchEngine)


def connect() -> rg.Argilla:
    """The real client; its requests go to the application in this process."""
    api_v1.dependency_overrides[get_search_engine] = without_search_engine
    transport = TestClient(create_server_app())._transport
    client = rg.Argilla(api_url=URL, api_key=KEY, mounts={URL: transport})
    rg.Workspace(WORKSPACE, client=client).create()
    return client


async def read_stored(dataset: str) -> dict[str, Any]:
    """What the server's database holds, by record id; texts as hashes, and cut by the spans."""
    query = (
        select(Record.external_id, Record.fields, Suggestion)
        .join(Dataset, Record.dataset_id == Dataset.id)
        .join(Suggestion, Suggestion.record_id == Record.id, isouter=True)
        .where(Dataset.name == dataset)
    )
    async with AsyncSessionLocal() as session:
        found = (await session.execute(query)).all()
    await async_engine.dispose()
    return {
        name: {
            "text_sha256": hashlib.sha256(fields["text"].encode()).hexdigest(),
            "suggestion": None if suggestion is None else describe(suggestion, fields["text"]),
        }
        for name, fields, suggestion in found
    }


def describe(suggestion: Suggestion, text: str) -> dict[str, Any]:
    spans = [[span["start"], span["end"], span["label"]] for span in suggestion.value]
    return {
        "spans": [[*span, text[span[0] : span[1]]] for span in spans],
        "scores": suggestion.score,
        "agent": suggestion.agent,
        "type": suggestion.type,
    }


class Reader:
    """Reads the published files; first as in the moment in which the manifest is still the old one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_first = True

    def __call__(self, name: str) -> bytes:
        content = (self.folder / name).read_bytes()
        if not self.is_first:
            return content
        self.is_first = False
        return json.dumps(json.loads(content) | {"content_hash": "0" * 64}).encode()


def load_all(client: rg.Argilla, recipe: ModuleType, settings: rg.Settings) -> list[dict[str, Any]]:
    """Loads in the order of loads.json; a name that comes again is loaded into the same dataset."""
    datasets: dict[str, rg.Dataset] = {}
    results = []
    for step in json.loads((FOLDER / "loads.json").read_text("utf-8")):
        name, folder = step["dataset"], FOLDER / step["folder"]
        if name not in datasets:
            datasets[name] = rg.Dataset(name, WORKSPACE, settings, client).create()
        pages = pq.read_table(folder / "pages.parquet").to_pylist()
        refused = recipe.load_into(datasets[name], pages, Reader(folder))
        results.append({"refused": refused, "stored": asyncio.run(read_stored(name))})
    return results


async def judge(dataset: rg.Dataset, recipe: ModuleType) -> list[bool]:
    """For every case whether the server takes a new record with these spans."""
    query = select(Dataset).where(Dataset.id == dataset.id)
    parts = (Dataset.fields, Dataset.questions, Dataset.metadata_properties, Dataset.vectors_settings)
    async with AsyncSessionLocal() as session:
        stored = (await session.execute(query.options(*map(selectinload, parts)))).scalar_one()
        cases = json.loads((FOLDER / "cases.json").read_text("utf-8"))
        verdicts = [await is_taken(dataset, stored, recipe, case) for case in cases]
    await async_engine.dispose()
    return verdicts


async def is_taken(dataset: rg.Dataset, stored: Dataset, recipe: ModuleType, case: dict[str, Any]) -> bool:
    """What the client would send goes through the schema and the validators of the bulk request."""
    page = {"doc_id": "d", "page_num": 1, "text": case["text"], "text_sha256": "h"}
    record = recipe.make_record(page, case["rows"], case["agent"])
    record.dataset = dataset
    try:
        # As the client's: neither NaN nor infinity can be sent.
        body = json.dumps({"items": [record.api_model().model_dump()]}, allow_nan=False)
        (item,) = RecordsBulkUpsert.model_validate_json(body).items
        await RecordUpsertValidator.validate(item, stored, None)
    except (ValueError, UnprocessableEntityError):
        return False
    return True


def main() -> None:
    recipe = load_recipe()
    scheme = json.loads((FOLDER / "scheme.json").read_text("utf-8"))
    make_database()
    with patch("rq.queue.Queue.enqueue_call"):
        client = connect()
        settings = recipe.make_settings(scheme["question"])
        cases = rg.Dataset("cases", WORKSPACE, settings, client).create()
        result = {
            "loads": load_all(client, recipe, settings),
            "verdicts": asyncio.run(judge(cases, recipe)),
        }
    (FOLDER / "result.json").write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
