"""The report: every page of a batch with its suggestions, in HTML that asks nothing of anybody.

It shows page text, so it lies with the working data, and never beside what is published.
"""

from .writing import save_report, write_report

__all__ = ["save_report", "write_report"]
