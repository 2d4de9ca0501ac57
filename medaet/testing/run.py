"""A run for tests of results: an algorithm, a phantom series and findings on it."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from medaet.dicom.codes import LEFT, LUNG, RIGHT, Code
from medaet.dicom.volume import Volume, read_volume
from medaet.plugin.findings import Findings, Measurement
from medaet.plugin.segment import Segment
from medaet.results.algorithm import Algorithm
from medaet.results.objects import Encoded, encode
from medaet.results.recipe import PLAIN, Recipe
from medaet.results.source import Source

ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
STARTED_AT = datetime(2026, 11, 23, 18, 30, 15, 250_000, tzinfo=UTC)


def algorithm(
    *,
    title: str = "Phantom segmentation",
    weights_sha256: str = "ab" * 32,
    settings: Mapping[str, object] | None = None,
    not_for_diagnostic_use: bool = True,
    instance_key: str = "0123456789abcdef",
) -> Algorithm:
    """Return a run with sensible values for what a test is not about."""
    return Algorithm(
        name="phantom-test",
        version="1.2.3",
        title=title,
        family=ARTIFICIAL_INTELLIGENCE,
        weights_sha256=weights_sha256,
        settings=settings or {"threshold": 0.5},
        intended_use="Tests.",
        not_for_diagnostic_use=not_for_diagnostic_use,
        device="cpu",
        started_at=STARTED_AT,
        seconds=1.25,
        instance_key=instance_key,
    )


def source_of(paths: Sequence[Path], *, role: str = "ct") -> Source:
    """Read one series as the only input of an analysis."""
    return Source(paths={role: paths}, volumes={role: read_volume(paths)})


def encoded(
    findings: Findings,
    source: Source,
    run: Algorithm | None = None,
    *,
    recipe: Recipe = PLAIN,
    folder: Path | None = None,
) -> list[Encoded]:
    """Encode and prove findings.

    Args:
        findings: On the volumes of `source`.
        source: What they were found on.
        run: Which run it was; None for one with sensible values.
        recipe: Which objects to make.
        folder: Gets a new folder for them; None for the one above the source's files.
    """
    beside = folder or next(iter(source.paths.values()))[0].parent.parent
    where = Path(tempfile.mkdtemp(prefix="results-", dir=beside))
    return encode(findings, source, run or algorithm(), where, recipe)


def two_boxes(volume: Volume) -> Findings:
    """Return two segments without any symmetry, with a volume each.

    The left box has 3 x 4 x 5 voxels (slices, rows, columns), the right one 2 x 6 x 3; the volume needs 8 slices
    of 16 by 16.
    """
    left, right = (np.zeros(volume.voxels.shape, bool) for _ in range(2))
    left[1:4, 2:6, 1:6] = True
    right[5:7, 7:13, 9:12] = True
    return Findings(
        segments=[
            Segment("Left box", left, LUNG, modifier=LEFT),
            Segment("Right box", right, LUNG, modifier=RIGHT),
        ],
        measurements=[Measurement.volume(of="Left box"), Measurement.volume(of="Right box")],
    )
