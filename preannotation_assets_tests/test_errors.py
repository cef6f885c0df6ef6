import pickle

import pytest

from preannotation_assets import errors

KINDS = [getattr(errors, name) for name in errors.__all__]


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
    assert defined == set(errors.__all__)
