"""What a family of rules says about a batch of documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Check(NamedTuple):
    """One rule evaluated over a whole batch.

    Attributes:
        name: rule name as it appears in the ``removals`` table, e.g. ``"gopher_quality:word_count"``.
        score: what was measured, one number a document, shape (documents,). NaN where it does not apply.
        failed: whether the document breaks the rule, shape (documents,).
        threshold: the limit that was applied; one number for all, or one a document.
    """

    name: str
    score: npt.ArrayLike
    failed: npt.NDArray[np.bool_]
    threshold: float | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Verdicts:
    """The first rule each document breaks; all three columns have one row a document.

    Attributes:
        rule: name of the rule, null where the document passes all of them.
        score: the measurement that broke it, null where the document passes (or where the rule has no number).
        threshold: the limit it broke, null where the document passes.
    """

    rule: pa.StringArray
    score: pa.DoubleArray
    threshold: pa.DoubleArray

    def __len__(self) -> int:
        return len(self.rule)

    @property
    def passed(self) -> pa.BooleanArray:
        """True where no rule is broken; fit for ``RecordBatch.filter``."""
        return self.rule.is_null()

    @classmethod
    def passing(cls, length: int) -> Verdicts:
        """Verdicts of ``length`` documents that break nothing."""
        return cls(pa.nulls(length, pa.string()), pa.nulls(length, pa.float64()), pa.nulls(length, pa.float64()))

    @classmethod
    def first(cls, checks: Sequence[Check], length: int) -> Verdicts:
        """Report for each of ``length`` documents the first check, in the order given, that it fails.

        Raises:
            ValueError: if a check's columns do not have ``length`` rows.
        """
        chosen = np.full(length, -1, dtype=np.int32)
        score = np.full(length, np.nan)
        threshold = np.full(length, np.nan)
        for index, check in enumerate(checks):
            measured = np.asarray(check.score, dtype=np.float64)
            if check.failed.shape != (length,) or measured.shape != (length,):
                raise ValueError(
                    f"rule {check.name}: score has shape {measured.shape} and failed {check.failed.shape}; "
                    f"give both one value for each of the {length} documents"
                )
            hit = check.failed & (chosen < 0)
            chosen[hit] = index
            score[hit] = measured[hit]
            threshold[hit] = np.broadcast_to(np.asarray(check.threshold, dtype=np.float64), (length,))[hit]
        indices = pa.array(chosen, mask=chosen < 0)
        names = pa.array([check.name for check in checks], pa.string())
        return cls(
            rule=names.take(indices),
            score=pa.array(score, mask=np.isnan(score)),
            threshold=pa.array(threshold, mask=np.isnan(threshold)),
        )

    @classmethod
    def choose(cls, *parts: Verdicts) -> Verdicts:
        """Join families judged one after the other: the first of ``parts`` that a document breaks is reported.

        Raises:
            ValueError: if no parts are given or they differ in length.
        """
        if not parts or len({len(part) for part in parts}) != 1:
            raise ValueError(f"verdicts of lengths {[len(part) for part in parts]} cannot be joined; judge one batch")
        rule = np.full(len(parts[0]), None, dtype=object)
        score, threshold = rule.copy(), rule.copy()
        for part in reversed(parts):
            broken = part.rule.is_valid().to_numpy(zero_copy_only=False)
            rule[broken] = part.rule.to_numpy(zero_copy_only=False)[broken]
            score[broken] = np.array(part.score.to_pylist(), dtype=object)[broken]
            threshold[broken] = np.array(part.threshold.to_pylist(), dtype=object)[broken]
        return cls(pa.array(rule, pa.string()), pa.array(score, pa.float64()), pa.array(threshold, pa.float64()))
