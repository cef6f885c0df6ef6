"""Argilla's own application in a folder, and the recipe of docs/argilla-loader.md.

Imported before anything of Argilla's: the server reads its settings when it is imported.
"""

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(sys.argv[1]).absolute()
os.environ |= {
    "ARGILLA_HOME_PATH": str(FOLDER / "home"),
    "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{FOLDER}/argilla.db",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}

from argilla_server.contexts.accounts import hash_password  # noqa: E402
from argilla_server.database import AsyncSessionLocal, async_engine  # noqa: E402
from argilla_server.models import User  # noqa: E402
from argilla_server.models.base import DatabaseModel  # noqa: E402

USER, PASSWORD, KEY, WORKSPACE = "owner", "a password", "owner.apikey", "acceptance"


def load_recipe(name: str = "recipe") -> ModuleType:
    """The module of that name in FOLDER."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_database() -> None:
    """Makes the tables, with one user who may do everything."""
    asyncio.run(_make_database())


async def _make_database() -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(DatabaseModel.metadata.create_all)
    owner = User(
        first_name="o", username=USER, role="owner", password_hash=hash_password(PASSWORD), api_key=KEY
    )
    async with AsyncSessionLocal() as session:
        session.add(owner)
        await session.commit()
    await async_engine.dispose()
