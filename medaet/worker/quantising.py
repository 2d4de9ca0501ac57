"""Quantising networks in a process of its own, as its agent sees it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from medaet.errors import EngineError
from medaet.worker.process import INHERITED

QUANTISE_SECONDS = 3600


def quantise_all(folder: Path, out: Path) -> None:
    """Quantise every network of a folder.

    Args:
        folder: What calibration left.
        out: Gets an ONNX file for each network.

    Raises:
        EngineError: there is none, or one cannot be quantised.
    """
    if not list(folder.glob("*.onnx")):
        raise EngineError("no network went through `runtime.segment`: there is nothing to quantise")
    command = [sys.executable, "-P", "-m", "medaet.worker.quantise", str(folder), str(out)]
    with tempfile.TemporaryDirectory(prefix="medaet-quantise-") as home:
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        try:
            done = subprocess.run(
                [*command, "--agent", str(os.getpid())],
                capture_output=True,
                text=True,
                check=False,
                timeout=QUANTISE_SECONDS,
                env={**kept, "HOME": home, "TMPDIR": home, "PYTHONSAFEPATH": "1"},
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"quantising took more than {QUANTISE_SECONDS} s") from error
    if done.returncode:
        raise EngineError(_reason(done))


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    try:
        return str(json.loads(done.stdout)["reason"])
    except (ValueError, LookupError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"quantising failed with exit status {done.returncode}: {last}"
