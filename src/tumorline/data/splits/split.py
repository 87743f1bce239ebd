"""Who trains, who validates, who tests: by patient, stratified by class, independent of files and their order."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.config import SplitConfig
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.splits.augmented_copies import copy_groups
from tumorline.data.splits.parts import PARTS, Split
from tumorline.data.splits.patient_draw import (
    assign,
    draw_parts,
    first_of_each,
    shuffled,
    strata_of,
    wanted_parts,
)
from tumorline.data.splits.split_file import checked_part, read_split_file, tell_unknown_patients
from tumorline.errors import UserError
from tumorline.user_text import written_path
from tumorline.wording import is_or_are, numbered

SPLIT_COLUMNS = ("case", "patient", "class_name", "part")


def split_dataset(dataset: Dataset, settings: SplitConfig) -> Split:
    """Split a data set: a file named in the settings, else the source's own column, else computed.

    Raises UserError where a part stays empty or where the file lacks a patient.
    """
    if settings.trains_on_all:
        everyone = Split({case.id: "train" for case in dataset.cases}, "all patients train")
        return _train_on_share(dataset, everyone, settings)
    of_members = dataset.members and not settings.file
    split = _split_members(dataset, settings) if of_members else _split_whole(dataset, settings)
    if not settings.validates:
        split = _without_validation(split)
    if settings.leak:
        split = _leak(dataset, split, settings)
    for part in wanted_parts(settings):
        if not split.cases(part):
            raise UserError(f"{dataset.source.path}: the {part} part of the split ({split.origin}) is empty")
    return _train_on_share(dataset, split, settings)


def _train_on_share(dataset: Dataset, split: Split, settings: SplitConfig) -> Split:
    """The same split with some of the training patients left out; one stays at least."""
    if settings.trained_share == 1:
        return split
    groups, trained = patient_groups(dataset), set(split.cases("train"))
    classes = _majority_class([case for case in dataset.cases if case.id in trained], groups)
    kept = {*first_of_each(strata_of(classes, settings.seed), settings.trained_share)}
    left_out = {name: "excluded" for name in trained if groups[name] not in kept}
    origin = f"{split.origin}, trained on {len(kept)} of {numbered(len(classes), 'training patient')}"
    return replace(split, parts={**split.parts, **left_out}, origin=origin)


def _without_validation(split: Split) -> Split:
    """The same, with those who were stated to validate among those who train."""
    parts = {name: "train" if part == "validation" else part for name, part in split.parts.items()}
    return replace(split, parts=parts, origin=f"{split.origin}, nobody validates")


def _split_whole(dataset: Dataset, settings: SplitConfig) -> Split:
    if settings.file:
        return _split_by_file(dataset, written_path(settings.file))
    if settings.stated and not settings.folds and (stated := stated_split(dataset)):
        return _with_missing_parts(dataset, stated, settings)
    if settings.folds and settings.folds_from == "source":
        return _by_source_fold(dataset, settings)
    if settings.by == "slice":
        parts = assign({case.id: case.class_name for case in dataset.cases}, settings)
        return Split(parts, f"by slice, {_which(settings)}", leaking=True)
    return _by_patient(dataset, settings)


def _split_by_file(dataset: Dataset, path: Path) -> Split:
    """The split of a table; cases that it lacks are left out, or in the part that their source is in as a whole."""
    split = read_split_file(dataset, path)
    lacking = [case for case in dataset.cases if case.id not in split.parts]
    whole_parts = _beside(
        dataset, split.parts, {case.id: part for case in lacking if (part := dataset.whole_part(case))}
    )
    parts = {**{case.id: "excluded" for case in dataset.cases}, **split.parts, **whole_parts}
    added = len(whole_parts) - [*whole_parts.values()].count("excluded")
    note = f", {numbered(added, 'case')} that it lacks {is_or_are(added)} in the part of their source" if added else ""
    return replace(split, parts=parts, origin=f"{split.origin}{note}")


def _beside(dataset: Dataset, stated: Mapping[str, str], whole_parts: Mapping[str, str]) -> dict[str, str]:
    """The parts of whole sources, out of which those are left whose patients are stated to be in another part."""
    groups = patient_groups(dataset) if whole_parts else {}
    sides = {groups[name]: part for name, part in stated.items() if part != "excluded"} if whole_parts else {}
    return {
        name: part if sides.setdefault(groups[name], part) == part else "excluded" for name, part in whole_parts.items()
    }


def _split_members(dataset: Dataset, settings: SplitConfig) -> Split:
    """Each of several sources as by itself, so that its parts are the same whatever others stand beside it.

    What shows one patient in several sources is in the part that he has in the first of them; of a source that has one
    part by choice it is left out instead.
    """
    parts: list[str] = []
    origins: list[str] = []
    for source, member in zip(dataset.settings.sources, dataset.members, strict=True):
        if source.whole_part:
            parts += [source.whole_part] * len(member.cases)
            continue
        member_split = _split_member(member, settings)
        parts += [member_split.parts[case.id] for case in member.cases]
        origins.append(member_split.origin)
    named = dict(zip((case.id for case in dataset.cases), parts, strict=True))
    leaking = settings.by == "slice"
    many = f"within each of {len(dataset.members)} sources: "
    origin = many + "; ".join(dict.fromkeys(origins) or ["stated"])
    return Split(named if leaking else _with_shared_on_one_side(dataset, named), origin, leaking)


def _split_member(member: Dataset, settings: SplitConfig) -> Split:
    try:
        return _split_whole(member, settings)
    except UserError as error:
        cure = "or give it to one part as a whole: --data SOURCE,part=train"
        raise UserError(f"{member.source.path}: {error}, {cure}") from None


def _with_shared_on_one_side(dataset: Dataset, parts: Mapping[str, str]) -> dict[str, str]:
    groups, adjusted = shared_groups(dataset), dict(parts)
    decided = {
        name: next((parts[case.id] for case in cases if parts[case.id] != "excluded"), "")
        for name, cases in groups.items()
    }
    for name, cases in groups.items():
        for case in cases:
            if adjusted[case.id] != decided[name] and adjusted[case.id] != "excluded":
                adjusted[case.id] = "excluded" if dataset.whole_part(case) else decided[name]
    return adjusted


def shared_groups(dataset: Dataset) -> dict[str, list[Case]]:
    """The groups of cases of one patient, equal or nearly equal images, that lie in several sources."""
    groups: dict[str, list[Case]] = defaultdict(list)
    of_case = patient_groups(dataset)
    for case in dataset.cases:
        groups[of_case[case.id]].append(case)
    return {name: cases for name, cases in groups.items() if len(set(map(dataset.member_of, cases))) > 1}


def stated_split(dataset: Dataset) -> Split | None:
    """The parts that the source itself states, in a column or by its folders; None where it states none."""
    if not any(case.part for case in dataset.cases):
        return None
    where = "split column" if dataset.source.path.is_file() else "own parts"
    return Split(
        {case.id: checked_part(case.part, case.id) for case in dataset.cases},
        f"the source's {where}{tell_unknown_patients(dataset, 'id')}",
        parts_are_stated=True,
    )


def _with_missing_parts(dataset: Dataset, split: Split, settings: SplitConfig) -> Split:
    """The split, with a validation or test part that it lacks taken from the patients that train."""
    missing = [part for part in wanted_parts(settings) if not split.cases(part)]
    if not missing or "train" in missing:
        return split
    trained = set(split.cases("train"))
    groups = {case_id: name for case_id, name in patient_groups(dataset).items() if case_id in trained}
    if len(set(groups.values())) <= len(missing):
        return split
    classes = _majority_class([case for case in dataset.cases if case.id in trained], groups)
    shares = {"validation": settings.validation, "test": 1 - settings.train - settings.validation}
    taken_shares = {part: shares[part] for part in missing}
    by_group = draw_parts(strata_of(classes, settings.seed), taken_shares, ("train", *missing))
    parts = {
        case_id: by_group[groups[case_id]] if case_id in trained else part for case_id, part in split.parts.items()
    }
    origin = f"{split.origin}, {' and '.join(missing)} taken from its train by patient, {_which(settings)}"
    return replace(split, parts=parts, origin=origin)


def _which(settings: SplitConfig) -> str:
    fold = f"fold {settings.fold} of {settings.folds}, " if settings.folds else ""
    return f"{fold}seed {settings.seed}"


def _by_patient(dataset: Dataset, settings: SplitConfig) -> Split:
    groups = patient_groups(dataset)
    classes = dict(dataset.source.patient_classes) or _majority_class(dataset.cases, groups)
    extra = {groups[case.id] for case in dataset.cases} - classes.keys()
    classes |= _majority_class([case for case in dataset.cases if groups[case.id] in extra], groups)
    parts = assign(classes, settings)
    origin = f"by patient, {_which(settings)}"
    if dataset.source.known_as:
        origin += f", over all {len(dataset.source.patient_classes)} patient groups of '{dataset.source.known_as}'"
    return Split({case.id: parts[groups[case.id]] for case in dataset.cases}, origin)


def _by_source_fold(dataset: Dataset, settings: SplitConfig) -> Split:
    """The source's own fold tests; the other patients train and validate.

    Other slices of the test patients, should the source's folds divide patients, are excluded.
    """
    stated = sorted({case.fold for case in dataset.cases})
    if len(stated) != settings.folds or "" in stated:
        folds = ", ".join(fold or "none" for fold in stated)
        raise UserError(f"{dataset.source.path}: split.folds is {settings.folds}, the source states the folds: {folds}")
    groups = patient_groups(dataset)
    tested = {case.id for case in dataset.cases if case.fold == stated[settings.fold]}
    test_groups = {groups[case_id] for case_id in tested}
    rest = {name: label for name, label in _majority_class(dataset.cases, groups).items() if name not in test_groups}
    share = settings.validation * (len(rest) + len(test_groups)) / max(1, len(rest))
    by_group = draw_parts(strata_of(rest, settings.seed), {"validation": share}, wanted_parts(settings)[:-1])
    parts = {
        case_id: "test" if case_id in tested else by_group.get(name, "excluded") for case_id, name in groups.items()
    }
    return Split(parts, f"the source's fold {stated[settings.fold]} of {settings.folds}, seed {settings.seed}")


def _leak(dataset: Dataset, split: Split, settings: SplitConfig) -> Split:
    """The same split, but a share of each test patient's slices trains and as many training slices are left out."""
    groups = patient_groups(dataset)
    tested: dict[str, list[str]] = defaultdict(list)
    for name in shuffled(split.cases("test"), settings.seed):
        tested[groups[name]].append(name)
    leaked = [name for names in tested.values() for name in names[: round(settings.leak * len(names))]]
    left_out = shuffled(split.cases("train"), settings.seed)[: len(leaked)]
    if not leaked or len(left_out) < len(leaked):
        raise UserError(
            f"split.leak is {settings.leak:g}; that moves {numbered(len(leaked), 'slice')}, "
            f"{len(left_out)} could make room"
        )
    parts = {**split.parts, **dict.fromkeys(leaked, "train"), **dict.fromkeys(left_out, "excluded")}
    return Split(parts, f"{split.origin}, with {settings.leak:.0%} of each test patient's slices leaked", leaking=True)


def patient_groups(dataset: Dataset) -> dict[str, str]:
    """Group of each case: its patient (the case itself where unknown), joined where images are one picture.

    They are where they are equal, nearly equal, or augmented versions by their names.
    """
    group_of = {case.id: case.group for case in dataset.cases}
    names = [group_of[case.id] for case in dataset.cases]
    first_with: dict[str, str] = {}
    named = zip(names, dataset.facts, strict=True)
    equal = [(name, first_with.setdefault(fact.content, name)) for name, fact in named if fact.content]
    alike = [(names[pair.a], names[pair.b]) for pair in dataset.near_pairs]
    copies = [(group_of[group[0].id], group_of[case.id]) for group in copy_groups(dataset.cases) for case in group[1:]]
    root = _first_connected(names, equal + alike + copies)
    return {case_id: root[name] for case_id, name in group_of.items()}


def _first_connected(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """For each name the first, in alphabetical order, of those that the pairs connect with it."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for pair in pairs:
        a, b = sorted(map(root, pair))
        parent[b] = a
    return {name: root(name) for name in parent}


def _majority_class(cases: Iterable[Case], groups: Mapping[str, str]) -> dict[str, str]:
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        votes[groups[case.id]][case.class_name] += 1
    return {name: min(count, key=lambda label: (-count[label], label)) for name, count in votes.items()}


def split_table(dataset: Dataset, split: Split) -> list[dict[str, str]]:
    """Rows of split.csv: case, patient, class_name, part."""
    return [
        {
            "case": case.id,
            "patient": case.shown_patient or "",
            "class_name": case.class_name,
            "part": split.parts[case.id],
        }
        for case in dataset.cases
    ]


def part_counts(dataset: Dataset, split: Split) -> list[dict[str, str | int]]:
    """One row per part and class with the number of patients and cases."""
    rows: list[dict[str, str | int]] = []
    for part in (*PARTS, "excluded"):
        members = [case for case in dataset.cases if split.parts[case.id] == part]
        for class_name in sorted({case.class_name for case in members}):
            chosen: Sequence[Case] = [case for case in members if case.class_name == class_name]
            patients = len({case.group for case in chosen})
            rows.append({"part": part, "class": class_name, "patients": patients, "cases": len(chosen)})
    return rows
