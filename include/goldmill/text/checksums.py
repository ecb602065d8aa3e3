"""Check digits and validity ranges of cards, bank accounts and national identity numbers.

Every function takes the compact form (no separators, letters in upper case) and answers whether the number is valid;
anything that does not have the form is not valid, nothing is raised. Sources are named one by one.
"""

from __future__ import annotations

import re
from datetime import date

# ISO 13616 registry: total length of an IBAN by country.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip

# Issuer prefixes (ISO/IEC 7812 ranges the networks publish) and the lengths each network uses.
_ISSUERS = re.compile(
    r"""
      4(?:\d{12}|\d{15}|\d{18})                                                    # Visa
    | (?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}           # Mastercard
    | 3[47]\d{13}                                                                  # American Express
    | 3(?:0[0-5]|[689]\d)\d{11}                                                    # Diners Club
    | (?:6011|64[4-9]\d|65\d{2})\d{12,15}                                          # Discover
    | 35(?:2[89]|[3-8]\d)\d{12,15}                                                 # JCB
    | 62\d{14,17}                                                                  # UnionPay
    | (?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12,15}                          # Maestro
    """,
    re.VERBOSE | re.ASCII,
)


def luhn(digits: str) -> bool:
    """Luhn's mod 10 check (ISO/IEC 7812-1, annex B)."""
    if not _is_digits(digits):
        return False
    total = 0
    for index, character in enumerate(reversed(digits)):
        value = int(character) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def credit_card(digits: str) -> bool:
    """A known issuer prefix, a length that issuer uses, and the Luhn digit."""
    return _ISSUERS.fullmatch(digits) is not None and luhn(digits)


def iban(text: str) -> bool:
    """Length of its country and remainder 1 mod 97 (ISO 13616, ISO/IEC 7064)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not (text.isascii() and text.isalnum() and text.isupper()):
        return False
    if not text[2:4].isdigit():
        return False
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


_VERHOEFF_MULTIPLY = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_VERHOEFF_PERMUTE = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Verhoeff's check over the dihedral group D5 (J. Verhoeff, Error detecting decimal codes, 1969)."""
    if not _is_digits(digits):
        return False
    check = 0
    for index, character in enumerate(reversed(digits)):
        check = _VERHOEFF_MULTIPLY[check][_VERHOEFF_PERMUTE[index % 8][int(character)]]
    return check == 0


def belgium(digits: str) -> bool:
    """Rijksregisternummer: 97 minus the first nine digits mod 97; a 2 stands before them for births from 2000."""
    if not _is_digits(digits, 11) or int(digits[2:4]) % 20 > 12:
        return False
    check = int(digits[9:])
    return check in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def brazil(digits: str) -> bool:
    """CPF: two mod 11 digits (Receita Federal); eleven equal digits are not issued."""
    if not _is_digits(digits, 11) or len(set(digits)) == 1:
        return False
    for length in (9, 10):
        total = sum(int(digit) * weight for digit, weight in zip(digits, range(length + 1, 1, -1), strict=False))
        if total * 10 % 11 % 10 != int(digits[length]):
            return False
    return True


def canada(digits: str) -> bool:
    """SIN: Luhn; numbers starting with 0 or 8 are not given to persons."""
    return _is_digits(digits, 9) and digits[0] not in "08" and luhn(digits)


def chile(text: str) -> bool:
    """RUT: mod 11 with weights 2..7, remainder 10 written K."""
    body, check = text[:-1], text[-1:]
    if not _is_digits(body) or len(body) not in (7, 8):
        return False
    total = sum(int(digit) * (2 + index % 6) for index, digit in enumerate(reversed(body)))
    return "0123456789K0"[11 - total % 11] == check


def china(text: str) -> bool:
    """Resident identity number: birth date and ISO 7064 mod 11-2 (GB 11643-1999)."""
    if not re.fullmatch(r"[1-8]\d{16}[\dX]", text, re.ASCII):
        return False
    if not _is_date(int(text[6:10]), int(text[10:12]), int(text[12:14])) or text[6:8] not in ("18", "19", "20"):
        return False
    total = sum(int(digit) * pow(2, 17 - index, 11) for index, digit in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17]


def finland(text: str) -> bool:
    """Henkilötunnus: birth date and a mod 31 letter; century signs as extended in 2023 (DVV)."""
    if not re.fullmatch(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", text, re.ASCII):
        return False
    century = 1800 if text[6] == "+" else 2000 if text[6] in "ABCDEF" else 1900
    if not _is_date(century + int(text[4:6]), int(text[2:4]), int(text[:2])):
        return False
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[10]


def france(text: str) -> bool:
    """NIR: month 1-12 or the administrative months, key 97 minus the number mod 97 (INSEE); Corsica is 2A and 2B."""
    if not re.fullmatch(r"[1278]\d{2}(?:0[1-9]|1[0-2]|[2-4]\d|50|6[2-9]|[7-9]\d)(?:\d{2}|2[AB])\d{8}", text, re.ASCII):
        return False
    body = int(text[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - body % 97 == int(text[13:])


def germany(digits: str) -> bool:
    """Steuer-Identifikationsnummer: ISO 7064 mod 11,10; of the first ten digits one comes two or three times."""
    if not _is_digits(digits, 11) or digits[0] == "0":
        return False
    if len(set(digits[:10])) not in (8, 9) or max(digits[:10].count(digit) for digit in digits[:10]) > 3:
        return False
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def india(digits: str) -> bool:
    """Aadhaar: twelve digits, the first 2 to 9, Verhoeff's check (UIDAI)."""
    return _is_digits(digits, 12) and digits[0] not in "01" and verhoeff(digits)


_ITALY_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def italy(text: str) -> bool:
    """Codice fiscale: month letter, day, and the check letter (D.M. 23 December 1976); omocodia is accepted."""
    digit = "[0-9LMNPQRSTUV]"
    if not re.fullmatch(rf"[A-Z]{{6}}{digit}{{2}}[ABCDEHLMPRST]{digit}{{2}}[A-Z]{digit}{{3}}[A-Z]", text):
        return False
    total = sum(
        _ITALY_ODD[character] if index % 2 == 0 else int(character, 36) - (10 if character.isalpha() else 0)
        for index, character in enumerate(text[:15])
    )
    return chr(ord("A") + total % 26) == text[15]


def netherlands(digits: str) -> bool:
    """BSN: the elfproef, weights 9..2 and -1."""
    if not _is_digits(digits, 9) or digits == "000000000":
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11 == 0


def norway(digits: str) -> bool:
    """Fødselsnummer or D-number: day and month, then two mod 11 digits (Skatteetaten)."""
    if not _is_digits(digits, 11) or not (1 <= int(digits[:2]) % 40 <= 31 and 1 <= int(digits[2:4]) <= 12):
        return False
    for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)):
        if sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % 11:
            return False
    return True


def poland(digits: str) -> bool:
    """PESEL: birth date with the century in the month, weights 1 3 7 9, mod 10."""
    if not _is_digits(digits, 11):
        return False
    shift, month = divmod(int(digits[2:4]), 20)
    if not _is_date((1900, 2000, 2100, 2200, 1800)[shift] + int(digits[:2]), month, int(digits[4:6])):
        return False
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 10 == 0


def portugal(digits: str) -> bool:
    """NIF of a person: starts with 1, 2, 3 or 45, mod 11 with weights 9..2."""
    if not _is_digits(digits, 9) or not (digits[0] in "123" or digits[:2] == "45"):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(9, 1, -1), strict=False))
    return (11 - total % 11 if total % 11 > 1 else 0) == int(digits[8])


def spain(text: str) -> bool:
    """DNI or NIE: the letter is the number mod 23; X, Y, Z of a NIE stand for 0, 1, 2."""
    if not re.fullmatch(r"[\dXYZ]\d{7}[A-Z]", text, re.ASCII):
        return False
    number = int(text[:-1].translate({ord("X"): "0", ord("Y"): "1", ord("Z"): "2"}))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == text[-1]


def sweden(digits: str) -> bool:
    """Personnummer or samordningsnummer, ten or twelve digits: month and day (plus 60), Luhn over the last ten."""
    if not _is_digits(digits) or len(digits) not in (10, 12):
        return False
    if len(digits) == 12 and digits[:2] not in ("18", "19", "20"):
        return False
    short = digits[-10:]
    return 1 <= int(short[2:4]) <= 12 and 1 <= int(short[4:6]) % 60 <= 31 and luhn(short)


def switzerland(digits: str) -> bool:
    """AHV number: country prefix 756 and an EAN-13 check digit."""
    if not _is_digits(digits, 13) or not digits.startswith("756"):
        return False
    return sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(digits)) % 10 == 0


def turkey(digits: str) -> bool:
    """Kimlik number: the two check digits over odd and even places."""
    if not _is_digits(digits, 11) or digits[0] == "0":
        return False
    values = [int(digit) for digit in digits]
    tenth = (7 * sum(values[0:9:2]) - sum(values[1:8:2])) % 10
    return values[9] == tenth and values[10] == sum(values[:10]) % 10


def united_kingdom(text: str) -> bool:
    """National Insurance number: allowed prefixes and suffix A-D (HMRC NIM39110); there is no check digit."""
    return (
        re.fullmatch(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", text, re.ASCII) is not None
        and text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
    )  # fmt: skip


# Numbers printed in advertisements, void since (Social Security Administration).
_VOID_SSN = frozenset({"078051120", "219099999"})


def united_states(digits: str) -> bool:
    """SSN: area not 000, 666 or 9xx, group not 00, serial not 0000; there is no check digit."""
    return (
        _is_digits(digits, 9)
        and digits[:3] not in ("000", "666")
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
        and digits not in _VOID_SSN
    )


def _is_digits(text: str, length: int | None = None) -> bool:
    return text.isascii() and text.isdigit() and (length is None or len(text) == length)


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
