"""Which model was scored on which data, as hashes that others can compare."""

from tumorline.config import PATHS
from tumorline.data.dataset import Dataset
from tumorline.environment import versions
from tumorline.output.journal import hash_settings
from tumorline.results import Provenance


def hash_dataset(dataset: Dataset) -> str:
    """Hash of all that an evaluation takes from a data set: contents by case, what is stated of them, settings."""
    contents = [(facts.image_hash, facts.mask_hash) for facts in dataset.facts]
    stated = [(case.id, case.patient, case.class_name, case.spacing_mm, case.attributes) for case in dataset.cases]
    settings = dataset.settings.model_dump(exclude={"sources", *PATHS})
    return hash_settings(name=dataset.source.name, contents=contents, stated=stated, settings=settings)


def describe_provenance(fingerprint: str, dataset: Dataset) -> Provenance:
    """Of an evaluation that is made here and now; the fingerprint is that of what is scored."""
    return Provenance(version=versions()["tumorline"], fingerprint=fingerprint, data=hash_dataset(dataset))
