"""Check digits: numbers that the issuers or the literature publish as examples, and what one changed digit does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldmill.text import checksums

Check = Callable[[str], bool]

VALID: list[tuple[Check, str]] = [
    (checksums.luhn, "79927398713"),
    (checksums.verhoeff, "2363"),
    (checksums.credit_card, "4111111111111111"),
    (checksums.credit_card, "4222222222222"),
    (checksums.credit_card, "5555555555554444"),
    (checksums.credit_card, "2223003122003222"),
    (checksums.credit_card, "378282246310005"),
    (checksums.credit_card, "6011111111111117"),
    (checksums.credit_card, "30569309025904"),
    (checksums.credit_card, "3530111333300000"),
    (checksums.credit_card, "6200000000000005"),
    (checksums.credit_card, "6759649826438453"),
    (checksums.iban, "DE89370400440532013000"),
    (checksums.iban, "GB82WEST12345698765432"),
    (checksums.iban, "FR1420041010050500013M02606"),
    (checksums.iban, "NL91ABNA0417164300"),
    (checksums.iban, "NO9386011117947"),
    (checksums.belgium, "85073003328"),
    (checksums.brazil, "52998224725"),
    (checksums.brazil, "11144477735"),
    (checksums.canada, "130692544"),
    (checksums.chile, "123456785"),
    (checksums.chile, "10000013K"),
    (checksums.china, "11010519491231002X"),
    (checksums.china, "440524188001010014"),
    (checksums.finland, "131052-308T"),
    (checksums.france, "255081416802538"),
    (checksums.germany, "86095742719"),
    (checksums.germany, "65929970489"),
    (checksums.india, "234123412346"),
    (checksums.italy, "RSSMRA85T10A562S"),
    (checksums.italy, "MRTMTT25D09F205Z"),
    (checksums.netherlands, "111222333"),
    (checksums.netherlands, "123456782"),
    (checksums.norway, "29029600013"),
    (checksums.poland, "44051401359"),
    (checksums.portugal, "123456789"),
    (checksums.spain, "12345678Z"),
    (checksums.spain, "X1234567L"),
    (checksums.sweden, "8112189876"),
    (checksums.sweden, "196408233234"),
    (checksums.switzerland, "7569217076985"),
    (checksums.turkey, "10000000146"),
    (checksums.united_kingdom, "AB123456C"),
    (checksums.united_states, "123456789"),
]


@pytest.mark.parametrize(("check", "number"), VALID, ids=lambda value: getattr(value, "__name__", value))
def test_published_numbers_are_valid(check: Check, number: str) -> None:
    assert check(number)


@pytest.mark.parametrize(
    ("check", "number"),
    [
        (checksums.credit_card, "1234567812345670"),  # Luhn holds, no issuer
        (checksums.credit_card, "411111111111116"),  # Visa has no 15 digits
        (checksums.iban, "DE8937040044053201300"),  # one digit short
        (checksums.iban, "ZZ89370400440532013000"),  # no such country
        (checksums.iban, "de89370400440532013000"),
        (checksums.belgium, "85133003328"),  # month 13
        (checksums.brazil, "11111111111"),
        (checksums.canada, "046454286"),  # Luhn holds, 0 is not issued
        (checksums.china, "110105194913310026"),  # month 13
        (checksums.finland, "311152-308T"),  # 31 November
        (checksums.france, "255181416802538"),
        (checksums.germany, "11111111112"),
        (checksums.india, "034123412346"),
        (checksums.netherlands, "000000000"),
        (checksums.portugal, "503504564"),  # a company
        (checksums.spain, "12345678A"),
        (checksums.sweden, "8113189876"),
        (checksums.united_kingdom, "QQ123456C"),  # the prefix of printed examples
        (checksums.united_kingdom, "GB123456C"),
        (checksums.united_states, "666123456"),
        (checksums.united_states, "123004567"),
        (checksums.united_states, "078051120"),  # void since it was printed on a sample card
        (checksums.united_states, "900123456"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_near_misses_are_not_valid(check: Check, number: str) -> None:
    assert not check(number)


# Without a check digit a change can give another valid number; of the twelve Swedish digits the century is not checked.
UNCHECKED = {"AB123456C", "123456789", "196408233234"}


@pytest.mark.parametrize(
    ("check", "number"),
    [entry for entry in VALID if entry[1] not in UNCHECKED],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_one_changed_digit_is_always_noticed(check: Check, number: str) -> None:
    for place, old in enumerate(number):
        for digit in "0123456789":
            changed = number[:place] + digit + number[place + 1 :]
            assert not (old.isdigit() and digit != old and check(changed)), changed


@given(st.text())
def test_no_text_raises(text: str) -> None:
    for check in {check for check, _ in VALID}:
        assert check(text) in (True, False)


@given(st.text(st.sampled_from("0123456789ABCXYZKT+-٣²"), max_size=20))
def test_no_number_like_text_raises(text: str) -> None:
    for check in {check for check, _ in VALID}:
        assert check(text) in (True, False)


@given(st.integers(0, 10**15))
def test_luhn_has_exactly_one_check_digit(number: int) -> None:
    assert sum(checksums.luhn(f"{number}{digit}") for digit in range(10)) == 1


@given(st.integers(0, 10**15))
def test_verhoeff_has_exactly_one_check_digit_and_sees_swapped_neighbours(number: int) -> None:
    (valid,) = [f"{number}{digit}" for digit in range(10) if checksums.verhoeff(f"{number}{digit}")]
    for place in range(len(valid) - 1):
        if valid[place] != valid[place + 1]:
            swapped = valid[:place] + valid[place + 1] + valid[place] + valid[place + 2 :]
            assert not checksums.verhoeff(swapped)
