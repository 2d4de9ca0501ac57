"""What a run of an analysis has to tell about how it was computed."""

from dataclasses import dataclass, field

from medaet.compute.engines.choice import Chosen
from medaet.plugin.precision import Precision, Terms


@dataclass(slots=True)
class Record:
    """Filled in by the runtime, read when the run is over.

    Attributes:
        engines: Names of the engines that ran networks.
        precisions: What they computed in.
        steps: Down the memory ladder.
        windows: That went through a network.
        left_out: That held nothing but air.
    """

    engines: set[str] = field(default_factory=set)
    precisions: set[Precision] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    windows: int = 0
    left_out: int = 0

    def used(self, chosen: Chosen | None, precision: Precision, windows: tuple[int, int]) -> None:
        """Note that a network ran.

        Args:
            chosen: Its engine; None for one that is no network but a plain function.
            precision: What it was computed in.
            windows: How many went through it, and how many were left out.
        """
        self.windows += windows[0]
        self.left_out += windows[1]
        if chosen is not None:
            self.engines.add(chosen.engine.name)
            self.precisions.add(precision)

    def told(self, terms: Terms) -> dict[str, str]:
        """Say it in words, for the report."""
        words = {}
        if self.engines:
            words["engine"] = ", ".join(sorted(self.engines))
            words["precision"] = ", ".join(sorted(self.precisions))
            words["windows"] = f"{self.windows} of {self.windows + self.left_out}"
        certificates = [
            hashed
            for precision, hashed in (
                (terms.precision, terms.certificate),
                (terms.spare_precision, terms.spare_certificate),
            )
            if hashed and precision in self.precisions
        ]
        if certificates:
            words["certificate"] = ", ".join(certificates)
        if self.steps:
            words["memory"] = "; ".join(self.steps)
        return words
