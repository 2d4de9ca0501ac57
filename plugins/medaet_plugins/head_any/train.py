"""The run that made the network of this plugin: `training.toml` beside this file, on two heads.

    python -m medaet_plugins.head_any.train --out RUN --scans FOLDER

FOLDER holds brain1_image.nrrd and brain2_image.nrrd of pyradiomics 3.0.1 (folder data/ of its source distribution on
PyPI, BSD-3-Clause). The same seed and number of threads give the same weights.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).with_name("training.toml")
SCANS = ("brain1_image.nrrd", "brain2_image.nrrd")


def main() -> None:
    """Lay the scans out as the configuration names them, and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scans", type=Path, required=True)
    options = parser.parse_args()
    images = options.out / "scans" / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name in SCANS:
        shutil.copyfile(options.scans / name, images / name)
    config = shutil.copyfile(CONFIG, options.out / CONFIG.name)
    command = [sys.executable, "-P", "-m", "medaet", "train", str(config), "--out"]
    subprocess.run([*command, str(options.out / "run")], check=True)


if __name__ == "__main__":
    main()
