"""The SQL of the contract's page runs, and says what the page says."""

import io
import re
from importlib import util
from pathlib import Path

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from preannotation_assets.contracts import SUGGESTIONS, span_id
from preannotation_assets.extraction.pages import text_sha256

PAGE = Path(__file__).parents[1] / "sql" / "motherduck" / "PREANNOTATION_SCHEMA.md"
TEXT = "M/V é𝔊olden 😀 HORIZON"


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_table_of_columns_is_the_schema_in_the_same_order(blocks: list[str]) -> None:
    section = PAGE.read_text("utf-8").split("## Out: `<root>")[1].split("## Out:")[0]
    documented = re.findall(r"^\| (\w+) \| ([\w ]+?)(?: \(.*?\))? \| (yes|no) \|", section, re.MULTILINE)
    names = {"string": pa.string(), "int32": pa.int32(), "float": pa.float32()}
    columns = [
        (name, names.get(kind, pa.timestamp("us", tz="UTC")), null == "yes")
        for name, kind, null in documented
    ]
    assert columns == [(column.name, column.type, column.nullable) for column in SUGGESTIONS]


def test_the_views_work_on_a_local_file_and_find_stale_pages(
    blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table_view, hashing_view, suggestions_view, stale_query = blocks
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE ocr_pages (doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
    )
    connection.execute("INSERT INTO ocr_pages VALUES ('d/1', 1, ?, ?)", [TEXT, text_sha256(TEXT)])
    connection.execute(
        "INSERT INTO ocr_pages VALUES ('d/2', 1, ?, ?)", ["now " + TEXT, text_sha256("now " + TEXT)]
    )
    for view in (table_view, hashing_view):
        connection.execute(view)
        hashes = connection.execute("SELECT text_sha256 FROM vw_argilla_pages ORDER BY doc_id").fetchall()
        assert hashes == [(text_sha256(TEXT),), (text_sha256("now " + TEXT),)]

    folder = tmp_path / "data/lake/argilla/in/vessels_ocr_d/suggestions"
    folder.mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist([_row("d/1"), _row("d/2")], schema=SUGGESTIONS), folder / "suggestions.parquet"
    )
    connection.execute(suggestions_view)
    assert connection.execute("SELECT DISTINCT dataset FROM vw_preannotation_suggestions").fetchall() == [
        ("vessels_ocr_d",)
    ]
    # The way to cut a span out in SQL that the page gives.
    cut = connection.execute(
        """SELECT substring(page.text, start + 1, "end" - start) = suggestion.text
        FROM vw_preannotation_suggestions AS suggestion JOIN vw_argilla_pages AS page USING (doc_id, page_num)
        WHERE doc_id = 'd/1'"""
    ).fetchall()
    assert cut == [(True,)]
    assert connection.execute(stale_query).fetchall() == [("vessels_ocr_d", "d/2", 1, 1)]


@pytest.mark.server
def test_the_view_of_suggestions_works_on_s3(blocks: list[str]) -> None:
    found = util.find_spec("duckdb_extension_httpfs")
    assert found is not None
    assert found.origin is not None
    extension = next(Path(found.origin).parent.rglob("httpfs.duckdb_extension"))
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([_row("d/1"), _row("d/2")], schema=SUGGESTIONS), content)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        session = boto3.session.Session("testing", "not-a-secret", region_name="us-east-1")
        client = session.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="lake")
        for dataset in ("vessels_ocr_1", "vessels_ocr_10"):
            folder = f"some/prefix/argilla/in/{dataset}/suggestions"
            client.put_object(Bucket="lake", Key=f"{folder}/suggestions.parquet", Body=content.getvalue())
            client.put_object(Bucket="lake", Key=f"{folder}/_manifest.json", Body=b"{}")
        connection = duckdb.connect()
        connection.execute(f"LOAD '{extension}'")
        connection.execute(
            "CREATE SECRET (TYPE s3, KEY_ID 'testing', SECRET 'not-a-secret', REGION 'us-east-1', "
            f"ENDPOINT '{host}:{port}', URL_STYLE 'path', USE_SSL false)"
        )
        view = blocks[2].replace("'data/lake/", "'s3://lake/some/prefix/")
        assert view != blocks[2]
        connection.execute(view)
        counted = connection.execute(
            "SELECT dataset, count(*), min(text) FROM vw_preannotation_suggestions GROUP BY 1 ORDER BY 1"
        )
        assert counted.fetchall() == [("vessels_ocr_1", 2, "HORIZON"), ("vessels_ocr_10", 2, "HORIZON")]
    finally:
        server.stop()


def _row(doc_id: str) -> dict[str, object]:
    start, end = TEXT.index("HORIZON"), len(TEXT)
    return {
        "doc_id": doc_id,
        "page_num": 1,
        "span_id": span_id(doc_id, 1, start, end, "vessel_name"),
        "label": "vessel_name",
        "start": start,
        "end": end,
        "text": TEXT[start:end],
        "text_sha256": text_sha256(TEXT),
        "confidence": None,
        "model": "m",
        "model_version": "v",
        "generated_at": 0,
    }
