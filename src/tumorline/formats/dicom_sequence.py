"""Which MR sequence a series is, from what its headers say of it: words, contrast agent, times in ms."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import pydicom

from tumorline.user_text import says_nothing

WORDS = ("SeriesDescription", "ProtocolName", "SequenceName")
"""Asked in this order, each only where those before it tell nothing: a protocol may be that of the examination."""
WEIGHTED = r"(?:(?<![a-z0-9])|(?<=ax)|(?<=sag)|(?<=cor)|(?<=tra)|(?<=[23]d))[se]?t"
FLAIR = re.compile(r"flair|dark.?fluid|tirm")
T1_WORD = re.compile(rf"{WEIGHTED}1(?!\d)")
T1 = re.compile(rf"{T1_WORD.pattern}|mp.?rage|bravo|spgr|(?<![a-z])tfl|vibe|flash")
T2 = re.compile(rf"{WEIGHTED}2(?!\d)")
OTHER = re.compile(
    r"dwi|diff|tensor|bold|fmri|ep2d|perf|dsc|dce|swan|(?:mag|pha)_images|map|mpgr"
    r"|t2.?(?:star|\*)|t2w?[ _-]?(?:gre|ffe|fl[23]d|me2d|medic)"
    r"|locali|scout|survey|pilot|smartbrain|calibration|3.?plane|angio|phase.?contrast|spectro|ciss|fiesta|trufi|subtra"
    r"|(?<![a-z])(?:[de]?adc|dti|swi|[pc]*asl|tof|mip|stir)"
    r"|(?<![a-z])(?:cb[fv]|tracew?|b1000|epi|rel?cb[fv]|mtt|ttp|tmax|ha?emo|loc|3.?pl|mr[av]|svs|csi|dir|sub)(?![a-z])"
)
AGENT = (
    r"[ _./-]*(?:(?:iv|d[aeio]l?)[ _./-]*)?"
    r"(?:[ck]ontrast[a-z]{0,3}|gado(?:lini(?:um|o)|vist)?|gad|gd|km|mdc|civ|inj(?:ect[a-z]{1,3})?|con|enh(?:anced)?)"
)
ABSENT = r"vor|ohne|sans|senza|sin|avant|with.?out|wo|w[/\\]o|native?|nc|pre(?!.?op)"
ABSENT_BEFORE_AGENT = (
    r"non?|un|nicht|sem|s[/\\]|bez|przed|zonder|voor|ut[ae]n|uden|fore|før|before|prima|antes|o(?=[ _.]*km)"
)
EAST_ASIAN = r"造影|[增増][强強]|조영"
ABSENT_ELSEWHERE = (
    rf"[非비](?:{EAST_ASIAN})|(?:{EAST_ASIAN}) ?(?:[前전無]|なし)|平[扫掃]|単純"
    r"|(?<![а-я])(?:без|до)[ _]*контраст[а-я]*|[ck]ontrast(?:s[iı]z|[iı] yok)"
)
"""In languages that say it in other letters, or behind the word."""
NATIVE = re.compile(
    rf"(?:(?<![a-z])|(?<=(?<![a-z])w))(?:(?:{ABSENT}|{ABSENT_BEFORE_AGENT}){AGENT}|{ABSENT})(?![a-z])"
    rf"|(?<![a-z])(?:c-|s/c)(?![a-z0-9])|{ABSENT_ELSEWHERE}"
)
CONTRAST = re.compile(
    r"post(?!eri|ero|.?op|.?surg)|(?<![a-z])(?:gad|gd|enhanced|dotarem|(?:multi|pro)hance|magnevist|clariscan)"
    r"|\+ ?[ck](?![a-z])|c\+|[ck]ontrast|(?<![a-z])(?:ce|km|mdc|civ|inj(?:ectee?)?|nach|apres|[cw]/c)(?![a-z])"
    rf"|t1[-_]?c(?![a-z-])|\+$|{EAST_ASIAN}|контраст"
)
WITHOUT = "|"
"""Stands for what `NATIVE` has found."""
AND = r"[ _]*(?:[/&+,]|(?:and|und|et|e|y|or|ou?)(?![a-z]))[ _]*"
WITH = re.compile(
    rf"(?<![a-z0-9])(?:w|with|mit|avec|con)(?=/?(?:{AND}|[ _]*)\|)|(?<=\|)(?:{AND})(?:w|with|mit|avec|con)(?![a-z])"
)
NO_AGENT = re.compile(
    r"(?:non?|none|nein|without|w/?o|ohne|kein[a-z]*|sans|sin|senza|sem|ne(?:ssun|nhum)[ao]?|ningun[ao]?|aucun|geen|ingen|brak"
    r"|yok|нет|nati[vf]e?|unenhanced|not|false|0)(?![a-z]).*|n|無し?|なし"
)
OTHER_MODALITIES = ("CT", "PT", "NM", "US", "CR", "DX", "XA", "RF", "MG")
SHORT_TE_MS, SHORT_TR_MS, LONG_TE_MS, LONG_TR_MS = 30, 1200, 60, 2000
FLAIR_TI_MS, T1_TI_MS = (1500, 3500), (300, 1300)


class _Said(NamedTuple):
    """What the headers of a series say."""

    texts: tuple[str, ...]
    """Of `WORDS`."""
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
    acquisition = _read_said(header)
    by_words = (_by_words(acquisition, acquisition.texts[:asked]) for asked in range(1, len(WORDS) + 1))
    return next(filter(None, by_words), None) or _by_times(acquisition) or ("", "its headers do not tell")


def _by_words(acquisition: _Said, texts: Sequence[str]) -> tuple[str, str] | None:
    """By the last of the texts; whether there was contrast any of them may say."""
    if other := OTHER.search(texts[-1]):
        return "", f"its words hold '{other[0]}'"
    t1, t2, flair = (pattern.search(texts[-1]) for pattern in (T1, T2, FLAIR))
    if flair and (t2 or not T1_WORD.search(texts[-1])):
        return "flair", f"its words hold '{flair[0]}'"
    if t1:
        return _with_contrast(f"its words hold '{t1[0]}'", acquisition, texts)
    if t2:
        return _flair_by_times(acquisition) or ("t2", f"its words hold '{t2[0]}'")
    return None


def _by_times(acquisition: _Said) -> tuple[str, str] | None:
    times = f"TR {acquisition.repetition_ms or 0:g} ms, TE {acquisition.echo_ms or 0:g} ms"
    if _has_t1_times(acquisition):
        return _with_contrast(times, acquisition, acquisition.texts)
    if (
        (acquisition.repetition_ms or 0) >= LONG_TR_MS
        and (acquisition.echo_ms or 0) >= LONG_TE_MS
        and not acquisition.inversion_ms
    ):
        return "t2", times
    return _flair_by_times(acquisition)


def _flair_by_times(acquisition: _Said) -> tuple[str, str] | None:
    if _within(acquisition.inversion_ms, FLAIR_TI_MS) and (acquisition.echo_ms or 0) >= LONG_TE_MS:
        return "flair", f"TI {acquisition.inversion_ms:g} ms, TE {acquisition.echo_ms:g} ms"
    return None


def _with_contrast(reason: str, acquisition: _Said, texts: Sequence[str]) -> tuple[str, str]:
    """The first text that tells decides; where it tells with and without, or none tells, the agent does."""
    native, enhanced = next(filter(any, map(_words_of_contrast, texts)), ("", ""))
    reasons = [reason, *(f"'{word}'" for word in (native, enhanced) if word)]
    if bool(native) == bool(enhanced):
        reasons.append("a contrast agent is named" if acquisition.agent else "no contrast agent is named")
    is_enhanced = bool(enhanced) if bool(native) != bool(enhanced) else acquisition.agent
    return "post_contrast" if is_enhanced else "pre_contrast", ", ".join(reasons)


def _words_of_contrast(text: str) -> tuple[str, str]:
    """Which words say that there was none, and which that there was; empty where none do."""
    native = NATIVE.search(text)
    rest = NATIVE.sub(WITHOUT, text)
    enhanced = CONTRAST.search(rest) or WITH.search(rest)
    return native[0] if native else "", enhanced[0].strip() if enhanced else ""


def _has_t1_times(acquisition: _Said) -> bool:
    if acquisition.echo_ms is None or acquisition.repetition_ms is None or acquisition.echo_ms > SHORT_TE_MS:
        return False
    return acquisition.repetition_ms <= SHORT_TR_MS or _within(acquisition.inversion_ms, T1_TI_MS)


def _within(value: float | None, limits: tuple[float, float]) -> bool:
    return value is not None and limits[0] <= value <= limits[1]


def _read_said(header: pydicom.Dataset) -> _Said:
    texts = tuple(_plain(str(header.get(keyword) or "")).replace(WITHOUT, " ").strip() for keyword in WORDS)
    times = (_time_ms(header.get(keyword)) for keyword in ("RepetitionTime", "EchoTime", "InversionTime"))
    return _Said(texts, any(map(_is_agent, _agents(header))), *times)


def _plain(text: str) -> str:
    """In small letters without accents, however these are stored."""
    letters = (letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", "".join(letters))


def _agents(header: pydicom.Dataset) -> list[str]:
    """What is named as contrast agent; of enhanced MR the meaning of its code, or that there is an item."""
    coded = header.get("ContrastBolusAgentSequence") or []
    return [str(header.get("ContrastBolusAgent") or ""), *(str(item.get("CodeMeaning") or "agent") for item in coded)]


def _is_agent(name: str) -> bool:
    return not says_nothing(name) and not NO_AGENT.fullmatch(_plain(name).strip())


def _time_ms(value: Any) -> float | None:
    try:
        return float(value) or None
    except (TypeError, ValueError):
        return None
