from pathlib import Path

from tests.conftest import PairFolder, Program
from tumorline.wording import is_or_are, numbered, said_once, short_p, some_of, tell_p


def test_one_is_not_several() -> None:
    assert [numbered(number, "patient") for number in (0, 1, 2)] == ["0 patients", "1 patient", "2 patients"]
    assert [is_or_are(number) for number in (0, 1, 2)] == ["are", "is", "are"]


def test_a_p_is_told_to_two_digits_and_never_as_nothing() -> None:
    assert [tell_p(p) for p in (1.0, 0.0456, 0.001, 0.0004, 0.0)] == [
        "p = 1",
        "p = 0.046",
        "p = 0.001",
        "p < 0.001",
        "p < 0.001",
    ]
    assert [short_p(p) for p in (0.28, 0.0)] == ["0.28", "< 0.001"]


def test_rounding_puts_no_p_on_the_other_side_of_the_level() -> None:
    assert [short_p(p) for p in (0.0496, 0.04996, 0.05, 0.0504)] == ["0.0496", "0.04996", "0.05", "0.05"]


def test_what_several_folds_say_is_said_once() -> None:
    lines = ["fold-0: FEW", "fold-0: LIMIT: 0.05", "SIMULATED: x", "fold-1: FEW"]
    assert said_once(lines) == ["fold-0, fold-1: FEW", "fold-0: LIMIT: 0.05", "SIMULATED: x"]
    assert some_of(["a", "b", "c"], 2) == "a, b and 1 more"


def test_a_set_of_one_is_told_in_the_singular(program: Program, pair_folder: PairFolder) -> None:
    folder: Path = pair_folder(patients=1, slices=1)
    told = program("data", "check", folder).out
    assert ": 1 case, 1 patient" in told
    assert "1 patients" not in told
    assert "1 cases" not in told
    assert "1 patient cannot be split" in program("data", "split", folder).err
