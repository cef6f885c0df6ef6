"""``preannotate try`` and ``preannotate compare-servers``."""

import argparse

from preannotation_assets.cli.deployment import open_pages, read_settings
from preannotation_assets.errors import SettingsError

__all__ = ["compare_servers", "try_pages"]


def try_pages(arguments: argparse.Namespace) -> int:
    """Asks about a few pages and shows what comes of it."""
    from preannotation_assets.trying.terminal import on_terminal
    from preannotation_assets.trying.trial import TryRequest, try_pages

    request = TryRequest(
        dataset=arguments.dataset,
        text_file=arguments.text,
        pages=arguments.pages,
        doc_id=arguments.doc_id,
        page_num=arguments.page,
        with_prompt=arguments.prompt,
    )
    settings = read_settings()
    return on_terminal(lambda out: try_pages(settings, request, lambda: open_pages(settings), out))


def compare_servers(arguments: argparse.Namespace) -> int:
    """Asks several servers about the same pages and shows what it cost and how far they agree.

    Raises:
        SettingsError: a server is of no known kind.
    """
    from preannotation_assets.settings import ServerKind
    from preannotation_assets.trying.compare_servers import CompareRequest, ServerToCompare, compare_servers
    from preannotation_assets.trying.terminal import on_terminal

    kinds = [kind.value for kind in ServerKind]
    for kind, _, _ in arguments.server:
        if kind not in kinds:
            raise SettingsError(f"--server has no kind {kind!r}", f"write one of {', '.join(kinds)}")
    servers = (ServerToCompare(ServerKind(kind), url, model) for kind, url, model in arguments.server)
    request = CompareRequest(arguments.dataset, arguments.pages, tuple(servers), arguments.in_flight)
    settings = read_settings()
    return on_terminal(lambda out: compare_servers(settings, request, lambda: open_pages(settings), out))
