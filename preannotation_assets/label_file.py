"""The file of a label scheme: its text, and what the command line says about it."""

import json
from collections.abc import Iterator
from pathlib import Path

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.answer_format import RATED_QUOTES
from preannotation_assets.extraction.labels import (
    LabelScheme,
    check_label_scheme,
    parse_label_scheme,
    span_question,
)
from preannotation_assets.extraction.prompt import build_prompt

__all__ = ["check_file", "exported", "load_label_scheme", "read_label_file"]


def read_label_file(path: str) -> str:
    """The text of a label scheme's file.

    Raises:
        LabelSchemeError: there is no such file, or it is not text in UTF-8.
    """
    try:
        return Path(path).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise LabelSchemeError(
            f"the label scheme {path} cannot be read ({type(error).__name__})",
            "give a YAML file in UTF-8, or set PREANNOTATION_LABELS to one",
        ) from None


def load_label_scheme(path: str) -> LabelScheme:
    """The scheme in a file.

    Raises:
        LabelSchemeError: the file cannot be read, or has a mistake: the first one, with its line.
    """
    return parse_label_scheme(read_label_file(path), path)


def check_file(path: str) -> tuple[bool, str]:
    """Whether a file is a label scheme; and a short account of it with warnings, or all its mistakes.

    Raises:
        LabelSchemeError: the file cannot be read.
    """
    checked = check_label_scheme(read_label_file(path), path)
    if checked.scheme is None:
        return False, "".join(f"{error}\n" for error in checked.errors)
    return True, "".join(f"{line}\n" for line in (*_account(path, checked.scheme), *checked.warnings))


def exported(path: str, name: str, field: str) -> str:
    """The span question ``name`` for the scheme in a file, over the record field ``field``, as JSON.

    Raises:
        LabelSchemeError: the file cannot be read or is not a label scheme.
    """
    question = span_question(load_label_scheme(path), name, field)
    return json.dumps(question, ensure_ascii=False, indent=2) + "\n"


def _account(path: str, scheme: LabelScheme) -> Iterator[str]:
    prompt = build_prompt(scheme)
    spans = sum(len(example.spans) for example in scheme.examples)
    yield f"{path}: all right"
    yield f"scheme      {scheme.name}, version {scheme.version}, overlaps {str(scheme.overlaps).lower()}"
    yield f"labels      {len(scheme.labels)}, {len(scheme.value_rules)} of them with a rule for values"
    yield f"examples    {len(scheme.examples)} with {spans} spans, all found by grounding"
    yield f"prompt      about {prompt.constant_tokens} tokens before every page (an estimate)"
    yield f"version     {prompt.version}"
    yield f"            {build_prompt(scheme, RATED_QUOTES).version} with PREANNOTATION_SELF_REPORTED"
    yield f"fingerprint {prompt.fingerprint}"
