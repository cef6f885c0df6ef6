"""Has experts answer in Argilla's own server, and exports it with the recipe of docs/argilla-export.md.

Runs in the environment of the dependency group `argilla`, as acceptance.py does, whose application it uses:

    .venv-argilla/bin/python export_acceptance.py FOLDER

FOLDER holds recipe.py (the loader's), export_recipe.py, scheme.json, hostile/ and answers.json;
responses.parquet and exported.json are written beside them.
"""

import asyncio
import importlib.util
import json
from types import ModuleType
from unittest.mock import patch

import acceptance
import argilla as rg
import pyarrow.parquet as pq
from acceptance import FOLDER, URL, WORKSPACE, connect, load_recipe, make_database
from argilla_server.database import AsyncSessionLocal, async_engine
from argilla_server.models import User

EXPERTS = ("ada", "bob")


async def make_experts() -> None:
    async with AsyncSessionLocal() as session:
        for name in EXPERTS:
            key = f"{name}.apikey"
            session.add(User(first_name=name, username=name, role="owner", password_hash="x", api_key=key))
        await session.commit()
    await async_engine.dispose()


def export_recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("export_recipe", FOLDER / "export_recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(client: rg.Argilla, dataset: rg.Dataset) -> None:
    """Each answer as Argilla's page sends it, in the name of its expert."""
    ids = {record.id: record._server_id for record in dataset.records}
    for given in json.loads((FOLDER / "answers.json").read_text("utf-8")):
        body = {"values": given["values"], "status": given["status"]}
        reply = client.http_client.post(
            f"/api/v1/records/{ids[given['record']]}/responses",
            json=body,
            headers={"X-Argilla-Api-Key": f"{given['expert']}.apikey"},
        )
        assert reply.status_code == 201, reply.text


def main() -> None:
    asyncio.run(make_database())
    asyncio.run(make_experts())
    loader, recipe = load_recipe(), export_recipe()
    # So that several requests are needed.
    recipe.RECORDS_A_PAGE = 7
    scheme = json.loads((FOLDER / "scheme.json").read_text("utf-8"))
    with patch("rq.queue.Queue.enqueue_call"):
        client = connect()
        dataset = rg.Dataset("hostile", WORKSPACE, loader.make_settings(scheme["question"]), client).create()
        pages = pq.read_table(FOLDER / "hostile" / "pages.parquet").to_pylist()
        loader.load_into(dataset, pages, acceptance.Reader(FOLDER / "hostile"))
        answer(client, dataset)

        def write(name: str, content: bytes) -> None:
            (FOLDER / name).write_bytes(content)

        unplaced = recipe.export_responses(client, dataset, write)
    (FOLDER / "exported.json").write_text(json.dumps({"unplaced": unplaced, "url": URL}), "utf-8")


if __name__ == "__main__":
    main()
