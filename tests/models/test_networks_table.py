"""The table of networks says what the networks are."""

import csv
import inspect

import pytest

from tumorline.listing import NETWORKS
from tumorline.models import MODELS, SOURCES, count_parameters, multiply_adds

ROWS = {row["network"]: row for row in csv.DictReader(NETWORKS.read_text(encoding="utf-8").splitlines())}


def options(name: str) -> dict[str, str]:
    return {"weights": "none"} if "weights" in inspect.signature(MODELS[name]).parameters else {}


def test_it_lists_all_of_them_in_their_order() -> None:
    assert list(ROWS) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_words_dims_and_weights_are_the_networks(name: str) -> None:
    dims = "2, 3" if "dims" in inspect.signature(MODELS[name]).parameters else "2"
    first_line = (inspect.getdoc(MODELS[name]) or "").splitlines()[0]
    assert (ROWS[name]["dims"], ROWS[name]["weights"], ROWS[name]["what"]) == (
        dims,
        SOURCES.get(name, "none"),
        first_line,
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "unet" else pytest.mark.slow) for name in MODELS]
)
def test_sizes_are_the_networks(name: str) -> None:
    network = MODELS[name](channels=1, regions=1, **options(name))
    sizes = {"parameters": str(count_parameters(network)), "multiply_adds": str(multiply_adds(network, 1))}
    assert {key: ROWS[name][key] for key in sizes} == sizes
