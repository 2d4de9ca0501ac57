"""What became of the reduced precisions of a trained network: certified, refused, or not to be tried here."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COLUMNS = ("precision", "engine", "outcome")
PRECISIONS = "precisions.json"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reduced precision after the gate.

    Attributes:
        precision: Such as "int8".
        accepted: Whether it has a certificate.
        words: The figures of an accepted one; else every structure that failed and by how much, or why nothing was
            computed.
        engine: That computed it; empty where none did.
        lowest_dice: Of the structure that came out worst, with the mask found in fp32; None where it was refused.
    """

    precision: str
    accepted: bool
    words: str
    engine: str = ""
    lowest_dice: float | None = None

    @property
    def outcome(self) -> str:
        """One sentence."""
        return f"{'certified' if self.accepted else 'refused'}: {self.words}"


Certify = Callable[[Path, Callable[[str], None]], Sequence[Candidate]]
"""Puts the model folder that was just written through the gate, telling what it does."""


def none(_folder: Path, _tell: Callable[[str], None]) -> Sequence[Candidate]:
    """Try no reduced precision."""
    return ()


def rows(candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """One row of words for each candidate, under `COLUMNS`."""
    return [(one.precision, one.engine or "-", one.outcome) for one in candidates]


def write(candidates: Sequence[Candidate], path: Path) -> None:
    """Write them as JSON, for programs."""
    path.write_text(json.dumps([asdict(one) for one in candidates], indent=1), encoding="utf-8")
