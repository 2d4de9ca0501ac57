"""The part of medaet that a worker child needs, and the packages it stands on, for other interpreters."""

import importlib.util
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import medaet
from medaet.errors import PluginError

MODULES = (
    "__init__.py", "clock.py", "codes.py", "errors.py", "logs.py", "parent.py", "precision.py", "py.typed",
    "compute", "dicom", "plugin", "worker",
)  # fmt: skip
PACKAGES = ("numpy", "pluggy", "pydantic", "pydicom", "structlog")
"""What these modules import; in an environment that brings its own, its own is used."""
BESIDE_TORCH = ("safetensors", "scipy")
"""What the compute half imports besides torch, where it is installed here."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def link_part(folder: Path) -> Path:
    """Make a folder for an interpreter's path that holds only the worker's part of medaet, as links to this one."""
    package = folder / "medaet"
    package.mkdir(parents=True)
    here = Path(str(medaet.__file__)).parent
    for name in MODULES:
        (package / name).symlink_to(here / name)
    return folder


def closure(names: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Return installed packages and all that they require, by name.

    Raises:
        PluginError: one that was named is not installed.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [(name, True) for name in names]
    while waiting:
        name, named = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            one = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            if named:
                raise PluginError(f"{name} is not installed here and cannot be shared") from error
            continue  # required on other platforms or for extras only
        found[key] = one
        waiting += [(_NAME.match(each).group(), False) for each in one.requires or ()  # type: ignore[union-attr]
                    if "extra ==" not in each]  # fmt: skip
    return found


def link_packages(names: Iterable[str], folder: Path) -> dict[str, str]:
    """Link installed packages into a folder, each with its metadata, so that pip sees them there.

    Returns:
        Version by name.
    """
    folder.mkdir(parents=True)
    packages = closure(names)
    for one in packages.values():
        root = Path(str(one.locate_file("")))
        tops = {Path(str(file)).parts[0] for file in one.files or ()} - {"..", "__pycache__"}
        for top in sorted(tops):
            if (root / top).exists() and not (folder / top).exists():
                (folder / top).symlink_to(root / top)
    return {name: one.version for name, one in packages.items()}


def base_packages() -> tuple[str, ...]:
    """Name the packages that every environment shares with this one."""
    return (*PACKAGES, *(one for one in BESIDE_TORCH if importlib.util.find_spec(one)))


def has_pip() -> bool:
    """Whether this interpreter can install packages into another one."""
    return importlib.util.find_spec("pip") is not None
