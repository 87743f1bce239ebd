"""The process that predicts: a task comes in as a line of JSON, its progress and its outcome go out as lines.

It holds what the server must not: a decoder that fails, a model that needs too much memory, a task that takes too long.
"""

import json
import os
import shutil
import sys
import traceback
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from tumorline.app.answers import TOO_MUCH_MEMORY, AnswerWriter, Task, refusal
from tumorline.app.records import Record, Send
from tumorline.app.watched import WatchedModel, watch_model
from tumorline.errors import UserError, WriteError
from tumorline.inference.model import AUTO, Model, load

KEPT = 2
"""Models that stay loaded."""


class GivenUp(BaseException):
    """Nobody waits for the answer: the folder of the request is gone. No Exception, which a case would survive."""


class Worker:
    """Models stay loaded from task to task, as long as their files are the same."""

    def __init__(self) -> None:
        self.models: OrderedDict[tuple[object, ...], Model] = OrderedDict()

    def carry_out(self, task: Task, notify: Send) -> Record:
        """The outcome; whatever goes wrong is one line."""
        writer: AnswerWriter | None = None

        def tell(message: Record) -> None:
            if not Path(task.folder).is_dir():
                raise GivenUp
            notify(message)

        try:
            writer = AnswerWriter(task, self._model(task, tell), tell)
            return writer.write()
        except GivenUp:
            return refusal(499, "given up")
        except WriteError as error:
            return refusal(507, str(error).replace(task.folder, "the temporary folder"))
        except UserError as error:
            return refusal(422, writer.gatherer.shown(str(error)) if writer else str(error))
        except MemoryError:
            return refusal(413, TOO_MUCH_MEMORY)
        except Exception as error:
            traceback.print_exc()
            if "alloc" in str(error):  # of the native code beneath
                return refusal(413, TOO_MUCH_MEMORY)
            return refusal(500, f"a fault of Tumorline ({type(error).__name__}); the terminal of the app says more")

    def _model(self, task: Task, notify: Send) -> WatchedModel:
        model = self._loaded(Path(task.model), task.tta)
        return watch_model(model, lambda seen, of: notify({"windows": seen, "windows_of": of}))

    def _loaded(self, path: Path, tta: str) -> Model:
        state = path.stat() if path.exists() else None
        key = (str(path), tta, state and (state.st_mtime_ns, state.st_size))
        if key not in self.models:
            self.models[key] = load(path, tta, AUTO)
            while len(self.models) > KEPT:
                self.models.popitem(last=False)
        self.models.move_to_end(key)
        return self.models[key]


def limit_memory(megabytes: int) -> None:
    """Allocations beyond it fail with MemoryError, where the system can be told so."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, most))


def _own_channel() -> TextIO:
    """Standard output as the line to the server; what libraries print goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return channel


def main(arguments: list[str]) -> None:
    """Serve until the server is gone; then the folder of its requests goes as well."""
    channel = _own_channel()
    limit_memory(int(arguments[0]))
    worker = Worker()

    def tell(message: Record) -> None:
        channel.write(json.dumps(message) + "\n")

    for line in sys.stdin:
        with suppress(BrokenPipeError):
            tell(worker.carry_out(Task(**json.loads(line)), tell))
    shutil.rmtree(arguments[1], ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
