"""``preannotate try``."""

import argparse

from preannotation_assets.cli.deployment import open_pages, read_settings

__all__ = ["try_pages"]


def try_pages(arguments: argparse.Namespace) -> int:
    """Asks about a few pages and shows what comes of it."""
    from preannotation_assets.trying.trial import TryRequest, try_on_terminal

    request = TryRequest(
        dataset=arguments.dataset,
        text_file=arguments.text,
        pages=arguments.pages,
        doc_id=arguments.doc_id,
        page_num=arguments.page,
        with_prompt=arguments.prompt,
    )
    settings = read_settings()
    return try_on_terminal(settings, request, lambda: open_pages(settings))
