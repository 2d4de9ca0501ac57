"""nnU-Net folders of the shape of TotalSegmentator: random weights, and as many classes as one likes."""

import json
import zipfile
from pathlib import Path

import torch

from medaet_plugins.nnunet.network import build
from medaet_plugins.nnunet.plan import plan_of

EXPORT = Path(__file__).parent / "data" / "thorax-nnunet.zip"
CONFIGURATION = "3d_fullres"


def write_group(folder: Path, classes: tuple[int, ...], *, spacing_mm: float | None = None) -> Path:
    """Write a rough model, which was trained and finds lungs, and sub-models of so many classes, which were not.

    Args:
        folder: Made anew.
        classes: Of each sub-model.
        spacing_mm: Of all networks, where it is not what the rough one was trained at.
    """
    with zipfile.ZipFile(EXPORT) as archive:
        archive.extractall(folder / "rough")
    rough = next(path.parent for path in (folder / "rough").rglob("plans.json"))
    dataset = json.loads((rough / "dataset.json").read_text())
    plans = json.loads((rough / "plans.json").read_text())
    if spacing_mm is not None:
        plans["configurations"][CONFIGURATION].update(spacing=[spacing_mm] * 3, patch_size=[64] * 3)
    names = []
    for number, count in enumerate(classes):
        labels = {f"part {number} class {one}": one for one in range(1, count + 1)}
        own = {**dataset, "name": f"part-{number}", "labels": {"background": 0, **labels}}
        names.append(f"part-{number}")
        _write_part(folder / names[-1] / rough.name, plans, own, seed=number)
    parts = ", ".join(f'"{name}"' for name in names)
    (folder / "group.toml").write_text(
        f'name = "everything"\nparts = [{parts}]\n[crop]\nmodel = "rough"\nlabels = ["lung"]\nmargin_mm = 10\n'
    )
    return folder


def _write_part(
    folder: Path, plans: dict[str, object], dataset: dict[str, object], *, seed: int
) -> None:
    (folder / "fold_0").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "plans.json").write_text(json.dumps(plans))
    plan = plan_of(plans, dataset, {"configuration": CONFIGURATION})
    torch.manual_seed(seed)
    network = build(plan.network, plan.arguments, len(plan.normalisations), plan.heads)
    checkpoint = {
        "network_weights": network.state_dict(),
        "init_args": {"configuration": CONFIGURATION},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": [0, 1, 2],
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
