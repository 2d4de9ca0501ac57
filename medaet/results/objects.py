"""Results: findings as proven DICOM instances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import Dataset

from medaet.errors import EncodingError
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.absences import spoken
from medaet.results.algorithm import Algorithm
from medaet.results.form import Form, Kind, Part, overlap, parts
from medaet.results.header import save
from medaet.results.original import read_original
from medaet.results.proof import Expectation, prove_segmentation
from medaet.results.proof_of_report import Account, prove_report
from medaet.results.recipe import PLAIN, Recipe, ReportForm
from medaet.results.seg import write_segmentation
from medaet.results.source import Source, quiet
from medaet.results.sr import comments, problems, report

__all__ = ["Algorithm", "Encoded", "Source", "encode"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One result, ready to be kept and delivered.

    Attributes:
        kind: "SEG", "SR" and so on.
        path: The PS3.10 file.
        proof: Figures of the proof that the file says what the analysis found.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    path: Path
    proof: dict[str, object]

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.path.read_bytes()


def encode(
    findings: Findings,
    source: Source,
    algorithm: Algorithm,
    folder: Path,
    recipe: Recipe = PLAIN,
) -> list[Encoded]:
    """Encode findings, read the results back, and prove them.

    Args:
        findings: What the analysis found.
        source: What it was given.
        algorithm: Which run of which analysis it was.
        folder: Gets the files; made when it does not exist.
        recipe: Which objects to make.

    Returns:
        The segmentations, one or more for each input on which something was found; then the report; then the rest.
        The same arguments give the same bytes.

    Raises:
        EncodingError: the findings or the source's headers cannot be written as DICOM objects.
        ProofError: a result, read back, does not say what the analysis found.
        FindingsError: a mask has another shape than its series, or names no input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        return _Encoder(findings, source, algorithm, folder, recipe).encode()


class _Encoder:
    """Makes the objects of one recipe."""

    def __init__(
        self,
        findings: Findings,
        source: Source,
        algorithm: Algorithm,
        folder: Path,
        recipe: Recipe,
    ) -> None:
        self._findings = spoken(findings.resolved(source.volumes))
        self._source = source
        self._series = source.series()
        self._originals = {
            role: read_original(source.paths[role], volume.planes[0].sop_instance_uid)
            for role, volume in source.volumes.items()
        }
        self._algorithm = algorithm
        self._folder = folder
        self._recipe = recipe
        self._results: list[Encoded] = []
        self._headers: dict[str, list[Dataset]] = {}
        self._segmentations: list[Path] = []

    def encode(self) -> list[Encoded]:
        try:
            if self._recipe.segmentation is not None:
                for role in self._series:
                    self._segment(role, self._recipe.segmentation)
            if self._recipe.report is not None:
                self._report(self._recipe.report)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # highdicom and pydicom say with these what they cannot write; patient and study are not
            # in their hands.
            raise EncodingError(
                f"the results of {self._algorithm.name} cannot be written: {error}"
            ) from error
        return self._results

    def _segment(self, role: str, form: Form) -> None:
        found = [one for one in self._findings.segments if one.role == role and one.count]
        if form.kind is Kind.LABELMAP and overlap(found):
            form = replace(form, kind=Kind.BINARY)
        series = self._series[role]
        others = [other for name, other in self._series.items() if name != role]
        for part in parts(found, series, form):
            path = self._path("seg")
            header = write_segmentation(path, part, series, self._algorithm, form, others=others)
            self._headers.setdefault(role, []).append(header)
            self._segmentations.append(path)
            proof = prove_segmentation(path, self._expectation(role, part))
            self._results.append(_encoded("SEG", header, path, proof))

    def _report(self, form: ReportForm) -> None:
        path = self._path("sr")
        headers = self._headers if form.segments else {}
        written = report(self._findings, self._series, headers, self._algorithm, self._recipe)
        save(written, path)
        met = problems(self._source.volumes.values())
        account = Account(
            self._findings,
            sources=[self._expectation(role) for role in self._series],
            segmentations=self._segmentations if form.segments else [],
            sentences=comments(self._findings, self._algorithm, met),
            problems=list(dict.fromkeys(one.code.value for one in met)),
        )
        proof = prove_report(path, account)
        self._results.append(_encoded("SR", written, path, proof))

    def _expectation(self, role: str, part: Part | None = None) -> Expectation:
        segments: Sequence[Segment] = part.segments if part else ()
        return Expectation(segments, self._source.volumes[role], self._originals[role])

    def _path(self, kind: str) -> Path:
        return self._folder / f"{len(self._results) + 1}-{kind}.dcm"


def _encoded(kind: str, dataset: Dataset, path: Path, proof: Mapping[str, object]) -> Encoded:
    return Encoded(
        kind=kind,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        path=path,
        proof=dict(proof),
    )
