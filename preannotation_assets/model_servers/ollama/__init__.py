"""Ollama: its protocol, its preflight."""
