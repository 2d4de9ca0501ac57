"""What a child is asked, and what it gives."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.precision import Terms
from medaet.worker.protocol import Message
from medaet.worker.shared import Lender, described


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
        memory_mb: What the manifest says it takes; counts until it has been measured.
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
    memory_mb: int = 0
    lender: Lender | None = None

    def message(self, number: int, expected_bytes: int) -> Message:
        """Write it for the child.

        Args:
            number: Names the request in what the child answers.
            expected_bytes: What it will take, where networks live.
        """
        return {
            "kind": "analyse",
            "id": number,
            "analysis": self.analysis,
            "settings": dict(self.settings),
            "hooks": list(self.hooks),
            "inputs": {role: described(volume) for role, volume in self.inputs.items()},
            "findings": str(self.where.absolute()),
            "urgent": self.urgent,
            "terms": self.terms.plain(),
            "expected_bytes": expected_bytes,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one run of an analysis gave.

    Attributes:
        findings: Read back from the child's files and checked against the inputs.
        load_seconds: Spent on loading the model; near zero when it was warm.
        analyse_seconds: Spent in the analysis.
        network_seconds: Spent in its networks, which is part of that.
        wait_seconds: From the moment the child was asked until it began.
        computed: How networks were computed, in words, for the report.
        host_peak_bytes: Most host memory the child held, other warm models left out; 0 when it cannot be told.
        device_peak_bytes: The same of device memory; 0 on a CPU.
    """

    findings: Findings
    load_seconds: float
    analyse_seconds: float
    network_seconds: float = 0.0
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
