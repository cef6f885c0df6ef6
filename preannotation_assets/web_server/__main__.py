"""``python -m preannotation_assets.web_server`` serves Dagster's web interface behind the gate.

It takes the short options of ``dagster-webserver``, in whose place deploy/dagster-webserver puts it.
"""

import argparse
import sys
from collections.abc import Sequence

from preannotation_assets.errors import SettingsError
from preannotation_assets.web_server.gate import LOOPBACK
from preannotation_assets.web_server.serving import serve


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m preannotation_assets.web_server", add_help=False)
    parser.add_argument("--help", action="help")
    parser.add_argument("-w", "--workspace", default="workspace.yaml", metavar="FILE")
    parser.add_argument("-h", "--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("-p", "--port", type=int, default=3000, help="the port to listen on (3000)")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="a name by which browsers call this server besides localhost, where a proxy stands before it",
    )
    arguments = parser.parse_args()
    try:
        _require_a_name(arguments.host, arguments.name)
        serve(arguments.workspace, arguments.host, arguments.port, arguments.name)
    except SettingsError as error:
        sys.stderr.write(f"web_server: error: {error}\n")
        return 1
    return 0


def _require_a_name(host: str, names: Sequence[str]) -> None:
    if host not in LOOPBACK and not names:
        raise SettingsError(
            f"the web server asks nobody who they are, and would listen on {host}",
            "put a proxy that does before it, and give the proxy's name with --name",
        )


sys.exit(_main())
