"""Ollama's lists of models, ``/api/tags`` and ``/api/ps``: whose entry is whose, and what it tells. Pure."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["canonical_name", "find_model", "loaded_context", "read_digest", "trained_context"]

# What Ollama adds to a name that leaves it out.
_REGISTRY: Final = "registry.ollama.ai"
_NAMESPACE: Final = "library"
_TAG: Final = "latest"
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9A-Fa-f]{8,128})")


def find_model(payload: Mapping[str, object], model: str) -> Mapping[str, object] | None:
    """A model's entry in the reply of ``/api/tags`` or ``/api/ps``; None where it is not there."""
    models = payload.get("models")
    wanted = canonical_name(model)
    for entry in models if isinstance(models, list) else []:
        if isinstance(entry, dict) and wanted in (
            _canonical(entry.get("name")),
            _canonical(entry.get("model")),
        ):
            return entry
    return None


def read_digest(entry: Mapping[str, object]) -> str:
    """The digest in a model's entry, in hexadecimal; empty where it has none.

    Answers are kept under it, and logs and metadata show it: what is no digest is not one.
    """
    digest = entry.get("digest")
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    return found[1] if found else ""


def trained_context(entry: Mapping[str, object]) -> int | None:
    """The longest context of the model in its entry of ``/api/tags``, tokens; None where it is not told."""
    details = entry.get("details")
    return _tokens(details.get("context_length")) if isinstance(details, Mapping) else None


def loaded_context(payload: Mapping[str, object], model: str, digest: str) -> int | None:
    """The context in tokens that a model was loaded with, by ``/api/ps``; None where it does not say.

    Names of one manifest share a runner, which is listed under the first of them.
    """
    models = payload.get("models")
    entries = [entry for entry in models if isinstance(entry, dict)] if isinstance(models, list) else []
    same = [entry for entry in entries if read_digest(entry) == digest]
    entry = find_model(payload, model) or next(iter(same), None)
    return _tokens(entry.get("context_length")) if entry else None


def canonical_name(model: str) -> str:
    """A name as Ollama compares them: without case, with the default registry, namespace and tag.

    ``types/model/name.go``: host, namespace, model and tag, of which all but the model may be left out.
    """
    rest, tag = model, ""
    if model.rfind(":") > model.rfind("/"):
        rest, _, tag = model.rpartition(":")
    rest, _, name = rest.rpartition("/")
    host, _, namespace = rest.rpartition("/")
    host = host.rpartition("://")[2]
    parts = (host or _REGISTRY, namespace or _NAMESPACE, name)
    return f"{'/'.join(parts)}:{tag or _TAG}".casefold()


def _canonical(name: object) -> str | None:
    return canonical_name(name) if isinstance(name, str) else None


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
