"""Asking the model: Ollama's protocol, permits, retries, and answers that are durable at once."""
