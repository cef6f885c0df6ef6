"""OpenAI-compatible servers: vLLM, llama.cpp's server, SGLang and what else speaks chat completions."""
