"""Good inputs, spoilt: JSON by values of another kind, bytes by what disks and networks do to them."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from preannotation_assets.errors import PreannotationError

__all__ = ["ODD_VALUES", "fuzz", "refusal", "spoilt_bytes", "spoilt_json"]

# FUZZ_ROUNDS=100 looks a hundred times as long; the tests' own budget is the default.
_ROUNDS: Final = int(os.environ.get("FUZZ_ROUNDS", "1"))
_NOT_OURS: Final = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def fuzz(examples: int) -> settings:
    """The budget of a test; ``FUZZ_ROUNDS`` multiplies it."""
    return settings(max_examples=examples * _ROUNDS, deadline=None, suppress_health_check=_NOT_OURS)


def refusal(work: Callable[[], object], *kinds: type[PreannotationError]) -> PreannotationError | None:
    """The typed error that the work ends with, in one line that can be shown; None where it ends well.

    Any other exception passes through, and fails the test.
    """
    try:
        work()
    except kinds as error:
        assert str(error).isprintable()  # noqa: PT017
        return error
    return None


class Raw(str):
    """JSON that Python would not write: it is put into a document as it is."""

    __slots__ = ()


ODD_VALUES: Final = st.one_of(
    st.sampled_from(
        [None, True, False, "", " ", "0", "\0", "\ud800", [], {}, [[]], [None], {"": None}, "é" * 3000]
    ),
    st.sampled_from([0, -1, 0.5, -0.0, 1e300, 2**31 - 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30]),
    st.sampled_from(
        [
            Raw("1" + "0" * 400),
            Raw("9" * 5000),
            Raw("1e999"),
            Raw("-1e999"),
            Raw("NaN"),
            Raw("Infinity"),
            Raw('"\\ud83d"'),
            Raw('"\\udc00\\ud800"'),
            Raw("[" * 2000 + "]" * 2000),
            Raw('{"a":' * 2000 + "1" + "}" * 2000),
        ]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)


def places(document: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something stands; the document itself is at ``()``."""
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(document: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """The document with what stands at ``path`` changed; what is gone already stays so."""
    if not path:
        return change(document)
    key, *rest = path
    known = (
        document
        if isinstance(document, dict)
        else dict(enumerate(document))
        if isinstance(document, list)
        else {}
    )
    if key not in known:
        return document
    changed = {**known, key: replaced(known[key], tuple(rest), change)}
    return changed if isinstance(document, dict) else list(changed.values())


def _without_a_member(value: Any) -> Any:
    if isinstance(value, dict) and value:
        return dict(list(value.items())[1:])
    return value[1:] if isinstance(value, list | str) and value else None


def _twice(value: Any) -> Any:
    return value * 2 if isinstance(value, list | str) else value


def _dumped(document: Any) -> bytes:
    """JSON, with what is raw as it is."""
    raw: list[Raw] = []

    def marked(value: Any) -> Any:
        if isinstance(value, Raw):
            raw.append(value)
            return f"\0raw {len(raw) - 1}\0"
        if isinstance(value, dict):
            return {key: marked(each) for key, each in value.items()}
        return [marked(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(marked(document))
    for number, value in enumerate(raw):
        text = text.replace(f'"\\u0000raw {number}\\u0000"', value)
    return text.encode()


@st.composite
def spoilt_json(draw: st.DrawFn, samples: Sequence[Any]) -> bytes:
    """One of the documents with up to four of its places spoilt, as JSON."""
    document = draw(st.sampled_from(samples))
    known = places(document)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(known))
        odd = draw(ODD_VALUES)
        change = draw(st.sampled_from([lambda _, odd=odd: odd, _without_a_member, _twice]))
        document = replaced(document, path, change)
    return _dumped(document)


@st.composite
def spoilt_bytes(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """One of the samples with bytes changed, stretches lost, repeated, moved in from another, or cut off."""
    content = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        stop = start + draw(st.sampled_from([1, 2, 4, 16, 200]))
        other = draw(st.sampled_from(samples))
        change = draw(st.sampled_from(["flip", "set", "lose", "repeat", "insert", "cut"]))
        if change == "flip" and content:
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "set":
            content[start:stop] = draw(st.binary(min_size=1, max_size=8))
        elif change == "lose":
            del content[start:stop]
        elif change == "repeat":
            content[start:start] = content[start:stop]
        elif change == "insert":
            content[start:start] = other[start : start + 64]
        else:
            del content[start:]
    return bytes(content)
