"""`medaet init`: a commented medaet.toml and the systemd units, made to fit this installation."""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated

import typer

import medaet
from medaet.cli.output import exit_codes
from medaet.config.load import SYSTEM_WIDE
from medaet.errors import ConfigError

NAMES = ("medaet.toml", "medaetd.service", "medaet-worker@.service", "medaet.sysusers")
FOLDER = "share/medaet/systemd"
PROGRAMS = "/opt/medaet/bin/"
"""Where the units as shipped expect the programs."""


def init(
    folder: Annotated[Path, typer.Argument(help="where to", file_okay=False)] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="replace files that exist")] = False,
) -> None:
    """Write medaet.toml and the systemd units. Exit 0, or 2 when one exists already or cannot be written."""
    with exit_codes():
        source = templates()
        present = [name for name in NAMES if (folder / name).exists()]
        if present and not force:
            raise ConfigError(f"{folder / present[0]} exists already; --force replaces it")
        programs = f"{Path(sys.prefix) / 'bin'}/"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in NAMES:
                text = (source / name).read_text(encoding="utf-8")
                (folder / name).write_text(text.replace(PROGRAMS, programs), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
    for line in _steps(folder, programs):
        typer.echo(line)


def templates() -> Path:
    """Find the files to copy: those of the installed wheel, or of the source tree this runs from.

    Raises:
        ConfigError: the installation is incomplete.
    """
    tree = Path(medaet.__file__).parents[1] / "systemd"
    candidates = [tree, Path(sys.prefix) / FOLDER]
    try:  # a wheel knows where its files went, whatever the scheme of the installation
        recorded = distribution("medaet").files or []
        candidates += [Path(str(one.locate())).parent for one in recorded if FOLDER in str(one)]
    except PackageNotFoundError:
        pass
    for one in candidates:
        if all((one / name).is_file() for name in NAMES):
            return one.resolve()
    raise ConfigError(f"{FOLDER} is missing; install medaet again")


def _steps(folder: Path, programs: str) -> list[str]:
    lines = [f"wrote {', '.join(NAMES)} to {folder}", "next, as root:"]
    if folder != SYSTEM_WIDE.parent:
        lines.append(f"  install -D -m 640 {folder / SYSTEM_WIDE.name} {SYSTEM_WIDE}")
    lines += [
        f"  install -D -m 644 {folder / 'medaet.sysusers'} /etc/sysusers.d/medaet.conf && systemd-sysusers",
        "  chgrp -R medaet /etc/medaet",
        f"  install -m 644 {folder}/*.service /etc/systemd/system/ && systemctl daemon-reload",
        f"  medaet doctor --config {SYSTEM_WIDE}",
        "  systemctl enable --now medaetd",
    ]
    if programs.startswith(("/home/", "/root/", "/run/user/")):
        lines.append(
            f"note: the units hide {programs} (ProtectHome=yes); install medaet in /opt/medaet instead"
        )
    return lines
