"""Token lists of documents to sequences of one length, with little padding and known document boundaries.

Documents are dealt to splits and shards by hash, so that any task can tell where a document belongs. A shard is packed
as a whole: its documents, each ended by the end-of-text token, are cut into pieces no longer than a sequence and the
pieces packed best-fit decreasing (Ding et al., "Fewer Truncations Improve Language Modeling", arXiv 2404.10830). The
result depends on the documents and the seed alone, not on their order or batches.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from goldmill.rules.packing import PackingRules
from goldmill.text.compiled import compiled
from goldmill.text.hashing import keyed_hashes

SEQUENCE_SCHEMA: Final = pa.schema(
    [
        pa.field("sequence_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("token_ids", pa.list_(pa.int32()), nullable=False),
        pa.field("token_count", pa.int32(), nullable=False),
        pa.field("document_ids", pa.list_(pa.string()), nullable=False),
        pa.field("document_offsets", pa.list_(pa.int32()), nullable=False),
    ]
)

Integers = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]


def keyed_fractions(ids: pa.Array, seed: int, purpose: str) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each id, evenly spread, always the same for the same id, seed and purpose.

    Comparing it with a share keeps that share of the ids, and a larger share keeps all that a smaller one keeps.

    Raises:
        ValueError: if an id is null.
    """
    # 53 bits are what a double holds exactly.
    return (keyed_hashes(ids, seed, purpose) >> np.uint64(11)).astype(np.float64) / 2.0**53


def split_of(document_ids: pa.Array, seed: int, validation_fraction: float) -> pa.StringArray:
    """``"train"`` or ``"validation"`` for each document, by hash of its id."""
    held_out = keyed_fractions(document_ids, seed, "split") < validation_fraction
    return pa.array(np.where(held_out, "validation", "train"), pa.string())


def shard_of(document_ids: pa.Array, seed: int, shards: int) -> pa.Int32Array:
    """Shard number for each document, 0 to ``shards - 1``, by hash of its id.

    Raises:
        ValueError: if there are no shards or an id is null.
    """
    if shards < 1:
        raise ValueError(f"shard_of: documents cannot be dealt to {shards} shards; give at least 1")
    return pa.array((keyed_hashes(document_ids, seed, "shard") % np.uint64(shards)).astype(np.int32))


def pack_shard(lengths: npt.NDArray[np.integer], sequence_length: int) -> Integers:
    """Best-fit decreasing bin packing, O(n log sequence_length).

    Pieces are taken from the longest to the shortest, equal ones in the order given; each goes to the sequence with the
    least room that still holds it, or opens a new one.

    Args:
        lengths: tokens in each piece, shape (pieces,), 1 to ``sequence_length``.
        sequence_length: tokens that a sequence holds.

    Returns:
        the number of the sequence that each piece goes to, shape (pieces,); sequences are numbered from 0 without gaps.

    Raises:
        ValueError: if a piece is empty or longer than a sequence.
    """
    if len(lengths) and (lengths.min() < 1 or lengths.max() > sequence_length):
        raise ValueError(
            f"pack_shard: pieces have {lengths.min()} to {lengths.max()} tokens; cut them to 1 to {sequence_length}"
        )
    sizes = lengths.astype(np.int64)
    return _best_fit(sizes, np.argsort(-sizes, kind="stable"), sequence_length)


def pack(
    document_ids: pa.Array,
    token_lists: pa.ListArray,
    rules: PackingRules,
    *,
    end_of_text_id: int,
    padding_id: int,
    seed: int,
    split: str,
    shard: int,
) -> pa.RecordBatch:
    """Pack the documents of one shard of one split.

    A document's tokens and the end-of-text token are cut into full sequences; what is left over is packed with the
    remainders of other documents, in an order drawn by hash, so that the longest piece is not always first. Sequences
    are shuffled by hash of the seed and their id.

    Args:
        document_ids: string array, unique.
        token_lists: ``list<int32>``, the token ids of each document without control tokens; may be empty.
        rules: the sequence length.
        end_of_text_id: ends each document.
        padding_id: fills sequences up.
        seed: of the shuffles.
        split: name of the split, for the column.
        shard: number of the shard, for the column.

    Returns:
        ``SEQUENCE_SCHEMA``, one row a sequence, by position. ``token_ids`` has exactly ``rules.sequence_length`` ids,
        of which the first ``token_count`` are no padding; ``document_offsets`` has the first token of each piece and
        ``document_ids`` its document (a cut document appears with each of its pieces). ``sequence_id`` is 128 bits of
        SHA-256, 32 hex digits, over documents, boundaries and tokens.

    Raises:
        ValueError: if the arrays differ in length, hold nulls, a document appears twice, or the shard has more tokens
            than fit an Arrow list array (2**31).
    """
    names, order = _canonical_order(document_ids, token_lists)
    pieces = _cut(token_lists, order, rules.sequence_length)
    sequence_of = pack_shard(pieces.lengths, rules.sequence_length)
    sequences = int(sequence_of.max(initial=-1)) + 1
    if sequences * rules.sequence_length >= 2**31:
        raise ValueError(f"packing.shard_bytes: shard {shard} of {split} has over 2**31 tokens; give a smaller value")

    # By sequence, and in it by hash; pieces of one document in one sequence cannot be, all but one are full.
    shuffled = keyed_hashes(names, seed, "piece")[pieces.documents]
    pieces = pieces.take(np.lexsort((pieces.documents, shuffled, sequence_of)))
    sequence_of = np.sort(sequence_of)
    first_piece = np.searchsorted(sequence_of, np.arange(sequences + 1))
    offsets = np.cumsum(pieces.lengths) - pieces.lengths
    offsets -= np.repeat(offsets[first_piece[:-1]], np.diff(first_piece))
    ids = pa.array(_sequence_ids(names, pieces, offsets, first_piece, end_of_text_id), pa.string())

    # The ids say where each sequence goes, so that the tokens are copied once, to their place.
    order = np.lexsort((np.array(ids.to_pylist(), dtype="U32"), keyed_hashes(ids, seed, "shuffle")))
    position_of = np.empty(sequences, np.int64)
    position_of[order] = np.arange(sequences)
    positions = position_of[sequence_of]
    arranged = np.argsort(positions, kind="stable")
    pieces, positions, offsets = pieces.take(arranged), positions[arranged], offsets[arranged]
    boundaries = pa.array(np.searchsorted(positions, np.arange(sequences + 1)).astype(np.int32))
    token_ids = _lay_out(
        pieces.tokens,
        pieces.token_starts,
        pieces.ends_text,
        pieces.lengths,
        positions,
        offsets,
        np.empty((sequences, rules.sequence_length), np.int32),
        end_of_text_id,
        padding_id,
    )
    token_offsets = np.arange(sequences + 1, dtype=np.int32) * np.int32(rules.sequence_length)
    token_counts = np.bincount(positions, weights=pieces.lengths, minlength=sequences)
    columns = {
        "sequence_id": ids.take(pa.array(order)),
        "split": pa.array([split] * sequences, pa.string()),
        "shard": pa.array(np.full(sequences, shard, np.int32)),
        "position": pa.array(np.arange(sequences)),
        "token_ids": pa.ListArray.from_arrays(pa.array(token_offsets), pa.array(token_ids.reshape(-1))),
        "token_count": pa.array(token_counts.astype(np.int32)),
        "document_ids": pa.ListArray.from_arrays(boundaries, names.take(pa.array(pieces.documents))),
        "document_offsets": pa.ListArray.from_arrays(boundaries, pa.array(offsets.astype(np.int32))),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SEQUENCE_SCHEMA.names], schema=SEQUENCE_SCHEMA)


def waste(sequences: pa.RecordBatch | pa.Table) -> float:
    """Share of padding among all token ids, 0 to 1; 0 where there are no sequences."""
    token_ids = pc.sum(pc.list_value_length(sequences.column("token_ids"))).as_py()
    return 1.0 - pc.sum(sequences.column("token_count")).as_py() / token_ids if token_ids else 0.0


class _Pieces(NamedTuple):
    """Documents cut to pieces, one row a piece; documents are numbered in canonical order."""

    documents: Integers  # number of the document
    numbers: Integers  # number of the piece in its document
    lengths: Integers  # tokens, the end-of-text token included
    token_starts: Integers  # where its tokens begin in ``tokens``
    ends_text: npt.NDArray[np.bool_]  # whether the end-of-text token is its last
    tokens: Tokens  # of all documents

    def take(self, order: Integers) -> _Pieces:
        """The pieces in another order."""
        return _Pieces(
            self.documents[order],
            self.numbers[order],
            self.lengths[order],
            self.token_starts[order],
            self.ends_text[order],
            self.tokens,
        )


def _canonical_order(document_ids: pa.Array, token_lists: pa.ListArray) -> tuple[pa.StringArray, Integers]:
    """The ids in ascending order, and the rows they stand in."""
    if len(document_ids) != len(token_lists):
        raise ValueError(f"pack: {len(document_ids)} document ids for {len(token_lists)} token lists; give one each")
    if document_ids.null_count or token_lists.null_count:
        raise ValueError("pack: a document_id or token list is null; filter such documents out first")
    order = pc.array_sort_indices(document_ids)
    names = document_ids.take(order)
    twice = pc.equal(names[1:], names[:-1])
    if twice.true_count:
        name = names.filter(pa.concat_arrays([twice, pa.array([False])]))[0].as_py()
        raise ValueError(f"pack: document_id {name} appears twice; deduplicate the documents before packing")
    return names, order.to_numpy().astype(np.int64)


def _cut(token_lists: pa.ListArray, order: Integers, sequence_length: int) -> _Pieces:
    ends = token_lists.offsets.to_numpy().astype(np.int64)
    starts, lengths = ends[:-1][order], np.diff(ends)[order] + 1
    counts = -(-lengths // sequence_length)
    documents = np.repeat(np.arange(len(order)), counts)
    numbers = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = numbers * sequence_length
    return _Pieces(
        documents=documents,
        numbers=numbers,
        lengths=np.minimum(lengths[documents] - begins, sequence_length),
        token_starts=starts[documents] + begins,
        ends_text=numbers == counts[documents] - 1,
        tokens=token_lists.values.to_numpy(),
    )


def _sequence_ids(
    names: pa.StringArray, pieces: _Pieces, offsets: Integers, first_piece: Integers, end_of_text_id: int
) -> list[str]:
    end_of_text = np.array([end_of_text_id], "<i4").tobytes()
    tokens = pieces.tokens.astype("<i4", copy=False)
    ends = (pieces.token_starts + pieces.lengths - pieces.ends_text).tolist()
    starts, ends_text = pieces.token_starts.tolist(), pieces.ends_text.tolist()
    named = list(
        zip(names.take(pa.array(pieces.documents)).to_pylist(), pieces.numbers.tolist(), offsets.tolist(), strict=True)
    )
    ids = []
    for begin, end in pairwise(first_piece.tolist()):
        digest = hashlib.sha256(repr(named[begin:end]).encode())
        for at in range(begin, end):
            digest.update(tokens[starts[at] : ends[at]].data)
            if ends_text[at]:
                digest.update(end_of_text)
        ids.append(digest.hexdigest()[:32])
    return ids


@compiled
def _best_fit(lengths: Integers, order: Integers, sequence_length: int) -> Integers:
    # Open sequences are kept in stacks by room left; a binary tree over the rooms says which stacks hold any.
    leaves = 1
    while leaves < sequence_length + 1:
        leaves *= 2
    occupied = np.zeros(2 * leaves, np.bool_)
    top = np.full(sequence_length + 1, -1, np.int64)
    below = np.empty(len(lengths), np.int64)
    assigned = np.empty(len(lengths), np.int64)
    opened = 0
    for index in order:
        length = lengths[index]
        node = leaves + length
        # Climb until a right-hand neighbour has an open sequence, then go down to its least room.
        if not occupied[node]:
            while node > 1 and (node & 1 == 1 or not occupied[node + 1]):
                node //= 2
            if node > 1:
                node += 1
                while node < leaves:
                    node *= 2
                    if not occupied[node]:
                        node += 1
        if node == 1:
            room = sequence_length
            sequence = opened
            opened += 1
        else:
            room = node - leaves
            sequence = top[room]
            top[room] = below[sequence]
            if top[room] < 0:
                occupied[node] = False
                while node > 1 and not occupied[node ^ 1]:
                    node //= 2
                    occupied[node] = False
        assigned[index] = sequence
        room -= length
        below[sequence] = top[room]
        top[room] = sequence
        node = leaves + room
        while node >= 1 and not occupied[node]:
            occupied[node] = True
            node //= 2
    return assigned


@compiled
def _lay_out(
    tokens: Tokens,
    token_starts: Integers,
    ends_text: npt.NDArray[np.bool_],
    lengths: Integers,
    rows: Integers,
    offsets: Integers,
    out: Tokens,
    end_of_text_id: int,
    padding_id: int,
) -> Tokens:
    # The pieces stand in the order of their places.
    for piece in range(len(lengths)):
        row, begin = rows[piece], offsets[piece]
        end = begin + lengths[piece]
        copied = lengths[piece] - 1 if ends_text[piece] else lengths[piece]
        out[row, begin : begin + copied] = tokens[token_starts[piece] : token_starts[piece] + copied]
        if ends_text[piece]:
            out[row, end - 1] = end_of_text_id
        if piece + 1 == len(lengths) or rows[piece + 1] != row:
            out[row, end:] = padding_id
    return out
