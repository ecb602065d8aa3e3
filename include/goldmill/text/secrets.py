"""Find credentials in texts and put typed placeholders in their place.

The patterns and heuristics are those of detect-secrets. Its scanner reads every line with every plugin; here one pass
over the batch picks the few lines that can hold a secret, and only those are read with the plugins' patterns. Its
verification, which would send a secret to its provider, is never called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import pyarrow as pa
import re2
from detect_secrets.filters import heuristic
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import DENYLIST, QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from goldmill.rules.safety import SecretRules
from goldmill.text import scrubbing
from goldmill.text.pii import is_api_key
from goldmill.text.scrubbing import Hit, Scrubbed, Span

# Rule field -> type that is counted, most trusted first: where two finds overlap, the first of these is taken.
_TYPES = {"private_key": "private_key", "api_key": "api_key", "high_entropy": "secret", "password": "password"}
SECRET_TYPES = tuple(_TYPES.values())

# A minified file is one line of megabytes: this many bytes on each side of a trigger are read as its line.
_REACH_BYTES = 512


def scrub_secrets(texts: pa.Array, rules: SecretRules) -> Scrubbed:
    """Replace credentials in ``texts`` (string or large_string, no nulls) by placeholders such as ``<API_KEY>``.

    Scrubbing twice changes nothing. Counts have the lower-case type as key, e.g. ``{"password": 1}``.

    Raises:
        ValueError: if a text is null.
    """
    placeholders = {
        name: rules.placeholder.format(type=name.upper()).encode()
        for field, name in _TYPES.items()
        if getattr(rules, field) == "replace"
    }
    return scrubbing.replace(texts, _finder(rules), placeholders)


def find_secrets(texts: pa.Array, rules: SecretRules) -> list[Span]:
    """Where ``scrub_secrets`` would put a placeholder, as byte offsets: an audit of scrubbed texts finds nothing.

    Types that are only counted are left out, the rules let them stay.

    Raises:
        ValueError: if a text is null.
    """
    replaced = {name for field, name in _TYPES.items() if getattr(rules, field) == "replace"}
    return [span for span in scrubbing.spans(texts, _finder(rules)) if span.type in replaced]


@lru_cache(maxsize=8)
def _finder(rules: SecretRules) -> scrubbing.Finder:
    types = [name for field, name in _TYPES.items() if rules.enabled and getattr(rules, field) != "off"]
    # What holds a placeholder has been scrubbed before.
    mark = re2.compile(re2.escape(rules.placeholder).replace(re2.escape("{type}"), "[A-Z_]+").encode())
    base64, hexadecimal = (
        Base64HighEntropyString(rules.base64_entropy_limit),
        HexHighEntropyString(rules.hex_entropy_limit),
    )
    read_random = [_random_reader(base64), _random_reader(hexadecimal)]

    def find_all(buffer: bytes) -> list[Hit]:
        by_type: dict[str, list[Hit]] = {name: [] for name in SECRET_TYPES}
        if "private_key" in types:
            by_type["private_key"] = [_hit(match.span(), "private_key") for match in _PRIVATE_KEY.finditer(buffer)]
        if "password" in types:
            by_type["password"] += _environment_values(buffer)
        for start, line in _lines(buffer, _PROVIDER_TRIGGERS):
            if "api_key" in types:
                by_type["api_key"] += _shifted(_provider_keys(line), start)
            if "password" in types:
                by_type["password"] += _shifted(_url_passwords(line), start)
        for start, line in _lines(buffer, [_ASSIGNMENT_TRIGGER]):
            if "password" in types:
                by_type["password"] += _shifted(_assigned_passwords(line), start)
            if "secret" in types:
                for read in read_random:
                    by_type["secret"] += _shifted(read(line), start)
        hits = scrubbing.without_overlaps(by_type[name] for name in types)
        hits = [hit for hit in hits if mark.search(buffer, hit.start, hit.end) is None]
        # A quoted value that looks random, or is called a password, may have the form of a provider's key.
        if "api_key" in types:
            hits = [hit._replace(type="api_key") if is_api_key(buffer[hit.start : hit.end]) else hit for hit in hits]
        return hits

    return find_all


def _lines(buffer: bytes, triggers: Iterable[re2._Regexp]) -> Iterator[tuple[int, str]]:
    """Start and text of each line, or reach of a long line, in which a trigger matches.

    The text is decoded as Latin-1, so that its offsets are byte offsets.
    """
    done = 0
    for begin, end in sorted(match.span() for trigger in triggers for match in trigger.finditer(buffer)):
        if end <= done:
            continue
        start = max(buffer.rfind(b"\n", max(0, begin - _REACH_BYTES), begin) + 1, begin - _REACH_BYTES, 0)
        limit = min(end + _REACH_BYTES, len(buffer))
        stop = buffer.find(b"\n", end, limit)
        done = limit if stop < 0 else stop
        yield start, buffer[start:done].decode("latin-1")


def _hit(span: tuple[int, int], kind: str) -> Hit:
    return Hit(span[0], span[1], kind)


def _shifted(hits: Iterator[Hit], start: int) -> Iterator[Hit]:
    for hit in hits:
        yield Hit(hit.start + start, hit.end + start, hit.type)


# ---------------------------------------------------------------------------------------------------- private keys

_KEY_LINES = rb"(?:[ \t]*[A-Za-z][A-Za-z\-]+: [^\n\x00]*(?:\r?\n|\\n))*"
_KEY_BODY = (
    rb"(?:(?:\\r|\\n|[\s\"'+,|>#*])*[A-Za-z0-9+/=]{16,})+(?:(?:\\r|\\n|[\s\"'+,|>#*])*=?[A-Za-z0-9+/=]{1,15}\b=*)?"
)
_PRIVATE_KEY = re2.compile(
    # PEM, OpenSSH and PGP, also escaped or quoted in source code; the end may be cut off.
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\\r|\\n|[\s\"'+,|>#*])*" + _KEY_LINES + _KEY_BODY +
    rb"(?:(?:\\r|\\n|[\s\"'+,|>#*])*-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)?"
    # PuTTY.
    rb"|PuTTY-User-Key-File-[23]: [^\x00]*?Private-MAC: [0-9a-f]+"
)  # fmt: skip

# ------------------------------------------------------------------------------------------------- keys of providers

_PROVIDERS: tuple[RegexBasedDetector, ...] = (
    AWSKeyDetector(),
    AzureStorageKeyDetector(),
    CloudantDetector(),
    DiscordBotTokenDetector(),
    GitHubTokenDetector(),
    GitLabTokenDetector(),
    JwtTokenDetector(),
    MailchimpDetector(),
    NpmDetector(),
    OpenAIDetector(),
    PypiTokenDetector(),
    SendGridDetector(),
    SlackDetector(),
    SquareOAuthDetector(),
    StripeDetector(),
    TelegramBotTokenDetector(),
    TwilioKeyDetector(),
)
_BASIC_AUTH = BasicAuthDetector()
_SIGNATURE = re.compile(r"[A-Za-z0-9_\-+/=]*")

# A superset of what the patterns of these plugins can match. Word boundaries and few counted repetitions keep the
# automaton small enough to stay in its memory budget.
_PROVIDER_TRIGGERS = tuple(
    re2.compile(trigger)
    for trigger in (
        (
            rb"\b(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{5}|AccountKey=|T3BlbkFJ|pypi-AgE|\bSG\.[A-Za-z0-9]|sq0csp-"
            rb"|\bgh[pousr]_[A-Za-z0-9]|\bgl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[A-Za-z0-9]|GR1348941|\beyJ[A-Za-z0-9]"
            rb"|[0-9a-z]-us[0-9]|:_authToken=|(?i:cloudant\.com|\bxox[abpors]-[0-9]|hooks\.slack\.com/services/)"
            rb"|\b[rs]k_live_[0-9A-Za-z]|://[^\s/@:\x00]+:[^\s/@\x00]+@"
        ),
        rb"\b[MNO][A-Za-z0-9_\-]{23,25}\.[A-Za-z0-9_\-]{6}\.",
        rb"\b[0-9]{8,10}:[0-9A-Za-z_\-]{35}",
        rb"\b(?:AC|SK)[a-z0-9]{32}\b",
        rb"['\"][0-9a-zA-Z/+]{40}['\"]",
    )
)


def _provider_keys(line: str) -> Iterator[Hit]:
    for plugin in _PROVIDERS:
        for pattern in plugin.denylist:
            for match in pattern.finditer(line):
                start, end = _value(match)
                if isinstance(plugin, JwtTokenDetector):
                    if not plugin.is_formally_valid(line[start:end].rstrip(".")):
                        continue
                    # The pattern stops before the signature.
                    end += len(_SIGNATURE.match(line, end)[0])  # type: ignore[index]
                # Inside a longer word it is part of other data, such as an encoded image.
                if not _is_word(line[start - 1 : start]) and not _is_word(line[end : end + 1]):
                    yield Hit(start, end, "api_key")


def _value(match: re.Match[str]) -> tuple[int, int]:
    """Where the secret stands in a match: its longest group, unless the groups hold only a prefix such as "ghp"."""
    groups = [match.span(index) for index in range(1, match.re.groups + 1) if match.group(index)]
    longest = max(groups, key=lambda span: span[1] - span[0], default=(0, 0))
    return longest if longest[1] - longest[0] >= 16 else match.span()


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def _url_passwords(line: str) -> Iterator[Hit]:
    for pattern in _BASIC_AUTH.denylist:
        for match in pattern.finditer(line):
            password = match.group(1)
            if not _is_template(password) and not heuristic.is_not_alphanumeric_string(password):
                yield _hit(match.span(1), "password")


# ---------------------------------------------------------------------------------------------- assigned values

_KEYWORDS = "|".join(word.replace("ñ", ".{1,2}") for word in DENYLIST)
# Names whose value is a secret if it looks random; names of digests and of public keys are not among them.
_RANDOM_NAMES = (
    "secret|passw|pwd|passphrase|token|credential|bearer|auth|salt|signing|access_?key|account_?key|api_?key|"
    "client_?key|encryption_?key|private_?key|priv_?key|secret_?key|service_?key|session_?key|db_?key|db_?pass"
)
_ASSIGNMENT_TRIGGER = re2.compile(
    rf"(?i:{_KEYWORDS}|{_RANDOM_NAMES})[^\n\x00\"'`]{{0,60}}[\"'`][^\n\x00\"'`]{{0,2}}[=:,>({{\s]*[\"'`]?[^\s\"'`]{{6}}"
    rf"|[\"'`]\s?[!=]{{2,3}}\s?\w*(?i:{_KEYWORDS})".encode()
)
_NAMED = re.compile(
    rf"(?:{_RANDOM_NAMES})[\w\-]*[\]\"'`]*\s*(?:\([^()]*\)\s*)?(?::\s*\w+\s*=|:=|=>|[=:,(])\s*@?[bruf]{{0,2}}$",
    re.IGNORECASE,
)
# The name of a digest, of a public key, or of a type ("AWS::IAM::AccessKey") has no secret as its value.
_NOT_A_SECRET_NAME = re.compile(
    r"(?:author|tokeni[sz]|public|digest|hash|sha\d|md5|checksum|fingerprint|::)[\w\-]*\W*$", re.IGNORECASE
)
_ENVIRONMENT = re2.compile(
    rb"(?m)^(?:export )?[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|PRIVATE_KEY|ACCESS_KEY)[A-Z0-9_]*="
    rb"([^\s\"'`\x00]{6,200})[ \t\r]*$"
)
_TEMPLATE = re.compile(r"[{}<>*]|\$\w|\$\(|%\(|%s|\.\.\.|x{4}|X{4}")


def _is_template(value: str) -> bool:
    """Whether the value stands for one that is filled in elsewhere."""
    return heuristic.is_prefixed_with_dollar_sign(value) or _TEMPLATE.search(value) is not None


def _is_password(value: str) -> bool:
    """Whether a value can be a password and not a word, a label, a path or a name of something.

    Texts for people hold white space; names hold letters, and at most ``-_.:/`` between them.
    """
    if not 6 <= len(value) <= 200 or any(character.isspace() for character in value) or _is_template(value):
        return False
    if value.startswith(("/", "./", "../", "~", "http:", "https:", "--")) or heuristic.is_sequential_string(value):
        return False
    has_letter = any(character.isalpha() for character in value)
    has_other = any(not character.isalpha() and character not in "-_.:/,;()[]=\\ " for character in value)
    return has_letter and has_other


def _assigned_passwords(line: str) -> Iterator[Hit]:
    if heuristic.is_indirect_reference(line):
        return
    for pattern, group in QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP.items():
        for match in pattern.finditer(line):
            start, end = match.span(group)
            if _is_password(line[start:end]) and not _NOT_A_SECRET_NAME.search(line, max(0, start - 80), start):
                yield _hit((start, end), "password")


def _environment_values(buffer: bytes) -> Iterator[Hit]:
    for match in _ENVIRONMENT.finditer(buffer):
        if _is_password(match.group(1).decode("latin-1")):
            yield _hit(match.span(1), "password")


def _random_reader(plugin: Base64HighEntropyString | HexHighEntropyString) -> Callable[[str], Iterator[Hit]]:
    def read(line: str) -> Iterator[Hit]:
        for match in plugin.regex.finditer(line):
            value = match.group(2)
            before = line[max(0, match.start() - 80) : match.start()]
            if len(value) < 16 or not _NAMED.search(before) or _NOT_A_SECRET_NAME.search(before):
                continue
            if heuristic.is_potential_uuid(value) or heuristic.is_sequential_string(value):
                continue
            if plugin.calculate_shannon_entropy(value) > plugin.entropy_limit:
                yield _hit(match.span(2), "secret")

    return read
