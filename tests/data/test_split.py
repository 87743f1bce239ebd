import csv
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ENCODINGS, PairFolder
from tumorline.config import DataConfig, SplitConfig, load_config
from tumorline.data import cheng
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.patients.known import hash_patient
from tumorline.data.splits.parts import Split
from tumorline.data.splits.patient_draw import assign, first_of_each
from tumorline.data.splits.split import patient_groups, split_dataset
from tumorline.errors import UserError

REFERENCE = Path(__file__).parents[2] / "configs" / "splits" / "cheng.csv"


def split_of(folder: Path, **settings: object) -> tuple[Dataset, Split]:
    dataset = load_dataset(folder, DataConfig())
    return dataset, split_dataset(dataset, SplitConfig(**settings))  # type: ignore[arg-type]


def test_a_hundred_patients_are_cut_70_10_20() -> None:
    parts = assign({f"p{n}": "ab"[n % 2] for n in range(100)}, SplitConfig())
    assert Counter(parts.values()) == {"train": 70, "validation": 10, "test": 20}


def test_each_class_is_cut_in_the_same_proportion() -> None:
    classes = {f"p{n}": "a" if n < 80 else "b" for n in range(100)}
    parts = assign(classes, SplitConfig())
    by_class = Counter((classes[name], part) for name, part in parts.items())
    assert (by_class["a", "test"], by_class["b", "test"]) == (16, 4)
    assert (by_class["a", "validation"], by_class["b", "validation"]) == (8, 2)


def test_the_order_of_the_patients_does_not_matter_but_the_seed_does() -> None:
    groups = {f"p{n}": "" for n in range(30)}
    backwards = dict(reversed(groups.items()))
    assert assign(groups, SplitConfig()) == assign(backwards, SplitConfig())
    assert assign(groups, SplitConfig()) != assign(groups, SplitConfig(seed=1))


def test_three_patients_fill_three_parts_and_two_are_refused() -> None:
    assert sorted(assign({"a": "", "b": "", "c": ""}, SplitConfig()).values()) == [
        "test",
        "train",
        "validation",
    ]
    with pytest.raises(UserError, match="2 patients cannot be split"):
        assign({"a": "", "b": ""}, SplitConfig())


def test_folds_share_no_patient_and_cover_all() -> None:
    classes = {f"p{n}": "abc"[n % 3] for n in range(31)}
    folds = [assign(classes, SplitConfig(folds=5, fold=fold)) for fold in range(5)]
    tested = [{name for name, part in fold.items() if part == "test"} for fold in folds]
    assert set.union(*tested) == set(classes)
    assert sorted(len(names) for names in tested) == [6, 6, 6, 6, 7]
    for names in tested:
        assert all(2 <= count <= 3 for count in Counter(classes[name] for name in names).values())
    assert all(Counter(fold.values())["validation"] == 3 for fold in folds)


def test_a_fold_needs_a_group() -> None:
    with pytest.raises(UserError, match=r"4 patients cannot be split .* 5 are the least for 5 folds"):
        assign(dict.fromkeys("abcd", ""), SplitConfig(folds=5))


@pytest.mark.parametrize(("patients", "folds"), [(9, 5), (5, 5), (3, 3), (4, 2)])
def test_a_few_patients_fill_all_parts_of_each_fold(patients: int, folds: int) -> None:
    groups = {f"p{number}": "" for number in range(patients)}
    parts = [assign(groups, SplitConfig(folds=folds, fold=fold)) for fold in range(folds)]
    assert all(set(part.values()) == {"train", "validation", "test"} for part in parts)
    tested = [name for part in parts for name in part if part[name] == "test"]
    assert sorted(tested) == sorted(groups)


def test_two_folds_of_three_would_leave_one_nothing_to_validate() -> None:
    with pytest.raises(UserError, match="4 are the least for 2 folds"):
        assign(dict.fromkeys("abc", ""), SplitConfig(folds=2))


def test_folds_that_are_not_there_are_refused() -> None:
    for overrides, message in [
        (["split.folds=5", "split.fold=5"], "split.fold is 5; expected 0 to 4"),
        (["split.fold=1"], "split.fold is 1; expected 0 to 0: there are 0 folds"),
        (["split.folds=1"], "split.folds is 1; expected 0 .no folds. or 2 and more"),
        (["split.folds=2", "split.validation=0.6", "split.train=0.2"], "leave nothing to train on"),
        (["split.folds=5", "split.file=parts.csv"], "exclude one another"),
    ]:
        with pytest.raises(UserError, match=message):
            load_config(None, overrides)


def test_the_origin_names_the_fold(pair_folder: PairFolder) -> None:
    _, split = split_of(pair_folder(patients=10, slices=1), folds=5, fold=3)
    assert split.origin == "by patient, fold 3 of 5, seed 0"
    assert (len(split.cases("test")), len(split.cases("validation"))) == (2, 1)


def with_stated_folds(folder: Path, folds: list[str]) -> Path:
    """Adds a fold column to the patients.csv of a folder."""
    head, *lines = (folder / "patients.csv").read_text().splitlines()
    rows = [f"{head},fold", *(f"{line},{fold}" for line, fold in zip(lines, folds, strict=True))]
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_folds_of_the_source_are_used_where_asked_for(pair_folder: PairFolder) -> None:
    folder = with_stated_folds(pair_folder(patients=6, slices=2), ["1", "1", "2", "2", "3", "3"] * 2)
    _, split = split_of(folder, folds=3, fold=1, folds_from="source")
    assert split.origin == "the source's fold 2 of 3, seed 0"
    assert sorted(split.cases("test")) == ["s002", "s003", "s008", "s009"]
    assert Counter(split.parts.values())["validation"] == 2


def test_a_patient_whom_the_folds_of_the_source_divide_does_not_train(pair_folder: PairFolder) -> None:
    folder = with_stated_folds(pair_folder(patients=6, slices=2), ["1", "2"] + ["1"] * 2 + ["2"] * 8)
    _, split = split_of(folder, folds=2, fold=0, folds_from="source")
    assert sorted(split.cases("test")) == ["s000", "s002", "s003"]
    assert split.parts["s001"] == "excluded"


def test_folds_that_the_source_does_not_state_are_refused(pair_folder: PairFolder) -> None:
    with pytest.raises(UserError, match=r"split.folds is 5, the source states the folds: none"):
        split_of(pair_folder(patients=6, slices=2), folds=5, folds_from="source")


def test_no_patient_is_on_two_sides(pair_folder: PairFolder) -> None:
    dataset, split = split_of(pair_folder(patients=12, slices=3))
    sides = {(case.patient, split.parts[case.id]) for case in dataset.cases}
    assert len(sides) == 12


def test_every_mask_encoding_gives_the_same_split(tmp_path: Path) -> None:
    splits = []
    for number, encoding in enumerate(ENCODINGS):
        folder = PairFolder(tmp_path / str(number))(patients=9, slices=1, encoding=encoding)
        splits.append(split_of(folder)[1].parts)
    assert all(parts == splits[0] for parts in splits)


def test_equal_images_of_two_patients_stay_on_one_side(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=12, slices=1)
    twins = [f"s{n:03d}" for n in range(1, 12)]
    for name in twins:
        Image.open(folder / "images" / "s000.png").save(folder / "images" / f"{name}.png")
    pair_folder(patients=12, slices=1, first_seed=100)
    _, split = split_of(folder)
    assert len({split.parts[name] for name in ["s000", *twins]}) == 1


def test_by_slice_is_marked_as_leaking(pair_folder: PairFolder) -> None:
    dataset, split = split_of(pair_folder(patients=6, slices=5), by="slice")
    assert split.leaking
    assert len({(case.patient, split.parts[case.id]) for case in dataset.cases}) > 6


def test_a_leak_changes_who_trains_and_nothing_else(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=10, slices=4)
    dataset, honest = split_of(folder)
    _, leaking = split_of(folder, leak=0.5)
    patient = {case.id: case.patient for case in dataset.cases}
    assert leaking.leaking
    assert "50% of each test patient's slices leaked" in leaking.origin
    assert len(leaking.cases("train")) == len(honest.cases("train"))
    assert leaking.cases("validation") == honest.cases("validation")
    assert set(leaking.cases("test")) < set(honest.cases("test"))
    tested = Counter(patient[name] for name in leaking.cases("test"))
    assert tested == Counter({patient[name]: 2 for name in honest.cases("test")})
    moved = set(leaking.cases("train")) - set(honest.cases("train"))
    assert moved == set(honest.cases("test")) - set(leaking.cases("test"))
    assert len(leaking.cases("excluded")) == len(moved)


def test_a_leak_without_room_or_effect_is_refused(pair_folder: PairFolder) -> None:
    with pytest.raises(UserError, match=r"split.leak is 0.2; that moves 0 slices"):
        split_of(pair_folder(patients=10, slices=2), leak=0.2)
    with pytest.raises(UserError, match=r"split.leak needs split.by = 'patient'"):
        load_config(None, ["split.by=slice", "split.leak=0.5"])


def test_a_split_file_by_patient_is_followed(pair_folder: PairFolder, tmp_path: Path) -> None:
    folder = pair_folder(patients=4, slices=2)
    table = tmp_path / "split.csv"
    table.write_text("patient,split\nP0-00,train\nP0-01,val\nP0-02,test\n")
    _, split = split_of(folder, file=str(table))
    assert split.cases("validation") == ["s002", "s003"]
    assert split.cases("excluded") == ["s006", "s007"]
    assert split.origin == f"{table.name}, 2 of 8 cases left out that it lacks"
    table.write_text("patient,split\nP0-00,train\nP0-01,val\nP0-02,test\nP0-03,excluded\n")
    assert split_of(folder, file=str(table))[1].origin == table.name


def test_a_wrong_part_in_a_split_file_is_named(pair_folder: PairFolder, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("patient,split\nP0-00,training\n")
    with pytest.raises(UserError, match="'P0-00': part 'training' is not one of train, validation, test"):
        split_of(pair_folder(patients=4), file=str(tmp_path / "split.csv"))


def test_the_committed_reference_split_is_what_seed_0_gives() -> None:
    with REFERENCE.open() as file:
        committed = {row["patient_group"]: row["split"] for row in csv.DictReader(file)}
    assert committed == assign(cheng.patient_classes(), SplitConfig())
    assert Counter(committed.values()) == {"train": 146, "validation": 21, "test": 42}


def test_a_part_of_the_cheng_set_is_split_as_the_whole(real_data: Path) -> None:
    dataset, split = split_of(real_data / "cheng")
    reference = assign(cheng.patient_classes(), SplitConfig())
    assert all(split.parts[case.id] == reference[case.patient or ""] for case in dataset.cases)


def test_names_that_are_not_utf_8_are_split_and_known(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=12, slices=1, size=16, with_patients=False)
    for kind in ("images", "masks"):
        (folder / kind / "s003.png").rename(os.fsdecode(os.fsencode(folder / kind) + b"/m\xfcller.png"))
    dataset = load_dataset(folder, DataConfig())
    assert "m\udcfcller" in split_dataset(dataset, SplitConfig()).parts
    assert len(hash_patient("m\udcfcller", "")) == 16


def test_a_share_of_the_training_patients_trains_and_nobody_else_moves(pair_folder: PairFolder) -> None:
    folder = pair_folder(20)
    whole = split_of(folder)[1].parts
    kept = {}
    for share in (0.25, 0.5, 1.0):
        _, split = split_of(folder, trained_share=share)
        kept[share] = set(split.cases("train"))
        assert {case: part for case, part in split.parts.items() if whole[case] != "train"} == {
            case: part for case, part in whole.items() if part != "train"
        }
        assert set(split.parts.values()) <= {"train", "validation", "test", "excluded"}
    assert kept[0.25] < kept[0.5] < kept[1.0], "a larger share keeps those of a smaller one"
    assert len(kept[0.5]) == pytest.approx(len(kept[1.0]) / 2, abs=2)
    assert "trained on 4 of 14 training patients" in split_of(folder, trained_share=0.25)[1].origin
    assert len(split_of(folder, trained_share=0.001)[1].cases("train")) >= 1


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 5), (1, 7, 4), (8, 8, 8)])
def test_a_larger_share_keeps_those_of_a_smaller_one_in_small_classes_too(sizes: tuple[int, ...]) -> None:
    strata = [[f"{number}-{place}" for place in range(size)] for number, size in enumerate(sizes)]
    smaller: set[str] = set()
    for share in np.linspace(0.02, 1, 50):
        kept = {*first_of_each(strata, float(share))}
        assert smaller <= kept
        assert len(kept) == max(1, round(share * sum(sizes) + 1e-9))
        assert all(abs(len(kept & {*members}) - share * len(members)) <= 1.5 for members in strata)
        smaller = kept


def test_blank_slices_do_not_make_one_patient_of_many(pair_folder: PairFolder) -> None:
    folder = pair_folder(patients=4)
    pair_folder.blank("s000", "s002", "s004", "s006")
    dataset, split = split_of(folder)
    assert len(set(patient_groups(dataset).values())) == 4
    assert {part: len(split.cases(part)) for part in ("train", "validation", "test")} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
