"""The folder of a request, of which nothing is kept."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ATTEMPTS, PAUSE_S = 100, 0.05


@asynccontextmanager
async def open_request_folder(root: Path) -> AsyncIterator[Path]:
    """A folder below `root` until the request is answered or given up."""
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        yield folder
    finally:
        await remove_folder(folder)


async def remove_folder(folder: Path) -> None:
    """Until nothing is left: whoever notices by it that nobody waits may be writing into it at this moment."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        await asyncio.sleep(PAUSE_S)
