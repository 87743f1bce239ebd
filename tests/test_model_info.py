"""What a model file says: old files are read, new ones state regions and input."""

from pathlib import Path
from typing import Any

import pytest

from tumorline.config import Postprocessing
from tumorline.model_file import find_model, read_info
from tumorline.model_info import InputSpec, ModelInfo, parse_info, write_info

BUILTIN = read_info(find_model(Path("builtin")))
REGIONS = ["whole_tumour", "tumour_core", "enhancing_tumour"]


def _changed(**changes: Any) -> ModelInfo:
    return ModelInfo.model_validate({**BUILTIN.model_dump(), **changes})


def test_a_model_of_one_region_and_of_pictures_is_written_as_version_1() -> None:
    known: dict[str, Any] = {"patients": {}, "contents": {}}
    text = write_info(_changed(known_cases=known))
    assert '"schema_version":1' in text
    assert '"input"' not in text
    assert parse_info(text).input == InputSpec()


def test_a_model_that_knows_what_its_pictures_look_like_is_of_version_2() -> None:
    again = parse_info(write_info(BUILTIN))
    assert (again.schema_version, len(again.known_cases.looks["train"])) == (2, BUILTIN.data.cases)


def test_a_model_of_several_regions_keeps_a_point_for_each() -> None:
    info = _changed(regions=REGIONS, threshold=[0.3, 0.4, 0.5], temperature=[1.0, 2.0, 3.0])
    again = parse_info(write_info(info))
    assert (again.thresholds, again.temperatures, again.schema_version) == ((0.3, 0.4, 0.5), (1.0, 2.0, 3.0), 2)


def test_one_number_stands_for_all_regions() -> None:
    assert _changed(regions=REGIONS, threshold=0.4).thresholds == (0.4, 0.4, 0.4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": [0.5, 0.5]}, "2 thresholds or temperatures for 1 regions"),
        ({"regions": REGIONS, "temperature": [1.0, 1.0]}, "2 thresholds or temperatures for 3 regions"),
        ({"regions": ["tumour", "tumour"]}, "two regions have one name"),
        ({"input": {"channels": ["flair", "t2"]}}, "1 channels do not fit"),
        ({"input": {"context": 1}}, "1 channels do not fit"),
        ({"input": {"dims": 3}}, "a network of three dimensions has a window"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _changed(**changes)


def test_neighbouring_slices_are_channels_of_the_network_and_not_of_the_image() -> None:
    architecture = {"name": "unet", "options": {}, "channels": 12}
    names = ["flair", "post_contrast", "t2", "pre_contrast"]
    info = _changed(architecture=architecture, input={"channels": names, "context": 1})
    assert (info.image_channels, info.input.depth) == (4, 3)


def test_constant_masks_of_pictures_and_of_volumes_are_found_by_region() -> None:
    both = ["outer picture", "inner picture", "outer volume", "inner volume"]
    two = {"regions": REGIONS[:2], "threshold": 0.4, "temperature": 1.0}
    assert _changed(**two, constant_mask=both).constant_masks == {
        "whole_tumour": ["outer picture", "outer volume"],
        "tumour_core": ["inner picture", "inner volume"],
    }
    assert _changed(**two, constant_mask=both[:2]).constant_masks == {
        "whole_tumour": ["outer picture"],
        "tumour_core": ["inner picture"],
    }
    assert _changed(constant_mask="one").constant_masks == {"tumour": ["one"]}
    assert _changed(constant_mask="").constant_masks == {}


def test_the_empty_table_of_relative_peaks_of_the_first_model_files_is_read() -> None:
    assert Postprocessing.model_validate({"least_relative_peak": {}}) == Postprocessing()
    with pytest.raises(ValueError, match="valid number"):
        Postprocessing.model_validate({"least_relative_peak": {"tumour": 0.9}})
