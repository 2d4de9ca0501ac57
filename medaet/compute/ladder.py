"""The ladder down which inference goes when memory does not suffice; every step is told in the report."""

from dataclasses import dataclass, replace

import torch

from medaet.precision import Precision

HOST = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Rung:
    """One way of spending memory.

    Attributes:
        batch: Windows in one call of the network.
        device: Where the network runs.
        home: Where logits are added up.
        precision: What the network computes in.
        last: Whether this is where the ladder of a GPU ends, on the CPU.
    """

    batch: int
    device: torch.device
    home: torch.device
    precision: Precision = "fp32"
    last: bool = False

    @classmethod
    def top(cls, device: torch.device, batch: int, precision: Precision) -> "Rung":
        """Stand where there is memory enough; a batch of 0 asks for what suits the device."""
        # torch's fast convolutions for CPUs refuse a single small window, which then takes four times as long.
        suits = 2 if device.type == "cpu" else 4
        return cls(batch or suits, device, device, precision)

    def lower(self, spare: Precision | None) -> tuple["Rung", str] | None:
        """Step down once.

        Args:
            spare: A precision of fewer bits that the analysis allows, or None.

        Returns:
            The next rung, and the step in words; None on the last one.
        """
        if self.last:
            return None
        if self.batch > 1:
            batch = self.batch // 2
            words = "one window" if batch == 1 else f"{batch} windows"
            return replace(self, batch=batch), f"{words} at a time"
        if self.home != HOST:
            return replace(self, home=HOST), "logits added up in host memory"
        if spare is not None and self.precision != spare:
            return replace(self, precision=spare), f"computed in {spare}"
        if self.device != HOST:
            return Rung(1, HOST, HOST, "fp32", last=True), "computed on the CPU"
        return None
