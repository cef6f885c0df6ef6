"""The published Parquet as a local file: its rows, and whether contract and manifest fit it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from preannotation_assets.errors import ObjectNotFoundError, VerificationError
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.verification import schema_differences
from preannotation_assets.temporary_folders import temporary_file

__all__ = ["PARQUET_FILE", "downloaded", "rows_of", "sha256_of", "verify_file"]

PARQUET_FILE: Final = "suggestions.parquet"
"""What a local copy is called."""

_BATCH_ROWS: Final = 5_000
_AGAIN: Final = "materialize suggestions again"


@contextmanager
def downloaded(store: ObjectStore, layout: DatasetLayout, manifest: SuggestionsManifest) -> Iterator[Path]:
    """Lends the published Parquet as a temporary file; it is the object that its manifest names.

    Raises:
        VerificationError: it is missing, or another than the manifest names.
        StorageError: the lake fails.
    """
    with temporary_file(PARQUET_FILE) as path:
        try:
            stat = store.download(layout.published_suggestions, path)
        except ObjectNotFoundError:
            raise VerificationError(f"the published Parquet of {layout.dataset} is missing", _AGAIN) from None
        if stat.etag != manifest.parquet_etag:
            raise VerificationError(
                f"the manifest of {layout.dataset} does not name the published Parquet", _AGAIN
            )
        yield path


def rows_of(path: Path, dataset: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of the published Parquet of a dataset with these columns; 5,000 are held at a time.

    Raises:
        VerificationError: it cannot be read, or has other columns than the contract.
    """
    with _opened(path, dataset) as file:
        # A reader of several row groups keeps what it has read of each to the end.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=list(columns)):
                yield from batch.to_pylist()


def verify_file(path: Path, manifest: SuggestionsManifest) -> None:
    """Makes sure that the file is the one that its manifest names, before its rows are read.

    Raises:
        VerificationError: it cannot be read, has other columns than the contract, or another number of rows
            or another hash than the manifest says.
    """
    with _opened(path, manifest.dataset) as file:
        rows = file.metadata.num_rows
    if rows != manifest.rows or sha256_of(path) != manifest.content_hash:
        raise VerificationError(
            f"the manifest of {manifest.dataset} has other rows or another hash than the published Parquet",
            _AGAIN,
        )


@contextmanager
def _opened(path: Path, dataset: str) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            differences = schema_differences(file.schema_arrow)
            if differences:
                raise VerificationError(
                    f"the published Parquet of {dataset} breaks the contract",
                    f"{'; '.join(differences)}; {_AGAIN}",
                )
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        # Not chained: what they say may quote the file.
        raise VerificationError(f"the published object of {dataset} is no readable Parquet", _AGAIN) from None


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
