"""Pictures without masks, of which the user says that none shows a tumour (`data.tumour_free`)."""

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import name_below
from tumorline.data.layouts.patient_tables import case_from_row, read_patients
from tumorline.errors import UserError

LAYOUT = "tumour-free pictures"


def read_tumour_free(contents: Contents) -> Listing:
    """Every picture of the folder. Raises UserError where two have one name, and where there is none."""
    cases: dict[str, Case] = {}
    names = [name_below(file, contents.path) for file in contents.pictures]
    images = dict(zip(names, contents.pictures, strict=True))
    table, findings = read_patients(contents, images, f"{contents.path.name}/")
    for name, file in zip(names, contents.pictures, strict=True):
        if name in cases:
            message = f"{file}: same name as {cases[name].images[0].name} but for the suffix; keep one of them"
            findings.append(Finding("ambiguous", "error", message, (str(cases[name].images[0]), str(file)), name))
        cases.setdefault(name, case_from_row(name, file, (), table.get(name, {})))
    if not cases:
        raise UserError(f"{contents.path}: no picture in this folder")
    return list(cases.values()), findings
