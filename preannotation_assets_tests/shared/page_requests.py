"""What a stand-in was asked about pages."""

from preannotation_assets.simulator import RequestRecord, RunningSimulator

__all__ = ["page_requests"]


def page_requests(simulator: RunningSimulator) -> list[RequestRecord]:
    """The requests that had a page in them: no load, and no warm-up, which is cut off behind one token."""
    return [record for record in simulator.requests() if not (record.is_load_only or _is_warm_up(record))]


def _is_warm_up(record: RequestRecord) -> bool:
    return record.done_reason == "length" and record.output_tokens == 1
