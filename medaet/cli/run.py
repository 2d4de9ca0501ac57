"""`medaet run`: one analysis on files, without database and network."""

import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from medaet.cli.features import write_features
from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.series import FoundSeries, choose, find_series, same_work
from medaet.cli.watch import watched
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.dicom.decoders import Decoders
from medaet.dicom.volume import Volume
from medaet.errors import ConfigError
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.certificate import CertificateStore
from medaet.plugin.detection import Detection
from medaet.plugin.findings import Findings
from medaet.plugin.inputs import read_inputs
from medaet.plugin.registry import discover
from medaet.precision import Terms
from medaet.results.objects import Algorithm, Encoded, Source, encode
from medaet.results.pictures import write_pictures
from medaet.worker.children import Children
from medaet.worker.request import Request
from medaet.worker.terms import TermsOf

FINDINGS = "findings.json"


def run(  # noqa: PLR0913 -- one argument for each option
    name: Annotated[
        str, typer.Argument(metavar="ANALYSIS", help="`medaet plugins list` shows them")
    ],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="files and folders", exists=True)
    ],
    out: Annotated[
        Path, typer.Option("--out", help="gets *.dcm, *.png and findings.json", file_okay=False)
    ],
    *,
    features_csv: Annotated[
        Path | None, typer.Option(help="gets every radiomic feature, a row each", dir_okay=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda:0")] = "cpu",
    setting: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="a setting of the analysis")
    ] = None,
    module: Annotated[
        list[str] | None, typer.Option(help="a plugin module that is not installed")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="run again whenever the plugin's files change")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Run one analysis on files; results are read back and proven before they are written.

    Exit 0 when done, 1 when no series fits or the analysis or its proof fails, 2 for an unknown analysis or a wrong
    setting.
    """
    with exit_codes():
        configured = load(config)
        registry = discover(module or (), configured.models_path)
        analysis = registry.analyses.get(name)
        if analysis is None:
            known = ", ".join(sorted(registry.analyses)) or "none"
            raise ConfigError(f"no analysis named {name!r} is installed; installed are {known}")
        if watch:
            watched(analysis)
            return
        settings = {**configured.plugins.get(name, {}), **_settings(setting or ())}
        registry.with_settings(name, settings)
        chosen = choose(analysis, find_series(paths))
        one = Run(analysis, settings, chosen, device)
        child = Children(
            device,
            module or (),
            models=configured.models_path,
            hooks=configured.hooks.plugins,
        )
        store = CertificateStore(configured.certificates_path)
        terms_of = TermsOf(configured.compute, registry, store)
        try:
            with Console(stderr=True).status(f"{name} on {device} ..."):
                report = one.write(
                    child,
                    out,
                    seconds=configured.worker.job_timeout_seconds,
                    terms=terms_of.terms(name, lambda: child.platform_of(name)),
                    features_csv=features_csv,
                )
        finally:
            child.close()
    if as_json:
        print_json(report)
        return
    _show(report, out)


class Run:
    """One analysis on chosen series.

    Args:
        analysis: From the registry.
        settings: Its own.
        chosen: A series for each role.
        device: In torch's spelling.
    """

    def __init__(
        self,
        analysis: type[Analysis],
        settings: Mapping[str, object],
        chosen: Mapping[str, FoundSeries],
        device: str,
    ) -> None:
        self._analysis = analysis
        self._settings = settings
        self._chosen = chosen
        self._device = device

    def write(
        self,
        child: Children,
        out: Path,
        *,
        seconds: float,
        terms: Terms = Terms(),  # noqa: B008 -- frozen
        features_csv: Path | None = None,
    ) -> dict[str, object]:
        """Analyse, encode, prove, and write everything into a folder.

        Args:
            child: Where the analysis runs.
            out: Made when it does not exist.
            seconds: Time limit of the analysis.
            terms: On which its networks are computed.
            features_csv: Gets the radiomic features; None for no such file.

        Returns:
            What findings.json holds.

        Raises:
            MedaetError: of reading, of the analysis, of encoding or of the proof; nothing is written then.
        """
        started_at, started = SystemClock().now(), time.monotonic()
        paths = {role: one.paths for role, one in self._chosen.items()}
        with Decoders() as decoders:
            volumes = read_inputs(self._analysis.inputs, paths, decoders)
        with tempfile.TemporaryDirectory(prefix="medaet-run-") as scratch:
            ran = child.analyse(
                Request(
                    analysis=self._analysis.name,
                    settings=self._settings,
                    inputs=volumes,
                    where=Path(scratch) / "findings",
                    seconds=seconds,
                    terms=terms,
                )
            )
            findings = ran.findings
            algorithm = self._algorithm(started_at, time.monotonic() - started, ran.computed)
            folder = Path(scratch) / "results"
            encoded = encode(findings, Source(paths, volumes), algorithm, folder)
            out.mkdir(parents=True, exist_ok=True)
            write_pictures(out, volumes, findings, title=algorithm.readable_title)
            report = _report(algorithm, findings, volumes, _written(encoded, out))
            if features_csv is not None:
                write_features(features_csv, findings)
        (out / FINDINGS).write_text(json.dumps(report, indent=2, default=str), encoding="utf-8")
        return report

    def _algorithm(
        self, started_at: datetime, seconds: float, computed: Mapping[str, str]
    ) -> Algorithm:
        analysis, weights = self._analysis, weights_sha256(self._analysis)
        return Algorithm(
            name=analysis.name,
            version=analysis.version,
            title=analysis.title,
            family=analysis.family,
            weights_sha256=weights,
            settings=self._settings,
            intended_use=analysis.intended_use,
            not_for_diagnostic_use=analysis.not_for_diagnostic_use,
            device=self._device,
            started_at=started_at,
            seconds=seconds,
            instance_key=same_work(analysis, weights, self._settings, self._chosen),
            computed=computed,
            procedure=analysis.procedure,
        )


def _written(encoded: Sequence[Encoded], out: Path) -> list[dict[str, object]]:
    """Write each object under its kind and a number, and say what it is."""
    listed: list[dict[str, object]] = []
    for number, one in enumerate(encoded, start=1):
        path = out / f"{number}-{one.kind.lower()}.dcm"
        shutil.move(one.path, path)
        facts = {"kind": one.kind, "file": path.name, "sop_instance_uid": one.sop_instance_uid}
        listed.append({**facts, "proof": one.proof})
    return listed


def _report(
    algorithm: Algorithm,
    findings: Findings,
    volumes: Mapping[str, Volume],
    objects: list[dict[str, object]],
) -> dict[str, object]:
    return {
        "analysis": algorithm.name,
        "version": algorithm.version,
        "device": algorithm.device,
        "seconds": round(algorithm.seconds, 2),
        "settings": dict(algorithm.settings),
        "computed": dict(algorithm.computed),
        "segments": [
            {
                "label": one.label,
                "role": one.role,
                "voxels": one.count,
                "volume_ml": round(one.count * volumes[str(one.role)].voxel_ml, 3),
            }
            for one in findings.segments
        ],
        "measurements": [asdict(one) for one in findings.measurements],
        "detections": [_placed(one, volumes[str(one.role)]) for one in findings.detections],
        "classifications": [asdict(one) for one in findings.classifications],
        "remarks": list(findings.remarks),
        "objects": objects,
    }


def _placed(one: Detection, volume: Volume) -> dict[str, object]:
    """Describe a box, also by its corners (8, 3) in mm, LPS+."""
    corners = one.box.corners_mm(volume.affine)
    return {**asdict(one), "corners_mm": corners.round(4).tolist()}


def _settings(pairs: Sequence[str]) -> dict[str, object]:
    """Read KEY=VALUE pairs; a value is JSON where it can be, else text."""
    found: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--setting {pair!r}: write KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


def _show(report: Mapping[str, Any], out: Path) -> None:
    found = [(one["label"], f"{one['volume_ml']:.1f} ml") for one in report["segments"]]
    found += [(one["label"], f"box, {one['score']:.0%}") for one in report["detections"]]
    for one in report["classifications"]:
        likely = "" if one["probability"] is None else f", {one['probability']:.0%}"
        found.append((one["label"], ("detected" if one["present"] else "not detected") + likely))
    found += [
        (one["name"]["meaning"], f"{one['value']:.4g} {one['unit']['value']}")
        for one in report["measurements"]
        if one["of"] is None and one["value"] is not None
    ]
    print_table(("finding", "what"), found, empty="no findings")
    for path in sorted(out.glob("*.png")) + sorted(out.glob("*.dcm")) + [out / FINDINGS]:
        typer.echo(path)
    typer.echo(f"{report['seconds']} s on {report['device']}; not for diagnostic use")
