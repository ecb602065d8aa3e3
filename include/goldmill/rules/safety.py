"""What is taken out of a text before it is trained on: personal data, secrets, toxic documents."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator


def _off_is_a_word(value: object) -> object:
    """YAML 1.1 reads a bare ``off`` as false."""
    return "off" if value is False else value


Action = Annotated[Literal["replace", "count", "off"], BeforeValidator(_off_is_a_word)]
"""``replace`` puts the placeholder, ``count`` leaves the text and counts, ``off`` does not look."""

Country = Literal[
    "BE", "BR", "CA", "CH", "CL", "CN", "DE", "ES", "FI", "FR", "GB", "IN", "IT", "NL", "NO", "PL", "PT", "SE", "TR",
    "US",
]  # fmt: skip

ALL_COUNTRIES: tuple[Country, ...] = get_args(Country)


def check_placeholder(placeholder: str, owner: str) -> str:
    """Return ``placeholder`` if it can stand in a text without being found again.

    Raises:
        ValueError: if it does not hold ``{type}`` once, or if anything but brackets stands around it: the type could
            then run into the word beside it or be read as a value.
    """
    before, found, after = placeholder.partition("{type}")
    if not (found and before and after and set(before + after) <= set("<>[]|")):
        raise ValueError(
            f"{owner}.placeholder: {placeholder!r} must hold {{type}} once, with one or more of < > [ ] | on each side "
            "and nothing else; use '<{type}>'"
        )
    return placeholder


class PiiRules(BaseModel):
    """Which personal data is looked for, and what is done with it.

    A number counts as personal data only if its own check digits hold, or if words before it say what it is; dates,
    versions, hashes and identifiers stay. docs/pii.md lists every format.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Look for personal data; off leaves every text as it is.")
    email: Action = Field(default="replace", description="E-mail addresses under a known top-level domain.")
    phone: Action = Field(default="replace", description="Phone numbers, international (ITU E.164) and national.")
    ip_address: Action = Field(default="replace", description="IPv4 and IPv6 addresses.")
    credit_card: Action = Field(
        default="replace", description="Payment card numbers: issuer prefix, length and Luhn digit (ISO/IEC 7812)."
    )
    iban: Action = Field(default="replace", description="Bank accounts: country length and mod 97 (ISO 13616).")
    national_id: Action = Field(default="replace", description="National identity and tax numbers with their checks.")
    api_key: Action = Field(default="replace", description="Keys of known providers, told by their prefix.")
    placeholder: str = Field(default="<{type}>", description="What replaces a find; {type} becomes e.g. EMAIL.")
    keep_non_public_ips: bool = Field(
        default=True,
        description="Leave loopback, private, link-local, multicast, reserved and documentation addresses (RFC 6890).",
    )
    national_id_countries: tuple[Country, ...] = Field(
        default=ALL_COUNTRIES, description="ISO 3166-1 codes of the countries whose national ids are looked for."
    )

    @field_validator("placeholder")
    @classmethod
    def _placeholder_is_inert(cls, placeholder: str) -> str:
        return check_placeholder(placeholder, "pii")


class SecretRules(BaseModel):
    """Which credentials are looked for, and what is done with them. Nothing is ever verified over a network.

    The entropy limits are the defaults of detect-secrets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Look for secrets; off leaves every text as it is.")
    api_key: Action = Field(default="replace", description="Keys and tokens of known providers, JSON web tokens.")
    private_key: Action = Field(default="replace", description="PEM, OpenSSH, PGP and PuTTY private keys, whole block.")
    password: Action = Field(
        default="replace", description="Passwords in URLs, and quoted values assigned to a name such as password."
    )
    high_entropy: Action = Field(
        default="replace", description="Random-looking quoted values assigned to a name such as token or key."
    )
    base64_entropy_limit: float = Field(
        default=4.5,
        gt=0,
        le=6,
        description="Shannon entropy above which a base64 value is random, in bits a character.",
    )
    hex_entropy_limit: float = Field(
        default=3.0, gt=0, le=4, description="The same for hexadecimal values, in bits a character."
    )
    placeholder: str = Field(default="<{type}>", description="What replaces a find; {type} becomes e.g. API_KEY.")

    @field_validator("placeholder")
    @classmethod
    def _placeholder_is_inert(cls, placeholder: str) -> str:
        return check_placeholder(placeholder, "secrets")


class ToxicityRules(BaseModel):
    """When a document is removed as toxic: by a word list, and by a classifier of the reader's own if one is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Judge toxicity; off keeps all documents and scores them 0.")
    max_word_share: float = Field(
        default=0.045, ge=0, le=1, description="Share of listed words among all words (Data-Juicer: 0.045)."
    )
    min_matches: int = Field(
        default=3, ge=1, description="Listed words below which no share removes a document: a quotation is no tirade."
    )
    classifier: str | None = Field(
        default=None, description='A classifier as "module:callable"; texts in, scores from 0 to 1 out.'
    )
    max_score: float = Field(default=0.8, ge=0, le=1, description="Classifier score above which a document is removed.")

    @model_validator(mode="after")
    def _classifier_is_a_path(self) -> Self:
        if self.classifier is not None:
            module, colon, name = self.classifier.partition(":")
            parts = [*module.split("."), *name.split(".")]
            if not (colon and all(part.isidentifier() for part in parts)):
                raise ValueError(
                    f"toxicity.classifier: {self.classifier!r} is no import path; write it as 'package.module:callable'"
                )
        return self
