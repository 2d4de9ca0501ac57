"""Installing a plugin into an environment of its own: interpreter, packages, and a manifest of what it offers."""

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medaet import __version__
from medaet.errors import PluginError
from medaet.plugin.environments import (
    MANIFEST,
    Environment,
    EnvironmentStore,
    interpreter,
    read_environment,
)
from medaet.worker.part import base_packages, has_pip, link_packages, link_part
from medaet.worker.process import INHERITED

INSTALL_SECONDS = 3600.0
DESCRIBE_SECONDS = 120.0
SHARED = "shared"


def install_isolated(
    source: str,
    store: EnvironmentStore,
    *,
    name: str = "",
    shared: Sequence[str] = (),
    replace: bool = False,
) -> Environment:
    """Install a plugin beside this environment, whatever its requirements contradict here.

    Args:
        source: A requirement, wheel or project folder, as pip takes it.
        store: Where environments are.
        name: Of the environment; the package's without it.
        shared: Packages to take from here rather than to install again, such as torch.
        replace: Whether an environment of the same name may be replaced.

    Raises:
        PluginError: it cannot be installed or offers nothing; nothing is left behind.
    """
    if not has_pip():
        raise PluginError("pip is not installed in this environment, and nothing else installs")
    with store.incoming() as folder:
        venv.create(folder, symlinks=True)
        packages = _site_packages(folder)
        ours = link_packages((*base_packages(), *shared), folder / SHARED)
        # A path file adds to the end: what the environment has itself comes first.
        up = os.path.relpath(folder / SHARED, packages)
        (packages / "medaet-shared.pth").write_text(f"{up}\n", encoding="utf-8")
        _stand_in(packages)
        _pip(source, interpreter(folder))
        told = _described(folder)
        if not told["analyses"]:
            reasons = "; ".join(told["refused"]) or "it registers no entry point medaet.plugins"
            raise PluginError(f"{source} offers no analysis: {reasons}")
        distribution = str(told["distributions"][0])
        named = name or re.sub(r"[^a-z0-9]+", "-", distribution.partition(" ")[0].lower())
        environment = Environment.model_validate(
            {
                "name": named,
                "source": source,
                "distribution": distribution,
                "installed_at": datetime.now(UTC),
                "python": told["python"],
                "packages": told["packages"],
                "shared": sorted(ours),
                "analyses": told["analyses"],
            }
        )
        (folder / MANIFEST).write_text(environment.model_dump_json(indent=1), encoding="utf-8")
        return read_environment(store.place(folder, named, replace=replace))


def install_here(source: str) -> None:
    """Install a plugin into this environment, without changing a version of what is here.

    Raises:
        PluginError: it cannot be installed beside what is here.
    """
    from importlib import metadata

    if not has_pip():
        raise PluginError("pip is not installed in this environment, and nothing else installs")
    pinned = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    pinned.pop("medaet", None)
    with tempfile.TemporaryDirectory(prefix="medaet-install-") as scratch:
        constraints = Path(scratch) / "constraints.txt"
        # A release of one's own build, 2.13.0+cpu, is no release that an index knows.
        lines = [f"{key}=={version}" for key, version in pinned.items() if "+" not in version]
        constraints.write_text("\n".join(lines), encoding="utf-8")
        _pip(source, Path(sys.executable), "--constraint", str(constraints))


def child_environment(home: Path) -> dict[str, str]:
    """Return the variables for a process of another interpreter: the worker's part of medaet, and a private home."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    part = link_part(home / "part")
    return {**kept, "PYTHONPATH": str(part), "HOME": str(home), "TMPDIR": str(home)}


def _pip(source: str, python: Path, *options: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--", source]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise PluginError(f"pip took more than {INSTALL_SECONDS:g} s") from error
    if done.returncode:
        lines = [one for one in done.stderr.splitlines() if one.startswith("ERROR:")]
        reason = " ".join(one.removeprefix("ERROR: ") for one in lines[:2]) or done.stderr[-300:]
        raise PluginError(f"pip cannot install {source}: {reason}")


def _described(folder: Path) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="medaet-describe-") as home:
        command = [str(interpreter(folder)), "-P", "-m", "medaet.worker.describe"]
        try:
            done = subprocess.run(
                [*command, "--agent", str(os.getpid())],
                capture_output=True,
                text=True,
                check=False,
                timeout=DESCRIBE_SECONDS,
                env=child_environment(Path(home)),
            )
        except subprocess.TimeoutExpired as error:
            raise PluginError("importing the plugin took more than two minutes") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PluginError(f"the plugin cannot be imported in its environment: {last}")
    told: Mapping[str, Any] = json.loads(done.stdout)
    return told


def _stand_in(packages: Path) -> None:
    """Let pip find medaet installed: its worker's part comes by the path, in the daemon's own version."""
    folder = packages / f"medaet-{__version__}.dist-info"
    folder.mkdir()
    text = f"Metadata-Version: 2.1\nName: medaet\nVersion: {__version__}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
    (folder / "INSTALLER").write_text("medaet\n", encoding="utf-8")
    (folder / "RECORD").write_text("", encoding="utf-8")


def _site_packages(folder: Path) -> Path:
    (found,) = folder.glob("lib/python*/site-packages")
    return found
