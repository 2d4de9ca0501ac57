"""The proof of a report: read back from its bytes, and compared with the findings item by item.

It shares no code with the encoder: pydicom reads tags, and the content tree is walked here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.content import Item, items_of, numbers_of, prove_numbers, walk
from medaet.results.original import (
    letters,
    parsed,
    prove_identity,
    refused_when_malformed,
)
from medaet.results.proof import Expectation
from medaet.results.proof_of_detections import prove_classifications, prove_detections
from medaet.results.proof_of_points import prove_points

_TRACKING_UID = "112040"
_GROUP = "125007"
_REFERENCED_SEGMENT = "121191"
_COMMENT = "121106"
_PROBLEM = "IN-PROBLEM"
_TEMPLATE = "1500"


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What a report must say.

    Attributes:
        findings: Resolved findings.
        sources: The inputs, the one whose study the report belongs to first.
        segmentations: The SEG files that the report may refer to.
        sentences: The sentences that it must hold; the character set may have changed their
            letters.
        problems: Code values of the problems of the inputs.
        points: What has a point in it.
        roles: Of the inputs, in the order of `sources`.
        surfaces: Whether boxes have coordinates in three dimensions.
    """

    findings: Findings
    sources: Sequence[Expectation]
    segmentations: Sequence[Path]
    sentences: Sequence[str]
    problems: Sequence[str] = ()
    points: Sequence[Segment] = ()
    roles: Sequence[str] = ()
    surfaces: bool = True

    @property
    def volumes(self) -> Mapping[str, Volume]:
        """The inputs by role."""
        return {role: one.volume for role, one in zip(self.roles, self.sources, strict=True)}


def prove_report(path: Path, expected: Account) -> dict[str, object]:
    """Read a report back and compare it with the findings.

    Args:
        path: The PS3.10 file as it will be sent.
        expected: What it must say.

    Returns:
        The figures: numbers of groups, measurements, references and images compared.

    Raises:
        ProofError: saying what differs.
    """
    dataset = parsed(path, "ContentSequence")
    encoded = [parsed(each, "SegmentSequence") for each in expected.segmentations]
    images = {uid for source in expected.sources for uid in source.volume.sop_instance_uids}
    with refused_when_malformed():
        prove_identity(dataset, expected.sources[0].original)
        _prove_template(dataset)
        _prove_completion(dataset, expected.findings)
        known = images | {str(each.SOPInstanceUID) for each in encoded}
        _prove_evidence(dataset, known)
        items = list(walk(items_of(dataset)))
        _prove_references(items, known)
        every = [item for item in items if item.concept == _GROUP]
        groups = [item for item in every if not _is_point(item)]
        measurements = sum(len(numbers_of(group)) for group in groups)
        count = len(groups)
        _prove_points([item.dataset for item in every if _is_point(item)], expected)
        groups, boxes = _prove_others(groups, expected)
        references = _prove_groups(groups, expected.findings, encoded)
        _prove_sentences(items, expected.sentences)
        _prove_codes(items, expected)
    return {
        "groups": count,
        "measurements": measurements,
        "segment_references": references,
        "images": len(images),
        **boxes,
    }


def _is_point(group: Item) -> bool:
    return any(child.value_type == "SCOORD" for child in group.children)


def _prove_points(groups: Sequence[Dataset], expected: Account) -> None:
    volumes = expected.volumes if expected.points else {}
    shown = [
        one
        for one in expected.points
        if one.voxels.counts[np.asarray(volumes[str(one.role)].slices)].any()
    ]
    prove_points(groups, shown, volumes)


def _prove_others(
    groups: Sequence[Item], expected: Account
) -> tuple[list[Item], dict[str, object]]:
    """Compare the groups of what has no mask; return the remaining ones, and the figures."""
    findings = expected.findings
    first = len(findings.segments)
    second = first + len(findings.detections)
    third = second + len(findings.classifications)
    if len(groups) < third:
        raise ProofError(f"the report has {len(groups)} measurement groups for {third} findings")
    pairs = zip(expected.roles, expected.sources, strict=False)
    grids = {role: (one.volume, one.original) for role, one in pairs}
    figures = prove_detections(groups[first:second], findings, grids, surfaces=expected.surfaces)
    prove_classifications(groups[second:third], findings)
    return [*groups[:first], *groups[third:]], figures


def _prove_completion(dataset: Dataset, findings: Findings) -> None:
    wanted = "PARTIAL" if findings.failed else "COMPLETE"
    if dataset.CompletionFlag != wanted:
        raise ProofError(f"the report is {dataset.CompletionFlag}, expected {wanted}")


def _prove_codes(items: Sequence[Item], expected: Account) -> None:
    """Compare coded statements, of segments and of the inputs, with those that must be there."""
    found = Counter(
        (item.concept, str(item.dataset.ConceptCodeSequence[0].CodeValue))
        for item in items
        if item.value_type == "CODE"
    )
    wanted = Counter((one.name.value, one.value.value) for one in expected.findings.evaluations)
    wanted += Counter((_PROBLEM, code) for code in expected.problems)
    missing = wanted - found
    if missing or {pair for pair in found if pair[0] == _PROBLEM} - set(wanted):
        raise ProofError(f"the report lacks {missing.total()} coded statements, or has too many")


def _prove_template(dataset: Dataset) -> None:
    templates = [item.TemplateIdentifier for item in dataset.ContentTemplateSequence]
    if templates != [_TEMPLATE]:
        raise ProofError(f"the report follows template {templates}, expected {_TEMPLATE}")


def _prove_evidence(dataset: Dataset, wanted: set[str]) -> None:
    """Compare the instances referred to with those looked at and made."""
    found = {
        str(instance.ReferencedSOPInstanceUID)
        for keyword in (
            "CurrentRequestedProcedureEvidenceSequence",
            "PertinentOtherEvidenceSequence",
        )
        for study in dataset.get(keyword, [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    if found != wanted:
        raise ProofError(
            f"the report's evidence lacks {len(wanted - found)} instances "
            f"and has {len(found - wanted)} too many"
        )


def _prove_references(items: Sequence[Item], known: set[str]) -> None:
    """Look for images in the content that are not among the evidence."""
    strangers = {
        str(reference.ReferencedSOPInstanceUID)
        for item in items
        if item.value_type in ("IMAGE", "COMPOSITE")
        for reference in item.dataset.ReferencedSOPSequence
    } - known
    if strangers:
        raise ProofError(
            f"the report refers to {len(strangers)} instances that are no evidence of it"
        )


def _prove_groups(
    groups: Sequence[Item], findings: Findings, segmentations: Sequence[Dataset]
) -> int:
    """Compare each group with its segment, and return how many refer to one."""
    whole = [item for item in findings.measurements if item.of is None]
    told = bool(whole) or any(item.of is None for item in findings.evaluations)
    expected = [
        ([item for item in findings.measurements if item.of == segment.label], segment)
        for segment in findings.segments
    ]
    if len(groups) != len(expected) + bool(told or not findings.labels):
        raise ProofError(
            f"the report has {len(groups)} measurement groups for {len(expected)} segments"
        )
    tracked = {
        (str(dataset.SOPInstanceUID), int(segment.SegmentNumber)): (
            str(segment.TrackingUID),
            letters(str(segment.SegmentLabel)),
        )
        for dataset in segmentations
        for segment in dataset.SegmentSequence
        if "TrackingUID" in segment
    }
    references = 0
    for group, (measurements, segment) in zip(groups, expected, strict=False):
        prove_numbers(group, measurements, segment.label)
        references += _prove_reference(
            group, tracked, segment.label, found=segment.count > 0 and bool(segmentations)
        )
    if whole:
        prove_numbers(groups[-1], whole, "the series")
    return references


def _prove_reference(
    group: Item, tracked: dict[tuple[str, int], tuple[str, str]], label: str, *, found: bool
) -> int:
    references = group.named(_REFERENCED_SEGMENT)
    if len(references) != int(found):
        raise ProofError(f"the group of {label!r} has {len(references)} references to a segment")
    if not found:
        return 0
    uids = [str(item.dataset.UID) for item in group.named(_TRACKING_UID)]
    target = references[0].dataset.ReferencedSOPSequence[0]
    place = str(target.ReferencedSOPInstanceUID), int(target.ReferencedSegmentNumber)
    if [tracked.get(place)] != [(uid, letters(label)) for uid in uids]:
        raise ProofError(f"the group of {label!r} refers to another segment than its tracking UID")
    return 1


def _prove_sentences(items: Sequence[Item], sentences: Sequence[str]) -> None:
    found = [letters(item.dataset.TextValue) for item in items if item.concept == _COMMENT]
    if found != [letters(sentence) for sentence in sentences]:
        raise ProofError(
            f"the report's {len(found)} comments are not the {len(sentences)} expected"
        )
