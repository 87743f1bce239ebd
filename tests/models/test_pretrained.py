"""Weights in the formats of their makers, made here, are really loaded; and what is said where they cannot be had."""

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tumorline.errors import UserError
from tumorline.models import build, pretrained
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


@pytest.mark.parametrize(
    ("name", "options", "address"),
    [
        ("deeplabv3", {}, "https://download.pytorch.org/models/deeplabv3_resnet50_coco-cd0a2569.pth"),
        ("fcn", {"weights": "imagenet"}, "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"),
        ("swin_unet", {}, "https://download.pytorch.org/models/swin_t-704ceda3.pth"),
        ("encoder_unet", {"encoder": "resnet34"}, "https://huggingface.co/smp-hub/resnet34.imagenet"),
        ("encoder_unet", {"encoder": "tu-resnet18"}, "https://huggingface.co/timm/resnet18.a1_in1k"),
    ],
)
def test_out_of_reach_is_one_line_that_says_what_to_download_and_where_to_put_it(
    name: str, options: dict[str, object], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    for module in ("pretrained", "encoder_nets"):
        monkeypatch.setattr(f"tumorline.models.{module}.reachable", lambda _url: False)
    with pytest.raises(UserError, match="not on this machine") as found:
        build(name, channels=1, regions=1, options=options)
    message = str(found.value)
    assert address in message
    assert "\n" not in message
    assert "model.options.weights" in message


def test_a_server_that_does_not_answer_costs_less_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("socket.create_connection", lambda *_: time.sleep(5))
    began = time.monotonic()
    assert not pretrained.reachable("https://example.invalid/weights.pth")
    assert time.monotonic() - began < 2


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
    taken, of = pretrained.start_from(second, first.state_dict())
    assert of - taken == 2
    own, given = second.state_dict(), first.state_dict()
    assert torch.allclose(own["network.down.0.first.weight"].sum(1), given["network.down.0.first.weight"].sum(1))
    assert torch.equal(own["network.merge.0.second.weight"], given["network.merge.0.second.weight"])
    with pytest.raises(UserError, match="weights fit this network"):
        pretrained.start_from(build("segresnet", channels=1, regions=1, options={"width": 8}), given)
