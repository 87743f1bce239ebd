"""Public data sets over the network: downloaded, verified, unpacked, and there as a whole or not at all."""

from pathlib import Path

from tumorline.errors import UserError, did_you_mean
from tumorline.fetch.catalogue import DATASETS
from tumorline.fetch.job import FetchJob, FetchResult, recorded
from tumorline.fetch.web import PATIENCE, Patience, Web
from tumorline.progress import Notify, Progress

__all__ = ["DATASETS", "Patience", "fetch"]


def fetch(
    name: str,
    folder: Path,
    *,
    base_url: str | None = None,
    patience: Patience = PATIENCE,
    notify: Notify = lambda message: None,
    progress: Progress = lambda done, total: None,
) -> FetchResult:
    """Bring a public data set into a new folder and say what is there: name, licence, number of files, bytes, remarks.

    `notify` gets one line at a time, `progress(done, total)` the bytes of the file on its way. `base_url` replaces the
    address of figshare's or Kaggle's API. A folder that holds the set already is left as it is (status 'present').
    Raises UserError for an unknown name, a folder in use, missing credentials and all faults of network and archives.
    """
    if name not in DATASETS:
        raise UserError(f"'{name}' is no data set that can be fetched; {did_you_mean(name, DATASETS)}")
    dataset, folder = DATASETS[name], folder.resolve()
    job = FetchJob(name, dataset, folder, notify, progress)
    try:
        if record := recorded(name, folder):
            job.tidy()
            return {**record, "folder": str(folder), "status": "present"}
        with Web(base_url or dataset.base_url, patience) as web:
            return {**job.run(web), "folder": str(folder), "status": "fetched"}
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror or error}"
        raise UserError(f"{reason}; choose a folder that you can write to, with space") from None
