"""What the first picture waits for."""

import subprocess
import sys

SLOW = (
    *("torch", "scipy", "pydicom", "nibabel", "h5py", "tifffile", "onnx"),
    *("highdicom", "monai", "onnxruntime", "httpx2", "optuna", "ray"),
)
IMPORTED = "tumorline.api.predicting, tumorline.cli, tumorline.runtime.openvino"
CODE = f"import sys, {IMPORTED}; print(*({SLOW!r} & sys.modules.keys()))"


def test_a_prediction_of_a_picture_imports_no_library_that_it_does_not_use() -> None:
    code = CODE.replace(repr(SLOW), f"set({SLOW!r})")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == []
