"""What ``/v1/models`` says of a model, and which weights that names. Pure.

``created`` is the time of the call on vLLM and llama-server; no server tells a digest of the weights.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.model_servers.json_values import as_count, as_mapping, as_name, as_text
from preannotation_assets.model_servers.openai.variant import Software

__all__ = ["MODELS_PATH", "ServedModel", "find_model", "served_names"]

MODELS_PATH: Final = "/v1/models"

_SOFTWARE: Final = {"vllm": Software.VLLM, "llamacpp": Software.LLAMA_CPP, "sglang": Software.SGLANG}
# What llama-server reads out of the file of the weights.
_OF_WEIGHTS: Final = ("n_params", "size", "ftype", "n_vocab")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as a server lists it.

    ``root`` is where it was loaded from, ``pinned`` the part behind ``@`` of names such as ``smol@abc123``
    under which the same weights are served, ``meta`` what is known of their file.
    """

    software: Software
    root: str | None
    pinned: tuple[str, ...]
    meta: tuple[tuple[str, object], ...]
    context_tokens: int | None

    def names_weights(self, revision: str) -> bool:
        """Whether something tells these weights from others of the same name."""
        return bool(revision or self.pinned)

    def contradicts(self, revision: str) -> bool:
        """Whether the server's name for the weights is another than the operator's."""
        return bool(revision and self.pinned) and revision not in self.pinned

    def digest(self, model: str, revision: str) -> str:
        """SHA-256, in hexadecimal, of what names the weights; ``revision`` is the operator's name for them.

        Where there is such a name, the place they were loaded from counts no more: it may differ from
        machine to machine. The server's own name counts where it ``contradicts`` the operator's.
        """
        named: dict[str, object] = {"meta": self.meta}
        if self.names_weights(revision):
            by_operator = revision and not self.contradicts(revision)
            named["revision"] = [revision] if by_operator else self.pinned
        else:
            named |= {"model": model, "root": self.root}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def served_names(payload: Mapping[str, object]) -> list[str]:
    """The names of all models in the list, each once: llama-server gives a name as an alias too."""
    return list(dict.fromkeys(name for entry in _entries(payload) for name in _names(entry)))


def find_model(payload: Mapping[str, object], model: str) -> ServedModel | None:
    """What the list says of a model; None where it is not in it."""
    entries = _entries(payload)
    entry = next((entry for entry in entries if model in _names(entry)), None)
    if entry is None:
        return None
    meta = as_mapping(entry.get("meta"))
    limits = (as_count(entry.get("max_model_len")), as_count(meta.get("n_ctx")))
    return ServedModel(
        software=_SOFTWARE.get(as_text(entry.get("owned_by")) or "", Software.UNKNOWN),
        root=as_text(entry.get("root")),
        pinned=_pinned(entries, entry, model),
        meta=tuple((name, meta[name]) for name in _OF_WEIGHTS if isinstance(meta.get(name), int | str)),
        context_tokens=min((limit for limit in limits if limit), default=None),
    )


def _pinned(
    entries: Sequence[Mapping[str, object]], entry: Mapping[str, object], model: str
) -> tuple[str, ...]:
    """What stands behind ``@`` in the model's own name, in its aliases, or in names with the same root."""
    own_name, at, own = model.partition("@")
    if at and own:
        return (own,)
    root = entry.get("root")
    twins = [entry] if root is None else [other for other in entries if other.get("root") == root]
    names = [name.partition("@") for twin in twins for name in _names(twin)]
    return tuple(sorted({pin for name, _, pin in names if name == own_name and pin}))


def _entries(payload: Mapping[str, object]) -> list[Mapping[str, object]]:
    data = payload.get("data")
    return [entry for entry in data if isinstance(entry, Mapping)] if isinstance(data, list) else []


def _names(entry: Mapping[str, object]) -> list[str]:
    aliases = entry.get("aliases")
    names = [entry.get("id"), *(aliases if isinstance(aliases, list) else [])]
    return list(filter(None, map(as_name, names)))
