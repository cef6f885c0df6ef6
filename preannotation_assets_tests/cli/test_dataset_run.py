from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult, in_process_executor, job, op

from preannotation_assets.cli import dataset_run
from preannotation_assets.errors import RunStoppedError, SettingsError, StorageError


class ForeignError(Exception):
    pass


# A class of somebody else's with the name of one of ours.
ForeignStorageError = type("StorageError", (Exception,), {"__module__": "some.library"})


def result_of(error: BaseException) -> ExecuteInProcessResult:
    @op
    def fails() -> None:
        raise error

    @job(executor_def=in_process_executor)
    def failing() -> None:
        fails()

    with DagsterInstance.ephemeral() as instance:
        return failing.execute_in_process(instance=instance, raise_on_error=False)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StorageError("the lake is dry: CODE", "wait for rain"), "the lake is dry: CODE: wait for rain"),
        (SettingsError("a\n b", "c"), "a b: c"),
        (ForeignError("CONFIDENTIAL"), "fails failed with ForeignError; run"),
        (ForeignStorageError("CONFIDENTIAL"), "fails failed with StorageError; run"),
        (ValueError("preannotation_assets.errors.X: CONFIDENTIAL"), "fails failed with ValueError; run"),
        (RunStoppedError("stopped", "start it again"), "stopped: start it again"),
    ],
)
def test_only_our_own_errors_are_repeated(error: Exception, told: str) -> None:
    said = dataset_run._failure(result_of(error))
    assert said.startswith(told)
    assert "CONFIDENTIAL" not in said
    assert "\n" not in said


def test_an_error_that_was_caused_by_another_is_told_without_it() -> None:
    error = StorageError("the lake is dry")
    error.__cause__ = ValueError("CONFIDENTIAL")
    assert dataset_run._failure(result_of(error)) == "the lake is dry"


@pytest.mark.parametrize(("error", "interrupted"), [(KeyboardInterrupt(), True), (ValueError(), False)])
def test_an_interruption_is_told_from_a_failure(error: BaseException, interrupted: bool) -> None:
    result = result_of(error)
    assert not result.success
    assert dataset_run._was_interrupted(result) is interrupted


def test_checks_that_failed_with_an_error_fail_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    class Evaluation:
        def __init__(self, name: str, passed: bool, severity: str) -> None:
            self.check_name, self.passed, self.description = name, passed, f"what {name} means"
            self.severity = type("Severity", (), {"value": severity})()

    def passed(*evaluations: Evaluation) -> bool:
        result: Any = type("Result", (), {"get_asset_check_evaluations": lambda self: evaluations})()
        return dataset_run._checks_passed(result)

    assert passed()
    assert passed(Evaluation("a", True, "ERROR"), Evaluation("b", False, "WARN"))
    assert not passed(Evaluation("offsets", False, "ERROR"), Evaluation("b", True, "ERROR"))
    assert capsys.readouterr().err.splitlines()[-1] == (
        "preannotate: check offsets failed (ERROR): what offsets means"
    )
