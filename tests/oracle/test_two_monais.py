"""Two isolated plugins that require two versions of MONAI, at work on one study in one daemon."""

import sys
from pathlib import Path

import pydicom
import pytest
from typer.testing import CliRunner

from medaet.cli import application
from medaet.demo.run import await_daemon
from medaet.demo.scans import write_scan
from medaet.demo.site import site
from tests.acceptance.hospital import objects_by_study, wait_until
from tests.stages.test_isolated import wheel

pytestmark = pytest.mark.oracle

VERSIONS = ("1.5.1", "1.6.1")
PLUGIN = """
from medaet import Analysis, Findings, Measurement, Segment, SeriesSelector, hookimpl
from medaet.codes import LUNG

class Air(Analysis):
    name, version, title = "{name}", "1.0", "Air by MONAI"
    inputs = {{"ct": SeriesSelector(modality="CT", min_slices=5)}}

    def load(self, runtime):
        import torch
        from monai.networks.nets import UNet

        torch.manual_seed(0)
        self.network = UNet(3, 1, 2, (4, 8), (2,)).to(runtime.device).eval()

    def analyse(self, inputs, runtime):
        import monai, torch
        from monai.inferers import sliding_window_inference
        from monai.transforms import AsDiscrete

        volume = runtime.tensor(inputs["ct"])
        with torch.inference_mode():
            seen = sliding_window_inference(volume[None, :, :16, :64, :64], (16, 32, 32), 1, self.network)
        air = AsDiscrete(threshold=0.5)((volume < -800).float().cpu())[0].numpy() > 0
        return Findings(
            [Segment("Air", air, LUNG)],
            [Measurement.volume(of="Air")],
            remarks=[f"MONAI {{monai.__version__}}, torch {{torch.__version__}}, {{tuple(seen.shape)}}"],
        )

@hookimpl
def medaet_analyses():
    return [Air]
"""


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugins, and beside them the two releases of MONAI that `make oracle` fetched; no index is asked."""
    fetched = Path(sys.prefix)
    missing = [one for one in VERSIONS if not list(fetched.glob(f"monai-{one}-*.whl"))]
    assert not missing, f"{fetched} has no wheel of MONAI {missing[0]}; `make oracle` fetches it"
    folder = tmp_path / "wheels"
    folder.mkdir()
    for version in VERSIONS:
        name = f"air-{version.replace('.', '-')}"
        points = f"[medaet.plugins]\n{name} = {name.replace('-', '_')}\n"
        wheel(
            folder, name, "1.0", PLUGIN.format(name=name), "Requires-Dist: medaet",
            f"Requires-Dist: monai=={version}", points=points,
        )  # fmt: skip
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{folder} {fetched}")
    return folder


def test_two_versions_of_monai_work_on_one_study_in_one_daemon(
    wheels: Path, tmp_path: Path
) -> None:
    names = [f"air-{version.replace('.', '-')}" for version in VERSIONS]
    scan = write_scan("chest-ct", tmp_path / "scan")
    with site(tmp_path / "site", names) as hospital:
        for name in names:
            typed = ["plugins", "install", name, "--isolated", "--shared", "torch"]
            typed += ["--config", str(hospital.config_file)]
            done = CliRunner().invoke(application(typed), typed)
            assert done.exit_code == 0, done.output
        hospital.start_pacs()
        hospital.start_daemon()
        assert await_daemon(hospital)
        assert hospital.scan(scan[0].parent).wait(60) == 0
        wait_until(
            lambda: sum(objects_by_study(hospital.archive).values()) >= 4, 240, "two results each"
        )
        said = set()
        for path in hospital.archive.glob("*.dcm"):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            if dataset.Modality == "SR":
                said |= {
                    str(item.TextValue).partition("+")[0]
                    for item in dataset.ContentSequence[-1].ContentSequence
                    if "TextValue" in item and item.TextValue.startswith("MONAI")
                }
    assert said == {f"MONAI {version}, torch 2.13.0" for version in VERSIONS}
