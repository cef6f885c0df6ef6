"""deploy/compose.yaml, without a container engine: what must not be otherwise in it."""

import re
from typing import Any

import pytest
import yaml

from deployment.compose_file import DEPLOY, ROOT, command, environment, services
from preannotation_assets.settings import Settings
from preannotation_assets.settings.fields import settings_of

SERVICES = services()
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("preannotation:")}
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
FOR_TRYING = dict(
    line.split("=", 1)
    for line in (DEPLOY / "stand-in.env").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
SECRETS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "motherduck_token",
           "PREANNOTATION_SERVER_API_KEY", "CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET",
           "OTEL_EXPORTER_OTLP_HEADERS", "SPARK_AUTHENTICATE_SECRET", "DAGSTER_PG_PASSWORD"}  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_not_root_healthy_and_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z]+(/[a-z]+)?:v?\d+(\.\d+)+", service["image"])
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only", False) is (name != "postgres")
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert service.get("network_mode", "none") == "none"
    if name not in ONCE:
        kind, *words = service["healthcheck"]["test"]
        assert kind == "CMD"
        assert words
    # On this machine only: the web server asks nobody who they are.
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_only_the_web_interface_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["webserver"]
    written: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    assert written["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "s3", "spark-master", "daemon", "stand-in"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_the_settings_of_the_trial_are_settings_and_none_is_out_of_reach() -> None:
    # It refuses what begins as ours do and is none.
    tried = environment(SERVICES["code"], FOR_TRYING)
    assert Settings.from_environment(tried).storage.root == "s3://lake"
    everything = {variable for setting in settings_of(Settings) for variable in setting.variables}
    for name in ("code", "spark-worker"):
        assert everything - set(SERVICES[name]["environment"]) == set()


def test_what_is_read_besides_the_settings_is_not_out_of_reach() -> None:
    # By whoever sends pages and metrics: model_servers/proxies.py and OpenTelemetry's SDK.
    others = {"HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "PREANNOTATION_PRIVATE_HOSTS",
              "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"}  # fmt: skip
    for name in ("code", "spark-worker"):
        assert others - set(SERVICES[name]["environment"]) == set()


def test_every_variable_is_explained_to_whoever_reads() -> None:
    told = (ROOT / "README.md").read_text("utf-8") + (DEPLOY / "README.md").read_text("utf-8")
    named = {variable for name in OURS for variable in SERVICES[name].get("environment", {})}
    unknown = [name for name in named if f"`{name}`" not in told and not re.match(r"AWS_|DAGSTER_PG_", name)]
    assert unknown == []


def test_secrets_are_asked_for_and_only_who_needs_one_has_it() -> None:
    written = (DEPLOY / "compose.yaml").read_text("utf-8")
    for name in OURS:
        held = SECRETS & set(SERVICES[name].get("environment", {}))
        wanted = {"daemon": {"DAGSTER_PG_PASSWORD"}, "webserver": {"DAGSTER_PG_PASSWORD"}, "code": SECRETS,
                  "spark-worker": SECRETS - {"DAGSTER_PG_PASSWORD"},
                  "spark-master": {"SPARK_AUTHENTICATE_SECRET"}}  # fmt: skip
        assert held == wanted.get(name, set()), name
    told = " ".join(str(service.get("command")) for service in SERVICES.values())
    for secret in SECRETS:
        # Everybody on the machine can read a command line.
        assert secret not in told
        # From the environment, and where it must be there an empty one is an error.
        assert re.search(rf"^  {secret}:( \$\{{{secret}:\?\}})?$", written, re.MULTILINE), secret
    # Their own names for ours.
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"] == "${DAGSTER_PG_PASSWORD:?}"
    assert SERVICES["s3"]["environment"]["ROOT_SECRET_KEY"] == "${AWS_SECRET_ACCESS_KEY:?}"
    for name in ("DAGSTER_PG_PASSWORD", "AWS_SECRET_ACCESS_KEY", "SPARK_AUTHENTICATE_SECRET"):
        with pytest.raises(KeyError, match=name):
            environment(SERVICES["code"], {**FOR_TRYING, name: ""})


@pytest.mark.parametrize("name", sorted(OURS - {"s3-folder"}))
def test_what_a_service_starts_the_entry_point_knows(name: str) -> None:
    what, *_ = command(SERVICES[name], FOR_TRYING)
    assert what == name
    branch = re.compile(rf"^    {name}\)$", re.MULTILINE)
    assert branch.search((DEPLOY / "entrypoint.sh").read_text("utf-8"))
    if name not in ONCE:
        assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "deploy/health.sh", name]
        assert branch.search((DEPLOY / "health.sh").read_text("utf-8"))


def test_what_a_service_waits_for_is_there() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            ended = how == {"condition": "service_completed_successfully"}
            assert ended or how == {"condition": "service_healthy"}, name
            assert (other in ONCE) is ended


def test_the_image_s_user_owns_what_the_services_write_to() -> None:
    recipe = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert {SERVICES[name]["user"] for name in OURS} == {"10001:10001"}
    assert "USER 10001:10001" in recipe
    for name in OURS:
        for volume in SERVICES[name].get("volumes", []):
            folder = volume.partition(":")[2]
            assert re.search(rf"install --directory --owner=preannotation .*{folder}", recipe)
