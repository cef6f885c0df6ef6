"""The processes of deploy/compose.yaml, run for real: killed, started again, and done all the same."""

import io
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow.parquet as pq
import pytest
from interface.serving import Interface, Run
from interface.warehouse_file import WarehouseFile
from shared.page_requests import page_requests
from shared.polling import wait_for

from deployment.compose_file import DEPLOY
from deployment.processes import PYTHON, Deployment, free_port, postgres, postgres_program
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings

DATASET = "vessels_ocr_40"
PAGES = 40
FLUSH_SECONDS = 0.5
STAND_IN_PORT = 11434
SERVICES = ("spark-master", "spark-worker", "code", "daemon", "webserver")


@pytest.fixture
def deployment(tmp_path: Path, moto_address: tuple[str, int]) -> Iterator[tuple[Deployment, Interface]]:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-deploy: make set-up-deploy")
    if not postgres_program("initdb"):
        pytest.skip("there is no PostgreSQL: install Debian's package postgresql")
    variables = {
        "DAGSTER_PG_PASSWORD": "word of Dagster's",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "SPARK_AUTHENTICATE_SECRET": "word-of-Spark-s",
        "PREANNOTATION_DATABASE": str(tmp_path / "pages.duckdb"),
        "PREANNOTATION_FLUSH_SECONDS": str(FLUSH_SECONDS),
        "PREANNOTATION_MAX_IN_FLIGHT": "2",
        "SPARK_WORKER_MEMORY": "1g",
    }
    warehouse = WarehouseFile(tmp_path / "pages.duckdb")
    warehouse.add(DATASET, PAGES)
    with ExitStack() as stack:
        simulator = stack.enter_context(RunningSimulator(SimulatorSettings(slots=4, speed=12)))
        variables["PREANNOTATION_OLLAMA_ENDPOINTS"] = simulator.url
        database = stack.enter_context(postgres(variables["DAGSTER_PG_PASSWORD"]))
        spark, web = free_port(), free_port()
        ports = {
            "postgres:5432": f"127.0.0.1:{database}",
            "s3:7070": f"{moto_address[0]}:{moto_address[1]}",
            "spark-master:7077": f"127.0.0.1:{spark}",
            "spark-master": "127.0.0.1",
            "7077": str(spark),
            "127.0.0.1:3000": f"127.0.0.1:{web}",
            "127.0.0.1:8080": f"127.0.0.1:{free_port()}",
            "127.0.0.1:8081": f"127.0.0.1:{free_port()}",
            "0.0.0.0": "127.0.0.1",
            "/tmp/spark-work": str(tmp_path / "spark-work"),
        }
        store(moto_address).create_bucket(Bucket="lake")
        deployed = Deployment(tmp_path, variables, ports)
        stack.callback(deployed.close)
        yield (
            deployed,
            Interface(
                f"http://127.0.0.1:{web}",
                tmp_path / "home",
                tmp_path,
                tmp_path / "code.log",
                warehouse,
                simulator,
            ),
        )


def store(address: tuple[str, int]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://{address[0]}:{address[1]}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )


def answers(address: tuple[str, int]) -> int:
    """How many files of answers are in the lake."""
    prefix = f"argilla/work/{DATASET}/answers/"
    return int(store(address).list_objects_v2(Bucket="lake", Prefix=prefix)["KeyCount"])


def run_with(interface: Interface, run_id: str) -> Run:
    return next(run for run in interface.runs() if run.run_id == run_id)


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Deployment]:
    """What the profile `stand-in` has besides, as deploy/stand-in.env has it."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-deploy: make set-up-deploy")
    with socket.socket() as listener:
        if not listener.connect_ex(("127.0.0.1", STAND_IN_PORT)):
            pytest.skip(f"something listens on port {STAND_IN_PORT}, an Ollama for example")
    variables = dict(
        line.split("=", 1)
        for line in (DEPLOY / "stand-in.env").read_text("utf-8").splitlines()
        if not line.startswith("#")
    )
    nowhere = dict.fromkeys(
        ("postgres:5432", "127.0.0.1:3000", "127.0.0.1:8080", "127.0.0.1:8081"), "127.0.0.1:9"
    )
    deployed = Deployment(
        tmp_path, variables, {**nowhere, "0.0.0.0": "127.0.0.1", "/var/lib/dagster": str(tmp_path)}
    )
    with closing(deployed):
        yield deployed


@pytest.mark.deploy
def test_a_trial_has_pages_and_a_model(trial: Deployment, tmp_path: Path) -> None:
    trial.start("stand-in")
    trial.start("sample")
    assert trial.wait_for_end("sample") == 0, trial.said("sample")
    with duckdb.connect(str(tmp_path / "sample.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM vw_argilla_pages").fetchone()
    assert found == (55,)
    trial.wait_until_healthy("stand-in")


@pytest.mark.deploy
@pytest.mark.timeout(900)
def test_a_killed_daemon_and_a_killed_code_location_cost_no_answer_and_no_row(
    deployment: tuple[Deployment, Interface], moto_address: tuple[str, int]
) -> None:
    deployed, interface = deployment
    deployed.start("spark-master")
    deployed.wait_until_healthy("spark-master")
    for name in SERVICES[1:]:
        deployed.start(name)
        deployed.wait_until_healthy(name)
    interface.add_partition(DATASET)
    run_id = interface.launch(["pages", "chunks", "raw_model_outputs", "suggestions"], DATASET, {})

    wait_for(lambda: answers(moto_address) >= 3, "answers", 300)
    deployed.kill("daemon")
    seen = answers(moto_address)
    deployed.start("daemon")
    wait_for(lambda: answers(moto_address) >= seen + 3, "more answers", 120)
    assert run_with(interface, run_id).status == "STARTED"

    deployed.kill("code")
    before = list(page_requests(interface.simulator))
    deployed.start("code")
    assert interface.wait_for_end(run_id).status == "FAILURE"
    retry = wait_for(
        lambda: next((run for run in interface.runs() if run.parent == run_id), None), "retry", 120
    )
    assert interface.wait_for_end(retry.run_id).status == "SUCCESS"
    for name in SERVICES:
        deployed.wait_until_healthy(name)

    published = (
        store(moto_address)
        .get_object(Bucket="lake", Key=f"argilla/in/{DATASET}/suggestions/suggestions.parquet")["Body"]
        .read()
    )
    assert set(pq.read_table(io.BytesIO(published))["page_num"].to_pylist()) == set(range(1, PAGES + 1))
    prompts = Counter(record.prompt_sha256 for record in page_requests(interface.simulator))
    assert len(prompts) == PAGES
    killed_at = max(record.arrived_at for record in before)
    kept = {
        record.prompt_sha256
        for record in before
        if record.ended_at is not None and record.ended_at < killed_at - 2 * FLUSH_SECONDS
    }
    assert kept
    assert not {prompt for prompt, times in prompts.items() if times > 1} & kept
    # Secrets that Dagster and Spark have are in no log either.
    said = "".join(deployed.said(name) for name in SERVICES)
    assert "word-of-Spark-s" not in said
    assert "word of Dagster's" not in said
