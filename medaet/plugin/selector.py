"""Which series an analysis takes, and the sentence that says why one was taken or left."""

import re
from dataclasses import dataclass
from typing import Literal

from medaet.dicom.identity import SeriesFacts
from medaet.dicom.stack import Choice

NEVER_VOLUMES = ("LOCALIZER", "SCOUT", "TOPOGRAM")
"""Image Type values of overview images (PS3.3 §C.8.2.1.1.1), which no selector takes unless told to."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a selector against one series.

    Attributes:
        attribute: The PS3.6 keyword, or "slices".
        wanted: What the selector asks for, in words.
        found: What the series has; empty when the attribute is absent.
        passed: Whether they agree.
    """

    attribute: str
    wanted: str
    found: str
    passed: bool

    def __str__(self) -> str:
        """Say it as a person would: `Modality is 'MR', wanted CT`."""
        found = repr(self.found) if self.found else "absent"
        return f"{self.attribute} is {found}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class SeriesSelector:
    """The conditions a series must meet to take a role in an analysis; text is compared without case.

    Attributes:
        modality: Modality (0008,0060), such as "CT" or "MR"; several for any of them.
        body_part: Accepted Body Part Examined (0018,0015). Many scanners leave that attribute empty; then one of
            these words must stand in the study's, the series' or the protocol's description.
        min_slices: Fewest slices.
        max_slices: Most slices; None for no limit.
        description_excludes: Words that must not stand in the series description.
        image_type_excludes: Image Type values that rule a series out.
        volume: Which volume of a series that holds several (echoes, phases): the one with most slices, which is the
            first of several equal ones; or the first or last in time.
        irregular: "refuse" a volume in which slices are missing, doubled or spaced unevenly, or "resample" it; the
            report says what was done.
        refers_to: Another role of the analysis. The series is then no volume of its own but holds Segmentations (SEG)
            or RT Structure Sets (RTSTRUCT) of the series in that role, and their regions come with its volume
            (`Volume.regions`).
    """

    modality: str | tuple[str, ...]
    body_part: tuple[str, ...] = ()
    min_slices: int = 1
    max_slices: int | None = None
    description_excludes: tuple[str, ...] = ()
    image_type_excludes: tuple[str, ...] = NEVER_VOLUMES
    volume: Literal["largest", "first", "last"] = "largest"
    irregular: Literal["refuse", "resample"] = "refuse"
    refers_to: str | None = None

    @property
    def choice(self) -> Choice:
        """What to read of a series that was selected."""
        return Choice(self.volume, self.irregular, self.min_slices)

    def checks(self, series: SeriesFacts) -> tuple[Check, ...]:
        """Compare every condition, also after the first that fails, so that all can be shown."""
        wanted = (self.modality,) if isinstance(self.modality, str) else self.modality
        checks = [_equal("Modality", wanted, series.modality)]
        if self.refers_to is not None:
            found = ", ".join(series.references)
            checks.append(Check("references", f"a series as {self.refers_to}", found, bool(found)))
        if self.body_part:
            checks.append(self._body_part(series))
        checks.append(self._slices(series))
        if self.description_excludes:
            words = _words(series.series_description)
            hit = [word for word in self.description_excludes if word.upper() in words]
            checks.append(
                Check(
                    "SeriesDescription",
                    f"without {' or '.join(self.description_excludes)}",
                    ", ".join(hit) or "none of them",
                    not hit,
                )
            )
        excluded = [value for value in series.image_type if value in self.image_type_excludes]
        if self.image_type_excludes:
            checks.append(
                Check(
                    "ImageType",
                    f"without {' or '.join(self.image_type_excludes)}",
                    "\\".join(series.image_type),
                    not excluded,
                )
            )
        return tuple(checks)

    def matches(self, series: SeriesFacts) -> bool:
        """Whether every condition holds."""
        return all(check.passed for check in self.checks(series))

    def _body_part(self, series: SeriesFacts) -> Check:
        if series.body_part:
            return _equal("BodyPartExamined", self.body_part, series.body_part)
        words = _words(
            f"{series.study_description} {series.series_description} {series.protocol_name}"
        )
        hit = [part for part in self.body_part if part.upper() in words]
        wanted = f"{' or '.join(self.body_part)}, there or as a word of a description"
        return Check("BodyPartExamined", wanted, hit[0] if hit else "", bool(hit))

    def _slices(self, series: SeriesFacts) -> Check:
        most = self.max_slices
        passed = series.slices >= self.min_slices and (most is None or series.slices <= most)
        wanted = f"at least {self.min_slices}" + (f" and at most {most}" if most else "")
        return Check("slices", wanted, str(series.slices), passed)


def _equal(attribute: str, wanted: tuple[str, ...], found: str) -> Check:
    passed = found.strip().upper() in {value.upper() for value in wanted}
    return Check(attribute, " or ".join(wanted), found.strip(), passed)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Z0-9]+", text.upper()))
