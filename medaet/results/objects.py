"""Results: findings as proven SEG and SR instances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from medaet.errors import EncodingError
from medaet.plugin.findings import Findings, Segment
from medaet.results.absences import spoken
from medaet.results.algorithm import Algorithm
from medaet.results.header import content
from medaet.results.proof import Expectation, prove_segmentation
from medaet.results.proof_of_report import prove_report
from medaet.results.seg import segmentation
from medaet.results.source import Source, SourceSeries, quiet
from medaet.results.sr import comments, report

__all__ = ["Algorithm", "Encoded", "Source", "encode"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One result, ready to be kept and delivered.

    Attributes:
        kind: "SEG" or "SR".
        content: The PS3.10 file.
        proof: Figures of the proof that the content says what the analysis found.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    content: bytes
    proof: dict[str, object]


def encode(findings: Findings, source: Source, algorithm: Algorithm) -> list[Encoded]:
    """Encode findings, read the results back, and prove them.

    Args:
        findings: What the analysis found.
        source: What it was given.
        algorithm: Which run of which analysis it was.

    Returns:
        One SEG for each input on which something was found, then the SR. The same arguments give
        the same bytes.

    Raises:
        EncodingError: the findings or the source's headers cannot be written as DICOM objects.
        ProofError: a result, read back, does not say what the analysis found.
        FindingsError: a mask has another shape than its series, or names no input.
    """
    resolved = spoken(findings.resolved(dict(source.volumes)))
    with quiet():
        series = source.series()
        found = {role: _found_on(role, resolved.segments) for role in series}
        try:
            segmentations, written = _datasets(resolved, series, found, algorithm)
            contents = {role: content(each) for role, each in segmentations.items()}
            words = content(written)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # highdicom and pydicom say with these what they cannot write; patient and study are not
            # in their hands.
            raise EncodingError(
                f"the results of {algorithm.name} cannot be written: {error}"
            ) from error
        expectation = {
            role: Expectation(found[role], source.volumes[role], source.paths[role])
            for role in source.volumes
        }
        results = [
            _encoded(
                "SEG", each, contents[role], prove_segmentation(contents[role], expectation[role])
            )
            for role, each in segmentations.items()
        ]
        proof = prove_report(
            words,
            resolved,
            sources=list(expectation.values()),
            segmentations=list(contents.values()),
            sentences=comments(resolved, algorithm),
        )
    return [*results, _encoded("SR", written, words, proof)]


def _found_on(role: str, segments: Sequence[Segment]) -> list[Segment]:
    return [each for each in segments if each.role == role and each.voxel_count]


def _datasets(
    findings: Findings,
    series: Mapping[str, SourceSeries],
    found: Mapping[str, Sequence[Segment]],
    algorithm: Algorithm,
) -> tuple[dict[str, Dataset], Dataset]:
    segmentations = {
        role: segmentation(
            found[role],
            one,
            algorithm,
            others=[other for other in series.values() if other is not one],
        )
        for role, one in series.items()
        if found[role]
    }
    return segmentations, report(findings, series, segmentations, algorithm)


def _encoded(kind: str, dataset: Dataset, content: bytes, proof: dict[str, object]) -> Encoded:
    return Encoded(
        kind=kind,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        content=content,
        proof=proof,
    )
