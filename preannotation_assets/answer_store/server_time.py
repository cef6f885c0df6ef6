"""What of its time a server gave to each request, by when the answers in the store came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from preannotation_assets.answer_store.index import IndexedAnswer
from preannotation_assets.contracts import ANSWERS
from preannotation_assets.lake import ObjectStore, read_table_as

__all__ = ["read_server_seconds", "shared_seconds"]

_COLUMNS: Final = ("request_key", "endpoint", "answered_at", "latency_seconds", "queue_seconds")
_MICROSECONDS: Final = 1e6


def shared_seconds(began: npt.NDArray[np.float64], ended: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each request's share of one server's time: a moment is shared alike by the requests of that moment.

    Together the shares are the time in which the server had any request. All are seconds.
    """
    moments, place = np.unique(np.concatenate([began, ended]), return_inverse=True)
    if moments.size <= 1:
        return np.zeros_like(began)
    starts, ends = place[: began.size], place[began.size :]
    changes = np.bincount(starts, minlength=moments.size) - np.bincount(ends, minlength=moments.size)
    at_work = np.cumsum(changes)[:-1]
    each = np.where(at_work > 0, np.diff(moments) / np.maximum(at_work, 1), 0.0)
    until = np.concatenate([[0.0], np.cumsum(each)])
    shares: npt.NDArray[np.float64] = until[ends] - until[starts]
    return shares


def read_server_seconds(
    store: ObjectStore, folder: str, wanted: Mapping[str, IndexedAnswer]
) -> dict[str, float]:
    """What the servers gave to the ``wanted`` answers, by request key; those of unknown times are left out.

    All of the store's answers are looked at, because they shared the servers with these. A request is at a
    server from its sending to the last byte, without what it waited there for a slot; of a request that was
    sent several times, the last time counts.

    Raises:
        StorageError: the answer store cannot be read.
    """
    requests: dict[str, _Requests] = {}
    for entry in store.list(f"{folder}/"):
        table = read_table_as(store, entry.key, ANSWERS, _COLUMNS)
        ended = table["answered_at"].cast("int64").to_pylist()
        for row, at in zip(table.drop_columns(["answered_at"]).to_pylist(), ended, strict=True):
            if row["endpoint"] is None or row["latency_seconds"] is None:
                continue
            answer = wanted.get(row["request_key"])
            is_wanted = answer is not None and (answer.file, answer.answered_at) == (entry.key, at)
            busy = max(0.0, row["latency_seconds"] - (row["queue_seconds"] or 0.0))
            of_server = requests.setdefault(row["endpoint"], _Requests({}, [], []))
            if is_wanted:
                of_server.places[row["request_key"]] = len(of_server.ended)
            of_server.ended.append(at / _MICROSECONDS)
            of_server.began.append(at / _MICROSECONDS - busy)
    found: dict[str, float] = {}
    for each in requests.values():
        shares = shared_seconds(np.array(each.began), np.array(each.ended))
        found |= {key: float(shares[place]) for key, place in each.places.items()}
    return found


@dataclass(slots=True)
class _Requests:
    """When the requests to a server began and ended; ``places`` are those of the wanted ones among them."""

    places: dict[str, int]
    began: list[float]
    ended: list[float]
