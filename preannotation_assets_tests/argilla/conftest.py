"""What Argilla is given: the demo's batch and the label scheme; and where Argilla is."""

import contextlib
import io
import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from shared.signal_handlers import kept_signal_handlers

from preannotation_assets import cli
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.settings import Settings

_PYTHON = Path(__file__).parents[2] / ".venv-argilla" / "bin" / "python"


@pytest.fixture(scope="session")
def scheme() -> LabelScheme:
    return load_label_scheme(Settings.from_environment({}).labels.path)


@pytest.fixture(scope="session")
def argilla_python() -> Path:
    """Of the scope of ``spark``, so that none is started where the tests are skipped."""
    if not _PYTHON.exists():
        said = "there is no .venv-argilla with Argilla's server: make set-up-argilla"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return _PYTHON


@pytest.fixture(scope="session")
def demo_lake(argilla_python: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, run by the command line in this process with the Spark session of all tests."""
    place = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREANNOTATION_", "OLLAMA_"))]:
            patch.delenv(name)
        patch.setenv("PREANNOTATION_DATABASE", str(place / "pages.duckdb"))
        patch.setenv("PREANNOTATION_ROOT", str(place / "lake"))
        patch.setenv("DAGSTER_HOME", str(place / "home"))
        patch.chdir(place)
        with kept_signal_handlers():
            status = cli.main(["demo"])
        assert status == 0
    return place / "lake"


@pytest.fixture(scope="session")
def exported_labels() -> str:
    """What `preannotate labels export` prints of the scheme."""
    printed = io.StringIO()
    with kept_signal_handlers(), contextlib.redirect_stdout(printed):
        status = cli.main(["labels", "export", Settings.from_environment({}).labels.path])
    assert status == 0
    return printed.getvalue()
