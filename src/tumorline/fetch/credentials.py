"""Kaggle credentials, from the places where Kaggle's own tools look for them. They are never printed or logged."""

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tumorline.errors import UserError
from tumorline.user_folders import home_folder

WHERE = (
    "make a token at https://www.kaggle.com/settings and put it into ~/.kaggle/access_token or KAGGLE_API_TOKEN "
    "(older keys: ~/.kaggle/kaggle.json, or KAGGLE_USERNAME and KAGGLE_KEY)"
)


def kaggle_authorisation() -> str:
    """Value of the Authorization header. Raises UserError where no credentials are found or where they are malformed.

    Order: KAGGLE_API_TOKEN (a token or the path of a file that holds one), an access_token file, KAGGLE_USERNAME with
    KAGGLE_KEY, kaggle.json. Files are looked for in KAGGLE_CONFIG_DIR, then in ~/.kaggle.
    """
    for origin, token in _tokens():
        if token:
            return f"Bearer {_checked(token, origin)}"
    user, key = os.environ.get("KAGGLE_USERNAME", ""), os.environ.get("KAGGLE_KEY", "")
    if user and key:
        return _basic(user, key, "KAGGLE_USERNAME and KAGGLE_KEY")
    for folder in _folders():
        if (folder / "kaggle.json").is_file():
            return _from_json(folder / "kaggle.json")
    raise UserError(f"Kaggle asks for credentials and none were found; {WHERE}")


def _folders() -> list[Path]:
    configured = os.environ.get("KAGGLE_CONFIG_DIR", "")
    home = home_folder()
    return [*([Path(configured)] if configured else []), *([home / ".kaggle"] if home else [])]


def _tokens() -> Iterator[tuple[str, str]]:
    token_or_path = os.environ.get("KAGGLE_API_TOKEN", "").strip()
    yield "KAGGLE_API_TOKEN", _content(Path(token_or_path)) or token_or_path if token_or_path else ""
    for folder in _folders():
        for name in ("access_token", "access_token.txt"):
            yield str(folder / name), _content(folder / name)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _from_json(path: Path) -> str:
    try:
        values = json.loads(_content(path))
        user, key = values["username"], values["key"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a JSON object with 'username' and 'key'; {WHERE}") from None
    return _basic(str(user), str(key), str(path))


def _basic(user: str, key: str, origin: str) -> str:
    pair = f"{_checked(user, origin)}:{_checked(key, origin)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _checked(value: str, origin: str) -> str:
    """Refuse what cannot stand in a header, without showing it."""
    if not re.fullmatch(r"[!-~]+", value.strip()):
        raise UserError(f"{origin}: not a Kaggle credential (it holds blanks or other characters); {WHERE}")
    return value.strip()
