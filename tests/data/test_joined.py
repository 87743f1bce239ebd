"""Several sources as one data set: what they are called, what they mean, and who is on which side of a split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder, Program, blob, grey, refused_in_one_line
from tests.sources import SIZE, Array, brats, lgg, save, save_volume
from tumorline.audit.check import check
from tumorline.config import Config, load_config
from tumorline.data.dataset import Dataset
from tumorline.data.joined import load_data
from tumorline.data.splits.split import split_dataset
from tumorline.data.terms import terms_of
from tumorline.errors import UserError
from tumorline.evaluation.status import case_status
from tumorline.network_input.cache import open_cache
from tumorline.run.provenance import model_info
from tumorline.source_spec import with_data
from tumorline.training.task import Task
from tumorline.training.windows import training_windows

Join = Callable[..., Dataset]


@pytest.fixture
def join(tmp_path: Path) -> Join:
    def load(*sources: Path | str, **data: object) -> Dataset:
        return load_data(configured(tmp_path, *sources, **data))

    return load


def configured(tmp_path: Path, *sources: Path | str, **data: object) -> Config:
    settings = [f"data.{key}={value}" for key, value in data.items()]
    config = load_config(None, [f"data.cache='{tmp_path / 'cache'}'", "data.image_size=32", *settings])
    return with_data(config, sources)


def pairs(folder: Path, first_seed: int = 0, patients: int = 6) -> Path:
    return PairFolder(folder)(patients=patients, first_seed=first_seed)


def free(folder: Path, first_seed: int = 500, images: int = 6) -> Path:
    for number in range(images):
        save(folder / f"h{number}.png", blob(SIZE, first_seed + number)[0])
    return folder


def sides(dataset: Dataset, *overrides: str) -> dict[str, str]:
    return dict(split_dataset(dataset, load_config(None, overrides).split).parts)


def test_cases_bear_the_name_of_their_source_and_are_read_by_its_settings(join: Join, tmp_path: Path) -> None:
    dataset = join(pairs(tmp_path / "a"), f"{free(tmp_path / 'b')},tumour_free=true,name=heads")
    assert len(dataset.cases) == 18
    assert {case.id.split("/")[0] for case in dataset.cases} == {"a", "heads"}
    assert [fact.case_id for fact in dataset.facts] == [case.id for case in dataset.cases]
    first, last = dataset.cases[0], dataset.cases[-1]
    assert dataset.read(first).truth.any()
    assert not dataset.read(last).truth.any()
    assert last.attributes["source"] == "heads"


def test_each_source_leaves_out_its_own_cases(join: Join, tmp_path: Path) -> None:
    heads = f"{free(tmp_path / 'b')},tumour_free=true,leave_out=h1,h4"
    dataset = join(pairs(tmp_path / "a"), heads)
    assert {case.id for case in dataset.cases if case.id.startswith("b/")} == {"b/h0", "b/h2", "b/h3", "b/h5"}
    assert len(join(heads).cases) == 4
    with pytest.raises(UserError, match="exclude one another; give it to one of the sources"):
        join(pairs(tmp_path / "c"), heads, leave_out="h1")


@pytest.mark.parametrize("seed", range(4))
def test_a_common_patient_is_on_one_side(join: Join, tmp_path: Path, seed: int) -> None:
    first, second = pairs(tmp_path / "a"), pairs(tmp_path / "b", first_seed=100)
    text = (second / "patients.csv").read_text()
    (second / "patients.csv").write_text(text.replace("P100-00", "P0-03").replace("P100-01", "p0-04"))
    dataset = join(first, second)
    parts = sides(dataset, f"split.seed={seed}")
    for patient in ("P0-03", "P0-04"):
        own = [case for case in dataset.cases if case.patient == patient]
        assert {case.attributes["source"] for case in own} == {"a", "b"}
        assert len({parts[case.id] for case in own}) == 1
    found = [finding for finding in check(dataset) if finding.code == "shared_by_sources"]
    assert len(found) == 2
    assert "patient P0-03" in found[0].message


@pytest.mark.parametrize("turns", [0, 1])
def test_equal_and_turned_images_are_on_one_side(join: Join, tmp_path: Path, turns: int) -> None:
    first, other = pairs(tmp_path / "a"), PairFolder(tmp_path / "b")
    second = other(patients=6, first_seed=100)
    random = np.random.default_rng(0)
    image = np.kron(random.integers(0, 255, (8, 8)), np.ones((8, 8))).astype(np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    PairFolder(first).add("s004", Image.fromarray(image), grey(255)(mask))
    other.add("s107", Image.fromarray(np.rot90(image, turns)), grey(255)(np.rot90(mask, turns)))
    dataset = join(first, second)
    for fold in range(3):
        parts = sides(dataset, "split.folds=3", f"split.fold={fold}")
        assert parts["a/s004"] == parts["b/s107"]


def test_a_picture_and_the_volume_that_it_is_a_slice_of_are_on_one_side(join: Join, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    scans = scans_with_oedema(tmp_path / "brats", 5)
    name = "BraTS2021_00002"
    planes: list[Array] = [np.kron(random.integers(0, 255, (8, 8)), np.ones((8, 8))).astype(np.uint8) for _ in range(4)]
    save_volume(scans / name / f"{name}_t1ce.nii.gz", planes)
    save_volume(scans / name / f"{name}_seg.nii.gz", [np.zeros((64, 64), np.uint8)] * 4)
    heads = free(tmp_path / "heads")
    save(heads / "h2.png", planes[1].T[::-1])
    dataset = join(scans, f"{heads},tumour_free=true")
    for seed in range(3):
        parts = sides(dataset, f"split.seed={seed}")
        assert parts[f"brats/{name}"] == parts["heads/h2"]


def test_each_source_is_split_as_by_itself(join: Join, tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a", patients=9), pairs(tmp_path / "b", 100, patients=5)
    config = configured(tmp_path, first)
    alone = split_dataset(load_data(config), load_config(None, ["split.folds=3"]).split).parts
    together = sides(join(first, second), "split.folds=3")
    assert {f"a/{name}": part for name, part in alone.items()} == {
        name: part for name, part in together.items() if name.startswith("a/")
    }
    assert {part for name, part in together.items() if name.startswith("b/")} == {"train", "validation", "test"}


def test_a_whole_source_may_have_one_part(join: Join, tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a"), pairs(tmp_path / "b", 100, patients=2)
    with pytest.raises(UserError, match=r"2 patients cannot be split.*part=train"):
        sides(join(first, second))
    parts = sides(join(first, f"{second},part=train"))
    assert {part for name, part in parts.items() if name.startswith("b/")} == {"train"}


def test_a_patient_who_trains_is_left_out_of_a_source_for_testing(join: Join, tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a"), pairs(tmp_path / "b", first_seed=100)
    alone = sides(load_data(configured(tmp_path, first)))
    trained = next(name for name, part in alone.items() if part == "train")
    text = (second / "patients.csv").read_text()
    patient = f"P0-{int(trained[1:]) // 2:02d}"
    (second / "patients.csv").write_text(text.replace("P100-00", patient))
    parts = sides(join(first, f"{second},part=test"))
    assert [parts[f"b/s{number}"] for number in (100, 101, 102)] == ["excluded", "excluded", "test"]


@pytest.mark.parametrize(
    ("given", "part"), [("part=train", "train"), ("part=test", "test"), ("unlabelled=true", "train")]
)
def test_a_split_file_leaves_a_whole_source_in_its_part(tmp_path: Path, given: str, part: str) -> None:
    table = tmp_path / "parts.csv"
    table.write_text("id,split\na/s000,train\na/s002,val\na/s004,test\nb/h0,excluded\n")
    heads = f"{free(tmp_path / 'b', images=3)},tumour_free=true,{given}"
    taught = load_config(None, [f"data.cache='{tmp_path / 'cache'}'", "loss.teacher=teacher.safetensors"])
    dataset = load_data(with_data(taught, [pairs(tmp_path / "a", patients=3), heads]))
    split = split_dataset(dataset, load_config(None, [f"split.file={table}"]).split)
    assert [split.parts[f"b/h{number}"] for number in range(3)] == ["excluded", part, part]
    assert split.cases("excluded") == ["a/s001", "a/s003", "a/s005", "b/h0"]
    assert split.origin.startswith(f"{table.name}, 3 of 9 cases left out that it lacks (unknown patients: 3 of 9 cases")
    assert split.origin.endswith(", 2 cases that it lacks are in the part of their source")
    table.write_text("patient,split\nP0-00,train\nP0-01,val\nP0-02,test\n")
    split = split_dataset(dataset, load_config(None, [f"split.file={table}"]).split)
    assert split.origin == f"{table.name}, 3 cases that it lacks are in the part of their source"


def test_a_patient_of_a_split_file_is_left_out_of_a_whole_source(join: Join, tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a", patients=3), pairs(tmp_path / "b", first_seed=100, patients=2)
    text = (second / "patients.csv").read_text()
    (second / "patients.csv").write_text(text.replace("P100-00", "P0-02"))
    (tmp_path / "parts.csv").write_text("id,split\na/s000,train\na/s002,val\na/s004,test\n")
    parts = sides(join(first, f"{second},part=train"), f"split.file={tmp_path / 'parts.csv'}")
    assert [parts[f"b/s{number}"] for number in range(100, 104)] == ["excluded", "excluded", "train", "train"]


def test_a_near_copy_of_a_training_picture_that_was_left_out_is_known(tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a"), pairs(tmp_path / "b", first_seed=100)
    trained = next(n for n, part in sides(load_data(configured(tmp_path, first))).items() if part == "train")
    image = np.kron(np.random.default_rng(0).integers(0, 255, (8, 8)), np.ones((8, 8))).astype(np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    PairFolder(first).add(trained, Image.fromarray(image), grey(255)(mask))
    PairFolder(second).add("s107", Image.fromarray(np.rot90(image)), grey(255)(np.rot90(mask)))
    config = configured(tmp_path, first, f"{second},part=test")
    dataset = load_data(config)
    task = Task(config, dataset, split_dataset(dataset, config.split), tmp_path / "run")
    assert task.split.parts["b/s107"] == "excluded"
    status = case_status(model_info(task), dataset)
    assert [status[f"b/s{number}"] for number in (105, 106, 107)] == ["test", "train", "train"]


def test_other_meanings_are_refused_unless_mapped(join: Join, tmp_path: Path) -> None:
    scans, slices = brats(tmp_path / "brats", 4), lgg(tmp_path / "lgg", 4)
    with pytest.raises(UserError, match=r"brats holds post contrast, lgg flair.*channel_as=post_contrast"):
        join(scans, slices)
    with pytest.raises(UserError, match=r"brats outlines tumour core, lgg .*label_as=tumour_core"):
        join(scans, f"{slices},channel=post_contrast")
    assert join(scans, f"{slices},channel=post_contrast,label_as=tumour").source.label == "tumour_core"
    assert join(scans, f"{slices},channel_as=post_contrast,label_as=tumour_core").source.channel == "post_contrast"


def test_different_numbers_of_channels_are_refused(join: Join, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="brats has 4 channels and a 1"):
        join(f"{brats(tmp_path / 'brats', 4)},channel=all", pairs(tmp_path / "a"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("a,share=0.7", "b,share=0.7"), "add up to 1.4"),
        (("a,share=0.5", "b,share=0.4"), "add up to 0.9"),
        (("a,share=1", "b"), "leave something"),
        (("a,share=0", "b"), "greater than 0"),
        (("a,axis=coronal", "b"), "'axis=coronal' is no setting of a source"),
        (("a,slice_step=0", "b"), "slice_step"),
        (("a,channel=flair,channels=flair", "b"), "keep one of them"),
        (("a,name=x", "b,name=x"), "two are called 'x'"),
    ],
)
def test_wrong_settings_are_one_line(given: tuple[str, str], said: str, tmp_path: Path) -> None:
    with refused_in_one_line(said):
        with_data(load_config(None), given)


def test_two_folders_of_one_name_are_told_apart_by_hand(join: Join, tmp_path: Path) -> None:
    folders = pairs(tmp_path / "x" / "set"), pairs(tmp_path / "y" / "set", 100)
    with pytest.raises(UserError, match="two sources are called 'set'"):
        join(*folders)
    assert len(join(folders[0], f"{folders[1]},name=other").cases) == 24
    with pytest.raises(UserError, match=r"nowhere: no such file or folder"):
        join(folders[0], tmp_path / "nowhere")


def test_one_source_with_settings_is_one_source(join: Join, tmp_path: Path) -> None:
    dataset = join(f"{brats(tmp_path / 'brats', 4)},channel=flair,slice_step=2")
    assert not dataset.members
    assert dataset.source.channel == "flair"
    assert dataset.settings.slice_step == 2


def test_in_a_file_they_are_tables(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[[data.sources]]\npath = "a"\nshare = 0.25\n[[data.sources]]\npath = "b"\nlabel = "tumour_core"\n'
    )
    sources = load_config(recipe).data.sources
    assert [(source.path, source.share, source.label) for source in sources] == [
        ("a", 0.25, None),
        ("b", None, "tumour_core"),
    ]
    with pytest.raises(UserError, match=r"unknown key 'data.sources.0.shares'; .*share"):
        load_config(None, ["data.sources=[{path='a', shares=1}]"])
    with pytest.raises(UserError, match="exclude one another"):
        load_config(recipe, ["data.source=x"])


def scans_with_oedema(folder: Path, patients: int = 4) -> Path:
    """Four slices a scan: free, oedema alone, core, nothing at all."""
    for patient in range(patients):
        name = f"BraTS2021_{patient:05d}"
        pictures = [blob(SIZE, 10 * patient + number) for number in range(3)]
        nothing = np.zeros((SIZE, SIZE), np.uint8)
        images: list[Array] = [*(image for image, _ in pictures), nothing]
        truth = [mask * np.uint8(label) for (_, mask), label in zip(pictures, (0, 2, 4), strict=True)]
        save_volume(folder / name / f"{name}_t1ce.nii.gz", images)
        save_volume(folder / name / f"{name}_seg.nii.gz", [*truth, nothing])
    return folder


def windows_of(dataset: Dataset) -> tuple[list[int], list[float]]:
    pytest.importorskip("torch")
    cache = open_cache(dataset)
    found = training_windows(dataset, cache, [case.id for case in dataset.cases], balance=0.0)
    return found.rows.tolist(), (found.weights / found.weights.sum()).tolist()


def test_shares_decide_how_often_a_source_is_drawn(join: Join, tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a", patients=6), free(tmp_path / "b", images=3)
    rows, weights = windows_of(join(f"{first},share=0.25", f"{second},tumour_free=true"))
    assert rows == list(range(15))
    assert sum(weights[:12]) == pytest.approx(0.25)
    assert weights[12:] == pytest.approx([0.25] * 3)
    _, weights = windows_of(join(first, f"{second},tumour_free=true"))
    assert weights == pytest.approx([1 / 15] * 15)
    third = free(tmp_path / "c", 700, images=9)
    _, weights = windows_of(join(f"{first},share=0.5", f"{second},tumour_free=true", f"{third},tumour_free=true"))
    assert [sum(weights[:12]), sum(weights[12:15]), sum(weights[15:])] == pytest.approx([0.5, 0.125, 0.375])


def test_slices_with_other_labels_only_are_no_negatives_where_a_label_is_mapped(join: Join, tmp_path: Path) -> None:
    scans, slices = scans_with_oedema(tmp_path / "brats"), pairs(tmp_path / "a")
    rows, _ = windows_of(join(slices, f"{scans},label_as=tumour"))
    assert rows[12:] == [12 + 4 * scan + place for scan in range(4) for place in (0, 2)]
    rows, _ = windows_of(join(slices, f"{scans},label_as=tumour,other_labels=negative"))
    assert rows[12:] == [12 + 4 * scan + place for scan in range(4) for place in (0, 1, 2)]
    rows, _ = windows_of(join(slices, f"{scans},slice_step=2,tumour_free_share=1"))
    assert rows[12:] == [12 + 4 * scan for scan in range(4)]


def test_terms_come_from_the_user_the_record_or_the_set(join: Join, tmp_path: Path) -> None:
    record = '{"licence": "CC BY-ND 4.0", "attribution": "A. Nobody"}'
    fetched = pairs(tmp_path / "fetched")
    (fetched / "fetched.json").write_text(record)
    dataset = join(fetched, f"{pairs(tmp_path / 'plain', 100)},licence=for research use only")
    stated = [
        terms_of("x", member, source) for member, source in zip(dataset.members, dataset.settings.sources, strict=True)
    ]
    assert (stated[0].attribution, stated[0].forbids_passing_on, stated[0].forbids_commerce) == (
        "A. Nobody",
        True,
        False,
    )
    assert (stated[1].forbids_passing_on, stated[1].forbids_commerce) == (False, True)
    assert terms_of("x", load_data(configured(tmp_path, lgg(tmp_path / "lgg", 4)))).forbids_commerce
    assert "TCIA" in terms_of("x", load_data(configured(tmp_path, brats(tmp_path / "brats", 4)))).licence


def test_data_check_and_split_take_several(program: Program, tmp_path: Path) -> None:
    first, second = pairs(tmp_path / "a"), f"{free(tmp_path / 'b')},tumour_free=true"
    cache = ["--set", f"data.cache='{tmp_path / 'cache'}'"]
    found = program("data", "check", first, second, *cache)
    assert found.out.startswith("a + b: 18 cases, unknown patients")
    shown = program("data", "split", first, second, *cache)
    assert shown.out.startswith("# within each of 2 sources: by patient, seed 0")
    assert "b/h0" in shown.out
