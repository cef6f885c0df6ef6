"""The published suggestions: verified, written in one piece, and shown."""
