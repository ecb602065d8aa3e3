"""Precision and recall of personal data and secrets by type, on generated text whose answers are known.

Values come from others than the kernels: numbers of many countries from Faker, kept only where python-stdnum calls them
valid. They stand in forms, sentences, tables, logs, JSON and code in 18 languages, with the labels that people of the
country write, and between hard negatives: versions, order numbers, hashes, timestamps, ISBNs, coordinates, hex dumps,
private addresses, numbers with a wrong check digit, placeholders for passwords. A find counts only if its type and both
of its byte offsets are right; `password` and `secret` may stand for one another, the entropy of a value parts them.

The table goes to docs/pii.md.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import ROOT, SPARK_ENVIRONMENT, machine, parser, show, table, use_environment, write_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEERS_ENVIRONMENT = ".venv-peers"
PAGE = ROOT / "docs" / "pii.md"
TRUTH = Path(os.environ.get("GOLDMILL_HOME", ROOT / ".goldmill")) / "bench" / "pii.jsonl"
_BEGIN, _END = "<!-- truth: written by `python bench/pii_truth.py` -->", "<!-- end of truth -->"

LEAST_PRECISION = 0.99  # of numbers with check digits

# Country, Faker's locale and method, python-stdnum's module; None draws digits until the module accepts them.
_IDS = (
    ("BE", "nl_BE", "ssn", "be.nn"), ("BR", "pt_BR", "ssn", "br.cpf"), ("CA", "en_CA", "ssn", "ca.sin"),
    ("CH", "de_CH", "ssn", "ch.ssn"), ("CL", "es_CL", "person_rut", "cl.rut"), ("CN", "zh_CN", "ssn", "cn.ric"),
    ("DE", "de_DE", None, "de.idnr"), ("ES", "es_ES", "nif", "es.dni"), ("ES", "es_ES", "nie", "es.nie"),
    ("FI", "fi_FI", "ssn", "fi.hetu"), ("FR", "fr_FR", "ssn", "fr.nir"), ("GB", "en_GB", None, None),
    ("IN", "en_IN", "aadhaar_id", "in_.aadhaar"), ("IT", "it_IT", "ssn", "it.codicefiscale"),
    ("NL", "nl_NL", "ssn", "nl.bsn"), ("NO", "no_NO", "ssn", "no.fodselsnummer"), ("PL", "pl_PL", "ssn", "pl.pesel"),
    ("PT", "pt_PT", None, "pt.nif"), ("SE", "sv_SE", "ssn", "se.personnummer"), ("TR", "tr_TR", "ssn", "tr.tckimlik"),
    ("US", "en_US", "ssn", "us.ssn"),
)  # fmt: skip
# How the number is written beside its plain form: digits are put in the place of 9.
_WRITTEN = {
    "BE": ["99.99.99-999.99"], "BR": ["999.999.999-99"], "CA": ["999 999 999", "999-999-999"],
    "DE": ["99 999 999 999"], "FR": ["9 99 99 99 999 999 99"], "IN": ["9999 9999 9999"], "NO": ["999999 99999"],
    "NL": ["9999.99.999"], "PT": ["999 999 999"], "SE": ["999999-9999"], "US": ["999-99-9999"],
    "CH": ["999.9999.9999.99"], "GB": ["99 99 99 99 9"],
}  # fmt: skip
_ID_LABELS = {
    "BE": ["Rijksregisternummer", "Numéro de registre national", "INSZ"], "BR": ["CPF", "CPF nº", "Cadastro (CPF)"],
    "CA": ["SIN", "Social Insurance Number", "NAS"], "CH": ["AHV-Nummer", "AHV-Nr.", "No AVS"],
    "CL": ["RUT", "RUN", "Cédula de identidad"], "CN": ["身份证号", "身份证号码", "公民身份号码"],
    "DE": ["Steuer-ID", "Steuerliche Identifikationsnummer", "IdNr.", "Steueridentifikationsnummer"],
    "ES": ["DNI", "NIE", "NIF", "Documento de identidad"], "FI": ["Henkilötunnus", "Hetu", "Henkilötunnus (HETU)"],
    "FR": ["Numéro de sécurité sociale", "N° de sécurité sociale", "NIR"],
    "GB": ["National Insurance number", "NI number", "NINO", "NI No."],
    "IN": ["Aadhaar", "Aadhaar No.", "Aadhaar number", "आधार संख्या"], "IT": ["Codice fiscale", "C.F.", "CF"],
    "NL": ["BSN", "Burgerservicenummer", "BSN-nummer"], "NO": ["Fødselsnummer", "Personnummer", "Fnr"],
    "PL": ["PESEL", "Nr PESEL", "Numer PESEL"], "PT": ["NIF", "Contribuinte", "N.º de contribuinte"],
    "SE": ["Personnummer", "Personnr", "Pnr"], "TR": ["T.C. Kimlik No", "TC Kimlik No", "TCKN", "Kimlik numarası"],
    "US": ["SSN", "Social Security Number", "Social Security No."],
}  # fmt: skip

# Language, Faker's locales for its phone numbers, labels of a phone, running text around one, and a sentence about
# nothing. In running text the number stands where people write it, labelled or not.
_LANGUAGES: dict[str, tuple[list[str], list[str], list[str], str]] = {
    "en": (
        ["en_US", "en_GB", "en_AU", "en_CA", "en_IN", "en_NZ", "en_IE"],
        ["Phone", "Tel", "Tel.", "Telephone", "Mobile", "Cell", "Fax", "Phone number", "Contact no.", "WhatsApp"],
        ["Call me at {} after six.", "You can reach our office on {}, Monday to Friday.", "Text {} to unsubscribe."],
        "The committee will publish its report before the end of the year.",
    ),
    "de": (
        ["de_DE", "de_AT", "de_CH"],
        ["Tel.", "Telefon", "Handy", "Mobil", "Rufnummer", "Fax", "Telefonnummer"],
        ["Sie erreichen uns unter {} täglich.", "Rufen Sie mich bitte unter {} zurück."],
        "Die Prüfung für das nächste Jahr wurde größtenteils verschoben.",
    ),
    "fr": (
        ["fr_FR", "fr_BE", "fr_CH"],
        ["Tél.", "Téléphone", "Portable", "Mobile", "Fax", "Tél", "N° de téléphone"],
        ["Vous pouvez me joindre au {} le soir.", "Appelez le {} pour réserver."],
        "L’année dernière, l’école a été rénovée à la demande des élèves.",
    ),
    "es": (
        ["es_ES", "es_MX", "es_CL"],
        ["Tel.", "Teléfono", "Móvil", "Celular", "Tfno.", "Fax"],
        ["Llámame al {} por la tarde.", "Atención al cliente en el {}."],
        "La señora salió mañana temprano con su niño.",
    ),
    "it": (
        ["it_IT"],
        ["Tel.", "Telefono", "Cellulare", "Cell.", "Fax", "Numero di telefono"],
        ["Chiamami al {} dopo le otto.", "Per informazioni {} oppure in sede."],
        "La città è più bella quando piove, perché è vuota.",
    ),
    "nl": (
        ["nl_NL", "nl_BE"],
        ["Tel.", "Telefoon", "Mobiel", "Telefoonnummer", "Gsm"],
        ["Bel ons op {} voor een afspraak.", "Ik ben te bereiken op {}."],
        "De coöperatie heeft zeeën van tijd.",
    ),
    "pt": (
        ["pt_PT", "pt_BR"],
        ["Telefone", "Telemóvel", "Celular", "Tel.", "Fone"],
        ["Ligue para {} e marque a consulta.", "O nosso contacto é {}."],
        "A organização não tem informações sobre a situação.",
    ),
    "pl": (
        ["pl_PL"],
        ["Tel.", "Telefon", "Nr telefonu", "Komórka", "tel. kom."],
        ["Proszę dzwonić pod {} po południu.", "Mój numer to {}."],
        "Źródło wiadomości było wątpliwe, więc zażądano zmiany.",
    ),
    "sv": (
        ["sv_SE"],
        ["Tel", "Telefon", "Mobil", "Telefonnummer"],
        ["Ring oss på {} vardagar."],
        "Förra året kom våren sent och älvarna svämmade över.",
    ),
    "no": (
        ["no_NO"],
        ["Tlf.", "Telefon", "Mobil", "Tlf"],
        ["Ring meg på {} i kveld."],
        "Været på fjellet skifter ofte.",
    ),
    "da": (["da_DK"], ["Tlf.", "Telefon", "Mobil"], ["Ring til os på {}."], "Søen ligger øst for ådalen."),
    "fi": (
        ["fi_FI"],
        ["Puh.", "Puhelin", "Matkapuhelin", "GSM", "Puhelinnumero"],
        ["Soita numeroon {} iltaisin."],
        "Järven jää kantaa jo, mutta älä mene sinne yksin.",
    ),
    "tr": (
        ["tr_TR"],
        ["Tel", "Telefon", "Cep", "GSM", "Telefon no"],
        ["Bize {} numarasından ulaşabilirsiniz."],
        "Çocuklar bahçede oynuyor, büyükler çay içiyor.",
    ),
    "ru": (
        ["ru_RU"],
        ["Телефон", "Тел.", "Моб.", "тел"],
        ["Звоните по номеру {} в любое время."],
        "Объявление опубликовано в прошлую пятницу.",
    ),
    "cs": (["cs_CZ"], ["Tel.", "Telefon", "Mobil"], ["Volejte na {} od osmi hodin."], "Příliš žluťoučký kůň úpěl."),
    "el": (
        ["el_GR"],
        ["Τηλ.", "Τηλέφωνο", "Κινητό"],
        ["Καλέστε στο {} για ραντεβού."],
        "Η πόλη ήταν ήσυχη χθες το βράδυ.",
    ),
    "zh": (
        ["zh_CN", "zh_TW"],
        ["电话", "手机", "联系电话", "手机号码"],
        ["请拨打{}联系我们。"],
        "今天的会议改到下周三举行。",
    ),
    "ja": (
        ["ja_JP"],
        ["電話", "電話番号", "携帯", "TEL", "連絡先"],
        ["ご予約は{}までお願いします。"],
        "来週の会議は中止になりました。",
    ),
    "ko": (
        ["ko_KR"],
        ["전화", "전화번호", "휴대폰", "연락처"],
        ["문의는 {}로 연락 주세요."],
        "다음 주 회의는 취소되었습니다.",
    ),
}

_LAYOUTS = [
    "{label}: {value}", "{label} {value}", "- **{label}**: {value}", "{label}:\t{value}", '"{label}": "{value}",',
    "<td>{label}</td><td>{value}</td>", "{label} = {value}", "| {label} | {value} |", "{label} : {value}.",
    "{label}: {value}, 2024-05-17", "({label} {value})",
]  # fmt: skip
_LABELS = {
    "email": ["E-mail", "Email", "Mail", "Courriel", "Correo", "邮箱", "メール", "Почта", "author", "Reply-To"],
    "iban": ["IBAN", "Konto", "Compte", "Account", "Bankverbindung", "IBAN/BIC", "Nr rachunku", "Rekening"],
    "credit_card": ["Card", "Card number", "Kreditkarte", "Carte bancaire", "Tarjeta", "card_no", "カード番号", "PAN"],
    "ip_address": ["IP", "ip", "client", "Host", "remote_addr", "Server", "from", "X-Forwarded-For", "nameserver"],
    "api_key": ["API key", "api_key", "key", "token", "AWS_ACCESS_KEY_ID", "credentials"],
}  # fmt: skip
_RUNNING = {
    "email": ["Write to {} for details.", "Signed-off-by: Jo Doe <{}>", "Schreiben Sie an {}!", "mailto:{}", "联系{}"],
    "iban": ["Bitte überweisen Sie auf {} bis Freitag.", "Pay to {} please.", "Virement sur le compte {}."],
    "credit_card": ["Charge {} for the order.", "Paid with {} yesterday.", "Die Karte {} wurde gesperrt."],
    "ip_address": ["Accepted password for root from {} port 22 ssh2", '{} - - "GET / HTTP/1.1" 200', "ping {}",
                   "The host {} did not answer.", "http://{}/index.html", "connect({}) failed"],
    "api_key": ['client = Client("{}")', "export TOKEN={}", "key: {}", "curl -H 'Authorization: Bearer {}'"],
}  # fmt: skip

Piece = tuple[str, str | None]  # a text, and its type where it is to be found


class Writer:
    """Draws sentences: lists of pieces."""

    def __init__(self, seed: int) -> None:
        from faker import Faker

        self.random = random.Random(seed)  # noqa: S311 - a seed is wanted
        self._fakers: dict[str, Any] = {}
        self._faker = Faker
        self._seed = seed

    def faker(self, locale: str) -> Any:
        """The generator of a locale, seeded."""
        if locale not in self._fakers:
            made = self._faker(locale)
            made.seed_instance(f"{self._seed}:{locale}")
            self._fakers[locale] = made
        return self._fakers[locale]

    def positive(self, kind: str) -> list[Piece]:
        """A sentence with a value of the type ``kind`` (``national_id:DE`` for one of a country)."""
        draw = self.random
        if kind == "phone":
            locales, labels, running, _ = _LANGUAGES[draw.choice(list(_LANGUAGES))]
            value, tail = self.phone(draw.choice(locales))
            return self.place(value, kind, labels, running, tail)
        if kind.startswith("national_id"):
            value = self.national_id(kind.partition(":")[2])
            return self.place(value, kind, _ID_LABELS[kind.partition(":")[2]], [])
        if kind in _SECRETS:
            return _SECRETS[kind](self)
        value = getattr(self, kind)()
        return self.place(value, kind, _LABELS[kind], _RUNNING[kind])

    def place(self, value: str, kind: str, labels: list[str], running: list[str], tail: str = "") -> list[Piece]:
        """The value in a layout with a label, or in running text."""
        if running and self.random.random() < 0.4:
            before, after = self.random.choice(running).split("{}")
        else:
            layout = self.random.choice(_LAYOUTS).replace("{label}", self.random.choice(labels))
            before, after = layout.split("{value}")
        return [(before, None), (value, kind), (tail + after, None)]

    def phone(self, locale: str) -> tuple[str, str]:
        """A number as people of the locale write it, and the extension behind it."""
        number, mark, extension = self.faker(locale).phone_number().partition("x")
        return number.strip(), mark + extension

    def national_id(self, country: str) -> str:
        """A valid number in one of its written forms."""
        _, locale, method, module = self.random.choice([row for row in _IDS if row[0] == country])
        for _ in range(10_000):
            value = self._draw_id(country, locale, method)
            if module is None or _is_valid(module, value):
                break
        else:
            raise RuntimeError(f"{country}: no valid number was drawn")
        plain = "".join(c for c in value if c.isalnum())
        form = self.random.choice(["", "", *_WRITTEN.get(country, [])])
        if not form or sum(c in "9A" for c in form) != len(plain):
            return value if country in ("FI", "CL", "CH", "US", "SE") else plain
        characters = iter(plain)
        return "".join(next(characters) if c == "9" else c for c in form)

    def _draw_id(self, country: str, locale: str, method: str | None) -> str:
        if method is not None:
            return str(getattr(self.faker(locale), method)())
        draw = self.random
        if country == "GB":  # prefixes in use, suffix A to D (HMRC)
            digits = "".join(draw.choice("0123456789") for _ in range(6))
            return (
                draw.choice(["AB", "CE", "JH", "KL", "MW", "PA", "RT", "SX", "WM", "YZ"]) + digits + draw.choice("ABCD")
            )
        first = draw.choice("123") if country == "PT" else draw.choice("123456789")
        return first + "".join(draw.choice("0123456789") for _ in range({"DE": 10, "PT": 8}[country]))

    def email(self) -> str:
        """An address: plain, with tags, of subdomains, of many top-level domains."""
        draw = self.random
        locale = draw.choice(["en_US", "de_DE", "fr_FR", "es_ES", "pl_PL", "it_IT"])
        name = self.faker(locale).user_name()
        local = draw.choice(
            [name, f"{name}+news", f"{name[0]}.{name[1:]}", f"{name}_{draw.randrange(99)}", name.title()]
        )
        top = draw.choice("com org net de fr io co.uk edu info museum cn ru com.br ac.jp dev name eu xyz".split())
        host = draw.choice(["mail.", "", "", "dept-7.", "lists."]) + draw.choice(
            ["acme", "uni-bonn", "example2", "t-online"]
        )
        return f"{local}@{host}.{top}"

    def iban(self) -> str:
        """A valid IBAN, plain or in groups of four."""
        locale = self.random.choice(
            "de_DE fr_FR en_GB nl_NL it_IT es_ES pl_PL pt_PT fi_FI no_NO de_CH de_AT tr_TR".split()
        )
        value = ""
        while not _is_valid("iban", value):
            value = str(self.faker(locale).iban())
        return value if self.random.random() < 0.5 else " ".join(value[i : i + 4] for i in range(0, len(value), 4))

    def credit_card(self) -> str:
        """A number of one of the networks, plain or grouped."""
        kinds = ["visa", "mastercard", "amex", "discover", "jcb16", "diners"]
        value = "35"
        while (
            value[:2] == "35" and not 3528 <= int(value[:4].ljust(4, "0")) <= 3589
        ):  # Faker draws JCB numbers of nobody
            value = str(self.faker("en_US").credit_card_number(self.random.choice(kinds)))
        form = self.random.choice(["", " ", "-"])
        if not form:
            return value
        groups = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}.get(len(value))
        if groups is None:
            return value
        parts, at = [], 0
        for size in groups:
            parts.append(value[at : at + size])
            at += size
        return form.join(parts)

    def ip_address(self) -> str:
        """A public address."""
        import ipaddress

        draw = self.random
        while True:
            if draw.random() < 0.7:
                value = ipaddress.ip_address(draw.getrandbits(32))
            else:
                packed = (draw.choice([0x2001, 0x2A00, 0x2606, 0x2400]) << 112) | draw.getrandbits(
                    draw.choice([64, 104, 112])
                )
                value = ipaddress.ip_address(packed)
            if value.is_global and not value.is_multicast and not value.is_reserved:
                return str(value)

    def api_key(self) -> str:
        """A key in the format that its provider documents."""
        word, digit, capital, hexa = _WORD, "0123456789", _WORD[26:52] + "234567", _HEX
        prefix, alphabet, length = self.random.choice(
            [("AKIA", capital, 16), ("ghp_", word, 36), ("github_pat_", word, 82), ("glpat-", word, 20),
             ("xoxb-", digit, 12), ("AIza", word, 35), ("sk-proj-", word, 48), ("sk_live_", word, 24),
             ("npm_", word, 36), ("hf_", word[:52], 34), ("dop_v1_", hexa, 64), ("shpat_", hexa, 32)]
        )  # fmt: skip
        body = "".join(self.random.choice(alphabet) for _ in range(length))
        if prefix == "xoxb-":
            body = f"{body}-{body[::-1]}-" + "".join(self.random.choice(word) for _ in range(24))
        return prefix + body

    def string(self, alphabet: str, length: int) -> str:
        """Random characters."""
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def negative(self) -> list[Piece]:
        """A sentence that holds nothing to be found, and looks as if."""
        return [(self.random.choice(_NEGATIVES)(self), None)]

    def filler(self) -> list[Piece]:
        """A sentence about nothing."""
        return [(self.random.choice(list(_LANGUAGES.values()))[3], None)]


_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_HEX = "0123456789abcdef"


def _is_valid(module: str, value: str) -> bool:
    try:
        return bool(importlib.import_module(f"stdnum.{module}").is_valid(value))
    except KeyError:  # of a place that the library has no name for
        return False


def _password(writer: Writer) -> str:
    draw = writer.random
    return (
        writer.string(_WORD[:26], 4)
        + draw.choice("!#%&?+")
        + writer.string("0123456789", 3)
        + writer.string(_WORD[26:52], 2)
    )


def _assigned_password(writer: Writer) -> list[Piece]:
    name = writer.random.choice(["password", "db_password", "PASSWORD", "passwd", "admin_pwd"])
    before = writer.random.choice(['{} = "', "{}: '", '"{}": "', 'const {} = "'] if name != "admin_pwd" else ['{} = "'])
    return [(before.format(name), None), (_password(writer), "password"), ("'" if before[-1] == "'" else '"', None)]


def _url_password(writer: Writer) -> list[Piece]:
    scheme = writer.random.choice(["postgresql", "https", "amqp", "mysql", "redis", "ftp"])
    return [(f"{scheme}://admin:", None), (writer.string(_WORD, 14), "password"), ("@db.internal:5432/x", None)]


def _secret(writer: Writer) -> list[Piece]:
    name = writer.random.choice(["secret", "access_token", "auth_token", "client_secret", "signing_key", "salt"])
    value = writer.string(*writer.random.choice([(_WORD, 40), (_HEX, 40), (_WORD, 32)]))
    return [(f"{name} = ", None), ('"', None), (value, "secret"), ('"', None)]


def _private_key(writer: Writer) -> list[Piece]:
    kind = writer.random.choice(["RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED "])
    body = "\n".join(writer.string(_WORD + "+/", 64) for _ in range(8))
    return [(f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----", "private_key")]


_SECRETS: dict[str, Callable[[Writer], list[Piece]]] = {
    "password": lambda writer: (_url_password if writer.random.random() < 0.4 else _assigned_password)(writer),
    "secret": _secret,
    "private_key": _private_key,
}
KINDS = (
    "email", "phone", "ip_address", "credit_card", "iban", "api_key", "private_key", "password", "secret",
    *(f"national_id:{country}" for country in sorted(_ID_LABELS)),
)  # fmt: skip


def _digits(writer: Writer, form: str) -> str:
    """Random digits in the place of 9."""
    return "".join(writer.random.choice("0123456789") if c == "9" else c for c in form)


def _wrong_card(writer: Writer) -> str:
    """A card number whose check digit is off by one."""
    value = str(writer.faker("en_US").credit_card_number("visa16"))
    return f"Order {value[:15]}{(int(value[15]) + 1) % 10} was shipped."


def _wrong_iban(writer: Writer) -> str:
    value = writer.faker("de_DE").iban()
    return f"Ref {value[:2]}{(int(value[2:4]) + 1) % 97:02}{value[4:]}"


def _wrong_id(writer: Writer) -> str:
    """A labelled number whose last digit is off by one; check digits of all these countries notice it."""
    country = writer.random.choice("BE BR CA CH CN FR IN NL NO PL PT SE TR".split())
    value = writer.national_id(country)
    last = max(index for index, character in enumerate(value) if character.isdigit())
    label = writer.random.choice(_ID_LABELS[country])
    return f"{label}: {value[:last]}{(int(value[last]) + 1) % 10}{value[last + 1 :]}"


def _private_ip(writer: Writer) -> str:
    draw = writer.random
    place = draw.choice(
        ["10.{}.{}.{}", "192.168.{1}.{2}", "172.16.{1}.{2}", "127.0.{1}.{2}", "192.0.2.{2}", "169.254.{1}.{2}"]
    )
    filled = place.replace("{}", "{0}", 1).replace("{}", "{1}", 1).replace("{}", "{2}", 1)
    return "listen " + filled.format(draw.randrange(256), draw.randrange(256), draw.randrange(1, 255)) + ":8080"


_NEGATIVES: tuple[Callable[[Writer], str], ...] = (
    lambda w: f"Released version {_digits(w, '9.9.9')}.{w.random.randrange(400)} of the driver.",
    lambda w: f"requests=={_digits(w, '9.99.9')}.9 # pinned",
    lambda w: f"Chrome/{_digits(w, '119.0.9999')}.{w.random.randrange(200)} Safari/537.36",
    lambda w: f"See section {_digits(w, '9.9.9.9')} of the manual.",
    lambda w: f"Order no. {_digits(w, '9999999999')} of {_digits(w, '2024-09-19')}",
    lambda w: f"Bestellnummer {_digits(w, '999-9999999-9999999')}, Posten {_digits(w, '99999')}",
    lambda w: f"Invoice {_digits(w, '9999-9999')} / customer {_digits(w, '99999999')}",
    lambda w: f"tracking {_digits(w, '99999999999999')}",
    lambda w: f"commit {w.string(_HEX, 40)}",
    lambda w: f"sha256:{w.string(_HEX, 64)}",
    lambda w: f'"integrity": "sha512-{w.string(_WORD + "+/", 86)}=="',
    lambda w: f"md5 {w.string(_HEX, 32)}  file.tar.gz",
    lambda w: (
        f"id {w.string(_HEX, 8)}-{w.string(_HEX, 4)}-4{w.string(_HEX, 3)}-a{w.string(_HEX, 3)}-{w.string(_HEX, 12)}"
    ),
    lambda w: f"{_digits(w, '2023-09-19')} {_digits(w, '09:59:59')},{_digits(w, '999')} INFO started",
    lambda w: f"ts={_digits(w, '1699999999999')} dur={_digits(w, '999.999999')}",
    lambda w: f"{_digits(w, '20230919T195959')}Z",
    lambda w: f"ISBN {_digits(w, '978-9-9999-9999-9')}",
    lambda w: f"ISBN-10: {_digits(w, '9-999-99999-9')}; ISSN {_digits(w, '9999-9999')}",
    lambda w: f"doi:10.{_digits(w, '9999')}/{_digits(w, 's99999-999-9999-9')}",
    lambda w: f"({_digits(w, '49.999999')}, {_digits(w, '-19.999999')})",
    lambda w: f"N {_digits(w, '49° 99′ 19″')} E {_digits(w, '99° 19′ 09″')}",
    lambda w: f"Total: ${_digits(w, '9,999,999.99')} (EUR {_digits(w, '9 999 999')})",
    lambda w: "\n".join(_digits(w, "9999 9999 9999 9999") for _ in range(3)),
    lambda w: f"0000{_digits(w, '99')}0: " + " ".join(w.string(_HEX, 4) for _ in range(8)),
    lambda w: f"x = [{', '.join(_digits(w, '9999') for _ in range(6))}]",
    lambda w: f"#define MASK 0x{w.string(_HEX, 8).upper()}UL // {_digits(w, '99999999')}",
    lambda w: f"@@ -{_digits(w, '999,9')} +{_digits(w, '999,99')} @@ def f(x):",
    lambda w: f"rows {_digits(w, '999999')}-{_digits(w, '999999')} of {_digits(w, '9999999')}",
    lambda w: f"PMID: {_digits(w, '99999999')}; arXiv:{_digits(w, '2109.99999')}",
    lambda w: f"https://example.org/item/{_digits(w, '999999999')}?page={_digits(w, '99')}",
    lambda w: (
        f"Part {w.string(_WORD[26:52], 2)}{_digits(w, '99999999')}-{w.string(_WORD[26:52], 2)} rev {_digits(w, '9')}"
    ),
    lambda w: f"lat 1 2 3 4 5 6 7 8 9 10 11 12 {_digits(w, '99')}",
    lambda w: f"{_digits(w, '99.99.9999')} - {_digits(w, '99.99.9999')}: {_digits(w, '99')} %",
    _wrong_card,
    _wrong_iban,
    _wrong_id,
    _private_ip,
    lambda w: "user@localhost sent @mention and image@2x.png to git@github.com:owner/name.git",
    lambda w: "decorate with @property and @dataclass; a@b is no address, x = y@w.T",
    lambda w: f"MAC {':'.join(w.string(_HEX, 2) for _ in range(6))} OID 1.3.6.1.4.1.{_digits(w, '9999')}",
    lambda w: 'password = os.environ["DB_PASSWORD"]',
    lambda w: 'password = "<your password>"; token = "${TOKEN}"',
    lambda w: 'label_password = "Password"; placeholder: "changeme"',
    lambda w: "postgresql://user:${PASSWORD}@host/db",
    lambda w: f'checksum = "{w.string(_HEX, 40)}"',
    lambda w: f'public_key = "ssh-ed25519 AAAAC3Nza{w.string(_WORD, 59)} me@host"',
    lambda w: "The header is -----BEGIN PRIVATE KEY----- and then the data.",
)


def write_truth(documents: int, seed: int) -> None:
    """Write the labelled documents, JSON Lines: text, and spans of (start, end, type) in bytes of UTF-8."""
    writer = Writer(seed)
    TRUTH.parent.mkdir(parents=True, exist_ok=True)
    with TRUTH.open("w", encoding="utf-8") as file:
        for number in range(documents):
            # Of ten sentences three hold something, five look as if, two are prose.
            sentences = [
                *(writer.positive(KINDS[(3 * number + i) % len(KINDS)]) for i in range(3)),
                *(writer.negative() for _ in range(5)),
                *(writer.filler() for _ in range(2)),
            ]
            writer.random.shuffle(sentences)
            text, spans = b"", []
            for sentence in sentences:
                for piece, kind in sentence:
                    raw = piece.encode()
                    if kind is not None:
                        spans.append((len(text), len(text) + len(raw), kind))
                    text += raw
                text += b"\n"
            file.write(json.dumps({"text": text.decode(), "spans": spans}, ensure_ascii=False) + "\n")


def read_truth() -> Iterator[dict[str, Any]]:
    """The labelled documents."""
    with TRUTH.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def score(show_misses: int) -> list[dict[str, Any]]:
    """Precision and recall by type, of our finders."""
    import pyarrow as pa

    from goldmill.rules.safety import PiiRules, SecretRules
    from goldmill.text.pii import find, scrub
    from goldmill.text.secrets import find_secrets, scrub_secrets

    documents = list(read_truth())
    texts = pa.array([document["text"] for document in documents])
    found: dict[int, set[tuple[int, int, str]]] = defaultdict(set)
    secrets = find_secrets(texts, SecretRules())
    taken = {(s.row, at) for s in secrets for at in range(s.start, s.end)}
    for span in [*secrets, *(s for s in find(texts, PiiRules()) if (s.row, s.start) not in taken)]:
        found[span.row].add((span.start, span.end, span.type))
    hits, misses, false = Counter[str](), Counter[str](), Counter[str]()
    shown: Counter[str] = Counter()
    for row, document in enumerate(documents):
        raw = document["text"].encode()
        left = set(found[row])
        for start, end, kind in document["spans"]:
            names = ("password", "secret") if kind in ("password", "secret") else (kind.partition(":")[0],)
            match = next((span for name in names if (span := (start, end, name)) in left), None)
            if match is not None:
                left.discard(match)
                hits[kind] += 1
            else:
                misses[kind] += 1
                if shown[kind] < show_misses:
                    shown[kind] += 1
                    line = raw[raw.rfind(b"\n", 0, start) + 1 : raw.find(b"\n", end)]
                    print("missed", kind, line.decode()[:160], file=sys.stderr)
        for start, end, kind in left:
            # A national id that is none is counted for the type: no country can be named.
            false[kind] += 1
            if shown["false " + kind] < show_misses:
                shown["false " + kind] += 1
                line = raw[raw.rfind(b"\n", 0, start) + 1 : raw.find(b"\n", end)]
                print("false", kind, raw[start:end].decode(), "|", line.decode()[:160], file=sys.stderr)
    scrubbed = scrub(scrub_secrets(texts, SecretRules()).texts, PiiRules()).texts
    again = scrub(scrub_secrets(scrubbed, SecretRules()).texts, PiiRules()).texts
    assert again.equals(scrubbed), "scrubbing twice changed a text"
    ids = [kind for kind in KINDS if ":" in kind]
    hits["national_id"] = sum(hits[kind] for kind in ids)
    misses["national_id"] = sum(misses[kind] for kind in ids)
    rows: list[dict[str, Any]] = []
    for kind in [*(kind for kind in KINDS if kind not in ids), "national_id", *ids]:
        values = hits[kind] + misses[kind]
        rows.append({"type": kind, "values": values, "recall": hits[kind] / max(1, values)})
        if kind not in ids:  # a find that is none is of no country
            rows[-1] |= {"false": false[kind], "precision": hits[kind] / max(1, hits[kind] + false[kind])}
    return rows


def main() -> int:
    """Parse the command line, write the truth in the peers' environment, score in ours, show and record."""
    made = parser(__doc__)
    made.add_argument("--documents", type=int, default=6_000, help="labelled documents (%(default)s)")
    made.add_argument("--seed", type=int, default=20261124, help="seed of the texts (%(default)s)")
    made.add_argument("--misses", type=int, default=0, help="show so many misses and false finds of each type")
    made.add_argument("--write-truth", action="store_true", help="write the labelled documents and end")
    given = made.parse_args()
    if given.write_truth:
        use_environment(PEERS_ENVIRONMENT)
        write_truth(given.documents, given.seed)
        return 0
    use_environment(SPARK_ENVIRONMENT)
    python = ROOT / PEERS_ENVIRONMENT / "bin" / "python"
    subprocess.run([python, *sys.argv, "--write-truth"], check=True)
    rows = score(given.misses)
    checked = {"credit_card", "iban", "national_id"}
    too_low = [row["type"] for row in rows if row["type"] in checked and row["precision"] < LEAST_PRECISION]
    columns = ("type", "values", "recall", "false finds", "precision")
    shown = table(
        columns,
        [
            (row["type"], row["values"], f"{row['recall']:.3f}",
             *((row["false"], f"{row['precision']:.3f}") if "false" in row else ("", "")))
            for row in rows
        ],
    )  # fmt: skip
    facts = {"machine": machine(), "documents": given.documents, "seed": given.seed, "types": rows}
    said = f"`python bench/pii_truth.py --documents {given.documents} --seed {given.seed}`"
    write_between(PAGE, _BEGIN, _END, f"{said}:\n\n{shown}")
    show(facts, [shown], as_json=given.json)
    for kind in too_low:
        print(f"{kind}: precision is below {LEAST_PRECISION}", file=sys.stderr)
    return 1 if too_low else 0


if __name__ == "__main__":
    sys.exit(main())
