"""Which patient a name means."""

from pathlib import Path

import pytest

from tumorline.data.patients.earlier_spellings import earlier_spellings
from tumorline.data.patients.names import (
    names_of_one_patient,
    patient_in_name,
    patient_meant,
    patients_in_names,
    patients_of_scans,
    spelling,
)
from tumorline.data.patients.public_collections import collection_patient_of_file
from tumorline.user_text import says_nothing

SAME_PATIENT = [
    ["BraTS-GLI-00005-000", "BraTS-GLI-00005-117", "BraTS2021_00005", "brats_gli_00005_001", "FeTS2022_00005"],
    ["BraTS2021_00626", "BraTS2021_00758", "BraTS-GLI-00758-000", "BraTS2023-GLI-00626-001"],
    ["BraTS2021_00639", "BraTS2021_00557", "BraTS-GLI-00557-001"],
    ["BraTS-MEN-00005-000", "BraTS-MEN-00005-001"],
    ["BraTS-MEN-RT-0012-1", "BraTS-MEN-RT-0012-2"],
    ["BraTS-MET-00101-000", "BraTS-METS-00101-003"],
    ["BraTS-SSA-00002-000", "BraTS_SSA_00002_001"],
    ["BraTS-GoAT-00002-000", "BraTS2024-GoAT-00002"],
    ["BraTS-PED-00030-000", "BraTS-PED-00030", "BraTS-PEDs-00030-001"],
    ["Brats17_TCIA_105_1", "Brats18_TCIA02_105_1", "brats_tcia_pat105_0001"],
    ["Brats17_CBICA_AAB_1", "Brats18_CBICA_AAB_1", "BraTS19_CBICA_AAB_2"],
    ["Brats17_2013_1_1", "brats_2013_pat0001_1"],
    ["BraTS20_Training_012", "BraTS20_Training_012_slice_40"],
    ["UCSF-PDGM-0004", "UCSF-PDGM-004", "UCSF-PDGM-0004_FU003d", "ucsf_pdgm_0000004"],
    ["UPENN-GBM-00001_11", "UPENN-GBM-00001_21", "UPENN-GBM-0000001_11"],
    ["RHUH-0001", "RHUH-1", "rhuh_0000001_2"],
    ["TCGA_CS_4941_19960909", "TCGA-CS-4941", "tcga_cs_4941"],
    ["sub-01_ses-02", "sub-01_ses-baseline", "sub-01"],
    ["PatientID_0003_Timepoint_1", "PatientID_0003_Timepoint_2"],
    ["Patient-001/week-000-1", "Patient-001_week-000-1", "Patient-001/week-044"],
    ["OAS1_0001_MR1", "OAS1_0001_MR2"],
    ["100118_time1", "100118_time2"],
    ["P7_visit2", "P7_v3", "P7_T1", "P7 follow-up", "P7_preop", "P7_20200131", "P7_2020-01-31", "P7_scan2", "P7"],
    ["ReMIND-001-preop", "ReMIND-001-intraop", "ReMIND-001-earlypostop", "ReMIND-001-intra-op", "ReMIND-001_prae-op"],
    ["G-012-preRT", "G-012-post-RT", "G-012-pre-treatment", "G-012_post_surgery", "G-012-postchemoradiotherapy"],
    ["G-013-M0", "G-013-m06", "G-013-w12", "G-013-6mo", "G-013_12months", "G-013-2yrs", "G-013"],
    ["G-014-pre", "G-014-post", "G-014-relapse", "G-014-recurrence", "G-014-progression2", "G-014-initial"],
    ["G-015-nadir", "G-015-screening", "G-015-recurrent", "G-015-diagnosis"],
    ["Mueller_visit2", "Mueller_20200131"],
    ["17", "17.0"],
]


@pytest.mark.parametrize("names", SAME_PATIENT, ids=lambda names: names[0])
def test_visits_and_years_of_one_patient_are_one(names: list[str]) -> None:
    assert len({patient_meant(name) for name in names}) == 1


def test_patients_who_differ_are_told_apart() -> None:
    first = [patient_meant(names[0]) for names in SAME_PATIENT]
    assert len({spelling(name) for name in first}) == len(SAME_PATIENT)
    others = ["P0-00", "P0-01", "S1_005", "MR017260C", "17", "18", "glioma_scan_01", "glioma_scan_02", "dicom-00ff"]
    others += ["T1_scan_3", "dataset2_scan_17", "fold_1_scan_4", "Br35H/scan_3", "256x256_v2"]
    others += ["glioma_post_01", "glioma_recurrence_02", "P0-M", "G7-woman"]
    assert [patient_meant(name) for name in others] == others


@pytest.mark.parametrize("name", [name for names in SAME_PATIENT for name in names])
def test_what_a_name_means_means_itself(name: str) -> None:
    assert patient_meant(patient_meant(name)) == patient_meant(name)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("BraTS-GLI-00005-001_slice_70", "BraTS-GLI-00005"),
        ("train/BraTS20_Training_012/z55", "BraTS20_Training_012"),
        ("sub-07_ses-1_T1w_12", "sub-07"),
        ("patient_3_slice_2", "patient_3"),
        ("patient12/visit1/5", "patient12"),
        ("a/P01_visit2_s3", "P01"),
        ("P01_t1_3", None),
        ("17", None),
        ("glioma_12", None),
        ("brisc2025_train_00001_gl_ax_t1", None),
        ("IMG_20200131_1", None),
        ("inpatient", None),
        ("BraTS_slice_001", None),
        ("BraTS_flair_00100", None),
        ("BraTS-seg_12_slice_3", None),
        ("BraTS2021_slice_00012", None),
        ("BraTS21_img_12", None),
        ("BraTS21_12", None),
        ("BraTS_GLI_2023/12", None),
        ("UCSF-PDGM-0000004_slice_3", "UCSF-PDGM-0004"),
        ("RHUH-0001/0/12", "RHUH-0001"),
        ("patient_012_slice_5", "patient_012"),
        ("pat1_t1_5", "pat1"),
        ("P001/week-044/5", "P001"),
        ("stage2/P05_20200131_3", "P05"),
        ("OAS30001_MR_d0757_12", "OAS30001"),
        ("batch3/20200131_1", None),
        ("T1_baseline_012", None),
        ("dataset_v2/2020-01-31/5", None),
        ("256x256/visit1/5", None),
        ("fold_1/day3/5", None),
        ("P7_scan2", None),
    ],
)
def test_a_file_bears_a_patient_or_none(name: str, patient: str | None) -> None:
    assert patient_in_name(name) == patient


@pytest.mark.parametrize(
    "prefix",
    [
        *(
            "stage1/",
            "fold1/",
            "batch3/",
            "grade2/",
            "class1/",
            "v2/",
            "256x256/",
            "T2/",
            "train1/",
            "split0/",
            "Br35H/",
        ),
        *("T1_", "Br35H_", "dataset2_", "stage_1_"),
    ],
)
def test_a_folder_or_prefix_with_a_digit_is_no_patient(prefix: str) -> None:
    scans = [f"{prefix}scan_{number}" for number in range(1, 13)]
    assert patients_in_names(scans) == {}
    others = [name.replace("1", "4").replace("2", "5").replace("3", "6") for name in scans]
    assert patients_in_names([*scans, *others]) == {}


def test_stages_with_as_many_scans_each_are_no_patients() -> None:
    assert patients_in_names([f"{a}{n}_scan_{m}" for a in ("stage", "grade") for n in (1, 2) for m in (1, 2)]) == {}


def test_words_that_are_perhaps_visits_tell_where_several_patients_have_a_few_each() -> None:
    visits = ["P1_scan1_4", "P1_scan2_4", "P2_scan1_4", "sub/P2_scan1_5", "sub-9_x", "17"]
    assert patients_in_names(visits) == {
        **{"P1_scan1_4": "P1", "P1_scan2_4": "P1", "P2_scan1_4": "P2", "sub/P2_scan1_5": "P2"},
        "sub-9_x": "sub-9",
    }
    assert patients_in_names(["P1_scan1", "P1_scan2", "P1_scan3", "P2_scan4"]) == {}
    oasis = [f"OAS1_000{number}_MR1_{place}" for number in (1, 2) for place in (100, 101)]
    assert patients_in_names(oasis) == {name: name[:9] for name in oasis}


@pytest.mark.parametrize(
    "folder", ["brats_png_256", "brats2021_256", "BraTS_2021_02", "brats_gli_256", "BraTS_MEN_2024"]
)
def test_a_folder_of_a_set_is_no_patient(folder: str) -> None:
    assert collection_patient_of_file(Path(folder, "images", "a.png")) is None
    assert collection_patient_of_file(Path("set", "BraTS2021_00005", "a.png")) == "BraTS-GLI-00005"


@pytest.mark.parametrize("folder", ["upenn_gbm_256", "ucsf_pdgm_256", "rhuh_2023", "bratsreg_2022", "UPENN-GBM-2"])
def test_a_size_or_a_year_behind_the_name_of_a_collection_is_nobody(folder: str) -> None:
    assert collection_patient_of_file(Path(folder, "images", "im0.png")) is None
    assert patients_in_names([f"{folder}/im0", f"{folder}/im1"]) == {}


@pytest.mark.parametrize(
    ("file", "patient"),
    [
        ("ucsf_pdgm_256/UCSF-PDGM-04/T1c.png", "UCSF-PDGM-0004"),
        ("UCSF-PDGM-0541_nifti/T1c.nii.gz", "UCSF-PDGM-0541"),
        ("UCSF-PDGM-004_nifti/T1c.nii.gz", "UCSF-PDGM-0004"),
        ("upenn_gbm_256/images/UPENN-GBM-12_3.png", "UPENN-GBM-00012"),
        ("UPENN-GBM-00611_11/flair.nii.gz", "UPENN-GBM-00611"),
        ("RHUH-0040/0/t1ce.nii.gz", "RHUH-0040"),
        ("rhuh_2023/RHUH-0040_0_t1ce.nii.gz", "RHUH-0040"),
        ("BraTSReg_001/00_0000_t1ce.nii.gz", "BraTSReg_001"),
    ],
)
def test_patients_of_collections_are_read_of_files_and_their_folders(file: str, patient: str) -> None:
    assert collection_patient_of_file(Path(file)) == patient


def test_patient_and_visit_are_told_from_site_and_patient_by_the_other_names() -> None:
    followed = ["A01_1", "A01_2", "A02_1", "A02_2", "A03_1"]
    assert patients_of_scans(followed) == {name: name[:3] for name in followed}
    sites = ["S1_001", "S1_002", "S1_003", "S2_001"]
    assert patients_of_scans(sites) == {name: name for name in sites}


def test_a_letter_behind_the_number_of_a_patient_tells_visits_as_a_number_does() -> None:
    followed = ["100101A", "100101B", "100102A", "100103a"]
    assert patients_of_scans(followed) == {name: name[:6] for name in followed}
    for others in (["12A", "12B", "13A"], ["100101A", "100101B", "100101C"], ["TCGA-02-0006A", "100101A"]):
        assert patients_of_scans(others) == {name: patient_meant(name) for name in others}


def test_a_second_scan_beside_the_first_is_of_the_same_patient() -> None:
    names = ["HF0899", "HF0899_2", "HF0960", "HF0961_2", "C3L-00016", "C3L-00016_3"]
    found = patients_of_scans(names)
    assert [found[name] for name in names] == ["HF0899", "HF0899", "HF0960", "HF0961_2", "C3L-00016", "C3L-00016"]


def test_numbers_of_folders_are_visits_below_folders_of_patients() -> None:
    followed = ["P01/1", "P01/2", "P02/1", "P03/1"]
    assert patients_of_scans(followed) == {name: name[:3] for name in followed}
    for folder in ("fold", "Task", "site", "part"):
        scans = [f"{folder}{number}/{scan}" for number in (1, 2, 3) for scan in (1, 2)]
        assert patients_of_scans(scans) == {name: name for name in scans}
    words = [f"P{number}/{word}" for number in (1, 2, 3) for word in ("vorher", "nachher")]
    assert names_of_one_patient(words) == words


def test_unknown_words_that_end_the_names_of_many_patients_are_perhaps_visits() -> None:
    names = [f"ABC-{number:03d}-{word}" for number in range(3) for word in ("erste", "zweite")]
    assert names_of_one_patient([*names, "XYZ-001-erste", "Mueller"]) == names
    assert names_of_one_patient(names[:4]) == []
    for others in (["S1_ada", "S1_bob", "S2_eve", "S2_kim", "S3_lea", "S3_max"], ["TCGA_CS_4941", "17", "P1-a"]):
        assert names_of_one_patient(others) == []


@pytest.mark.parametrize("name", ["P{:02d}_{:02d}", "1001{0}{2}", "P{:02d}/{}"])
def test_numbers_that_end_names_of_many_patients_are_perhaps_visits(name: str) -> None:
    names = [name.format(patient, visit, "abcdef"[visit]) for patient in range(4) for visit in range(6)]
    assert {*patients_of_scans(names).values()} == {*names}
    assert names_of_one_patient([*names, "Mueller"]) == names
    sites = [f"S{site}_{patient:03d}" for site in range(4) for patient in range(30)]
    for others in (sites, names[:12], [f"fold{fold}/{scan}" for fold in range(4) for scan in range(6)]):
        assert names_of_one_patient(others) == []


@pytest.mark.parametrize("text", ["", " ", "nan", "NaN", "NA", "N/A", "#N/A", "None", "null", "unknown", "-", "?", "."])
def test_cells_that_say_nothing(text: str) -> None:
    assert says_nothing(text)


@pytest.mark.parametrize("text", ["0", "1", "nancy", "N", "anna"])
def test_cells_that_are_names(text: str) -> None:
    assert not says_nothing(text)


def test_a_spelling_forgets_zeros_capitals_and_unicode_forms_but_no_digit() -> None:
    assert spelling("P_007") == spelling("p-7")
    assert spelling("100118") != spelling("1118")
    assert spelling("Mu\u0308ller") == spelling("M\u00fcller")


@pytest.mark.parametrize(
    ("name", "earlier"),
    [
        ("BraTS-GLI-00005-001", "BraTS-GLI-00005-000"),
        ("BraTS-GLI-00005-001", "BraTS2021_00005"),
        ("BraTS2021_00005", "BraTS-GLI-00005-100"),
        ("BraTS-GLI-00626-000", "BraTS2021_00758"),
        ("BraTS-MET-00005-001", "BraTS-MET-00005-000"),
        ("Brats18_TCIA02_105_1", "Brats17_TCIA_105_1"),
        ("BraTS19_TMC_06643_1", "Brats17_TMC_06643_1"),
        ("sub-01_ses-02", "sub-01_ses-01"),
        ("P7_visit2", "P7_visit1"),
        ("7", "7.0"),
        ("7.0", "0007"),
    ],
)
def test_names_of_version_0_1_0_are_among_those_looked_for(name: str, earlier: str) -> None:
    assert earlier in set(earlier_spellings(patient_meant(name), name))


def test_names_that_are_hardly_names_are_left_as_they_are() -> None:
    for name in ["BraTS-", "BraTS-GLI-abc", "BraTS-x-", "_visit1", "sub-", "-" * 100_000, "_v" * 50_000]:
        assert patient_meant(name) == name
        assert name in set(earlier_spellings(name, name))
