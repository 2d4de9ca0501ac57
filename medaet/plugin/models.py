"""The store of models: one folder each, placed in one step, found by whoever looks."""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medaet.errors import PluginError
from medaet.plugin.model import MANIFEST, Model, read_model

FOLDER_MODE = 0o750
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class ModelStore:
    """The folder that holds imported models.

    Args:
        root: Made when the first model is placed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self) -> list[Path]:
        """Return the folder of each model, by name."""
        if not self.root.is_dir():
            return []
        return sorted(
            path
            for path in self.root.iterdir()
            if _NAME.fullmatch(path.name) and (path / MANIFEST).is_file()
        )

    def signature(self) -> tuple[tuple[str, int], ...]:
        """Return what changes whenever a model is added, replaced, edited or removed."""
        return tuple((path.name, (path / MANIFEST).stat().st_mtime_ns) for path in self.folders())

    def folder(self, name: str) -> Path:
        """Return the folder of a model.

        Raises:
            PluginError: there is no such model.
        """
        path = self.root / name
        if not _NAME.fullmatch(name) or not (path / MANIFEST).is_file():
            known = ", ".join(one.name for one in self.folders()) or "none"
            raise PluginError(f"no model named {name!r} is imported; imported are {known}")
        return path

    def read(self, name: str) -> Model:
        """Read the manifest of a model.

        Raises:
            PluginError: there is no such model, or its manifest is wrong.
        """
        return read_model(self.folder(name))

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Yield a new folder beside the models, and remove it unless it was placed."""
        self.root.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        folder = self.root / f".incoming-{secrets.token_hex(8)}"
        folder.mkdir(mode=FOLDER_MODE)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, folder: Path, name: str, *, replace: bool = False) -> Path:
        """Give an incoming folder its name; from then on it is a model.

        Raises:
            PluginError: there is a model of that name, and it is not to be replaced.
        """
        target = self.root / name
        if not _NAME.fullmatch(name):
            raise PluginError(f"model name {name!r}: use lower case letters, digits, hyphens")
        if target.exists():
            if not replace:
                raise PluginError(
                    f"there is a model named {name!r}; give another --name, or --replace it"
                )
            old = self.root / f".removed-{secrets.token_hex(8)}"
            target.rename(old)
            folder.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            folder.rename(target)
        return target

    def remove(self, name: str) -> None:
        """Remove a model.

        Raises:
            PluginError: there is no such model.
        """
        old = self.root / f".removed-{secrets.token_hex(8)}"
        self.folder(name).rename(old)
        shutil.rmtree(old, ignore_errors=True)
