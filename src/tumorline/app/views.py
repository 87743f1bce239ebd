"""What the case viewer shows of the cases that were predicted."""

from collections.abc import Mapping, Sequence

from tumorline.app.watched import WatchedModel
from tumorline.geometry.grid import Grid
from tumorline.regions import label_sets
from tumorline.viewer.encoding import EncodedCase, Label, ViewedCase, encode_case
from tumorline.wording import in_words

MOST_BYTES = 200 << 20
"""Of all cases of an answer; further ones are answered without."""


class ViewWriter:
    """Made after each case, from what the model saw and answered."""

    def __init__(self, model: WatchedModel, labels: Mapping[str, Sequence[int]]) -> None:
        self.model, self.labels = model, labels
        self.made: list[EncodedCase | None] = []
        self.bytes = 0

    def add(self, name: str, is_picture: bool, wanted: bool) -> None:
        view = self._view(name, is_picture) if wanted and self.bytes < MOST_BYTES else None
        self.bytes += _size_of(view)
        self.made.append(view)
        self.model.witness.forget()

    def _view(self, name: str, is_picture: bool) -> EncodedCase | None:
        """None of a case that could not be predicted."""
        witness = self.model.witness
        if witness.image is None or witness.masks is None:
            return None
        return encode_case(
            ViewedCase(
                name,
                witness.image,
                witness.grid or Grid(witness.image.shape[1:]),
                self.model.info.regions,
                channels=[in_words(channel) for channel in self.model.channels],
                predictions={self.model.info.name: witness.masks},
                labels=self._labels(is_picture),
                outlined=label_sets(self.labels.values()) if len(self.labels) > 1 else "",
            )
        )

    def _labels(self, is_picture: bool) -> list[Label]:
        """Values of the written mask, and which regions each of them is."""
        if len(self.labels) == 1:
            return [Label(255 if is_picture else 1, 1, next(iter(self.labels)))]
        return [Label(values[0], self._bits(values[0]), region) for region, values in self.labels.items()]

    def _bits(self, value: int) -> int:
        return sum(1 << bit for bit, values in enumerate(self.labels.values()) if value in values)


def _size_of(view: EncodedCase | None) -> int:
    """Bytes of its arrays, which is about what it takes."""
    arrays = [*view["images"], *view["predictions"]] if view else []
    return sum(len(array["data"]) for array in arrays)
