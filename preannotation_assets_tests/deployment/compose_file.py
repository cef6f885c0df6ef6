"""deploy/compose.yaml as its readers need it: services, with the variables filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["DEPLOY", "ROOT", "command", "environment", "filled_in", "services"]

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"

_VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<default>[^}]*))?\}")


def services() -> dict[str, dict[str, Any]]:
    """Every service as it is written."""
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))[
        "services"
    ]
    return found


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """What Compose makes of ``${NAME:-default}`` and ``${NAME:?}``; a KeyError for what must be set."""

    def value(found: re.Match[str]) -> str:
        given = variables.get(found["name"], "")
        if given or found["kind"] == "-":
            return given or found["default"]
        raise KeyError(found["name"])

    return _VARIABLE.sub(value, text)


def command(service: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """The arguments of the image's entry point."""
    return [filled_in(str(word), variables) for word in service.get("command", [])]


def environment(service: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a service; one without a value is passed on where it is set."""
    filled = {}
    for name, value in service.get("environment", {}).items():
        if value is not None:
            filled[name] = filled_in(str(value), variables)
        elif name in variables:
            filled[name] = variables[name]
    return filled
