"""What src/ imports is declared where it is needed, and nothing else is declared."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tumorline"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

EXTRAS = {
    "models": {"train"},
    "losses": {"train"},
    "training": {"train"},
    "app": {"app"},
    "augmentation": {"train"},
    "benchmarking/executors.py": {"ray"},
    "export.py": {"train"},
    "export_formats.py": {"train"},
    "network_file.py": {"train"},
    "planning": {"train", "lite"},
    "quantise.py": {"train", "int8"},
    "runtime/onnxruntime.py": {"onnxruntime"},
    "run": {"train"},
    "runtime/torch.py": {"train"},
    "tuning": {"train", "tune"},
    "callbacks": {"train"},
}
"""Modules that only run where an extra is installed; the others need the base, or ask for an extra first."""

UNIMPORTED = {"onnxscript": "torch.onnx.export", "einops": "MONAI's Swin-UNETR", "pyjpegls": "pydicom"}
"""Declared for others, who do not declare them."""

BY_NAME = ("import_module", "find_spec", "require_extra")
"""Functions whose first argument names a module."""


def declared(group: str) -> set[str]:
    """Distributions of the base ('') or of an extra."""
    wanted = PROJECT["optional-dependencies"][group] if group else PROJECT["dependencies"]
    return {canonicalize_name(Requirement(text).name) for text in wanted}


def imported(source: str) -> Iterator[str]:
    """Top-level names of what a module imports, also inside its functions and by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Call) and node.args and called(node.func) in BY_NAME:
            yield from first_words(node.args[0])


def called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def asked_for(source: str) -> set[str]:
    """Extras that a module asks for, and so says which one is missing."""
    places = {"require_extra": 2, "MissingExtraError": 1}
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    asked = [call.args[places[name]] for call in calls if (name := called(call.func)) in places]
    return {str(extra.value) for extra in asked if isinstance(extra, ast.Constant)}


def first_words(argument: ast.expr) -> list[str]:
    """What a text, or an f-string whose first dot is written out, begins with."""
    known = argument.values[0] if isinstance(argument, ast.JoinedStr) and argument.values else argument
    text = known.value if isinstance(known, ast.Constant) and isinstance(known.value, str) else ""
    whole = "." in text or known is argument
    return [text.partition(".")[0]] if text and whole and not text.startswith(".") else []


@cache
def third_party(module: Path) -> set[str]:
    names = set(imported(module.read_text(encoding="utf-8"))) - {"tumorline"}
    return names - sys.stdlib_module_names


INSTALLED = packages_distributions()


def distributions(name: str) -> set[str]:
    return {canonicalize_name(found) for found in INSTALLED.get(name, [name])}


MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_an_import_is_declared_where_its_module_runs(module: Path) -> None:
    place = str(module.relative_to(SOURCE).as_posix())
    extras = EXTRAS.get(place, EXTRAS.get(place.partition("/")[0], set())) | asked_for(
        module.read_text(encoding="utf-8")
    )
    available = declared("").union(*map(declared, extras))
    for name in third_party(module):
        assert distributions(name) & available, f"{place} imports {name}; declare it in {extras or 'the base'}"


def test_every_declared_dependency_is_imported() -> None:
    used = {found for module in MODULES for name in third_party(module) for found in distributions(name)}
    groups = ("", "train", "app", "tune", "ray", "paper", "tensorboard", "mlflow")
    assert set().union(*map(declared, groups)) - used - UNIMPORTED.keys() == set()


def test_the_constraints_pin_each_declared_dependency_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in (Requirement(text) for group in groups for text in group):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), str(requirement)
