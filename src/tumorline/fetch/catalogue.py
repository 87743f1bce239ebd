"""The data sets that can be fetched: one entry each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError

from tumorline.errors import UserError
from tumorline.fetch.archive import name_fault
from tumorline.fetch.credentials import kaggle_authorisation
from tumorline.fetch.download import RemoteFile
from tumorline.fetch.layout import Arrange, flat, folders
from tumorline.fetch.web import Web


@dataclass(frozen=True)
class DataSet:
    """A public set. `files` lists what is to be brought, `arrange` says where an archive's files go."""

    title: str
    page: str
    licence: str
    attribution: str
    base_url: str
    files: Callable[[Web], list[RemoteFile]]
    arrange: Arrange


class _FigshareFile(BaseModel):
    name: str
    size: int = Field(gt=0)
    computed_md5: str = Field(pattern="^[0-9a-f]{32}$")
    download_url: str


class _FigshareArticle(BaseModel):
    files: list[_FigshareFile] = Field(min_length=1, max_length=1000)


def figshare(article: int) -> Callable[[Web], list[RemoteFile]]:
    """The files of a figshare article, by figshare's public API. Raises UserError where the answer is no such list."""

    def files(web: Web) -> list[RemoteFile]:
        url = f"{web.base_url}/articles/{article}"
        try:
            listed = _FigshareArticle.model_validate_json(web.read(url)).files
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "answer"
            raise UserError(f"{url}: not figshare's list of files ({where}: {first['msg']}); try again later") from None
        for file in listed:
            if fault := "holds a '/'" if "/" in file.name else name_fault(file.name):
                raise UserError(f"{url}: the file name {file.name[:80]!a} {fault}; refused, nothing was fetched")
        if len({file.name.casefold() for file in listed}) < len(listed):
            raise UserError(f"{url}: lists two files of the same name; refused, nothing was fetched")
        return [RemoteFile(file.name, file.download_url, file.size, file.computed_md5) for file in listed]

    return files


def kaggle(dataset: str) -> Callable[[Web], list[RemoteFile]]:
    """The one archive of a Kaggle data set OWNER/NAME."""

    def files(web: Web) -> list[RemoteFile]:
        url = f"{web.base_url}/datasets/download/{dataset}"
        return [RemoteFile("archive.zip", url, authorise=kaggle_authorisation)]

    return files


FIGSHARE = "https://api.figshare.com/v2"
KAGGLE = "https://www.kaggle.com/api/v1"
CHENG = (
    "Jun Cheng: brain tumor dataset, figshare (2017), https://doi.org/10.6084/m9.figshare.1512427; "
    "J. Cheng et al.: Enhanced Performance of Brain Tumor Classification via Tumor Region Augmentation and Partition, "
    "PLoS ONE 10(10), e0140381 (2015)"
)

DATASETS: Mapping[str, DataSet] = {
    "figshare": DataSet(
        title="Cheng et al.: 3064 T1 slices with contrast agent as MATLAB files, with the authors' folds (880 MB)",
        page="https://figshare.com/articles/dataset/brain_tumor_dataset/1512427",
        licence="CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        attribution=CHENG,
        base_url=FIGSHARE,
        files=figshare(1512427),
        arrange=flat(".mat"),
    ),
    "kaggle": DataSet(
        title="Cheng et al. as images/ and masks/, without patients (Tumorline gives them back)",
        page="https://www.kaggle.com/datasets/nikhilroxtomar/brain-tumor-segmentation",
        licence="CC BY 4.0 is the licence of the original; see the page for what the copy states",
        attribution=f"Kaggle data set nikhilroxtomar/brain-tumor-segmentation, a copy of: {CHENG}",
        base_url=KAGGLE,
        files=kaggle("nikhilroxtomar/brain-tumor-segmentation"),
        arrange=folders("images", "masks"),
    ),
    "lgg": DataSet(
        title="LGG: FLAIR slices of 110 patients with low-grade glioma, from TCGA",
        page="https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
        licence="CC BY-NC-SA 4.0, NON-COMMERCIAL use only, https://creativecommons.org/licenses/by-nc-sa/4.0/",
        attribution=(
            "M. Buda, A. Saha, M. A. Mazurowski: Association of genomic subtypes of lower-grade gliomas with shape "
            "features automatically extracted by a deep learning algorithm, Computers in Biology and Medicine 109 "
            "(2019); images from The Cancer Imaging Archive, TCGA-LGG"
        ),
        base_url=KAGGLE,
        files=kaggle("mateuszbuda/lgg-mri-segmentation"),
        arrange=folders("kaggle_3m"),
    ),
}
