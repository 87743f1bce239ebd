"""What a script cannot use is one line and exit status 2, as with the commands."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tumorline.errors import UserError
from tumorline.escaping import one_line


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """A UserError from within ends the script."""
    try:
        yield
    except UserError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
