"""Pages and marks on a terminal, with colours or without.

What a page holds is shown and never obeyed: control characters, and those that turn the direction of
writing, come out as visible signs, so that no page can move the cursor or set a title.
"""

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from preannotation_assets.extraction.labels import text_colour_on
from preannotation_assets.extraction.segments import Mark, Segment, segments
from preannotation_assets.visible_text import visible

__all__ = [
    "ColourView",
    "Line",
    "PlainView",
    "View",
    "console_for",
    "faint",
    "fit",
    "heading",
    "on_terminal",
    "padded",
    "show",
    "view_for",
]

Line = str | Text
"""What ends at the line's end, or a page of several lines."""

_INTERRUPTED: Final = 130
# What is told of a terminal, and what it gets. In sixteen colours all labels would look alike, and whatever
# calls itself "xterm" has 256.
_SYSTEMS: Final[Mapping[str, Literal["256", "truecolor"]]] = {
    "standard": "256",
    "256": "256",
    "truecolor": "truecolor",
}


def fit(text: str, width: int) -> str:
    """The text in at most ``width`` columns; one that is cut ends in an ellipsis."""
    line = Text(text)
    line.truncate(width, overflow="ellipsis")
    return line.plain


def padded(text: str | Text, width: int) -> Text:
    """The text in exactly ``width`` columns where it fits, and as it is where it does not."""
    line = Text.assemble(text)
    line.pad_right(max(0, width - cell_len(line.plain)))
    return line


def heading(text: str) -> Text:
    """A line that something new begins with."""
    return Text(text, "bold")


def faint(text: str) -> Text:
    """What matters less."""
    return Text(text, "dim")


class View(Protocol):
    """How labels are told apart on a terminal."""

    def label(self, name: str) -> Text:
        """A label, as it looks on the page."""
        ...

    def page(self, text: str, marks: Sequence[Mark]) -> Text:
        """A text with its marks, which may overlap."""
        ...


@dataclass(frozen=True, slots=True)
class PlainView:
    """No colours: ``[label: text]``. Where marks overlap, ``]label`` closes one that is not the innermost."""

    def label(self, name: str) -> Text:
        """The name as it is."""
        return Text(visible(name))

    def page(self, text: str, marks: Sequence[Mark]) -> Text:
        """The text with its marks in brackets."""
        shown = Text()
        for segment in segments(text, marks):
            for mark in segment.opening:
                shown.append(f"[{visible(mark.label)}: ")
            shown.append(visible(segment.text))
            still_open = list(segment.covering)
            for mark in segment.closing:
                shown.append("]" if still_open[-1] is mark else f"]{visible(mark.label)} ")
                still_open.remove(mark)
        return shown


@dataclass(frozen=True, slots=True)
class ColourView:
    """Every label has a background of its own and stands, small, behind what it marks.

    ``colours`` are ``#rrggbb`` by label. What several marks cover has the innermost one's colour and a line
    below.
    """

    colours: Mapping[str, str]

    def label(self, name: str) -> Text:
        """The name on its background."""
        return Text(visible(name), self._background(name))

    def page(self, text: str, marks: Sequence[Mark]) -> Text:
        """The text with its marks in colours."""
        shown = Text()
        for segment in segments(text, marks):
            shown.append(visible(segment.text), self._style(segment))
            for mark in segment.closing:
                tag = Style(color=self.colours[mark.label], italic=True)
                shown.append(f"\u2039{visible(mark.label)}\u203a", tag)
        return shown

    def _style(self, segment: Segment[Mark]) -> Style | None:
        if not segment.covering:
            return None
        below = Style(underline=True) if len(segment.covering) > 1 else Style()
        return self._background(segment.covering[-1].label) + below

    def _background(self, label: str) -> Style:
        colour = self.colours[label]
        return Style(color=text_colour_on(colour), bgcolor=colour)


class _Console(Console):
    """Rich's own one would end the process where nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Leaves it to the command."""
        raise BrokenPipeError


def on_terminal(command: Callable[[TextIO], None]) -> int:
    """Runs what writes on standard output; the exit status: 0, or 130 where it was interrupted.

    Raises:
        PreannotationError: as the command does.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command(sys.stdout)
    except BrokenPipeError:
        # The reader, as `head` or `less`, has seen enough; Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.stderr.write("preannotate: interrupted; nothing is kept\n")
        return _INTERRUPTED
    return 0


def console_for(out: TextIO, environment: Mapping[str, str]) -> Console:
    """Colours on a terminal, unless NO_COLOR (no-color.org) is set or the terminal is dumb."""
    found = Console(file=out, _environ=environment)
    colours = None if found.no_color else found.color_system
    return _Console(file=out, color_system=_SYSTEMS.get(colours or ""))


def view_for(console: Console, colours: Mapping[str, str]) -> View:
    """How labels are told apart there; ``colours`` are ``#rrggbb`` by label."""
    return PlainView() if console.color_system is None else ColourView(colours)


def show(console: Console, line: Line) -> None:
    """Writes a line as long as it is: one that was wrapped could not be searched.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    console.print(Text.assemble(line), soft_wrap=True)
