"""What a failing run says on the console."""

import pytest
from dagster import AssetExecutionContext, Definitions, asset, define_asset_job

from preannotation_assets.defs.console import console_logger


def test_steps_that_are_skipped_are_not_told_one_by_one(capfd: pytest.CaptureFixture[str]) -> None:
    @asset
    def first(context: AssetExecutionContext) -> None:
        context.log.info("a line of ours")
        raise ValueError

    @asset(deps=[first])
    def second() -> None: ...

    @asset(deps=[second])
    def third() -> None: ...

    job = Definitions(
        [first, second, third], jobs=[define_asset_job("all")], loggers={"console": console_logger}
    ).resolve_job_def("all")
    assert not job.execute_in_process(raise_on_error=False, run_config={"loggers": {"console": {}}}).success
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["first: a line of ours"]
