"""The methods of a study in sentences, with every choice that CLAIM 2024 asks for that its folder knows.

Citations stand in the text as `[@key]`, as Pandoc reads them. What the folder does not know is "not stated".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tumorline.config import PATHS, AugmentConfig, Config, LossConfig, TrainConfig
from tumorline.environment import versions
from tumorline.metrics.case import NSD_TOLERANCE
from tumorline.metrics.summary import LEAST_FOR_INTERVAL, RESAMPLES
from tumorline.paper.study import Study, count_parts
from tumorline.wording import numbered

UNKNOWN = "not stated"
NETWORKS = {
    "unet": "ronneberger2015",
    "monai_unet": "kerfoot2018",
    "attention_unet": "oktay2018",
    "unet_plus_plus": "zhou2018",
    "dyn_unet": "isensee2021",
    "segresnet": "myronenko2018",
    "swin_unetr": "hatamizadeh2022",
    "mednext": "roy2023",
    "swin_unet": "cao2021",
    "deeplabv3": "chen2017",
    "fcn": "long2015",
    "lraspp": "howard2019",
    "encoder_unet": "ronneberger2015",
    "deeplabv3_plus": "chen2018",
    "fpn": "kirillov2017",
    "segformer": "xie2021",
    "smp": "smp",
}
LOSSES = {
    "dice_ce": ("the Dice loss plus binary cross-entropy", "milletari2016"),
    "dice": ("the Dice loss", "milletari2016"),
    "bce": ("binary cross-entropy", ""),
    "focal": ("the focal loss", "linfocal2017"),
    "tversky": ("the Tversky loss", "salehi2017"),
    "focal_tversky": ("the focal Tversky loss", "abraham2018"),
    "generalised_dice": ("the generalised Dice loss", "sudre2017"),
    "dice_topk": ("the Dice loss plus the cross-entropy of the hardest pixels", "wu2016"),
    "lovasz": ("the Lovász extension of the Jaccard loss", "berman2018"),
    "boundary": ("the boundary loss", "kervadec2019"),
    "hausdorff_dt": ("the Hausdorff loss by distance transforms", "karimi2019"),
    "bounded_surface": ("the generalised surface loss", "celaya2023"),
}
SCHEDULES = {
    "cosine": "falls to zero along half a cosine [@loshchilov2017]",
    "constant": "stays as it is",
    "one_cycle": "follows one cycle [@smith2017]",
    "poly": "falls to zero as a power of what is left",
    "plateau": "is multiplied by {factor:g} after {patience} epochs without a better validation Dice",
}
INITIAL = {"ImageNet": " [@deng2009]", "COCO": " [@lin2014]"}
SOFTWARE = {
    "torch": ("PyTorch", "pytorch"),
    "torchvision": ("torchvision", "torchvision"),
    "monai": ("MONAI", "monai"),
    "segmentation-models-pytorch": ("segmentation-models-pytorch", "smp"),
    "timm": ("timm", "timm"),
    "onnx": ("ONNX", "onnx"),
    "openvino": ("OpenVINO", "openvino"),
    "numpy": ("NumPy", "numpy"),
    "scipy": ("SciPy", "scipy"),
}
OF_ENCODERS = ("encoder_unet", "deeplabv3_plus", "fpn", "segformer", "smp")
NETWORKS_OF = {
    "torchvision": ("deeplabv3", "fcn", "lraspp", "swin_unet"),
    "monai": ("monai_unet", "attention_unet", "unet_plus_plus", "dyn_unet", "segresnet", "swin_unetr", "mednext"),
    "segmentation-models-pytorch": OF_ENCODERS,
    "timm": OF_ENCODERS,
}
"""Of packages that not every training uses: the networks that come from them."""
SETS = {
    "cheng": "the public set of Cheng et al. (figshare 1512427, CC BY 4.0) [@cheng2017; @cheng2015]",
    "simulated": "a simulated cohort: no patient was imaged, and no figure is clinical [@fonov2011]",
    "brats": "volumes in the names of BraTS, UCSF-PDGM or UPENN-GBM, of which release is not stated "
    "[@baid2021; @menze2015; @bakas2017]",
    "lgg": "the public set of lower-grade gliomas from TCGA (CC BY-NC-SA 4.0) [@buda2019]",
}


@dataclass(frozen=True)
class Paragraph:
    heading: str
    text: str


def describe_methods(study: Study) -> list[Paragraph]:
    """The paragraphs in the order in which papers have them."""
    parts = {
        "Design": _design(study),
        "Data": _data(study),
        "Reference standard": _reference_standard(study),
        "Partitions": _partitions(study),
        "Preprocessing": _preprocessing(study),
        "Augmentation": _augmentation(study.config.augment if study.config else None),
        "Network": _network(study),
        "Training": _training(study),
        "Selection": _selection(study),
        "Evaluation": _evaluation(study),
        "Statistics": _statistics(),
        "Robustness and calibration": _robustness(study),
        "Software and hardware": _software(study),
        "Availability": _availability(study),
    }
    return [Paragraph(heading, " ".join(filter(None, sentences))) for heading, sentences in parts.items()]


def _design(study: Study) -> list[str]:
    kind = "in cross-validation" if study.in_folds else "on held-out cases" if study.config else "on given cases"
    return [
        f"A deep-learning model for the segmentation of brain tumours in MRI was "
        f"{'trained and ' if study.config else ''}"
        f"tested {kind}; this is reported after CLAIM 2024 [@claim2024].",
        f"Prospective or retrospective collection, registration and ethics approval: {UNKNOWN}.",
    ]


def _data(study: Study) -> list[str]:
    source, summary = study.summary.source, study.summary
    name = "simulated" if source.simulated else source.known_as or source.layout
    origin = SETS.get(name, f"a source in the layout '{source.layout}', whose name and origin are {UNKNOWN}")
    total = study.info.data.get("cases") if study.info and study.config else None
    used = f" The model was made from {numbered(int(total), 'case')} in all." if total else ""
    names = study.info.input.channels if study.info and study.config else []
    channels = ", ".join(names) or source.channel
    return [
        f"The images come from {origin}.{used}",
        f"The figures are of {numbered(summary.cases, 'case')} of {numbered(summary.patients, 'patient')}"
        f"{'' if not summary.split.patients_unknown else ' (patients unknown: each case counts as one)'}.",
        f"MRI sequence: {_words(channels or UNKNOWN)}.",
        f"Scanner, field strength and acquisition protocol, inclusion and exclusion criteria, demographics and "
        f"de-identification: {UNKNOWN}.",
    ]


def _reference_standard(study: Study) -> list[str]:
    label = study.summary.source.label
    regions = ", ".join(map(_words, study.summary.regions))
    meaning = f", whose meaning is '{_words(label)}'" if label else ""
    return [
        f"Reference standard are the masks that come with the images{meaning}; outlined {_are(study.summary.regions)} "
        f"{regions}.",
        f"Annotators, their qualification, their tools and the variability within and between them: {UNKNOWN}.",
    ]


def _partitions(study: Study) -> list[str]:
    split, settings = study.summary.split, study.config.split if study.config else None
    unit = "slice" if split.by == "slice" else "patient"
    counted = [
        f"{part} {numbered(patients, 'patient')} with {numbered(cases, 'case')}"
        for part, (patients, cases) in count_parts(study.split).items()
    ]
    sentences = [f"How the cases were assigned to the parts: {split.origin or UNKNOWN}."]
    if settings and settings.folds:
        sentences.append(f"There were {settings.folds} folds, each the test part of one model.")
    elif settings:
        rest = 1 - settings.train - settings.validation
        shares = f"{settings.train:.0%} training, {settings.validation:.0%} validation, {rest:.0%} test"
        sentences.append(f"Wanted shares of the patients: {shares}, within each class.")
    if counted:
        sentences.append(f"Found were {'; '.join(counted)}.")
    if split.leaking:
        sentences.append("THE SPLIT LEAKS: slices of one patient are in several parts.")
    elif split.patients_unknown:
        sentences.append("Patients are unknown, so that slices of one patient may lie in several parts.")
    elif settings:
        sentences.append(
            f"The parts are disjoint by {unit}; images that are equal or near duplicates (turned, mirrored, resized, "
            "cropped) were searched for and kept in one part."
        )
    return [*sentences, f"Calculation of the sample size: {UNKNOWN}."]


def _preprocessing(study: Study) -> list[str]:
    if study.info is None:
        return [f"Preprocessing: {UNKNOWN}."]
    info, seen = study.info, study.info.input
    if seen.window:
        window, voxel = (" x ".join(f"{side:g}" for side in sides) for sides in (seen.window, seen.voxel_mm))
        return [
            f"Volumes were resampled to voxels of {voxel} mm, cropped to the head, clipped at the 0.5 and 99.5 "
            f"percentile "
            "of each channel, and given mean 0 and standard deviation 1 over the head.",
            f"The network sees patches of {window} voxels; answers of overlapping patches (by {seen.overlap:.0%}) are "
            "blended with Gaussian weights.",
        ]
    over = "the head of the whole volume" if seen.normalisation == "volume" else "each slice"
    of_volumes = any(metrics.truth_ml for metrics in study.summary.regions.values())
    cut = f"Volumes were cut into {seen.axis} slices" if of_volumes else ""
    beside = f", each with {seen.context} neighbours on either side as further channels" if seen.context else ""
    return [
        f"{cut}{beside}." if cut else "",
        f"Each channel was clipped at its 0.5 and 99.5 percentile, scaled to {info.image_size} x "
        f"{info.image_size} pixels "
        f"with the aspect kept, and given mean 0 and standard deviation 1 over {over}.",
        "Missing and infinite grey values take the darkest of the others; blank images get an empty mask.",
    ]


def _augmentation(settings: AugmentConfig | None) -> list[str]:
    if settings is None:
        return [f"Augmentation: {UNKNOWN}."]
    along = f"the {settings.flips} axis" if isinstance(settings.flips, str) else "both axes"
    geometry = [
        f"rotation by up to {settings.rotation_degrees:g} degrees" if settings.rotation_degrees else "",
        f"scaling by up to {settings.scale:.0%}" if settings.scale else "",
        f"shifts of up to {settings.shift:.0%} of the side" if settings.shift else "",
        f"elastic displacements of up to {settings.elastic:.0%} of the side" if settings.elastic else "",
    ]
    grey = [
        f"gamma from {1 - settings.gamma:g} to {1 + settings.gamma:g}" if settings.gamma else "",
        f"contrast by up to {settings.contrast:.0%}" if settings.contrast else "",
        f"Gaussian noise of up to {settings.noise:g} standard deviations" if settings.noise else "",
        f"blur of up to {settings.blur:g} pixels" if settings.blur else "",
        f"a resolution down to {settings.low_resolution:g}" if 0 < settings.low_resolution < 1 else "",
    ]
    whole = [
        f"mirroring along {along}" if settings.flips else "",
        f"quarter turns of {settings.quarter_turns:.0%} of the samples" if settings.quarter_turns else "",
        _with_probability(geometry, settings.geometry_probability),
        _with_probability(grey, settings.intensity_probability, each=True),
    ]
    said = "; ".join(filter(None, whole))
    return [f"Training images were changed at random: {said}." if said else "Training images were not augmented."]


def _with_probability(changes: Iterable[str], probability: float, each: bool = False) -> str:
    known = list(filter(None, changes))
    how = "each with" if each else "together with"
    return f"{', '.join(known)} ({how} probability {probability:g})" if known and probability else ""


def _network(study: Study) -> list[str]:
    if study.info is None:
        return [f"Network, its parameters and their initial values: {UNKNOWN} (model '{study.summary.model}')."]
    info, found = study.info, study.environment
    if info.members:
        return [f"An ensemble of {len(info.members)} networks, whose probabilities are averaged."]
    name, options = info.architecture.name, info.architecture.options
    chosen = ", ".join(f"{key} {value}" for key, value in options.items())
    cited = _cite(NETWORKS.get(name, ""), "tan2019" if "efficientnet" in str(options.get("encoder", "")) else "")
    size = (
        f"{found['parameters'] / 1e6:.2f} million parameters and {found['multiply_adds'] / 1e9:.2f} thousand million "
        f"multiply-adds for one {'patch' if info.input.window else 'slice of 256 x 256 pixels'}"
        if found
        else f"a number of parameters that is {UNKNOWN}"
    )
    initial = str(found.get("initialisation", UNKNOWN))
    how = {"scratch": "at random"}.get(initial, f"from {initial}{INITIAL.get(initial, '')}")
    count, regions = info.architecture.channels, len(info.regions)
    return [
        f"The network is '{name}'{f' ({chosen})' if chosen else ''}{cited}, with {size}; it takes "
        f"{numbered(count, 'channel')} and gives the probability of {_each(regions)} in each pixel.",
        f"Its weights began {how if initial != UNKNOWN else UNKNOWN}.",
    ]


def _training(study: Study) -> list[str]:
    if study.config is None:
        return [f"Loss, optimiser, schedule and the other settings of the training: {UNKNOWN}."]
    settings, found = study.config.train, study.environment
    images = f"{settings.epoch_images} images" if settings.epoch_images else "all training images"
    minutes = f"{float(found['seconds_of_training_steps']) / 60:.0f} minutes" if found else UNKNOWN
    return [
        f"The loss is {describe_loss(study.config.loss)}.",
        _optimiser(settings),
        f"The rate {_schedule(settings)}.",
        f"Training took {numbered(settings.epochs, 'epoch')} of {images} in batches of {settings.batch_size}, "
        f"{'every case drawn alike' if not settings.balance_patients else _balance(settings)}; seed "
        f"{study.config.seed}; "
        f"time of the training steps: {minutes}.",
        _details(settings, str(found.get("precision", UNKNOWN))),
    ]


def describe_loss(loss: LossConfig) -> str:
    """In words, with citations."""
    if loss.sum:
        return "the sum of " + "; ".join(
            f"{_named_loss(term.name, term.options)} with weight {_weight(term.ends)}" for term in loss.sum
        )
    return _named_loss(loss.name, loss.options)


def _named_loss(name: str, options: Mapping[str, Any]) -> str:
    words, key = LOSSES.get(name, (f"'{name}'", ""))
    chosen = ", ".join(f"{option} {value}" for option, value in options.items())
    return f"{words}{f' ({chosen})' if chosen else ''}{_cite(key)}"


def _weight(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g}" if ends[0] == ends[1] else f"{ends[0]:g} at the start to {ends[1]:g} at the end"


def _optimiser(settings: TrainConfig) -> str:
    name, key = {"adamw": ("AdamW", "loshchilov2019"), "adam": ("Adam", "kingma2015")}[settings.optimiser]
    backbone = f" ({settings.backbone_rate:g} of it for the backbone)" if settings.backbone_rate != 1 else ""
    return (
        f"It was minimised by {name}{_cite(key)} with a learning rate of {settings.learning_rate:g}{backbone} "
        f"and a weight "
        f"decay of {settings.weight_decay:g}."
    )


def _schedule(settings: TrainConfig) -> str:
    falls = SCHEDULES[settings.schedule].format(factor=settings.plateau_factor, patience=settings.plateau_patience)
    return (
        f"rises linearly over the first {settings.warmup:.0%} of the steps and then {falls}"
        if settings.warmup
        else falls
    )


def _balance(settings: TrainConfig) -> str:
    share = f"{settings.balance_patients:g} between every case alike (0) and every patient alike (1)"
    return f"drawn with a balance of {share}"


def _details(settings: TrainConfig, precision: str) -> str:
    said = [
        f"gradients were clipped at a norm of {settings.clip_norm:g}" if settings.clip_norm else "",
        f"the weights kept are a moving average (decay {settings.average_decay:g} a step)"
        if settings.average_decay
        else "",
        f"layer-wise decay of the rate by {settings.layer_decay:g}" if settings.layer_decay != 1 else "",
        f"the backbone was frozen for {numbered(settings.freeze_epochs, 'epoch')}" if settings.freeze_epochs else "",
        f"training stopped after {settings.patience} epochs without improvement" if settings.patience else "",
        f"computed in {precision}",
    ]
    text = "; ".join(filter(None, said))
    return f"{text[0].upper()}{text[1:]}."


def _selection(study: Study) -> list[str]:
    info = study.info
    if info is None:
        return [f"How the final model and its threshold were chosen: {UNKNOWN}."]
    best = max((number for number, row in enumerate(study.history, 1) if row.get("best") == "1"), default=None)
    epoch = f" (epoch {best} of {len(study.history)})" if best else ""
    points = "; ".join(
        f"{_words(region)}: threshold {threshold:g}, temperature {temperature:.2f}"
        for region, threshold, temperature in zip(info.regions, info.thresholds, info.temperatures, strict=True)
    )
    return [
        f"The weights with the highest {_selected_by(info.metrics)} were kept{epoch}; the test part had no say.",
        "Temperature [@guo2017] and threshold were then fitted on the validation patients: "
        f"{points if not study.in_folds else 'in each fold its own'}.",
        f"After the threshold: {study.summary.conventions.get('postprocessing', 'no post-processing')}.",
    ]


def _selected_by(metrics: Mapping[str, Any]) -> str:
    return str(metrics.get("selected_by", "validation Dice by patient"))


def _evaluation(study: Study) -> list[str]:
    summary = study.summary
    unit = next(iter(summary.regions.values())).hd95.unit or "px"
    inside = {"test": "internal (the test part of the same source)", "unseen": "of cases that the model has not seen"}
    kinds = " and ".join(inside.get(status, status) for status in summary.headline_status)
    conventions = [f"{_words(name)}: {text}" for name, text in summary.conventions.items() if name in TOLD]
    return [
        f"Figures are the Dice coefficient [@dice1945], the normalised surface Dice at {NSD_TOLERANCE:g} {unit} "
        f"[@nikolov2021], the 95th percentile of the Hausdorff distance (HD95), missed and false lesions, and "
        f"predicted "
        f"over true size, chosen after [@maierhein2024].",
        f"Conventions: {'; '.join(conventions)}.",
        f"The test is {kinds}. {_external(study)}",
    ]


TOLD = ("resolution", "aggregation", "headline", "miss", "surface", "lesions", "volume_ratio", "test_time_augmentation")
"""Conventions that a methods section has to state."""


def _external(study: Study) -> str:
    return "" if "unseen" in study.summary.headline_status else f"A test on external data: {UNKNOWN}."


def _statistics() -> list[str]:
    return [
        f"Values are averaged over a patient's cases, then over patients; 95 % intervals are bootstrapped over "
        f"patients "
        f"(BCa, {RESAMPLES} resamples [@efron1987]), and from {LEAST_FOR_INTERVAL} patients on; below, the "
        f"range is given.",
        "The interval covers the choice of patients, not of training seed, split or annotator.",
    ]


def _robustness(study: Study) -> list[str]:
    summary = study.summary
    changes = sorted({_words(name) for found in summary.robustness.values() for name in found.changes})
    tested = (
        f"The same cases were scored again under {', '.join(changes)}." if changes else "Robustness was not measured."
    )
    errors = [
        f"{_words(region)} {found.expected_calibration_error:.3f}"
        for region, found in summary.calibration.items()
        if found.expected_calibration_error is not None
    ]
    calibrated = f"Expected calibration error near tumours: {', '.join(errors)}." if errors else ""
    baselines = ", ".join(_words(name) for name in summary.baselines)
    return [
        tested,
        calibrated,
        f"The same cases were given to trivial answers ({baselines})." if baselines else "",
        "No method of explanation was used.",
    ]


def _software(study: Study) -> list[str]:
    found = study.environment
    known: Mapping[str, str] = found.get("versions") or (study.info.versions if study.info else {})
    network = study.info.architecture.name if study.info else ""
    listed = [
        f"{name} {known[package]}{_cite(key)}"
        for package, (name, key) in SOFTWARE.items()
        if package in known and network in NETWORKS_OF.get(package, (network,))
    ]
    own = known.get("tumorline", "")
    made = f"Tumorline {own} [@tumorline] on Python {known['python']}" if own and "python" in known else ""
    machine = found.get("machine", {})
    processes = int(found.get("processes", 1))
    hardware = (
        f"{machine.get('processor') or UNKNOWN}, {machine.get('cores', UNKNOWN)} cores, "
        f"{machine.get('system', UNKNOWN)}; "
        f"device {found['device']}{f', {processes} processes' if processes > 1 else ''}"
        if found
        else UNKNOWN
    )
    return [
        f"Trained and evaluated with {made or f'software that is {UNKNOWN}'}{', with ' if listed else ''}"
        f"{', '.join(listed)}.",
        f"Evaluation runs on the exported ONNX model. These figures and tables were written by Tumorline "
        f"{versions()['tumorline']}{'' if made else ' [@tumorline]'}.",
        f"Hardware: {hardware}.",
    ]


def _availability(study: Study) -> list[str]:
    licence = f"Terms of the weights: {study.info.licence}." if study.info else f"Terms of the weights: {UNKNOWN}."
    return [licence, f"Availability of code, model and data, protocol and funding: {UNKNOWN}."]


def _cite(*keys: str) -> str:
    known = "; ".join(f"@{key}" for key in keys if key)
    return f" [{known}]" if known else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _are(things: Iterable[object]) -> str:
    return "are" if len(list(things)) > 1 else "is"


def _each(regions: int) -> str:
    return "the tumour" if regions == 1 else f"each of {regions} regions"


def settings_of(config: Config) -> list[dict[str, str]]:
    """Every setting of a run but for paths, as rows of `section.key` and value."""
    values = config.model_dump(mode="json", exclude={"data": {*PATHS}, "split": {"file"}}, exclude_none=True)
    return list(_settings_below(values, ""))


def _settings_below(values: Mapping[str, Any], prefix: str) -> Iterable[dict[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _settings_below(value, f"{prefix}{key}.")
        elif value not in ("", [], {}):
            yield {"setting": f"{prefix}{key}", "value": str(value)}
