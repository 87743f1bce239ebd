"""What the page of a benchmark says of differences."""

from tumorline.report.benchmark import differences, findings
from tumorline.results.compared import ComparedPair, Leaderboard, LeaderboardGroup, PairDifference


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


def test_without_a_reference_there_is_no_table() -> None:
    assert differences(RESULT.model_copy(update={"reference": ""})) == {}
