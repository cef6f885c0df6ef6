"""What another site, or a stranger's launch, makes Dagster do: nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page
from shared.http_servers import QuietHandler, serving

from interface.serving import Interface, Run

SECRET = {"env": "CF_ACCESS_CLIENT_SECRET"}
STRANGER = ["http://127.0.0.1:9"]
# Every way by which a launch said, or could say, where pages go, what runs, or which file is read.
REFUSED: Mapping[str, Mapping[str, object]] = {
    "endpoints": {"resources": {"model_server": {"config": {"endpoints": STRANGER}}}},
    "keep_alive": {"resources": {"model_server": {"config": {"keep_alive": "-1m"}}}},
    "revision": {"resources": {"model_server": {"config": {"revision": "other"}}}},
    "a secret as the model": {"resources": {"model_server": {"config": {"model": SECRET}}}},
    "a variable as a number": {"resources": {"model_server": {"config": {"num_ctx": SECRET}}}},
    "spark_config": {"resources": {"spark": {"config": {"spark_config": {"spark.pyspark.python": "evil"}}}}},
    "master": {"resources": {"spark": {"config": {"master": "spark://evil.example:7077"}}}},
    "driver_memory": {"resources": {"spark": {"config": {"driver_memory": "9g"}}}},
    "root": {"resources": {"storage": {"config": {"root": "s3://evil"}}}},
    "endpoint_url": {"resources": {"storage": {"config": {"endpoint_url": "http://evil.example"}}}},
    "region": {"resources": {"storage": {"config": {"region": "evil"}}}},
    "database": {"resources": {"warehouse": {"config": {"database": "md:evil"}}}},
    "connection_config": {"resources": {"warehouse": {"config": {"connection_config": {"a": "b"}}}}},
    "batch_condition": {"resources": {"warehouse": {"config": {"batch_condition": "true"}}}},
    "dataset_pattern": {"resources": {"warehouse": {"config": {"dataset_pattern": "(.*)"}}}},
    "labels": {"resources": {"label_scheme": {"config": {"path": "/etc/passwd"}}}},
    "pickles": {"resources": {"io_manager": {"config": {"base_dir": "/tmp"}}}},
    "doc_ids_file": {"ops": {"pages": {"config": {"doc_ids_file": "/etc/passwd"}}}},
    "a variable as a doc_id": {"ops": {"pages": {"config": {"doc_ids": [SECRET]}}}},
    "anything": {"ops": {"chunks": {"config": {"anything": 1}}}},
    "a file of the executor": {"execution": {"config": {"marker_to_close": "/tmp/evil"}}},
    "a logger": {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}},
}
# Of its own: what is published of some documents only, the sensor publishes again.
NARROWED = "vessels_ocr_50"
ALLOWED: Mapping[str, object] = {
    "resources": {
        "model_server": {"config": {"model": "llama3.3:70b", "num_predict": 2048, "max_in_flight": 2}},
        "chunking": {"config": {"overlap_tokens": 150}},
    },
    "ops": {
        "pages": {"config": {"doc_ids": [f"{NARROWED}/registry"]}},
        "raw_model_outputs": {"config": {"refresh": True}},
    },
}


@pytest.mark.parametrize("assets", [["pages", "chunks", "raw_model_outputs", "suggestions"], ["pages"]])
def test_a_launch_that_says_where_pages_go_is_refused(
    interface: Interface, materialized: Run, assets: list[str]
) -> None:
    before = interface.run_ids()
    taken = [
        name
        for name, config in REFUSED.items()
        if interface.launch_with(assets, "vessels_ocr_1", config)["__typename"]
        != "RunConfigValidationInvalid"
    ]
    # What is of assets that are left out is ignored where only some are launched.
    assert [name for name in taken if len(assets) > 1 or "model_server" not in str(REFUSED[name])] == []
    assert interface.run_ids() == before


def test_a_launch_that_says_how_to_ask_is_made_and_asks_where_the_environment_says(
    interface: Interface, materialized: Run
) -> None:
    interface.warehouse.add(NARROWED, 1)
    interface.add_partition(NARROWED)
    asked = interface.simulator.summary().requests
    assets = ["pages", "chunks", "raw_model_outputs", "suggestions"]
    launched = interface.launch_with(assets, NARROWED, ALLOWED)
    assert interface.wait_for_end(launched["run"]["runId"]).status == "SUCCESS"
    interface.warehouse.remove(NARROWED)
    assert interface.simulator.summary().requests > asked


ATTACK = """<!DOCTYPE html><title>working</title><img id="image"><iframe name="nowhere"></iframe>
<form id="form" method="post" target="nowhere"></form><script>
const target = TARGET, mutation = MUTATION, graphql = target + "/graphql";
const address = graphql + "?query=" + encodeURIComponent(mutation), body = JSON.stringify({query: mutation});
const [image, form] = ["image", "form"].map((id) => document.getElementById(id));
const [nowhere] = document.getElementsByName("nowhere");
const done = [];
const send = (name, promise) => promise.then(() => "sent", () => "failed").then(
    (what) => done.push(name + " " + what));
const post = (type, mode) => fetch(graphql, {method: "POST", mode, headers: {"Content-Type": type}, body});
const loads = (element, set) => new Promise((good, bad) => {
    element.onload = good; element.onerror = bad; set(); setTimeout(good, 3000); });
const opens = () => new Promise((good, bad) => {
    const socket = new WebSocket(graphql.replace("http", "ws"), "graphql-ws");
    socket.onopen = good; socket.onerror = bad; });
Promise.all([
    send("image", loads(image, () => { image.src = address; })),
    send("get", fetch(address, {mode: "no-cors"})),
    send("plain", post("text/plain", "no-cors")),
    send("disguised", post("text/plain;application/json", "no-cors")),
    send("json", post("application/json", "cors")),
    send("form", loads(nowhere, () => { form.action = address; form.submit(); })),
    send("websocket", opens()),
]).then(() => { document.body.append(done.join(", ")); document.title = "done"; });
</script>"""
MUTATION = """mutation { addDynamicPartition(
    repositorySelector: {repositoryLocationName: "preannotation_assets", repositoryName: "__repository__"},
    partitionsDefName: "datasets", partitionKey: "evil") { __typename } }"""


@contextmanager
def _site(page: str) -> Iterator[str]:
    """Another web server of this machine with one page; its port."""

    class _Site(QuietHandler):
        def answer(self) -> None:
            self.reply(200, "text/html", page.encode())

    with serving(_Site) as url:
        yield url.rpartition(":")[2]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_a_page_of_another_site_changes_nothing(interface: Interface, page: Page, host: str) -> None:
    attack = ATTACK.replace("TARGET", repr(interface.url)).replace(
        "MUTATION", repr(" ".join(MUTATION.split()))
    )
    with _site(attack) as port:
        page.goto(f"http://{host}:{port}/")
        page.wait_for_function("document.title == 'done'")
        outcome = page.locator("body").inner_text()
    assert "websocket failed" in outcome
    # So that it is known that they were sent.
    assert "get sent" in outcome
    assert "disguised sent" in outcome
    assert "evil" not in interface.partitions()


def test_a_name_that_points_here_shows_nothing(interface: Interface, page: Page) -> None:
    port = interface.url.rpartition(":")[2]
    reply = page.goto(f"http://evil.example:{port}/assets")
    assert reply is not None
    assert reply.status == 421
    assert "Dagster" not in page.content()


def test_the_home_folder_is_its_owners_alone(interface: Interface) -> None:
    assert Path(interface.home).stat().st_mode & 0o777 == 0o700
