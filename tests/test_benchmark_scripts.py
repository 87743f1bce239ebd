"""What the scripts of benchmarks/, which take hours to run, import is there; what they keep names no machine."""

import ast
import importlib
import importlib.util
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import tumorline

pytest.importorskip("torch")
SCRIPTS = Path(__file__).parents[1] / "benchmarks"
OWN = {path.stem: path for path in SCRIPTS.glob("*.py")}
HANDS_ON = "nnunet_launch"
"""Its arguments are another program's."""
COMMANDS = sorted(name for name, path in OWN.items() if "__main__" in path.read_text() and name != HANDS_ON)


def names_of(path: Path) -> set[str]:
    """What a script defines at its top level."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def taken(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a script imports from the package or from another script, or reads of it."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    modules: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in {"tumorline", *OWN}:
            for alias in node.names:
                yield node.module, alias.name
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    given_anew = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    given_anew |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in {*modules} - given_anew
        ):
            whole = modules[node.value.id]
            if whole.startswith("tumorline.") and is_module(whole):
                yield whole, node.attr


def is_module(name: str) -> bool:
    parent, _, last = name.rpartition(".")
    return not hasattr(importlib.import_module(parent), last) or isinstance(
        getattr(importlib.import_module(parent), last), ModuleType
    )


def is_there(module: str, name: str) -> bool:
    if module in OWN:
        return name in names_of(OWN[module])
    return hasattr(importlib.import_module(module), name) or bool(importlib.util.find_spec(f"{module}.{name}"))


@pytest.mark.parametrize("script", sorted(OWN))
def test_what_a_script_takes_is_there(script: str) -> None:
    missing = [f"{module}.{name}" for module, name in set(taken(OWN[script])) if not is_there(module, name)]
    assert not missing


@pytest.mark.parametrize("script", COMMANDS)
def test_a_script_says_how_it_is_called(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever leaves the arguments out gets this, too, and no page is rewritten with nothing."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(OWN[script]), run_name="__main__")
    assert not ended.value.code
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {script}.py")
    assert f"python benchmarks/{script}.py" in said


@pytest.mark.slow
def test_what_augmentation_at_test_time_changes_is_kept(
    tiny_source: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    dataset = tumorline.load_dataset(tiny_source, tumorline.load_config(None).data)
    found = importlib.import_module("ensembles").measure(tumorline.load(tiny_run), dataset, tmp_path)
    assert json.loads((tmp_path / "measured.json").read_text()) == found
    assert found["summary"]["validation"]["tumour"]["dice"]["patients"] > 0


@pytest.mark.parametrize("path", sorted((SCRIPTS / "results").rglob("config.toml")), ids=lambda path: path.parent.name)
def test_a_kept_configuration_names_no_folder_of_a_machine(path: Path) -> None:
    assert not re.search(r"""["'](/|~|[A-Z]:)""", path.read_text())


@pytest.mark.parametrize(
    "script", [name for name in COMMANDS if re.search(r"^from tumorline", OWN[name].read_text(), re.MULTILINE)]
)
def test_every_command_says_in_one_line_what_it_cannot_use(script: str) -> None:
    main = OWN[script].read_text().partition('if __name__ == "__main__":\n')[2]
    assert main.startswith("    with said_in_one_line():\n")


def test_a_folder_that_is_none_is_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr(sys, "argv", ["postprocessing.py", str(tmp_path / "no\x1brun")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(OWN["postprocessing"]), run_name="__main__")
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n"), said.startswith("error: ")) == (2, 1, True)
    assert "\x1b" not in said
