"""Series as they lie in files and folders, and the choice of those that an analysis takes."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medaet.dicom.drawing import MODALITIES, references
from medaet.dicom.header import facts, read_header
from medaet.dicom.identity import InstanceHeader, SeriesFacts
from medaet.dicom.origin import read_origin
from medaet.errors import InstanceError, SelectionError
from medaet.plugin.analysis import Analysis
from medaet.plugin.matching import Candidate, matched, objections
from medaet.plugin.partner import SAME_STUDY


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series in files.

    Attributes:
        facts: What selectors ask for.
        digests: SOP Instance UID and SHA-256 of each file, sorted.
        paths: One file for each instance.
    """

    facts: SeriesFacts
    digests: tuple[tuple[str, str], ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """All series below some paths, the largest first, and the number of files that are no instances."""

    series: tuple[FoundSeries, ...]
    others: int


def find_series(paths: Iterable[Path]) -> Found:
    """Read the headers of files, and of every file below folders, and group them by series.

    A SOP instance that is there twice counts once.
    """
    grouped: dict[str, dict[str, tuple[InstanceHeader, Path]]] = {}
    others = 0
    for path in _files(paths):
        try:
            header = read_header(path)
        except InstanceError:
            others += 1
            continue
        instances = grouped.setdefault(header.series_instance_uid, {})
        instances.setdefault(header.sop_instance_uid, (header, path))
    series = [_series(list(instances.values())) for instances in grouped.values()]
    series.sort(key=lambda one: (-one.facts.slices, one.facts.series_instance_uid))
    return Found(tuple(series), others)


def choose(analysis: type[Analysis], found: Found) -> dict[str, FoundSeries]:
    """Give each role of an analysis the largest series that fits, is not taken yet, and belongs with the others.

    A role that the analysis can do without may be missing.

    Raises:
        SelectionError: a role stays empty; the message holds every failed check of every series.
    """
    if not found.series:
        raise SelectionError(
            f"no DICOM instance is among the {found.others} files; name files or folders of a series"
        )
    key = secrets.token_bytes()
    series = {one.facts.series_instance_uid: one for one in found.series}
    candidates = [
        Candidate(uid, one.facts, read_origin(one.paths, key)) for uid, one in series.items()
    ]
    chosen = matched(analysis, candidates)
    for role in analysis.inputs:
        if role not in chosen and not analysis.partners.get(role, SAME_STUDY).optional:
            raise SelectionError(_refusals(role, analysis, chosen, candidates))
    return {role: series[str(one.key)] for role, one in chosen.items()}


def same_work(
    analysis: type[Analysis],
    weights: str,
    settings: Mapping[str, object],
    chosen: Mapping[str, FoundSeries],
) -> str:
    """Summarise everything that decides the results: a repeat on the same files makes the same instances."""
    inputs = sorted((role, one.digests) for role, one in chosen.items())
    content = [analysis.name, analysis.version, weights, sorted(settings.items()), inputs]
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _refusals(
    role: str,
    analysis: type[Analysis],
    chosen: Mapping[str, Candidate],
    candidates: Sequence[Candidate],
) -> str:
    """Say of every series that is left why it does not take a role."""
    lines = [f"no series fits role {role!r} of {analysis.name}:"]
    taken = {one.key for one in chosen.values()}
    target = analysis.inputs[role].refers_to
    for one in candidates:
        checks = analysis.inputs[role].checks(one.facts)
        failed = "; ".join(str(check) for check in checks if not check.passed)
        if one.key in taken:
            continue
        if failed:
            lines.append(f"  series {one.facts.series_instance_uid}: {failed}")
        elif target is not None:
            lines.append(
                f"  series {one.facts.series_instance_uid}: fits, but refers to no series in role {target!r}"
            )
    lines += [
        f"  series {one.series_instance_uid}: {one.reason}"
        for one in objections(analysis, chosen, candidates)
        if one.role == role
    ]
    return "\n".join(lines)


def _files(paths: Iterable[Path]) -> list[Path]:
    files: dict[Path, None] = {}
    for path in paths:
        below = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        files.update(dict.fromkeys(below))
    return list(files)


def _series(instances: Sequence[tuple[InstanceHeader, Path]]) -> FoundSeries:
    header = instances[0][0]
    paths = tuple(path for _, path in instances)
    described = facts(
        header.series_instance_uid,
        header.modality,
        header.series_attributes,
        sop_class_uids=tuple(sorted({one.sop_class_uid for one, _ in instances})),
        instances=len(instances),
    )
    if header.modality in MODALITIES:
        described = replace(described, references=references(paths))
    return FoundSeries(
        facts=described,
        digests=tuple(
            sorted(
                (one.sop_instance_uid, hashlib.sha256(path.read_bytes()).hexdigest())
                for one, path in instances
            )
        ),
        paths=paths,
    )
