"""Peak memory of runs as it was measured, by what decides it; kept in a file beside other things learned once."""

import json
import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medaet.worker.request import Request

REMEMBERED = 8
"""The highest of so many last runs counts: what a new version of an analysis takes is learned soon."""
MARGIN = 1.1
PEAKS = "peaks-"
"""What the files begin with."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Most memory that a run took, or is expected to take."""

    host_bytes: int = 0
    device_bytes: int = 0


def size_class(voxels: int) -> int:
    """Put volumes into classes of doubling size: class 24 holds 8 to 16 million voxels."""
    return max(1, math.ceil(math.log2(max(voxels, 1))))


class Peaks:
    """What runs took on one device.

    Args:
        path: File to remember it in; None to forget it with this process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, dict[int, list[Peak]]] = _read(path) if path else {}

    def expected(self, request: Request) -> Peak:
        """Say what a run will take: as much as runs of its size did, or else as others let expect.

        From smaller volumes it is scaled up in proportion, which is more than what grows; where nothing was measured,
        the manifest's figure counts, for host and device alike.
        """
        with self._lock:
            known = self._known.get(_key(request), {})
            if not known:
                guess = request.memory_mb * 1_000_000
                return Peak(guess, guess)
            wanted = size_class(_voxels(request))
            nearest = min(known, key=lambda one: (abs(one - wanted), -one))
            factor = MARGIN * 2.0 ** max(0, wanted - nearest)
            host = max(one.host_bytes for one in known[nearest])
            device = max(one.device_bytes for one in known[nearest])
            return Peak(int(factor * host), int(factor * device))

    def seen(self, request: Request, peak: Peak) -> None:
        """Learn what a run took."""
        with self._lock:
            classes = self._known.setdefault(_key(request), {})
            last = classes.setdefault(size_class(_voxels(request)), [])
            before = list(last)
            last.append(peak)
            del last[:-REMEMBERED]
            if self._path is not None and _highest(last) != _highest(before):
                self._write(self._path)

    def rows(self) -> Iterable[tuple[str, int, Peak]]:
        """List analysis, engine and precision; the size class; and its highest peak."""
        for key, classes in sorted(self._known.items()):
            for number, last in sorted(classes.items()):
                yield key, number, _highest(last)

    def _write(self, path: Path) -> None:
        content = {
            key: {
                str(number): [[one.host_bytes, one.device_bytes] for one in last]
                for number, last in classes.items()
            }
            for key, classes in self._known.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        part.replace(path)


def peaks_file(cache: Path, device: str) -> Path:
    """Name the file of one device."""
    return cache / f"{PEAKS}{device.replace(':', '-')}.json"


def _key(request: Request) -> str:
    return f"{request.analysis} {request.terms.engine or 'auto'} {request.terms.precision}"


def _voxels(request: Request) -> int:
    return sum(volume.voxels.size for volume in request.inputs.values())


def _highest(peaks: Iterable[Peak]) -> Peak:
    every = list(peaks)
    return Peak(
        max((one.host_bytes for one in every), default=0),
        max((one.device_bytes for one in every), default=0),
    )


def _read(path: Path) -> dict[str, dict[int, list[Peak]]]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            key: {
                int(number): [Peak(int(host), int(device)) for host, device in last]
                for number, last in classes.items()
            }
            for key, classes in content.items()
        }
    except (OSError, AttributeError, TypeError, ValueError):
        return {}
