"""The page and the files that it is made of: those of this folder, of the case viewer and of the reports."""

from importlib.resources import files

APP, REPORT, VIEWER = "tumorline.app", "tumorline.report", "tumorline.viewer"
STATIC = {
    "app.js": (APP, "text/javascript"),
    "markdown.js": (APP, "text/javascript"),
    "app.css": (APP, "text/css"),
    "icon.svg": (APP, "image/svg+xml"),
    "style.css": (REPORT, "text/css"),
    "viewer.js": (VIEWER, "text/javascript"),
    "viewer.css": (VIEWER, "text/css"),
}
"""Name -> package that holds it, and its type. Nothing else is given out."""


def read_static(name: str) -> tuple[bytes, str]:
    package, media_type = STATIC[name]
    return _bytes_of(package, name), media_type


def read_page(name: str = "app.html") -> bytes:
    return _bytes_of(APP, name)


def _bytes_of(package: str, name: str) -> bytes:
    folder = files(package)
    return (folder / "static" / name if package == APP else folder / name).read_bytes()
