import ast
import pickle
import traceback
from pathlib import Path

import pytest

from preannotation_assets import errors

KINDS = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_between_processes(kind: type[errors.PreannotationError]) -> None:
    error = kind("the lake is dry", "wait for rain")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.problem, copy.cure) == ("the lake is dry", "wait for rain")
    assert str(copy) == str(error) == "the lake is dry: wait for rain"
    assert str(kind("the lake is dry")) == "the lake is dry"


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_every_error_of_the_module_is_listed() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.PreannotationError)
    }
    assert defined == {kind.__name__ for kind in KINDS}


def test_no_error_brings_control_characters_to_a_terminal() -> None:
    error = errors.BatchError("no \x1b]0;title\x07 of \u202eabc", "look \x9b2J")
    assert str(error) == "no \u241b]0;title\u2407 of <U+202E>abc: look <U+009B>2J"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_that_is_raised_while_another_is_handled_does_not_show_it() -> None:
    def give_up() -> None:
        raise errors.StorageError("it is damaged")

    try:
        try:
            int("CONFIDENTIAL")
        except ValueError:
            give_up()
    except errors.StorageError as error:
        shown = "".join(traceback.format_exception(error))
    assert "it is damaged" in shown
    assert "CONFIDENTIAL" not in shown


def test_no_exception_is_chained_to_what_a_library_says() -> None:
    package = Path(errors.__file__).parent
    chained = [
        f"{file.relative_to(package)}:{node.lineno}"
        for file in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Raise) and node.cause is not None
        if not (isinstance(node.cause, ast.Constant) and node.cause.value is None)
    ]
    assert chained == []
