"""Which analyses are switched off: a marker file each, seen by a running daemon without a restart."""

import re
from pathlib import Path

from medaet.errors import PluginError

FOLDER = ".disabled"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Switches:
    """The markers beside the imported models.

    Args:
        models: The folder of imported models.
    """

    def __init__(self, models: Path) -> None:
        self._folder = models / FOLDER

    def disabled(self) -> frozenset[str]:
        """Return the names of analyses that get no new jobs."""
        if not self._folder.is_dir():
            return frozenset()
        return frozenset(one.name for one in self._folder.iterdir() if _NAME.fullmatch(one.name))

    def disable(self, name: str) -> None:
        """Give an analysis no new jobs from now on; those that are queued still run.

        Raises:
            PluginError: it is no name of an analysis.
        """
        if not _NAME.fullmatch(name):
            raise PluginError(f"{name!r} is no name of an analysis")
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).touch()

    def enable(self, name: str) -> None:
        """Give an analysis jobs again.

        Raises:
            PluginError: it was not switched off.
        """
        if name not in self.disabled():
            raise PluginError(f"{name} is not switched off")
        (self._folder / name).unlink(missing_ok=True)
