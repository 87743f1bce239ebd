"""Weights in the formats of their makers, made here, are really loaded; and what is said where they cannot be had."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import tumorline
from tumorline.errors import UserError
from tumorline.models import SOURCES, WEIGHT_CHECKS, build, check_weights, pretrained, start_from, without_weights
from tumorline.models.torchvision_cure import cure_torchvision

cure_torchvision()
from torchvision.models import get_model  # noqa: E402


def original(name: str, **options: object) -> dict[str, Tensor]:
    """A network of torchvision as its weights are published, with numbers of our own."""
    torch.manual_seed(1)
    network: nn.Module = get_model(name, weights=None, **options)
    return network.state_dict()


@pytest.mark.parametrize(
    ("name", "options", "full"),
    [
        ("deeplabv3", {"backbone": "mobilenet_v3_large"}, "deeplabv3_mobilenet_v3_large"),
        ("lraspp", {}, "lraspp_mobilenet_v3_large"),
    ],
)
def test_coco_weights_are_taken_over_but_for_the_last_layer(
    name: str, options: dict[str, object], full: str, tmp_path: Path
) -> None:
    aux = {"aux_loss": True} if name == "deeplabv3" else {}
    weights = original(full, weights_backbone=None, num_classes=21, **aux)
    torch.save(weights, tmp_path / "coco.pth")
    network = build(name, channels=1, regions=2, options={**options, "weights": str(tmp_path / "coco.pth")})
    own = network.get_submodule("network.network").state_dict()
    other = [key for key in own if not torch.equal(own[key], weights[key])] if set(own) == set(weights) else None
    assert other is not None
    assert [key for key in other if key.startswith("backbone.")] == ["backbone.0.0.weight"]
    first = weights["backbone.0.0.weight"]
    assert torch.allclose(own["backbone.0.0.weight"], first.sum(1, keepdim=True))
    assert all(own[key].shape[0] == 2 for key in other if not key.startswith("backbone."))


def test_a_backbone_of_imagenet_is_taken_over(tmp_path: Path) -> None:
    weights = original("mobilenet_v3_large")
    torch.save(weights, tmp_path / "backbone.pth")
    network = build("lraspp", channels=3, regions=1, options={"weights": str(tmp_path / "backbone.pth")})
    own = network.get_submodule("network.network.backbone").state_dict()
    assert all(torch.equal(tensor, weights[f"features.{key}"]) for key, tensor in own.items())


def test_swin_unet_takes_the_encoder_of_swin_t(tmp_path: Path) -> None:
    weights = original("swin_t")
    torch.save(weights, tmp_path / "swin_t.pth")
    network = build("swin_unet", channels=1, regions=1, options={"weights": str(tmp_path / "swin_t.pth")})
    own = network.get_submodule("network.encoder").state_dict()
    assert [key for key in own if own[key].shape != weights[key].shape] == ["features.0.0.weight"]
    assert all(torch.equal(own[key], weights[key]) for key in own if key != "features.0.0.weight")


@pytest.mark.parametrize("prefix", ["", "model."])
def test_an_encoder_of_timm_is_taken_over_with_and_without_smps_prefix(prefix: str, tmp_path: Path) -> None:
    options = {"encoder": "tu-resnet18", "weights": "none"}
    torch.manual_seed(1)
    encoder = build("encoder_unet", channels=3, regions=1, options=options).get_submodule("network.encoder")
    weights = {f"{prefix}{key.removeprefix('model.')}": value for key, value in encoder.state_dict().items()}
    save_file(weights, tmp_path / "resnet18.safetensors")
    torch.manual_seed(2)
    network = build(
        "encoder_unet", channels=3, regions=1, options={**options, "weights": str(tmp_path / "resnet18.safetensors")}
    )
    own = network.get_submodule("network.encoder").state_dict()
    assert all(torch.equal(own[key], value) for key, value in encoder.state_dict().items())


@pytest.fixture
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def offline(hanging: list[object], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """As `hanging`, of which one soon loses patience."""
    monkeypatch.setattr(pretrained, "PATIENCE_S", 0.02)
    return hanging


@pytest.fixture
def hanging(empty_caches: None, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """No cached weights, and a network in which nothing ever answers; lists the attempts to connect."""
    attempts: list[object] = []

    def hang(address: object, _timeout: float) -> None:
        attempts.append(address)
        time.sleep(20)
        raise OSError

    monkeypatch.setattr("socket.create_connection", hang)
    return attempts


TORCH, HUB = "https://download.pytorch.org/models", "https://huggingface.co"
FROM_A_HUB: list[tuple[str, dict[str, object], str]] = [
    ("deeplabv3", {}, f"{TORCH}/deeplabv3_resnet50_coco-cd0a2569.pth"),
    (
        "deeplabv3",
        {"backbone": "mobilenet_v3_large", "weights": "imagenet"},
        f"{TORCH}/mobilenet_v3_large-5c1a4163.pth",
    ),
    ("fcn", {}, f"{TORCH}/fcn_resnet50_coco-1167a1af.pth"),
    ("fcn", {"weights": "imagenet"}, f"{TORCH}/resnet50-11ad3fa6.pth"),
    ("lraspp", {}, f"{TORCH}/lraspp_mobilenet_v3_large-d234d4ea.pth"),
    ("lraspp", {"weights": "imagenet"}, f"{TORCH}/mobilenet_v3_large-5c1a4163.pth"),
    ("swin_unet", {}, f"{TORCH}/swin_t-704ceda3.pth"),
    ("encoder_unet", {"encoder": "resnet34"}, f"{HUB}/smp-hub/resnet34.imagenet"),
    ("encoder_unet", {"encoder": "tu-resnet18"}, f"{HUB}/timm/resnet18.a1_in1k"),
    ("segformer", {}, f"{HUB}/smp-hub/mit_b0.imagenet"),
    ("deeplabv3_plus", {"encoder": "resnet50"}, f"{HUB}/smp-hub/resnet50.imagenet"),
    ("fpn", {"encoder": "resnet34"}, f"{HUB}/smp-hub/resnet34.imagenet"),
    ("smp", {"encoder": "resnet34"}, f"{HUB}/smp-hub/resnet34.imagenet"),
]
NETWORKS_FROM_A_HUB = pytest.mark.parametrize(("name", "options", "address"), FROM_A_HUB)


def test_every_network_with_pretrained_weights_is_looked_after() -> None:
    assert set(WEIGHT_CHECKS) == set(SOURCES) == {name for name, _, _ in FROM_A_HUB}


def says_what_to_do(message: str, address: str) -> bool:
    return "\n" not in message and f"download {address}" in message and "model.options.weights" in message


@NETWORKS_FROM_A_HUB
def test_out_of_reach_is_one_line_after_one_attempt_that_says_what_to_download_and_where_to_put_it(
    name: str, options: dict[str, object], address: str, offline: list[object], tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match="not on this machine") as found:
        check_weights(name, options)
    assert len(offline) == 1
    assert time.monotonic() - began < 15
    assert says_what_to_do(str(found.value), address)
    if address.startswith(TORCH):
        assert f"to {tmp_path / 'torch' / 'hub' / 'checkpoints' / address.rpartition('/')[2]}" in str(found.value)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("chosen", [FROM_A_HUB[3], FROM_A_HUB[7]])
def test_nothing_of_a_training_is_left_and_no_data_are_read(
    chosen: tuple[str, dict[str, object], str], tiny_source: Path, tmp_path: Path
) -> None:
    name, options, address = chosen
    overrides = [f"model.name={name}", f"data.cache='{tmp_path / 'cache'}'"]
    overrides += [f"model.options.{key}='{value}'" for key, value in options.items()]
    with pytest.raises(UserError) as found:
        tumorline.train(data=tiny_source, overrides=overrides, output=tmp_path / "run")
    assert says_what_to_do(str(found.value), address)
    assert not list(tmp_path.iterdir())


COMMAND = """
import socket, time
socket.create_connection = lambda *_: time.sleep(900)
from tumorline.cli import main
main()
"""


@pytest.mark.slow
def test_the_command_ends_at_once_with_status_2(tiny_source: Path, tmp_path: Path) -> None:
    """A thread that waits for a name server must not hold up the end of the program."""
    arguments = ["train", "--data", str(tiny_source), "--set", "model.name=lraspp", "--output", str(tmp_path / "run")]
    environment = {key: value for key, value in os.environ.items() if key.lower() != "https_proxy"}
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**environment, "TORCH_HOME": str(tmp_path / "torch")},
    )
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
    assert result.stderr.startswith("error: the weights lraspp_mobilenet_v3_large-d234d4ea.pth are not on this machine")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("empty_caches")
def test_a_download_that_fails_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("blocked by the proxy\n<html>")

    monkeypatch.setattr(pretrained, "reachable", lambda _url: True)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    with pytest.raises(UserError, match="the download failed") as found:
        build("swin_unet", channels=1, regions=1, options={})
    assert says_what_to_do(str(found.value), f"{TORCH}/swin_t-704ceda3.pth")


@pytest.mark.usefixtures("hanging")
def test_a_server_that_does_not_answer_costs_less_than_a_second() -> None:
    assert pretrained.PATIENCE_S < 1
    began = time.monotonic()
    assert not pretrained.reachable("https://example.invalid/weights.pth")
    assert time.monotonic() - began < pretrained.PATIENCE_S + 2, "no longer than its patience, on a busy machine too"


@pytest.mark.usefixtures("empty_caches")
def test_behind_a_proxy_it_is_the_proxy_that_has_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def note(address: tuple[str, int], _timeout: float) -> socket.socket:
        asked.append(address)
        return socket.socket()

    monkeypatch.setattr("socket.create_connection", note)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for proxy in ("", "http://gate.invalid:3128", "gate.invalid"):
        monkeypatch.setenv("https_proxy", proxy)
        assert pretrained.reachable("https://example.invalid/weights.pth")
    assert asked == [("example.invalid", 443), ("gate.invalid", 3128), ("gate.invalid", 80)]


@pytest.mark.usefixtures("offline")
def test_weights_in_the_hubs_cache_need_no_server(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--smp-hub--resnet34.imagenet" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    with pytest.raises(UserError, match="not on this machine"):
        check_weights("encoder_unet", {"encoder": "resnet34"})
    (snapshot / "model.safetensors").touch()
    check_weights("encoder_unet", {"encoder": "resnet34"})


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("name", "options"), [(name, options) for name, options, _ in FROM_A_HUB])
def test_a_missing_file_and_no_weights_are_told_without_a_server(name: str, options: dict[str, object]) -> None:
    check_weights(name, {**options, "weights": "none"})
    for weights, message in (("nowhere.pth", "nowhere.pth: no file of weights"), ("imgnet", "weights is 'imgnet'")):
        with pytest.raises(UserError, match=message):
            check_weights(name, {**options, "weights": weights})
    with pytest.raises(UserError, match="which it does not take"):
        check_weights(name, {**options, "weights": 3})


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["lraspp", "encoder_unet"])
def test_a_saved_network_is_rebuilt_without_its_pretrained_weights(name: str) -> None:
    encoder = {"encoder": "resnet18"} if name == "encoder_unet" else {}
    build(name, channels=1, regions=1, options=without_weights(name, encoder))
    assert without_weights("unet", {"widths": [4, 8]}) == {"widths": [4, 8]}


def test_names_of_timms_whole_network_fit_its_features(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(1)
    save_file(timm.create_model("convnext_atto").state_dict(), tmp_path / "convnext.safetensors")
    options = {"encoder": "tu-convnext_atto", "weights": str(tmp_path / "convnext.safetensors")}
    network = build("fpn", channels=3, regions=1, options=options)
    torch.manual_seed(1)
    given = timm.create_model("convnext_atto").state_dict()
    own = network.get_submodule("network.encoder").state_dict()
    assert torch.equal(own["model.stages_3.blocks.1.mlp.fc1.weight"], given["stages.3.blocks.1.mlp.fc1.weight"])


def test_cached_weights_need_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(pretrained, "reachable", lambda _url: False)
    (tmp_path / "checkpoints").mkdir()
    torch.save({"a": torch.ones(2)}, tmp_path / "checkpoints" / "weights.pth")
    assert torch.equal(pretrained.from_hub("https://example.invalid/x/weights.pth")["a"], torch.ones(2))


def test_files_that_hold_no_weights_are_refused(tmp_path: Path) -> None:
    for name, content in (("text.pth", b"no weights"), ("text.safetensors", b"none")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="not a readable file of weights"):
            pretrained.read_weights(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no state dictionary"):
        pretrained.read_weights(tmp_path / "list.pth")
    with pytest.raises(UserError, match="no file of weights"):
        pretrained.read_weights(tmp_path / "nowhere.pth")


def test_starting_from_another_network_takes_what_fits_and_refuses_a_stranger() -> None:
    small = {"widths": [4, 8, 8]}
    first = build("unet", channels=1, regions=1, options=small)
    second = build("unet", channels=3, regions=2, options=small)
    assert start_from(second, first.state_dict()) == ["network.head.weight", "network.head.bias"]
    own, given = second.state_dict(), first.state_dict()
    assert torch.allclose(own["network.down.0.first.weight"].sum(1), given["network.down.0.first.weight"].sum(1))
    assert torch.equal(own["network.merge.0.second.weight"], given["network.merge.0.second.weight"])
    with pytest.raises(UserError, match="weights fit this network"):
        start_from(build("segresnet", channels=1, regions=1, options={"width": 8}), given)
