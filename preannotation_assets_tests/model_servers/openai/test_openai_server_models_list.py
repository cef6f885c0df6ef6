"""Which weights a list of models names, and which it does not."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.openai.models_list import find_model, served_names
from preannotation_assets.model_servers.openai.variant import Software


def vllm(*names: str, root: str = "/models/smol", created: int = 1) -> dict[str, Any]:
    data = [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "vllm",
            "root": root,
            "parent": None,
            "max_model_len": 4096,
        }
        for name in names
    ]
    return {"object": "list", "data": data}


def llama_cpp(**changes: Any) -> dict[str, Any]:
    meta = {"n_vocab": 49152, "n_ctx": 4096, "n_ctx_train": 8192, "n_params": 1, "size": 2, "ftype": "Q4_1"}
    entry = {"id": "smol", "aliases": ["smol", "other"], "owned_by": "llamacpp", "created": 1}
    return {"models": [{"name": "smol"}], "data": [{**entry, "meta": {**meta, **changes}}]}


def digest(payload: dict[str, Any], revision: str = "", model: str = "smol") -> str:
    served = find_model(payload, model)
    assert served is not None
    return served.digest(model, revision)


def test_what_vllm_and_llama_server_tell() -> None:
    served = find_model(vllm("smol"), "smol")
    assert served is not None
    assert (served.software, served.root, served.context_tokens) == (Software.VLLM, "/models/smol", 4096)
    served = find_model(llama_cpp(), "other")
    assert served is not None
    assert (served.software, served.root, served.context_tokens) == (Software.LLAMA_CPP, None, 4096)
    assert dict(served.meta) == {"n_params": 1, "size": 2, "ftype": "Q4_1", "n_vocab": 49152}
    served = find_model({"data": [{"id": "m"}]}, "m")
    assert served is not None
    assert (served.software, served.context_tokens) == (Software.UNKNOWN, None)


def test_no_such_model() -> None:
    assert find_model(vllm("smol"), "large") is None
    assert served_names(vllm("smol", "smol@abc")) == ["smol", "smol@abc"]


def test_the_digest_is_of_the_weights_and_of_nothing_else() -> None:
    same = digest(vllm("smol"))
    assert re.fullmatch("[0-9a-f]{64}", same)
    assert digest(vllm("smol", "another", created=2)) == same
    assert digest(llama_cpp(n_ctx=9, n_ctx_train=9)) == digest(llama_cpp())
    others = {
        same,
        digest(vllm("smol", root="/models/other")),
        digest(vllm("large"), model="large"),
        digest(vllm("smol"), "r1"),
        digest(vllm("smol"), "r2"),
        digest(llama_cpp()),
        digest(llama_cpp(size=3)),
        digest(llama_cpp(ftype="Q8_0")),
    }
    assert len(others) == 8


def test_weights_with_a_name_may_lie_elsewhere_on_another_machine() -> None:
    one, other = vllm("smol"), vllm("smol", root="/mnt/smol")
    assert digest(one) != digest(other)
    assert digest(one, "r1") == digest(other, "r1")
    assert digest(vllm("smol", "smol@abc")) == digest(vllm("smol@abc", "smol", root="/mnt/smol"))


def test_a_second_name_with_a_hash_names_the_weights() -> None:
    served = find_model(vllm("smol", "smol@abc", "large@def"), "smol")
    assert served is not None
    assert served.pinned == ("abc",)
    assert served.names_weights("")
    assert digest(vllm("smol", "smol@abc")) == digest(vllm("smol"), "abc")
    asked_by_hash = find_model(vllm("smol", "smol@abc"), "smol@abc")
    assert asked_by_hash is not None
    assert asked_by_hash.pinned == ("abc",)


def test_a_hash_of_other_weights_in_the_same_list_names_nothing() -> None:
    payload = vllm("smol")
    payload["data"] += vllm("smol@abc", root="/models/other")["data"]
    served = find_model(payload, "smol")
    assert served is not None
    assert not served.names_weights("")


def test_without_a_root_a_hash_of_another_entry_names_nothing() -> None:
    # A gateway tells no roots; what it lists are models of their own.
    served = find_model({"data": [{"id": "smol"}, {"id": "smol@abc"}]}, "smol")
    assert served is not None
    assert not served.names_weights("")
    aliases = {"id": "smol", "aliases": ["smol", "smol@abc"], "owned_by": "llamacpp"}
    served = find_model({"data": [aliases]}, "smol")
    assert served is not None
    assert served.pinned == ("abc",)


def test_weights_that_the_server_names_otherwise_are_not_those_of_the_operator() -> None:
    begun = digest(vllm("smol", "smol@abc"), "abc")
    assert begun == digest(vllm("smol"), "abc")
    assert digest(vllm("smol", "smol@def"), "abc") != begun


@pytest.mark.parametrize("payload", [{}, {"data": None}, {"data": [None, 7, {"id": None}, {}]}, {"data": {}}])
def test_no_list(payload: dict[str, Any]) -> None:
    assert find_model(payload, "smol") is None
    assert served_names(payload) == []


@given(
    st.dictionaries(
        st.sampled_from(["id", "aliases", "root", "meta", "owned_by", "max_model_len"]),
        st.none() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.floats()),
    )
)
def test_no_entry_is_too_strange(entry: dict[str, Any]) -> None:
    served = find_model({"data": [{**entry, "id": "m"}]}, "m")
    assert served is not None
    assert re.fullmatch("[0-9a-f]{64}", served.digest("m", ""))
