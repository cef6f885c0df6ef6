"""One hash for the code that a process runs, from a folder as from a zip file."""

import subprocess
import sys
import zipfile
from pathlib import Path

import preannotation_assets
from preannotation_assets.package_code import package_code

PACKAGE = Path(preannotation_assets.__file__).parent
PRINT = "from preannotation_assets.package_code import package_code; print(package_code())"


def code_of(place: Path) -> str:
    """What a process says that has the package from there."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        env={"PYTHONPATH": str(place)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


def test_a_zip_file_has_the_code_of_its_folder_and_a_changed_line_has_not(tmp_path: Path) -> None:
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for file in PACKAGE.rglob("*.py"):
            target.write(file, file.relative_to(PACKAGE.parent))
    assert code_of(archive) == package_code()
    with zipfile.ZipFile(archive, "a") as target:
        target.writestr("preannotation_assets/extraction/one_more.py", "LIMIT = 4\n")
    assert code_of(archive) != package_code()
