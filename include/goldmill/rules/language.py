"""Which languages a corpus takes, and how sure the identifier must be."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

ANY_LANGUAGE = "*"

# The 176 labels of lid.176: ISO 639-1 where one exists, else ISO 639-3. A code outside this list would silently remove
# every document, so it is refused.
_LABELS = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv "
    "cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht "
    "hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg "
    "mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb "
    "ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug "
    "uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh"
)
IDENTIFIABLE_LANGUAGES = frozenset(_LABELS.split())


class LanguageRules(BaseModel):
    """Language rules for prose.

    Source of the default score: FineWeb (arXiv 2406.17557) keeps a page when fastText lid.176 names English with at
    least 0.65.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Remove by language; off keeps all and still records the language.")
    allowed: tuple[str, ...] = Field(
        default=("en",),
        description='ISO 639-1 codes that are kept, e.g. ["en", "de"]; ["*"] keeps every identified language.',
    )
    min_score: float = Field(
        default=0.65, ge=0.0, le=1.0, description="Least probability of that language (FineWeb: 0.65)."
    )
    max_sample_bytes: int = Field(
        default=2_000,
        ge=300,
        description="Bytes the identifier reads of a document; of a longer one its start, middle and end. More change "
        "no decision of note (docs/languages.md).",
    )

    @field_validator("allowed")
    @classmethod
    def _codes_are_known(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        if not allowed:
            raise ValueError('language.allowed is empty: name at least one ISO 639-1 code, or ["*"] for any language')
        for code in allowed:
            if code != ANY_LANGUAGE and code not in IDENTIFIABLE_LANGUAGES:
                start = code.lower()[:2]
                hint = f"did you mean {start!r}?" if start in IDENTIFIABLE_LANGUAGES else "use a code such as 'en'"
                raise ValueError(f"language.allowed: {code!r} is no language the identifier can name; {hint}")
        return allowed
