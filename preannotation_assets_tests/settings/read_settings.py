"""Settings as an environment has them, and one of each that is not the default."""

from preannotation_assets.model_servers.stream_choice import StreamChoice
from preannotation_assets.settings import (
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    LabelSettings,
    OllamaSettings,
    OpenAISettings,
    PublishingSettings,
    ServerChoice,
    ServerKind,
    Settings,
    SparkSettings,
    StorageSettings,
    WarehouseSettings,
    WatchingSettings,
)
from preannotation_assets.settings.cascade import CascadeSettings
from preannotation_assets.settings.evaluating import EvaluatingSettings
from preannotation_assets.settings.publishing import BelowThreshold

__all__ = ["EVERY_SETTING", "EVERY_VARIABLE", "read"]


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


EVERY_VARIABLE = {
    "PREANNOTATION_DATABASE": "md:ocr",
    "PREANNOTATION_BATCH_CONDITION": "doc_id LIKE $dataset",
    "PREANNOTATION_DATASET_PATTERN": r"^(\p{L}+)_",
    "PREANNOTATION_MEMORY_LIMIT": "2.5GB",
    "PREANNOTATION_SENSOR_SECONDS": "300",
    "PREANNOTATION_SENSOR_LISTING_SECONDS": "7200",
    "PREANNOTATION_STILL_SECONDS": "0",
    "PREANNOTATION_SENSOR_MOST_RUNS": "3",
    "PREANNOTATION_ROOT": "s3://bucket/some/prefix",
    "AWS_ENDPOINT_URL": "http://all:1",
    "AWS_ENDPOINT_URL_S3": "http://s3:9000",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "not-used",
    "PREANNOTATION_PAGES_A_PART": "1000",
    "PREANNOTATION_LABELS": "/labels.yaml",
    "PREANNOTATION_SERVER": "openai",
    "PREANNOTATION_SERVER_URLS": "http://gpu1:8000/v1, https://gpu2/api/v1/,gpu1,http://gpu1:8000",
    "PREANNOTATION_SERVER_REVISION": "org/weights:4f2a",
    "PREANNOTATION_OLLAMA_ENDPOINTS": "gpu1, http://gpu2:80/ ,gpu1:11434,",
    "OLLAMA_HOST": "not-used",
    "PREANNOTATION_STREAM": "always",
    "PREANNOTATION_MODEL": "qwen3:32b",
    "PREANNOTATION_NUM_CTX": "16384",
    "PREANNOTATION_NUM_PREDICT": "1000",
    "PREANNOTATION_KEEP_ALIVE": "-1m",
    "PREANNOTATION_SECOND_PASS_BELOW": "0.55",
    "PREANNOTATION_SELF_REPORTED": "yes",
    "PREANNOTATION_CASCADE_MODEL": "qwen3:4b",
    "PREANNOTATION_CASCADE_THRESHOLD": "0.85",
    "PREANNOTATION_CASCADE_DOUBTS": "empty, disagreement",
    "PREANNOTATION_CASCADE_CALIBRATION": "fedcba9876543210",
    "PREANNOTATION_CASCADE_URLS": "http://gpu3:8000/v1",
    "PREANNOTATION_CASCADE_REVISION": "org/small:1b",
    "PREANNOTATION_CHUNK_TOKENS": "4000",
    "PREANNOTATION_OVERLAP_TOKENS": "0",
    "PREANNOTATION_TEMPERATURE": "0.4",
    "PREANNOTATION_SEED": "7",
    "PREANNOTATION_MAX_IN_FLIGHT": "7",
    "PREANNOTATION_MIN_IN_FLIGHT": "2",
    "PREANNOTATION_ATTEMPTS": "9",
    "PREANNOTATION_FIRST_BACKOFF": ".5",
    "PREANNOTATION_MAX_FAILURE_RATE": "1",
    "PREANNOTATION_READ_TIMEOUT": "60",
    "PREANNOTATION_SHORTEST_TIMEOUT": "30.5",
    "PREANNOTATION_FLUSH_SECONDS": "0.2",
    "PREANNOTATION_MOST_ROWS_LOST": "0.25",
    "PREANNOTATION_CALIBRATION": "0123456789abcdef",
    "PREANNOTATION_BELOW_THRESHOLD": "held_back",
    "PREANNOTATION_GOLD": "majority",
    "PREANNOTATION_ACTION_COSTS": "add=3",
    "PREANNOTATION_BOOTSTRAP_SAMPLES": "200",
    "PREANNOTATION_SPARK_MASTER": "spark://m:7077",
    "PREANNOTATION_DRIVER_MEMORY": "900m",
    "PREANNOTATION_PERMIT_PORT": "7140",
    "PREANNOTATION_SPARK_CONFIG": "spark.a=1, spark.b = x=y",
}

EVERY_SETTING = Settings(
    warehouse=WarehouseSettings(
        database="md:ocr",
        batch_condition="doc_id LIKE $dataset",
        dataset_pattern=r"^(\p{L}+)_",
        memory_limit="2.5GB",
    ),
    watching=WatchingSettings(
        sensor_seconds=300, sensor_listing_seconds=7200, still_seconds=0, sensor_most_runs=3
    ),
    storage=StorageSettings(
        root="s3://bucket/some/prefix",
        endpoint_url="http://s3:9000",
        region="eu-central-1",
        pages_a_part=1000,
    ),
    labels=LabelSettings(path="/labels.yaml"),
    server_choice=ServerChoice(server=ServerKind.openai),
    ollama=OllamaSettings(endpoints=["http://gpu1:11434", "http://gpu2:80"], keep_alive="-1m"),
    openai=OpenAISettings(endpoints=["http://gpu1:8000", "https://gpu2/api"], revision="org/weights:4f2a"),
    generation=GenerationSettings(
        model="qwen3:32b",
        num_ctx=16384,
        num_predict=1000,
        temperature=0.4,
        seed=7,
        second_pass_below=0.55,
        self_reported=True,
    ),
    cascade=CascadeSettings(
        model="qwen3:4b",
        threshold=0.85,
        doubts=["empty", "disagreement"],
        calibration="fedcba9876543210",
        endpoints=["http://gpu3:8000/v1"],
        revision="org/small:1b",
    ),
    chunking=ChunkingSettings(chunk_tokens=4000, overlap_tokens=0),
    asking=AskingSettings(
        max_in_flight=7,
        stream=StreamChoice.always,
        min_in_flight=2,
        attempts=9,
        first_backoff=0.5,
        max_failure_rate=1.0,
        read_timeout=60.0,
        shortest_timeout=30.5,
        flush_seconds=0.2,
    ),
    publishing=PublishingSettings(
        calibration="0123456789abcdef", below_threshold=BelowThreshold.held_back, most_rows_lost=0.25
    ),
    evaluating=EvaluatingSettings(gold="majority", action_costs="add=3", bootstrap_samples=200),
    spark=SparkSettings(
        master="spark://m:7077",
        driver_memory="900m",
        permit_port=7140,
        spark_config={"spark.a": "1", "spark.b": "x=y"},
    ),
)
