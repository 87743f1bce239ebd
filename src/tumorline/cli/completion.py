"""What a shell offers where the Tab key is pressed. Nothing is imported before it is."""

from collections.abc import Iterator
from pathlib import Path

from tumorline.cli.arguments import WEIGHTS


def complete_recipes(incomplete: str) -> list[str]:
    return [*_named(incomplete, ""), *_toml_files(incomplete)]


def complete_searches(incomplete: str) -> list[str]:
    return [*_named(incomplete, "tune"), *_toml_files(incomplete)]


def complete_plans(incomplete: str) -> list[str]:
    return [*_named(incomplete, "benchmark"), *_toml_files(incomplete)]


def complete_keys(incomplete: str) -> list[str]:
    """Keys of the configuration, up to the sign that its value follows."""
    return [f"{key}=" for key in complete_key_names(incomplete)]


def complete_key_names(incomplete: str) -> list[str]:
    from tumorline.config.reference import every_key

    return [key.name for key in every_key() if key.name.startswith(incomplete)]


def complete_loggers(incomplete: str) -> list[str]:
    from tumorline.config import LOGGERS

    return [name for name in LOGGERS if name.startswith(incomplete)]


def complete_models(incomplete: str) -> list[str]:
    """Those that come with the package, and run folders that hold a model."""
    listed = [path.stem for path in WEIGHTS.glob("*.safetensors") if path.stem.startswith(incomplete)]
    return [*listed, *(f"{path}/" for path in _paths(incomplete) if path.is_dir())]


def _named(incomplete: str, kind: str) -> list[str]:
    from tumorline.recipe_files import recipe_names

    return [name for name in recipe_names(kind) if name.startswith(incomplete)]


def _toml_files(incomplete: str) -> list[str]:
    folders = [f"{path}/" for path in _paths(incomplete) if path.is_dir()]
    return [*(str(path) for path in _paths(incomplete) if path.suffix == ".toml"), *folders]


def _paths(incomplete: str) -> Iterator[Path]:
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete or "x").parent
    start = "" if incomplete.endswith("/") else Path(incomplete).name
    try:
        yield from sorted(path for path in folder.iterdir() if path.name.startswith(start) and path.name[0] != ".")
    except OSError:
        return
