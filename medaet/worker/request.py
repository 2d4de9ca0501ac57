"""What a child is asked, and what it gives."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.plugin.precision import Terms
from medaet.worker.shared import Lender


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Request:
    """One run of an analysis.

    Attributes:
        analysis: Name of an installed analysis.
        settings: Its own settings.
        inputs: Volumes by role.
        where: Folder for the findings; made anew.
        seconds: Time limit of the run itself, model loading included, waiting for its turn not.
        hooks: Plugins whose hooks prepare the inputs and enrich the findings.
        urgent: Whether it may come between another run's windows.
        terms: On which terms networks are computed.
        lender: The memory the inputs were read into, when they were read into memory that can be lent.
    """

    analysis: str
    settings: Mapping[str, object]
    inputs: Mapping[str, Volume]
    where: Path
    seconds: float
    hooks: tuple[str, ...] = ()
    urgent: bool = False
    terms: Terms = Terms()  # noqa: RUF009 -- frozen
    lender: Lender | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one run of an analysis gave.

    Attributes:
        findings: Read back from the child's files and checked against the inputs.
        load_seconds: Spent on loading the model; near zero when it was warm.
        analyse_seconds: Spent in the analysis.
        wait_seconds: From the moment the child was asked until it began.
        computed: How networks were computed, in words, for the report.
        host_peak_bytes: Most host memory the child held; 0 when it cannot be told.
        device_peak_bytes: Most device memory it held; 0 on a CPU.
    """

    findings: Findings
    load_seconds: float
    analyse_seconds: float
    wait_seconds: float = 0.0
    computed: Mapping[str, str] = field(default_factory=dict)
    host_peak_bytes: int = 0
    device_peak_bytes: int = 0


@contextlib.contextmanager
def lending(request: Request) -> Iterator[Lender]:
    """Give the memory of a request's inputs, or some of our own to copy them to."""
    if request.lender is not None:
        yield request.lender
        return
    with contextlib.closing(Lender()) as lender:
        yield lender
