"""The process that predicts, as the server sees it: one task at a time; it is ended where a task takes too long."""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tumorline.app.limits import Limits, Refusal
from tumorline.app.records import Record, Send

LONGEST_LINE = 1 << 20
PATIENCE_S = 60.0
"""For how long a task that was given up may go on before the process is ended."""
DIED = "the prediction was ended by the system; it may need more memory than --max-memory allows"

log = logging.getLogger("tumorline")


class WorkerProcess:
    """Started with its first task, and again after it was ended. It ends by itself when the server is gone."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root, self.limits = root, limits
        self.process: asyncio.subprocess.Process | None = None
        self.owes = False
        """Whether it is at a task: where nobody waits for it any more, the next one has to."""

    async def carry_out(self, task: Mapping[str, Any], notify: Send) -> Record:
        """The outcome of a task; `notify` hears how far it is. Raises Refusal where it takes too long or too much.

        A task that is given up ends where the process next tells how far it is; without that it is ended with the
        process, as soon as another one comes.
        """
        await self._settle()
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await self._ask(task, notify)
        except TimeoutError:
            await self.end()
            raise Refusal(503, f"the prediction took more than {self.limits.seconds} s and was ended") from None
        except (OSError, ValueError):
            await self.end()
            raise Refusal(413, DIED) from None

    async def _settle(self) -> None:
        if not self.owes:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._outcome(lambda _message: None)
        except (TimeoutError, OSError, ValueError):
            await self.end()

    async def _ask(self, task: Mapping[str, Any], notify: Send) -> Record:
        """Raises OSError where the process has ended, and ValueError for what is no message of it."""
        process = await self._started()
        assert process.stdin
        self.owes = True
        process.stdin.write(json.dumps(task).encode() + b"\n")
        await process.stdin.drain()
        return await self._outcome(notify)

    async def _outcome(self, notify: Send) -> Record:
        assert self.process
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            message: Record = json.loads(line)
            if "status" in message:
                self.owes = False
                return message
            notify(message)
        raise OSError("the worker has ended")

    async def _started(self) -> asyncio.subprocess.Process:
        if self.process is None or self.process.returncode is not None:
            arguments = (str(self.limits.memory_mb), str(self.root))
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "tumorline.app.worker", *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,  # Ctrl-C is the server's affair
            )
        return self.process

    async def end(self) -> None:
        """End the process, whatever it is doing."""
        process, self.process, self.owes = self.process, None, False
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        log.debug("the worker was ended, status %s", process.returncode)
