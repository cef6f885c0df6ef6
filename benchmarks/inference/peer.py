"""Asks one server as a peer's users do: ``python peer.py NAME URL MODEL PAGES RESULT``.

Runs in an interpreter that has the peer and need not have this package. PAGES is a JSON list of texts;
RESULT is written at the end: a JSON object with the number of texts that have an answer.
"""

import importlib
import json
import logging
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

PEERS: dict[str, Callable[[str, str, Sequence[str]], int]] = {}

_INSTRUCTION = "Extract vessel names, ports, flags and dates from the document, as JSON."
_THREADS = 8
_PAGE = 12_000


def ask_in_threads(url: str, model: str, texts: Sequence[str]) -> int:
    """Page by page with a pool of threads, as one writes it by hand; a failed page is left out."""

    def ask(text: str) -> bool:
        message = {"role": "user", "content": f"{_INSTRUCTION}\n\n{text}"}
        body = {"model": model, "messages": [message], "stream": False, "format": "json"}
        request = Request(f"{url}/api/chat", json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=900) as response:
                return bool(json.load(response)["message"]["content"])
        except OSError:
            return False

    with ThreadPoolExecutor(_THREADS) as threads:
        return sum(threads.map(ask, texts))


def ask_with_langextract(workers: int, url: str, model: str, texts: Sequence[str]) -> int:
    """``lx.extract`` over documents of which each is one request; counts those with a result."""
    langextract = importlib.import_module("langextract")
    data = importlib.import_module("langextract.data")
    example = data.ExampleData(
        text="MV OCEAN STAR left Rotterdam.",
        extractions=[
            data.Extraction(extraction_class="vessel_name", extraction_text="OCEAN STAR"),
            data.Extraction(extraction_class="port", extraction_text="Rotterdam"),
        ],
    )
    documents = [data.Document(text=text, document_id=str(number)) for number, text in enumerate(texts)]
    found = langextract.extract(
        text_or_documents=documents,
        prompt_description=_INSTRUCTION,
        examples=[example],
        model_id=model,
        model_url=url,
        fence_output=False,
        use_schema_constraints=False,
        max_char_buffer=_PAGE,
        max_workers=workers,
        batch_length=workers,
        show_progress=False,
        resolver_params={"suppress_parse_errors": True},
        language_model_params={"timeout": 900},
    )
    return sum(document.extractions is not None for document in found)


def ask_with_distilabel(url: str, model: str, texts: Sequence[str]) -> int:
    """A pipeline of one text generation with the batch size it has by itself, cached where it is run."""
    pipelines = importlib.import_module("distilabel.pipeline")
    steps = importlib.import_module("distilabel.steps")
    tasks = importlib.import_module("distilabel.steps.tasks")
    models = importlib.import_module("distilabel.models")
    with pipelines.Pipeline(name="extract", cache_dir=Path.cwd() / "distilabel") as pipeline:
        load = steps.LoadDataFromDicts(data=[{"instruction": f"{_INSTRUCTION}\n\n{text}"} for text in texts])
        ask = tasks.TextGeneration(llm=models.OllamaLLM(model=model, host=url, timeout=900))
        load >> ask
    rows = pipeline.run(use_cache=True)["default"]["train"]
    return sum(bool(row["generation"]) for row in rows)


PEERS["page by page in 8 threads"] = ask_in_threads
PEERS["LangExtract, 10 workers"] = lambda *asked: ask_with_langextract(10, *asked)
PEERS["LangExtract, 20 workers"] = lambda *asked: ask_with_langextract(20, *asked)
PEERS["distilabel"] = ask_with_distilabel


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    name, url, model, pages, result = sys.argv[1:]
    answered = PEERS[name](url, model, json.loads(Path(pages).read_text("utf-8")))
    Path(result).write_text(json.dumps({"answered": answered}), "utf-8")
