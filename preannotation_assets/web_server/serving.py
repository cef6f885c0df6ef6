"""Starts Dagster's web server, as ``dagster-webserver`` does, with the gate before it."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.instance import dagster_home
from preannotation_assets.web_server.gate import LOOPBACK, Gate

__all__ = ["serve"]

# As dagster_webserver.cli has them.
_STATEMENT_MILLISECONDS: Final = 15_000
_POOL_RECYCLE_SECONDS: Final = 3600
_POOL_OVERFLOW: Final = 20
_POLL_MILLISECONDS: Final = 2000
# A browser keeps its connections open.
_GOODBYE_SECONDS: Final = 5


def serve(workspace: str, host: str, port: int, names: Iterable[str]) -> None:
    """Serves until SIGINT or SIGTERM; browsers may call the server by ``names``, and as this machine.

    Raises:
        SettingsError: Dagster's instance cannot be opened.
    """
    with open_instance(dagster_home(os.environ, Path.cwd())) as instance:
        instance.optimize_for_webserver(_STATEMENT_MILLISECONDS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW)
        target = WorkspaceFileTarget([workspace])
        with WorkspaceProcessContext(
            instance, target, version=__version__, code_server_log_level="warning"
        ) as context:
            app = create_app_from_workspace_process_context(context, live_data_poll_rate=_POLL_MILLISECONDS)
            app.add_middleware(Gate, names={*LOOPBACK, *names})
            uvicorn.run(
                app,
                host=host,
                port=port,
                log_level="warning",
                timeout_graceful_shutdown=_GOODBYE_SECONDS,
            )
