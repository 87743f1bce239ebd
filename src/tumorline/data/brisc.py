"""BRISC (2025): its tumour images are those of other sets, turned and mirrored; its own test part is not held out.

4532 of its images are slices of Cheng et al.; 742 of the 860 of its test part show patients of its training part.
"""

import re
from pathlib import PurePath

NAME = re.compile(r"brisc\d*_(?:train|test)_\d+_(?:gl|me|pi|no)_(?:ax|co|sa)_t1.*", re.IGNORECASE)
TUMOUR_NAME = re.compile(r"brisc\d*_(?:train|test)_\d+_(?:gl|me|pi)_.*", re.IGNORECASE)
LEAK = "742 of the 860 images of BRISC's test part show patients of its training part"


def is_brisc(case_id: str) -> bool:
    """Whether a case has the name of one of BRISC's images."""
    return NAME.fullmatch(PurePath(case_id).name) is not None


def shows_tumour(case_id: str) -> bool:
    """Whether a name of BRISC states a tumour; those of its healthy heads are other people's."""
    return TUMOUR_NAME.fullmatch(PurePath(case_id).name) is not None
