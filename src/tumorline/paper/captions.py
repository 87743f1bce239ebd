"""What is said below a figure."""

from collections.abc import Mapping, Sequence

from tumorline.paper.drawings import OF_REGIONS, FoundChart
from tumorline.wording import in_words

DOT = "one dot a patient, the mean of its cases (a case where patients are unknown)"
CAPTIONS = {
    ("training", "loss"): "Loss on training and validation part over the epochs.",
    ("training", "dice"): "Dice on the validation part over the epochs.",
    ("training", "rate"): "Learning rate over the epochs.",
    ("differences",): "Paired differences of Dice: one dot a patient, the bar the mean, the band its 95 % interval.",
    ("pareto",): "Dice against images a second in inference; the line joins those that no other beats in both.",
    ("dice",): f"Dice of {{name}} by set: {DOT}.",
}
"""By where the figure stands in what its page shows; `name` is what stands below that."""
OF_A_REGION = {
    ("headline_bar",): "Dice by patient with its 95 % interval.",
    ("by_class",): f"Dice by class: {DOT}, the bar the mean over patients, the band its 95 % interval.",
    ("by_size",): f"Dice by thirds of the true size: {DOT}, the bar the mean over patients.",
    ("by_attribute",): f"Dice by {{name}}, which the source states: {DOT}.",
    ("areas",): f"Predicted against true size: {DOT}; on the dashed line they agree.",
    ("distribution",): "Distribution of the Dice over patients (over cases where patients are unknown).",
    ("over_segmentation", "curve"): "Dice on the validation patients against the threshold.",
    ("over_segmentation", "ratios"): "Predicted over true size on the validation patients against the threshold.",
    ("calibration",): "Reliability near tumours: share of tumour against predicted probability; the area of a dot "
    "is its share of the pixels or voxels.",
    ("confidence",): "Risk against coverage: mean 1 - Dice of the most confident cases.",
    ("stress",): "Dice under a change of the images: {name} ({unit}); the left dot is the images as they are.",
}


def caption_of(chart: FoundChart) -> str:
    if chart.names[0] != OF_REGIONS:
        return _caption(CAPTIONS, chart.names, chart.unit)
    _, region, *names = chart.names
    return f"{in_words(region)}: {_caption(OF_A_REGION, names, chart.unit)}"


def _caption(captions: Mapping[tuple[str, ...], str], names: Sequence[str], unit: str) -> str:
    """Where there is no caption, the names."""
    for key, caption in captions.items():
        if key == tuple(names[: len(key)]):
            return caption.format(name=", ".join(names[len(key) :]), unit=unit)
    return in_words(", ".join(names))
