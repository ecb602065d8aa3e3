"""Find personal data in texts and put typed placeholders in its place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
import re2

from goldmill.rules.safety import PiiRules
from goldmill.text import checksums, scrubbing, word_lists
from goldmill.text.hints import regions
from goldmill.text.personal_numbers import (
    CARD_WORDS,
    PHONE_LABELS,
    PHONE_VERBS,
    Form,
    Forms,
    international_phone_length,
    labelled_phone_length,
)
from goldmill.text.scrubbing import Hit, Scrubbed, Span

# Most trusted first: where two finds overlap, the first of these is taken.
PII_TYPES = ("email", "iban", "api_key", "credit_card", "national_id", "ip_address", "phone")
_NUMBERS = frozenset({"credit_card", "national_id", "phone"})

# Bytes of the line before a number in which a context word is looked for.
_WINDOW_BYTES = 64

_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")


def scrub(texts: pa.Array, rules: PiiRules) -> Scrubbed:
    """Replace personal data in ``texts`` (string or large_string, no nulls) by placeholders such as ``<EMAIL>``.

    Scrubbing twice changes nothing. Counts have the lower-case type as key, e.g. ``{"email": 2}``.

    Raises:
        ValueError: if a text is null.
    """
    actions = {name: getattr(rules, name) for name in PII_TYPES}
    placeholders = {
        name: rules.placeholder.format(type=name.upper()).encode()
        for name, action in actions.items()
        if action == "replace"
    }
    return scrubbing.replace(texts, _finder(rules), placeholders)


def find(texts: pa.Array, rules: PiiRules) -> list[Span]:
    """Where ``scrub`` would put a placeholder, as byte offsets: an audit of scrubbed texts finds nothing.

    Types that are only counted are left out, the rules let them stay.

    Raises:
        ValueError: if a text is null.
    """
    return [span for span in scrubbing.spans(texts, _finder(rules)) if getattr(rules, span.type) == "replace"]


@lru_cache(maxsize=8)
def _finder(rules: PiiRules) -> scrubbing.Finder:
    types = [name for name in PII_TYPES if rules.enabled and getattr(rules, name) != "off"]
    numbers = [name for name in types if name in _NUMBERS]
    readers: dict[str, Callable[[bytes], Iterator[Hit]]] = {}
    if "email" in types:
        readers["email"] = _emails
    if "iban" in types:
        readers["iban"] = _ibans
    if "api_key" in types:
        readers["api_key"] = _api_keys
    if "ip_address" in types:
        readers["ip_address"] = lambda buffer: _ip_addresses(buffer, rules.keep_non_public_ips)
    if "phone" in types:
        readers["phone"] = _phone_reader(_marks(rules.placeholder))
    read_numbers = _number_reader(numbers, rules) if numbers else None

    def find_all(buffer: bytes) -> list[Hit]:
        by_type: dict[str, list[Hit]] = {name: list(read(buffer)) for name, read in readers.items()}
        if read_numbers is not None:
            for hit in read_numbers(buffer):
                by_type.setdefault(hit.type, []).append(hit)
        return scrubbing.without_overlaps(by_type.get(name, ()) for name in PII_TYPES)

    return _where_hinted(find_all) if rules.keep_non_public_ips else find_all


def _where_hinted(find: scrubbing.Finder) -> scrubbing.Finder:
    """A finder of the same hits that reads the parts of a text alone that may hold one."""

    def find_hinted(buffer: bytes) -> list[Hit]:
        parts = regions(buffer)
        if not len(parts):
            return []
        pieces = [buffer[start:end] for start, end in parts.tolist()]
        starts = np.cumsum([0, *(len(piece) + len(scrubbing.SEPARATOR) for piece in pieces[:-1])])
        hits = find(scrubbing.SEPARATOR.join(pieces))
        # A hit lies in one piece: no pattern matches the separator.
        shifts = (parts[:, 0] - starts)[np.searchsorted(starts, [hit.start for hit in hits], side="right") - 1].tolist()
        return [Hit(hit.start + shift, hit.end + shift, hit.type) for hit, shift in zip(hits, shifts, strict=True)]

    return find_hinted


# ---------------------------------------------------------------------------------------------------------- e-mail

_EMAIL = re2.compile(
    rb"[\p{Latin}\p{Greek}\p{Cyrillic}0-9._%+\-]+@(?:[\p{Latin}\p{Greek}\p{Cyrillic}0-9\-]+\.)+(?:xn--[A-Za-z0-9]+|[A-Za-z]{2,14})\b"
)
# A closed list, because `image@2x.png`, `getty@tty1.service` and `x@self.weight` have the form of an address.
_DOMAINS = word_lists.read("mail_domains.txt")


def _emails(buffer: bytes) -> Iterator[Hit]:
    for match in _EMAIL.finditer(buffer):
        start, end = match.span()
        local, _, domain = buffer[start:end].rpartition(b"@")
        stripped = local.lstrip(b".-%+_")
        labels = domain.split(b".")
        last = labels[-1].decode("ascii", "ignore").lower()
        is_domain = last in _DOMAINS or last.startswith("xn--")
        if not stripped or len(local) > 64 or not is_domain:
            continue
        if any(label[:1] == b"-" or label[-1:] == b"-" for label in labels):
            continue
        # "git@github.com:owner/name" is a remote, not a person.
        if stripped == b"git" and buffer[end : end + 1] in (b":", b"/"):
            continue
        yield Hit(end - len(domain) - 1 - len(stripped), end, "email")


# ------------------------------------------------------------------------------------------------------------ IBAN

_IBAN = re2.compile(rb"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


def _ibans(buffer: bytes) -> Iterator[Hit]:
    for match in _IBAN.finditer(buffer):
        start, end = match.span()
        candidate = buffer[start:end].decode("ascii")
        wanted = checksums.IBAN_LENGTHS.get(candidate[:2], 0)
        length = _prefix_of(candidate, wanted)
        # What follows in capitals can belong to the next word: take as much as the country's length says.
        if length and checksums.iban(candidate[:length].replace(" ", "")):
            yield Hit(start, start + length, "iban")


def _prefix_of(candidate: str, wanted: int) -> int:
    """Length of the prefix that holds ``wanted`` characters besides spaces and ends at a group's end; 0 if none."""
    count = 0
    for position, character in enumerate(candidate, start=1):
        count += character != " "
        if count == wanted:
            return position if candidate[position : position + 1] in ("", " ") else 0
    return 0


# -------------------------------------------------------------------------------------------------------- API keys

# Prefixes the providers publish for secret scanning.
_API_KEY = re2.compile(
    rb"\b(?:"
    rb"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"  # AWS access key id
    rb"|gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,255}"  # GitHub
    rb"|gl(?:pat|dt|ft|soat|rt)-[A-Za-z0-9_\-]{20,50}"  # GitLab
    rb"|xox[abeoprs]-[A-Za-z0-9\-]{10,250}|xapp-[0-9]-[A-Za-z0-9\-]{10,250}"  # Slack
    rb"|AIza[A-Za-z0-9_\-]{35}"  # Google API
    rb"|sk-(?:ant-|proj-|svcacct-|or-v1-)[A-Za-z0-9_\-]{20,250}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|sk-[A-Za-z0-9]{48}"
    rb"|[rs]k_live_[A-Za-z0-9]{16,247}"  # Stripe
    rb"|SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}"  # SendGrid
    rb"|npm_[A-Za-z0-9]{36}|hf_[A-Za-z]{34}|pypi-AgE[A-Za-z0-9_\-]{50,1000}"
    rb"|dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0csp-[A-Za-z0-9_\-]{43}"
    rb")"
)


def is_api_key(value: bytes) -> bool:
    """Whether a value has the form of some provider's key."""
    return _API_KEY.fullmatch(value) is not None


def _api_keys(buffer: bytes) -> Iterator[Hit]:
    for match in _API_KEY.finditer(buffer):
        start, end = match.span()
        if end == len(buffer) or buffer[end] not in _WORD:
            yield Hit(start, end, "api_key")


# ---------------------------------------------------------------------------------------------------- IP addresses

_IPV4 = re2.compile(rb"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b")
# Only 2000::/3 is assigned as global unicast (IANA), so public addresses start with 2 or 3.
_IPV6_PUBLIC = re2.compile(rb"\b[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}\b")
_IPV6_ANY = re2.compile(rb"(?:\b[0-9A-Fa-f]{1,4}|:):[0-9A-Fa-f:]{1,34}\b")
_VERSION_WORDS = re.compile(
    r"(?:version|\bver\b|\bv\.?|release|revision|\brev\b|build|firmware|driver|[a-z)\]]/|[=~<>!^]=|[~^]|\bsections?\b|§|"
    r"\boid\b|identifier)[\s\"':=({\[]{0,4}$|version[^\n0-9]{0,16}$"
)
_ADDRESS_WORDS = re.compile(
    r"(?:\bips?\b|\bipv4\b|addr|host|server|\bdns\b|\bping\b|://|@|\binet\b|client|\bfrom\b|subnet|gateway|route)"
    r"[^0-9\n]{0,24}$"
)


def _ip_addresses(buffer: bytes, keep_non_public: bool) -> Iterator[Hit]:
    for match in _IPV4.finditer(buffer):
        start, end = match.span()
        if _is_apart(buffer, start, end) and _is_ipv4(buffer, start, end, keep_non_public):
            yield Hit(start, end, "ip_address")
    pattern = _IPV6_PUBLIC if keep_non_public else _IPV6_ANY
    for match in pattern.finditer(buffer):
        start, end = match.span()
        before, after = buffer[start - 1 : start], buffer[end : end + 1]
        if before not in (b":", b".") and after != b":" and _address(buffer[start:end], keep_non_public):
            yield Hit(start, end, "ip_address")


def _is_ipv4(buffer: bytes, start: int, end: int, keep_non_public: bool) -> bool:
    if _address(buffer[start:end], keep_non_public) is None:
        return False
    before = _before(buffer, start)
    if _VERSION_WORDS.search(before):
        return False
    # Four short numbers are a version or a section far more often than an address; 8.8.8.8 and 1.1.1.1 are the
    # exceptions everyone knows.
    octets = buffer[start:end].split(b".")
    is_short = end - start <= 9 and all(len(octet) <= 2 for octet in octets) and len(set(octets)) > 1
    return not is_short or _ADDRESS_WORDS.search(before) is not None


def _address(text: bytes, keep_non_public: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        return None
    is_public = address.is_global and not address.is_multicast and not address.is_reserved
    return address if is_public or not keep_non_public else None


# --------------------------------------------------------------------------------- phones, cards and national ids

_INTERNATIONAL = re2.compile(rb"(?:\+|\b00)[1-9](?:[0-9]|[ .\-/()\x{a0}\x{2011}]{1,2}[0-9(]){6,24}")
_LABELLED = re2.compile(
    rf"(?i)(?:(?:{PHONE_LABELS})(?:\.? ?(?:no|nr|num|number|nummer|numéro|número|numero|numarası|号码|番号|번호))?"
    rf"(?:(?-i:</?[a-z0-9]+>)|[^0-9\pL\x00\n<]){{0,10}}?|(?:{PHONE_VERBS})(?:(?: \pL+){{1,3}} |[ :]{{0,2}}))"
    r"(\(?[0-9](?:(?:[ .\-/()\x{a0}]|\) |\)-| \()?[0-9]){6,24})".encode()
)
# A label, or a verb and the words after it, up to the number: no more than is read around a hint of the number.
_LABEL_BYTES = 112
_DIGIT_BEFORE = re.compile(rb"[0-9A-Za-z][ \-/]\Z")
_FOURS = re.compile(rb"[0-9]{4}(?: [0-9]{4})+(?![0-9])")
# The number of a telephone behind the switchboard.
_EXTENSION = re.compile(rb"x[0-9]{1,6}\b")
# Up to three groups of hexadecimal digits on each side of a number.
_LAST_NUMBER = re.compile(rb"(?s:.*[0-9\n])?")
_GROUPS_AFTER = re.compile(rb"(?:[ \t]+[0-9A-Fa-f]+(?![0-9A-Za-z])){1,3}")
_OTHER_NUMBERS = re.compile(
    r"(?:order|invoice|tracking|transaction|shipment|parcel|serial|imei|\bisbn|\bean\b|\bupc\b|\bsku\b|\bids?\b|_id\b|"
    r"\bref|article|ticket|case|bestell|rechnung|auftrag|commande|facture|pedido|factura|ordine|fattura|заказ|订单)"
    r"[^0-9\n]{0,16}$"
)
_GROUPS_BEFORE = re.compile(rb"(?:(?<![0-9A-Za-z])[0-9A-Fa-f]+[ \t]+){1,3}\Z")


def _marks(placeholder: str) -> re.Pattern[str]:
    """Placeholders are no context: "<PHONE>" says nothing about the number after it. Other tags, as of HTML, may."""
    names = "|".join((*PII_TYPES, "private_key", "password", "secret"))
    return re.compile(re.escape(placeholder).replace(re.escape("{type}"), f"(?:{names})"), re.IGNORECASE)


def _phone_reader(marks: re.Pattern[str]) -> Callable[[bytes], Iterator[Hit]]:
    def read(buffer: bytes) -> Iterator[Hit]:
        labelled = _labelled_phones(buffer, marks)
        yield from scrubbing.without_overlaps((_international_phones(buffer), labelled))

    return read


def _international_phones(buffer: bytes) -> Iterator[Hit]:
    for match in _INTERNATIONAL.finditer(buffer):
        start, end = match.span()
        if start and (buffer[start - 1] in _WORD or buffer[start - 1] in b"+.)]"):
            continue
        if buffer[start] == ord("0") and (
            _DIGIT_BEFORE.search(buffer, max(0, start - 2), start) or _FOURS.match(buffer, start)
        ):
            continue
        candidate = buffer[start:end].decode()
        # From most countries 00 is dialled for "+".
        dialled = 0 if candidate[0] == "+" else 1
        length = international_phone_length(f"+{candidate[2:]}" if dialled else candidate)
        if length:
            length += dialled
            end = start + len(candidate[:length].encode())
            if not _runs_on(buffer, end):
                # A bracket that opens before the "+" is part of the number.
                if buffer[start - 1 : start] == b"(" and b")" in buffer[start:end]:
                    start -= 1
                yield Hit(start, end, "phone")


def _runs_on(buffer: bytes, end: int) -> bool:
    """Whether what precedes ``end`` is part of a longer word, extensions aside."""
    return end < len(buffer) and buffer[end] in _WORD and _EXTENSION.match(buffer, end) is None


def _labelled_phones(buffer: bytes, marks: re.Pattern[str]) -> Iterator[Hit]:
    for match in _LABELLED.finditer(buffer):
        start = match.start(1)
        if start - match.start() > _LABEL_BYTES:
            continue
        if marks.search(buffer[max(0, match.start() - 4) : start].decode("utf-8", "ignore")):
            continue
        candidate = buffer[start : match.end(1)].decode()
        length = labelled_phone_length(candidate)
        end = start + len(candidate[:length].encode())
        if length and not _runs_on(buffer, end) and buffer[end : end + 1] not in (b"_", b"%"):
            yield Hit(start, end, "phone")


def _number_reader(types: list[str], rules: PiiRules) -> Callable[[bytes], Iterator[Hit]]:
    forms = Forms(types, rules.national_id_countries)
    pattern = re2.compile(forms.pattern.encode())
    marks = _marks(rules.placeholder)

    def check(buffer: bytes, start: int, end: int) -> str | None:
        candidate = buffer[start:end].decode("ascii")
        known = forms.of(candidate)
        if not known or not _is_apart(buffer, start, end):
            return None
        if " " in candidate and _is_in_series(buffer, start, end):
            return None
        bare = buffer[start:end].translate(None, b" ().+-/").decode("ascii")
        context: str | None = None
        for form in known:
            if form.context is not None:
                context = context if context is not None else _words_before(buffer, start, marks)
                if not context or not form.context.search(context):
                    continue
            # The sign of a Finnish number is part of it, it says the century.
            if not form.check(candidate if form.country == "FI" else bare):
                continue
            if form.type == "credit_card" and _is_no_card(buffer, start, end, form, marks):
                continue
            return form.type
        return None

    def read(buffer: bytes) -> Iterator[Hit]:
        match = pattern.search(buffer)
        while match is not None:
            start, end = match.span()
            found = check(buffer, start, end)
            if found is not None:
                yield Hit(start, end, found)
                position = end
            else:
                # The number wanted can start in the middle: "in 2020 4111 1111 1111 1111".
                position = _next_group(buffer, start, end)
            match = pattern.search(buffer, position)

    return read


def _is_no_card(buffer: bytes, start: int, end: int, form: Form, marks: re.Pattern[str]) -> bool:
    """Whether a number that could be a card's is called something else, or is one of a list of other numbers.

    One random number in fifty has a prefix and a check digit of a card.
    """
    words = _words_before(buffer, start, marks)
    if CARD_WORDS.search(words):
        return False
    if _OTHER_NUMBERS.search(words):
        return True
    shape = re.sub(rb"[0-9]", rb"[0-9]", re.escape(buffer[start:end]))
    for pattern, first, last in (
        (rb"(?<![0-9])(%b)[^0-9A-Za-z]{1,16}\Z" % shape, max(0, start - 64), start),
        (rb"[^0-9A-Za-z]{1,16}(%b)(?![0-9])" % shape, end, end + 64),
    ):
        compiled = re.compile(pattern)
        window = buffer[first:last]
        neighbour = compiled.search(window) if last == start else compiled.match(window)
        if neighbour and not form.check(neighbour[1].translate(None, b" -").decode("ascii")):
            return True
    return False


def _next_group(buffer: bytes, start: int, end: int) -> int:
    for position in range(start + 1, end):
        if buffer[position] not in _WORD:
            return position
    return end


def _is_apart(buffer: bytes, start: int, end: int) -> bool:
    """Whether the number stands by itself: no sign, decimal point, path or identifier runs into it.

    A comma does not: it separates the columns of a CSV file, and a number written with thousands has no form here.
    """
    if start:
        previous = buffer[start - 1]
        is_host = previous == ord("/") and buffer[start - 3 : start] == b"://"
        if previous in _WORD or (previous in b"+-./_$#%" and not is_host):
            return False
    following = buffer[end : end + 2]
    if not following:
        return True
    if following[0] in _WORD or following[0] in b"-_%+":
        return False
    return not (following[:1] == b"." and len(following) > 1 and following[1] in _WORD)


def _is_in_series(buffer: bytes, start: int, end: int) -> bool:
    """Whether groups of the same width go on at either side, as in a table or a hex dump."""
    groups = buffer[start:end].split(b" ")
    after = _GROUPS_AFTER.match(buffer, end, end + 32)
    before = _GROUPS_BEFORE.search(buffer, max(0, start - 32), start)
    following = after.group().split() if after else []
    preceding = before.group().split() if before else []
    return _goes_on(following, len(groups[-1])) or _goes_on(preceding[::-1], len(groups[0]))


def _goes_on(neighbours: list[bytes], width: int) -> bool:
    if not neighbours or len(neighbours[0]) != width:
        return False
    # One neighbour of letters only can be a word, such as the French "de".
    return not neighbours[0].isalpha() or (len(neighbours) > 1 and len(neighbours[1]) == width)


def _words_before(buffer: bytes, start: int, marks: re.Pattern[str]) -> str:
    """The words between the last number or placeholder of the line and ``start``, in lower case; often none."""
    window = buffer[max(0, start - _WINDOW_BYTES) : start]
    words = window[_LAST_NUMBER.match(window).end() :]  # type: ignore[union-attr]
    return marks.split(words.decode("utf-8", "ignore").lower())[-1] if words.strip() else ""


def _before(buffer: bytes, start: int) -> str:
    """The line before ``start``, at most the window, in lower case."""
    window = buffer[max(0, start - _WINDOW_BYTES) : start]
    return window[window.rfind(b"\n") + 1 :].decode("utf-8", "ignore").lower()
