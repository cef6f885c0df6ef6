"""The next release on the lake of this one: stages are made anew where the code decides, nobody is asked."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from end_to_end.user_place import DATASET, PAGES, Place, asked, make_place
from preannotation_assets import cli
from preannotation_assets.simulator import RunningSimulator


def release(folder: Path, changes: Mapping[str, tuple[str, str]]) -> Path:
    """A copy of the package with changes: a file to the text in it that is replaced, and what with."""
    package = folder / "preannotation_assets"
    shutil.copytree(Path(cli.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changes.items():
        source = (package / name).read_text("utf-8")
        assert source.count(old) == 1
        (package / name).write_text(source.replace(old, new), "utf-8")
    return folder


def stage_versions(place: Place) -> Mapping[str, str]:
    work = place.lake / "argilla" / "work" / DATASET
    return {file.parent.name: file.read_text("utf-8") for file in work.glob("*/manifest.json")}


def test_a_new_column_is_published_and_a_refactoring_is_not(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", {"plain": PAGES["plain"], "crlf": PAGES["crlf"]}, simulator.url)
    simulator.reset()
    assert preannotate(place, "run", DATASET)[0] == 0
    before, questions = pq.read_table(place.parquet), asked(simulator)
    assert before.num_rows > 0
    stages = stage_versions(place)

    last = '        _required("generated_at", _INSTANT),\n'
    wider = {"contracts.py": (last, f'{last}        pa.field("note", pa.string()),\n')}
    ended = place.run("run", DATASET, source=release(tmp_path / "wider", wider))
    # All checks are green, `contract` included.
    assert ended.returncode == 0, ended.stderr
    after = pq.read_table(place.parquet)
    assert after.column_names == [*before.column_names, "note"]
    assert after.select(before.column_names).equals(before)
    assert stage_versions(place) == stages
    assert asked(simulator) == questions

    written = place.parquet.stat().st_mtime_ns
    refactored = wider | {"extraction/chunking.py": ("\n__all__", "\n_UNUSED = 1\n\n__all__")}
    ended = place.run("run", DATASET, source=release(tmp_path / "refactored", refactored))
    assert ended.returncode == 0, ended.stderr
    made_anew = {name for name, version in stage_versions(place).items() if version != stages[name]}
    assert made_anew == {"chunks", "raw_model_outputs"}
    assert place.parquet.stat().st_mtime_ns == written
    assert asked(simulator) == questions
