"""Written forms of national phone numbers, payment cards and national identity numbers.

A form is a *shape*: every digit as 9, every capital letter as A, all else as written. One regular expression made of
all shapes finds candidates; the shape of a candidate then names the few checks it has to pass. A form that ordinary
numbers share also needs a context: a word on the same line, before the number, that says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from goldmill.text import checksums

_CONTEXT_GAP = r"[^0-9\n]{0,24}$"


def _context(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(words)}){_CONTEXT_GAP}")


class Form(NamedTuple):
    """One way to write one kind of number.

    Attributes:
        type: what it is counted as.
        country: ISO 3166-1 code of a national id, empty for all else.
        check: whether the compact form (letters and digits only) is valid.
        context: pattern that the lower-cased text before the number must match; None where the form says enough.
    """

    type: str
    country: str
    check: Callable[[str], bool]
    context: re.Pattern[str] | None


def _digits(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda compact: compiled.fullmatch(compact) is not None


# North American Numbering Plan: area and exchange start with 2-9 and are no N11 service code.
_is_nanp = _digits(r"1?(?!.11)[2-9]\d{2}(?!.11)[2-9]\d{6}")
_PHONES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("(999) 999-9999|(999)999-9999|(999) 999 9999|(999) 999.9999|999-999-9999|999.999.9999", _is_nanp),
    ("9-999-999-9999|9.999.999.9999|9 (999) 999-9999|9-(999)-999-9999|9 999-999-9999", _is_nanp),
    # France: 0, then four pairs.
    ("99 99 99 99 99|99.99.99.99.99|99-99-99-99-99", _digits(r"0[1-9]\d{8}")),
    # United Kingdom, Germany and their like: trunk 0, area, subscriber.
    ("99999 999999|9999 999 9999|99999 999 999|999 9999 9999", _digits(r"0[1-9]\d{8,9}")),
    # Japan, Korea: trunk 0, three groups.
    ("99-9999-9999|999-9999-9999|9999-99-9999|999-999-9999", _digits(r"0[1-9]\d{8,9}")),
    # China, landline.
    ("999-99999999|9999-9999999|9999-99999999", _digits(r"0[1-9]\d{8,10}")),
    # Australia.
    ("99 9999 9999|9999 999 999|(99) 9999 9999", _digits(r"0[234578]\d{8}")),
    # Brazil.
    ("(99) 99999-9999|(99) 9999-9999|99 99999-9999", _digits(r"[1-9]{2}9?[2-9]\d{7}")),
    # Switzerland, Turkey.
    ("999 999 99 99|9999 999 99 99", _digits(r"0[2-9]\d{8,9}")),
    # Netherlands, Italy, Austria: the area code apart from the rest.
    ("999 9999999|9999 999999", _digits(r"0[1-9]\d{8}")),
    # Sweden: the area code apart from pairs.
    ("9999-99 99 99|999-99 99 99|999-999 99 99|99-999 99 99|9999-999 99", _digits(r"0[1-9]\d{7,8}")),
    # Russia: trunk 8.
    (
        "9 (999) 999-99-99|9 (999) 999-9999|9 999 999 99 99|9-999-999-99-99|9 (999) 999 99 99",
        _digits(r"8[2-9]\d{9}"),
    ),
    # Spain, the grouping no other number has.
    ("999 99 99 99", _digits(r"[6789]\d{8}")),
)

# What people write before a phone number, in 19 languages; behind one a number of any form counts.
PHONE_LABELS = (
    # "\\b" is one of ASCII: it does not stand before a letter of another script.
    r"\b(?:phones?|telephones?|tels?|fax|telefax|mobile|mobile phone|cell|cell ?phone|contact (?:no|number)|whatsapp|"
    r"sms|hotline|"
    r"telefon|telefonnummer|telefoonnummer|telefoon|rufnummer|handy|mobil|mobiltelefon|mobiel|gsm|tlf|"
    r"tél|téléphone|télécopie|portable|teléfono|tfno|móvil|celular|telefono|cellulare|telefone|telemóvel|fone|"
    r"komórka|tel\. kom|nr telefonu|puh|puhelin|puhelinnumero|matkapuhelin|cep)"
    r"|телефон|тел|моб|факс|τηλ|τηλέφωνο|κινητό|电话|電話|手机|手機|联系方式|連絡先|携帯|전화|휴대폰|연락처|फ़ोन|मोबाइल"
)
# Verbs that a number follows with a few words between.
PHONE_VERBS = (
    r"\b(?:call|dial|ring|text|reach|phone|anrufen|erreichen|rufen|appelez|joindre|llam[ae]|llame|chiamami|chiamare|chiama|"
    r"bel|ligue|dzwonić|zadzwoń|soita|volejte)\b|звоните|позвоните|καλέστε|请拨打|拨打"
)

_CARDS = (
    "9999 9999 9999 9999|9999-9999-9999-9999|9999 9999 9999 9999 999|9999 999999 99999|9999-999999-99999|"
    "9999 999999 9999|9999-999999-9999|999999999999999|9999999999999999"
)
# One plain number in fifty of these lengths passes for a card by chance.
_RARE_CARDS = "9999999999999|99999999999999|99999999999999999|999999999999999999|9999999999999999999"
CARD_WORDS = _context(
    r"\bcards?", "karte", r"\bcartes?\b", "tarjeta", r"\bcarta", r"cartão", r"\bkart", "kaart", "kort", "карт",
    "カード", "卡", r"\bcc\b", r"\bpan\b", "visa", "mastercard", "amex", "american express", "diners", "discover",
    "maestro", "jcb",
)  # fmt: skip

# (country, shapes, check, context where those shapes need one)
_NATIONAL_IDS: tuple[tuple[str, str, Callable[[str], bool], re.Pattern[str] | None], ...] = (
    ("BE", "99.99.99-999.99", checksums.belgium, None),
    (
        "BE",
        "99999999999",
        checksums.belgium,
        _context("rijksregister", "registre national", "nationaal nummer", r"\binsz\b", r"\bniss\b"),
    ),
    ("BR", "999.999.999-99", checksums.brazil, None),
    ("BR", "99999999999", checksums.brazil, _context(r"\bcpf\b")),
    ("CA", "999 999 999|999-999-999|999999999", checksums.canada, _context(r"\bsin\b", "social insurance", r"\bnas\b")),
    ("CH", "999.9999.9999.99|9999999999999", checksums.switzerland, None),
    ("CL", "99.999.999-9|9.999.999-9|99.999.999-A|9.999.999-A", checksums.chile, None),
    ("CN", "999999999999999999|99999999999999999A", checksums.china, None),
    (
        "DE",
        "99999999999|99 999 999 999",
        checksums.germany,
        _context(r"steuer-?\s?id", "identifikationsnummer", "idnr"),
    ),
    # Letters that end a hexadecimal or a C literal need a word before them.
    ("ES", "99999999A|99999999-A", lambda text: text[-1] not in "ABCDEFL" and checksums.spain(text), None),
    (
        "ES",
        "99999999A|99999999-A|99999999 A",
        checksums.spain,
        _context(r"\bdni\b", r"\bnif\b", r"\bnie\b", "identidad"),
    ),
    ("ES", "A9999999A|A-9999999-A", checksums.spain, None),
    ("FI", "999999-999A|999999-9999|999999+999A|999999+9999|999999A999A|999999A9999", checksums.finland, None),
    ("FR", "999999999999999|9 99 99 99 999 999 99|9 99 99 9A 999 999 99|999999A99999999", checksums.france, None),
    ("GB", "AA 99 99 99 A", checksums.united_kingdom, None),
    (
        "GB",
        "AA999999A|AA 999999 A",
        checksums.united_kingdom,
        _context(r"national insurance", r"\bnino\b", r"\bni (?:no|number)"),
    ),
    ("IN", "9999 9999 9999|9999-9999-9999|999999999999", checksums.india, _context(r"aadhaa?r", r"uidai", "आधार")),
    ("IT", "AAAAAA99A99A999A", checksums.italy, None),
    ("NL", "999999999|9999.99.999", checksums.netherlands, _context(r"\bbsn\b", "burgerservice", r"sofi-?nummer")),
    ("NO", "99999999999|999999 99999", checksums.norway, None),
    ("PL", "99999999999", checksums.poland, _context("pesel")),
    ("PT", "999999999|999 999 999", checksums.portugal, _context(r"\bnif\b", "contribuinte", r"\bnc\b")),
    ("SE", "999999-9999|999999+9999|99999999-9999", checksums.sweden, None),
    ("SE", "9999999999|999999999999", checksums.sweden, _context("personnummer", "person-?nr", "samordningsnummer")),
    ("TR", "99999999999", checksums.turkey, _context(r"kimlik", r"\bt\.?c\.? no", r"\btckn\b")),
    ("US", "999-99-9999", checksums.united_states, None),
    ("US", "999 99 9999|999999999", checksums.united_states, _context(r"\bssn\b", r"social security")),
)

_TO_SHAPE = str.maketrans("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "9" * 10 + "A" * 26)


class Forms:
    """The forms in use: ``pattern`` finds candidates, ``of`` says which forms a candidate has."""

    def __init__(self, types: Iterable[str], countries: Iterable[str]) -> None:
        """Take the forms of ``types`` (phone, credit_card, national_id), and of ``countries`` for national ids."""
        self._by_shape: dict[str, list[Form]] = {}
        wanted, allowed = set(types), set(countries)
        if "credit_card" in wanted:
            self._add(_CARDS, Form("credit_card", "", checksums.credit_card, None))
            self._add(_RARE_CARDS, Form("credit_card", "", checksums.credit_card, CARD_WORDS))
        if "national_id" in wanted:
            for country, shapes, check, context in _NATIONAL_IDS:
                if country in allowed:
                    self._add(shapes, Form("national_id", country, check, context))
        if "phone" in wanted:
            for shapes, check in _PHONES:
                self._add(shapes, Form("phone", "", check, None))

    @property
    def pattern(self) -> str:
        """A regular expression of all shapes, the longest first, so that no number is taken for a part of it."""
        return "|".join(_expression(shape) for shape in sorted(self._by_shape, key=lambda shape: (-len(shape), shape)))

    def of(self, candidate: str) -> list[Form]:
        """The forms whose shape ``candidate`` has, those first that say most about it."""
        return self._by_shape.get(candidate.translate(_TO_SHAPE), [])

    def _add(self, shapes: str, form: Form) -> None:
        for shape in shapes.split("|"):
            self._by_shape.setdefault(shape, []).append(form)


def _expression(shape: str) -> str:
    runs = re.findall(r"9+|A+|.", shape)
    classes = {"9": "[0-9]", "A": "[A-Z]"}
    body = "".join(f"{classes[run[0]]}{{{len(run)}}}" if run[0] in classes else re.escape(run) for run in runs)
    return (r"\b" if shape[0].isalnum() else "") + body + r"\b"


_DATE = re.compile(r"(?:19|20)\d\d[-./]\d\d?[-./]\d\d?(?!\d)|\d\d?[-./]\d\d?[-./](?:19|20)\d\d(?!\d)", re.ASCII)
# ITU country codes (E.164 list); where one is given, the lengths of the national number.
_COUNTRY_CODE = re.compile(
    r"7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|21[12368]|22\d|23\d|24\d|25[0-8]|26\d|29[01789]|35\d|37[0-8]|38[0-35-79]|42[013]|50\d|59\d|67[02-9]|68\d|69[0-2]"
    r"|80[08]|85[02356]|87[08]|88[0-368]|96[0-8]|97[0-79]|99[2-68]",
    re.ASCII,
)
_NATIONAL_LENGTHS = {
    "7": (10, 10), "20": (8, 10), "27": (9, 9), "30": (10, 10), "31": (9, 9), "32": (8, 9), "33": (9, 9), "34": (9, 9),
    "36": (8, 9), "39": (8, 11), "40": (9, 9), "41": (9, 9), "43": (7, 12), "44": (9, 10), "45": (8, 8), "46": (7, 10),
    "47": (8, 8), "48": (9, 9), "49": (7, 12), "52": (10, 10), "54": (10, 11), "55": (10, 11), "61": (9, 9),
    "64": (8, 10), "65": (8, 8), "81": (9, 10), "82": (8, 10), "86": (10, 11), "90": (10, 10), "91": (10, 10),
    "351": (9, 9), "352": (6, 9), "353": (7, 9), "358": (6, 11), "380": (9, 9), "420": (9, 9), "421": (9, 9),
    "852": (8, 8), "971": (8, 9), "972": (8, 9),
}  # fmt: skip


def labelled_phone_length(candidate: str) -> int:
    """How many characters of ``candidate``, which stands behind a label, are one phone number; 0 where none is.

    The longest prefix of whole groups with 7 to 15 digits (ITU-T E.164); a date is none.
    """
    if _DATE.match(candidate):
        return 0
    digits = best = 0
    for match in re.finditer(r"\d+", candidate, re.ASCII):
        digits += len(match.group())
        if 7 <= digits <= 15:
            best = match.end()
    return best


def international_phone_length(candidate: str) -> int:
    """How many characters of ``candidate``, which starts with "+", are one phone number; 0 where none is.

    A number ends where a group of digits ends. The longest such prefix that its country allows is taken, so that a
    number after the phone number stays. Source: ITU-T E.164 (at most 15 digits).
    """
    # "+1.2125551234" is how domain registries write a number; any other single point makes it a decimal.
    decimal = re.match(r"\+(\d+)\.\d+(?![\d .\-/()\u00a0\u2011]*\d)", candidate, re.ASCII)
    if decimal and not _COUNTRY_CODE.fullmatch(decimal[1]) and decimal[1] != "1":
        return 0
    digits = ""
    best = 0
    for match in re.finditer(r"\d+", candidate, re.ASCII):
        digits += match.group()
        # Without separators "+1234567" is a summand or a line of a diff as often as a phone number.
        enough = len(digits) >= (10 if match.end() == len(digits) + 1 else 8)
        if enough and _is_international(digits):
            best = match.end()
    return best


def _is_international(digits: str) -> bool:
    if digits[0] == "1":
        return len(digits) == 11 and _is_nanp(digits)
    match = _COUNTRY_CODE.match(digits)
    if match is None:
        return False
    code = match.group()
    shortest, longest = _NATIONAL_LENGTHS.get(code, (6, 15 - len(code)))
    national = digits[len(code) :]
    # "+44 (0)20 ...": the trunk 0 is written but not dialled.
    return shortest <= len(national) <= longest or (national[:1] == "0" and shortest < len(national) <= longest + 1)
