import subprocess
import sys
from pathlib import Path

from preannotation_assets.settings import Settings
from preannotation_assets.settings.fields import settings_of
from preannotation_assets.settings.table import TABLE_BEGINS, TABLE_ENDS, settings_table

ROOT = Path(__file__).parents[2]


def test_the_readme_has_the_table_that_the_definitions_give() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    _, _, rest = readme.partition(TABLE_BEGINS)
    table, end, _ = rest.partition(TABLE_ENDS)
    assert end
    assert table == settings_table(), "print it with python -m preannotation_assets.settings"


def test_the_program_prints_the_table() -> None:
    program = [sys.executable, "-m", "preannotation_assets.settings"]
    assert (
        subprocess.run(program, capture_output=True, text=True, check=True, timeout=60).stdout
        == settings_table()
    )


def test_every_variable_has_one_row_of_three_cells() -> None:
    rows = [line for line in settings_table().splitlines() if line.startswith("| `")]
    for setting in settings_of(Settings):
        assert setting.field.description
        names = ", ".join(f"`{variable}`" for variable in setting.variables)
        assert len([row for row in rows if row.startswith(f"| {names} |")]) == 1
    assert all(row.count("|") - row.count(r"\|") == 4 for row in rows)


def test_settings_are_light_to_import() -> None:
    program = (
        "import sys, preannotation_assets.settings; print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"dagster", "pyspark", "boto3", "pyarrow", "duckdb", "httpx", "numpy"}
    assert not heavy & set(done.stdout.split())
