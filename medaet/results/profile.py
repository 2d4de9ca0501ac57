"""Peer profiles: which objects a kind of peer gets, in which form, and what it gets instead where it takes others."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless

from medaet.results.form import Form, Kind
from medaet.results.recipe import (
    EXTRAS,
    PDF,
    SUMMARY,
    Recipe,
    ReportForm,
    sop_class_of,
)

Acceptance = Mapping[str, Collection[str]]
"""Transfer syntaxes that a peer takes, by SOP class; a class that it does not take is absent."""

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of peer gets.

    Attributes:
        title: One line for `medaet peers` and the manual.
        segmentations: Forms of the segmentation, the best first; the first that the peer takes is made.
        reports: Forms of the report, the same way.
        without_segmentation: Extras that are sent where the peer takes none of the forms.
        without_report: Extras that are sent where the peer takes none of the forms.
        extras: Extras that are always sent.
        falls_back: Whether something else may take an object's place; otherwise a refusal is a dead letter.
    """

    title: str
    segmentations: tuple[Form, ...]
    reports: tuple[ReportForm, ...]
    without_segmentation: frozenset[str] = frozenset({SUMMARY})
    without_report: frozenset[str] = frozenset({PDF})
    extras: frozenset[str] = frozenset()
    falls_back: bool = True


BITS = Form(Kind.BINARY)
LABELS = Form(Kind.LABELMAP)
PLAIN_LABELS = Form(Kind.LABELMAP, compressed=False)

PROFILES: Mapping[str, Profile] = {
    "default": Profile(
        title="bits and TID 1500 in Comprehensive 3D SR: what most archives and viewers read",
        segmentations=(BITS,),
        reports=(ReportForm(), ReportForm(three_dimensional=False)),
    ),
    "strict-air": Profile(
        title="IHE AI Results: segmentation and TID 1500 report, and nothing in their place",
        segmentations=(BITS,),
        reports=(ReportForm(),),
        falls_back=False,
    ),
    "ohif": Profile(
        title="OHIF viewer 3: a label map where the archive takes one, and a point for each structure",
        segmentations=(LABELS, PLAIN_LABELS, BITS),
        reports=(ReportForm(points=True), ReportForm(three_dimensional=False, points=True)),
    ),
    "slicer": Profile(
        title="3D Slicer with QuantitativeReporting: one segmentation of bits, TID 1500",
        segmentations=(BITS,),
        reports=(ReportForm(), ReportForm(three_dimensional=False)),
    ),
    "legacy": Profile(
        title="archives that know neither: pictures marked not for diagnosis, and a PDF report",
        segmentations=(),
        reports=(),
        without_segmentation=frozenset(),
        without_report=frozenset(),
        extras=frozenset({SUMMARY, PDF}),
    ),
}


@dataclass(frozen=True, slots=True)
class Replaced:
    """An object that a peer does not get as its profile would have it.

    Attributes:
        kind: "SEG", "SR", or the name of an extra.
        wanted: What the profile asks for, in words.
        instead: What is made in its place; empty for nothing.
    """

    kind: str
    wanted: str
    instead: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made for a peer, and what is not as it should be."""

    recipe: Recipe
    replaced: tuple[Replaced, ...] = ()


def plan(
    profile: Profile,
    accepted: Acceptance | None,
    *,
    extras: Iterable[str] = (),
    maximum_frames: int | None = None,
) -> Plan:
    """Decide what to make for a peer.

    Args:
        profile: What it should get.
        accepted: What it takes; None when it could not be asked, and then it is taken to take everything.
        extras: What it gets besides.
        maximum_frames: How many frames one segmentation may have.
    """
    replaced: list[Replaced] = []
    added = set(profile.extras)
    segmentation = next(
        (form for form in profile.segmentations if _takes_segmentation(accepted, form)), None
    )
    report = next((form for form in profile.reports if _takes_report(accepted, form)), None)
    if not profile.falls_back:
        segmentation, report = profile.segmentations[0], profile.reports[0]
    if profile.segmentations and segmentation != profile.segmentations[0]:
        replaced.append(_instead(profile.segmentations[0], segmentation, profile))
        added |= profile.without_segmentation if segmentation is None else frozenset()
    if profile.reports and report != profile.reports[0]:
        replaced.append(_instead_of_report(profile.reports[0], report, profile))
        added |= profile.without_report if report is None else frozenset()
    wanted = added | set(extras)
    taken = {name for name in wanted if accepted is None or EXTRAS[name] in accepted}
    replaced += [
        Replaced(name, f"{name} ({EXTRAS[name].name})", "") for name in sorted(wanted - taken)
    ]
    if segmentation is not None and maximum_frames is not None:
        segmentation = Form(
            segmentation.kind,
            compressed=segmentation.compressed,
            empty_frames=segmentation.empty_frames,
            maximum_frames=maximum_frames,
        )
    if report is not None and segmentation is None:
        report = ReportForm(report.three_dimensional, points=report.points, segments=False)
    return Plan(Recipe(segmentation, report, frozenset(taken)), tuple(replaced))


def described(form: Form | ReportForm) -> str:
    """Say what a form is: SOP class, and what is special about it."""
    if isinstance(form, ReportForm):
        return form.sop_class_uid.name + (", with points" if form.points else "")
    ways = {Kind.BINARY: "bits", Kind.LABELMAP: "label map", Kind.FRACTIONAL: "probabilities"}
    packed = form.kind is Kind.LABELMAP and form.compressed
    return f"Segmentation Storage ({ways[form.kind]}{', JPEG-LS' if packed else ''})"


def classes(profile: Profile, extras: Iterable[str] = ()) -> dict[UID, list[UID]]:
    """Return what may be sent to a peer of a profile: SOP classes, with their transfer syntaxes."""
    found: dict[UID, list[UID]] = {}
    for form in profile.segmentations:
        found.setdefault(sop_class_of(form), []).extend(_syntaxes(form))
    for report in profile.reports:
        found.setdefault(report.sop_class_uid, []).extend(UNCOMPRESSED)
    further = (profile.extras, profile.without_segmentation, profile.without_report, extras)
    for name in sorted({name for names in further for name in names}):
        found.setdefault(EXTRAS[name], []).extend(UNCOMPRESSED)
    return {uid: list(dict.fromkeys(syntaxes)) for uid, syntaxes in found.items()}


def _syntaxes(form: Form) -> Sequence[UID]:
    """Return the transfer syntaxes that a segmentation can go out in."""
    return (JPEGLSLossless,) if form.kind is Kind.LABELMAP and form.compressed else UNCOMPRESSED


def _takes_segmentation(accepted: Acceptance | None, form: Form) -> bool:
    if accepted is None:
        return True
    return bool(set(_syntaxes(form)).intersection(accepted.get(sop_class_of(form), ())))


def _takes_report(accepted: Acceptance | None, form: ReportForm) -> bool:
    return accepted is None or form.sop_class_uid in accepted


def _instead(wanted: Form, form: Form | None, profile: Profile) -> Replaced:
    instead = described(form) if form else ", ".join(sorted(profile.without_segmentation))
    return Replaced("SEG", described(wanted), instead)


def _instead_of_report(wanted: ReportForm, form: ReportForm | None, profile: Profile) -> Replaced:
    instead = described(form) if form else ", ".join(sorted(profile.without_report))
    return Replaced("SR", described(wanted), instead)
