"""What a request may cost, and how it is refused."""

from dataclasses import asdict, dataclass

from tumorline.formats.boundary import max_pixels


@dataclass(frozen=True)
class Limits:
    """Of one request, and of all together. The pixels of a file are those of the command line (`--max-pixels`)."""

    megabytes: int = 512
    """Of all files of a request."""
    files: int = 1000
    seconds: int = 600
    """For receiving a request, for predicting it, and for sending the answer."""
    waiting: int = 8
    """Requests that are held beside the one that is predicted."""
    memory_mb: int = 1200
    """Of the process that predicts."""

    @property
    def bytes(self) -> int:
        return self.megabytes << 20

    def to_json(self) -> dict[str, int]:
        return {**asdict(self), "pixels": max_pixels()}


class Refusal(Exception):
    """A request that is not carried out: the status of the answer, and one line for whoever asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
