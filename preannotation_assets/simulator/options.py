"""The ``options`` of a request: known names, their types, and those that the runner is loaded with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.values import JsonValue

__all__ = ["Options", "parse_options"]

_INTEGERS = frozenset(
    {
        "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "num_predict", "seed",
        "top_k", "repeat_last_n", "draft_num_predict",
    }
)  # fmt: skip
_FLOATS = frozenset(
    {"temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty"}
)
_BOOLEANS = frozenset({"use_mmap"})
_RUNNER_OPTIONS = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread")
_UNLIMITED_CONTEXTS = 10
_LEAST_CONTEXT = 4
_LEAST_RUNNER_CONTEXT = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What matters of a request's options.

    ``context`` is num_ctx in tokens; ``output_limit`` the most tokens an answer may have;
    ``runner_key`` is what the model must be loaded with: a request with another key reloads it.
    ``never_ends`` is true for a num_predict of 0, with which a real server did not come to an end.
    """

    context: int
    output_limit: int
    runner_key: tuple[tuple[str, JsonValue], ...]
    never_ends: bool = False

    @property
    def runner_context(self) -> int:
        """The tokens that prompt and answer have room for: llama-server takes 256 at least."""
        return max(self.context, _LEAST_RUNNER_CONTEXT)

    def within(self, trained_context: int) -> "Options":
        """The same for a model that was trained for ``trained_context`` tokens: a longer context is cut."""
        context = min(self.context, trained_context)
        return replace(
            self,
            context=context,
            output_limit=min(self.output_limit, _UNLIMITED_CONTEXTS * context),
            runner_key=tuple(dict(self.runner_key, num_ctx=context).items()),
        )


def parse_options(options: Mapping[str, JsonValue], default_context: int) -> Options:
    """Check the types of known options and take out what matters; unknown options are ignored.

    A num_ctx below 4 is 4, and a num_predict below 0 ten times the context, as in Ollama. Raises
    ``RefusedError`` (500) for a known option of the wrong type.
    """
    for name, value in options.items():
        _check_type(name, value)
    context = max(_integer(options.get("num_ctx")) or default_context, _LEAST_CONTEXT)
    requested = _integer(options.get("num_predict"))
    output_limit = requested or 0
    key = tuple((name, options[name]) for name in _RUNNER_OPTIONS if options.get(name) is not None)
    return Options(
        context=context,
        output_limit=output_limit if output_limit > 0 else _UNLIMITED_CONTEXTS * context,
        runner_key=tuple(dict(key, num_ctx=context).items()),
        never_ends=requested == 0,
    )


def _check_type(name: str, value: JsonValue) -> None:
    if value is None:
        return
    is_boolean = isinstance(value, bool)
    is_number = isinstance(value, int | float) and not is_boolean
    if name in _INTEGERS and not is_number:
        raise RefusedError(500, f'option "{name}" must be of type integer')
    if name in _FLOATS and not is_number:
        raise RefusedError(500, f'option "{name}" must be of type float32')
    if name in _BOOLEANS and not is_boolean:
        raise RefusedError(500, f'option "{name}" must be of type boolean')
    if name == "stop" and not isinstance(value, list):
        raise RefusedError(500, 'option "stop" must be of type array')


def _integer(value: JsonValue) -> int | None:
    return int(value) if isinstance(value, int | float) else None
