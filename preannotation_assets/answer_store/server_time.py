"""What of its time a server gave to each request, by when the answers in the store came."""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from preannotation_assets.answer_store.index import IndexedAnswer
from preannotation_assets.contracts import ANSWERS
from preannotation_assets.lake import ObjectStore, read_table_as

__all__ = ["read_server_seconds", "shared_seconds"]

_COLUMNS: Final = ("endpoint", "answered_at", "latency_seconds", "queue_seconds")
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
    tables, first_rows, rows = [], dict[str, int](), 0
    for entry in store.list(f"{folder}/"):
        tables.append(read_table_as(store, entry.key, ANSWERS, _COLUMNS))
        first_rows[entry.key] = rows
        rows += tables[-1].num_rows
    if not tables:
        return {}
    seconds = _seconds_of_all(pa.concat_tables(tables))
    found = {key: float(seconds[first_rows[answer.file] + answer.row]) for key, answer in wanted.items()}
    return {key: value for key, value in found.items() if not math.isnan(value)}


def _seconds_of_all(requests: pa.Table) -> npt.NDArray[np.float64]:
    """The shares of all requests in their order; nan where it is not known when, or where, they were."""
    ended = requests["answered_at"].cast(pa.int64()).to_numpy() / _MICROSECONDS
    taken = requests["latency_seconds"].to_numpy()
    waited = pc.fill_null(requests["queue_seconds"], 0.0).to_numpy()
    began = ended - np.maximum(0.0, taken - waited)
    servers = pc.fill_null(pc.dictionary_encode(requests["endpoint"].combine_chunks()).indices, -1).to_numpy()
    seconds = np.full(requests.num_rows, np.nan)
    for server in np.unique(servers[servers >= 0]):
        own = (servers == server) & ~np.isnan(taken)
        seconds[own] = shared_seconds(began[own], ended[own])
    return seconds
