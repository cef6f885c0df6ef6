"""A process that does one thing after the other on one Spark session: ``commands.py PLAN``.

The plan is a JSON list. ``does`` of each step is the arguments of a command, or what else there is to do;
``output`` is where its standard output goes.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

from dagster import AssetSelection, DagsterInstance, Definitions, build_sensor_context, define_asset_job

from preannotation_assets import cli
from preannotation_assets.definitions import build_resources
from preannotation_assets.defs.assets.suggestions.asset import suggestions
from preannotation_assets.defs.checks import suggestion_checks
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.settings import Settings
from preannotation_assets.telemetry.stage_progress import LogAlone

PARTITION = "dagster/partition"


def main(plan: Path) -> None:
    session = build_resources(Settings.from_environment(os.environ))["spark"].spark_session
    for step in json.loads(plan.read_text("utf-8")):
        os.environ.update(step["environment"])
        output = Path(step["output"])
        with output.open("w") as stream, contextlib.redirect_stdout(stream):
            status = _do(step["does"])
        output.with_suffix(".status").write_text(str(status))
    session.stop()


def _do(what: list[str]) -> int:
    match what:
        case ["checks", dataset]:
            return failed_checks(dataset)
        case ["sensor"]:
            return tick()
        case ["damage", file]:
            return damage(Path(file))
    return cli.main(what)


def failed_checks(dataset: str) -> int:
    """How many of the asset checks fail on what is published by now."""
    checks = define_asset_job("checks", AssetSelection.checks(suggestion_checks))
    resources = {**build_resources(Settings.from_environment(os.environ)), "progress": LogAlone()}
    only_checks = Definitions(
        [suggestions], jobs=[checks], asset_checks=[suggestion_checks], resources=resources
    )
    with DagsterInstance.get() as instance:
        done = only_checks.resolve_job_def(checks.name).execute_in_process(
            instance=instance, tags={PARTITION: dataset}, raise_on_error=False
        )
    return sum(not evaluation.passed for evaluation in done.get_asset_check_evaluations())


def tick() -> int:
    """An evaluation of the sensor; says what it decided."""
    settings = Settings.from_environment(os.environ)
    resources = build_resources(settings)
    used = {"warehouse": resources["warehouse"], "storage": resources["storage"]}
    with DagsterInstance.get() as instance:
        context = build_sensor_context(instance, resources=used)
        sys.stdout.write(repr(build_sensor(settings.watching)(context)))
    return 0


def damage(file: Path) -> int:
    """Changes a byte in the middle, as a disk may."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
