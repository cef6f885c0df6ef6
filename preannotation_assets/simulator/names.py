"""Names of models as Ollama reads and compares them (types/model/name.go, internal/modelref/modelref.go).

A name is ``[host/][namespace/]model[:tag]``; what is left out is ``registry.ollama.ai``, ``library`` and
``latest``, and case makes no difference.
"""

import re
from dataclasses import dataclass

__all__ = ["ModelName", "ModelReference", "parse_name", "parse_reference"]

_DEFAULT_HOST = "registry.ollama.ai"
_DEFAULT_NAMESPACE = "library"
_DEFAULT_TAG = "latest"
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A name with all its parts, in the case it was written in."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def key(self) -> str:
        """What is the same for all spellings of one model."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}".lower()

    @property
    def shortest(self) -> str:
        """The name as lists show it: with its tag, without default host and namespace."""
        short = f"{self.model}:{self.tag}"
        if self.host.lower() != _DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{short}"
        return short if self.namespace.lower() == _DEFAULT_NAMESPACE else f"{self.namespace}/{short}"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """What a request calls a model: ``name`` without the suffix that sends it to ollama.com."""

    name: ModelName
    is_cloud: bool


def parse_name(text: str) -> ModelName | None:
    """A name with the defaults filled in; None where a part is empty, too long or has a wrong character."""
    path, tag = text, _DEFAULT_TAG
    if text.rfind(":") > text.rfind("/"):
        path, _, tag = text.rpartition(":")
    before, _, model = path.rpartition("/")
    host, _, namespace = before.rpartition("/")
    has_host, has_namespace = path.count("/") > 1, "/" in path
    name = ModelName(
        host.partition("://")[2] or host if has_host else _DEFAULT_HOST,
        namespace if has_namespace else _DEFAULT_NAMESPACE,
        model,
        tag,
    )
    parts = ((_HOST, name.host), (_NAMESPACE, name.namespace), (_PART, name.model), (_PART, name.tag))
    return name if all(pattern.fullmatch(part) for pattern, part in parts) else None


def parse_reference(text: str) -> ModelReference | None:
    """What a request means by ``text``; None where it is no name.

    A tag ``cloud``, or one that ends in ``-cloud``, means the model on ollama.com; ``local`` behind a name
    means the one here.
    """
    path, _, suffix = text.strip().rpartition(":")
    is_cloud = suffix.lower() == "cloud" or (suffix.lower().endswith("-cloud") and "/" not in suffix)
    if path and is_cloud:
        rest = suffix[: -len("-cloud")]
        base = f"{path}:{rest}" if rest else path
    elif path and suffix.lower() == "local":
        base = path
    else:
        base, is_cloud = text.strip(), False
    name = parse_name(base)
    return None if name is None else ModelReference(name, is_cloud)
