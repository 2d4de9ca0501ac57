"""Numbers as decimal strings: short enough for every reader, and near enough."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaet.dicom.decimal_string import LONGEST, decimal_string


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_any_number_fits_and_is_what_it_was(number: float) -> None:
    text = decimal_string(number)
    assert len(text) <= LONGEST
    assert math.isclose(float(text), number, rel_tol=1e-8, abs_tol=1e-300)


@pytest.mark.parametrize("exponent", range(-5, 6))
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("less", [1e-16, 3e-16, 1e-15, 1e-14, 3e-14])
def test_what_rounds_to_one_more_digit_fits_too(exponent: int, sign: int, less: float) -> None:
    number = sign * 10.0**exponent * (1 - less)
    text = decimal_string(number)
    assert len(text) <= LONGEST
    assert float(text) == pytest.approx(number, rel=1e-9)
