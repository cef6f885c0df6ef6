"""Gauges in Prometheus' text format. Pure.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import math
import re
from collections.abc import Collection
from typing import Final

__all__ = ["read_gauges"]

# A name, labels in which braces and quotation marks may stand, a value, and perhaps a time.
_SAMPLE: Final = re.compile(
    r'([A-Za-z_:][\w:]*)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*'
)


def read_gauges(content: bytes, names: Collection[str]) -> dict[str, float]:
    """The gauges of these names; the series of a name, which differ in labels, are added up.

    What cannot be read, and values that are no finite number, are left out.
    """
    gauges: dict[str, float] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        if not line.startswith(tuple(names)):
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample and sample[1] in names and (value := _number(sample[2])) is not None:
            gauges[sample[1]] = gauges.get(sample[1], 0.0) + value
    return gauges


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
