"""How many warm-ups pay. Pure."""

__all__ = ["warm_ups_an_endpoint"]


def warm_ups_an_endpoint(requests: int, endpoints: int, max_in_flight: int, *, each_slot: bool) -> int:
    """How many of the first requests to an endpoint come after a warm-up.

    A warm-up reads what the first page would have to read anyway, so it pays from the second page on: with
    ``each_slot`` (every slot keeps its own cache) for the slots that get a second page, else once for all.
    """
    share = requests // max(1, endpoints)
    if each_slot:
        return min(max_in_flight, max(0, share - max_in_flight))
    return int(share > 1)
