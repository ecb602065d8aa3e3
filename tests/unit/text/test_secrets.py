"""Credentials in texts. Tokens are put together here, so that no scanner takes this file for a leak."""

from __future__ import annotations

import base64
import json
import socket
import string

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from goldmill.rules.safety import SecretRules
from goldmill.text.secrets import SECRET_TYPES, find_secrets, scrub_secrets

RULES = SecretRules()


def scrubbed(text: str, rules: SecretRules = RULES) -> str:
    (result,) = scrub_secrets(pa.array([text]), rules).texts.to_pylist()
    return str(result)


def _encoded(claims: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


MIXED = (string.ascii_letters + string.digits) * 4
RANDOM_VALUE = "kT9xQz2LpVb7RmN4sWcY8dHf"
JWT = f"{_encoded({'alg': 'HS256'})}.{_encoded({'sub': 'x'})}.{MIXED[5:48]}"
KEY_LINES = ["MIIEpAIBAAKCAQEA7bq0/x9X" + MIXED[index : index + 40] for index in range(12)]
BEGIN, END = "-----BEGIN {}PRIVATE KEY-----", "-----END {}PRIVATE KEY-----"
PEM = "\n".join([BEGIN.format("RSA "), *KEY_LINES, "a1==", END.format("RSA ")])
ENCRYPTED = "\n".join(
    [BEGIN.format("RSA "), "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0A1B", "", *KEY_LINES, END.format("RSA ")]
)
PGP = "\n".join(
    [
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "Version: 1",
        "",
        *KEY_LINES,
        "=aB1c",
        "-----END PGP PRIVATE KEY BLOCK-----",
    ]
)
PUTTY = "\n".join(
    ["PuTTY-User-Key-File-2: ssh-rsa", "Encryption: none", "Private-Lines: 1", *KEY_LINES, "Private-MAC: 0a1b2c"]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id " + "AKIA" + MIXED[26:42].upper(), "id <API_KEY>"),
        ('aws_secret_access_key = "' + MIXED[3:43] + '"', 'aws_secret_access_key = "<API_KEY>"'),
        ("AccountKey=" + MIXED[:86] + "==;", "<API_KEY>;"),
        ("ghp_" + MIXED[:36], "<API_KEY>"),
        ("glpat-" + MIXED[:20], "<API_KEY>"),
        (f"Authorization: Bearer {JWT}\n", "Authorization: Bearer <API_KEY>\n"),
        (MIXED[26:36].lower() + "0" * 22 + "-us12", "<API_KEY>"),
        ("//registry.example.org/:_authToken=npm_" + MIXED[:36], "//registry.example.org/:_authToken=<API_KEY>"),
        ("sk-" + MIXED[:20] + "T3BlbkFJ" + MIXED[20:40], "<API_KEY>"),
        ("SG." + MIXED[:22] + "." + MIXED[:43], "<API_KEY>"),
        ("xoxb-123456789012-abcdefGHIJ", "<API_KEY>"),
        ("https://hooks.slack.com/services/" + "T01234567/B01234567/" + MIXED[:24], "<API_KEY>"),
        ("sk_" + "live_" + MIXED[:24], "<API_KEY>"),
        ("12345678:" + MIXED[:35], "<API_KEY>"),
        ("SK" + "0a1b2c3d" * 4, "<API_KEY>"),
        (f"x\n{PEM}\ny", "x\n<PRIVATE_KEY>\ny"),
        (f"{ENCRYPTED}\n", "<PRIVATE_KEY>\n"),
        (PGP, "<PRIVATE_KEY>"),
        (f"{PUTTY}\nend", "<PRIVATE_KEY>\nend"),
        ('key = "' + PEM.replace("\n", "\\n") + '"', 'key = "<PRIVATE_KEY>"'),
        (PEM[:300], "<PRIVATE_KEY>"),
        ("postgres://user:s3cret@db.example.org/x", "postgres://user:<PASSWORD>@db.example.org/x"),
        ('password = "hunter2x"', 'password = "<PASSWORD>"'),
        ("db_password: 'p4ss!word'", "db_password: '<PASSWORD>'"),
        ('{"passwd": "p4ss!word", "port": 1}', '{"passwd": "<PASSWORD>", "port": 1}'),
        ('if "abc12345" == my_password:', 'if "<PASSWORD>" == my_password:'),
        ("export DB_PASSWORD=Xy12!abc\nA=1", "export DB_PASSWORD=<PASSWORD>\nA=1"),
        (f'access_token = "{RANDOM_VALUE}"', 'access_token = "<SECRET>"'),
        (f"SIGNING_SALT: bytes = b'{RANDOM_VALUE}'", "SIGNING_SALT: bytes = b'<SECRET>'"),
        ('api_key: "9f86d081884c7d659a2feaa0c55ad015"', 'api_key: "<SECRET>"'),
        ('session_key="9f86d081884c7d659a2feaa0c55ad015"', 'session_key="<SECRET>"'),
        (f'é = 1; ключ_token = "{RANDOM_VALUE}"', 'é = 1; ключ_token = "<SECRET>"'),
    ],
)
def test_credentials_are_replaced(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'password = "changeme"',
        'password = ""',
        "password = None",
        'password = os.environ["DB_PASSWORD_1"]',
        'password = get_secret("abc1def")',
        'password_label = "Enter your password 1"',
        'password = "{password1}"',
        'password = "${DB_PASSWORD_1}"',
        'password = "********"',
        'secret_name = "my-secret-name"',
        'private_key = "/etc/keys/server1.pem"',
        'url = f"postgres://u:{pw}@db"',
        "postgres://user:$PASS@db",
        "git clone https://example.com/a.git",
        f'sha256 = "{RANDOM_VALUE}"',
        f'public_token_digest = "{RANDOM_VALUE}"',
        f'author = "{RANDOM_VALUE}"',
        f'"{RANDOM_VALUE}"',
        'token = "123e4567-e89b-12d3-a456-426614174000"',
        'token = "ABCDEFGHIJKLMNOPQRSTUVWX"',
        'token_type = "authorization_code"',
        '"AWS::IAM::AccessKey": "62d91b17309e76c8"',
        'if "-----BEGIN PRIVATE KEY-----" in text:\n    return "-----END PRIVATE KEY-----"',
        "-----BEGIN PUBLIC KEY-----\n" + "\n".join(KEY_LINES) + "\n-----END PUBLIC KEY-----",
        "eyJub3QgYSB0b2tlbg.eyJub3QgYSB0b2tlbg.x",
        "AKIA" + MIXED[26:42].upper() + "X",
        "data:image/png;base64," + "AC" + "0a1b2c3d" * 8,
    ],
)
def test_what_only_looks_like_a_credential_stays(text: str) -> None:
    assert scrubbed(text) == text


def test_long_lines_are_read_around_the_secret_only() -> None:
    filler = "var a=1;" * 50_000
    assert scrubbed(f'{filler}var password="hunter2x";{filler}') == f'{filler}var password="<PASSWORD>";{filler}'


def test_counts_type_and_slices_are_kept() -> None:
    texts = pa.array(["skip", 'é password = "hunter2x"', PEM, "none"], pa.large_string()).slice(1)
    result = scrub_secrets(texts, RULES)
    assert result.texts.type == pa.large_string()
    assert result.texts.to_pylist() == ['é password = "<PASSWORD>"', "<PRIVATE_KEY>", "none"]
    assert result.counts.to_pylist() == [[("password", 1)], [("private_key", 1)], []]


def test_an_action_decides_between_replacing_counting_and_not_looking() -> None:
    text = f'password = "hunter2x"; token = "{RANDOM_VALUE}"'
    result = scrub_secrets(pa.array([text]), SecretRules(password="count", high_entropy="off"))
    assert result.texts.to_pylist() == [text]
    assert result.counts.to_pylist() == [[("password", 1)]]
    assert [span.type for span in find_secrets(pa.array([text]), SecretRules(password="count"))] == ["secret"]
    assert find_secrets(pa.array([text]), SecretRules(enabled=False)) == []


def test_entropy_limits_decide_what_is_random() -> None:
    text = f'token = "{RANDOM_VALUE}"'
    assert scrubbed(text, SecretRules(base64_entropy_limit=5.5)) == text


def test_a_null_text_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="row 0 is null"):
        scrub_secrets(pa.array([None], pa.string()), RULES)


def test_a_placeholder_without_brackets_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"secrets\.placeholder"):
        SecretRules(placeholder="_{type}_")


def test_no_secret_is_sent_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a secret would have left the machine")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    key = "sk_" + "live_" + MIXED[:24]
    assert scrubbed(f"{key} xoxb-123456789012-abcdefGHIJ") == "<API_KEY> <API_KEY>"


_PIECES = st.sampled_from(
    ["password", "token", " = ", ": ", '"', "'", "hunter2x", RANDOM_VALUE, "\n", " ", JWT, PEM, "ghp_" + MIXED[:36],
     "://u:p4ss@h", "<PASSWORD>", "<SECRET>", ";", "x", "é", "\0", "SK" + "0a1b2c3d" * 4, "SECRET_KEY=", "=", "("]
)  # fmt: skip
any_texts = st.lists(st.one_of(st.lists(_PIECES, max_size=12).map("".join), st.text(max_size=40)), max_size=4)


@given(any_texts, st.sampled_from(["<{type}>", "[[{type}]]"]))
@settings(max_examples=200, deadline=None)
def test_scrubbing_twice_is_scrubbing_once(texts: list[str], placeholder: str) -> None:
    rules = SecretRules(placeholder=placeholder)
    first = scrub_secrets(pa.array(texts, pa.string()), rules)
    second = scrub_secrets(first.texts, rules)
    assert second.texts.equals(first.texts)
    assert second.counts.to_pylist() == [[] for _ in texts]


@given(any_texts)
@settings(deadline=None)
def test_a_batch_gives_what_its_rows_give_alone(texts: list[str]) -> None:
    together = scrub_secrets(pa.array(texts, pa.string()), RULES)
    assert together.texts.to_pylist() == [scrubbed(text) for text in texts]
    assert {name for row in together.counts.to_pylist() for name, _ in row} <= set(SECRET_TYPES)


@given(st.text(string.ascii_letters + string.digits, min_size=36, max_size=36), st.sampled_from("pousr"))
@settings(deadline=None)
def test_any_token_of_a_known_form_is_found(body: str, kind: str) -> None:
    assert scrubbed(f"use gh{kind}_{body} here") == "use <API_KEY> here"
