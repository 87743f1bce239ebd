"""Whether runtimes and precisions give the same masks: the change of Dice, case by case, against OpenVINO in float32.

    python benchmarks/precision.py MODEL DATA [--count 600] [--write]

On cases that the model has not seen (its test part, and unseen ones), evenly spread. With --write what was found for
OpenVINO's precisions goes into the model file and its ONNX file gets the new stamp, so that `--precision auto` takes
it: for a model that was not made by a training with validation cases. Writes benchmarks/precision.md (between its
markers) and prints the table.
"""

import argparse
import time
from pathlib import Path

from hardening_speed import describe_machine
from table import write_table
from tumorline.assessment import open_wanted
from tumorline.errors import UserError
from tumorline.evaluation.precision import measure_changes, with_precisions
from tumorline.evaluation.status import case_status
from tumorline.inference.model import load
from tumorline.model_file import find_model, read_content, save_model
from tumorline.runtime import PRECISIONS, RUNTIMES
from tumorline.spread import spread_evenly


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    model, others = load(given.model), {}
    for runtime in RUNTIMES:
        for precision in PRECISIONS:
            try:
                if (runtime, precision) != ("openvino", "float32"):
                    others[f"{runtime}, {precision}"] = load(given.model, precision=precision, runtime=runtime)
            except UserError as error:
                print(error)
    dataset = open_wanted(model, given.data, ())
    names = [name for name, status in case_status(model.info, dataset).items() if status in ("test", "unseen")]
    began = time.perf_counter()
    changes = measure_changes(model, others, dataset, spread_evenly(names, given.count))
    rows = [["against OpenVINO in float32", "cases", "mean change of Dice", "largest"]]
    rows += [[name, str(one.cases), f"{one.mean:+.5f}", f"{one.largest:.4f}"] for name, one in changes.items()]
    minutes = (time.perf_counter() - began) / 60
    print(f"{describe_machine()}, {time.strftime('%Y-%m-%d')}, {minutes:.0f} min", *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("precision.md"), rows)
    if given.write:
        from tumorline.export import stamp_onnx

        path = find_model(Path(given.model))
        own = {name.partition(", ")[2]: one for name, one in changes.items() if name.startswith("openvino")}
        save_model(path, read_content(path).weights, with_precisions(model.info, own))
        stamp_onnx(path)


if __name__ == "__main__":
    main()
