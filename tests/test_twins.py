"""The two files of a model belong together, and each is what a model file may be."""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper

import tumorline
from tests.conftest import Program, refused_in_one_line
from tests.strange_models import FROZEN, RUN, Change, metadata_of, picture, write_pair, write_properties
from tumorline.audit import describe
from tumorline.errors import UserError, UserNotice
from tumorline.evaluation import baselines
from tumorline.model_file import BUILTIN, METADATA_KEY, STAMP_KEY, find_model, read_content
from tumorline.onnx_file import NETWORK_KEY, hash_network
from tumorline.runtime import open_runtime


@pytest.fixture(autouse=True)
def _nothing_unsaid() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserNotice)
        yield


def texts_of(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def copy_pair(source: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for suffix in (".safetensors", ".onnx"):
        shutil.copyfile(source.with_suffix(suffix), folder / f"model{suffix}")
    return folder / "model.safetensors"


def refused(model: Path, words: str) -> None:
    with refused_in_one_line(words) as error:
        tumorline.load(model)
    assert len(str(error.value)) < 700


def test_the_builtin_model_has_one_stamp_and_one_temperature() -> None:
    path = find_model(Path(BUILTIN))
    content, texts = read_content(path), texts_of(path.with_suffix(".onnx"))
    assert content.stamped
    network = hash_network(path.with_suffix(".onnx"))
    assert texts == {METADATA_KEY: content.text, STAMP_KEY: content.stamp, NETWORK_KEY: network}
    assert tumorline.load(BUILTIN).info.temperatures[0] > 1


def test_a_run_stamps_both_files_last(tiny_run: Path) -> None:
    content, texts = read_content(tiny_run / "model.safetensors"), texts_of(tiny_run / "model.onnx")
    assert content.stamped
    network = hash_network(tiny_run / "model.onnx")
    assert texts == {METADATA_KEY: content.text, STAMP_KEY: content.stamp, NETWORK_KEY: network}
    assert "headline" in json.loads(texts[METADATA_KEY])["metrics"]


def raise_threshold(values: dict[str, Any]) -> None:
    values["threshold"] = 0.7


def know_no_case(values: dict[str, Any]) -> None:
    values["known_cases"] = {"patients": {}, "contents": {}}


@pytest.mark.parametrize("change", [raise_threshold, know_no_case])
def test_the_onnx_file_of_other_metadata_is_refused(tmp_path: Path, change: Change) -> None:
    one, other = write_pair(tmp_path / "one"), write_pair(tmp_path / "other", change)
    tumorline.load(one)
    shutil.copyfile(other.with_suffix(".onnx"), one.with_suffix(".onnx"))
    refused(one, r"belongs to another model than model\.safetensors beside it; write it anew with: tumorline export")


def test_the_onnx_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    one = write_pair(tmp_path / "one")
    weights = load_file(one)
    weights[min(weights)] = weights[min(weights)] + np.float32(0.5)
    other = write_pair(tmp_path / "other", weights=weights)
    shutil.copyfile(other.with_suffix(".onnx"), one.with_suffix(".onnx"))
    refused(one, "belongs to another model")


def change_weight(network: Any) -> None:
    tensor = max(network.graph.initializer, key=lambda one: len(one.raw_data))
    tensor.raw_data = tensor.raw_data[:-4] + np.float32(0.5).tobytes()


def swap_layers(network: Any) -> None:
    node = next(node for node in network.graph.node if node.op_type == "LeakyRelu")
    node.op_type = "Elu"


def add_initial_value(network: Any) -> None:
    network.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "more"))


def change_attribute(network: Any) -> None:
    node = next(node for node in network.graph.node if node.op_type == "Conv")
    next(one for one in node.attribute if one.name == "pads").ints[:] = [0, 0, 2, 2]


def forget_hash(network: Any) -> None:
    kept = {entry.key: entry.value for entry in network.metadata_props if entry.key != NETWORK_KEY}
    helper.set_model_props(network, kept)


@pytest.mark.parametrize("change", [change_weight, swap_layers, add_initial_value, change_attribute, forget_hash])
def test_a_network_that_was_changed_under_its_metadata_is_refused(tmp_path: Path, change: Any) -> None:
    pair = write_pair(tmp_path)
    tumorline.load(pair)
    network = onnx.load(pair.with_suffix(".onnx"))
    change(network)
    onnx.save(network, pair.with_suffix(".onnx"))
    refused(pair, "its network was changed after it was written, or belongs to another; write it anew with: tumorline")


def test_the_network_of_another_training_under_the_texts_of_this_one_is_refused(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    texts = texts_of(pair.with_suffix(".onnx"))
    shutil.copyfile(FROZEN / "ensemble.onnx", pair.with_suffix(".onnx"))
    write_properties(pair.with_suffix(".onnx"), texts)
    refused(pair, "its network was changed after it was written, or belongs to another")


def test_a_second_graph_behind_the_first_is_noticed(tmp_path: Path) -> None:
    """Readers of this format join fields that come twice, so that what is added at the end counts."""
    pair = write_pair(tmp_path)
    more = onnx.ModelProto()
    more.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "more"))
    with pair.with_suffix(".onnx").open("ab") as file:
        file.write(more.SerializeToString())
    refused(pair, "its network was changed after it was written, or belongs to another")


@pytest.mark.parametrize("content", [b"", b"\x3a", b"\x3a\xff", b"\xff" * 12, b"\x3b" * 40, b"\x08\x01" * 100_001])
def test_what_is_no_file_of_this_format_has_no_network(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.onnx: not an ONNX file, or cut off"):
        hash_network(tmp_path / "x.onnx")


def test_texts_do_not_change_a_network(tmp_path: Path) -> None:
    pair = write_pair(tmp_path).with_suffix(".onnx")
    before = hash_network(pair)
    write_properties(pair, {"a": "b" * 300})
    assert hash_network(pair) == before


def test_a_stamped_file_beside_one_without_is_refused(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    shutil.copyfile(RUN / "model.onnx", pair.with_suffix(".onnx"))
    refused(pair, "belongs to another model")


@pytest.mark.parametrize("name", ["run/model", "ensemble"])
def test_files_of_the_first_version_are_accepted_with_one_warning_and_its_cure(
    program: Program, tmp_path: Path, name: str
) -> None:
    pair = copy_pair(FROZEN / f"{name}.safetensors", tmp_path / "old")
    pictures = FROZEN / "source" / "images"
    status, _, err = program("predict", pictures, "--model", pair, "--output", tmp_path / "out")
    assert status == 0
    assert err.count("warning: ") == 1
    assert f"tumorline export {pair} --output {pair.with_suffix('.onnx')} --overwrite" in err


def test_files_of_the_first_version_that_differ_in_more_are_refused(tmp_path: Path) -> None:
    pair = copy_pair(RUN / "model.safetensors", tmp_path)
    shutil.copyfile(FROZEN / "ensemble.onnx", pair.with_suffix(".onnx"))
    refused(pair, "belongs to another model")
    values = metadata_of(pair) | {"threshold": 0.1, "temperature": 2.0, "metrics": {}}
    shutil.copyfile(RUN / "model.onnx", pair.with_suffix(".onnx"))
    write_properties(pair.with_suffix(".onnx"), {METADATA_KEY: json.dumps(values)})
    with pytest.warns(UserNotice, match=r"of version 0\.1\.0"):
        tumorline.load(pair)
    write_properties(pair.with_suffix(".onnx"), {METADATA_KEY: json.dumps(values | {"image_size": 64})})
    refused(pair, "belongs to another model")
    write_properties(pair.with_suffix(".onnx"), {})
    refused(pair, "belongs to another model")


@pytest.mark.slow
def test_the_export_cures(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pair = copy_pair(RUN / "model.safetensors", tmp_path)
    with pytest.warns(UserNotice):
        before = tumorline.load(pair).probability(picture())
    tumorline.api.export(pair, pair.with_suffix(".onnx"), overwrite=True)
    assert np.allclose(tumorline.load(pair).probability(picture()), before, atol=1e-5)


def test_weights_that_were_changed_afterwards_are_refused(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    content = bytearray(pair.read_bytes())
    content[-3] ^= 1
    pair.write_bytes(content)
    refused(pair, "were changed after it was written")


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2", "C64", "X9"])
def test_weights_in_a_format_that_is_not_read_are_one_line(program: Program, tmp_path: Path, kind: str) -> None:
    """Whatever other packages have taught numpy."""
    pytest.importorskip("torch")
    pair = write_pair(tmp_path / "model")
    values = load_file(pair)
    width = {"BF16": 2, "C64": 8}.get(kind, 1)
    stored = {"BF16": np.float16, "C64": np.float64}.get(kind, np.uint8)
    save_file(
        {name: np.zeros(value.shape, stored) for name, value in values.items()},
        pair,
        metadata={METADATA_KEY: json.dumps(metadata_of(RUN / "model.safetensors"))},
    )
    content = pair.read_bytes()
    length = int.from_bytes(content[:8], "little")
    name = {1: "U8", 2: "F16", 8: "F64"}[width]
    header = content[8 : 8 + length].decode().replace(f'"dtype":"{name}"', f'"dtype":"{kind}"').encode()
    pair.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    commands: list[list[Path | str]] = [
        ["predict", FROZEN / "source" / "images", "--model", pair, "--output", tmp_path / "out"],
        ["export", pair, "--output", tmp_path / "x.onnx"],
        ["ensemble", pair, pair, "--output", tmp_path / "x.safetensors"],
    ]
    for command in commands:
        outcome = program(*command)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1), outcome.err
        assert "model.safetensors: " in outcome.err


@pytest.mark.parametrize("stored", [np.int64, np.bool_])
def test_weights_that_were_cut_to_whole_numbers_are_no_network(program: Program, tmp_path: Path, stored: Any) -> None:
    pytest.importorskip("torch")
    values = {name: value.astype(stored) for name, value in load_file(RUN / "model.safetensors").items()}
    pair = write_pair(tmp_path / "model", weights=values)
    outcome = program("export", pair, "--output", tmp_path / "x.onnx")
    assert (outcome.status, "its weights do not fit the network" in outcome.err) == (2, True)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    weights = load_file(RUN / "model.safetensors")
    for value in (np.nan, np.inf):
        weights[min(weights)].flat[0] = value
        refused(write_pair(tmp_path, weights=weights), "weight '.*' is not finite")


def resized(values: dict[str, Any]) -> None:
    values["image_size"] = 64


def of_two_channels(values: dict[str, Any]) -> None:
    values["architecture"]["channels"] = 2


def of_two_regions(values: dict[str, Any]) -> None:
    values["regions"] = ["core", "rim"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (resized, r"takes pictures of \? x 1 x 32 x 32; the model file beside it states \? x 1 x 64 x 64"),
        (of_two_channels, r"states \? x 2 x 32 x 32"),
        (of_two_regions, r"answers of \? x 1 x 32 x 32; the model file beside it states \? x 2 x 32 x 32"),
    ],
)
def test_a_network_of_another_shape_is_refused(tmp_path: Path, change: Change, words: str) -> None:
    refused(write_pair(tmp_path, change), words)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("schema_version", 3, "schema_version is 3; this version reads up to 2"),
        ("schema_version", "9" * 1000, "schema_version"),
        ("threshold", 0, "threshold"),
        ("threshold", 1.0, "threshold"),
        ("threshold", float("nan"), "threshold: nan is no number"),
        ("threshold", "high", "threshold"),
        ("temperature", 0, "temperature"),
        ("temperature", -1.5, "temperature"),
        ("temperature", float("inf"), "temperature: inf is no number"),
        ("temperature", 1e-300, "temperature"),
        ("image_size", 10**9, "image_size"),
        ("image_size", 0, "image_size"),
        ("image_size", -32, "image_size"),
        ("name", "../../x", "name"),
        ("name", "x/y", "name"),
        ("name", "\x1b[2J", "name"),
        ("name", "", "name"),
        ("name", "a" * 300, "name"),
        ("regions", [], "regions"),
        ("regions", ["a"] * 100, "regions"),
        ("regions", ["../x"], "regions"),
        ("preprocessing", "new", "preprocessing"),
        ("constant_mask", "A" * 10**6, "constant_mask"),
        ("mean_image", "A" * 10**6, "mean_image"),
        ("versions", {"python": 3}, "versions"),
        ("data", {}, "data"),
        ("data", {"name": "x", "simulated": "perhaps"}, "data"),
        ("split", [], "split"),
        ("config", {}, "config"),
        ("metrics", {"operating_point": 3}, "metrics"),
        ("metrics", {"a": 10**400}, "metrics"),
        ("licence", None, "licence"),
        ("unknown", 1, "unknown"),
        ("members", [1], "members"),
        ("architecture", {"name": "unet", "options": {}, "channels": 10**6}, "channels"),
        ("architecture", {"name": "os;system", "options": {}, "channels": 1}, "name"),
        ("known_cases", {"patients": {"train": [1]}, "contents": {}}, "known_cases"),
        ("known_cases", {"patients": {"train": ["a" * 10**5]}, "contents": {}}, "known_cases"),
    ],
)
def test_absurd_metadata_is_refused_in_one_line(tmp_path: Path, key: str, value: object, words: str) -> None:
    refused(
        write_pair(tmp_path, lambda values: values.update({key: value})), f"not understood by this version.*{words}"
    )


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"', DEEP, '{"data": ' + DEEP + "}", "1" * 5000, "\x00", "é"])
def test_metadata_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    refused(write_pair(tmp_path, text=text), "not understood by this version")


def test_endless_metadata_is_refused(tmp_path: Path) -> None:
    refused(write_pair(tmp_path, text=" " * 70_000_000), "of metadata; expected at most")


HUGE = (1 << 60).to_bytes(8, "little")


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, HUGE, HUGE + b"{}" * 50, b"PK\x03\x04" * 100, b"\x10" + b"\x00" * 7 + b"{" * 16]
)
def test_a_file_that_is_no_model_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path, "not a readable model file")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_pair_is_refused_in_one_line(tmp_path: Path, share: float) -> None:
    for suffix in (".safetensors", ".onnx"):
        pair = write_pair(tmp_path / suffix[1:])
        cut = pair.with_suffix(suffix)
        os.truncate(cut, int(share * cut.stat().st_size))
        refused(pair, r"not a readable model file|OpenVINO cannot use this ONNX file|belongs to another model")


def test_a_huge_sparse_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    for suffix, words in ((".safetensors", "larger than 2 GiB"), (".onnx", "which no ONNX file has")):
        pair = write_pair(tmp_path / suffix[1:])
        os.truncate(pair.with_suffix(suffix), 20_000_000_000)
        refused(pair, words)


def test_weights_of_another_maker_are_no_model(tmp_path: Path) -> None:
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    refused(tmp_path / "model.safetensors", "not of Tumorline")


# ---------------------------------------------------------------- the ONNX file alone


def network(nodes: list[Any], weights: list[TensorProto], path: Path) -> Path:
    shape: list[str | int | None] = ["b", 1, 32, 32]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "logits")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    return path


def outside(location: str) -> TensorProto:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        weight.external_data.add(key=key, value=value)
    return weight


@pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"])
@pytest.mark.parametrize("spelling", [b"\x0a\x08location", b"\x0a\x88\x80\x00location"])
def test_weights_in_other_files_are_never_read(tmp_path: Path, location: str, spelling: bytes) -> None:
    for folder in (tmp_path, tmp_path / "sub"):
        folder.mkdir(exist_ok=True)
        (folder / "secret.bin").write_bytes(b"\x00\x00\x80\x3f")
    path = network(
        [helper.make_node("Add", ["image", "w"], ["logits"])], [outside(location)], tmp_path / "sub" / "x.onnx"
    )
    path.write_bytes(path.read_bytes().replace(b"\x0a\x08location", spelling))
    with pytest.raises(UserError, match="keeps weights in other files"):
        open_runtime(path)


def test_work_without_bound_is_refused(tmp_path: Path) -> None:
    condition = helper.make_tensor("go", TensorProto.BOOL, [], [True])
    trips = helper.make_tensor("trips", TensorProto.INT64, [], [2**62])
    shape: list[str | int | None] = ["b", 1, 32, 32]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c2"]), helper.make_node("Add", ["x", "x"], ["x2"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x2", TensorProto.FLOAT, shape),
        ],
    )
    loop = helper.make_node("Loop", ["trips", "go", "image"], ["logits"], body=body)
    with pytest.raises(UserError, match=r"whose work has no bound|OpenVINO cannot use"):
        open_runtime(network([loop], [trips, condition], tmp_path / "loop.onnx"))


def test_boundless_arrays_are_refused(tmp_path: Path) -> None:
    size = helper.make_tensor("size", TensorProto.INT64, [4], [1, 10**6, 32, 320_000])
    nodes = [
        helper.make_node("Tile", ["image", "size"], ["large"]),
        helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=1),
        helper.make_node("Add", ["image", "mean"], ["logits"]),
    ]
    with pytest.raises(UserError, match="would give"):
        open_runtime(network(nodes, [size], tmp_path / "large.onnx"))


def test_layers_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    node = helper.make_node("RunShell", ["image"], ["logits"], domain="evil")
    with pytest.raises(UserError, match="OpenVINO cannot use this ONNX file"):
        open_runtime(network([node], [], tmp_path / "odd.onnx"))


@pytest.mark.parametrize("text", ["", "no base64 at all", "JSFQUy1BZG9iZS0zLjAgRVBTRi0zLjA=", "iVBORw0KGgo="])
def test_a_picture_in_the_metadata_is_a_png_or_refused(text: str) -> None:
    for read in (baselines.from_text, describe.from_text):
        with pytest.raises(UserError, match="holds what is no picture"):
            read(text)
