"""Which MR sequence a series is, from what its headers say of it: words, contrast agent, times in ms."""

import re
from typing import Any, NamedTuple

import pydicom

from tumorline.user_text import says_nothing

WORDS = ("SeriesDescription", "ProtocolName", "SequenceName")
FLAIR = re.compile(r"flair|dark.?fluid|tirm")
T1 = re.compile(r"(?<![a-z0-9])t1|mp.?rage|bravo|spgr|(?<![a-z])tfl|vibe|flash")
T2 = re.compile(r"(?<![a-z0-9])t2(?!.?(star|\*))")
OTHER = re.compile(
    r"dwi|diff|(?<![a-z])adc|(?<![a-z])swi|perf|(?<![a-z])asl|(?<![a-z])dti|bold|locali|scout|t2.?star|t2\*|dsc|dce"
)
CONTRAST = re.compile(
    r"post|gado|(?<![a-z])gd|\+ ?c(?![a-z])|(?<![a-z])ce(?![a-z])|c\+|contrast|(?<![a-z])km(?![a-z])|\+$"
)
NATIVE = re.compile(r"(?<![a-z])pre(?![a-z])|with.?out|w/o|nativ|non.?contrast|(?<![a-z])no.?contrast")
OTHER_MODALITIES = ("CT", "PT", "NM", "US", "CR", "DX", "XA", "RF", "MG")
SHORT_TE_MS, SHORT_TR_MS, LONG_TE_MS, LONG_TR_MS = 30, 1200, 60, 2000
FLAIR_TI_MS, T1_TI_MS = (1500, 3500), (300, 1300)


class _Said(NamedTuple):
    """What the headers of a series say."""

    words: str
    agent: bool
    repetition_ms: float | None
    echo_ms: float | None
    inversion_ms: float | None


def recognise_sequence(header: pydicom.Dataset) -> tuple[str, str]:
    """The sequence (flair, post_contrast, pre_contrast, t2; empty where it is none or not told) and by what.

    Of images that are no MR it is the modality.
    The reason quotes what was matched, and nothing else of the headers, where a name may stand.
    """
    if (modality := header.get("Modality")) in OTHER_MODALITIES:
        return str(modality), "its modality"
    said = _read_words(header)
    if other := OTHER.search(said.words):
        return "", f"its words hold '{other[0]}'"
    for found in (_flair(said), _t1(said), _t2(said)):
        if found:
            return found
    return "", "its headers do not tell"


def _flair(said: _Said) -> tuple[str, str] | None:
    if word := FLAIR.search(said.words):
        return "flair", f"its words hold '{word[0]}'"
    if _within(said.inversion_ms, FLAIR_TI_MS) and (said.echo_ms or 0) >= LONG_TE_MS:
        return "flair", f"TI {said.inversion_ms:g} ms, TE {said.echo_ms:g} ms"
    return None


def _t1(said: _Said) -> tuple[str, str] | None:
    by_times = T2.search(said.words) is None and _has_t1_times(said)
    word = T1.search(said.words)
    if not word and not by_times:
        return None
    reasons = [f"its words hold '{word[0]}'"] if word else [f"TR {said.repetition_ms:g} ms, TE {said.echo_ms:g} ms"]
    enhanced, reason = _contrast(said)
    return ("post_contrast" if enhanced else "pre_contrast"), ", ".join([*reasons, reason])


def _contrast(said: _Said) -> tuple[bool, str]:
    """Words that say there was none come before an agent, which may be that of the examination."""
    if word := NATIVE.search(said.words):
        return False, f"'{word[0]}'"
    if word := CONTRAST.search(said.words):
        return True, f"'{word[0]}'"
    return said.agent, "a contrast agent is named" if said.agent else "no contrast agent is named"


def _t2(said: _Said) -> tuple[str, str] | None:
    if word := T2.search(said.words):
        return "t2", f"its words hold '{word[0]}'"
    if (said.repetition_ms or 0) >= LONG_TR_MS and (said.echo_ms or 0) >= LONG_TE_MS and not said.inversion_ms:
        return "t2", f"TR {said.repetition_ms:g} ms, TE {said.echo_ms:g} ms"
    return None


def _has_t1_times(said: _Said) -> bool:
    if said.echo_ms is None or said.repetition_ms is None or said.echo_ms > SHORT_TE_MS:
        return False
    return said.repetition_ms <= SHORT_TR_MS or _within(said.inversion_ms, T1_TI_MS)


def _within(value: float | None, limits: tuple[float, float]) -> bool:
    return value is not None and limits[0] <= value <= limits[1]


def _read_words(header: pydicom.Dataset) -> _Said:
    words = " ".join(str(header.get(keyword) or "") for keyword in WORDS).lower()
    agent = str(header.get("ContrastBolusAgent") or "").strip()
    times = (_time_ms(header.get(keyword)) for keyword in ("RepetitionTime", "EchoTime", "InversionTime"))
    none_named = says_nothing(agent) or agent.lower() in ("no", "none", "without")
    return _Said(words.strip(), not none_named, *times)


def _time_ms(value: Any) -> float | None:
    try:
        return float(value) or None
    except (TypeError, ValueError):
        return None
