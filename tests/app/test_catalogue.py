"""Which model a name means, where several are called the same."""

import shutil
from pathlib import Path

import pytest

from tests.strange_models import RUN
from tumorline.app.catalogue import collect_models, name_models
from tumorline.errors import UserError
from tumorline.model_file import find_model, listed_models

BUILTIN = find_model(Path("builtin"))


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUN, tmp_path / "a" / "fold-0"))


@pytest.fixture
def b(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUN, tmp_path / "b" / "fold-0"))


def test_models_that_are_given_are_in_their_order_with_that_of_the_package(a: Path) -> None:
    named = name_models([Path("builtin"), a, a])
    assert [*named.items()] == [("builtin", BUILTIN), ("fold-0", a / "model.safetensors")]


def test_two_models_of_one_name_are_refused(a: Path, b: Path) -> None:
    with pytest.raises(UserError, match="b/fold-0: a second model called 'fold-0'; rename its folder or file"):
        name_models([a, b])


def test_a_model_called_as_one_of_the_package_is_refused(a: Path) -> None:
    with pytest.raises(UserError, match="a second model called 'builtin'; rename its folder or file"):
        name_models([a.rename(a.with_name("builtin"))])


def test_a_model_that_is_given_wins_over_a_run_and_a_run_over_nothing(a: Path, b: Path) -> None:
    own = a / "model.safetensors"
    listed = {name: find_model(Path(name)) for name in listed_models()}
    assert listed["builtin"] == BUILTIN
    assert collect_models({"fold-0": own}, {"fold-0": b}) == {"fold-0": own, **listed}
    assert collect_models({}, {"builtin": b, "other": b}) == {**listed, "other": b / "model.safetensors"}
