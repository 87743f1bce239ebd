"""What is said below a figure."""

from tumorline.wording import in_words

DOT = "one dot a patient, the mean of its cases (a case where patients are unknown)"
CAPTIONS = {
    "headline_bar": "Dice by patient with its 95 % interval.",
    "by_class": f"Dice by class: {DOT}, the bar the mean over patients, the band its 95 % interval.",
    "by_size": f"Dice by thirds of the true size: {DOT}, the bar the mean over patients.",
    "by_attribute": f"Dice by what else the source states: {DOT}.",
    "areas": f"Predicted against true size: {DOT}; on the dashed line they agree.",
    "distribution": "Distribution of the Dice over patients (over cases where patients are unknown).",
    "over_segmentation-curve": "Dice on the validation patients against the threshold.",
    "over_segmentation-ratios": "Predicted over true size on the validation patients against the threshold.",
    "calibration": "Reliability near tumours: share of tumour against predicted probability; the area of a dot "
    "is its share of the pixels.",
    "confidence": "Risk against coverage: mean 1 - Dice of the most confident cases.",
    "stress": "Dice under a change of the images; the left dot is the images as they are.",
    "loss": "Loss on training and validation part over the epochs.",
    "training-dice": "Dice on the validation part over the epochs.",
    "rate": "Learning rate over the epochs.",
    "differences": "Paired differences of Dice: one dot a patient, the bar the mean, the band its 95 % interval.",
    "pareto": "Dice against images a second in inference; the line joins those that no other beats in both.",
    "dice": f"Dice by set: {DOT}.",
}
"""By a part of the figure's name; the first that fits counts."""
OF_ALL = ("loss", "training-dice", "rate", "differences", "pareto")


def caption_of(name: str) -> str:
    region, _, part = name.partition("-")
    caption = next((text for key, text in CAPTIONS.items() if key in name), part or name)
    return caption if not part or any(caption is CAPTIONS[key] for key in OF_ALL) else f"{in_words(region)}: {caption}"
