"""Pretrained weights: a local file, the cache of torch hub, or a download; and how they are fitted to a network."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tumorline.errors import UserError
from tumorline.trust import may_download

Weights = Mapping[str, Tensor]
PATIENCE_S = 0.8
"""How long a server may take to answer before it counts as out of reach."""
SOURCES = {
    "deeplabv3": "COCO with VOC labels, torchvision, BSD-3-Clause",
    "fcn": "COCO with VOC labels, torchvision, BSD-3-Clause",
    "lraspp": "COCO with VOC labels, torchvision, BSD-3-Clause",
    "swin_unet": "ImageNet (Swin-T), torchvision, BSD-3-Clause",
    "encoder_unet": "ImageNet, on PyPI for efficientnet_lite0 to 2, Apache-2.0; others: timm and smp, by encoder",
    "deeplabv3_plus": "as encoder_unet",
    "fpn": "as encoder_unet",
    "smp": "as encoder_unet",
    "segformer": "ImageNet (Mix Transformer), smp, NVIDIA's non-commercial licence",
}
"""Where each network's pretrained weights come from, and their licence; the others start from scratch."""
CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
SIDE = 64
"""Of an image that a network is shown to find out what sees it; one that needs no padding."""
SUFFIXES = (".safetensors", ".pth", ".pt")


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dictionary from a `.safetensors` file or one of torch; nothing but tensors is unpickled."""
    _refuse_other(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{path}: not a readable file of weights ({str(error).splitlines()[0]})") from None
    state = state.get("state_dict", state.get("model", state)) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no state dictionary of tensors")
    return state


def check_file(weights: str, expected: str) -> None:
    """Raise UserError where `weights`, none of the `expected` words, names no file of weights; nothing is read."""
    path = Path(weights)
    if not path.suffix:
        raise UserError(f"model.options.weights is '{weights}'; expected {expected} or a file of weights")
    _refuse_other(path)


def _refuse_other(path: Path) -> None:
    if path.suffix not in SUFFIXES or not path.is_file():
        raise UserError(f"{path}: no file of weights; expected an existing {', '.join(SUFFIXES)} file")


def check_hub(url: str) -> Path:
    """Where torch hub's cache keeps the weights of an address, or will keep them once they are downloaded.

    Raises UserError in one line, within a second, where they are not there and the server is out of reach.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    if not file.is_file() and (reason := why_not_from(url)):
        raise UserError(_not_here(url, file, reason))
    return file


def from_hub(url: str) -> dict[str, Tensor]:
    """Weights by their address, from torch hub's cache or downloaded into it and checked by the hash in the name.

    Raises UserError in one line where they can be had from neither.
    """
    file = check_hub(url)
    if not file.is_file():
        try:
            torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, progress=False)
        except (OSError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(_not_here(url, file, f"the download failed ({reason})")) from None
    return read_weights(file)


def _not_here(url: str, file: Path, reason: str) -> str:
    return (
        f"the weights {file.name} are not on this machine and {reason}; download {url} to {file}, or give a local file "
        'as model.options.weights, or weights = "none"'
    )


def why_not_from(url: str) -> str:
    """Why nothing can be downloaded from an address, in words; empty where it can. A run folder asks nobody."""
    if not may_download():
        return "what a run folder names is not downloaded (train with its config.toml for that)"
    return "" if reachable(url) else f"{urlsplit(url).hostname} cannot be reached"


def reachable(url: str) -> bool:
    """Whether the server, or the proxy on the way to it, takes a connection within `PATIENCE_S`.

    The thread is a daemon, so that a name server that never answers holds up neither this nor the end of the program.
    """
    answers: list[bool] = []

    def knock() -> None:
        try:
            socket.create_connection(_first_hop(url), PATIENCE_S).close()
        except OSError:
            return
        answers.append(True)

    thread = Thread(target=knock, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return bool(answers)


def _first_hop(url: str) -> tuple[str, int]:
    """Host and port that a request for `url` connects to: its own, or those of the proxy."""
    host = urlsplit(url).hostname or ""
    proxy = getproxies().get("https", "")
    if not proxy or proxy_bypass(host):
        return host, 443
    gate = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return gate.hostname or "", gate.port or (443 if gate.scheme == "https" else 80)


def fit_weights(network: nn.Module, weights: Weights, without: Iterable[str] = ()) -> None:
    """Load weights into a network that was built for other colours and classes.

    What lies below the names in `without` stays as it was made: heads for other classes. The first convolution is
    adapted (`adapt_channels`); what the network lacks is left out. Raises UserError where anything else does not fit.
    """
    state = network.state_dict()
    kept = {name for name in state if name.startswith(tuple(without))} if without else set()
    first = next(name for name, tensor in state.items() if tensor.ndim >= 4)
    if first in weights:
        weights = {**weights, first: adapt_channels(weights[first], state[first].shape[1])}
    wanted = {name: tensor for name, tensor in state.items() if name not in kept}
    misfit = [name for name in wanted if name not in weights or weights[name].shape != wanted[name].shape]
    if misfit:
        raise UserError(f"the weights do not fit: {len(misfit)} of {len(wanted)}, the first is '{misfit[0]}'")
    network.load_state_dict({name: state[name] if name in kept else weights[name] for name in state})


def adapt_channels(first: Tensor, channels: int) -> Tensor:
    """Filters `(O, C, ...)` for another number of channels: summed and shared out.

    A grey image then gives what its copy in C colours would.
    """
    if first.shape[1] == channels:
        return first
    shared = first.sum(dim=1, keepdim=True) / channels
    return shared.expand(-1, channels, *first.shape[2:]).clone()


def _weights_on_input(network: nn.Module, first: Tensor) -> set[str]:
    """Names of the weights of the convolutions that see the image itself, as those of shortcuts do too."""
    shape = 1, first.shape[1], *[SIDE] * (first.ndim - 2)
    image = torch.linspace(0, 1, prod(shape), device=first.device).reshape(shape)
    names: set[str] = set()

    def look(name: str, seen: tuple[Tensor, ...]) -> None:
        if seen[0].shape == image.shape and torch.equal(seen[0], image):
            names.add(f"{name}.weight")

    convolutions = {name: module for name, module in network.named_modules() if isinstance(module, CONVOLUTIONS)}
    hooks = [
        module.register_forward_pre_hook(lambda _, seen, name=name: look(name, seen))
        for name, module in convolutions.items()
    ]
    was_training = network.training
    with torch.no_grad():
        network.eval()(image)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return names


def _in_places(first: Tensor, places: Sequence[int]) -> Tensor:
    """Filters `(O, slices * C, ...)`, whose channels lie slice by slice, in another order of those of each."""
    by_slice = first.reshape(len(first), -1, len(places), *first.shape[2:])
    return by_slice[:, :, [*places]].flatten(1, 2)


def _fitted_to_input(network: nn.Module, weights: Weights, places: Sequence[int]) -> Weights:
    """The weights with those of the layers that see the image brought to the channels that they see here."""
    state = network.state_dict()
    first = next((name for name, tensor in state.items() if tensor.ndim >= 4), "")
    if first not in weights or weights[first].ndim != state[first].ndim:
        return weights
    if not places and weights[first].shape[1] == state[first].shape[1]:
        return weights
    seeing = {name: weights[name] for name in _weights_on_input(network, state[first]) or {first} if name in weights}
    moved = {name: _in_places(tensor, places) if places else tensor for name, tensor in seeing.items()}
    return {**weights, **{name: adapt_channels(moved[name].float(), state[name].shape[1]) for name in moved}}


def start_from(network: nn.Module, weights: Weights, places: Sequence[int] = ()) -> list[str]:
    """Take over what fits by name and shape; returns the names of the network's weights that stay as they were made.

    The layers that see the image are adapted to another number of channels. `places` says where each of the channels
    lay in the network of the weights, where they lie otherwise now. Raises UserError where less than half of the
    weights fit: the file then belongs to another network.
    """
    state = network.state_dict()
    weights = _fitted_to_input(network, weights, places)
    fitting = {name: weights[name] for name in state if name in weights and weights[name].shape == state[name].shape}
    if 2 * len(fitting) < len(state):
        raise UserError(
            f"only {len(fitting)} of {len(state)} weights fit this network: model.start_from is of another; give its "
            "model.name and model.options, and data.window where it has one"
        )
    network.load_state_dict({**state, **fitting})
    return [name for name in state if name not in fitting]
