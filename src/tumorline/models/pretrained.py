"""Pretrained weights: a local file, the cache of torch hub, or a download; and how they are fitted to a network."""

import socket
from collections.abc import Iterable, Mapping
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
