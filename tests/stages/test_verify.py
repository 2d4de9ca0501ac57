"""The accuracy gate with a real child: what keeps the limits is certified and used, what does not is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from structlog.testing import capture_logs
from typer.testing import CliRunner

from medaet import Volume
from medaet.cli import application
from medaet.config.model import ComputeSection
from medaet.errors import PluginError, PrecisionError
from medaet.plugin import folder
from medaet.plugin.case import ReferenceCase, copy_cases, limits_of, shipped_cases
from medaet.plugin.certificate import Certificate, CertificateStore
from medaet.plugin.registry import discover
from medaet.precision import Limits
from medaet.testing.phantom import write_series
from medaet.worker.child import WorkerChild
from medaet.worker.request import Request, Run
from medaet.worker.terms import TermsOf
from medaet.worker.verify import Gate

ZOO = "tests.compute_zoo"
NAME = "zoo-quantisable"
REGISTRY = discover([ZOO, "medaet.testing.plugin_zoo"])


@pytest.fixture(scope="module")
def child() -> Iterator[WorkerChild]:
    one = WorkerChild("cpu", [ZOO, "medaet.testing.plugin_zoo"])
    yield one
    one.close()


@pytest.fixture(scope="module")
def case() -> ReferenceCase:
    voxels = np.random.default_rng(3).integers(-1000, 1000, (12, 16, 16), dtype=np.int16)
    return ReferenceCase("noise", {"ct": Volume(voxels, np.eye(4), "CT")})


@pytest.fixture
def gate(child: WorkerChild, case: ReferenceCase, tmp_path: Path) -> Gate:
    store = CertificateStore(tmp_path / "certificates")
    return Gate(REGISTRY.analyses[NAME], {}, [case], child, store, seconds=60)


def _run(gate: Gate, tmp_path: Path, wanted: ComputeSection) -> Run:
    """Run the analysis as the configuration asks."""
    terms_of = TermsOf({NAME: wanted}, REGISTRY, gate.store)
    return gate.child.analyse(
        Request(
            analysis=NAME,
            settings={},
            inputs=gate.cases[0].inputs,
            where=tmp_path / "findings",
            seconds=60,
            terms=terms_of.terms(NAME, lambda: gate.child.platform_of(NAME)),
        )
    )


def _damage(path: Path) -> None:
    """Make a quantised network another one: its weights point the other way."""
    model = onnx.load(str(path))
    for one in model.graph.initializer:
        array = numpy_helper.to_array(one)
        if array.dtype == np.int8 and array.ndim == 5:
            one.CopyFrom(numpy_helper.from_array(np.roll(-array, 1, axis=0), one.name))
    onnx.save(model, str(path))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_quantised_network_that_keeps_the_limits_is_certified_used_and_named(
    gate: Gate, tmp_path: Path, engine: str
) -> None:
    certificate = gate.verify("int8", engine)  # type: ignore[arg-type] # one of the two
    assert certificate.engine == engine
    assert certificate.candidate_sha256 != certificate.weights_sha256
    assert certificate.lowest_dice >= 0.99
    assert CertificateStore(tmp_path / "certificates").all() == [certificate]
    computed = _run(gate, tmp_path, ComputeSection(precision="int8")).computed
    assert computed["precision"] == "int8"
    assert computed["engine"] == engine
    assert computed["certificate"] == certificate.sha256


def test_a_damaged_quantised_network_is_refused_with_structure_and_figure(
    gate: Gate, tmp_path: Path
) -> None:
    gate.verify("int8", "onnxruntime")
    (network,) = gate.store.networks.glob("*.onnx")
    _damage(network)
    with capture_logs() as logs:
        computed = _run(gate, tmp_path, ComputeSection(precision="int8")).computed
    assert computed["precision"] == "fp32"
    assert "is not the one that was verified" in computed["precision refused"]
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["precision.refused"]
    with pytest.raises(PrecisionError, match=r"Found: Dice 0\.\d+, at least 0\.99 is required"):
        gate.verify("int8", "onnxruntime")
    assert gate.store.all() == []
    assert gate.verify("int8", "onnxruntime", anew=True).lowest_dice >= 0.99


def test_half_precision_is_certified_with_the_same_weights(gate: Gate, tmp_path: Path) -> None:
    certificate = gate.verify("bf16", "eager")
    assert certificate.candidate_sha256 == certificate.weights_sha256
    computed = _run(gate, tmp_path, ComputeSection(precision="bf16")).computed
    assert (computed["precision"], computed["certificate"]) == ("bf16", certificate.sha256)


def test_a_precision_without_certificate_is_not_used(gate: Gate, tmp_path: Path) -> None:
    computed = _run(gate, tmp_path, ComputeSection(precision="bf16", engine="eager")).computed
    assert computed["precision"] == "fp32"
    assert "medaet models verify zoo-quantisable --precision bf16" in computed["precision refused"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "0"}, "for other weights"),
        ({"weights_sha256": "0"}, "for other weights"),
        ({"platform": {"device": "another"}}, "another device or other versions"),
    ],
)
def test_a_certificate_counts_for_what_was_verified_only(
    gate: Gate, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    certificate = gate.verify("bf16", "eager")
    gate.store.revoke(NAME, "bf16", gate.child.platform_of(NAME))
    gate.store.keep(replace(certificate, **change))  # type: ignore[arg-type] # one of its attributes
    assert (
        words
        in _run(gate, tmp_path, ComputeSection(precision="bf16")).computed["precision refused"]
    )


def test_an_analysis_that_uses_no_network_cannot_be_certified(gate: Gate) -> None:
    tame = replace(gate, analysis=REGISTRY.analyses["zoo-tame"])
    with pytest.raises(PrecisionError, match=r"nothing of zoo-tame was computed in bf16"):
        tame.verify("bf16")


def test_an_analysis_without_cases_cannot_be_certified(gate: Gate) -> None:
    with pytest.raises(PrecisionError, match="--case"):
        replace(gate, cases=[]).verify("bf16")


def test_the_command_certifies_lists_and_says_how_to_use_it(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", modality="CT", shape=(4, 16, 16))
    config = tmp_path / "medaet.toml"
    config.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    words = ["models", "verify", NAME, "--precision", "bf16", "--engine", "eager"]
    words += ["--case", str(tmp_path / "ct"), "--module", ZOO, "--config", str(config)]
    with capture_logs():
        shown = CliRunner().invoke(application(words), words)
    assert shown.exit_code == 0, shown.output
    assert '[compute.zoo-quantisable] precision = "bf16"' in shown.output
    listing = ["models", "certificates", "--json", "--config", str(config)]
    (listed,) = json.loads(CliRunner().invoke(application(listing), listing).output)
    assert (listed["analysis"], listed["precision"], listed["state"]) == (NAME, "bf16", "well")


def test_the_command_refuses_what_is_no_precision() -> None:
    words = ["models", "verify", NAME, "--precision", "fp8"]
    assert CliRunner().invoke(application(words), words).exit_code == 2


def test_certificates_that_are_none_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "b.json").write_text('{"format": 2}')
    assert CertificateStore(tmp_path).all() == []
    with pytest.raises(ValueError, match="format"):
        Certificate.of({"format": 2})


def test_cases_that_came_with_a_model_are_read(
    case: ReferenceCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = REGISTRY.analyses[NAME]
    monkeypatch.setattr(analysis, "reference", str(tmp_path / "reference"))
    assert shipped_cases(analysis) == []
    folder.save_volume(case.inputs["ct"], tmp_path / "reference" / "case-1")
    (read,) = shipped_cases(analysis)
    assert (read.name, read.sha256) == ("case-1", case.sha256)


def test_limits_are_those_that_training_laid_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = REGISTRY.analyses[NAME]
    assert limits_of(analysis) == Limits()
    monkeypatch.setattr(analysis, "resource", lambda name: tmp_path / name)
    written = {"lowest_dice": 0.97, "largest_volume_error_percent": 3.0}
    (tmp_path / "training.json").write_text(json.dumps({"limits": written}))
    assert limits_of(analysis) == Limits(0.97, 3.0)
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(PluginError, match="install it again"):
        limits_of(analysis)


def test_cases_and_limits_of_a_trained_model_come_along_when_it_is_imported(
    case: ReferenceCase, tmp_path: Path
) -> None:
    source, folder_of_model = tmp_path / "trained", tmp_path / "models" / "thorax"
    folder.save_volume(case.inputs["ct"], source / "reference" / "case-1")
    (source / "reference" / "case-1" / "passwd").symlink_to("/etc/passwd")
    (source / "training.json").write_text("{}")
    copy_cases(source, folder_of_model)
    assert sorted(
        path.relative_to(folder_of_model).as_posix()
        for path in folder_of_model.rglob("*")
        if path.is_file()
    ) == ["reference/case-1/volume.json", "reference/case-1/voxels.npy", "training.json"]
