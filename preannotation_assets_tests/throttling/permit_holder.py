"""A process that holds permits until it is killed: ``python permit_holder.py HOST PORT SECRET PERMITS``.

Prints a line for each permit it got.
"""

import asyncio
import sys

from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_messages import PermitAddress


async def hold(client: PermitClient) -> None:
    sys.stdout.write(f"{(await client.acquire()).endpoint}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def main(address: PermitAddress, permits: int) -> None:
    async with PermitClient(address) as client:
        await asyncio.gather(*(hold(client) for _ in range(permits)))


if __name__ == "__main__":
    host, port, secret, count = sys.argv[1:]
    asyncio.run(main(PermitAddress(host, int(port), secret), int(count)))
