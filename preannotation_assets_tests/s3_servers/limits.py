"""How long the tests wait for a server of the tests."""

from typing import Final

from preannotation_assets.lake import RequestLimits

__all__ = ["PATIENT", "QUICK"]

PATIENT: Final = RequestLimits(connect_timeout=2.0, read_timeout=10.0, max_attempts=3)

QUICK: Final = RequestLimits(connect_timeout=2.0, read_timeout=10.0, max_attempts=1)
"""One attempt: what a test makes fail is told at once."""
