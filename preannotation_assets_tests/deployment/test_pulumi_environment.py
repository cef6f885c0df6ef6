"""deploy/pulumi-esc.yaml: it has every secret, and none in clear."""

import re
from typing import Any

import yaml

from deployment.compose_file import DEPLOY, services

VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "pulumi-esc.yaml").read_text("utf-8"))["values"]


def test_it_has_every_secret_that_a_deployment_asks_for() -> None:
    named = set(VALUES["environmentVariables"])
    asked = set()
    for service in services().values():
        for value in service.get("environment", {}).values():
            asked |= set(re.findall(r"\$\{(\w+):\?\}", str(value)))
    assert asked <= named
    secrets = {
        "motherduck_token",
        "PREANNOTATION_SERVER_API_KEY",
        "CF_ACCESS_CLIENT_ID",
        "CF_ACCESS_CLIENT_SECRET",
    }
    assert named == asked | secrets


def test_each_is_stored_as_a_secret() -> None:
    for reference in VALUES["environmentVariables"].values():
        path = re.fullmatch(r"\$\{(\w+)\.(\w+)\}", reference)
        assert path
        assert VALUES[path[1]][path[2]] == {"fn::secret": "CHANGE-ME"}
