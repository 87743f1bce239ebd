"""Make a finished run the model that comes with the package, `builtin`.

    python benchmarks/ship.py runs/builtin

Copies its model file, ONNX file and card to src/tumorline/weights/; the card gets what the matrix of
benchmarks/cross_dataset.md says of other sets.
"""

import json
import shutil
import sys
from pathlib import Path

from tumorline.model_file import BUILTIN, LISTED, read_info

LARGEST_MB = 15
OTHER_SETS = Path(__file__).parent / "results" / "cross_dataset.json"
FILES = {"model.safetensors": ".safetensors", "model.onnx": ".onnx", "MODEL_CARD.md": ".md"}


def main(run: Path) -> None:
    info = read_info(run / "model.safetensors")
    if "CC BY 4.0" not in info.licence or info.split["leaking"]:
        sys.exit(f"{run}: {info.licence}; leaking: {info.split['leaking']}: not to be shipped")
    for name in FILES:
        if (size := (run / name).stat().st_size / 1e6) > LARGEST_MB:
            sys.exit(f"{run / name}: {size:.1f} MB, at most {LARGEST_MB} MB; train with model.storage = 'float16'")
    LISTED.mkdir(exist_ok=True)
    for name, suffix in FILES.items():
        print(shutil.copyfile(run / name, LISTED / f"{BUILTIN}{suffix}"))
    card = LISTED / f"{BUILTIN}.md"
    card.write_text(card.read_text() + on_other_sets())


def on_other_sets() -> str:
    matrix = json.loads(OTHER_SETS.read_text())
    warnings = [f"{cell['set']}: {warning}" for cell in matrix["cells"] for warning in cell["warnings"]]
    return "\n## On other sets\n\n" + "".join(f"- {text}\n" for text in [*matrix["sentences"], *warnings])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
