"""The checks of the conformance kit, by the words that `medaet plugins test` prints."""

from medaet.testing.conformance import (
    Check,
    ends_when_told,
    is_deterministic,
    keeps_its_memory,
    keeps_the_manifest,
    stands_every_geometry,
    stands_odd_inputs,
    stays_inside,
)
from medaet.testing.scarcity import keeps_to_its_time, stands_too_little_memory
from medaet.testing.validation import passes_dciodvfy

CHECKS: dict[str, Check] = {
    check.__name__.replace("_", " "): check
    for check in (
        keeps_the_manifest,
        keeps_to_its_time,
        stands_every_geometry,
        stands_odd_inputs,
        is_deterministic,
        keeps_its_memory,
        stands_too_little_memory,
        stays_inside,
        ends_when_told,
        passes_dciodvfy,
    )
}
