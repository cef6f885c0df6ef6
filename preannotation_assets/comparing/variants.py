"""The file of variants: settings of a batch with a few of them changed, each under a name."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from preannotation_assets.errors import SettingsError
from preannotation_assets.extraction.labels.source import Source, SourceError, read_source, repeated_keys
from preannotation_assets.settings import Settings
from preannotation_assets.settings.fields import PREFIX, Setting, settings_of
from preannotation_assets.visible_text import visible_line

__all__ = ["BATCH", "Variant", "read_variants"]

BATCH: Final = "batch"
"""The name of the batch's own settings, which are the first variant unless the file names another."""

_GROUPS: Final = frozenset(
    ("labels", "server_choice", "ollama", "openai", "generation", "cascade", "chunking", "asking")
)
_OF_PUBLISHING: Final = frozenset(("calibration", "below_threshold"))
_CASCADE: Final = f"{PREFIX}CASCADE_"
_KEYS: Final = ("baseline", "variants")
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._:+-]{0,38}[A-Za-z0-9._:+-])?")
_SHAPE: Final = (
    "write variants:, and below it a name for each, and below that settings as `model: llama3.2:3b`"
)


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings under a name; ``changes`` are those that the file changes, as it writes them."""

    name: str
    changes: Mapping[str, str]
    settings: Settings


def read_variants(path: str, environment: Mapping[str, str]) -> list[Variant]:
    """The variants of a file, the baseline first; what they leave out is as the environment says.

    A setting is named as its variable, without PREANNOTATION_ and in small letters, and its value is read as
    that of the variable is.

    Raises:
        SettingsError: the file cannot be read, or has a mistake: the first one, with its line.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the file of variants {path} cannot be read ({type(error).__name__})",
            "give a YAML file in UTF-8",
        ) from None
    # A variant is one model asked alone, unless the file itself has a small one asked first.
    alone = {name: text for name, text in environment.items() if not name.startswith(_CASCADE)}
    return _File(path, alone).read(text)


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    environment: Mapping[str, str]

    def read(self, text: str) -> list[Variant]:
        """The variants of its text, the baseline first; a SettingsError names the line of what is wrong."""
        try:
            source = read_source(text)
        except SourceError as error:
            raise self._error(error.line, error.problem, error.cure) from None
        for location in repeated_keys(source):
            raise self._error(source.line_of(location), "a name stands twice", "give each a name of its own")
        document = source.data
        given = document.get("variants") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(given, dict) or not given:
            raise self._error(source.line_of(("variants",)), "there are no variants", _SHAPE)
        for key in document:
            if key not in _KEYS:
                raise self._error(source.line_of((key,)), f"{_shown(key)} is no part of it", _SHAPE)
        variants = [self._variant(source, name, changes) for name, changes in given.items()]
        return self._baseline_first(source, variants, document.get("baseline"))

    def _baseline_first(self, source: Source, variants: list[Variant], baseline: object) -> list[Variant]:
        if baseline in (None, BATCH):
            own = Variant(BATCH, {}, Settings.from_environment(self.environment))
            return [own, *variants]
        first = [variant for variant in variants if variant.name == baseline]
        if not first:
            names = ", ".join(variant.name for variant in variants)
            raise self._error(
                source.line_of(("baseline",)),
                f"there is no variant {_shown(baseline)}",
                f"name one of {names}",
            )
        return [*first, *(variant for variant in variants if variant.name != baseline)]

    def _variant(self, source: Source, name: object, given: object) -> Variant:
        line = source.line_of(("variants", str(name)))
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == BATCH:
            cure = f"use at most 40 letters, digits, blanks and ._:+-, and not {BATCH}, the batch's own"
            raise self._error(line, "a variant has a name that cannot be shown", cure)
        if not isinstance(given, dict | None):
            raise self._error(line, f"variant {name} is no list of settings", _SHAPE)
        lines = {str(key): source.line_of(("variants", name, key)) for key in given or {}}
        changes = {
            str(key): self._text(lines[str(key)], str(key), value) for key, value in (given or {}).items()
        }
        try:
            settings = self._changed(changes)
        except SettingsError as error:
            raise self._error(self._culprit(changes, lines, line, error), error.problem, error.cure) from None
        return Variant(name, changes, settings)

    def _text(self, line: int, key: str, value: object) -> str:
        """What the variable of a setting would be set to; a list is its entries with commas between."""
        if key not in _SETTINGS:
            plain = key.lower().removeprefix(PREFIX.lower())
            near = difflib.get_close_matches(plain, _SETTINGS, n=1, cutoff=0.0)
            cure = f"the nearest of those that may differ is {near[0]}; docs/comparing.md has them all"
            raise self._error(line, f"{_shown(key)} is no setting that a variant may change", cure)
        values = value if isinstance(value, list) else [] if value is None else [value]
        texts = [each for each in values if isinstance(each, str)]
        if len(texts) < len(values):
            raise self._error(line, f"{key} is more than a value or a list of values", "write it in one line")
        return ",".join(texts)

    def _changed(self, changes: Mapping[str, str]) -> Settings:
        variables = {_SETTINGS[key].variables[0]: text for key, text in changes.items()}
        return Settings.from_environment({**self.environment, **variables})

    def _culprit(
        self, changes: Mapping[str, str], lines: Mapping[str, int], line: int, error: SettingsError
    ) -> int:
        """The line of the first change that is wrong by itself in the same way, else that of the variant."""
        for key, text in changes.items():
            try:
                self._changed({key: text})
            except SettingsError as alone:
                if alone.problem in str(error):
                    return lines[key]
        return line

    def _error(self, line: int, problem: str, cure: str) -> SettingsError:
        return SettingsError(f"{self.path}:{line}: {problem}", cure)


def _changeable() -> Iterator[tuple[str, Setting]]:
    for setting in settings_of(Settings):
        is_of_publishing = setting.group == "publishing" and setting.name in _OF_PUBLISHING
        if setting.group in _GROUPS or is_of_publishing:
            yield setting.variables[0].removeprefix(PREFIX).lower(), setting


_SETTINGS: Final = dict(_changeable())


def _shown(name: object) -> str:
    return f"`{visible_line(str(name), 60)}`"
