"""Names of results where files are called alike."""

from pathlib import Path

import pytest

from tumorline.errors import UserError
from tumorline.inference.targets import targets_apart


def targets(*files: str, target: str = "T1c") -> list[str]:
    found = targets_apart([Path(file) for file in files], [Path(target)] * len(files))
    return [path.as_posix() for path in found]


def test_a_second_of_a_name_is_called_by_its_file() -> None:
    assert targets("a/T1c.nii.gz", "b/T1c.nii.gz") == ["T1c", "T1c_nii_gz"]
    assert targets("a/T1c.nii.gz", "a/T1c.nii", "a/T1c.png") == ["T1c", "T1c_nii", "T1c_png"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("a/T1c.nii", "b/T1c.nii", "c/T1c.nii"), ["a/T1c", "b/T1c", "c/T1c"]),
        (("in/s1/anat/T1c.nii", "in/s2/anat/T1c.nii", "./in/s3/T1c.nii"), ["s1/T1c", "s2/T1c", "s3/T1c"]),
        (("a/x/T1c.nii", "a/y/T1c.nii", "b/x/T1c.nii"), ["a/x/T1c", "a/y/T1c", "b/x/T1c"]),
        (("a/T1c.nii", "b/../T1c.nii", "c/T1c.nii"), ["a/T1c", "T1c", "c/T1c"]),
    ],
)
def test_more_of_a_name_are_called_by_the_first_folders_that_differ(
    files: tuple[str, ...], expected: list[str]
) -> None:
    assert targets(*files) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("x/A.png", "y/a.png"), ["A", "a_png"]),
        (("x/A.png", "x/a.png", "x/A.PNG"), ["A", "a_png", "A_PNG"]),
        (("x/A.png", "y/a.png", "z/A.png"), ["x/A", "y/a", "z/A"]),
        (("x/t\u00eate.png", "y/te\u0302te.png"), ["t\u00eate", "te\u0302te_png"]),
    ],
)
def test_names_that_a_system_may_take_for_one_are_told_apart(names: tuple[str, ...], expected: list[str]) -> None:
    found = targets_apart([Path(name) for name in names], [Path(Path(name).stem) for name in names])
    assert [path.as_posix() for path in found] == expected


def test_one_file_three_times_is_refused() -> None:
    with pytest.raises(UserError, match=r"a/T1c\.nii: its results would overwrite those of a/T1c\.nii; predict them"):
        targets("a/T1c.nii", "a/T1c.nii", "a/T1c.nii")
