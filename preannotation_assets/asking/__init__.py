"""Sees every text that is to be asked through to a row in the answer store."""
