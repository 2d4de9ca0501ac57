"""Results: findings as proven DICOM instances."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import Dataset

from medaet.errors import EncodingError
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.absences import spoken
from medaet.results.algorithm import Algorithm
from medaet.results.document import pdf_report
from medaet.results.drawn import seen
from medaet.results.form import Form, Kind, Part, overlap, parts
from medaet.results.fusion import Fusion, told
from medaet.results.header import save
from medaet.results.ko import key_objects, key_planes
from medaet.results.original import Original, read_original
from medaet.results.pdf import encapsulated
from medaet.results.pm import write_map
from medaet.results.proof import Expectation, prove_segmentation
from medaet.results.proof_of_extras import (
    prove_document,
    prove_key_objects,
    prove_map,
    prove_picture,
)
from medaet.results.proof_of_report import Account, prove_report
from medaet.results.recipe import (
    FRACTIONAL,
    KEY_OBJECTS,
    MAPS,
    PDF,
    PLAIN,
    SUMMARY,
    Recipe,
    ReportForm,
)
from medaet.results.sc import Pixels, summary, summary_pictures
from medaet.results.seg import write_segmentation
from medaet.results.source import Source, SourceSeries, quiet
from medaet.results.sr import comments, pointed, problems, report

__all__ = ["Algorithm", "Encoded", "Source", "encode"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One result, ready to be kept and delivered.

    Attributes:
        kind: "SEG", "SR", "REG", "PR", "PM", "KO", "SC" or "PDF"; "CT" or "MR" for a resampled slice.
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
        The segmentations, one or more for each input on which something was found; then what comes of inputs brought
        together, see `Fusion`; then the report; then the rest.
        The same arguments give the same bytes.

    Raises:
        EncodingError: the findings or the source's headers cannot be written as DICOM objects.
        ProofError: a result, read back, does not say what the analysis found.
        FindingsError: a mask has another shape than its series, or names no input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        resolved = told(findings.resolved(source.volumes))
        run = _Run(spoken(resolved), source, algorithm, folder)
        try:
            return run.encode(recipe)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # highdicom and pydicom say with these what they cannot write; patient and study are not
            # in their hands.
            raise EncodingError(
                f"the results of {algorithm.name} cannot be written: {error}"
            ) from error


class _Run:
    """Makes and proves the objects of one run."""

    def __init__(
        self, findings: Findings, source: Source, algorithm: Algorithm, folder: Path
    ) -> None:
        self._findings = findings
        self._source = source
        self._series: dict[str, SourceSeries] = source.series()
        self._originals: dict[str, Original] = {
            role: read_original(source.paths[role], volume.planes[0].sop_instance_uid)
            for role, volume in source.volumes.items()
        }
        self._algorithm = algorithm
        self._folder = folder
        self._results: list[Encoded] = []
        self._headers: dict[str, list[Dataset]] = {}
        self._segmentations: list[Path] = []
        self._seen = seen(findings, source.volumes)
        self._drawn: dict[str, list[Pixels]] = {}

    def encode(self, recipe: Recipe) -> list[Encoded]:
        """Make everything that a recipe asks for."""
        if recipe.segmentation is not None:
            for role in self._series:
                self._segmentation(role, recipe.segmentation)
        for made in self._fusion().objects():
            self._add(*made)
        if recipe.report is not None:
            self._report(recipe, recipe.report)
        for name, make in self._extras().items():
            if name in recipe.extras:
                make()
        return self._results

    def _fusion(self) -> Fusion:
        return Fusion(
            self._findings,
            self._series,
            self._originals,
            self._source.volumes,
            self._algorithm,
            self._folder,
        )

    def _extras(self) -> dict[str, Callable[[], None]]:
        return {
            FRACTIONAL: self._probabilities,
            MAPS: self._maps,
            KEY_OBJECTS: self._key_objects,
            SUMMARY: self._summary,
            PDF: self._document,
        }

    def _segmentation(self, role: str, form: Form) -> None:
        found = [one for one in self._findings.segments if one.role == role and one.count]
        if form.kind is Kind.LABELMAP and overlap(found):
            form = replace(form, kind=Kind.BINARY)
        for part in parts(found, self._series[role], form):
            path, header = self._written(role, part, form)
            if form.kind is Kind.BINARY:
                # A reference to one segment of a label map is what validators take for a mistake; there the tracking
                # UID alone ties a segment to its measurements.
                self._headers.setdefault(role, []).append(header)
                self._segmentations.append(path)

    def _probabilities(self) -> None:
        for role in self._series:
            found = [
                one
                for one in self._findings.segments
                if one.role == role and one.probability is not None and one.probability.any()
            ]
            form = Form(Kind.FRACTIONAL)
            for part in parts(found, self._series[role], form):
                self._written(role, part, form)

    def _written(self, role: str, part: Part, form: Form) -> tuple[Path, Dataset]:
        path, series = self._path("seg"), self._series[role]
        others = [other for name, other in self._series.items() if name != role]
        header = write_segmentation(path, part, series, self._algorithm, form, others=others)
        proof = prove_segmentation(path, self._expectation(role, part.segments))
        self._add("SEG", header, path, proof)
        return path, header

    def _report(self, recipe: Recipe, form: ReportForm) -> None:
        path = self._path("sr")
        headers = self._headers if form.segments else {}
        written = report(self._findings, self._series, headers, self._algorithm, recipe)
        save(written, path)
        met = problems(self._source.volumes.values())
        account = Account(
            self._findings,
            sources=[self._expectation(role) for role in self._series],
            segmentations=self._segmentations if form.segments else [],
            sentences=self._sentences(),
            problems=list(dict.fromkeys(one.code.value for one in met)),
            points=pointed(self._findings, self._source.volumes, form),
            roles=list(self._series),
            surfaces=form.three_dimensional,
        )
        self._add("SR", written, path, prove_report(path, account))

    def _maps(self) -> None:
        for number, one in enumerate(self._findings.maps, 1):
            path, role = self._path("pm"), str(one.role)
            header = write_map(path, one, self._series[role], self._algorithm, number=number)
            proof = prove_map(path, one, self._source.volumes[role], self._originals[role])
            self._add("PM", header, path, proof)

    def _key_objects(self) -> None:
        dataset = key_objects(self._seen, self._series, self._algorithm)
        if dataset is None:
            return
        path = self._path("ko")
        save(dataset, path)
        planes = [plane for one in self._series.values() for plane in key_planes(self._seen, one)]
        self._add("KO", dataset, path, prove_key_objects(path, planes, self._originals))

    def _summary(self) -> None:
        for role, drawn in self._pictures().items():
            for number, pixels in enumerate(drawn, 1):
                path = self._path("sc")
                dataset = summary(pixels, self._series[role], self._algorithm, number=number)
                save(dataset, path)
                proof = prove_picture(
                    path,
                    pixels,
                    self._source.volumes[role],
                    self._originals[role],
                    marked=self._algorithm.not_for_diagnostic_use,
                )
                self._add("SC", dataset, path, proof)

    def _document(self) -> None:
        primary = next(iter(self._series))
        series = self._series[primary]
        content = pdf_report(
            self._findings, series.first, self._algorithm, self._sentences(), self._pictures()
        )
        path = self._path("pdf")
        dataset = encapsulated(content, series, self._algorithm)
        save(dataset, path)
        self._add("PDF", dataset, path, prove_document(path, content, self._originals[primary]))

    def _pictures(self) -> dict[str, list[Pixels]]:
        """Draw the pictures of every input, once."""
        if not self._drawn:
            self._drawn = {
                role: summary_pictures(volume, self._seen.on(role), self._algorithm)
                for role, volume in self._source.volumes.items()
            }
        return self._drawn

    def _sentences(self) -> list[str]:
        return comments(self._findings, self._algorithm, problems(self._source.volumes.values()))

    def _expectation(self, role: str, segments: Sequence[Segment] = ()) -> Expectation:
        return Expectation(segments, self._source.volumes[role], self._originals[role])

    def _path(self, kind: str) -> Path:
        return self._folder / f"{len(self._results) + 1}-{kind}.dcm"

    def _add(self, kind: str, header: Dataset, path: Path, proof: Mapping[str, object]) -> None:
        one = Encoded(
            kind=kind,
            sop_class_uid=str(header.SOPClassUID),
            sop_instance_uid=str(header.SOPInstanceUID),
            series_instance_uid=str(header.SeriesInstanceUID),
            path=path,
            proof=dict(proof),
        )
        self._results.append(one)
