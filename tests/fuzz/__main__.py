"""Run the fuzz target, guided by coverage.

    pip install atheris
    python -m tests.fuzz.seeds FOLDER
    python -m tests.fuzz FOLDER -max_total_time=3600
    python -m tests.fuzz.corpus FOLDER

The last line keeps what was found in corpus.zip, which a test plays again.
"""

import logging
import sys

import atheris
import structlog

with atheris.instrument_imports(include=["medaet.network", "medaet.dicom"]):
    from tests.fuzz.receive import one_input

structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    cache_logger_on_first_use=True,
)
atheris.Setup(sys.argv, one_input)
atheris.Fuzz()
