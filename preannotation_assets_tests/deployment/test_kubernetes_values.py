"""deploy/kubernetes: values for Dagster's chart, held against dagster.yaml, and manifests for Spark."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import yaml

from deployment.compose_file import DEPLOY, ROOT
from preannotation_assets.settings import Settings
from preannotation_assets.settings.fields import settings_of

VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text("utf-8"))
DAGSTER = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))


def as_dagster_says(values: object) -> object:
    """What the chart makes of values: names in small letters with underscores."""
    if not isinstance(values, dict):
        return values
    return {
        re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): as_dagster_says(value)
        for name, value in values.items()
    }


def places(value: object, name: str) -> Iterator[Any]:
    """Every value that has this name, wherever it is."""
    if isinstance(value, dict):
        yield from (value[name] for _ in "1" if name in value)
        for each in value.values():
            yield from places(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from places(each, name)


def executor_of_spark() -> dict[str, Any]:
    """The template of the pods of Spark's executors."""
    manifests = yaml.safe_load_all((DEPLOY / "kubernetes" / "spark.yaml").read_text("utf-8"))
    spec: dict[str, Any] = yaml.safe_load(next(manifests)["data"]["executor.yaml"])["spec"]
    return spec


def test_the_instance_is_as_dagster_yaml_says() -> None:
    daemon = VALUES["dagsterDaemon"]
    concurrency = dict(VALUES["concurrency"])
    assert concurrency.pop("enabled")
    # The value of a tag is Dagster's own, which the chart passes on.
    limits = concurrency["runs"].pop("tagConcurrencyLimits")
    theirs = DAGSTER["concurrency"]
    assert limits == theirs["runs"].pop("tag_concurrency_limits")
    assert as_dagster_says(concurrency) == theirs
    assert as_dagster_says(daemon["runMonitoring"]) == DAGSTER["run_monitoring"]
    assert as_dagster_says(daemon["runRetries"]) == DAGSTER["run_retries"]
    assert as_dagster_says(VALUES["retention"]["sensor"]) == DAGSTER["retention"]["sensor"]
    assert VALUES["telemetry"] == DAGSTER["telemetry"]
    assert VALUES["additionalInstanceConfig"]["nux"] == DAGSTER["nux"]


def test_logs_and_storage_are_as_the_image_has_them() -> None:
    logs = yaml.safe_load((DEPLOY / "compute_logs_s3.yaml").read_text("utf-8"))["compute_logs"]["config"]
    ours = as_dagster_says(VALUES["computeLogManager"]["config"]["s3ComputeLogManager"])
    assert isinstance(ours, dict)
    assert {**ours, "bucket": logs["bucket"]} == logs
    storage = yaml.safe_load((DEPLOY / "storage_postgres.yaml").read_text("utf-8"))["storage"]
    assert VALUES["postgresql"]["postgresqlScheme"] == storage["postgres"]["postgres_db"]["scheme"]


def test_every_pod_of_ours_is_pinned_and_not_root() -> None:
    pods = [*places(VALUES, "podSecurityContext"), *places(VALUES, "podSpecConfig")]
    contexts = [pod.get("securityContext", pod) for pod in pods]
    assert len(contexts) == 4
    for context in contexts:
        assert context["runAsNonRoot"]
        assert context["runAsUser"] == 10001
    containers = [
        context
        for context in (*places(VALUES, "securityContext"), *places(executor_of_spark(), "securityContext"))
        if "runAsNonRoot" not in context
    ]
    assert len(containers) == 6
    for context in containers:
        assert context == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for image in places(VALUES, "image"):
        tag = image["tag"] if isinstance(image, dict) else image.rpartition(":")[2]
        assert re.fullmatch(r"\d+(\.\d+)+", tag)


def test_the_limit_of_the_pool_is_set_before_the_daemon_starts() -> None:
    (recovery,) = VALUES["dagsterDaemon"]["extraPrependedInitContainers"]
    *_, module = recovery["command"]
    assert find_spec(module)


def test_runs_have_secrets_by_name_and_the_memory_that_they_need() -> None:
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    runs = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    # Else runs would get the resources of the code server.
    assert deployment["includeConfigInLaunchedRuns"] == {"enabled": False}
    assert deployment["envSecrets"] == runs["envSecrets"]
    assert deployment["envConfigMaps"] == runs["envConfigMaps"]
    text = (DEPLOY / "kubernetes" / "values.yaml").read_text("utf-8")
    assert "Password:" not in text


def test_the_settings_of_runs_are_settings_and_stand_where_runs_look_for_them() -> None:
    text = (DEPLOY / "kubernetes" / "settings.yaml").read_text("utf-8")
    # What is only proposed counts too.
    proposed = yaml.safe_load(re.sub(r"^  # (\w+:)", r"  \1", text, flags=re.MULTILINE))
    for settings in (yaml.safe_load(text), proposed):
        # A ConfigMap takes texts only.
        assert all(isinstance(value, str) for value in settings["data"].values())
        read = Settings.from_environment(settings["data"])
        assert read.storage.root == "s3://BUCKET/PREFIX"
        known = {variable for setting in settings_of(Settings) for variable in setting.variables}
        assert set(settings["data"]) - known == {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert read.cascade.model
    (named,) = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["envConfigMaps"]
    assert named["name"] == settings["metadata"]["name"]


def test_the_web_server_of_the_image_is_behind_the_gate_and_its_probes_pass_it() -> None:
    web = VALUES["dagsterWebserver"]
    for probe in (web["readinessProbe"], web["livenessProbe"]):
        assert probe["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
        assert probe["httpGet"]["port"] == web["service"]["port"]
    assert [variable["name"] for variable in web["env"]] == ["WEB_NAME"]
    assert "preannotation_assets.web_server" in (DEPLOY / "dagster-webserver").read_text("utf-8")
    recipe = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert "deploy/dagster-webserver /usr/local/bin/dagster-webserver" in recipe
    guarded = [
        policy["spec"]["podSelector"]["matchLabels"]["component"] for policy in VALUES["extraManifests"]
    ]
    assert guarded == ["dagster-webserver", "user-deployments"]
    # A rule without `from` lets everybody in.
    assert all(rule["from"] for policy in VALUES["extraManifests"] for rule in policy["spec"]["ingress"])


def test_executors_of_spark_are_started_by_the_image_with_the_same_secrets() -> None:
    pod = executor_of_spark()
    runs = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    (container,) = pod["containers"]
    assert container["envFrom"] == [
        {"configMapRef": runs["envConfigMaps"][0]},
        {"secretRef": runs["envSecrets"][0]},
    ]
    assert pod["securityContext"]["runAsNonRoot"]
    assert re.search(r"^    executor\)$", (DEPLOY / "entrypoint.sh").read_text("utf-8"), re.MULTILINE)
