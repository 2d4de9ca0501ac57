"""The proof of a report: read back from its bytes, and compared with the findings item by item.

It shares no code with the encoder: pydicom reads tags, and the content tree is walked here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.findings import Findings, Measurement
from medaet.results.original import (
    letters,
    parsed,
    prove_identity,
    refused_when_malformed,
)
from medaet.results.proof import Expectation
from medaet.results.proof_of_points import prove_points

_TRACKING_UID = "112040"
_GROUP = "125007"
_REFERENCED_SEGMENT = "121191"
_COMMENT = "121106"
_PROBLEM = "IN-PROBLEM"
_METHOD = "370129005"
_VALUE_DIGITS = 9
_TEMPLATE = "1500"

_Number = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Item:
    """One content item: what the tree says at one place."""

    value_type: str
    concept: str
    dataset: Dataset

    @property
    def children(self) -> list["_Item"]:
        return _items(self.dataset)

    def named(self, concept: str) -> list["_Item"]:
        return [child for child in self.children if child.concept == concept]


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
        points: The volumes by role where each structure has a point in it.
    """

    findings: Findings
    sources: Sequence[Expectation]
    segmentations: Sequence[Path]
    sentences: Sequence[str]
    problems: Sequence[str] = ()
    points: Mapping[str, Volume] | None = None


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
        _prove_evidence(dataset, images | {str(each.SOPInstanceUID) for each in encoded})
        items = list(_walk(_items(dataset)))
        every = [item for item in items if item.concept == _GROUP]
        groups = [item for item in every if not _is_point(item)]
        _prove_points([item.dataset for item in every if _is_point(item)], expected)
        references = _prove_groups(groups, expected.findings, encoded)
        _prove_sentences(items, expected.sentences)
        _prove_codes(items, expected)
        measurements = sum(len(_numbers(group)) for group in groups)
    return {
        "groups": len(groups),
        "measurements": measurements,
        "segment_references": references,
        "images": len(images),
    }


def _is_point(group: _Item) -> bool:
    return any(child.value_type == "SCOORD" for child in group.children)


def _prove_points(groups: Sequence[Dataset], expected: Account) -> None:
    volumes = expected.points or {}
    shown = [
        one
        for one in expected.findings.segments
        if volumes and one.voxels.counts[np.asarray(volumes[str(one.role)].slices)].any()
    ]
    prove_points(groups, shown, volumes)


def _prove_completion(dataset: Dataset, findings: Findings) -> None:
    wanted = "PARTIAL" if findings.failed else "COMPLETE"
    if dataset.CompletionFlag != wanted:
        raise ProofError(f"the report is {dataset.CompletionFlag}, expected {wanted}")


def _prove_codes(items: Sequence[_Item], expected: Account) -> None:
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


def _prove_groups(
    groups: Sequence[_Item], findings: Findings, segmentations: Sequence[Dataset]
) -> int:
    """Compare each group with its segment, and return how many refer to one."""
    whole = [item for item in findings.measurements if item.of is None]
    told = bool(whole) or any(item.of is None for item in findings.evaluations)
    expected = [
        ([item for item in findings.measurements if item.of == segment.label], segment)
        for segment in findings.segments
    ]
    if len(groups) != len(expected) + bool(told or not expected):
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
        _prove_numbers(group, measurements, segment.label)
        references += _prove_reference(
            group, tracked, segment.label, found=segment.count > 0 and bool(segmentations)
        )
    if whole:
        _prove_numbers(groups[-1], whole, "the series")
    return references


def _prove_numbers(group: _Item, measurements: Sequence[Measurement], where: str) -> None:
    wanted = Counter(
        (
            item.name.value,
            item.unit.value,
            _written(item.value),
            item.method.value if item.method else "",
        )
        for item in measurements
    )
    if Counter(_numbers(group)) != wanted:
        raise ProofError(f"the report's measurements of {where!r} are not those of the analysis")


def _prove_reference(
    group: _Item, tracked: dict[tuple[str, int], tuple[str, str]], label: str, *, found: bool
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


def _prove_sentences(items: Sequence[_Item], sentences: Sequence[str]) -> None:
    found = [letters(item.dataset.TextValue) for item in items if item.concept == _COMMENT]
    if found != [letters(sentence) for sentence in sentences]:
        raise ProofError(
            f"the report's {len(found)} comments are not the {len(sentences)} expected"
        )


def _numbers(group: _Item) -> list[_Number]:
    result = []
    for item in group.children:
        if item.value_type == "NUM":
            measured = item.dataset.MeasuredValueSequence[0]
            value = measured.get("FloatingPointValue", measured.NumericValue)
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            methods = [
                str(one.dataset.ConceptCodeSequence[0].CodeValue) for one in item.named(_METHOD)
            ]
            result.append((item.concept, str(unit), _written(float(value)), "".join(methods)))
    return result


def _written(value: float | None) -> str:
    return f"{value:.{_VALUE_DIGITS}g}"


def _items(dataset: Dataset) -> list[_Item]:
    return [
        _Item(str(child.ValueType), str(child.ConceptNameCodeSequence[0].CodeValue), child)
        for child in dataset.get("ContentSequence", [])
    ]


def _walk(items: Sequence[_Item]) -> Iterator[_Item]:
    for item in items:
        yield item
        yield from _walk(item.children)
