"""What a run says on the console: one line an event, no stack traces, no page text."""

import logging
import sys
from typing import Any, Final

from dagster import InitLoggerContext, logger

__all__ = ["console_logger"]

# As Dagster begins what it logs of a step whose inputs were not made: no event, but a line a step.
_OF_SKIPPED_STEPS: Final = "Dependencies for step "


@logger(config_schema={}, description="One line for each thing worth knowing, on standard error.")
def console_logger(_: InitLoggerContext) -> logging.Logger:
    """Dagster's own console logger prints every event of the engine and, on failure, whole stack traces.

    Those are in Dagster's event log, where the web interface shows them.
    """
    console = logging.Logger("preannotation_assets.defs.console", level=logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(_is_said_by_the_pipeline)
    console.addHandler(handler)
    return console


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        step, message = meta.get("step_key"), meta.get("orig_message") or record.getMessage()
        line = logging.makeLogRecord(
            record.__dict__ | {"msg": f"{step}: {message}" if step else message, "args": ()}
        )
        return super().format(line)


def _is_said_by_the_pipeline(record: logging.LogRecord) -> bool:
    """Events of the engine are told by the one who called it, and steps that are skipped follow from them."""
    meta: dict[str, Any] = getattr(record, "dagster_meta", {})
    said = str(meta.get("orig_message") or record.getMessage())
    return meta.get("dagster_event") is None and not said.startswith(_OF_SKIPPED_STEPS)
