"""The corpus line on a real lake: what is kept, what is removed and why, and that reruns change nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builds import STAGES, Corpus
from pyspark.sql import functions as F
from real_text import pieces

from goldmill.evaluation_sets import digests
from goldmill.lake.spark import BranchMoved, Lake
from goldmill.lake.tables import DOCUMENTS, REMOVALS, SEQUENCES, SIGNATURES
from goldmill.recipe import Recipe
from goldmill.rules.deduplication import MinHashConfig
from goldmill.stages.deduplicate import SketchChanged, _pairs, deduplicate_documents
from goldmill.stages.job import Progress, StageContext
from goldmill.stages.tokenizer import TokenizerChanged
from goldmill.text.minhash import content_hashes, signatures
from goldmill.text.tokens import TokenizerError


def prose(seed: int, words: int = 120) -> str:
    """Text that shares no shingle with that of another seed."""
    rng = random.Random(seed)
    return " ".join(f"{rng.choice('bcdfgk')}{rng.choice('aeiou')}{rng.randrange(10**6)}" for _ in range(words))


def edited(text: str, seed: int, edits: int) -> str:
    """``text`` with some words replaced."""
    rng = random.Random(seed)
    words = text.split()
    for place in rng.sample(range(len(words)), edits):
        words[place] = f"edit{rng.randrange(10**6)}"
    return " ".join(words)


def removals(corpus: Corpus, build_id: str, stage: str = "deduplicate") -> dict[str, dict[str, Any]]:
    """The build's removals of a stage by object key."""
    rows = corpus.rows(REMOVALS, build_id)
    return {row["object_key"]: row for row in rows if row["stage"] == stage and row["build_id"] == build_id}


def test_each_kind_of_duplicate_is_removed_for_its_reason(corpus: Corpus) -> None:
    """Exact, URL and near duplicates; the kept one by priority of its source; unrelated texts stay."""
    one, two, three = prose(1), prose(2), prose(3)
    page = {"url": "https://example.org/a", "text": prose(4)}
    again = {"url": "https://EXAMPLE.org/a#part", "text": prose(5)}
    corpus.land(
        {
            "first/one.txt": one,
            "second/one.txt": one.upper() + "!",
            "second/two.txt": two,
            "first/two.txt": edited(two, 7, 2),
            "second/three.txt": three,
            "second/far.txt": edited(three, 8, 60),
            "web/pages.jsonl": json.dumps(page) + "\n" + json.dumps(again) + "\n",
        }
    )
    recipe = corpus.recipe(sources={"first": {"priority": 1}, "second": {"priority": 2}, "web": {"priority": 3}})

    reports = corpus.build("b1", recipe, until="deduplicate")

    removed = removals(corpus, "b1")
    ids = {row["object_key"]: row["document_id"] for row in corpus.rows(DOCUMENTS, "b1")}
    assert {key: row["rule"] for key, row in removed.items()} == {
        "second/one.txt": "exact",
        "second/two.txt": "minhash",
        "web/pages.jsonl": "url",
    }
    assert removed["second/one.txt"]["matched_document_id"] == ids["first/one.txt"]
    assert removed["second/two.txt"]["matched_document_id"] == ids["first/two.txt"]
    assert 0.8 <= removed["second/two.txt"]["score"] < 1
    assert removed["web/pages.jsonl"]["matched_document_id"] == ids["web/pages.jsonl"]
    assert set(ids) == {"first/one.txt", "first/two.txt", "second/three.txt", "second/far.txt", "web/pages.jsonl"}
    assert reports["deduplicate"].removed_by_rule == {"exact": 1, "minhash": 1, "url": 1}
    assert reports["deduplicate"].rows_in == 8
    assert {row["document_id"] for row in corpus.rows(SIGNATURES, "b1")} == set(ids.values())


def test_a_chain_of_similar_documents_is_not_removed_as_a_whole(corpus: Corpus) -> None:
    """a~b and b~c, but c is not similar to a: whatever goes, it goes on account of a document that stays."""
    a = prose(11, words=200)
    chain = [a]
    for step in range(1, 5):
        chain.append(edited(chain[-1], step, 4))
    corpus.land({f"s/{index}.txt": text for index, text in enumerate(chain)})

    corpus.build("b1", until="deduplicate")

    kept = {row["document_id"]: row["object_key"] for row in corpus.rows(DOCUMENTS, "b1")}
    removed = removals(corpus, "b1")
    assert len(kept) + len(removed) == len(chain)
    assert len(kept) >= 2, "a chain whose ends differ must not collapse into one document"
    for key, row in removed.items():
        assert row["matched_document_id"] in kept, f"{key} was removed on account of a document that is gone"
        assert row["score"] >= 0.8


def test_new_documents_are_compared_with_all_history(corpus: Corpus) -> None:
    """A later build removes what earlier versions hold, and never touches history."""
    one, two = prose(21), prose(22)
    corpus.land({"s/one.txt": one})
    corpus.build("b1", until="deduplicate")
    corpus.publish("b1")
    corpus.land({"s/two.txt": two})
    corpus.build("b2", until="deduplicate")
    corpus.publish("b2")
    corpus.land({"t/one_again.txt": one, "t/two_nearly.txt": edited(two, 3, 2), "t/new.txt": prose(23)})

    corpus.build("b3", corpus.recipe(sources={"t": {"priority": 0}}), until="deduplicate")

    ids = {row["object_key"]: row["document_id"] for row in corpus.rows(DOCUMENTS, "b3")}
    removed = removals(corpus, "b3")
    assert set(ids) == {"s/one.txt", "s/two.txt", "t/new.txt"}
    assert removed["t/one_again.txt"]["matched_document_id"] == ids["s/one.txt"]
    assert removed["t/two_nearly.txt"]["matched_document_id"] == ids["s/two.txt"]


def test_history_that_was_signed_in_another_way_is_refused(corpus: Corpus) -> None:
    """Other bands: the new signatures would match none of the old ones. A rebuild signs everything anew."""
    corpus.land({"s/one.txt": prose(31)})
    corpus.build("b1", until="deduplicate")
    corpus.publish("b1")
    corpus.land({"s/two.txt": prose(31)})
    recipe = corpus.recipe(deduplicate={"minhash": {"bands": 20, "rows": 5}})

    with pytest.raises(SketchChanged, match=r"minhash.*14x8.*20x5.*rebuild_from"):
        corpus.build("b2", recipe, until="deduplicate")


def test_batches_one_after_the_other_leave_what_one_batch_in_their_order_leaves(corpus: Corpus) -> None:
    """Days with copies, edits and addresses across them; among them a copy of what goes for its address."""
    rng = random.Random(5)
    days: list[list[tuple[str, str]]] = []
    for day in range(3):
        pages = [(prose(1000 + 50 * day + number), f"https://example.org/{rng.randrange(30)}") for number in range(6)]
        before = [page for earlier in [*days, pages] for page in earlier]
        for number in range(8):
            text, url = rng.choice(before)
            text = edited(text, number, rng.choice((0, 1, 2, 3)))
            pages.append((text, rng.choice((url, f"https://example.org/new/{day}/{number}"))))
        days.append(pages)
    # The second goes for its address; its copy, of another address, has to stay, and an edit of that to go.
    days[0].append((prose(2000), "https://example.org/same"))
    days[1] += [(prose(2001), "https://example.org/same"), (prose(2001), "https://example.org/other")]
    days[2].append((edited(prose(2001), 1, 2), "https://example.org/third"))
    recipe = corpus.recipe(sources={f"day{day}": {"priority": day} for day in range(3)})
    documents = [[document(f"day{day}", n, *page) for n, page in enumerate(pages)] for day, pages in enumerate(days)]

    for day, batch in enumerate(documents):
        deduplicate(corpus, f"b{day}", batch, recipe)
        corpus.publish(f"b{day}")
    deduplicate(corpus, "once", [row for batch in documents for row in batch], recipe, rebuild=True)

    kept = [{row["document_id"] for row in corpus.rows(DOCUMENTS, build)} for build in ("b2", "once")]
    assert kept[0] == kept[1]
    assert "day1/15" in kept[0]
    assert not {"day1/14", "day2/14"} & kept[0]
    removed = [row for row in corpus.rows(REMOVALS, "once") if row["build_id"] == "once"]
    assert {row["rule"] for row in removed} == {"exact", "url", "minhash"}
    assert {row["matched_document_id"] for row in removed} <= kept[1]
    assert len(kept[1]) + len(removed) == sum(map(len, days))


def document(source: str, number: int, text: str, url: str) -> dict[str, Any]:
    """A row of ``documents``."""
    row: dict[str, Any] = {
        column.name: {"string": "", "map<string,int>": {}}.get(column.type) for column in DOCUMENTS.columns
    }
    content_hash = content_hashes(pa.array([text]))[0].as_py()
    return row | {
        "document_id": f"{source}/{number}",
        "source": source,
        "text": text,
        "url": url,
        "content_hash": content_hash,
    }


def deduplicate(
    corpus: Corpus, build_id: str, rows: list[dict[str, Any]], recipe: Recipe, *, rebuild: bool = False
) -> None:
    """Deduplicate documents that nobody has refined, and account for nothing: quicker than a build."""
    spec = corpus.spec(build_id, "deduplicate", [], recipe, rebuild=rebuild)
    context = StageContext(spec, corpus.lake, corpus.spark, Progress(corpus.spark, spec))
    corpus.lake.start_branch(spec.branch, build_id, "refine", empty=rebuild)
    frame = corpus.spark.createDataFrame([row | {"build_id": build_id} for row in rows], DOCUMENTS.ddl)
    corpus.lake.append_once(frame, DOCUMENTS, spec.branch, build_id, "refine")
    deduplicate_documents(context)


def test_candidates_are_those_of_a_brute_force_join(corpus: Corpus) -> None:
    """5 000 real pieces of text: the pairs that the lake finds are all those with an equal band, and no others."""
    texts = pieces(5000)
    config = MinHashConfig()
    sketches = signatures(pa.array(texts), config)
    ids = [f"{row:04d}" for row in range(len(texts))]
    rows = pa.table({"document_id": ids, "rank": [1] * len(ids), "band": sketches.field("bands")})
    pool = corpus.spark.createDataFrame(rows).withColumn("band", F.explode("band"))
    found = {(int(row["earlier"]), int(row["later"])) for row in _pairs(pool, "band").collect()}

    # Each minimum as a band of its own; small numbers in their place, to compare all pairs quickly.
    single = signatures(pa.array(texts), config.model_copy(update={"bands": config.permutations, "rows": 1}))
    minima = single.field("bands").values.to_numpy().reshape(len(texts), -1)
    numbers = [np.unique(column, return_inverse=True)[1].astype(np.int16) for column in minima.T]
    minima = np.stack(numbers, axis=1)
    expected = set()
    for row in range(len(texts)):
        equal = (minima[row + 1 :] == minima[row]).reshape(-1, config.bands, config.rows).all(axis=2).any(axis=1)
        expected |= {(row, row + 1 + int(other)) for other in np.flatnonzero(equal)}
    assert len(expected) > 500
    assert found == expected


def test_a_document_that_is_delivered_again_leaves_history_in_place(corpus: Corpus) -> None:
    """The same object lands again: its document has the id of the one in history, and only the new row goes."""
    corpus.land({"s/one.txt": prose(31)})
    corpus.build("b1", until="deduplicate")
    corpus.publish("b1")
    corpus.seen.clear()

    corpus.build("b2", until="deduplicate")

    (row,) = corpus.rows(DOCUMENTS, "b2")
    assert row["build_id"] == "b1"
    assert removals(corpus, "b2")["s/one.txt"]["matched_document_id"] == row["document_id"]


def test_two_builds_side_by_side_both_publish_and_the_second_sees_the_first(corpus: Corpus) -> None:
    """Both refine from the same version; the second is rebased and compared with what the first published."""
    one = prose(41)
    recipe = corpus.recipe()
    corpus.land({"s/one.txt": one, "s/own.txt": prose(42)})
    first = corpus.claim()
    corpus.land({"s/one_again.txt": one, "s/other.txt": prose(43)})
    second = corpus.claim()
    corpus.run(corpus.spec("b1", "refine", first, recipe))
    corpus.run(corpus.spec("b2", "refine", second, recipe))
    for stage in ("deduplicate", "tokenize"):
        corpus.run(corpus.spec("b1", stage, first, recipe))
    corpus.publish("b1")

    for stage in ("deduplicate", "tokenize"):
        corpus.run(corpus.spec("b2", stage, second, recipe))
    corpus.publish("b2")

    assert set(corpus.texts("b2")) == {"s/one.txt", "s/own.txt", "s/other.txt"}
    assert list(removals(corpus, "b2")) == ["s/one_again.txt"]
    documents = [d for row in corpus.rows(SEQUENCES, "b2") for d in row["document_ids"]]
    assert set(documents) == {row["document_id"] for row in corpus.rows(DOCUMENTS, "b2")}


def test_a_rebuild_starts_empty_and_does_not_step_over_a_newer_version(corpus: Corpus) -> None:
    """A rebuild replaces the corpus; when another version is published meanwhile it refuses."""
    corpus.land({"s/one.txt": prose(51), "s/two.txt": prose(52)})
    objects = corpus.claim()
    recipe = corpus.recipe()
    for stage in ("refine", "deduplicate"):
        corpus.run(corpus.spec("b1", stage, objects, recipe))
    corpus.publish("b1")
    for stage in ("refine", "deduplicate"):
        corpus.run(corpus.spec("b2", stage, objects[:1], recipe, rebuild=True))
    corpus.run(corpus.spec("b3", "refine", objects, recipe, rebuild=True))

    assert set(corpus.texts("b2")) == {"s/one.txt"}
    corpus.publish("b2")
    with pytest.raises(BranchMoved, match="b3"):
        corpus.run(corpus.spec("b3", "deduplicate", objects, recipe, rebuild=True))


@pytest.mark.parametrize("partitions", [1, 16])
def test_digests_do_not_depend_on_partitions(corpus: Corpus, partitions: int, tmp_path_factory: Any) -> None:
    """The digests of all stages are those of the first number of partitions."""
    files = {f"s/{i}.txt": prose(100 + i) for i in range(30)}
    files |= {f"t/{i}.txt": edited(prose(100 + i), i, 2) for i in range(10)}
    corpus.land(files)

    reports = corpus.build("b1", partitions=partitions)

    digests = {stage: report.digest for stage, report in reports.items()}
    exports = sorted(export["sha256"] for export in reports["tokenize"].metrics["exports"])
    known = Path(tmp_path_factory.getbasetemp()) / "digests.json"
    if not known.exists():
        known.write_text(json.dumps([digests, exports]))
    assert [digests, exports] == json.loads(known.read_text())


def test_stages_that_die_between_their_steps_go_on_where_they_were(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever write a stage dies behind, the rerun ends with the digest of an undisturbed run and no row twice."""
    files = {f"s/{i}.txt": prose(200 + i) for i in range(6)} | {"t/0.txt": edited(prose(200), 0, 2)}
    corpus.land(files)
    objects = corpus.claim()
    recipe = corpus.recipe()
    undisturbed = {stage: corpus.run(corpus.spec("calm", stage, objects, recipe)).digest for stage in STAGES}

    class Died(Exception):
        pass

    def dying(real: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal writes
            result = real(*args, **kwargs)
            writes += 1
            # Each attempt dies two writes later than the one before; what it had finished stays.
            if writes == deaths:
                raise Died
            return result

        return write

    for owner, name in ((Lake, "append_once"), (Lake, "delete_once"), (StageContext, "stage")):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    digests = {}
    total_deaths = 0
    for stage in STAGES:
        spec = corpus.spec("storm", stage, objects, recipe)
        deaths = 1
        while stage not in digests:
            writes = 0
            try:
                digests[stage] = corpus.run(spec).digest
            except Died:
                total_deaths += 1
                deaths += 2

    assert total_deaths >= 6, "the stages were hardly disturbed"
    assert digests == undisturbed
    for table in (DOCUMENTS, SIGNATURES, SEQUENCES):
        ids = [row[table.column_names[0]] for row in corpus.rows(table, "storm")]
        assert len(ids) == len(set(ids)), f"{table.name} has a row twice"


def test_a_stage_that_is_done_does_nothing_the_second_time(corpus: Corpus) -> None:
    """The same spec again: the same report, no new snapshot."""
    corpus.land({"s/one.txt": prose(61), "s/two.txt": prose(62)})
    objects = corpus.claim()
    recipe = corpus.recipe()
    first = {stage: corpus.run(corpus.spec("b1", stage, objects, recipe)) for stage in STAGES}
    heads = corpus.lake.heads("build_b1")

    again = {stage: corpus.run(corpus.spec("b1", stage, objects, recipe)) for stage in ("deduplicate", "tokenize")}

    assert corpus.lake.heads("build_b1") == heads
    assert all(again[stage].digest == first[stage].digest for stage in again)


def test_bad_objects_are_accounted_for_and_the_batch_goes_on(corpus: Corpus) -> None:
    """Broken objects end in quarantine with an error that names them; the good one is built."""
    corpus.land(
        {
            "s/good.txt": prose(71),
            "s/cut.jsonl.gz": b"\x1f\x8b\x08\x00broken",
            "s/broken.parquet": b"PAR1 this is none PAR1",
            "s/lines.jsonl": '{"text": "a fine line of text"}\n{"text": 1\n'
            '{"text": "\\ud800 alone"}\n{"title": "no text"}\n',
            "s/empty.txt": b"",
        }
    )
    objects = corpus.claim()
    corpus.land({"s/changed.txt": "first"})
    changed = corpus.claim()
    corpus.land({"s/changed.txt": "second, and longer"})

    report = corpus.run(corpus.spec("b1", "refine", objects + changed, corpus.recipe()))

    assert report.rows_in == report.rows_out + report.removed + report.quarantined
    assert report.quarantined_by_code.keys() >= {"corrupt_parquet", "invalid_json", "lone_surrogate", "etag_mismatch"}
    broken = {item["object_key"] for item in report.metrics["quarantined_objects"]}
    assert {"s/broken.parquet", "s/cut.jsonl.gz", "s/changed.txt"} <= broken
    assert "s/lines.jsonl" not in broken
    for row in corpus.rows(REMOVALS, "b1"):
        if row["disposition"] == "quarantined":
            assert row["object_key"] in row["detail"], "the error must name the object"
    assert "s/good.txt" in corpus.texts("b1")


def test_documents_that_hold_an_evaluation_item_are_removed_or_named(corpus: Corpus) -> None:
    """By the recipe's action for the set; the item is named either way, and counted for the gate."""
    question, passage = prose(91, words=20), prose(92, words=40)
    sets = corpus.directory / "sets"
    sets.mkdir()
    (sets / "quiz.jsonl").write_text(json.dumps({"id": "q1", "question": question}) + "\n")
    (sets / "passages.txt").write_text(passage + "\n")
    corpus.land(
        {
            "s/leak.txt": f"{prose(93)} {question} {prose(94)}",
            "s/code.py": f'{prose(95)}\n"""{" ".join(question.split()[:13])}"""',
            "s/quoted.txt": f"{prose(96)} {passage}",
            "s/clean.txt": f"{prose(97)} {' '.join(question.split()[:12])}",
        }
    )
    recipe = corpus.recipe(
        decontaminate={
            "sets": {
                "quiz": {"path": str(sets / "quiz.jsonl"), "id_field": "id"},
                "passages": {"path": str(sets / "passages.txt"), "action": "keep"},
            }
        }
    )

    spec = corpus.spec("b1", "refine", corpus.claim(), recipe, evaluation_sets=digests(recipe.decontaminate))
    report = corpus.run(spec)

    removed = removals(corpus, "b1", "refine")
    assert {key: row["rule"] for key, row in removed.items()} == dict.fromkeys(
        ("s/leak.txt", "s/code.py"), "decontamination:quiz"
    )
    assert removed["s/leak.txt"]["score"] == 1.0
    assert removed["s/code.py"]["detail"] == "evaluation item quiz/q1: 1 n-grams shared"
    kept = {row["object_key"]: row["evaluation_item"] for row in corpus.rows(DOCUMENTS, "b1")}
    assert kept == {"s/quoted.txt": "passages/line:1", "s/clean.txt": None}
    assert report.metrics["evaluation_sets"] == spec.evaluation_sets
    (row,) = (row for row in pq.read_table(f"{spec.audit_uri}/metrics.parquet").to_pylist() if row["source"] == "s")
    assert row["contaminated_share"] == 0.75
    assert pq.read_table(f"{spec.audit_uri}/sample.parquet")["residual_evaluation_ngrams"].to_pylist() == [0, 0]


def test_sequences_have_every_token_once_and_no_document_in_both_splits(corpus: Corpus) -> None:
    """Packing keeps every document whole in one split; the control token ends each, and none comes from text."""
    corpus.land({f"s/{i}.txt": prose(300 + i, words=30) + " <|endoftext|> <|padding|>" for i in range(40)})

    reports = corpus.build("b1", corpus.recipe(packing={"sequence_length": 64, "validation_fraction": 0.2}))

    end = reports["tokenize"].metrics["tokenizer"]["end_of_text_id"]
    rows = corpus.rows(SEQUENCES, "b1")
    splits: dict[str, set[str]] = {}
    for row in rows:
        assert len(row["token_ids"]) == 64
        for document in row["document_ids"]:
            splits.setdefault(document, set()).add(row["split"])
    assert len(splits) == 40
    assert all(len(found) == 1 for found in splits.values())
    assert {row["split"] for row in rows} == {"train", "validation"}
    ends = sum(row["token_ids"][: row["token_count"]].count(end) for row in rows)
    assert ends == 40, "a control id must come from the end of a document only"


def test_the_corpus_keeps_its_tokenizer(corpus: Corpus, tmp_path: Path) -> None:
    """A second build inherits the trained tokenizer; a recipe with another one is refused, a missing file too."""
    corpus.land({"s/one.txt": prose(81)})
    first = corpus.build("b1")
    corpus.publish("b1")
    corpus.land({"s/two.txt": prose(82)})
    second = corpus.build("b2")
    assert second["tokenize"].metrics["tokenizer"] == first["tokenize"].metrics["tokenizer"]

    corpus.land({"s/three.txt": prose(83)})
    other = json.loads(Path(first["tokenize"].metrics["tokenizer"]["uri"]).read_text())
    other["model"]["merges"] = other["model"]["merges"][:-1]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other))
    with pytest.raises(TokenizerChanged, match="rebuild"):
        corpus.build("b3", corpus.recipe(tokenizer={"path": str(path)}))
    corpus.land({"s/four.txt": prose(84)})
    with pytest.raises(TokenizerError, match=r"tokenizer\.path.*missing\.json"):
        corpus.build("b4", corpus.recipe(tokenizer={"path": str(tmp_path / "missing.json")}))
