"""The terms of each analysis: what the configuration asks for, as far as certificates allow it here."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import structlog

from medaet.config.model import ComputeSection
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.registry import Registry
from medaet.precision import Precision, Terms

log = structlog.get_logger()


class TermsOf:
    """Decides on which terms an analysis is computed on one platform.

    Args:
        wanted: `[compute.NAME]` of the configuration, by name of the analysis.
        registry: The installed analyses.
        store: Where certificates are; None where nothing is ever certified.
    """

    def __init__(
        self,
        wanted: Mapping[str, ComputeSection] = MappingProxyType({}),
        registry: Registry | None = None,
        store: CertificateStore | None = None,
    ) -> None:
        self._wanted = wanted
        self._registry = registry or Registry()
        self._store = store or CertificateStore(Path(os.devnull))

    def terms(self, name: str, platform: Callable[[], Mapping[str, str]]) -> Terms:
        """Return the terms of an analysis; what has no certificate is computed in fp32, as log and report say.

        Args:
            name: Of the analysis.
            platform: Tells what computes; asked only where it matters.
        """
        wanted, analysis = self._wanted.get(name), self._registry.analyses.get(name)
        if wanted is None or analysis is None:
            return Terms()
        reduced = {wanted.precision, wanted.spare_precision} - {"fp32", None}
        here = platform() if reduced else {}
        precision, refusal = self._allowed(analysis, wanted.precision, here)
        spare, _ = self._allowed(analysis, wanted.spare_precision, here)
        if refusal:
            log.warning("precision.refused", analysis=name, reason=refusal)
        used = [one for one in (precision, spare) if one is not None]
        files = {name: digest for one in used for name, digest in one.files.items()}
        return Terms(
            engine=precision.engine if precision else wanted.engine,
            precision=precision.precision if precision else "fp32",
            certificate=precision.sha256 if precision else "",
            spare_precision=spare.precision if spare else None,
            spare_certificate=spare.sha256 if spare else "",
            refused=refusal,
            quantised=str(self._store.networks.absolute()) if files else "",
            files=files,
        )

    def refusal(self, name: str, precision: Precision | None, platform: Mapping[str, str]) -> str:
        """Say why a precision is not used for an analysis, and what to do; empty where it is."""
        analysis = self._registry.analyses.get(name)
        if analysis is None:
            return f"no analysis named {name!r} is installed; install it, or mend [compute.{name}]"
        return self._allowed(analysis, precision, platform)[1]

    def _allowed(
        self, analysis: type[Analysis], precision: Precision | None, platform: Mapping[str, str]
    ) -> tuple[Certificate | None, str]:
        """Find the certificate of a reduced precision, or say why there is none that counts."""
        if precision in (None, "fp32"):
            return None, ""
        remedy = f"run `medaet models verify {analysis.name} --precision {precision}`"
        made = [
            one
            for one in self._store.all()
            if one.analysis == analysis.name and one.precision == precision
        ]
        weights = weights_sha256(analysis)
        of_these = [
            one for one in made if (one.version, one.weights_sha256) == (analysis.version, weights)
        ]
        here = [one for one in of_these if one.holds_on(platform)]
        if not here:
            why = (
                f"the certificate of {precision} is for another device or other versions"
                if of_these
                else f"the certificate of {precision} is for other weights"
                if made
                else f"{precision} has no certificate"
            )
            return None, f"{why}; {remedy}"
        refusal = self._store.refusal(here[0])
        return (None, f"{refusal}; {remedy}") if refusal else (here[0], "")
