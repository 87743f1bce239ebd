"""How a model was trained, in sentences: from what the network sees to which weights were kept."""

from collections.abc import Iterable, Mapping
from typing import Any

from tumorline.config import CYCLE_END, CYCLE_START, Config, LossConfig, TrainConfig, bare_name
from tumorline.model_info import InputSpec, ModelInfo
from tumorline.paper.study import Study
from tumorline.paper.works import INITIAL, LOSSES, NETWORKS, SCHEDULES, cite
from tumorline.wording import NOT_STATED, in_words, numbered, percent


def describe_preprocessing(study: Study) -> list[str]:
    if study.info is None:
        return [f"Preprocessing: {NOT_STATED}."]
    info, seen = study.info, study.info.input
    if seen.window:
        return _of_patches(seen, seen.window)
    over = "the head of the whole volume" if seen.normalisation == "volume" else "each slice"
    of_volumes = any(metrics.truth_ml for metrics in study.summary.regions.values())
    cut = f"Volumes were cut into {seen.axis} slices" if of_volumes else ""
    beside = f", each with {seen.context} neighbours on either side as further channels" if seen.context else ""
    return [
        f"{cut}{beside}." if cut else "",
        f"Each channel was clipped at its 0.5 and 99.5 percentile, scaled to {info.image_size} x "
        f"{info.image_size} pixels with the aspect kept, and given mean 0 and standard deviation 1 over {over}.",
        "Missing and infinite grey values take the darkest of the others; blank images get an empty mask.",
    ]


def _of_patches(seen: InputSpec, sides: Iterable[float]) -> list[str]:
    window, voxel = (" x ".join(f"{side:g}" for side in lengths) for lengths in (sides, seen.voxel_mm))
    return [
        f"Volumes were resampled to voxels of {voxel} mm, cropped to the head, clipped at the 0.5 and 99.5 "
        "percentile of each channel, and given mean 0 and standard deviation 1 over the head.",
        f"The network sees patches of {window} voxels; answers of overlapping patches (by {seen.overlap:.0%}) are "
        "blended with Gaussian weights.",
    ]


def describe_network(study: Study) -> list[str]:
    if study.info is None:
        return [f"Network, its parameters and their initial values: {NOT_STATED} (model '{study.summary.model}')."]
    info, environment = study.info, study.environment
    if info.members:
        return [f"An ensemble of {len(info.members)} networks, whose probabilities are averaged."]
    name, options = info.architecture.name, info.architecture.options
    chosen = ", ".join(f"{key} {value}" for key, value in options.items())
    cited = cite(NETWORKS.get(name, ""), "tan2019" if "efficientnet" in str(options.get("encoder", "")) else "")
    size = _size(environment, "patch" if info.input.window else "slice of 256 x 256 pixels")
    initial = str(environment.get("initialisation", NOT_STATED))
    how = {"scratch": "at random"}.get(initial, f"from {initial}{INITIAL.get(initial, '')}")
    each = "the tumour" if len(info.regions) == 1 else f"each of {len(info.regions)} regions"
    return [
        f"The network is '{name}'{f' ({chosen})' if chosen else ''}{cited}, with {size}; it takes "
        f"{numbered(info.architecture.channels, 'channel')} and gives the probability of {each} in each pixel.",
        f"Initial weights: {NOT_STATED}." if initial == NOT_STATED else f"Its weights began {how}.",
    ]


def _size(environment: Mapping[str, Any], of: str) -> str:
    if not environment:
        return f"a number of parameters that is {NOT_STATED}"
    return (
        f"{environment['parameters'] / 1e6:.2f} million parameters and "
        f"{environment['multiply_adds'] / 1e9:.2f} thousand million multiply-adds for one {of}"
    )


def describe_training(study: Study) -> list[str]:
    if study.config is None:
        return [f"Loss, optimiser, schedule and the other settings of the training: {NOT_STATED}."]
    settings, environment = study.config.train, study.environment
    images = f"{settings.epoch_images} images" if settings.epoch_images else "all training images"
    minutes = f"{float(environment['seconds_of_training_steps']) / 60:.0f} minutes" if environment else NOT_STATED
    return [
        *describe_loss(study.config),
        _optimiser(settings),
        f"The rate {_schedule(settings)}.",
        f"Training took {_epochs(study, settings)} of {images} in batches of {settings.batch_size}, "
        f"{'every case drawn alike' if not settings.balance_patients else _balance(settings)}; seed "
        f"{study.config.seed}; time of the training steps: {minutes}.",
        _details(study, settings),
    ]


def _epochs(study: Study, settings: TrainConfig) -> str:
    """Those that were trained; where the folder does not say, those that the configuration allows."""
    epochs = numbered(settings.epochs, "epoch")
    if not study.history:
        return f"at most {epochs}" if settings.patience else epochs
    return f"{len(study.history)} of at most {epochs}" if _stopped_early(study, settings) else epochs


def _stopped_early(study: Study, settings: TrainConfig) -> bool:
    return 0 < len(study.history) < settings.epochs


def _patience(study: Study, settings: TrainConfig) -> str:
    if not settings.patience or (study.history and not _stopped_early(study, settings)):
        return ""
    stopped = "stopped" if study.history else "was to stop"
    return f"training {stopped} after {numbered(settings.patience, 'epoch')} without improvement"


def describe_loss(config: Config) -> list[str]:
    """In words, with citations: of the masks, of presence where the network tells it, of a teacher's answers."""
    loss = config.loss
    has_head = config.model.options.get("presence") and loss.presence
    presence = f"with weight {loss.presence:g} the cross-entropy of whether there is a tumour at all is added"
    return [
        f"The loss is {_of_masks(loss)}{f'; {presence}' if has_head else ''}.",
        *([_of_teacher(loss)] if loss.teacher else []),
    ]


def _of_masks(loss: LossConfig) -> str:
    if not loss.sum:
        return _named_loss(loss.name, loss.options)
    terms = (f"{_named_loss(term.name, term.options)} with weight {_weight(term.ends)}" for term in loss.sum)
    return f"the sum of {'; '.join(terms)}"


def _of_teacher(loss: LossConfig) -> str:
    return (
        f"It makes up {percent(1 - loss.teacher_share)} of what was minimised; the other {percent(loss.teacher_share)} "
        f"are the cross-entropy with the probabilities of the model '{bare_name(loss.teacher)}' for the same images "
        "[@hinton2015], which is all that images without masks have."
    )


def _named_loss(name: str, options: Mapping[str, Any]) -> str:
    words, key = LOSSES.get(name, (f"'{name}'", ""))
    chosen = ", ".join(f"{option} {value}" for option, value in options.items())
    return f"{words}{f' ({chosen})' if chosen else ''}{cite(key)}"


def _weight(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g}" if ends[0] == ends[1] else f"{ends[0]:g} at the start to {ends[1]:g} at the end"


def _optimiser(settings: TrainConfig) -> str:
    name, key = {"adamw": ("AdamW", "loshchilov2019"), "adam": ("Adam", "kingma2015")}[settings.optimiser]
    backbone = f" ({settings.backbone_rate:g} of it for the backbone)" if settings.backbone_rate != 1 else ""
    return (
        f"The optimiser is {name}{cite(key)} with a learning rate of {settings.learning_rate:g}{backbone} "
        f"and a weight decay of {settings.weight_decay:g}."
    )


def _schedule(settings: TrainConfig) -> str:
    patience = numbered(settings.plateau_patience, "epoch")
    falls = SCHEDULES[settings.schedule].format(factor=settings.plateau_factor, patience=patience, end=CYCLE_END)
    begins = f" from {CYCLE_START:g} of that value" if settings.schedule == "one_cycle" else ""
    rises = f"rises linearly{begins} over the first {percent(settings.warmup)} of the steps"
    return f"{rises} and then {falls}" if settings.warmup else falls


def _balance(settings: TrainConfig) -> str:
    share = f"{settings.balance_patients:g} between every case alike (0) and every patient alike (1)"
    return f"drawn with a balance of {share}"


def _details(study: Study, settings: TrainConfig) -> str:
    phrases = [
        f"gradients were clipped at a norm of {settings.clip_norm:g}" if settings.clip_norm else "",
        f"the weights kept are a moving average (decay {settings.average_decay:g} a step)"
        if settings.average_decay
        else "",
        f"layer-wise decay of the rate by {settings.layer_decay:g}" if settings.layer_decay != 1 else "",
        f"the backbone was frozen for {numbered(settings.freeze_epochs, 'epoch')}" if settings.freeze_epochs else "",
        _patience(study, settings),
        f"computed in {study.environment.get('precision', NOT_STATED)}",
    ]
    text = "; ".join(filter(None, phrases))
    return f"{text[0].upper()}{text[1:]}."


def describe_selection(study: Study) -> list[str]:
    info = study.info
    if info is None:
        return [f"How the final model and its threshold were chosen: {NOT_STATED}."]
    return [
        *(_chosen(study, info) if info.split.validated else _fixed(info)),
        f"After the threshold: {study.summary.conventions.get('postprocessing', 'no post-processing')}.",
    ]


def _points(info: ModelInfo) -> str:
    return "; ".join(
        f"{in_words(region)}: threshold {threshold:g}, temperature {temperature:.2f}"
        for region, threshold, temperature in zip(info.regions, info.thresholds, info.temperatures, strict=True)
    )


def _chosen(study: Study, info: ModelInfo) -> list[str]:
    best = max((number for number, row in enumerate(study.history, 1) if row.get("best") == "1"), default=None)
    epoch = f" (epoch {best} of {len(study.history)})" if best else ""
    return [
        f"The weights with the highest {info.metrics.selected_by} were kept{epoch}; the test part had no say.",
        *_points_chosen(study, info),
    ]


def _points_chosen(study: Study, info: ModelInfo) -> list[str]:
    """Where there are validation patients, who need not have chosen both."""
    in_each_fold = "in each fold its own" if study.in_folds else ""
    if not (info.states_temperature or info.states_threshold):
        sentence = "Temperature [@guo2017] and threshold were then fitted on the validation patients"
        return [f"{sentence}: {in_each_fold or _points(info)}."]
    temperatures = _of_regions(info, [f"{value:.2f}" for value in info.temperatures])
    thresholds = _of_regions(info, [f"{value:g}" for value in info.thresholds])
    return [
        f"The temperature was fixed beforehand: {temperatures}."
        if info.states_temperature
        else f"The temperature [@guo2017] was then fitted on the validation patients: {in_each_fold or temperatures}.",
        f"The threshold was fixed beforehand: {thresholds}."
        if info.states_threshold
        else f"The threshold was then chosen on the validation patients: {in_each_fold or thresholds}.",
    ]


def _of_regions(info: ModelInfo, values: Iterable[str]) -> str:
    return "; ".join(f"{in_words(region)}: {value}" for region, value in zip(info.regions, values, strict=True))


def _fixed(info: ModelInfo) -> list[str]:
    """Where nobody validates."""
    return [
        "The weights after the last step were kept; nothing was chosen on any patient.",
        f"Threshold and temperature were fixed beforehand: {_points(info)}.",
    ]
