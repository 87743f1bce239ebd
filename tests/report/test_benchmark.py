"""What the page of a benchmark says of differences."""

import pytest

from tumorline.report import benchmark
from tumorline.report.benchmark import differences, differences_within, findings, whose_differences
from tumorline.results.compared import (
    CaseGroup,
    ComparedPair,
    Leaderboard,
    LeaderboardGroup,
    LongerTraining,
    PairDifference,
)


def pair(first: str, second: str, metric: str, mean: float) -> ComparedPair:
    difference = PairDifference(mean=mean, ci95=[mean - 0.1, mean + 0.1], p=1.0, range=[0, 1])
    return ComparedPair(
        metric=metric,
        region="tumour",
        first=first,
        second=second,
        difference=difference,
        p_corrected=1.0,
        noise=True,
        better=None,
    )


def group(initialisation: str, *pairs: ComparedPair) -> LeaderboardGroup:
    return LeaderboardGroup(initialisation=initialisation, about="models", rows=[], pairs=list(pairs))


RESULT = Leaderboard(
    schema_version=2,
    name="bench",
    cells=4,
    finished=4,
    budget="",
    processes=1,
    reference="ref",
    ranked_by="Dice by patient",
    warnings=[],
    groups=[
        group("scratch", pair("A", "ref", "dice", 0.1), pair("B", "ref", "dice", 0.2), pair("B", "ref", "hd95", -3.0)),
        group("imagenet", pair("C", "D", "dice", 0.4), pair("A", "D", "dice", 0.9)),
    ],
    unmeasured=[],
)


def test_the_table_of_differences_is_of_the_reference_alone_and_each_value_has_its_column() -> None:
    table = differences(RESULT)
    assert table == {
        "A": {"Dice": "+0.100 (+0.000 to +0.200), p = 1", "HD95": "–"},
        "B": {"Dice": "+0.200 (+0.100 to +0.300), p = 1", "HD95": "-3.0 (-3.1 to -2.9), p = 1"},
    }
    assert "C minus D: Dice +0.400 (+0.300 to +0.500), p = 1: within noise" in findings(RESULT)


def test_differences_within_groups_are_a_line_each_from_the_reference_alone() -> None:
    small, large = (CaseGroup(by="size", name=name, cases=9, patients=4) for name in ("small", "large"))
    pairs = [
        pair(first, second, metric, mean).model_copy(update={"within": within})
        for first, second, metric, mean, within in (
            ("A", "ref", "dice", 0.1, small),
            ("A", "ref", "dice", 0.2, large),
            ("A", "ref", "hd95", -3.0, large),
            ("A", "B", "dice", 0.4, small),
        )
    ]
    scratch = RESULT.groups[0].model_copy(update={"pairs_within": pairs})
    lines = differences_within(RESULT.model_copy(update={"groups": [scratch]}))
    assert [(line.group.name, line.first, line.texts["HD95"]) for line in lines] == [
        ("small", "A", "–"),
        ("large", "A", "-3.0 (-3.1 to -2.9), p = 1"),
    ]


def test_the_ratio_of_volumes_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [group("scratch", pair("A", "ref", "volume_ratio", 0.1))]
    result = RESULT.model_copy(update={"groups": groups})
    assert [*differences(result)["A"]] == ["mean area ratio"]
    monkeypatch.setattr(benchmark, "are_of_volumes", lambda _: True)
    assert [*differences(result)["A"]] == ["mean volume ratio"]


def test_without_a_reference_there_is_no_table() -> None:
    assert differences(RESULT.model_copy(update={"reference": ""})) == {}


def test_a_range_is_not_shown_as_an_interval() -> None:
    few = pair("A", "ref", "dice", 0.1)
    few = few.model_copy(update={"difference": few.difference.model_copy(update={"ci95": None})})
    result = RESULT.model_copy(update={"groups": [group("scratch", few)]})
    assert differences(result) == {"A": {"Dice": "+0.100 (range +0.000 to +1.000), p = 1"}}


def test_what_differences_are_about_is_said_of_those_that_are_there() -> None:
    models = group("scratch", pair("A", "ref", "dice", 0.1))
    recipes = group("imagenet", pair("A", "ref", "dice", 0.1)).model_copy(update={"about": "recipes"})
    alone = recipes.model_copy(update={"pairs": []})
    told = {
        "one run each: about these models, not about their recipes": [[models], [alone, models]],
        "over patients and seeds": [[recipes]],
        "of arms of 3 seeds or more over patients and seeds, of others one run each: about these models, not about "
        "their recipes": [[models, recipes], [recipes, models]],
    }
    for sentence, boards in told.items():
        for groups in boards:
            assert whose_differences(RESULT.model_copy(update={"groups": groups})) == sentence


@pytest.mark.parametrize(
    ("gain", "interval", "verdict"),
    [
        (0.02, None, "still rising"),
        (0.02, [0.001, 0.04], "still rising"),
        (0.02, [-0.03, 0.06], "still rising, within noise"),
        (0.005, [0.001, 0.01], "no more than a point"),
        (0.005, [-0.02, 0.03], "no more than a point, within noise"),
    ],
)
def test_what_noise_can_give_is_called_so(gain: float, interval: list[float] | None, verdict: str) -> None:
    longer = LongerTraining(epochs=24, gain=gain, interval=interval, still_rises=gain > 0.01)
    assert longer.verdict == verdict
