"""Patients drawn into parts and folds: equal seeds, equal parts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from tumorline.config import SplitConfig
from tumorline.data.splits.parts import PARTS
from tumorline.errors import UserError
from tumorline.wording import numbered


def wanted_parts(settings: SplitConfig) -> tuple[str, ...]:
    """The parts that may not be empty."""
    return PARTS if settings.validates else ("train", "test")


def assign(groups: Mapping[str, str], settings: SplitConfig) -> dict[str, str]:
    """Part of each group, given the class of each: a fixed order by hash, cut class by class.

    With folds, every k-th group of that order is a fold, so that folds share nothing, cover all and differ by at most
    one group in size and in each class. Raises UserError where a part would have no group.
    """
    wanted = wanted_parts(settings)
    least = max(len(wanted), settings.folds)
    if settings.validates and settings.folds == 2:
        least += 1  # so that any fold leaves two to train and validate
    if len(groups) < least:
        needed = f"{least} are the least for {settings.folds} folds" if settings.folds else f"{least} is the least"
        raise UserError(
            f"{numbered(len(groups), 'patient')} cannot be split into {', '.join(wanted[:-1])} and test; {needed}"
        )
    strata = strata_of(groups, settings.seed)
    if settings.folds:
        return _fold(strata, settings)
    test = 1 - settings.train - settings.validation
    return draw_parts(strata, {"validation": settings.validation, "test": test}, wanted)


def _fold(strata: Sequence[Sequence[str]], settings: SplitConfig) -> dict[str, str]:
    everyone = [name for members in strata for name in members]
    tested = dict.fromkeys(everyone[settings.fold :: settings.folds], "test")
    rest = [[name for name in members if name not in tested] for members in strata]
    share = settings.validation * len(everyone) / (len(everyone) - len(tested))
    parts = draw_parts(rest, {"validation": share}, wanted_parts(settings)[:-1])
    return parts | tested


def draw_parts(strata: Iterable[Sequence[str]], shares: Mapping[str, float], wanted: Iterable[str]) -> dict[str, str]:
    """The first groups of each class to the parts in `shares`, the rest to train; no wanted part stays empty.

    The cut is rounded over the classes together, so that the parts' sizes are right as a whole and within one
    group of right in each class.
    """
    taken: Counter[str] = Counter()
    seen = 0
    parts = {}
    for members in strata:
        seen += len(members)
        rest = iter(members)
        for part, share in shares.items():
            count = round(share * seen + 1e-9) - taken[part]
            chosen = [name for _, name in zip(range(count), rest, strict=False)]
            taken[part] += len(chosen)
            parts.update(dict.fromkeys(chosen, part))
        parts.update(dict.fromkeys(rest, "train"))
    return _leave_none_empty(parts, wanted)


def first_of_each(strata: Sequence[Sequence[str]], share: float) -> list[str]:
    """A share of all groups, of each class alike, one at least; a larger share begins with those of a smaller one."""
    ranked = sorted(
        ((place + 0.5) / len(members), number, name)
        for number, members in enumerate(strata)
        for place, name in enumerate(members)
    )
    return [name for _, _, name in ranked[: max(1, round(share * len(ranked) + 1e-9))]]


def strata_of(groups: Mapping[str, str], seed: int) -> list[list[str]]:
    by_class: dict[str, list[str]] = defaultdict(list)
    for name in shuffled(groups, seed):
        by_class[groups[name]].append(name)
    return [by_class[class_name] for class_name in sorted(by_class)]


def _leave_none_empty(parts: dict[str, str], wanted: Iterable[str]) -> dict[str, str]:
    for part in wanted:
        if part not in parts.values():
            most = Counter(parts.values()).most_common(1)[0][0]
            giver = min(name for name, its_part in parts.items() if its_part == most)
            parts[giver] = part
    return parts


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """A fixed order by hash."""
    return sorted(names, key=lambda name: sha256(f"{seed}:{name}".encode(errors="surrogatepass")).digest())
