"""The web interface as its users see it: a real Dagster, a real browser, a stand-in Ollama."""
