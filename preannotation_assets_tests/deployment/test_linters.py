"""What programs of others say of deploy/ and of the shell scripts; `make set-up-linters` installs them."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from deployment.compose_file import DEPLOY, ROOT
from deployment.test_kubernetes_values import VALUES, executor_of_spark

SHELL_SCRIPTS = [
    *(DEPLOY / name for name in ("entrypoint.sh", "health.sh", "dagster-webserver", "kubernetes/secrets.sh")),
    *sorted((ROOT / "requirements").rglob("*.sh")),
    ROOT / ".ci" / "run",
]
# The oldest and the newest release of Kubernetes whose schemas are there.
KUBERNETES = ("1.30", "1.36")


def say_nothing_against(program: str, *arguments: str | Path) -> None:
    """Runs a program, which must find nothing."""
    installed = ROOT / ".venv-linters" / "bin" / program
    found = installed if installed.exists() else shutil.which(program)
    if not found:
        pytest.skip(
            f"there is no {program}: make set-up-linters, or Debian's package prometheus for promtool"
        )
    ended = subprocess.run(
        [found, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def of_kubernetes(folder: Path, manifests: Sequence[object], release: str) -> None:
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(manifests))
    say_nothing_against("kubernetes-validate", "--strict", "--kubernetes-version", release, file)


def test_the_recipe_of_the_image() -> None:
    say_nothing_against("hadolint", DEPLOY / "Dockerfile")


def test_the_services_of_compose() -> None:
    say_nothing_against(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"
    )


def test_the_shell_scripts() -> None:
    say_nothing_against("shellcheck", *SHELL_SCRIPTS)


def test_what_prometheus_collects() -> None:
    say_nothing_against("promtool", "check", "config", DEPLOY / "grafana" / "prometheus.yaml")


@pytest.mark.parametrize("release", KUBERNETES)
def test_the_manifests_of_kubernetes(release: str, tmp_path: Path) -> None:
    written = [
        manifest
        for name in ("settings.yaml", "spark.yaml")
        for manifest in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text("utf-8"))
    ]
    executor = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": executor_of_spark()}
    of_kubernetes(tmp_path, [*written, executor, *VALUES["extraManifests"]], release)


def queries_of_the_dashboard() -> dict[str, str]:
    """By the title of the panel and its place there, with what Grafana puts in for its own variables."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
    return {
        f"{panel['title']} {number}": re.sub(
            r"\$(dataset|server)\b", ".*", target["expr"].replace("$__rate_interval", "1m")
        )
        for panel in dashboard["panels"]
        for number, target in enumerate(panel.get("targets", []))
    }


def test_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    queries = queries_of_the_dashboard()
    rules = [{"record": f"shown_{number}", "expr": query} for number, query in enumerate(queries.values())]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    say_nothing_against("promtool", "check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize(("in_vain", "share"), [(None, 0.0), ("0+5x20", 0.25)])
def test_the_share_in_vain_is_a_number_also_where_nothing_was_in_vain(
    in_vain: str | None, share: float, tmp_path: Path
) -> None:
    labels = 'preannotation_dataset="d", server_address="a"'
    series = {f'preannotation_requests_total{{{labels}, preannotation_outcome="answered"}}': "0+15x20"}
    if in_vain:
        failed = f'{{{labels}, preannotation_outcome="again", preannotation_reason="overloaded"}}'
        series[f"preannotation_requests_total{failed}"] = in_vain
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": queries_of_the_dashboard()["Attempts in vain 0"],
                "eval_time": "4m",
                "exp_samples": [{"labels": "{}", "value": share}],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    say_nothing_against("promtool", "test", "rules", tmp_path / "test.yaml")
