"""Has experts answer in Argilla's own server, and exports it with the recipe of docs/argilla-export.md.

Runs in the environment of the dependency group `argilla`, as acceptance.py does, whose application it uses:

    .venv-argilla/bin/python export_acceptance.py FOLDER

FOLDER holds recipe.py (the loader's), export_recipe.py, scheme.json, hostile/ and answers.json. Pages are
loaded as the recipe shows them, and once more as they are; shown.parquet, raw.parquet and
unplaced.json are written.
"""

import asyncio
import json
from types import ModuleType
from unittest.mock import patch

import argilla as rg
import pyarrow.parquet as pq
from acceptance import Reader, connect
from argilla_application import FOLDER, WORKSPACE, load_recipe, make_database
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


def answer(client: rg.Argilla, dataset: rg.Dataset) -> None:
    """Each answer as Argilla's page sends it, in the name of its expert."""
    ids = {record.id: record._server_id for record in dataset.records}
    for given in json.loads((FOLDER / "answers.json").read_text("utf-8"))[dataset.name]:
        reply = client.http_client.post(
            f"/api/v1/records/{ids[given['record']]}/responses",
            json={"values": given["values"], "status": given["status"]},
            headers={"X-Argilla-Api-Key": f"{given['expert']}.apikey"},
        )
        assert reply.status_code == 201, reply.text


def round_trip(client: rg.Argilla, dataset: rg.Dataset, loader: ModuleType) -> list[tuple[str, str]]:
    """Loads, answers and exports; what cannot be placed."""
    recipe = load_recipe("export_recipe")
    # So that several requests are needed.
    recipe.RECORDS_A_PAGE = 7
    pages = pq.read_table(FOLDER / "hostile" / "pages.parquet").to_pylist()
    loader.load_into(dataset, pages, Reader(FOLDER / "hostile"))
    answer(client, dataset)
    target = FOLDER / f"{dataset.name}.parquet"
    unplaced: list[tuple[str, str]] = recipe.export_responses(
        client, dataset, lambda _, content: target.write_bytes(content)
    )
    return unplaced


def main() -> None:
    make_database()
    asyncio.run(make_experts())
    loader = load_recipe()
    scheme = json.loads((FOLDER / "scheme.json").read_text("utf-8"))
    unplaced = {}
    with patch("rq.queue.Queue.enqueue_call"):
        client = connect()
        for name in ("shown", "raw"):
            if name == "raw":
                loader.text_to_show = lambda text: text
            settings = loader.make_settings(scheme["question"])
            dataset = rg.Dataset(name, WORKSPACE, settings, client).create()
            unplaced[name] = round_trip(client, dataset, loader)
    (FOLDER / "unplaced.json").write_text(json.dumps(unplaced), "utf-8")


if __name__ == "__main__":
    main()
