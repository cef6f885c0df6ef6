"""The exceptions of the package: what is wrong and what to do, in one line.

Every exception takes a ``problem`` and, where there is one, a ``cure``; both are plain strings made
of ids, names and numbers. Page text, quotes, model answers and secrets never go into them. They hold
no other state, so they can be pickled between Spark's processes.

What a library's exception says stays behind, because it may quote what it was given: ours are raised ``from
None``, and never show what was being handled when they were raised.
"""

from typing import ClassVar, NoReturn

from preannotation_assets.visible_text import visible

__all__ = [
    "AccessDeniedError",
    "BatchError",
    "ConditionalWritesError",
    "ConflictError",
    "DamagedObjectError",
    "DriverLostError",
    "EndpointError",
    "InferenceError",
    "LabelSchemeError",
    "ModelError",
    "ObjectNotFoundError",
    "PreannotationError",
    "RowsLostError",
    "RunStoppedError",
    "RuntimeMissingError",
    "SettingsError",
    "StorageError",
    "VerificationError",
    "WarehouseError",
]


class PreannotationError(Exception):
    """Base of every exception this package raises on purpose.

    ``code`` is a stable, machine-readable name of the kind of failure.
    """

    code: ClassVar[str] = "preannotation"

    def __init__(self, problem: str, cure: str = "") -> None:
        # Ids and names in them come from outside, and a terminal or a log shows them.
        self.problem, self.cure = visible(problem), visible(cure)
        super().__init__(self.problem, self.cure)
        # Dagster stores what an exception was raised in, as a traceback shows it.
        self.__suppress_context__ = True

    def __str__(self) -> str:
        return f"{self.problem}: {self.cure}" if self.cure else self.problem

    def raise_alone(self) -> NoReturn:
        """Raises it without the exception that is being handled, which may quote page text or secrets.

        ``from None`` keeps that one as the context, hidden from tracebacks but not from who walks the chain.
        """
        try:
            raise self from None
        finally:
            self.__context__ = None


class SettingsError(PreannotationError):
    """A setting is missing, malformed or contradicts another."""

    code = "settings"


class RuntimeMissingError(PreannotationError):
    """Something the machine must have (Java, a package) is not there."""

    code = "runtime_missing"


class LabelSchemeError(PreannotationError):
    """The label scheme cannot be read or is not valid."""

    code = "label_scheme"


class WarehouseError(PreannotationError):
    """The pages cannot be read: database, view, column or type."""

    code = "warehouse"


class BatchError(PreannotationError):
    """The dataset is unknown, empty, or not materialized as far as is needed."""

    code = "batch"


class StorageError(PreannotationError):
    """The object store refuses, fails, or cannot be reached."""

    code = "storage"


class ObjectNotFoundError(StorageError):
    """There is no object under that key."""

    code = "object_not_found"


class DamagedObjectError(StorageError):
    """An object is there and is not what belongs under its key; the store itself works."""

    code = "damaged_object"


class ConflictError(StorageError):
    """Somebody else wrote the object first, or while it was read."""

    code = "conflict"


class InferenceError(PreannotationError):
    """Asking the model cannot go on."""

    code = "inference"


class EndpointError(InferenceError):
    """A model server cannot be reached, or does not speak the protocol it should."""

    code = "endpoint"


class AccessDeniedError(InferenceError):
    """A login page, 401 or 403 stands before the endpoint: retrying cannot help."""

    code = "access_denied"


class ModelError(InferenceError):
    """The model is missing, may not be used, or changed under the run."""

    code = "model"


class RunStoppedError(InferenceError):
    """The driver hands out no more permits; what was answered is kept."""

    code = "run_stopped"


class DriverLostError(RunStoppedError):
    """A task has lost the driver, which may be alive and out of its reach only."""

    code = "driver_lost"


class ConditionalWritesError(StorageError):
    """The object store lacks conditional writes, or half of them: no run can hold a dataset or publish."""

    code = "conditional_writes"


class VerificationError(PreannotationError):
    """Rows about to be published, or already published, break the contract."""

    code = "verification"


class RowsLostError(PreannotationError):
    """A publication would take away more of the rows before than is allowed; what was published stays."""

    code = "rows_lost"
