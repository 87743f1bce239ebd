"""Near duplicates of a data set, within its sources and between them, kept as long as no picture changes."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tumorline.config import DataConfig
from tumorline.data.case import Case, read_image
from tumorline.data.facts import VERSION, Facts, distinct_images, search_near_pairs
from tumorline.data.memory import cache_folder, remember
from tumorline.data.near.duplicates import NearPair, unpack
from tumorline.data.near.slices import SliceOfVolume, near_slices
from tumorline.geometry.symmetry import inverse_name

if TYPE_CHECKING:
    from tumorline.data.dataset import Dataset


def own_pairs(facts: Sequence[Facts], settings: DataConfig) -> tuple[NearPair, ...]:
    """Those among the cases of one source, by position; of cases that are equal pixel for pixel the first stands."""
    positions = distinct_images(facts)
    distinct = [facts[position] for position in positions]
    return remember(
        cache_folder(settings),
        "pairs",
        [VERSION, [fact.image_hash for fact in distinct]],
        lambda: search_near_pairs(distinct),
        lambda kept: _placed_pairs(kept, positions, positions),
    )


def pairs_of_members(members: "Sequence[Dataset]", begins: Sequence[int]) -> tuple[NearPair, ...]:
    """Those within each of several sources, whose cases begin at these positions, then those between any two."""
    placed = list(zip(begins, members, strict=False))
    within = [
        pair._replace(a=pair.a + begin, b=pair.b + begin) for begin, member in placed for pair in member.near_pairs
    ]
    between = [
        pair._replace(a=pair.a + begin, b=pair.b + other_begin)
        for (begin, member), (other_begin, other_member) in combinations(placed, 2)
        for pair in pairs_between(member, other_member)
    ]
    return (*within, *between)


def pairs_between(first: "Dataset", second: "Dataset") -> tuple[NearPair, ...]:
    """Near duplicates of the cases of one set among those of another, by position."""
    positions = [distinct_images(dataset.facts) for dataset in (first, second)]
    sides = list(zip((first, second), positions, strict=True))
    facts = [[side.facts[position] for position in of_side] for side, of_side in sides]
    cases = [[side.cases[position] for position in of_side] for side, of_side in sides]

    def search() -> list[NearPair]:
        forth = (pair for pair, _ in slices_among(cases[0], facts[0], facts[1]))
        back = (pair for pair, _ in slices_among(cases[1], facts[1], facts[0]))
        turned = [pair._replace(a=pair.b, b=pair.a, transform=inverse_name(pair.transform)) for pair in back]
        return [*search_near_pairs(*facts), *forth, *turned]

    key = [VERSION, "between", *([fact.image_hash for fact in of_side] for of_side in facts)]
    return remember(cache_folder(first.settings), "pairs", key, search, lambda kept: _placed_pairs(kept, *positions))


def _placed_pairs(remembered: Sequence[Any], first: Sequence[int], second: Sequence[int]) -> tuple[NearPair, ...]:
    """What was remembered of pairs within two lists, by the positions of what stands in the lists."""
    pairs = [NearPair(*values) for values in remembered]
    return tuple(pair._replace(a=first[pair.a], b=second[pair.b]) for pair in pairs)


def slices_among(
    cases: Sequence[Case], facts: Sequence[Facts], other_facts: Sequence[Facts]
) -> Iterator[tuple[NearPair, SliceOfVolume]]:
    """Pictures among others that are slices of the volumes among cases, by place in the two lists.

    The volumes are decoded once more for it.
    """
    pictures = [number for number, fact in enumerate(other_facts) if not fact.block]
    scans = [number for number, fact in enumerate(facts) if fact.block]
    if not scans or not pictures:
        return
    thumbnails = unpack([other_facts[number].thumbnail for number in pictures])
    for number in scans:
        for pair, place in near_slices(read_image(cases[number]), thumbnails):
            yield pair._replace(a=number, b=pictures[pair.b]), place
