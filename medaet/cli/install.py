"""`medaet plugins install` and `remove`: into this environment, or into one of the plugin's own."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from medaet.cli.output import ConfigFile, exit_codes
from medaet.config.load import load
from medaet.errors import PluginError
from medaet.plugin.environments import EnvironmentStore
from medaet.plugin.registry import GROUP, discover
from medaet.worker.installing import install_here, install_isolated


def install(
    source: Annotated[
        str, typer.Argument(metavar="NAME", help="a requirement, wheel or project folder")
    ],
    *,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="into a virtual environment of its own")
    ] = False,
    name: Annotated[str, typer.Option(help="of that environment; the package's without it")] = "",
    shared: Annotated[
        list[str] | None,
        typer.Option(help="with --isolated: a package to take from here, such as torch"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace the environment of that name")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Install a plugin; isolated ones may contradict what is here, and a running daemon sees them at once.

    Exit 0 when its analyses are there, 1 when it cannot be installed (nothing is left behind).
    """
    with exit_codes():
        store = EnvironmentStore(load(config).models_path)
        with Console(stderr=True).status(f"installing {source} ..."):
            if not isolated:
                before = _names()
                install_here(source)
            else:
                taken = set(discover(models=store.root.parent).analyses)
                environment = install_isolated(
                    source, store, name=name, shared=shared or (), replace=replace
                )
    if not isolated:
        found = sorted(_names() - before) or ["no new entry point"]
        typer.echo(f"installed {', '.join(found)}; restart the daemon to load it")
        return
    for one in environment.analyses:
        typer.echo(f"{one.name} {one.version} runs in the environment {environment.name}")
        if one.name in taken and not replace:
            typer.echo(f"{one.name} is the name of another analysis, too; it is refused", err=True)
    packages = len(environment.packages) - len(environment.shared)
    typer.echo(
        f"{environment.distribution}, {packages} packages of its own, {len(environment.shared)} shared with the daemon"
    )


def remove(
    name: Annotated[str, typer.Argument(help="the environment, analysis or package")],
    *,
    config: ConfigFile = None,
) -> None:
    """Remove an isolated plugin, or uninstall one from this environment. Exit 0, or 1 when there is none."""
    with exit_codes():
        store = EnvironmentStore(load(config).models_path)
        registry = discover(models=store.root.parent)
        source = registry.sources.get(name)
        environment = source.environment if source is not None else ""
        folders = {one.name for one in store.folders()}
        if environment or name in folders:
            store.remove(environment or name)
        elif source is not None and source.model:
            raise PluginError(f"{name} is a model; `medaet models remove {name}` removes it")
        else:
            _uninstall(source.distribution.partition(" ")[0] if source is not None else name)
    typer.echo(f"removed {name}")


def _uninstall(distribution: str) -> None:
    points = metadata.entry_points(group=GROUP)
    if distribution not in {one.dist.name for one in points if one.dist} - {"medaet"}:
        raise PluginError(f"no plugin {distribution!r} is installed that could be removed")
    command = [sys.executable, "-m", "pip", "uninstall", "--yes", "--quiet", distribution]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PluginError(f"pip cannot uninstall {distribution}: {done.stderr[-300:]}")


def _names() -> set[str]:
    """Return the entry points of installed plugins, as the file system has them now."""
    search = [one for one in sys.path if Path(one).is_dir()]
    return {
        point.name
        for one in metadata.distributions(path=search)
        for point in one.entry_points
        if point.group == GROUP
    }
