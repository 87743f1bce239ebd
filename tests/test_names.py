"""Names of the package: what is public stays callable, and one name has one meaning."""

import ast
import importlib
import pkgutil
from collections import defaultdict
from pathlib import Path

import pytest

import tumorline

SOURCE = Path(tumorline.__file__).parent
MOST_MODULES = 3


def test_public_names_are_still_callable_after_every_module_was_imported() -> None:
    pytest.importorskip("torch")
    for module in pkgutil.walk_packages([str(SOURCE)], "tumorline."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert [name for name in tumorline.__all__ if not callable(getattr(tumorline, name))] == []


def test_no_name_is_defined_by_more_than_three_modules() -> None:
    modules = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                modules[node.name].add(path.relative_to(SOURCE).as_posix())
    assert {name: sorted(paths) for name, paths in modules.items() if len(paths) > MOST_MODULES} == {}
