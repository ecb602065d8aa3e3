"""Language identification and the rules on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import fasttext
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from goldmill.rules.language import IDENTIFIABLE_LANGUAGES, LanguageRules
from goldmill.text import language
from goldmill.text.fasttext_model import ModelError, read_model
from goldmill.text.language import identify, judge_language

FASTTEXT = fasttext.load_model(str(language.model_path())).f
SENTENCES = {
    "en": "The mill grinds slowly, but every grain that goes in comes out again as flour or as bran.",
    "de": "Die Mühle mahlt langsam, aber jedes Korn, das hineinkommt, kommt als Mehl oder Kleie wieder heraus.",
    "fr": "Le moulin tourne lentement, mais chaque grain qui y entre en ressort en farine ou en son.",
    "es": "El molino gira despacio, pero cada grano que entra vuelve a salir como harina o como salvado.",
    "it": "Il mulino gira lentamente, ma ogni chicco che vi entra ne esce come farina o come crusca.",
    "pl": "Młyn miele powoli, ale każde ziarno, które do niego trafia, wychodzi jako mąka albo otręby.",
    "ru": "Мельница мелет медленно, но каждое зерно, которое в неё попадает, выходит мукой или отрубями.",
    "tr": "Değirmen yavaş döner ama içine giren her tane un ya da kepek olarak geri çıkar.",
    "el": "Ο μύλος αλέθει αργά, αλλά κάθε κόκκος που μπαίνει βγαίνει ξανά ως αλεύρι ή πίτουρο.",
    "ar": "الطاحونة تدور ببطء، لكن كل حبة تدخلها تخرج منها دقيقا أو نخالة.",
    "zh": "磨坊转得很慢，但是每一粒进去的谷子都会变成面粉或者麸皮出来。",
    "ja": "水車小屋はゆっくり回りますが、入った穀物はすべて粉かふすまになって出てきます。",
    "ko": "방앗간은 천천히 돌지만 들어간 낟알은 모두 밀가루나 밀기울이 되어 나옵니다.",
}


def test_each_language_is_named() -> None:
    languages, scores = identify(pa.array(list(SENTENCES.values())))
    assert dict(zip(SENTENCES, languages.to_pylist(), strict=True)) == {code: code for code in SENTENCES}
    assert min(scores.to_pylist()) > 0.65


@pytest.mark.parametrize("text", ["", " \n\t ", "12345 67", "--- *** ...", "\x00", None])
def test_text_without_letters_is_undetermined(text: str | None) -> None:
    languages, scores = identify(pa.array([text], pa.string()))
    assert languages.to_pylist() == ["und"]
    assert scores.to_pylist() == [0.0]


@pytest.mark.parametrize("stopper", ["\n", "</s> ", "\r\n\n", "\x00 "])
def test_reading_does_not_stop_at_a_line_end_or_an_end_token(stopper: str) -> None:
    text = f"Guten Tag{stopper}" + SENTENCES["en"] * 3
    (named, score) = (column.to_pylist()[0] for column in identify(pa.array([text])))
    assert named == "en"
    assert score > 0.8


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*SENTENCES.values(), "</s>", "\n", "a", "中", "\x00", "<", ">", "é", "😀"])))
def test_labels_and_probabilities_are_those_of_fasttext(pieces: list[str]) -> None:
    text = " ".join(pieces) + "x"
    probability, label = FASTTEXT.predict(re.sub(r"\n|</s>", " ", text) + "\n", 1, 0.0, "strict")[0]
    languages, scores = identify(pa.array([text]), 10**6)
    assert scores.to_pylist()[0] == pytest.approx(min(probability, 1.0), abs=1e-5)
    assert languages.to_pylist() == [label.removeprefix("__label__")]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    content = language.model_path().read_bytes()
    for number, broken in enumerate((b"", b"no model", content[:1000], bytes(4) + content[4:])):
        path = tmp_path / f"{number}.ftz"
        path.write_bytes(broken)
        with pytest.raises(ModelError, match=rf"{number}\.ftz is no quantised fastText model"):
            read_model(path)


def test_a_long_text_is_judged_by_more_than_its_start() -> None:
    text = "0 1 2 " * 4000 + SENTENCES["en"] * 5000
    assert identify(pa.array([text[:24_000]]))[0].to_pylist() == ["und"]
    assert identify(pa.array([text]))[0].to_pylist() == ["en"]


def test_a_character_cut_at_the_edge_of_a_part_is_dropped() -> None:
    text = SENTENCES["zh"] * 400
    for limit in range(300, 306):
        assert identify(pa.array([text]), max_sample_bytes=limit)[0].to_pylist() == ["zh"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=900)), max_size=5), st.integers(0, 3))
def test_answers_do_not_depend_on_type_slice_or_neighbours(texts: list[str | None], start: int) -> None:
    narrow = pa.array(texts, pa.string())
    languages, scores = identify(narrow, 300)
    assert len(languages) == len(scores) == len(texts)
    assert all(0.0 <= score <= 1.0 for score in scores.to_pylist())
    assert identify(narrow.cast(pa.large_string()), 300) == (languages, scores)
    assert identify(narrow.slice(start), 300) == (languages.slice(start), scores.slice(start))


def test_other_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        identify(pa.array([1]))


def test_rules_name_what_was_broken() -> None:
    verdicts = judge_language(
        pa.array(["en", "en", "de", "und"]), pa.array([0.9, 0.64, 0.99, 0.0]), LanguageRules(allowed=("en",))
    )
    assert verdicts.rule.to_pylist() == [None, "language:low_score", "language:not_allowed", "language:not_allowed"]
    assert verdicts.score.to_pylist() == [None, 0.64, 0.99, 0.0]
    assert verdicts.threshold.to_pylist() == [None, 0.65, None, None]


def test_any_language_still_needs_one_and_a_score() -> None:
    rules = LanguageRules(allowed=("*",))
    verdicts = judge_language(pa.array(["de", "fr", "und"]), pa.array([0.7, 0.2, 0.0]), rules)
    assert verdicts.rule.to_pylist() == [None, "language:low_score", "language:not_allowed"]


def test_rules_can_be_off() -> None:
    verdicts = judge_language(pa.array(["und"]), pa.array([0.0]), LanguageRules(enabled=False))
    assert verdicts.rule.to_pylist() == [None]


def test_codes_are_those_of_the_model() -> None:
    assert set(language._model().labels) == IDENTIFIABLE_LANGUAGES


@pytest.mark.parametrize(
    ("code", "message"), [("EN", "did you mean 'en'"), ("deu", "did you mean 'de'"), ("??", "such as")]
)
def test_an_unknown_code_is_refused_with_a_remedy(code: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LanguageRules(allowed=(code,))


def test_no_code_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="name at least one"):
        LanguageRules(allowed=())


def test_identification_opens_no_socket() -> None:
    program = """
import socket
def refuse(*args, **kwargs):
    raise AssertionError("a socket was opened")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
import pyarrow as pa
from goldmill.text.language import identify
print(identify(pa.array(["Every grain that goes in comes out again as flour or as bran."]))[0].to_pylist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "['en']", done.stderr


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"lid\.176\.ftz.*install"):
        language.model_path()
