"""What is installed in an environment, told by its own interpreter, without network.

Run as `python -P -m medaet.worker.describe --agent PID`.
"""

import argparse
import json
import platform
import sys
from importlib import metadata

from medaet.plugin.analysis import Analysis
from medaet.plugin.registry import Registry, discover
from medaet.worker.isolation import isolate


def described(registry: Registry) -> dict[str, object]:
    """Say what the analyses' manifests say, and which packages there are."""
    packages = {
        one.metadata["Name"]: one.version for one in reversed(list(metadata.distributions()))
    }
    return {
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items())),
        "distributions": sorted(
            {source.distribution for source in registry.sources.values() if source.distribution}
        ),
        "analyses": [_described(one) for _, one in sorted(registry.analyses.items())],
        "refused": [f"{one.name}: {one.reason}" for one in registry.refused],
    }


def _described(analysis: type[Analysis]) -> dict[str, object]:
    from pydantic import TypeAdapter

    from medaet.dicom.codes import Code
    from medaet.plugin.selector import SeriesSelector

    codes, inputs = TypeAdapter(Code | None), TypeAdapter(dict[str, SeriesSelector])
    return {
        "name": analysis.name,
        "version": analysis.version,
        "inputs": inputs.dump_python(dict(analysis.inputs), mode="json"),
        "title": analysis.title,
        "intended_use": analysis.intended_use,
        "not_for_diagnostic_use": analysis.not_for_diagnostic_use,
        "memory_mb": analysis.memory_mb,
        "family": codes.dump_python(analysis.family, mode="json"),
        "procedure": codes.dump_python(analysis.procedure, mode="json"),
        "weights_sha256": analysis.weights_sha256(),
        "settings": analysis.Settings.model_json_schema().get("properties", {}),
    }


def main() -> None:
    """Isolate this process and print the description as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=int, required=True)
    isolate(parser.parse_args().agent)
    sys.stdout.write(json.dumps(described(discover())))


if __name__ == "__main__":
    main()
