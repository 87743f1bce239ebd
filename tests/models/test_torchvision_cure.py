import subprocess
import sys

import pytest

from tumorline.models import torchvision_cure

NOT_WHOLE = """
from tumorline.models import torchvision_cure
torchvision_cure._is_whole = lambda package: False
print("declared" if torchvision_cure.cure_torchvision() else "nothing")
import torch
print(torch.ops.torchvision.nms.default._schema)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_torchvision_imports_after_the_cure() -> None:
    result = run(
        "from tumorline.models.torchvision_cure import cure_torchvision; cure_torchvision(); cure_torchvision();"
        "import torchvision.transforms.v2, torchvision.models.segmentation; print('fine')"
    )
    assert result.stdout.strip() == "fine", result.stderr


def test_nothing_is_declared_where_torchvision_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_cure, "_is_whole", lambda _package: True)
    assert torchvision_cure.cure_torchvision.__wrapped__() is None


def test_the_operators_are_declared_where_it_is_not() -> None:
    lines = run(NOT_WHOLE).stdout.splitlines()
    assert lines[0] == "declared"
    assert lines[1].startswith("torchvision::nms(Tensor dets, Tensor scores, float iou_threshold)")
