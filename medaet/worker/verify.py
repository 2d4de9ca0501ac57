"""The accuracy gate: an analysis on reference cases in fp32 and in a candidate precision, structure by structure."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np

from medaet.clock import Clock, SystemClock
from medaet.errors import PrecisionError
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.case import ReferenceCase, limits_of
from medaet.plugin.certificate import Certificate, CertificateStore, Figures, held_to
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.precision import EngineName, Precision, Terms
from medaet.worker.child import WorkerChild
from medaet.worker.quantising import quantise_all
from medaet.worker.request import Request, Run


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Compares one analysis in a candidate precision with itself in fp32.

    Attributes:
        analysis: Whose limits count.
        settings: Its own.
        cases: At least one.
        child: On the device that is meant.
        store: Gets the certificate.
        seconds: Time limit of one run.
        say: Told what runs now.
        clock: For the certificate's date.
    """

    analysis: type[Analysis]
    settings: Mapping[str, object]
    cases: Sequence[ReferenceCase]
    child: WorkerChild
    store: CertificateStore
    seconds: float = 900.0
    say: Callable[[str], None] = lambda _text: None
    clock: Clock = field(default_factory=SystemClock)

    def verify(
        self, precision: Precision, engine: EngineName | None = None, *, anew: bool = False
    ) -> Certificate:
        """Certify a precision, or refuse it; an older certificate for the same is gone then.

        Args:
            precision: The candidate.
            engine: That computes it; None for the fastest of those that agree in it.
            anew: Quantise again what has been quantised before; else that is verified as it lies there.

        Raises:
            PrecisionError: a limit is not kept, with every structure and figure; or nothing was computed in the
                candidate precision.
            EngineError: the networks cannot be quantised, or not be run in this precision here.
            AnalysisError: a run failed.
        """
        if not self.cases:
            raise PrecisionError(
                f"{self.analysis.name} came without reference cases; name scans with --case"
            )
        try:
            with tempfile.TemporaryDirectory(prefix="medaet-verify-") as name:
                return self._verified(precision, engine, Path(name), anew=anew)
        except PrecisionError:
            self.store.revoke(
                self.analysis.name, precision, self.child.platform_of(self.analysis.name)
            )
            raise

    def _verified(
        self, precision: Precision, engine: EngineName | None, scratch: Path, *, anew: bool
    ) -> Certificate:
        calibration = scratch / "calibration"
        fp32 = Terms(engine="eager")
        if precision == "int8":
            fp32 = replace(fp32, calibration=str(calibration))
        references = self._runs(fp32, "fp32", scratch)
        files: dict[str, str] = {}
        terms = Terms(engine=engine, precision=precision)
        if precision == "int8":
            files = self._quantised(calibration, scratch / "quantised", anew=anew)
            terms = replace(terms, quantised=str(self.store.networks.absolute()), files=files)
        self._runs(terms, precision, scratch, self.cases[:1])  # engines get ready
        candidates = self._runs(terms, precision, scratch)
        figures = [
            one
            for case, reference, candidate in zip(self.cases, references, candidates, strict=True)
            for one in compared(case, reference.findings, candidate.findings)
        ]
        self._check(precision, figures)
        used = self._engine(precision, candidates)
        certificate = Certificate(
            analysis=self.analysis.name,
            version=self.analysis.version,
            weights_sha256=weights_sha256(self.analysis),
            candidate_sha256=_digest(files) if files else weights_sha256(self.analysis),
            files=files,
            precision=precision,
            engine=used,
            platform=held_to(self.child.platform_of(self.analysis.name), used),
            limits=limits_of(self.analysis),
            figures=tuple(figures),
            reference_seconds=round(sum(one.analyse_seconds for one in references), 3),
            candidate_seconds=round(sum(one.analyse_seconds for one in candidates), 3),
            verified_at=self.clock.now().isoformat(timespec="seconds"),
        )
        self.store.keep(certificate)
        return certificate

    def _runs(
        self,
        terms: Terms,
        words: str,
        scratch: Path,
        cases: Sequence[ReferenceCase] | None = None,
    ) -> list[Run]:
        runs = []
        for number, case in enumerate(cases or self.cases, start=1):
            self.say(f"{self.analysis.name} in {words}, case {number} of {len(self.cases)}")
            request = Request(
                analysis=self.analysis.name,
                settings=self.settings,
                inputs=case.inputs,
                where=scratch / "findings",
                seconds=self.seconds,
                terms=terms,
            )
            runs.append(self.child.analyse(request))
        return runs

    def _quantised(self, calibration: Path, fresh: Path, *, anew: bool) -> dict[str, str]:
        """Quantise the networks that have not been, and hash all of them."""
        networks = self.store.networks
        names = sorted(path.name for path in calibration.glob("*.onnx"))
        if anew or not names or not all((networks / name).is_file() for name in names):
            self.say(f"quantising {self.analysis.name}")
            quantise_all(calibration, fresh)
            networks.mkdir(parents=True, exist_ok=True)
            for name in names:
                shutil.move(fresh / name, networks / name)
        return {name: hashlib.sha256((networks / name).read_bytes()).hexdigest() for name in names}

    def _check(self, precision: Precision, figures: Sequence[Figures]) -> None:
        numbers = {case.sha256: number for number, case in enumerate(self.cases, start=1)}
        limits = limits_of(self.analysis)
        faults = [
            f"case {numbers[one.case]}, {fault}" for one in figures for fault in one.faults(limits)
        ]
        if faults:
            raise PrecisionError(
                f"{self.analysis.name} is not to be computed in {precision}:\n" + "\n".join(faults)
            )
        if not figures:
            raise PrecisionError(
                f"{self.analysis.name} found no structure in the reference cases: nothing to compare"
            )

    def _engine(self, precision: Precision, runs: Sequence[Run]) -> EngineName:
        """Name the one engine that computed the candidate."""
        used = {run.computed.get("precision", "") for run in runs}
        if not any(precision in one.split(", ") for one in used):
            raise PrecisionError(
                f"nothing of {self.analysis.name} was computed in {precision}: "
                "it runs its networks itself, without `runtime.segment`"
            )
        engines = {run.computed["engine"] for run in runs if "engine" in run.computed}
        if len(engines) != 1 or ", " in next(iter(engines)):
            raise PrecisionError(
                f"several engines computed {self.analysis.name} ({', '.join(sorted(engines))}); "
                "choose one with --engine"
            )
        return cast(EngineName, engines.pop())


def compared(case: ReferenceCase, reference: Findings, candidate: Findings) -> Iterator[Figures]:
    """Compare the structures of two findings on one case; one that is missing on a side counts as empty there."""
    ours, theirs = _by_name(reference), _by_name(candidate)
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        some = one or other
        assert some is not None
        volume = case.inputs[str(some.role)]
        first, second = (
            np.zeros(volume.voxels.shape, np.bool_) if each is None else each.mask
            for each in (one, other)
        )
        sizes = int(first.sum()), int(second.sum())
        both = int(np.logical_and(first, second).sum())
        yield Figures(
            case=case.sha256,
            label=some.label,
            dice=round(2 * both / sum(sizes), 6) if any(sizes) else 1.0,
            reference_ml=round(sizes[0] * volume.voxel_ml, 4),
            volume_ml=round(sizes[1] * volume.voxel_ml, 4),
        )


def _by_name(findings: Findings) -> dict[tuple[str, str], Segment]:
    return {(str(one.role), one.label): one for one in findings.segments}


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()
