"""Debian's Chromium, for tests that look at pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

__all__ = ["WAIT_MILLISECONDS", "open_chromium"]

WAIT_MILLISECONDS: Final = 120_000
"""Longer than the sensor waits for a locked database, and than a page takes to be drawn on a busy machine."""

_CHROMIUM: Final = Path("/usr/bin/chromium")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def open_chromium(host_rules: str) -> Iterator[Browser]:
    """A browser to which names of hosts mean what ``host_rules`` say; skips where there is none.

    While it runs, nobody can call ``asyncio.run``.
    """
    if not _CHROMIUM.exists():
        pytest.skip(f"there is no {_CHROMIUM}: install Debian's package chromium")
    expect.set_options(timeout=WAIT_MILLISECONDS)
    flags = [*_FLAGS, f"--host-resolver-rules={host_rules}"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_CHROMIUM, args=flags)
        yield chromium
        chromium.close()
