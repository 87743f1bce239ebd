"""Under which terms a source may be used, and what they allow of weights that were trained on it.

Stated by the user, by the record of a fetched folder, or known of a public set; "" where nobody says.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tumorline.config import SourceConfig
from tumorline.data import brisc, cheng
from tumorline.data.dataset import Dataset
from tumorline.file_names import FETCHED_NAME

CHENG_LICENCE = "CC BY 4.0"
SIMULATED = "simulated images; free of data terms"
BRATS_2021 = (
    "CC BY 4.0 as TCIA releases RSNA-ASNR-MICCAI-BraTS-2021 (doi 10.7937/jc8x-9874), with its data usage policy"
)
BRATS_PAPERS = (
    "RSNA-ASNR-MICCAI-BraTS-2021, doi 10.7937/jc8x-9874; U. Baid et al., arXiv:2107.02314; B. Menze et al., IEEE TMI "
    "34 (2015); S. Bakas et al., Scientific Data 4 (2017)"
)
LGG_LICENCE = "CC BY-NC-SA 4.0, non-commercial use only"
BRISC_LICENCE = "CC BY 4.0 as BRISC 2025 states it; it is collated from public sets whose own terms were not verified"
RESEARCH_ONLY = "research terms of the challenge; weights trained on it may not be passed on"

KNOWN_BY_PATIENT: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"BraTS2021_"), BRATS_2021, BRATS_PAPERS),
    (re.compile(r"BraTS-(?:GLI|MEN|MET|PED|SSA)"), RESEARCH_ONLY, "BraTS 2023 and later, www.synapse.org"),
    (re.compile(r"UCSF-PDGM-"), "CC BY 4.0", "UCSF-PDGM, The Cancer Imaging Archive, doi 10.7937/tcia.bdgf-8v37"),
    (re.compile(r"UPENN-GBM-"), "CC BY 4.0", "UPENN-GBM, The Cancer Imaging Archive, doi 10.7937/TCIA.709X-DN49"),
)
"""How the files of public sets begin -> licence and attribution."""

FORBIDS_COMMERCE = re.compile(r"\bNC\b|non-?commercial|\bacademic\b.*\bonly\b|research (?:use )?only", re.IGNORECASE)
FORBIDS_PASSING_ON = re.compile(
    r"\bND\b|no[- ]?deriv|no redistribution|not be (?:passed on|redistributed|shared)|may not redistribute"
    r"|all rights reserved|proprietary|confidential|research terms",
    re.IGNORECASE,
)


MARKS = {
    "forbids_passing_on": "NOT TO BE PASSED ON",
    "forbids_commerce": "NON-COMMERCIAL USE ONLY",
}
"""What the terms of a source forbid, and how a model that was trained on it is marked."""


@dataclass(frozen=True)
class Terms:
    """Of one source."""

    name: str
    licence: str = ""
    attribution: str = ""

    @property
    def forbids_passing_on(self) -> bool:
        """Whether the words forbid to hand on what was made of the data."""
        return bool(FORBIDS_PASSING_ON.search(self.licence))

    @property
    def forbids_commerce(self) -> bool:
        return bool(FORBIDS_COMMERCE.search(self.licence))

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "licence": self.licence, "attribution": self.attribution}


def terms_of(name: str, dataset: Dataset, stated: SourceConfig | None = None) -> Terms:
    """What is known of the terms of a source, the user's word first."""
    licence, attribution = _fetched(dataset.source.path) or _known(dataset)
    if stated is None:
        return Terms(name, licence, attribution)
    return Terms(name, stated.licence or licence, stated.attribution or attribution)


def _fetched(folder: Path) -> tuple[str, str] | None:
    """What the record of a fetched folder says; None where there is none that can be read."""
    for candidate in (folder, *folder.parents[:1]):
        try:
            record = json.loads((candidate / FETCHED_NAME).read_text(encoding="utf-8"))
            return str(record["licence"]), str(record["attribution"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _known(dataset: Dataset) -> tuple[str, str]:
    source = dataset.source
    if source.simulated:
        return SIMULATED, ""
    if source.known_as == cheng.NAME:
        return CHENG_LICENCE, cheng.attribution(len(source.cases))
    if source.layout == "lgg":
        return LGG_LICENCE, "M. Buda et al., 2019; images from TCGA-LGG, The Cancer Imaging Archive"
    names = [case.images[0].name for case in source.cases]
    for pattern, licence, attribution in KNOWN_BY_PATIENT:
        if any(map(pattern.match, names)):
            return licence, attribution
    if any(brisc.is_brisc(case.id) for case in source.cases):
        return BRISC_LICENCE, "BRISC 2025"
    return "", ""
