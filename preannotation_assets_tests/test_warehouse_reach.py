"""What a view of a DuckDB file can reach: tables and local files, nothing over the network."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import duckdb
import pytest
from shared.http_servers import QuietHandler, serving

from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import WarehouseError

DATASET = "vessels_ocr_1"
PAGE = "page text behind an address"


@dataclass
class Pages:
    """Serves one page whatever is asked for, and counts."""

    plain_url: str = ""
    requests: int = 0

    @property
    def url(self) -> str:
        return f"{self.plain_url}?signature=SECRETMARK"


@pytest.fixture
def pages() -> Iterator[Pages]:
    served = Pages()

    class Handler(QuietHandler):
        def answer(self) -> None:
            served.requests += 1
            self.reply(200, "text/plain", PAGE.encode())

    with serving(Handler) as url:
        served.plain_url = f"{url}/page"
        yield served


@pytest.fixture
def installed_httpfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who has installed the extension that reads over the network."""
    found = util.find_spec("duckdb_extension_httpfs")
    if found is None or found.origin is None:
        pytest.skip("duckdb-extension-httpfs is not installed")
    extension = next(Path(found.origin).parent.rglob("httpfs.duckdb_extension"))
    with duckdb.connect() as connection:
        platform = connection.execute("PRAGMA platform").fetchall()[0][0]
    folder = tmp_path / "home" / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    folder.mkdir(parents=True)
    (folder / extension.name).symlink_to(extension)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return extension


def over(source: str) -> str:
    """A view whose pages are the content of a file or an address."""
    return (
        f"CREATE VIEW vw_argilla_pages AS SELECT '{DATASET}/x' AS doc_id, 1 AS page_num, "
        f"content AS \"text\", sha256(content) AS text_sha256 FROM read_text('{source}')"
    )


def texts(database: Path, **settings: str) -> list[str | None]:
    with WarehouseResource(database=str(database), **settings).open() as source:
        return [row.text for row in source.read_pages(DATASET)]


def test_a_view_reaches_no_address_although_the_extension_is_installed(
    tmp_path: Path, pages: Pages, installed_httpfs: Path
) -> None:
    database = tmp_path / "pages.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"LOAD '{installed_httpfs}'")
        connection.execute(over(pages.url))
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.execute('SELECT "text" FROM vw_argilla_pages').fetchall() == [(PAGE,)]
    pages.requests = 0
    with pytest.raises(WarehouseError, match="the view needs an extension of DuckDB") as caught:
        texts(database)
    assert pages.requests == 0
    assert "SECRETMARK" not in str(caught.value)


def test_a_condition_reaches_no_address_and_is_one_condition(
    tmp_path: Path, pages: Pages, installed_httpfs: Path
) -> None:
    database = tmp_path / "pages.duckdb"
    (tmp_path / "page.txt").write_text("a page", "utf-8")
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS i")
        connection.execute(over(str(tmp_path / "page.txt")))
    before = database.read_bytes()
    with pytest.raises(WarehouseError, match="the pages cannot be read"):
        texts(database, batch_condition=f"doc_id IN (SELECT content FROM read_text('{pages.plain_url}'))")
    for condition in (
        f"true); LOAD httpfs; SELECT 'x', 1, content, 'h' FROM read_text('{pages.plain_url}') WHERE (true",
        f"true); COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'; SELECT (true",
    ):
        with pytest.raises(WarehouseError, match="more than a condition"):
            texts(database, batch_condition=condition)
    assert not (tmp_path / "out.csv").exists()
    assert pages.requests == 0
    assert database.read_bytes() == before


def test_files_of_this_machine_are_read(tmp_path: Path) -> None:
    database, folder = tmp_path / "pages.duckdb", tmp_path / "elsewhere"
    folder.mkdir()
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            f"COPY (SELECT '{DATASET}/x' AS doc_id, 1 AS page_num, 'a page' AS \"text\", "
            f"sha256('a page') AS text_sha256) TO '{folder}/1.parquet'"
        )
        connection.execute(
            f"CREATE VIEW vw_argilla_pages AS SELECT * FROM read_parquet('{folder}/*.parquet')"
        )
    assert texts(database) == ["a page"]


def test_what_comes_with_duckdb_works_in_a_view(tmp_path: Path) -> None:
    database = tmp_path / "pages.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            f"CREATE VIEW vw_argilla_pages AS SELECT '{DATASET}/x' AS doc_id, 1 AS page_num, "
            "json_extract_string('{\"a\": \"b\"}', '$.a') || strftime(timezone('Asia/Karachi', "
            "TIMESTAMPTZ '2026-01-01 00:00:00+00'), ' %H') AS \"text\", 'h' AS text_sha256"
        )
    assert texts(database) == ["b 05"]
