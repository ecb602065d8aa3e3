"""Personal data in texts: what is found, what must stay, and what holds for any text."""

from __future__ import annotations

import random
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from goldmill.rules.safety import PiiRules
from goldmill.text import checksums
from goldmill.text.personal_numbers import Forms
from goldmill.text.pii import PII_TYPES, find, scrub

RULES = PiiRules()


def scrubbed(text: str, rules: PiiRules = RULES) -> str:
    (result,) = scrub(pa.array([text]), rules).texts.to_pylist()
    return str(result)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # e-mail
        ("Write to jane.doe+news@mail.example.org.", "Write to <EMAIL>."),
        ("<jane@example.com>, (joe@example.de)", "<<EMAIL>>, (<EMAIL>)"),
        ("mailto:jane_doe@example.co.uk?subject=x", "mailto:<EMAIL>?subject=x"),
        ("josé.núñez@müller.de", "<EMAIL>"),
        ("иван@почта.com", "<EMAIL>"),
        ("请联系foo@bar.com谢谢", "请联系<EMAIL>谢谢"),
        ("JANE@EXAMPLE.COM", "<EMAIL>"),
        # phones
        ("Call 212-555-1234 today", "Call <PHONE> today"),
        ("(212) 555-1234, 212.555.1234", "<PHONE>, <PHONE>"),
        ("1-800-234-5678", "<PHONE>"),
        ("+1 (212) 555-1234", "<PHONE>"),
        ("+44 20 7946 0958 or +442079460958", "<PHONE> or <PHONE>"),
        ("+44 (0)20 7946 0958.", "<PHONE>."),
        ("+49 30 12345678 2020", "<PHONE> 2020"),
        ("+33\u00a01\u00a023\u00a045\u00a067\u00a089", "<PHONE>"),
        ("+1.2125551234", "<PHONE>"),
        ("Tél. 01 23 45 67 89 de lundi", "Tél. <PHONE> de lundi"),
        ("020 7946 0958", "<PHONE>"),
        ("03-1234-5678 / 090-1234-5678", "<PHONE> / <PHONE>"),
        ("(11) 98765-4321", "<PHONE>"),
        ("Telefon: 0221/123456", "Telefon: <PHONE>"),
        ("phone = 2125551234", "phone = <PHONE>"),
        ("电话：13812345678", "电话：<PHONE>"),
        ("请拨打06 2391069联系我们。", "请拨打<PHONE>联系我们。"),
        ("<td>Tlf.</td><td>89456035</td>", "<td>Tlf.</td><td><PHONE></td>"),
        ('"Telefonnummer": "0931-56 46 22",', '"Telefonnummer": "<PHONE>",'),
        ("Звоните по номеру 8 (417) 899-75-23 в", "Звоните по номеру <PHONE> в"),
        ("Ring til os på 29 44 40 91.", "Ring til os på <PHONE>."),
        ("Fax: 206.998.8439x309", "Fax: <PHONE>x309"),
        ("Volejte na 00420 734 469 149", "Volejte na <PHONE>"),
        ("(+358) 511945834", "<PHONE>"),
        ("Tel. (030) 901820, Raum 7", "Tel. <PHONE>, Raum 7"),
        # IP addresses
        ("from 93.184.216.34:443", "from <IP_ADDRESS>:443"),
        ("http://93.184.216.34/x", "http://<IP_ADDRESS>/x"),
        ("8.8.8.8", "<IP_ADDRESS>"),
        ("server 5.9.1.2", "server <IP_ADDRESS>"),
        ("[2001:4860:4860::8888]:53", "[<IP_ADDRESS>]:53"),
        ("2a00:1450:4001:081b:0000:0000:0000:200e", "<IP_ADDRESS>"),
        # payment cards
        ("4111 1111 1111 1111 12/27", "<CREDIT_CARD> 12/27"),
        ("card:5555-5555-5555-4444,", "card:<CREDIT_CARD>,"),
        ("378282246310005", "<CREDIT_CARD>"),
        ("3782 822463 10005", "<CREDIT_CARD>"),
        ("1,4111111111111111,12/27", "1,<CREDIT_CARD>,12/27"),
        ("carte 30569309025904", "carte <CREDIT_CARD>"),
        ("4111 1111 1111 1111\n5555 5555 5555 4444", "<CREDIT_CARD>\n<CREDIT_CARD>"),
        # bank accounts
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN <IBAN>"),
        ("DE89 3704 0044 0532 0130 00 BIC COBADEFF", "<IBAN> BIC COBADEFF"),
        ("GB82WEST12345698765432", "<IBAN>"),
        # national ids
        ("85.07.30-033.28", "<NATIONAL_ID>"),
        ("CPF 52998224725, 529.982.247-25", "CPF <NATIONAL_ID>, <NATIONAL_ID>"),
        ("SIN: 130 692 544", "SIN: <NATIONAL_ID>"),
        ("756.9217.0769.85", "<NATIONAL_ID>"),
        ("12.345.678-5", "<NATIONAL_ID>"),
        ("11010519491231002X", "<NATIONAL_ID>"),
        ("Steuer-ID 86095742719", "Steuer-ID <NATIONAL_ID>"),
        ("12345678Z y X1234567L", "<NATIONAL_ID> y <NATIONAL_ID>"),
        ("131052-308T", "<NATIONAL_ID>"),
        ("2 55 08 14 168 025 38", "<NATIONAL_ID>"),
        ("AB 12 34 56 C", "<NATIONAL_ID>"),
        ("NINO: AB123456C", "NINO: <NATIONAL_ID>"),
        ("Aadhaar no. 2341 2341 2346", "Aadhaar no. <NATIONAL_ID>"),
        ("RSSMRA85T10A562S", "<NATIONAL_ID>"),
        ("BSN 111222333", "BSN <NATIONAL_ID>"),
        ("29029600013", "<NATIONAL_ID>"),
        ("PESEL: 44051401359", "PESEL: <NATIONAL_ID>"),
        ("NIF 123456789", "NIF <NATIONAL_ID>"),
        ("811218-9876, 19811218-9876", "<NATIONAL_ID>, <NATIONAL_ID>"),
        ("T.C. Kimlik No: 10000000146", "T.C. Kimlik No: <NATIONAL_ID>"),
        ('"ssn": "123-45-6789"', '"ssn": "<NATIONAL_ID>"'),
        ("Social Security number 123456789", "Social Security number <NATIONAL_ID>"),
        # keys
        ("AKIAIOSFODNN7EXAMPLE", "<API_KEY>"),
        ("token ghp_" + "a1B2" * 9, "token <API_KEY>"),
        ("AIza" + "Sy-_9" * 7, "<API_KEY>"),
    ],
)
def test_personal_data_is_replaced(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        # no e-mail
        "@app.route('/x')",
        "logo@2x.png",
        "getty@tty1.service",
        "y = x@self.weight",
        "lodash@4.17.21",
        "git@github.com:owner/name.git",
        "@jane on https://medium.com/@jane",
        "a@b",
        # no phone
        "2024-01-15 12:30:11.123456",
        "15.01.2024-16.01.2024",
        "978-3-16-148410-0",
        "550e8400-e29b-41d4-a716-446655440000",
        "x = 1234567890",
        "range -2147483648 to +2147483647",
        "Decimal('+35236450.6')",
        "+1 000 000 000",
        "2024-01-01T00:00:00+0100",
        "911-555-1234",
        "00 01 23 45 67 89 ff",
        "01 23 45 67 89 0a ff",
        "600 123 456 people",
        "0.2125551234",
        "mobile devices sold 1234567",
        "fax of 2024-05-17",
        "0036 4863 4850 7386",
        "row 0022 555 123 456",
        "https://example.com/item/212-555-1234",
        "commit 1234567890abcdef1234567890abcdef12345678",
        # no address, or none of the public ones
        "127.0.0.1, 10.0.0.1, 192.168.1.1, 169.254.0.1, 0.0.0.0, 255.255.255.0",
        "192.0.2.1, 198.51.100.7, 203.0.113.9",
        "239.255.255.250",
        "version 93.184.216.34",
        "Chrome/93.18.46.34",
        "pkg==10.20.30.40",
        "sections 8.2.4.44 and 8.2.4.45",
        "lib-93.184.216.34.tar.gz",
        "1.3.6.1.4.1.311",
        "256.1.1.1, 93.184.216.340",
        "::1, fe80::1, 2001:db8::1",
        "2024:12:31",
        "std::vector<d::e>",
        # no card
        "4111 1111 1111 1112",
        "4111111111111111111",
        "0.4111111111111111",
        "id-4111111111111111",
        "x*.4111111111111111",
        "a4111111111111111",
        "2024 4111 1111 1111 1111",
        "30569309025904",
        "4111111111111111110",
        "tracking no. 4111111111111111",
        "4111 1111 1111 1111\n4111 1111 1111 1112",
        # no account
        "DE89 3704 0044 0532 0130 01",
        "GB82WEST1234569876543",
        # no national id
        "123-45-67890, 000-12-3456, 666-12-3456, 987-65-4321",
        "12345678A",
        "0x12345678L",
        "850730-033.28",
        "529.982.247-26",
        "756.9217.0769.86",
        "811318-9876",
        "RSSMRA85T10A562T",
        "111222333",
        "44051401359",
        "234123412346",
        "AB123456C",
        "123456789",
        # no key
        "AKIAIOSFODNN7EXAMPLEX",
        "ghp_short",
        "sk-learn-is-a-library-for-machine-learning",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert scrubbed(text) == text


def test_counts_are_kept_by_type() -> None:
    texts = pa.array(["a@b.com b@c.org 8.8.8.8", "nothing", ""])
    result = scrub(texts, RULES)
    assert result.texts.to_pylist() == ["<EMAIL> <EMAIL> <IP_ADDRESS>", "nothing", ""]
    assert result.counts.to_pylist() == [[("email", 2), ("ip_address", 1)], [], []]
    assert result.counts.type == pa.map_(pa.string(), pa.int32())


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_type_and_slices_are_kept(kind: pa.DataType) -> None:
    texts = pa.array(["a@b.com", "é a@b.com", "c@d.com", "end"], kind).slice(1, 2)
    result = scrub(texts, RULES)
    assert result.texts.type == kind
    assert result.texts.to_pylist() == ["é <EMAIL>", "<EMAIL>"]
    assert [tuple(span) for span in find(texts, RULES)] == [(0, 3, 10, "email"), (1, 0, 7, "email")]


def test_an_empty_batch_gives_an_empty_batch() -> None:
    result = scrub(pa.array([], pa.string()), RULES)
    assert (len(result.texts), len(result.counts)) == (0, 0)
    assert find(pa.array([], pa.string()), RULES) == []


def test_a_null_text_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="row 1 is null"):
        scrub(pa.array(["a", None]), RULES)


def test_nothing_is_found_across_two_texts() -> None:
    assert scrub(pa.array(["phone", "2125551234", "212-555-", "1234", "a@", "b.com"]), RULES).counts.to_pylist() == [
        [] for _ in range(6)
    ]


def test_an_action_decides_between_replacing_counting_and_not_looking() -> None:
    rules = PiiRules(email="count", phone="off")
    result = scrub(pa.array(["a@b.com 212-555-1234 8.8.8.8"]), rules)
    assert result.texts.to_pylist() == ["a@b.com 212-555-1234 <IP_ADDRESS>"]
    assert result.counts.to_pylist() == [[("email", 1), ("ip_address", 1)]]
    assert [span.type for span in find(pa.array(["a@b.com 8.8.8.8"]), rules)] == ["ip_address"]
    assert scrub(pa.array(["a@b.com"]), PiiRules(enabled=False)).counts.to_pylist() == [[]]


def test_a_bare_off_of_a_yaml_recipe_is_understood() -> None:
    assert PiiRules.model_validate({"phone": False}).phone == "off"
    with pytest.raises(ValidationError, match="phone"):
        PiiRules.model_validate({"phone": True})


def test_non_public_addresses_go_when_the_rule_says_so() -> None:
    rules = PiiRules(keep_non_public_ips=False)
    assert scrubbed("127.0.0.1 and fe80::1 at 12:30:45", rules) == "<IP_ADDRESS> and <IP_ADDRESS> at 12:30:45"


def test_only_the_countries_named_are_looked_for() -> None:
    assert scrubbed("131052-308T RSSMRA85T10A562S", PiiRules(national_id_countries=("IT",))) == (
        "131052-308T <NATIONAL_ID>"
    )


def test_a_placeholder_gives_no_context_to_the_next_number() -> None:
    assert scrubbed("phone 2125551234 3125551234") == "phone <PHONE> 3125551234"


@pytest.mark.parametrize("placeholder", ["EMAIL", "{type}", "<{type}", "x{type}x", "<{type}1>", "<{type}@>"])
def test_a_placeholder_that_could_be_read_as_text_is_refused(placeholder: str) -> None:
    with pytest.raises(ValidationError, match=r"pii\.placeholder"):
        PiiRules(placeholder=placeholder)


def test_every_form_has_a_shape_that_its_own_pattern_finds() -> None:
    forms = Forms(PII_TYPES, PiiRules().national_id_countries)
    assert len(forms.of("123456789")) >= 2
    assert {form.country for form in forms.of("99999999999")} >= {"PL", "NO", "TR", "BR", "BE", "DE"}
    assert forms.of("no number") == []


# ------------------------------------------------------------------------------------------------- for any text

_PIECES = st.sampled_from(
    ["a@b.com", "jane.doe@example.org", "212-555-1234", "+44 20 7946 0958", "8.8.8.8", "1.2.3.4", "2a00:1450::200e",
     "4111 1111 1111 1111", "DE89370400440532013000", "123-45-6789", "85.07.30-033.28", "2125551234", "phone ", "ssn ",
     "version ", "<EMAIL>", " ", "\n", ",", ".", "-", "+", "/", "@", "x", "é", "0", "12", "\0", "AKIAIOSFODNN7EXAMPLE"]
)  # fmt: skip
texts_of_pieces = st.lists(_PIECES, max_size=12).map("".join)
any_texts = st.lists(st.one_of(texts_of_pieces, st.text(max_size=40)), max_size=5)


@given(any_texts)
@settings(max_examples=300)
def test_scrubbing_twice_is_scrubbing_once(texts: list[str]) -> None:
    first = scrub(pa.array(texts, pa.string()), RULES)
    second = scrub(first.texts, RULES)
    assert second.texts.equals(first.texts)
    assert second.counts.to_pylist() == [[] for _ in texts]
    assert find(first.texts, RULES) == []


_FILLERS = st.sampled_from(["", " ", "word " * 30, "x" * 400, "ещё раз " * 40, "a-b_c.d: " * 50, "\n" * 3, "的" * 200])


@given(st.lists(st.tuples(_FILLERS, _PIECES), max_size=8))
def test_reading_only_where_hints_are_finds_what_reading_all_finds(parts: list[tuple[str, str]]) -> None:
    text = "".join(filler + piece for filler, piece in parts)
    everywhere = PiiRules(keep_non_public_ips=False)  # such addresses may lack a hint, so all is read
    shared = {"keep_non_public_ips", "ip_address"}
    by_hints = PiiRules(ip_address="off", **everywhere.model_dump(exclude=shared))
    assert find(pa.array([text]), by_hints) == find(
        pa.array([text]), everywhere.model_copy(update={"ip_address": "off"})
    )


@given(
    st.integers(0, 200),
    st.sampled_from(
        [
            "AKIA" + "QWERTYUIOPASDFGH",
            "AIza" + "abcdefgh" * 4 + "xyz",
            "hf_" + "a" * 34,
            "SG." + "b" * 22 + "." + "c" * 43,
        ]
    ),
    st.sampled_from(["a ", "的 ", "A "]),
)
def test_keys_without_a_digit_are_found_wherever_they_stand(words: int, key: str, word: str) -> None:
    assert scrubbed(f"{word * words}{key} end").endswith(" <API_KEY> end" if words else "<API_KEY> end")


@given(any_texts)
def test_a_batch_gives_what_its_rows_give_alone(texts: list[str]) -> None:
    together = scrub(pa.array(texts, pa.string()), RULES)
    assert together.texts.to_pylist() == [scrubbed(text) for text in texts]


@given(any_texts)
def test_text_between_finds_is_kept(texts: list[str]) -> None:
    for text, spans in ((text, find(pa.array([text]), RULES)) for text in texts):
        data = text.encode()
        assert all(0 <= span.start < span.end <= len(data) for span in spans)
        assert all(left.end <= right.start for left, right in pairwise(spans))
        if not spans:
            assert scrubbed(text) == text


@given(st.emails(domains=st.sampled_from(["example.com", "mail.example.org", "example.co.uk"])))
def test_no_address_of_the_usual_form_is_left(email: str) -> None:
    local = email.rpartition("@")[0]
    if all(character.isalnum() or character in "._%+-" for character in local) and local.strip(".-%+_"):
        assert "@" not in scrubbed(f"Mail {email}, please.")


@given(st.integers(0, 10**11 - 1), st.sampled_from(["4000", "5100", "6011"]), st.sampled_from(["", " ", "-"]))
def test_any_valid_card_is_found_and_no_changed_one(number: int, issuer: str, separator: str) -> None:
    body = f"{issuer}{number:011d}"
    (card,) = [body + digit for digit in "0123456789" if checksums.luhn(body + digit)]
    groups = separator.join(card[index : index + 4] for index in range(0, 16, 4))
    assert scrubbed(f"paid with {groups}.") == "paid with <CREDIT_CARD>."
    changed = groups[:-1] + str((int(groups[-1]) + 1) % 10)
    assert "<CREDIT_CARD>" not in scrubbed(f"paid with {changed}.")


@given(st.sampled_from(sorted(checksums.IBAN_LENGTHS)), st.randoms(use_true_random=False), st.booleans())
def test_any_valid_iban_is_found_and_no_changed_one(country: str, random_: random.Random, is_grouped: bool) -> None:
    account = "".join(random_.choices("0123456789", k=checksums.IBAN_LENGTHS[country] - 4))
    (check,) = [f"{number:02d}" for number in range(2, 99) if checksums.iban(f"{country}{number:02d}{account}")]
    iban = f"{country}{check}{account}"
    written = " ".join(iban[index : index + 4] for index in range(0, len(iban), 4)) if is_grouped else iban
    assert scrubbed(f"to {written}, thanks") == "to <IBAN>, thanks"
    changed = written[:-1] + str((int(written[-1]) + 1) % 10)
    assert "<IBAN>" not in scrubbed(f"to {changed}, thanks")
