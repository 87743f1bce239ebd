"""What a training is of: its configuration, data, split and folder, and the fingerprint of all that it depends on."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from tumorline.config import DECIDED_LATER, PATHS, REMEDIES, AugmentConfig, Config, DataConfig, LossConfig, SplitConfig
from tumorline.data.dataset import Dataset
from tumorline.data.splits.donors import donor_names
from tumorline.data.splits.parts import Split
from tumorline.files import JsonObject
from tumorline.model_file import find_model
from tumorline.output.journal import hash_file
from tumorline.progress import Notify, silent
from tumorline.training.feed import feed_key
from tumorline.user_text import written_path

OF_VOLUMES = (
    *("sources", "other_labels", "channels", "regions", "axis", "context", "tumour_free_share", "normalisation"),
    *("window", "voxel_mm", "overlap", "region_share", "patches"),
)


@dataclass(frozen=True)
class Task:
    """What is trained on what; fixed from the first step to the last."""

    config: Config
    dataset: Dataset
    split: Split
    run: Path
    earlier: tuple[Config, ...] = ()
    """What the configuration was before the run was lengthened."""
    notify: Notify = silent

    def fingerprints(self) -> set[str]:
        """Of all lengths that the training has had."""
        return {replace(self, config=config, earlier=()).fingerprint() for config in (self.config, *self.earlier)}

    def fingerprint(self) -> str:
        """Hash of all that determines the result, so that a run is resumed only as what it was."""
        config = self.config.model_dump(mode="json")
        # what masks hold is in the hash itself, and so are the cases
        for key in (*PATHS, "enhancing_label", "label_values", "keep_identifiers", "leave_out"):
            del config["data"][key]
        for source in config["data"]["sources"]:
            for key in ("path", "licence", "attribution", "label_values", "corrections", "leave_out"):
                del source[key]
            if not source["unlabelled"]:
                del source["unlabelled"]
        _leave_out(config["data"], DataConfig(), OF_VOLUMES)
        _leave_out(config["augment"], AugmentConfig(), (*REMEDIES, "paste_into", "donors", "channel_dropout"))
        if self.config.augment.donors:  # in their order, by which they are drawn
            config["augment"]["donors"] = donor_names(self.config.augment, self.dataset, self.split)
        if self.config.loss.teacher:
            config["loss"]["teacher"] = hash_file(find_model(written_path(self.config.loss.teacher)))
        _leave_out(config["loss"], LossConfig(), ["presence", "teacher", "teacher_share"])
        _leave_out(config["split"], SplitConfig(), ["trained_share"])
        for key in ("device", "checkpoint_minutes", "callbacks"):
            del config["train"][key]
        for key in DECIDED_LATER:
            del config["model"][key]
        del config["name"], config["split"]["stated"]  # the parts of the split are in the hash themselves
        content = [config, feed_key(self.dataset), sorted(self.split.parts.items())]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _leave_out(section: JsonObject, defaults: BaseModel, keys: Iterable[str]) -> None:
    """Keys that there were not at first, where they are as ever: a training goes on that began before."""
    unaltered = defaults.model_dump(mode="json")
    for key in keys:
        if section[key] == unaltered[key]:
            del section[key]
