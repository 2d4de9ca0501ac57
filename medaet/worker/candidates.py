"""Reduced precisions of a model that was just trained: tried on its reference cases before it is handed out."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from medaet.compute.training.candidate import Candidate
from medaet.errors import MedaetError, PrecisionError
from medaet.plugin.case import shipped_cases
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.kind import Answers
from medaet.plugin.model import read_model
from medaet.plugin.models import ModelStore
from medaet.plugin.registry import discover
from medaet.precision import Precision
from medaet.worker.child import WorkerChild
from medaet.worker.importing import pack
from medaet.worker.shipped import FOLDER, ship
from medaet.worker.verify import Gate

log = structlog.get_logger()

Tell = Callable[[str], None]

PATIENCE_SECONDS = 24 * 3600.0
"""A STAT job may stop the gate and its child in the middle of a case, for long; neither shall call that a failure."""


def certify(
    precisions: Sequence[Precision], device: str, folder: Path, tell: Tell
) -> list[Candidate]:
    """Pack a model folder as an import does, and put each precision through the gate that `models verify` uses.

    A precision that is refused, or cannot be tried here, spoils nothing: the model runs in fp32.

    Args:
        precisions: The candidates.
        device: Where they are computed, in torch's spelling.
        folder: What `medaet train` wrote; gets certificates and quantised networks.
        tell: Called with a few words about what is being done.
    """
    if not precisions:
        return []
    with tempfile.TemporaryDirectory(prefix="medaet-candidates-") as scratch:
        models = ModelStore(Path(scratch) / "models")
        try:
            tell("packing the model")
            with models.incoming() as incoming:
                pack(folder, incoming, discover(), Answers())
                placed = models.place(incoming, read_model(incoming).name)
        except MedaetError as error:
            return [Candidate(one, accepted=False, words=str(error)) for one in precisions]
        analysis = discover(models=models.root).analyses[placed.name]
        store = CertificateStore(Path(scratch) / FOLDER)
        patient = WorkerChild(device, models=models.root, silence_seconds=PATIENCE_SECONDS)
        with closing(patient) as child:
            cases = shipped_cases(analysis)
            gate = Gate(analysis, {}, cases, child, store, seconds=PATIENCE_SECONDS, say=tell)
            found = [_tried(gate, one) for one in precisions]
        ship(store, placed, folder)
    return found


def _tried(gate: Gate, precision: Precision) -> Candidate:
    try:
        one = _of(gate.verify(precision))
    except MedaetError as error:
        one = Candidate(precision, accepted=False, words=_reason(error))
    log.info("precision.tried", precision=precision, accepted=one.accepted, reason=one.words)
    return one


def _of(certificate: Certificate) -> Candidate:
    worst = max(one.volume_error_percent for one in certificate.figures)
    faster = certificate.reference_seconds / max(certificate.candidate_seconds, 1e-3)
    return Candidate(
        certificate.precision,
        accepted=True,
        words=(
            f"Dice with fp32 at least {certificate.lowest_dice:.4f}, volumes at most {worst:.2f} % off, "
            f"{faster:.2f} times the speed of fp32 in torch"
        ),
        engine=certificate.engine,
        lowest_dice=certificate.lowest_dice,
    )


def _reason(error: MedaetError) -> str:
    """Leave out of a refusal its first line, which says what stands beside it anyway."""
    first, _, faults = str(error).partition("\n")
    return "; ".join(faults.splitlines()) if isinstance(error, PrecisionError) and faults else first
