"""What is read and refused before a training: the network that is asked for, the data, the memory that it takes."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tumorline.audit.check import check, errors, stop_on_errors
from tumorline.config import OF_PATCHES, Config, DataConfig, Section
from tumorline.data.dataset import Dataset
from tumorline.data.joined import load_data
from tumorline.data.splits.parts import PARTS, Split
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.evaluation.status import SEEN, case_status
from tumorline.model_info import ModelInfo
from tumorline.network_input.windows import count_windows, input_of, places_of_channels
from tumorline.progress import Notify, minutely
from tumorline.wording import is_or_are, numbered

if TYPE_CHECKING:
    from tumorline.training.machine import Machine

OF_BACKBONES = ("freeze_epochs", "backbone_rate", "layer_decay")
"""Keys of `[train]` that say nothing where no layer may be pretrained."""
OF_VOLUMES = ("context", "axis", "slice_step", "tumour_free_share")
"""Keys of `[data]` that say nothing where no case has several slices."""
OTHERWISE = {"model.start_from": "start from another model", "loss.teacher": "choose another teacher"}
BY_NAME = "the weights of its layers that see the image are taken over by name, and new ones begin at zero"
BY_PLACE = "its weights are taken over by their place, not by name"
BY_SLICE = "the weights of its layers that see the image stay around the middle slice, and new ones begin at zero"


def check_model(config: Config, begun: bool = False) -> None:
    """Raise UserError for a network, its weights or a loss that cannot be had, before the data are read."""
    from tumorline import losses, models

    models.check_options(config.model.name, config.model.options)
    if config.model.options.get("dims", config.dims) != config.dims:
        cure = "give data.window" if config.dims == 2 else "leave data.window out"
        raise UserError(
            f"model.options.dims is {config.model.options['dims']}; {cure} where the network is to see that"
        )
    if config.dims == 3:
        models.check_takes_volumes(config.model.name)
    if not begun:
        _refuse_settings_of_patches(config.data)
        _refuse_unheeded(config)
        models.check_weights(config.model.name, config.network_options)
    if not config.split.validates and config.model.options.get("presence") and config.model.gate == "validation":
        why = config.split.why_nobody_validates
        raise UserError(f"{why}, so that nothing is left to choose model.gate on; give a number")
    losses.build(config.loss)


def _refuse_settings_of_patches(settings: DataConfig) -> None:
    """Raise UserError for a key of patches where the network would see slices."""
    keys = _not_at_default(settings, OF_PATCHES)
    if keys and not settings.window:
        raise UserError(f"data.{keys[0]} is for patches of volumes; give data.window as well, or leave it out")


def _refuse_unheeded(config: Config) -> None:
    """Raise UserError for a key that says nothing beside the others."""
    train, loss, split = config.train, config.loss, config.split
    for section, heeded, needed, keys in (
        ("train", train.schedule == "plateau", "train.schedule = 'plateau'", ("plateau_patience", "plateau_factor")),
        ("loss", bool(loss.teacher), "loss.teacher", ("teacher_share",)),
        ("split", split.folds > 0, "split.folds", ("folds_from",)),
    ):
        if not heeded and (given := _not_at_default(getattr(config, section), keys)):
            raise UserError(f"{section}.{given[0]} says nothing without {needed}; leave it out, or give that as well")
    if ":" not in config.model.name:  # of a network from outside nothing is known beforehand
        _refuse_unheeded_by_network(config)


def _refuse_unheeded_by_network(config: Config) -> None:
    from tumorline import models

    name, has_presence = config.model.name, config.model.options.get("presence")
    keys = _not_at_default(config.train, OF_BACKBONES)
    if keys and name not in models.SOURCES:
        raise UserError(f"train.{keys[0]} is for networks with a backbone, and '{name}' has none; leave it out")
    for path, section, key in (("model.gate", config.model, "gate"), ("loss.presence", config.loss, "presence")):
        if not has_presence and _not_at_default(section, [key]):
            cure = "leave it out, or take encoder_unet or smp with model.options.presence = true"
            raise UserError(f"{path} is {getattr(section, key):g}, but the network has no presence head; {cure}")


def _not_at_default(section: Section, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if getattr(section, key) != type(section).model_fields[key].default]


def prepare_data(config: Config, notify: Notify) -> tuple[Dataset, Split]:
    """Load, split and check the data; stop on errors, say the warnings."""
    if not config.data.source and not config.data.sources:
        notify("no data are given (--data SOURCE): this is a training on the SIMULATED cohort")
    dataset = load_data(config, minutely("decoding", notify))
    stop_on_errors(errors(dataset))
    _refuse_settings_of_volumes(dataset)
    if config.augment.channel_dropout:
        _refuse_dropout_of_nameless(dataset)
    split = split_dataset(dataset, config.split)
    findings = check(dataset, split)
    stop_on_errors(findings)
    for finding in findings:
        if finding.severity == "warning":
            notify(f"warning: {finding.message}")
    sizes = ", ".join(f"{len(split.cases(part))} {part}" for part in PARTS)
    notify(f"{dataset.source.path}: {numbered(len(dataset.cases), 'case')} ({sizes}), {split.origin}")
    if (images := count_windows(dataset, split.cases("train"))) < config.train.batch_size:
        notify(
            f"train.batch_size is {config.train.batch_size}, but there {is_or_are(images)} "
            f"{numbered(images, 'training image')}: one batch is all"
        )
    return dataset, split


def _refuse_settings_of_volumes(dataset: Dataset) -> None:
    """Raise UserError for a key that is about the slices of volumes where no case is one."""
    keys = _not_at_default(dataset.settings, OF_VOLUMES)
    if keys and not any(case.is_volume for case in dataset.cases):
        raise UserError(
            f"data.{keys[0]} is {getattr(dataset.settings, keys[0])}, but the cases of {dataset.source.path} are "
            "pictures, each a slice by itself; leave it out, or give volumes"
        )


def _refuse_dropout_of_nameless(dataset: Dataset) -> None:
    """Raise UserError where channels are to be absent from training samples, and there are not several with names."""
    if len(input_of(dataset).channels) < 2:
        raise UserError(
            f"augment.channel_dropout is for several channels with names; {dataset.source.path} is read with "
            f"{numbered(dataset.channels, 'channel')}: choose them as data.channels, or leave it out"
        )


def require_memory(config: Config, dataset: Dataset, split: Split, machine: "Machine") -> None:
    from tumorline.training.memory import network_shape, require_memory

    images = count_windows(dataset, split.cases("train"))
    batch = min(config.train.batch_size, config.train.epoch_images or images, images)
    require_memory(config, network_shape(dataset), max(1, batch // machine.world), machine)


def refuse_seen_before(key: str, origin: ModelInfo | None, dataset: Dataset, split: Split) -> None:
    """Raise UserError where a model to start from, or to learn from, was trained or tuned on what is held out here.

    What tuned it may tune again.
    """
    if origin is None:
        return
    status = case_status(origin, dataset)
    held_out = [*split.cases("validation"), *split.cases("test")]
    seen = [name for name in split.cases("validation") if status[name] == "train"]
    seen += [name for name in split.cases("test") if status[name] in SEEN]
    if seen:
        raise UserError(
            f"{key}: '{origin.name}' was trained or tuned on {len(seen)} of the {len(held_out)} validation "
            f"and test cases of this split; train it with the same split, or {OTHERWISE[key]}"
        )


def note_other_start(origin: ModelInfo | None, dataset: Dataset, notify: Notify) -> None:
    """Say where the weights that a training starts from were learnt on other channels, regions or voxels."""
    if origin is None:
        return
    spec, before = input_of(dataset), origin.input
    by_name = places_of_channels(before.channels, spec.channels)
    pairs: list[tuple[str, Sequence[object], Sequence[object], str]] = [
        ("channels", before.channels, spec.channels, BY_NAME if by_name else BY_PLACE),
        ("regions", origin.regions, dataset.regions, BY_PLACE),
        ("slices seen at once", [before.depth], [spec.depth], BY_SLICE),
    ]
    if before.dims == spec.dims == 3:
        pairs.append(("voxels (mm)", before.voxel_mm, spec.voxel_mm, "its weights were learnt at that size"))
    for what, theirs, own, consequence in pairs:
        if theirs and own and [*theirs] != [*own]:
            here = f"here they are {_in_a_row(own)}"
            notify(
                f"warning: model.start_from: '{origin.name}' has the {what} {_in_a_row(theirs)}, {here}; {consequence}"
            )


def _in_a_row(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
