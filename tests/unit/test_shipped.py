"""Certificates that come with a model: taken over for the very files they were made for, and nothing else."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from medaet.plugin.certificate import Certificate, CertificateStore, Figures
from medaet.plugin.model import Model, digest
from medaet.precision import Limits
from medaet.worker.shipped import adopt

NETWORK = b"an ONNX file"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path, Model]:
    """A model folder with a certificate, the same imported, and its manifest."""
    source, placed = tmp_path / "source", tmp_path / "models" / "lungs"
    for folder in (source, placed):
        folder.mkdir(parents=True)
        (folder / "training.json").write_text("{}")
    (placed / "model.toml").write_text('name = "lungs"')
    networks = source / "certificates" / "networks"
    networks.mkdir(parents=True)
    (networks / "net.onnx").write_bytes(NETWORK)
    model = Model.model_validate(
        {
            "kind": "trained",
            "name": "lungs",
            "version": "2",
            "inputs": {"ct": {"modality": "CT"}},
            "outputs": [],
            "origin": {"source": "x", "imported_at": "2026-01-01T00:00:00Z"},
        }
    )
    return source, placed, model


def _certificate(source: Path) -> Certificate:
    return Certificate(
        analysis="other-name",
        version="1",
        weights_sha256=hashlib.sha256((source / "training.json").read_bytes()).hexdigest(),
        candidate_sha256="c",
        files={"net.onnx": hashlib.sha256(NETWORK).hexdigest()},
        precision="int8",
        engine="openvino",
        platform={"device": "cpu"},
        limits=Limits(),
        figures=(Figures("a", "Lung", 0.999, 10.0, 10.0),),
        reference_seconds=2.0,
        candidate_seconds=1.0,
        verified_at="2026-01-01T00:00:00+00:00",
    )


def test_a_certificate_for_these_files_is_written_for_the_imported_model(
    made: tuple[Path, Path, Model], tmp_path: Path
) -> None:
    source, placed, model = made
    CertificateStore(source / "certificates").keep(_certificate(source))
    store = CertificateStore(tmp_path / "certificates")
    (adopted,) = adopt(source, placed, model, store)
    assert store.all() == [adopted]
    assert (adopted.analysis, adopted.version, adopted.weights_sha256) == (
        "lungs",
        "2",
        digest(placed),
    )
    assert store.refusal(adopted) == ""


@pytest.mark.parametrize("what", ["weights", "network", "held"])
def test_a_certificate_for_anything_else_is_left(
    made: tuple[Path, Path, Model], tmp_path: Path, what: str
) -> None:
    source, placed, model = made
    store = CertificateStore(tmp_path / "certificates")
    one = _certificate(source)
    if what == "weights":
        one = replace(one, weights_sha256="another")
    elif what == "network":
        (source / "certificates" / "networks" / "net.onnx").write_bytes(b"another")
    else:
        store.networks.mkdir(parents=True)
        (store.networks / "net.onnx").write_bytes(b"of another certificate")
    CertificateStore(source / "certificates").keep(one)
    assert adopt(source, placed, model, store) == []
    assert store.all() == []


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "shell"},
        {"precision": "../../int8"},
        {"analysis": "/etc/x"},
        {"files": {"../../../x.onnx": "ab"}},
    ],
)
def test_a_certificate_names_no_path_and_no_engine_of_its_own(
    tmp_path: Path, change: dict[str, object]
) -> None:
    (tmp_path / "training.json").write_text("{}")
    content = {"format": 1, **asdict(_certificate(tmp_path)), **change}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert CertificateStore(tmp_path).all() == []
    with pytest.raises(ValueError, match="name"):
        Certificate.of(content | {"limits": asdict(Limits()), "figures": []})
