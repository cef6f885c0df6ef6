"""One colour for each label, the same wherever labels are shown."""

import colorsys
from collections.abc import Iterable, Iterator
from typing import Final

from .models import LabelScheme

__all__ = ["label_colours", "text_colour_on"]

# The golden angle: however many labels there are, their hues are apart.
_HUE_STEP: Final = 137.50776405 / 360
_LIGHTNESS: Final = 0.8
_SATURATION: Final = 0.8

# Luma of ITU-R BT.601: what the eye makes of red, green and blue, in thousandths.
_LUMA: Final = (299, 587, 114)
_MIDDLE: Final = 128_000


def label_colours(scheme: LabelScheme, more: Iterable[str] = ()) -> dict[str, str]:
    """The colour of each label as ``#rrggbb``.

    The scheme's own colours stay; the other labels get, in the file's order, one that no label has yet.

    Args:
        scheme: What the experts mark.
        more: Further names, as of labels that the scheme had when a batch was published.

    Returns:
        The scheme's labels in the file's order, and then ``more``.
    """
    chosen = {label.name: label.color.lower() for label in scheme.labels if label.color}
    free = (colour for colour in _hues() if colour not in chosen.values())
    names = dict.fromkeys((*scheme.label_names, *more))
    return {name: chosen[name] if name in chosen else next(free) for name in names}


def text_colour_on(background: str) -> str:
    """Black or white, whichever can be read on a background; both as ``#rrggbb``."""
    channels = bytes.fromhex(background.removeprefix("#"))
    luma = sum(weight * channel for weight, channel in zip(_LUMA, channels, strict=True))
    return "#000000" if luma >= _MIDDLE else "#ffffff"


def _hues() -> Iterator[str]:
    """Colours, each once, for ever."""
    seen: set[str] = set()
    hue = 0.0
    while True:
        channels = colorsys.hls_to_rgb(hue % 1, _LIGHTNESS, _SATURATION)
        colour = "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)
        if colour not in seen:
            seen.add(colour)
            yield colour
        hue += _HUE_STEP
