"""deploy/pulumi-esc.yaml: it has every secret of each kind of deployment, and none in clear."""

import base64
import os
import re
import subprocess
from typing import Any

import yaml

from deployment.compose_file import DEPLOY, services

VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "pulumi-esc.yaml").read_text("utf-8"))["values"]
NAMES = set(VALUES["environmentVariables"])
SECRETS_SCRIPT = DEPLOY / "kubernetes" / "secrets.sh"


def of_kubernetes(environment: dict[str, str]) -> dict[str, dict[str, str]]:
    """The secrets that kubernetes/secrets.sh makes of an environment, in clear, by their names."""
    printed = subprocess.run(
        [SECRETS_SCRIPT],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    return {
        manifest["metadata"]["name"]: {
            key: base64.b64decode(value, validate=True).decode()
            for key, value in (manifest["data"] or {}).items()
        }
        for manifest in yaml.safe_load_all(printed)
    }


def test_it_has_every_secret_that_a_deployment_asks_for() -> None:
    asked = set()
    for service in services().values():
        for value in service.get("environment", {}).values():
            asked |= set(re.findall(r"\$\{(\w+):\?\}", str(value)))
    assert asked <= NAMES
    where_wanted = {
        "motherduck_token",
        "PREANNOTATION_SERVER_API_KEY",
        "CF_ACCESS_CLIENT_ID",
        "CF_ACCESS_CLIENT_SECRET",
        "OTEL_EXPORTER_OTLP_HEADERS",
    }
    of_the_web_server = {"LOGS_AWS_ACCESS_KEY_ID", "LOGS_AWS_SECRET_ACCESS_KEY"}
    assert asked | where_wanted | of_the_web_server == NAMES


def test_each_is_stored_as_a_secret() -> None:
    for reference in VALUES["environmentVariables"].values():
        path = re.fullmatch(r"\$\{(\w+)\.(\w+)\}", reference)
        assert path
        assert VALUES[path[1]][path[2]] == {"fn::secret": "CHANGE-ME"}


def test_kubernetes_has_each_of_them_under_the_name_that_its_reader_knows() -> None:
    # A password may have anything in it, and be longer than a line of base64.
    words = {name: f'word of "{name}" $HOME `id` ' + "é" * 60 for name in NAMES}
    made = of_kubernetes(words)
    values = (DEPLOY / "kubernetes" / "values.yaml").read_text("utf-8")
    assert set(made) == set(re.findall(r"\b(preannotation-(?:postgres|logs|secrets))\b", values))
    assert made["preannotation-postgres"] == {"postgresql-password": words["DAGSTER_PG_PASSWORD"]}
    assert made["preannotation-logs"] == {
        name: words[f"LOGS_{name}"] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    runs = made["preannotation-secrets"]
    assert runs == {name: words[name] for name in runs}
    # Spark on Kubernetes makes a secret for each run by itself.
    elsewhere = {"DAGSTER_PG_PASSWORD", "SPARK_AUTHENTICATE_SECRET"}
    assert set(runs) == {name for name in NAMES if not name.startswith("LOGS_")} - elsewhere


def test_what_is_not_used_is_left_out_and_the_secret_is_there_all_the_same() -> None:
    made = of_kubernetes({"DAGSTER_PG_PASSWORD": "word", "motherduck_token": "token"})
    assert made["preannotation-secrets"] == {"motherduck_token": "token"}
    assert made["preannotation-logs"] == {}
