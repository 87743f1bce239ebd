"""A model as a function from an image to probabilities on the image's own grid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.config import ABSENT
from tumorline.data.layouts import lgg
from tumorline.data.layouts.volumes import scan_case
from tumorline.errors import NotFinite, UserError, require_number, require_one_of
from tumorline.formats.grey import as_float32
from tumorline.geometry.grid import Grid
from tumorline.geometry.slices import plane_of
from tumorline.geometry.symmetry import INVERSE, transformed
from tumorline.geometry.tiles import answer_tiles, slide
from tumorline.given_paths import as_path
from tumorline.inference.given import as_numbers, read_given
from tumorline.inference.post import Drawn, postprocess
from tumorline.inference.probability import for_regions, to_probability
from tumorline.model_file import find_model, read_info
from tumorline.model_info import ModelInfo
from tumorline.network_input import fit
from tumorline.network_input.spaced import SpacedInput, see_volume
from tumorline.network_input.windows import NetworkInput, prepare_input
from tumorline.output.journal import hash_file, hash_settings
from tumorline.runtime import DEFAULT, PRECISIONS, QUANTISED, Runtime, RuntimeOptions, beside, can_compute, opened_file
from tumorline.twins import open_twin
from tumorline.wording import numbered
from tumorline.work_ahead import map_ahead

T = TypeVar("T")

TTA: dict[str, tuple[int, ...]] = {"none": (0,), "flips": (0, 2, 4, 6), "all": tuple(range(8))}
"""Test-time augmentation: which of `geometry.symmetry.TRANSFORMS` of its input a network answers as well."""


OF_ALL = {("all", len(names)): names for names in (scan_case.SEQUENCES, lgg.SEQUENCES)}
"""What a model of "all" sequences takes that was made before a model file named its channels."""
AUTO, FASTEST = "auto", ("float16", "bfloat16")
"""The precision that is chosen for the user, from these in this order."""
MOST_REQUESTS = 16
"""At a time: each holds what all layers of a network give."""
WINDOWS_AT_ONCE = 8
"""Of a volume, and not the copies of test-time augmentation."""


class Answer(NamedTuple):
    """What a model says of an image: probability of each region `(R, *space)`, 0 where a picture or slice is blank."""

    probability: Float32Array
    blank: bool
    """Whether the image shows nothing at all."""


@dataclass(frozen=True)
class Model:
    """A model ready to predict."""

    path: Path
    """Absolute: the program may go to another folder."""
    info: ModelInfo
    runtime: Runtime
    tta: str = "none"
    """Test-time augmentation, one of `TTA`."""
    precision: str = "float32"
    """In which the network computes."""
    requests: int = 1
    """Batches that the runtime computes at a time."""
    runtime_name: str = DEFAULT
    threads: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        how = (self.path, self.tta, self.precision, self.runtime_name, self.requests, self.threads)
        return _load_again, (self.info, *how)

    @property
    def channel(self) -> str:
        """The sequence that it was trained on; empty where its pictures were one sequence."""
        return self.info.data.channel

    @property
    def channels(self) -> tuple[str, ...]:
        """The sequences that it takes in their order, "" for one that is unknown."""
        if self.info.input.channels:
            return tuple(self.info.input.channels)
        count = self.info.image_channels
        return (self.channel,) if count == 1 else OF_ALL.get((self.channel, count), ("",) * count)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of its two files, and of the rounded network where that is used."""
        files = [self.path, beside(self.path, ".onnx")]
        if self.precision == QUANTISED:
            files.append(opened_file(self.path, QUANTISED, self.runtime_name))
        return hash_settings(files=[hash_file(path) for path in files if path.is_file()])

    def see(
        self, image: ImageArray, name: Path | str = "image", grid: Grid | None = None
    ) -> NetworkInput | SpacedInput:
        """An image `(C, *space)` in file values as the network sees it.

        A network of volumes needs the spacing of the grid. Raises UserError for what is no array of numbers, for
        another shape, or without spacing.
        """
        image = as_float32(as_numbers(image, name), name)
        expected = self.info.image_channels
        if image.ndim in (3, 4) and len(image) not in (0, expected):
            names = f" ({', '.join(self.channels)})" if all(self.channels) else ""
            counted = numbered(len(image), "channel")
            raise UserError(f"{name} has {counted}; this model takes {expected}{names}, together as one image or scan")
        if image.ndim not in (3, 4) or 0 in image.shape:
            size = "height, width" if image.ndim != 4 else "depth, height, width"
            raise UserError(f"{name} has shape {image.shape}; this model takes ({expected}, {size})")
        if image.ndim == 3 and (self.info.input.depth > 1 or self.info.input.dims == 3):
            raise UserError(f"{name}: a single picture; this model looks at neighbouring slices of a volume")
        if self.info.input.dims == 3:
            if grid is None or grid.spacing_mm is None:
                raise UserError(f"{name}: its voxels have no size; this model needs one")
            return see_volume(image, grid.spacing_mm, self.info.input)
        spacing_mm = grid.spacing_mm if grid else None
        plane = plane_of(Grid(image.shape[1:], spacing_mm), self.info.input.axis)
        return prepare_input(image, self.info.image_size, self.info.input.cut(plane), spacing_mm)

    def complete(self, image: ImageArray, channels: Sequence[str]) -> ImageArray:
        """An image of some of the channels, by name, as the model takes it: all of them, the others absent.

        The image is left as it is where the model was not trained to do without channels. Raises UserError for channels
        that it does not take.
        """
        model_channels = self.channels
        if not channels or not self.info.input.may_lack_channels:
            return image
        if strange := [name for name in channels if name not in model_channels]:
            raise UserError(f"channel {strange[0]}: the model takes {', '.join(model_channels)}")
        completed = np.full((len(model_channels), *image.shape[1:]), ABSENT, np.float32)
        for name, channel in zip(channels, image, strict=True):
            completed[model_channels.index(name)] = channel
        return completed

    def logits(self, image: ImageArray, grid: Grid | None = None) -> tuple[Float32Array, fit.Placement]:
        """The network's answer `(R, S, S)` to a picture `(C, H, W)` in file values, and where in it the image lies."""
        seen = self.see(image, grid=grid)
        assert isinstance(seen, NetworkInput)
        return self._run(seen.batch([0]), "image")[0], seen.placement

    def slice_logits(self, seen: NetworkInput | SpacedInput, name: Path | str) -> Iterator[tuple[int, Float32Array]]:
        """Number and logits `(R, S, S)` of each slice that is not blank; of a picture there is one."""
        if isinstance(seen, SpacedInput):
            logits = answer_tiles(lambda windows: self._run(windows, name), seen.planes, seen.tiling)
            yield from enumerate(logits.swapaxes(0, 1))
            return
        batches = [*batched(seen.shown, WINDOWS_AT_ONCE)]
        for numbers, logits in zip(batches, self._over_batches(seen, self._run, batches, name), strict=True):
            yield from zip(numbers, logits, strict=True)

    def _over_batches(
        self,
        seen: NetworkInput,
        answer: Callable[[Float32Array, Path | str], Float32Array],
        batches: Sequence[Sequence[int]],
        name: Path | str,
    ) -> Iterator[Float32Array]:
        """Answers to batches of slices, in their order, as many at a time as the runtime takes."""
        workers = self.requests if self.requests > 1 and len(batches) > 1 else 0
        return map_ahead(lambda numbers: answer(seen.batch(numbers), name), batches, workers)

    def probability(self, image: Any, grid: Grid | None = None) -> Float32Array:
        """Probability of each region `(R, *space)`, on the image's own grid; takes and refuses what `mask` does."""
        given = read_given(image, self, grid)
        return self.answer(given.image, given.name, given.grid).probability

    def answer(self, image: ImageArray, name: Path | str = "image", grid: Grid | None = None) -> Answer:
        """Of an image `(C, *space)`; as `probability`, and whether it is blank.

        Raises UserError, which bears the name, for no answer.
        """
        seen = self.see(image, name, grid)
        if isinstance(seen, SpacedInput):
            return Answer(seen.placement.to_native(self._mean_over_turned(seen, name)), seen.blank)
        side = self.info.image_size
        probability = np.zeros((seen.count, len(self.info.regions), side, side), np.float32)
        batches = [*batched(seen.shown, WINDOWS_AT_ONCE)]
        for numbers, batch_probability in zip(
            batches, self._over_batches(seen, self._mean_over_copies, batches, name), strict=True
        ):
            probability[[*numbers]] = batch_probability
        return Answer(seen.to_native(probability), seen.blank)

    def masks(self, probability: Float32Array, grid: Grid | None = None) -> MaskArray:
        """Masks `(R, *space)` of probabilities on a grid: by each region's threshold, then post-processed."""
        above = np.asarray(probability >= for_regions(self.info.thresholds, probability.ndim))
        voxel_ml = grid.voxel_ml if grid and grid.ndim == 3 else None
        return postprocess(Drawn(above, probability), self.info.regions, self.info.postprocessing, voxel_ml)

    def mask(self, image: Any, grid: Grid | None = None) -> MaskArray:
        """Outline the tumour in an image.

        Args:
            image: Grey values in any scale: an array `(C, H, W)` or, of a volume, `(C, D, H, W)` with its slices from
                the feet up; with one channel `(H, W)` or colours `(H, W, 3)` as well. Or a path to a picture, a DICOM
                slice, a NIfTI volume, a folder of DICOM slices, or a folder with the volumes of a scan. Or a pydicom
                dataset of one frame.
            grid: Of an array, and of a picture that states no spacing, the grid that it lies on. A network of three
                axes needs its spacing; one of slices sees pixels in their proportions, and cuts a volume as it was
                acquired where slices lie far apart; limits of the post-processing in ml need its affine. Other files
                state their own.

        Returns:
            A boolean array `(R, *space)`: for each of `info.regions` a mask of the size of the image. That of a volume
            from a file lies as `(R, D, H, W)`, slices from the feet up, front first, the patient's right first.

        Raises:
            UserError: For what is no image, for another number of channels, for a file that cannot be read, and for a
                grid where a file states its own.
        """
        given = read_given(image, self, grid)
        return self.masks(self.answer(given.image, given.name, given.grid).probability, given.grid)

    def _mean_over_copies(self, windows: Float32Array, name: Path | str) -> Float32Array:
        """Probabilities `(B, R, S, S)` of windows `(B, C, S, S)`."""
        copies = TTA[self.tta]
        logits = self._run(np.concatenate([transformed(windows, copy) for copy in copies]), name)
        answers = to_probability(logits, self.info.temperatures).reshape(len(copies), len(windows), *logits.shape[1:])
        turned = [transformed(answer, int(INVERSE[copy])) for answer, copy in zip(answers, copies, strict=True)]
        return np.asarray(np.mean(turned, axis=0))

    def _mean_over_turned(self, seen: SpacedInput, name: Path | str) -> Float32Array:
        """Probabilities `(R, *spaced)`, the mean over copies of the whole volume that are answered one by one.

        Logits are held for a slab at a time.
        """
        copies = TTA[self.tta]
        mean = np.zeros((len(self.info.regions), *seen.placement.spaced), np.float32)
        for copy in copies:
            planes = np.ascontiguousarray(transformed(seen.planes, copy))
            tiling = replace(seen.tiling, space=planes.shape[1:])
            turned = transformed(mean, copy)  # a view
            for rows, logits in slide(lambda windows: self._run(windows, name), planes, tiling):
                probability = to_probability(logits.swapaxes(0, 1), self.info.temperatures).swapaxes(0, 1)
                turned[:, rows] += probability / len(copies)
        return mean

    def _run(self, squares: Float32Array, name: Path | str) -> Float32Array:
        """Logits of a batch; what is not finite must not pass for "no tumour"."""
        logits = self.runtime(squares)
        if not np.isfinite(logits).all():
            raise NotFinite(f"{name}: the model's answer is not finite (NaN or infinite), which is no answer")
        return logits


def load(
    model: str | Path,
    tta: str = "none",
    precision: str = "float32",
    runtime: str = DEFAULT,
    requests: int = 1,
    threads: int = 0,
) -> Model:
    """Open a model to predict with; no torch is needed.

    Args:
        model: A listed model such as 'builtin', a run folder, or a `.safetensors` file with its ONNX file beside it.
        tta: Test-time augmentation, the mean over copies of the picture: 'none', 'flips' (4) or 'all' flips and quarter
            turns (8).
        precision: In which the network computes: 'float32', 'bfloat16', 'float16', 'int8' where `export` has written
            that file, or 'auto', the fastest of the first three that was verified for the model.
        runtime: The library that runs it: 'openvino', 'onnxruntime' or 'torch'.
        requests: Batches of slices that are computed at a time; of a network of three axes one window.
        threads: That compute the network; 0 is as many as there are cores.

    Returns:
        A `Model`: `mask` and `probability` of an image; `info` with its regions, channels, thresholds and what it says
        of its data; `channels` in the order in which it takes them.

    Raises:
        UserError: Where there is none, for a file that is damaged or not Tumorline's, and where the two files differ.

    Example:
        >>> model = tumorline.load("runs/first")
        >>> mask = model.mask("scans/images/s000.png")
        >>> mask.shape, mask.dtype.name, list(model.info.regions)
        ((1, 32, 32), 'bool', ['tumour'])
    """
    require_one_of(TTA, "tta", tta)
    require_number("requests", requests, 1)
    require_number("threads", threads, 0)
    path = find_model(as_path(model, "model"))
    info = read_info(path)
    if info.preprocessing != fit.VERSION:
        raise UserError(f"{path}: made with preprocessing {info.preprocessing}, this version has {fit.VERSION}")
    require_one_of((AUTO, QUANTISED, *PRECISIONS), "precision", precision)
    chosen = fastest_verified(info, runtime) if precision == AUTO else precision
    options = RuntimeOptions(chosen, 1 if info.input.dims == 3 else min(requests, MOST_REQUESTS), threads)
    run = open_twin(path, info, options, runtime).run
    return Model(path.absolute(), info, run, tta, chosen, options.requests, runtime, threads)


def _load_again(info: ModelInfo, *how: Any) -> Model:
    """A model in another process: what a library has compiled stays behind."""
    return replace(load(*how), info=info)


def fastest_verified(info: ModelInfo, runtime: str = DEFAULT) -> str:
    """The fastest precision in which this machine computes and that was verified for a model; else float32."""
    changes = info.metrics.precisions
    verified = [name for name, change in changes.items() if change.verified and change.runtime == runtime]
    return next((name for name in FASTEST if name in verified and can_compute(name, runtime)), "float32")


def count_workers(model: Model, is_volumes: bool, cases: int) -> int:
    """Threads that should work on cases at a time: more than the runtime answers, as some wait for the disk.

    Of volumes, which are large, two; none for a single case.
    """
    if cases < 2:
        return 0
    return min(cases, 2 if is_volumes else 2 * model.requests + 2)


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    yield from (items[start : start + size] for start in range(0, len(items), size))
