"""When two documents count as the same."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Points of the midpoint rule for the two error areas. The integrands are smooth and monotone on [0, 1]; doubling the
# number changes no choice of bands and rows for up to 512 permutations.
_INTEGRATION_POINTS = 256

# Which hashes make signatures and content hashes. Raise it with any change to them: the table of signatures outlives
# the code, and hashes of different versions are never equal.
_SKETCH_VERSION = 2

# In a band bucket every member is compared with this many leaders, the members that would be kept first, and not
# with every other member: a licence text in 10 000 copies would make 50 million pairs. A near duplicate is missed
# only when in all of its buckets none of the leaders is similar enough; the gate measures what is left over.
BUCKET_LEADERS = 32


class MinHashConfig(BaseModel):
    """MinHash-LSH over word shingles, each candidate pair verified by its true Jaccard similarity.

    Banding (Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4): the signature is
    ``bands * rows`` minima; two documents are candidates when one band is equal, which happens with probability
    ``1 - (1 - s**rows)**bands`` at Jaccard similarity ``s``. The default 14 x 8 is FineWeb's (arXiv 2406.17557): the
    curve is steepest near ``(1/14)**(1/8) = 0.72``.

    Verification removes at 0.8 and not at that midpoint: 92.4 % of the pairs at 0.8 become candidates, but only
    77 % at 0.75 and half near 0.7, where luck would decide which of two equally similar pairs is removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Look for near duplicates; off keeps them.")
    shingle_words: int = Field(
        default=5, ge=1, le=32, description="Words in a shingle (FineWeb: 5). A shorter document is one shingle."
    )
    bands: int = Field(default=14, ge=1, le=512, description="Bands of the signature (FineWeb: 14).")
    rows: int = Field(default=8, ge=1, le=64, description="Minima in a band (FineWeb: 8).")
    jaccard_threshold: float = Field(
        default=0.8, gt=0, le=1, description="True Jaccard similarity from which a candidate pair is a duplicate."
    )
    seed: int = Field(
        default=1,
        ge=0,
        lt=2**64,
        description="Chooses the permutations. Signatures of different seeds, bands, rows or shingles do not compare.",
    )

    @property
    def permutations(self) -> int:
        """Number of hash permutations, ``bands * rows``."""
        return self.bands * self.rows

    @property
    def sketch(self) -> str:
        """Names what signatures are made with: those of another name do not compare."""
        return f"v{_SKETCH_VERSION}-{self.shingle_words}w-{self.bands}x{self.rows}-seed{self.seed}"

    @property
    def lsh_midpoint(self) -> float:
        """Similarity near which the candidate probability rises most steeply, ``(1/bands)**(1/rows)``."""
        return float((1.0 / self.bands) ** (1.0 / self.rows))

    def candidate_probability(self, similarity: float) -> float:
        """Probability that a pair of the given Jaccard similarity shares at least one band."""
        return float(1.0 - (1.0 - similarity**self.rows) ** self.bands)

    @classmethod
    def for_threshold(
        cls,
        threshold: float,
        permutations: int = 112,
        *,
        false_positive_weight: float = 0.5,
        shingle_words: int = 5,
        seed: int = 1,
    ) -> Self:
        """Bands and rows for a similarity threshold and a budget of permutations.

        Chooses the pair with ``bands * rows <= permutations`` that has the least weighted error: the area under the
        candidate probability below the threshold (false positives) and the area above the curve over the threshold
        (false negatives). Zhu et al., "LSH Ensemble: Internet-Scale Domain Search", VLDB 2016 (arXiv 1603.07410),
        chooses its parameters by the same two areas. Among equals the one with fewer permutations is taken.

        Args:
            threshold: Jaccard similarity in (0, 1); also becomes the verification threshold.
            permutations: largest number of permutations, 1 to 4096.
            false_positive_weight: weight of the false positives, 0 to 1; the false negatives get the rest.
            shingle_words: words in a shingle.
            seed: chooses the permutations.

        Raises:
            ValueError: if an argument is outside its range.
        """
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"deduplicate.minhash: threshold {threshold} is not between 0 and 1; give e.g. 0.8")
        if not 1 <= permutations <= 4096:
            raise ValueError(f"deduplicate.minhash: {permutations} permutations; give a number from 1 to 4096")
        if not 0.0 <= false_positive_weight <= 1.0:
            raise ValueError(
                f"deduplicate.minhash: false_positive_weight {false_positive_weight} is not a share; give 0 to 1"
            )
        below = [threshold * (i + 0.5) / _INTEGRATION_POINTS for i in range(_INTEGRATION_POINTS)]
        above = [threshold + (1.0 - threshold) * (i + 0.5) / _INTEGRATION_POINTS for i in range(_INTEGRATION_POINTS)]
        best: tuple[float, int, int, int] | None = None
        for rows in range(1, min(permutations, 64) + 1):
            below_powers = [1.0 - s**rows for s in below]
            above_powers = [1.0 - s**rows for s in above]
            for bands in range(1, min(permutations // rows, 512) + 1):
                false_positives = threshold * (1.0 - sum(p**bands for p in below_powers) / _INTEGRATION_POINTS)
                false_negatives = (1.0 - threshold) * sum(p**bands for p in above_powers) / _INTEGRATION_POINTS
                error = false_positive_weight * false_positives + (1.0 - false_positive_weight) * false_negatives
                candidate = (error, bands * rows, bands, rows)
                if best is None or candidate < best:
                    best = candidate
        assert best is not None  # permutations >= 1 gives at least the pair (1, 1)
        return cls(bands=best[2], rows=best[3], jaccard_threshold=threshold, shingle_words=shingle_words, seed=seed)


class DeduplicationRules(BaseModel):
    """Which kinds of duplicates are removed; where more than one holds, the first is the reason that is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exact: bool = Field(
        default=True,
        description="Remove documents whose text is equal after lower-casing and without punctuation and spacing.",
    )
    url: bool = Field(
        default=True, description="Remove documents that were fetched from an address that is already there."
    )
    minhash: MinHashConfig = Field(default_factory=MinHashConfig, description="Near duplicates.")

    @model_validator(mode="after")
    def _signature_is_affordable(self) -> Self:
        if self.minhash.permutations > 4096:
            raise ValueError(
                f"deduplicate.minhash: {self.minhash.bands} bands x {self.minhash.rows} rows are "
                f"{self.minhash.permutations} permutations; lower one so that there are at most 4096"
            )
        return self
