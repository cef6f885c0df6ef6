"""The command line in this process, as in the end-to-end tests."""

from end_to_end.conftest import preannotate

__all__ = ["preannotate"]
