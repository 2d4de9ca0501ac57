"""Programs of other projects that tests talk to: found, or the test says why it cannot run."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

SYSTEM = "/usr/local/bin:/usr/bin:/bin:/usr/sbin"


def missing(what: str) -> NoReturn:
    """Skip where a person tests, fail where everything must be there."""
    # Imported here, so that a benchmark may use this module as a script.
    import pytest

    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def system_program(name: str) -> str:
    """Find a program of the distribution: pynetdicom installs programs named like dcmtk's into environments."""
    return shutil.which(name, path=SYSTEM) or missing(f"{name} is not installed")


def environment_program(name: str) -> str:
    """Find a program that a Python package installed beside the interpreter."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or missing(
        f"{name} is not installed in the environment"
    )
