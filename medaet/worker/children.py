"""All worker children of one device: the daemon's own interpreter, and one for each environment that is in use."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from medaet.plugin.environments import EnvironmentStore
from medaet.plugin.registry import Registry, discover
from medaet.worker.child import WorkerChild
from medaet.worker.request import Request, Run
from medaet.worker.sharing import Sharing


class Children:
    """Gives each request to the child whose interpreter has the analysis; children start when first needed.

    Args:
        device: In torch's spelling.
        modules: Plugin modules beside the installed ones.
        models: The folder of imported models and environments.
        cache: Folder for what is worked out about networks once.
        limit_bytes: Most host memory each child may take; 0 for no limit.
        sharing: What they share with other children of the device; None where they have the device to themselves.
        hooks: Plugins whose hooks are in force.
    """

    def __init__(  # noqa: PLR0913 -- one argument for each setting
        self,
        device: str,
        modules: Sequence[str] = (),
        *,
        models: Path | None = None,
        cache: Path | None = None,
        limit_bytes: int = 0,
        sharing: Sharing | None = None,
        hooks: tuple[str, ...] = (),
    ) -> None:
        self.device = device
        self._cache = cache
        self._limit_bytes = limit_bytes
        self._sharing = sharing or Sharing()
        self._hooks = hooks
        self._environments = EnvironmentStore(models) if models else None
        self._registry: Registry = discover(modules, models)
        self._lock = threading.Lock()
        self._own = WorkerChild(
            device,
            modules,
            models=models,
            cache=cache,
            limit_bytes=limit_bytes,
            sharing=self._sharing,
        )
        self._others: dict[Path, WorkerChild] = {}
        self._draining = False

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer of any child."""
        return any(one.busy for one in self._all())

    def platform_of(self, analysis: str) -> dict[str, str]:
        """Device and versions of what computes an analysis, by name; see `WorkerChild.platform_of`."""
        return self._child(analysis).platform_of(analysis)

    def analyse(self, request: Request, *, on_alive: Callable[[], None] = lambda: None) -> Run:
        """Run one analysis; see `WorkerChild.analyse`."""
        request = replace(request, hooks=self._hooks)
        return self._child(request.analysis).analyse(request, on_alive=on_alive)

    def drain(self) -> None:
        """Take nothing new, and give back what was not begun."""
        self._draining = True
        for one in self._all():
            one.drain()

    def close(self) -> None:
        """Kill the children and everything they started."""
        for one in self._all():
            one.close()

    def _all(self) -> list[WorkerChild]:
        with self._lock:
            return [self._own, *self._others.values()]

    def _child(self, analysis: str) -> WorkerChild:
        with self._lock:
            self._registry.refresh()
            source = self._registry.sources.get(analysis)
            if self._environments is None or source is None or not source.environment:
                return self._own
            # The resolved folder: an environment that was replaced under its name is another one.
            folder = self._environments.folder(source.environment).resolve()
            stamp = folder / str(folder.stat().st_ino)
            if stamp not in self._others:
                self._others[stamp] = WorkerChild(
                    self.device,
                    cache=self._cache,
                    limit_bytes=self._limit_bytes,
                    sharing=self._sharing,
                    environment=folder,
                )
                if self._draining:
                    self._others[stamp].drain()
            return self._others[stamp]
