"""Certificates: what a reduced precision did on reference cases, beside fp32, and what exactly was compared."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from medaet.precision import REDUCED, EngineName, Limits, Precision

FORMAT = 1
NETWORKS = "networks"
MAXIMUM_BYTES = 16 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Figures:
    """One structure on one case.

    Attributes:
        case: Hash of the case.
        label: Of the structure.
        dice: Coefficient with the mask found in fp32.
        reference_ml: Volume found in fp32.
        volume_ml: Volume found in the candidate precision.
    """

    case: str
    label: str
    dice: float
    reference_ml: float
    volume_ml: float

    @property
    def volume_error_percent(self) -> float:
        """Difference of the volumes in percent of the one found in fp32; 100 for something where nothing was."""
        if self.reference_ml == 0:
            return 100.0 if self.volume_ml else 0.0
        return 100 * abs(self.volume_ml - self.reference_ml) / self.reference_ml

    def faults(self, limits: Limits) -> Iterator[str]:
        """Say which limits are not kept, each with its figure."""
        if self.dice < limits.lowest_dice:
            yield f"{self.label}: Dice {self.dice:.4f}, at least {limits.lowest_dice:g} is required"
        error, most = self.volume_error_percent, limits.largest_volume_error_percent
        if error > most:
            yield (
                f"{self.label}: volume {self.volume_ml:.2f} instead of {self.reference_ml:.2f} ml, "
                f"{error:.2f} % off where {most:g} % are allowed"
            )


@dataclass(frozen=True, slots=True)
class Certificate:
    """Allows one analysis one reduced precision on one kind of machine.

    Attributes:
        analysis: Its name.
        version: Its version.
        weights_sha256: Hash of the files that decide its results, in fp32.
        candidate_sha256: Hash of what was compared: of the quantised networks; the same as `weights_sha256` where the
            same weights are computed in another format.
        files: SHA-256 of each quantised network, by file name.
        precision: That was compared with fp32.
        engine: That computed it.
        platform: Device and versions it holds for.
        limits: That were kept.
        figures: For each structure of each case.
        reference_seconds: What all cases took in fp32, in torch.
        candidate_seconds: What they took in this precision.
        verified_at: ISO 8601, UTC.
    """

    analysis: str
    version: str
    weights_sha256: str
    candidate_sha256: str
    files: Mapping[str, str]
    precision: Precision
    engine: EngineName
    platform: Mapping[str, str]
    limits: Limits
    figures: tuple[Figures, ...]
    reference_seconds: float
    candidate_seconds: float
    verified_at: str

    @property
    def sha256(self) -> str:
        """Hash of all of this; reports name it."""
        return hashlib.sha256(self.json().encode()).hexdigest()

    @property
    def lowest_dice(self) -> float:
        """Dice coefficient of the structure that came out worst."""
        return min((one.dice for one in self.figures), default=1.0)

    def json(self) -> str:
        """Write it down, always in the same way."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Certificate":
        """Read what `json` wrote.

        Raises:
            LookupError, TypeError, ValueError: it is no certificate of this format.
        """
        values = dict(content)
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        values["limits"] = Limits(**values["limits"])
        values["figures"] = tuple(Figures(**one) for one in values["figures"])
        # It may come with a model, from anywhere, and all of these become parts of paths.
        names = [values["analysis"], values["precision"], *values["files"]]
        known = values["precision"] in REDUCED and values["engine"] in get_args(EngineName)
        if not known or not all(_NAME.fullmatch(one) for one in names):
            raise ValueError("a name that is none")
        return cls(**values)

    def holds_on(self, platform: Mapping[str, str]) -> bool:
        """Whether device and versions are those it was made with."""
        return held_to(platform, self.engine) == dict(self.platform)


def held_to(platform: Mapping[str, str], engine: str) -> dict[str, str]:
    """Leave out the versions of packages that have no part in a figure: those of other engines."""
    return {
        name: value
        for name, value in platform.items()
        if name in ("device", "torch") or name.startswith(engine)
    }


class CertificateStore:
    """Certificates in a folder, a JSON file each, and quantised networks below it.

    Args:
        folder: Made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def networks(self) -> Path:
        """Where quantised networks are."""
        return self._folder / NETWORKS

    def all(self) -> list[Certificate]:
        """Read every certificate; a file that is none is left out."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                with path.open("rb") as file:
                    content = file.read(MAXIMUM_BYTES)
                found.append(Certificate.of(json.loads(content)))
            except (OSError, AttributeError, LookupError, TypeError, ValueError):
                continue
        return found

    def keep(self, certificate: Certificate) -> Path:
        """Write a certificate, in place of an older one for the same."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(certificate.analysis, certificate.precision, certificate.platform)
        part = path.with_suffix(".part")
        part.write_text(certificate.json(), encoding="utf-8")
        part.replace(path)
        return path

    def revoke(self, analysis: str, precision: Precision, platform: Mapping[str, str]) -> bool:
        """Take back a certificate; return whether there was one."""
        gone = False
        for one in self.all():
            if one.analysis == analysis and one.precision == precision and one.holds_on(platform):
                self._path(analysis, precision, one.platform).unlink(missing_ok=True)
                gone = True
        return gone

    def refusal(self, certificate: Certificate) -> str:
        """Say why quantised networks are not those of a certificate; empty where they are."""
        for name, wanted in certificate.files.items():
            try:
                found = hashlib.sha256((self.networks / name).read_bytes()).hexdigest()
            except OSError:
                return f"the quantised network {name} is missing"
            if found != wanted:
                return f"the quantised network {name} is not the one that was verified"
        return ""

    def _path(self, analysis: str, precision: str, platform: Mapping[str, str]) -> Path:
        facts = json.dumps(dict(platform), sort_keys=True)
        digest = hashlib.sha256(facts.encode()).hexdigest()
        return self._folder / f"{analysis}-{precision}-{digest[:12]}.json"
