import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tumorline.evaluation.status import case_status

pytest.importorskip("torch")

import torch

import tumorline
from tests.conftest import TINY, Program, blob
from tumorline import cli
from tumorline.config import DataConfig, Postprocessing
from tumorline.data.dataset import load_dataset
from tumorline.ensembles import _check_members, describe, mean_postprocessing
from tumorline.errors import UserError
from tumorline.inference.probability import to_probability
from tumorline.model_file import read_info, save_model
from tumorline.model_info import Architecture, InputSpec, KnownCases, ModelInfo, TrainingSource
from tumorline.models.ensemble import Ensemble
from tumorline.network_file import load_network

OF_VOLUMES = InputSpec(dims=3, channels=["flair", "t2"], normalisation="volume", window=(16, 16, 16))


@pytest.fixture(scope="module")
def other_run(tiny_source: Path) -> Path:
    """The same split, another seed, half as long."""
    overrides = [*TINY, f"data.cache='{tiny_source.parent / 'cache'}'", "seed=1", "train.epochs=3"]
    return tumorline.train(data=tiny_source, overrides=overrides, output=tiny_source.parent / "other")


@pytest.fixture(scope="module")
def pair(tiny_run: Path, other_run: Path) -> Path:
    return tumorline.ensemble([tiny_run, other_run], tiny_run.parent / "ensembles" / "pair.safetensors")


def picture(seed: int = 0) -> npt.NDArray[np.float32]:
    return blob(48, seed)[0][None].astype(np.float32)


def changed(run: Path, target: Path, **fields: Any) -> Path:
    """The model file of a run that says something else of itself."""
    file = run / "model.safetensors"
    save_model(target, load_file(file), read_info(file).model_copy(update=fields))
    return target


@pytest.mark.slow
def test_a_model_with_itself_is_that_model(tiny_run: Path, tmp_path: Path) -> None:
    twice = tumorline.load(tumorline.ensemble([tiny_run, tiny_run], tmp_path / "twice.safetensors"))
    once = tumorline.load(tiny_run)
    assert twice.info.threshold == once.info.threshold
    assert np.allclose(twice.probability(picture()), once.probability(picture()), atol=1e-6)
    assert np.array_equal(twice.mask(picture()), once.mask(picture()))


def test_an_ensemble_answers_with_the_mean_probability(pair: Path, tiny_run: Path, other_run: Path) -> None:
    answers = [tumorline.load(model).probability(picture()) for model in (pair, tiny_run, other_run)]
    assert np.abs(answers[1] - answers[2]).max() > 0.01
    assert np.allclose(answers[0], (answers[1] + answers[2]) / 2, atol=1e-5)
    infos = [tumorline.load(model).info for model in (pair, tiny_run, other_run)]
    assert infos[0].thresholds[0] == pytest.approx((infos[1].thresholds[0] + infos[2].thresholds[0]) / 2)
    assert infos[0].metrics.operating_point.to_json()["members"][1] == {
        "name": infos[2].name,
        "threshold": infos[2].threshold,
        "temperature": infos[2].temperature,
    }


def test_the_rebuilt_network_and_the_onnx_file_agree(pair: Path) -> None:
    network, info = load_network(pair)
    image = np.random.default_rng(0).standard_normal((3, 1, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    model = tumorline.load(pair)
    assert np.allclose(model.runtime(image), expected, atol=1e-4)
    assert [member.name for member in info.members] == [info.members[0].name] * 2
    assert {name.split(".")[1] for name in load_file(pair)} == {"0", "1"}


@pytest.mark.slow
def test_export_writes_the_twin_of_an_ensemble_again(pair: Path, tmp_path: Path) -> None:
    again = tumorline.api.export(pair, tmp_path / "again.onnx")
    assert again.stat().st_size == pair.with_suffix(".onnx").stat().st_size


class Constant(torch.nn.Module):
    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.full_like(image, self.logit)


@pytest.mark.parametrize(
    ("logits", "temperatures", "expected"),
    [
        ((np.log(1 / 3), np.log(3)), (1, 1), 0.0),  # probabilities 1/4 and 3/4
        ((2 * np.log(3), 3 * np.log(3)), (2, 3), np.log(3)),  # 3/4 and 3/4
        ((-300.0, -300.0), (1, 1), -300.0),
        ((300.0, 300.0), (1, 1), 300.0),
        ((300.0, -300.0), (1, 1), 0.0),
    ],
)
def test_the_mean_is_exact_and_finite(
    logits: tuple[float, ...], temperatures: tuple[float, ...], expected: float
) -> None:
    network = Ensemble([Constant(logit) for logit in logits], [[value] for value in temperatures])
    assert network(torch.zeros(1, 1, 2, 2)).flatten().tolist() == pytest.approx([expected] * 4, abs=1e-5)


@pytest.mark.parametrize("space", [(2, 5), (4, 2, 5)])
def test_each_region_has_the_temperature_of_its_own(space: tuple[int, ...]) -> None:
    network = Ensemble([Constant(6.0), Constant(6.0)], [[1, 2, 3], [1, 2, 3]])
    answer = network(torch.zeros(2, 3, *space))
    for region, expected in enumerate((6.0, 3.0, 2.0)):
        assert torch.allclose(answer[:, region], torch.tensor(expected), atol=1e-5)


def test_temperatures_of_regions_follow_the_images_to_their_device() -> None:
    """As on a GPU; of the device "meta" nothing has values, but each tensor has to lie there."""
    network = Ensemble([Constant(6.0), Constant(6.0)], [[1, 2, 3], [1, 2, 3]])
    assert network(torch.zeros(2, 3, 4, 4, device="meta")).device.type == "meta"


@pytest.mark.slow
def test_very_certain_members_stay_finite_in_onnx(tiny_run: Path, tmp_path: Path) -> None:
    certain = changed(tiny_run, tmp_path / "certain.safetensors", temperature=1e-4)
    model = tumorline.load(tumorline.ensemble([certain, certain], tmp_path / "pair.safetensors"))
    logits, _ = model.logits(picture())
    assert np.isfinite(logits).all()
    assert np.abs(logits).max() > 1000
    assert set(np.round(np.unique(to_probability(logits, 1.0)), 3)) >= {0.0, 1.0}


def test_predicting_with_an_ensemble_needs_no_torch(pair: Path, tmp_path: Path) -> None:
    Image.fromarray(blob(32, 0)[0]).save(tmp_path / "scan.png")
    code = (
        "import sys, tumorline; [row] = tumorline.predict(*sys.argv[1:], tta='all'); "
        "print(row['error'], 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "scan.png"), str(pair), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["None", "False"]


def test_what_one_member_was_trained_on_all_were(tiny_run: Path) -> None:
    def info(**parts: list[str]) -> ModelInfo:
        known = KnownCases(patients={name: [f"P{x}" for x in xs] for name, xs in parts.items()}, contents=parts)
        return read_info(tiny_run / "model.safetensors").model_copy(update={"known_cases": known})

    first, second = info(train=["a"], test=["b", "c"]), info(train=["b"], validation=["c"], test=["a", "d"])
    known = describe("both", [first, second]).known_cases
    assert known.contents == {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
    assert known.patients == {"train": ["Pa", "Pb"], "validation": ["Pc"], "test": ["Pd"]}


def test_a_tested_image_of_a_patient_that_was_trained_on_is_training_unless_slices_were_split(
    tiny_run: Path, tiny_source: Path
) -> None:
    dataset = load_dataset(tiny_source, DataConfig())
    case, facts = dataset.cases[0], dataset.facts[0]
    patients = sorted(dataset.known_patient_keys(case, facts))
    known = KnownCases(patients={"train": patients}, contents={"test": [facts.image_hash]})
    single = read_info(tiny_run / "model.safetensors").model_copy(update={"known_cases": known})
    both = describe("both", [single, single])
    by_slice = single.model_copy(update={"split": single.split.model_copy(update={"leaking": True})})
    assert case_status(single, dataset)[case.id] == "train"
    assert case_status(by_slice, dataset)[case.id] == "test"
    assert case_status(both, dataset)[case.id] == "train"


def test_an_ensemble_of_one_split_is_evaluated_on_its_test_part(pair: Path, tiny_source: Path, tmp_path: Path) -> None:
    summary = tumorline.evaluate(pair, tiny_source, output=tmp_path / "out")
    assert summary["case_status"] == {"train": 28, "validation": 4, "test": 8}
    assert (summary["model"], summary["headline_status"]) == ("pair", ["test"])
    assert summary["operating_point"]["chosen"] == "mean of the members"
    assert summary["split"]["leaking"] is False
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_threshold_by_hand_is_kept(tiny_run: Path) -> None:
    infos = [read_info(tiny_run / "model.safetensors").model_copy(update={"threshold": x}) for x in (0.3, 0.6)]
    assert describe("mean", infos).threshold == pytest.approx(0.45)
    by_hand = describe("hand", infos, 0.7)
    assert (by_hand.threshold, by_hand.metrics.operating_point.chosen) == (0.7, 0.7)
    with pytest.raises(UserError, match="--threshold 2: expected a probability between 0 and 1"):
        describe("wrong", infos, 2)


def test_all_licences_and_attributions_are_named_once(tiny_run: Path) -> None:
    info = read_info(tiny_run / "model.safetensors")
    others = [
        info.model_copy(
            update={"licence": f"licence {x}", "data": info.data.model_copy(update={"attribution": f"by {x}"})}
        )
        for x in "aba"
    ]
    both = describe("both", others)
    assert (both.licence, both.data.attribution) == ("licence a; licence b", "by a; by b")


@pytest.mark.parametrize("first", [0, 1])
def test_terms_corrections_and_sources_are_those_of_all_members_in_any_order(tiny_run: Path, first: int) -> None:
    info = read_info(tiny_run / "model.safetensors").model_copy(update={"licence": "terms of the plain one"})
    sources = [TrainingSource(name="nc", licence="CC BY-NC 4.0", cases=4), TrainingSource(name="free", cases=3)]
    told = {"forbids_commerce": ["nc"], "forbids_passing_on": ["mine"], "corrected": 2, "sources": sources}
    bound = info.model_copy(update={"data": info.data.model_copy(update={"name": "several", **told})})
    found = describe("both", [info, bound][:: 1 - 2 * first]).data
    assert (found.forbids_commerce, found.forbids_passing_on, found.corrected) == (["nc"], ["mine"], 2)
    assert {source.name: source.licence for source in found.sources} == {
        **{"nc": "CC BY-NC 4.0", "free": ""},
        info.data.name: "terms of the plain one",
    }
    assert len(found.sources) == 3
    twice = describe("twice", [bound, bound]).data
    assert (twice.corrected, twice.sources) == (2, sources)


def test_members_that_state_no_terms_make_an_ensemble_that_states_none(tiny_run: Path) -> None:
    info = read_info(tiny_run / "model.safetensors")
    assert not {"forbids_commerce", "corrected", "sources"} & {*describe("both", [info, info]).data.stated()}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"image_size": 64}, "its image size is 64, that of .* is 32"),
        ({"preprocessing": 2}, "its preprocessing is 2, that of .* is 1"),
        ({"regions": ["core"]}, "its list of regions is core, that of .* is tumour"),
    ],
)
def test_members_that_do_not_agree_are_refused(
    tiny_run: Path, tmp_path: Path, fields: dict[str, Any], found: str
) -> None:
    other = changed(tiny_run, tmp_path / "other.safetensors", **fields)
    with pytest.raises(UserError, match=rf"other\.safetensors: {found}; the members of an ensemble must agree in it"):
        tumorline.ensemble([tiny_run, other], tmp_path / "both.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["other.safetensors"]


def test_other_sequences_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    data = read_info(tiny_run / "model.safetensors").data
    other = changed(tiny_run, tmp_path / "other.safetensors", data=data.model_copy(update={"channel": "flair"}))
    with pytest.raises(UserError, match=r"its channel \(sequence\) is flair, that of .* is not stated"):
        tumorline.ensemble([tiny_run, other], tmp_path / "both.safetensors")


@pytest.mark.parametrize(
    ("its", "said"),
    [
        (InputSpec(channels=["flair", "t2"]), "its number of axes is 2, that of a is 3"),
        (OF_VOLUMES.model_copy(update={"window": (8, 16, 16)}), "its window is 8 x 16 x 16, that of a is 16 x 16 x 16"),
        (OF_VOLUMES.model_copy(update={"voxel_mm": (2.0, 1.5, 1.5)}), "its voxel size in mm is 2 x 1.5 x 1.5, that of"),
    ],
)
def test_members_that_see_volumes_otherwise_are_refused(tiny_run: Path, its: InputSpec, said: str) -> None:
    first = read_info(tiny_run / "model.safetensors").model_copy(update={"input": OF_VOLUMES})
    _check_members([Path("a"), Path("b")], [first, first])
    with pytest.raises(UserError, match=f"^b: {said}"):
        _check_members([Path("a"), Path("b")], [first, first.model_copy(update={"input": its})])


def test_an_ensemble_may_lack_channels_where_all_members_may(tiny_run: Path) -> None:
    inputs = [OF_VOLUMES.model_copy(update={"may_lack_channels": may}) for may in (True, False)]
    architecture = Architecture(name="unet", options={}, channels=2)
    fields = [{"architecture": architecture, "input": its} for its in inputs]
    may, never = [read_info(tiny_run / "model.safetensors").model_copy(update=update) for update in fields]
    together = [[may, may], [may, never], [never, may]]
    assert [describe("both", members).input.may_lack_channels for members in together] == [True, False, False]


def test_ensembles_of_ensembles_and_of_unfinished_folds_are_refused(
    pair: Path, tiny_run: Path, tiny_folds: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"pair\.safetensors: is an ensemble itself; name its members instead"):
        tumorline.ensemble([tiny_run, pair], tmp_path / "both.safetensors")
    (tmp_path / "half" / "fold-0").mkdir(parents=True)
    (tmp_path / "half" / "config.toml").write_bytes((tiny_folds / "config.toml").read_bytes())
    with pytest.raises(UserError, match=r"half: fold-0, fold-1 of 2 folds not finished; finish with 'tumorline folds'"):
        tumorline.ensemble(tmp_path / "half", tmp_path / "both.safetensors")


def test_folds_become_one_model_that_no_case_is_left_to_test(
    tiny_folds: Path, tiny_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "made" / "folds.safetensors"
    cli.models.ensemble([tiny_folds], target)
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].startswith(f"{target}: 2 members, threshold 0.")
    assert ", 0 test" in shown.out
    assert "none is left to test the ensemble on" in shown.err
    assert sorted(path.name for path in target.parent.iterdir()) == ["folds.onnx", "folds.safetensors"]
    info = read_info(target)
    assert [member.config["split"]["fold"] for member in info.members] == [0, 1]
    assert info.split.parts["test"] == 0
    with pytest.raises(UserError, match="known to this model from the training of one or another of its 2 members"):
        tumorline.evaluate(target, tiny_source, output=tmp_path / "out")
    with pytest.raises(UserError, match=r"folds\.safetensors: exists already; choose another --output"):
        cli.models.ensemble([tiny_folds], target)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("one.safetensors", "an ensemble takes two models or more, or a folder of folds"),
        ("one.onnx", "one.onnx: is written as .safetensors; choose --output one.safetensors"),
    ],
)
def test_errors_are_one_line_and_status_2(program: Program, tmp_path: Path, output: str, message: str) -> None:
    shown = program("ensemble", "builtin", "--output", tmp_path / output)
    assert (shown.status, shown.out, shown.err.count("\n")) == (2, "", 1)
    assert message in shown.err
    assert not list(tmp_path.iterdir())


def test_metadata_of_models_from_before_there_were_ensembles_is_read(tiny_run: Path) -> None:
    info = read_info(tiny_run / "model.safetensors")
    older = json.loads(info.model_dump_json(exclude={"members"}))
    assert ModelInfo.model_validate(older).members == []


def test_limits_of_post_processing_are_the_mean_of_the_members() -> None:
    first = Postprocessing(smallest_ml={"tumour": 0.4}, smallest_px={"tumour": 3}, least_relative_peak=0.8)
    assert mean_postprocessing([first, Postprocessing()]) == Postprocessing(
        smallest_ml={"tumour": 0.2}, smallest_px={"tumour": 2}, least_relative_peak=0.4
    )
    assert mean_postprocessing([Postprocessing()] * 2) == Postprocessing()
