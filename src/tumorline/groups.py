"""What counts as one patient, so that every figure counts alike."""


def group_of(patient: str | None, case_id: str) -> str:
    """The patient, or the case by itself where the patient is unknown: no patient may be called so."""
    return patient or f"case {case_id}"
