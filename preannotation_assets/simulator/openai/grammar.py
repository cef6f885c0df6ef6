"""What a JSON schema becomes in each server's grammar: refused, honoured, or ignored in silence.

Facts of vLLM 0.32 with xgrammar 0.2.8 and llguidance, and of llama.cpp's server, run with small schemas.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from preannotation_assets.simulator.openai.bodies import AnswerForm
from preannotation_assets.simulator.openai.refusals import ReplyError, grammar_refused
from preannotation_assets.simulator.openai.settings import Flavour, GrammarBackend, OpenAiSettings
from preannotation_assets.simulator.patterns import check_pattern
from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.schema_nodes import check_schema
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["Grammar", "GrammarMaker"]

_NODE_KEYWORDS = ("items", "additionalProperties", "not", "if", "then", "else", "contains")
_LIST_KEYWORDS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAP_KEYWORDS = ("properties", "$defs", "definitions", "patternProperties")
_LEFT_TO_GUIDANCE = ("multipleOf", "patternProperties", "propertyNames", "minProperties", "maxProperties")
_UNKNOWN_TO_GUIDANCE = ("not", "if", "contains")
_SIZES = ("maxItems", "maxLength")
_REFUSED_SIZE, _DROPPED_SIZE = 2_000, 5_000
_SMALLEST_ALTERNATIVES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """What an answer is held to; one schema of one server has one grammar.

    ``schema`` is what is enforced, None for any object. ``cuts_bounded`` says that strings of limited
    length hold no quotation mark, backslash or line break and are not escaped; ``is_spaced`` that there is
    a blank after commas and colons; ``runs_on`` that blanks may go on for ever; ``is_canonical`` that a
    forced token has the log-probability 0. ``hangs`` says that no answer ever comes.
    """

    schema: JsonObject | None
    cuts_bounded: bool = False
    is_spaced: bool = True
    runs_on: bool = False
    is_canonical: bool = False
    hangs: bool = False


@dataclass(slots=True)
class GrammarMaker:
    """Makes grammars, and remembers what vLLM's engine remembers: the backend of the first request."""

    settings: OpenAiSettings
    backend: GrammarBackend | None = None
    _made: dict[str, Grammar] = field(default_factory=dict)

    def make(self, form: AnswerForm, schema: JsonObject | None) -> tuple[Grammar | None, bool]:
        """The grammar of a request, None for free text, and whether it is compiled for the first time.

        Raises ``ReplyError`` (400) for what the server's check refuses.
        """
        if form is AnswerForm.TEXT:
            return None, False
        text = json.dumps(schema)
        if text in self._made:
            return self._made[text], False
        grammar = self._llama(schema or {}) if self.settings.flavour is Flavour.LLAMA else self._vllm(schema)
        self._made[text] = grammar
        return grammar, True

    def _vllm(self, schema: JsonObject | None) -> Grammar:
        allowed = self._checked(schema or {})
        if self.backend is None:
            self.backend = allowed
        is_guidance = self.backend is GrammarBackend.GUIDANCE
        enforced = None if schema is None else _rewritten(schema, _guided if is_guidance else _xgrammar_node)
        disables = self.settings.disables_whitespace
        return Grammar(
            enforced,
            cuts_bounded=not is_guidance,
            is_spaced=not disables,
            runs_on=not disables,
            is_canonical=is_guidance,
        )

    def _checked(self, schema: JsonObject) -> GrammarBackend:
        """The backend that the check of one request settles on, whatever compiles it then."""
        _check_vllm(schema)
        asked = self.settings.backend
        keywords = {keyword for node in _nodes(schema) for keyword in node}
        left = sorted(keywords.intersection(_LEFT_TO_GUIDANCE))
        if asked is GrammarBackend.XGRAMMAR and left:
            raise grammar_refused(Flavour.VLLM, f"{left[0]} is not supported by xgrammar")
        chosen = GrammarBackend.XGRAMMAR if not left else GrammarBackend.GUIDANCE
        chosen = chosen if asked is GrammarBackend.AUTO else asked
        unknown = sorted(keywords.intersection(_UNKNOWN_TO_GUIDANCE))
        if chosen is GrammarBackend.GUIDANCE and unknown:
            raise grammar_refused(Flavour.VLLM, f"Unimplemented keys: {unknown}")
        return chosen

    def _llama(self, schema: JsonObject) -> Grammar:
        for node in _nodes(schema):
            if node.get("items") is False and "prefixItems" in node:
                raise _conversion_failed("items is false")
            for size in _SIZES:
                most = node.get(size)
                if isinstance(most, int) and _REFUSED_SIZE <= most < _DROPPED_SIZE:
                    raise grammar_refused(Flavour.LLAMA, "failed to parse grammar")
        enforced = _rewritten(schema, _llama_node)
        try:
            check_schema(enforced)
        except RefusedError:
            raise _conversion_failed("the schema cannot be converted") from None
        return Grammar(enforced, hangs=any(_is_impossible(node) for node in _nodes(schema)))


def _conversion_failed(reason: str) -> ReplyError:
    return grammar_refused(Flavour.LLAMA, f"JSON schema conversion failed: {reason}")


def _check_vllm(schema: JsonObject) -> None:
    """What every backend of vLLM refuses."""
    for node in _nodes(schema):
        if node.get("uniqueItems") is True:
            raise grammar_refused(Flavour.VLLM, "uniqueItems is not supported")
        if _is_impossible(node):
            raise grammar_refused(Flavour.VLLM, "minItems is greater than maxItems")
        pattern = node.get("pattern")
        if pattern is not None and not _compiles(pattern):
            raise grammar_refused(Flavour.VLLM, "invalid regular expression")
    try:
        check_schema(_rewritten(schema, _guided))
    except RefusedError as refused:
        reason = json.loads(refused.text)["error"]["message"].partition(": ")[2]
        raise grammar_refused(Flavour.VLLM, reason) from None


def _compiles(pattern: JsonValue) -> bool:
    try:
        re.compile(str(pattern))
    except re.error:
        return False
    return isinstance(pattern, str)


def _is_impossible(node: JsonObject) -> bool:
    least, most = node.get("minItems"), node.get("maxItems")
    return isinstance(least, int) and isinstance(most, int) and least > most


def _nodes(schema: JsonValue) -> Iterator[JsonObject]:
    """Every schema object in a schema, itself first; names of properties and values are none."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name, value in schema.items():
        if name in _NODE_KEYWORDS:
            yield from _nodes(value)
        elif name in _LIST_KEYWORDS and isinstance(value, list):
            for child in value:
                yield from _nodes(child)
        elif name in _MAP_KEYWORDS and isinstance(value, dict):
            for child in value.values():
                yield from _nodes(child)


def _rewritten(schema: JsonObject, rewrite: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """The schema with every schema object in it rewritten, the inner ones first."""

    def inside(name: str, value: JsonValue) -> JsonValue:
        if name in _NODE_KEYWORDS and isinstance(value, dict):
            return _rewritten(value, rewrite)
        if name in _LIST_KEYWORDS and isinstance(value, list):
            return [_rewritten(child, rewrite) if isinstance(child, dict) else child for child in value]
        if name in _MAP_KEYWORDS and isinstance(value, dict):
            return {
                key: _rewritten(child, rewrite) if isinstance(child, dict) else child
                for key, child in value.items()
            }
        return value

    return rewrite({name: inside(name, value) for name, value in schema.items()})


def _guided(node: JsonObject) -> JsonObject:
    """What llguidance enforces: all that it does not refuse; patterns the rules cannot fill are left out."""
    node = _without_hard_pattern(node)
    if node.get("maxLength") == _REFUSED_SIZE:
        return _without(node, "maxLength")
    return node


def _xgrammar_node(node: JsonObject) -> JsonObject:
    kept = _without(_guided(node), "not", "if", "then", "else", "multipleOf")
    if "pattern" in kept:
        kept = _without(kept, "minLength", "maxLength")
    return {**_without(kept, "allOf"), "type": "string"} if _has_parts(kept) else kept


def _llama_node(node: JsonObject) -> JsonObject:
    kept = _without(node, "uniqueItems", "not", "if", "then", "else", "multipleOf")
    if "pattern" in kept:
        kept = _without(kept, "minLength", "maxLength")
    for size in _SIZES:
        most = kept.get(size)
        if isinstance(most, int) and most >= _DROPPED_SIZE:
            kept = _without(kept, size)
    if _is_impossible(kept):
        kept = _without(kept, "minItems", "maxItems")
    return {"type": "object"} if _has_parts(kept) else kept


def _has_parts(node: JsonObject) -> bool:
    parts = node.get("allOf")
    return isinstance(parts, list) and len(parts) >= _SMALLEST_ALTERNATIVES


def _without(node: JsonObject, *names: str) -> JsonObject:
    return {name: value for name, value in node.items() if name not in names}


def _without_hard_pattern(node: JsonObject) -> JsonObject:
    pattern = node.get("pattern")
    try:
        check_pattern(pattern if isinstance(pattern, str) else "^$")
    except RefusedError:
        return _without(node, "pattern")
    return node
