"""What belongs together: items by what they have in common, and what counts as one patient in every figure."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key")


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> defaultdict[Key, list[Item]]:
    """The items of each key, in their order; none of a key that no item has."""
    groups: defaultdict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def group_of(patient: str | None, case_id: str) -> str:
    """The patient, or the case by itself where the patient is unknown: no patient may be called so."""
    return patient or f"case {case_id}"
