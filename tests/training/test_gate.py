"""A presence head: trained beside the masks, its gate chosen on validation and kept within the network."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import TINY, PairFolder
from tests.data.test_joined import free
from tumorline import models, train
from tumorline.config import load_config
from tumorline.errors import UserError
from tumorline.inference.model import load
from tumorline.model_file import read_info
from tumorline.models.presence import OPEN, SHUT, PresenceGated
from tumorline.source_spec import with_data
from tumorline.training.gate import Gate, SeenWindow, choose_gate, dice_behind, left_empty_behind
from tumorline.training.objective import presence_loss

NETWORK = ("encoder_unet", {"weights": "none", "output_stride": 2, "presence": True})


def network(regions: int = 1) -> PresenceGated:
    name, options = NETWORK
    torch.manual_seed(0)
    built = models.build(name, channels=1, regions=regions, options=options).eval()
    assert isinstance(built, PresenceGated)
    return built


def window(case: str, truth: int, predicted: int, both: int, presence: float, **more: object) -> SeenWindow:
    values = {"patient": case[0], "source": "", "is_other": False, **more}
    return SeenWindow(case, truth=truth, predicted=predicted, both=both, presence=presence, **values)  # type: ignore[arg-type]


WINDOWS = [
    window("a1", 10, 10, 10, 0.9),
    window("a2", 10, 10, 5, 0.8),
    window("b1", 10, 10, 10, 0.33),
    window("c1", 0, 7, 0, 0.22, source="heads"),
    window("d1", 0, 0, 0, 0.1, source="heads"),
    window("e1", 0, 3, 0, 0.6, source="scans"),
    window("e2", 0, 3, 0, 0.1, source="scans", is_other=True),
]


def test_figures_behind_a_gate_by_hand() -> None:
    assert dice_behind(WINDOWS, 0.0) == pytest.approx((0.75 + 1) / 2)
    assert dice_behind(WINDOWS, 0.5) == pytest.approx(0.75 / 2)
    assert left_empty_behind(WINDOWS, 0.0) == pytest.approx((0.5 + 0) / 2)
    assert left_empty_behind(WINDOWS, 0.25) == pytest.approx((1 + 0) / 2)
    assert left_empty_behind([], 0.0) == 1.0


def test_the_lowest_of_the_best_gates_is_chosen() -> None:
    gate = choose_gate(WINDOWS, "validation")
    assert gate == Gate(0.25, (0.875, 0.875), (0.25, 0.5), "validation")
    assert gate.logit == pytest.approx(math.log(1 / 3))
    assert choose_gate([one for one in WINDOWS if one.truth], "validation").probability == 0
    assert choose_gate(WINDOWS, 0.7).dice == (0.875, 0.375)
    assert choose_gate([], 0.0).logit == OPEN


def test_a_shut_gate_leaves_nothing_and_an_open_one_all() -> None:
    net, image = network(regions=2), torch.randn(3, 1, 40, 40)
    with torch.no_grad():
        whole = net(image)
        with models.showing_presence(net):
            presence = models.presence_of(net(image))
        net.gate[:] = torch.tensor([OPEN, float(presence[1, 1]) + 1e-4])
        gated = net(image)
    assert torch.equal(gated[:, 0], whole[:, 0])
    shut = presence[:, 1] < net.gate[1]
    assert shut[1]
    assert (gated[shut, 1] <= SHUT).all()
    assert torch.equal(gated[~shut, 1], whole[~shut, 1])


def test_a_gate_is_not_taken_over() -> None:
    old, new = network(), network()
    old.gate[:] = 3.0
    models.start_from(new, old.state_dict())
    models.open_gate(new)
    assert new.gate.item() == OPEN
    models.open_gate(torch.nn.Identity())


def test_presence_is_learnt_from_whether_there_is_a_region() -> None:
    target = torch.zeros(2, 1, 4, 4)
    target[0, 0, 1, 1] = 1
    sure = torch.tensor([8.0, -8.0])[:, None, None, None].expand(2, 1, 4, 4)
    assert presence_loss(sure, target) < 0.001
    assert presence_loss(-sure, target) > 7
    outputs = network().train()(torch.randn(2, 1, 64, 64))
    assert [tuple(one.shape) for one in outputs] == [(2, 1, 64, 64)] * 2


@pytest.mark.slow
def test_a_run_chooses_its_gate_and_keeps_it_in_the_exported_network(tmp_path: Path) -> None:
    slices, heads = PairFolder(tmp_path / "slices")(patients=8), free(tmp_path / "heads", images=8)
    settings = [
        *(setting for setting in TINY if "widths" not in setting),
        *("train.epochs=1", "model.name=encoder_unet", "model.gate=0.999999", "data.image_size=64"),
        "model.options={weights='none',output_stride=2,presence=true}",
        f"data.cache='{tmp_path / 'cache'}'",
    ]
    said: list[str] = []
    config = load_config(None, settings)
    run = train(with_data(config, [slices, f"{heads},tumour_free=true"]), output=tmp_path / "run", notify=said.append)
    assert any("masks are empty below a presence of" in line for line in said)
    info = read_info(run / "model.safetensors")
    assert info.metrics.presence_gate["tumour"].probability == pytest.approx(0.999999)
    model = load(run)
    image = np.random.default_rng(0).uniform(0, 200, (1, 64, 64)).astype(np.float32)
    assert model.probability(image).max() < 1e-6
    assert "Presence: the masks of an image are empty" in (run / "MODEL_CARD.md").read_text()


def test_other_networks_have_no_such_head() -> None:
    with pytest.raises(UserError, match="unknown key 'presence'"):
        models.check_options("unet", {"presence": True})
