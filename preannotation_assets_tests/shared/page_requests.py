"""What a stand-in was asked about pages."""

from preannotation_assets.simulator import RequestRecord, RunningSimulator

__all__ = ["page_requests"]


def page_requests(simulator: RunningSimulator) -> list[RequestRecord]:
    """The requests that had a page in them; a load has none, a warm-up is answered with one token."""
    return [
        record for record in simulator.requests() if not record.is_load_only and record.output_tokens != 1
    ]
