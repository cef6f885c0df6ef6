"""The published suggestions: verified, written as a whole, and shown."""
