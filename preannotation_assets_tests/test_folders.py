"""Where a test is found: the folders and files of the tests are those of the package."""

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "preannotation_assets"
# What is tested as a whole: against Argilla's server, in a browser, through the command line, with a real
# model, the lake and its publishing on servers that fail, lakes that earlier code has written, what leaks,
# what any input does, and what the runbook says.
WHOLE = {
    "argilla",
    "canary",
    "deployment",
    "end_to_end",
    "evolution",
    "fuzzing",
    "interface",
    "real_model",
    "runbook",
    "storage_faults",
}


def test_every_folder_of_tests_is_a_folder_of_the_package() -> None:
    folders = {test.parent.relative_to(TESTS) for test in TESTS.rglob("test_*.py")}
    strange = {folder for folder in folders if not (PACKAGE / folder).is_dir()}
    assert {str(folder) for folder in strange} == WHOLE
