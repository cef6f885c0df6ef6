"""What the tests of more than one folder share."""

import os
import sys
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from preannotation_assets.defs.resources.spark import SparkResource


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The one Spark session of all tests, with two task slots (starting one takes 6 to 8 seconds).

    Resources that are used meanwhile share it and leave it running.
    """
    # Python workers unpickle functions of test modules, which only pytest has on its path.
    search_path = os.pathsep.join(filter(None, sys.path))
    resource = SparkResource(
        master="local[2]", driver_memory="1g", spark_config={"spark.executorEnv.PYTHONPATH": search_path}
    )
    session = resource.spark_session
    yield session
    session.stop()
