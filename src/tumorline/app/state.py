"""What a server is started with, and what its routes share."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fastapi import FastAPI

from tumorline.app.answers import Task
from tumorline.app.catalogue import collect_models
from tumorline.app.door import Door
from tumorline.app.limits import Limits, Refusal
from tumorline.app.records import Record
from tumorline.app.run_pages import RunShelf
from tumorline.app.waiting import Place, WaitingRoom
from tumorline.app.worker_process import WorkerProcess
from tumorline.errors import UserError, did_you_mean
from tumorline.escaping import one_line


@dataclass(frozen=True)
class AppSettings:
    """What a server is started with."""

    models: Mapping[str, Path] = field(default_factory=dict)
    """Files by name, beside those of the package and of the runs."""
    first_model: str = "builtin"
    """What is used where a client names none."""
    runs: Path | None = None
    door: Door = field(default_factory=Door)
    limits: Limits = field(default_factory=Limits)


def make_private_folder() -> tempfile.TemporaryDirectory[str]:
    """Raises UserError where no folder for temporary files can be written."""
    try:
        return tempfile.TemporaryDirectory(prefix="tumorline-app-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or "there is none"
        raise UserError(f"no folder for temporary files can be written ({reason}); name one with TMPDIR") from None


class AppState:
    """What the routes share."""

    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.room = WaitingRoom(settings.limits.waiting)
        self.shelf = RunShelf(settings.runs)
        self.folder = make_private_folder()
        self.root = Path(self.folder.name)
        """For what is received."""
        self.worker = WorkerProcess(self.root, settings.limits)

    @asynccontextmanager
    async def running(self, _app: FastAPI) -> AsyncIterator[None]:
        """Until the app is closed, which ends the process that predicts and leaves nothing."""
        try:
            yield
        finally:
            await self.worker.end()
            self.folder.cleanup()

    async def carry_out(self, task: Task, place: Place) -> Record:
        """Wait for the turn, then predict."""

        place.state = "waiting"
        async with self.room.turn:
            place.state = "predicting"
            return await self.worker.carry_out(asdict(task), vars(place).update)

    def models(self) -> dict[str, Path]:
        return collect_models(self.settings.models, self.shelf.folders())

    def find_model(self, name: str) -> Path:
        """Raises Refusal for a name that is not listed."""
        models = self.models()
        if name not in models:
            raise Refusal(404, f"no model '{one_line(name)[:100]}'; {did_you_mean(name, models)}")
        return models[name]
