"""What stands on a terminal after what was written to it."""

import io
import re
from typing import Final

__all__ = ["Terminal"]

_CONTROL: Final = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """A terminal without end, so that nothing that was written scrolls away, and of any width."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """As a terminal says."""
        return True

    def lines(self) -> list[str]:
        """What stands there, by the sequences that Rich uses; any other fails."""
        rows, row, column = [""], 0, 0
        for parameters, command, control, text in _CONTROL.findall(self.getvalue()):
            if control == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif control == "\r":
                column = 0
            elif text:
                rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
                column += len(text)
            elif command == "A":
                row -= int(parameters or 1)
            elif command == "K":
                assert parameters == "2"
                rows[row] = ""
            else:
                assert (command, parameters) in {("h", "?25"), ("l", "?25")} or command == "m"
        return [line.rstrip() for line in rows]
