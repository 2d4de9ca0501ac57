"""A new plugin as a project: written from the templates beside this module."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from medaet.errors import ConfigError

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/$module/__init__.py": "__init__.py.txt",
    "tests/test_$module.py": "test_plugin.py.txt",
    ".github/workflows/ci.yml": "ci.yml.txt",
}
"""What a project holds, and the template of each file; an empty py.typed comes on top."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_project(name: str, folder: Path) -> list[Path]:
    """Write a plugin project: typed, tested, with an entry point and a CI file.

    Args:
        name: The analysis' name, and the distribution's.
        folder: Must not exist yet, or be empty.

    Raises:
        ConfigError: the name cannot be used, or the folder holds something.
    """
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise ConfigError(
            f"{name!r}: use lower case letters, digits and single hyphens, a letter first"
        )
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name another folder with --dir")
    words = {
        "name": name,
        "module": name.replace("-", "_"),
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "title": name.replace("-", " ").capitalize(),
    }
    templates = files("medaet.cli").joinpath("template")
    written = []
    for path, template in FILES.items():
        target = folder / Template(path).substitute(words)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = templates.joinpath(template).read_text(encoding="utf-8")
        target.write_text(Template(text).substitute(words), encoding="utf-8")
        written.append(target)
    marker = folder / "src" / words["module"] / "py.typed"
    marker.touch()
    return [*written, marker]
