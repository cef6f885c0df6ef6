"""Serves Argilla's application with its web page, and loads published folders with the recipe.

Runs in the environment of the dependency group `argilla`, which has no `preannotation_assets`:

    .venv-argilla/bin/python argilla_server_process.py FOLDER

FOLDER holds recipe.py, scheme.json and loads.json: which folder to load into which dataset, and whether
its texts are loaded as they are, instead of as the recipe shows them. ARGILLA_ELASTICSEARCH is the address
of an OpenSearch. When all is loaded, serving.json in FOLDER says where; it serves until it is ended.

Only the job queue, which is another server, is a stub. OpenSearch's plugin for vectors is not there: an
index is made without the setting that it reads.
"""

import json
import socket
from pathlib import Path
from threading import Thread
from types import ModuleType
from unittest.mock import patch

import argilla as rg
import pyarrow.parquet as pq
import uvicorn
from argilla_application import FOLDER, KEY, PASSWORD, USER, WORKSPACE, load_recipe, make_database
from argilla_server._app import app
from argilla_server.search_engine.commons import BaseElasticAndOpenSearchEngine
from argilla_server.search_engine.opensearch import OpenSearchEngine


def listen() -> socket.socket:
    """A socket that takes connections already; they wait for the server."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.listen(64)
    return listening


def load_all(url: str) -> dict[str, str]:
    """Loads the folders in the order of loads.json; the ids of the datasets."""
    recipe = load_recipe()
    client = rg.Argilla(api_url=url, api_key=KEY)
    rg.Workspace(WORKSPACE, client=client).create()
    scheme = json.loads((FOLDER / "scheme.json").read_text("utf-8"))
    settings = recipe.make_settings(scheme["question"])
    datasets: dict[str, rg.Dataset] = {}
    for step in json.loads((FOLDER / "loads.json").read_text("utf-8")):
        name, folder = step["dataset"], FOLDER / step["folder"]
        if name not in datasets:
            datasets[name] = rg.Dataset(name, WORKSPACE, settings, client).create()
        shown = (lambda text: text) if step["as_it_is"] else recipe.text_to_show
        with patch.object(recipe, "text_to_show", shown):
            load(recipe, datasets[name], folder)
    return {name: str(dataset.id) for name, dataset in datasets.items()}


def load(recipe: ModuleType, dataset: rg.Dataset, folder: Path) -> None:
    pages = pq.read_table(folder / "pages.parquet").to_pylist()
    assert recipe.load_into(dataset, pages, lambda name: (folder / name).read_bytes()) == []


def main() -> None:
    make_database()
    listening = listen()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    without_vectors = BaseElasticAndOpenSearchEngine._configure_index_settings
    with (
        patch("rq.queue.Queue.enqueue_call"),
        patch("redis.Redis.ping"),
        patch.object(OpenSearchEngine, "_configure_index_settings", without_vectors),
    ):
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        serving.start()
        told = {"url": url, "user": USER, "password": PASSWORD, "key": KEY, "datasets": load_all(url)}
        (FOLDER / "serving.part").write_text(json.dumps(told), "utf-8")
        (FOLDER / "serving.part").rename(FOLDER / "serving.json")
        serving.join()


if __name__ == "__main__":
    main()
