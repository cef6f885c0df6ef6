"""The README's table of settings, made from their definitions."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from preannotation_assets.model_servers.addresses import (
    ACCESS_VARIABLES,
    KEY_VARIABLE,
    PRIVATE_HOSTS_VARIABLE,
)
from preannotation_assets.settings.environment import Settings
from preannotation_assets.settings.fields import Setting, settings_of

__all__ = ["TABLE_BEGINS", "TABLE_ENDS", "settings_table"]

TABLE_BEGINS: Final = "<!-- settings: printed by python -m preannotation_assets.settings -->\n"
TABLE_ENDS: Final = "<!-- end of settings -->"

_DOCUMENT: Final = re.compile(r"\bdocs/[a-z-]+\.md\b")
_A_NUMBER: Final = re.compile("^a (whole )?number (of )?")
_HEAD: Final = "| variable | default | meaning |\n|---|---|---|\n"
# What is not ours to define, and what must never be stored.
_OTHERS: Final = (
    (
        ("OTEL_EXPORTER_OTLP_ENDPOINT",),
        "",
        "Where metrics are sent; none without it (docs/telemetry.md).",
    ),
    (
        (PRIVATE_HOSTS_VARIABLE,),
        "",
        "Hosts that count as private, comma-separated: asked over plain http too (docs/model-servers.md).",
    ),
    (("DAGSTER_HOME",), "`.dagster` here", "Where Dagster keeps its runs."),
    (
        (
            KEY_VARIABLE,
            *ACCESS_VARIABLES,
            "motherduck_token",
            "AWS_*",
        ),
        "",
        "Secrets; only ever read from the environment.",
    ),
)


def settings_table() -> str:
    """Two tables in Markdown, the usual settings and the others, one line a setting."""
    every = list(settings_of(Settings))
    usual = [_setting_row(setting) for setting in every if not setting.reading.is_seldom]
    seldom = [_setting_row(setting) for setting in every if setting.reading.is_seldom]
    others = [_row(*other) for other in _OTHERS]
    return "".join([_HEAD, *usual, *others, "\nSeldom needed:\n\n", _HEAD, *seldom])


def _setting_row(setting: Setting) -> str:
    return _row(setting.variables, _default(setting), " ".join(_meaning(setting)))


def _row(variables: Iterable[str], default: str, meaning: str) -> str:
    names = ", ".join(f"`{name}`" for name in variables)
    linked = _DOCUMENT.sub(lambda found: f"[{found[0]}]({found[0]})", meaning.replace("|", r"\|"))
    return f"| {names} | {default} | {linked} |\n"


def _meaning(setting: Setting) -> Iterator[str]:
    yield setting.field.description or ""
    # A text's own description says what it must be.
    if setting.expected and not setting.reading.expected:
        allowed = _A_NUMBER.sub("", setting.expected)
        yield f"{allowed[0].upper()}{allowed[1:]}."


def _default(setting: Setting) -> str:
    default = setting.field.default
    if setting.reading.default_shown:
        return setting.reading.default_shown
    if default in (None, "", [], {}):
        return ""
    if isinstance(default, bool):
        return "`yes`" if default else "`no`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
