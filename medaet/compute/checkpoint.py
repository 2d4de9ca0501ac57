"""Checkpoints read without running what they carry: torch's restricted unpickler, and numbers of numpy besides."""

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medaet.errors import PluginError

HARMLESS = (
    np.dtype,
    np.ndarray,
    *(
        type(np.dtype(name))
        for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
    ),
)
"""Types that make numbers and nothing else; training loops leave them in their checkpoints."""


def read_checkpoint(path: Path, *, trust: bool = False) -> Any:
    """Read a file that `torch.save` wrote, onto the CPU.

    Args:
        path: The file.
        trust: Whether code in the pickle may run, when there is some.

    Raises:
        PluginError: it cannot be read, or holds code and is not trusted.
    """
    try:
        with torch.serialization.safe_globals(list(_harmless())):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not trust:
            raise PluginError(
                f"{path.name} is a pickle that holds more than weights ({_reason(error)}); what it holds would run "
                "here with the rights of this program. If you know where it comes from, import it with --trust"
            ) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise PluginError(
            f"{path.name} cannot be read: {str(error).partition(chr(10))[0]}"
        ) from error
    return _trusted(path)


def _harmless() -> Iterable[Any]:
    from numpy._core.multiarray import _reconstruct, scalar

    yield from HARMLESS
    for function in (scalar, _reconstruct):
        yield function
        # checkpoints written with numpy 1 name the same functions by their old address
        yield (function, f"numpy.core.multiarray.{function.__name__}")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line]
    return lines[0][:120] if lines else "it is not plain"


def _trusted(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (
        Exception
    ) as error:  # the pickle's own code raises what it likes; the import ends with a reason
        raise PluginError(f"{path.name} cannot be read: {type(error).__name__}") from error
