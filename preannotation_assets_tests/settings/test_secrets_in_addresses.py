import pytest
from read_settings import read

from preannotation_assets.errors import SettingsError


@pytest.mark.parametrize(
    "variables",
    [
        {"OLLAMA_HOST": "http://user:hunter2@gpu:11434"},
        {"OLLAMA_HOST": "user:hunter2@gpu"},
        {"OLLAMA_HOST": "http://hunter2@gpu"},
        {"OLLAMA_HOST": "http://user:hunter2@[gpu"},
        {"OLLAMA_HOST": "https://gpu/?key=hunter2"},
        {"OLLAMA_HOST": "https://gpu/#hunter2"},
        {"PREANNOTATION_OLLAMA_ENDPOINTS": "gpu1,hunter2:x@gpu2"},
        {"PREANNOTATION_DATABASE": "md:ocr?MotherDuck_Token=hunter2"},
        {"AWS_ENDPOINT_URL": "http://user:hunter2@s3:9000"},
        {"AWS_ENDPOINT_URL_S3": "http://user:hunter2@[s3"},
        {"AWS_ENDPOINT_URL": "https://h/?k=hunter2"},
        {"AWS_ENDPOINT_URL": "https://h/#hunter2"},
        {"PREANNOTATION_ROOT": "s3://key:hunter2@bucket"},
        {"PREANNOTATION_ROOT": "s3://key:hun/ter2@bucket/prefix"},
        {"PREANNOTATION_ROOT": "s3://key:hunter2"},
        {"PREANNOTATION_ROOT": "s3://bucket/prefix?secret=hunter2"},
        {"PREANNOTATION_ROOT": "https://key:hunter2@minio/bucket"},
        {"PREANNOTATION_SPARK_MASTER": "spark://u:hunter2@h:7077"},
        {"PREANNOTATION_SPARK_MASTER": "spark://u:hun/ter2@h:7077"},
        {"PREANNOTATION_SPARK_MASTER": "k8s://https://h:443?token=hunter2"},
        {"PREANNOTATION_SPARK_CONFIG": "spark.hadoop.fs.s3a.secret.key=hunter2"},
        {"PREANNOTATION_SPARK_CONFIG": '{"spark.ssl.keyPassword": "hunter2"}'},
        {"PREANNOTATION_SPARK_CONFIG": "spark.jars.repositories=https://u:hunter2@h/m2"},
        {"PREANNOTATION_DATABASE": "md:ocr?motherduck_token%3Dhunter2"},
        {"PREANNOTATION_DATABASE": "md:ocr?x=hunter2"},
        {"PREANNOTATION_DATABASE": "md:eyJhbGciOiJI.hunter2.x"},
        {"PREANNOTATION_DATABASE": "postgres://u:hunter2@h/db"},
        {"PREANNOTATION_DATABASE": "https://h/pages.duckdb?X-Amz-Signature=hunter2"},
        {"PREANNOTATION_LABELS": "https://u:hunter2@h/labels.yaml"},
        {"PREANNOTATION_LABELS": "https://h/labels.yaml?access_token=hunter2"},
        {"PREANNOTATION_MODEL": "https://u:hunter2@h/model"},
        {"AWS_REGION": "https://u:hunter2@h"},
    ],
)
def test_a_secret_in_an_address_is_refused_without_repeating_it(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**variables)
    assert "hunter2" not in repr(raised.value)
    assert raised.value.cure
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    "variables",
    [
        {"PREANNOTATION_ROOT": "s3://bucket/some/prefix"},
        {"PREANNOTATION_ROOT": "file:///data/a@b#c"},
        {"PREANNOTATION_ROOT": "/data/user@host?/lake"},
        {"PREANNOTATION_SPARK_MASTER": "k8s://https://h:443"},
        {"PREANNOTATION_SPARK_MASTER": "spark://h1:7077,h2:7077"},
        {"PREANNOTATION_SPARK_MASTER": "local-cluster[2,1,1024]"},
        {"PREANNOTATION_SPARK_CONFIG": "spark.kubernetes.authenticate.submission.oauthTokenFile=/run/t"},
        {"PREANNOTATION_DATABASE": "md:"},
        {"PREANNOTATION_DATABASE": "md:my_raw-ocr"},
        {"PREANNOTATION_DATABASE": "/data/a@b.duckdb"},
        {"AWS_ENDPOINT_URL": "https://minio:9000/path"},
        {"PREANNOTATION_MODEL": "hf.co/someone/model@main"},
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_taken(variables: dict[str, str]) -> None:
    read(**variables)


def test_secrets_are_no_settings() -> None:
    secrets = {
        name: f"hunter2-{name}"
        for name in (
            "motherduck_token", "CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET", "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        )
    }  # fmt: skip
    assert read(**secrets) == read()
    assert "hunter2" not in repr(read(**secrets))
