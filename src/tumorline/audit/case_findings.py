"""What the cases of one source show, whatever the split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.finding import Finding
from tumorline.data.layouts.tree import below_shared_folder
from tumorline.data.layouts.volumes.scan_case import NO_PLACE, TWO_PLACES
from tumorline.data.near.duplicates import NearPair
from tumorline.data.patients.names import names_of_one_patient
from tumorline.data.patients.public_collections import conflicting_collections
from tumorline.data.splits.augmented_copies import copy_groups
from tumorline.regions import WHOLE
from tumorline.wording import numbered, some_of

NOTHING_ENHANCES = (
    "no mask holds 3 or 4, by which BraTS marks enhancing tumour; 1 is read as its core and 2 as its oedema. Where "
    "they mean something else, data.label_values says it, and data.label=whole_tumour is right for both"
)
ONLY_BY_LABELS = (
    "no name says what the labels mean; they are read as BraTS's since 2023 (1 the core that does not enhance, 2 "
    "oedema, 3 enhancing). Where this is right say data.enhancing_label=3; else data.label_values says what they mean"
)
LEAST_FILLED = 0.01
"""Share of the voxels of a volume that are not 0: a head in a wide field of view fills more."""


def count_patients(dataset: Dataset) -> int | None:
    """Number of patients, or None where they are unknown."""
    if dataset.source.patients_unknown:
        return None
    return len({case.patient for case in dataset.cases})


def duplicate_groups(dataset: Dataset) -> list[list[Case]]:
    """Cases whose images show the same pixel for pixel, in groups of two and more."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case, fact in pairs_with_facts(dataset):
        if fact.content:
            groups[fact.content].append(case)
    return [group for group in groups.values() if len(group) > 1]


def near_duplicates(dataset: Dataset) -> list[tuple[Case, Case, NearPair]]:
    """Cases that show the same picture, though not pixel for pixel: its transform turns the first into the second."""
    return [(dataset.cases[pair.a], dataset.cases[pair.b], pair) for pair in dataset.near_pairs]


def pairs_with_facts(dataset: Dataset) -> Iterable[tuple[Case, Facts]]:
    return zip(dataset.cases, dataset.facts, strict=True)


def files_of_cases(cases: Iterable[Case]) -> tuple[str, ...]:
    return tuple(str(case.images[0]) for case in cases)


def find_unusable(dataset: Dataset) -> list[Finding]:
    findings = []
    reported = set()
    for case, fact in pairs_with_facts(dataset):
        for code, message in fact.errors:
            if message in reported:  # the slices of one volume
                continue
            reported.add(message)
            findings.append(Finding(code, "error", message, (_file_meant(case, message),)))
    return findings + find_unlike_channels(dataset)


def _file_meant(case: Case, message: str) -> str:
    """The file of a case with which a message begins; the image where it begins with none."""
    named = (str(file) for file in case.files if message.startswith(str(file)))
    return max(named, key=len, default=str(case.images[0]))


def find_listed(dataset: Dataset) -> list[Finding]:
    """What listing the source has found; files whose place is in doubt are one finding of a kind, with their number."""
    findings = [*dataset.source.findings]
    for code in (TWO_PLACES, NO_PLACE):
        scans = [finding for finding in findings if finding.code == code]
        if len(scans) > 1:
            findings = [*(finding for finding in findings if finding.code != code), _as_one(scans)]
    return findings


def _as_one(scans: Sequence[Finding]) -> Finding:
    message = f"{scans[0].message}; {len(scans)} scans have such files"
    return replace(scans[0], message=message, files=tuple(file for finding in scans for file in finding.files))


def find_unlike_channels(dataset: Dataset) -> list[Finding]:
    channels = {len(case.images) for case in dataset.cases}
    if len(channels) < 2:
        return []
    message = f"{dataset.source.path}: cases have {sorted(channels)} channels; all must have the same number"
    return [Finding("channels", "error", message)]


def find_corrections(dataset: Dataset) -> list[Finding]:
    """Corrected masks that change nothing, and those that lack a region which the mask that they stand for has."""
    findings, unchanged = [], []
    for case, fact in pairs_with_facts(dataset):
        if case.correction is None or not fact.given_hash or fact.errors:
            continue
        if fact.given_hash == fact.mask_hash:
            unchanged.append(case)
        foregrounds = zip(dataset.regions, fact.given_foregrounds, fact.foregrounds, strict=True)
        if lost_regions := [region for region, before, after in foregrounds if before and not after]:
            message = (
                f"{case.correction}: marks no {' and no '.join(lost_regions)}, which the mask that it corrects does"
            )
            findings.append(Finding("correction_takes_out", "warning", message, (str(case.correction),)))
    if unchanged:
        names = some_of([case.id for case in unchanged])
        message = f"{numbered(len(unchanged), 'corrected mask')} as the source has them, unchanged: {names}"
        findings.append(Finding("correction_equal", "info", message, tuple(str(case.correction) for case in unchanged)))
    return findings


def find_suspicious_masks(dataset: Dataset) -> list[Finding]:
    of_files = (_suspicious_values, _constant_channels, _lossy_masks, _empty_masks)
    of_the_set = (_absent_regions, _labels_perhaps_others, _coloured, _turned_alone)
    return [finding for find in (*of_files, *of_the_set) for finding in find(dataset)]


def _suspicious_values(dataset: Dataset) -> list[Finding]:
    """A warning for each image that shows nothing or hardly anything, and for each mask that marks most of it."""
    findings = []
    for case, fact in pairs_with_facts(dataset):
        if fact.errors:
            continue
        if fact.constant:
            message = f"{case.images[0]}: constant image, every pixel has the same value"
            findings.append(Finding("constant", "warning", message, files_of_cases([case])))
        elif case.is_volume and fact.filled < LEAST_FILLED:
            message = f"{case.images[0]}: {fact.filled:.2%} of its voxels are not 0; is this a head?"
            findings.append(Finding("nearly_empty", "warning", message, files_of_cases([case])))
        if fact.foreground > 0.5:
            message = f"{case.truth_file}: {fact.foreground:.0%} of the image is foreground; are the values inverted?"
            findings.append(Finding("over_half", "warning", message, (str(case.truth_file),)))
    return findings


def _constant_channels(dataset: Dataset) -> list[Finding]:
    """A warning for each sequence that shows nothing in some scans, which show something in others."""
    findings = []
    for number, name in enumerate(dataset.channel_names if dataset.cases else ()):
        constant = [case for case, fact in pairs_with_facts(dataset) if _lacks_channel(case, fact, number)]
        if constant:
            counted = f"{name or f'channel {number + 1}'} of {len(constant)} of {numbered(len(dataset.cases), 'scan')}"
            files = tuple(str(case.images[number]) for case in constant)
            message = f"{files[0]}: every voxel has the same value ({counted}); is the sequence missing?"
            findings.append(Finding("constant_channel", "warning", message, files))
    return findings


def _lacks_channel(case: Case, fact: Facts, number: int) -> bool:
    hashes = fact.channel_hashes
    return case.is_volume and any(hashes) and number < len(hashes) and not hashes[number]


def _lossy_masks(dataset: Dataset) -> list[Finding]:
    lossy = [case for case, fact in pairs_with_facts(dataset) if fact.lossy_truth and not fact.errors]
    if not lossy:
        return []
    files = tuple(str(case.truth_file) for case in lossy)
    message = (
        f"{files[0]}: {len(lossy)} of {len(dataset.cases)} masks were saved with loss (JPEG); what is above half "
        "of the brightest value is read as tumour. Save masks as PNG"
    )
    return [Finding("lossy_masks", "warning", message, files)]


def _coloured(dataset: Dataset) -> list[Finding]:
    """A warning of colours: burnt-in outlines give the truth away, and colours that are sequences are mixed."""
    coloured = [case for case, fact in pairs_with_facts(dataset) if fact.coloured]
    if not coloured:
        return []
    message = (
        f"{example_of(coloured)}: {len(coloured)} of {len(dataset.cases)} images are in colour, which is read as "
        "luminance; outlines drawn into them would give the tumours away, so give the images without, in grey"
    )
    return [Finding("coloured", "warning", message, files_of_cases(coloured))]


def _turned_alone(dataset: Dataset) -> list[Finding]:
    """A warning of pictures that viewers turn, and masks which may have been drawn on what is stored."""
    turned = [case for case, fact in pairs_with_facts(dataset) if fact.turned_alone and not fact.errors]
    if not turned:
        return []
    message = (
        f"{example_of(turned)}: {len(turned)} of {len(dataset.cases)} images are turned as their EXIF orientation "
        "says, and their masks are taken as drawn on them as viewers show them; where they were drawn on what is "
        "stored, save the images without EXIF"
    )
    return [Finding("turned_alone", "warning", message, files_of_cases(turned))]


def _absent_regions(dataset: Dataset) -> list[Finding]:
    """Regions that some cases lack, of several: each such case counts as free of it; that all lack one is a warning."""
    findings = []
    shares = [fact.foregrounds for fact in dataset.facts if len(fact.foregrounds) > 1 and fact.foreground]
    for region, foregrounds in zip(dataset.regions, zip(*shares, strict=True), strict=False):
        lacking = sum(not foreground for foreground in foregrounds)
        if lacking:
            message = f"{dataset.source.path}: {lacking} of {len(foregrounds)} cases with a tumour have no {region}"
            findings.append(Finding("no_region", "warning" if lacking == len(foregrounds) else "info", message))
    return findings


def _labels_perhaps_others(dataset: Dataset) -> list[Finding]:
    """A warning where labels are read as BraTS's, and names or labels do not bear it out."""
    label_maps = [(case.labels, fact) for case, fact in pairs_with_facts(dataset) if case.labels and fact.foreground]
    by_names = [(labels, fact) for labels, fact in label_maps if labels.by_names]
    if not by_names or dataset.settings.label == WHOLE:
        return []
    holds_either = any(fact.told_labels for _, fact in by_names)
    if holds_either and not all(labels.by_labels for labels, _ in by_names):
        return []
    message = f"{dataset.source.path}: {ONLY_BY_LABELS if holds_either else NOTHING_ENHANCES}"
    return [Finding("labels_perhaps_others", "warning", message)]


def _empty_masks(dataset: Dataset) -> list[Finding]:
    empty = [case for case, fact in pairs_with_facts(dataset) if not fact.errors and fact.foreground == 0]
    if not empty or dataset.settings.tumour_free:
        return []
    noun = "volumes" if empty[0].is_volume else "slices"
    message = f"{example_of(empty)}: {len(empty)} of {len(dataset.cases)} masks are empty (tumour-free {noun})"
    return [Finding("empty", "warning", message, tuple(str(case.truth_file or case.images[0]) for case in empty))]


def find_patients(dataset: Dataset) -> list[Finding]:
    return _unknown_patients(dataset) + _conflicting_patients(dataset) + _visits_perhaps(dataset)


def _conflicting_patients(dataset: Dataset) -> list[Finding]:
    """Names of one patient of a public collection under which the source states different patients."""
    conflict = conflicting_collections({case.id: case.patient for case in dataset.cases if case.patient})
    if conflict is None:
        return []
    first, second = (dataset.case(name) for name in conflict)
    message = (
        f"{dataset.source.path}: by their names '{first.id}' and '{second.id}' are one patient, but the patients "
        f"stated are '{first.shown_patient}' and '{second.shown_patient}'; state one patient, or rename the files"
    )
    return [Finding("patient_conflict", "error", message, files_of_cases([first, second]))]


def _unknown_patients(dataset: Dataset) -> list[Finding]:
    unknown = [case for case in dataset.cases if case.patient is None]
    if not unknown:
        return []
    noun = "scans" if unknown[0].is_volume else "slices"
    message = (
        f"{dataset.source.path}: patients unknown for {len(unknown)} of {len(dataset.cases)} cases; {noun} of one "
        "patient may lie on both sides of the split. Put a patients.csv (id, patient) into this folder"
    )
    return [Finding("patients_unknown", "warning", message)]


def _visits_perhaps(dataset: Dataset) -> list[Finding]:
    """Patients whose names differ in a last word or number that others have as well, and no known one for a visit."""
    patients = sorted({case.shown_patient for case in dataset.cases if case.shown_patient})
    names = names_of_one_patient(patients)
    if not names:
        return []
    message = (
        f"{dataset.source.path}: {len(names)} names of patients differ in their last words or numbers alone, as "
        f"'{names[0]}' and '{names[1]}' do, and count as {len(names)} patients; where they are visits, say so in a "
        "patients.csv (id, patient)"
    )
    return [Finding("visits_perhaps", "warning", message)]


def find_sizes(dataset: Dataset) -> list[Finding]:
    sizes: dict[tuple[int, ...], int] = defaultdict(int)
    for fact in dataset.facts:
        if fact.shape:
            sizes[fact.shape[1:]] += 1
    if len(sizes) < 2:
        return []
    common = sorted(sizes.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{count} of {' x '.join(map(str, sides[::-1]))}" for sides, count in common[:4])
    how = "resampled to one spacing" if dataset.settings.window else "scaled with its aspect kept"
    message = f"{dataset.source.path}: images of {len(sizes)} sizes ({listed}); each is {how}"
    return [Finding("mixed_sizes", "info", message)]


def find_near_duplicates(dataset: Dataset) -> list[Finding]:
    pairs = near_duplicates(dataset)
    if not pairs:
        return []
    message = f"{looks_like(*pairs[0])}; {numbered(len(pairs), 'pair')} of near duplicates, see 'pairs' of --json"
    return [Finding("near_duplicate", "warning", message, files_of_pairs(pairs))]


def find_augmented_copies(dataset: Dataset) -> list[Finding]:
    groups = copy_groups(dataset.cases)
    if not groups:
        return []
    cases = [case for group in groups for case in group]
    first, second, *_ = groups[0]
    message = (
        f"{dataset.source.path}: by their names {len(cases)} cases are augmented copies of "
        f"{numbered(len(groups), 'picture')} (for example {first.id} and {second.id}); a split by patient keeps those "
        "of one picture in one part"
    )
    return [Finding("augmented_copies", "warning", message, files_of_cases(cases))]


def looks_like(a: Case, b: Case, pair: NearPair) -> str:
    transform = "" if pair.transform == "identity" else f" after {pair.transform}"
    first, second = a.images[0], b.images[0]
    return f"{first}: looks like {below_shared_folder(second, first)}{transform} (correlation {pair.correlation:.3f})"


def files_of_pairs(found: Iterable[tuple[Case, Case, NearPair]]) -> tuple[str, ...]:
    return files_of_cases({case.id: case for a, b, _ in found for case in (a, b)}.values())


def example_of(cases: Sequence[Case]) -> str:
    return str(cases[0].images[0])


def names_of(group: Sequence[Case]) -> str:
    """The others of a group as they lie beside the first."""
    first, *others = (case.images[0] for case in group)
    shown = ", ".join(below_shared_folder(other, first) for other in others[:3])
    return shown + (f" and {len(others) - 3} more" if len(others) > 3 else "")
