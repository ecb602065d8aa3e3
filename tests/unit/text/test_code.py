"""Shape of source files, their comments, and the rules on them."""

from __future__ import annotations

import base64
import io
import random
import sysconfig
import tokenize
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from goldmill.rules.code import CodeRules
from goldmill.text.code import CodeCounters, judge_code, measure_code, programming_language

GOOD = '''"""How a mill works."""

import math


def flour(grain: float, loss: float = 0.02) -> float:
    """Mass of flour from a mass of grain, both in kg."""
    return grain * (1 - loss)  # bran stays behind


def stones(radius: float) -> float:
    return math.pi * radius**2
'''


def rule_of(
    text: str, language: str | None = "python", name: str | None = None, rules: CodeRules | None = None
) -> tuple[str | None, float | None, float | None]:
    verdicts = judge_code(
        pa.array([text]), pa.array([language], pa.string()), rules or CodeRules(), pa.array([name], pa.string())
    )
    return verdicts.rule[0].as_py(), verdicts.score[0].as_py(), verdicts.threshold[0].as_py()


def measured(text: str, language: str | None = None) -> dict[str, int]:
    counters = measure_code(pa.array([text]), pa.array([language], pa.string()))
    return {name: int(column[0]) for name, column in counters._asdict().items()}


@pytest.mark.parametrize(
    ("name", "first_line", "language"),
    [
        ("src/mill.py", "", "python"),
        ("Mill.java", "", "java"),
        ("mill.CPP", "", "c++"),
        ("mill.h", "", "c"),
        ("mill.d.ts", "", "typescript"),
        ("Makefile", "", "makefile"),
        ("deploy/Dockerfile", "", "dockerfile"),
        ("bin/grind", "#!/usr/bin/env python3", "python"),
        ("bin/grind", "#!/bin/bash -e", "shell"),
        ("bin/grind", "", None),
        ("bin/grind", "#!/opt/unheard-of", None),
        ("README.md", "", None),
        ("page.html", "", None),
        ("stone.png", "", None),
        ("", "", None),
    ],
)
def test_languages_by_name_and_shebang(name: str, first_line: str, language: str | None) -> None:
    assert programming_language(name, first_line) == language


def test_a_good_file_passes() -> None:
    assert rule_of(GOOD) == (None, None, None)


def test_numbers_of_a_small_file() -> None:
    text = "a = 10\n\n  # ü, 0x1f\n"
    assert measured(text, "python") == {
        "chars": 20,
        "lines": 3,
        "blank_lines": 1,
        "longest_line": 11,
        "alphanumeric": 8,
        "spaces": 9,
        "longest_encoded_run": 0,
        "encoded": 0,
        "numbers": 6,
        "comments": 9,
        "line_chars": 17,
    }


LINE = "value = compute(first, second)  # why\n"


@pytest.mark.parametrize(
    ("inside", "outside", "broken"),
    [
        (LINE * 10, LINE * 9, ("code:too_few_lines", 9.0, 10.0)),
        (LINE * 50, LINE * 51, ("code:too_many_lines", 51.0, 50.0)),
        (LINE * 40 + "v" * 1000, LINE * 40 + "v" * 1001, ("code:line_length", 1001.0, 1000.0)),
        (LINE[:-1].ljust(100, "w") + "\n", LINE[:-1].ljust(101, "w") + "\n", ("code:mean_line_length", 101.0, 100.0)),
    ],
    ids=["few", "many", "long", "mean"],
)
def test_limits_may_be_met_and_not_passed(inside: str, outside: str, broken: tuple[str, float, float]) -> None:
    rules = CodeRules(max_lines=50, min_lines=10 if broken[0] == "code:too_few_lines" else 1)
    assert rule_of(inside, rules=rules)[0] is None
    assert rule_of(outside, rules=rules) == broken


def test_symbols_only_is_no_code() -> None:
    text = "# " + "{}()[];:,.<>" * 4 + "ab\n"
    rule, score, threshold = rule_of(text * 12, rules=CodeRules(max_comment_share=1.0))
    assert (rule, threshold) == ("code:alphanumeric_share", 0.25)
    assert score == pytest.approx(2 / len(text))


def test_base64_is_told_in_one_line_and_in_many() -> None:
    blob = base64.b64encode(random.Random(1).randbytes(1500)).decode()
    one_line = LINE * 60 + f"DATA = '{blob[:1000]}'\n"
    assert rule_of(one_line, rules=CodeRules(max_line_length=5000))[0] is None
    rule, score, threshold = rule_of(LINE * 60 + f"DATA = '{blob}'\n", rules=CodeRules(max_line_length=5000))
    assert (rule, score, threshold) == ("code:encoded_run", 2000.0, 1024.0)
    wrapped = "\n".join(blob[at : at + 76] for at in range(0, len(blob), 76))
    assert rule_of(LINE * 60 + f"DATA = '''\n{wrapped}\n'''\n")[0] == "code:encoded_run"
    quoted = "".join(f'    "{blob[at : at + 76]}"  # part\n' for at in range(0, len(blob), 76))
    assert rule_of(LINE + quoted)[0] == "code:encoded_share"


@pytest.mark.parametrize("ruler", ["=" * 100, "/" * 100, "a" * 100, "+-" * 50, "path/to/some/file" * 6])
def test_rulers_and_long_names_are_not_encoded(ruler: str) -> None:
    assert measured(f"# {ruler}\n" * 12)["encoded"] == 0


@pytest.mark.parametrize(
    "row",
    ["0x1f, 0x2b, 0x3c, 0x4d,  # row\n", "1, 2, 3, 4, 5, 6, 7, 8,  # row\n", '"\\x1f\\x2b\\x3c\\x4d\\x5e"  # row\n'],
)
def test_tables_of_numbers_are_told(row: str) -> None:
    assert rule_of("TABLE = [\n" + row * 100 + "]\n")[0] == "code:number_share"
    assert rule_of(LINE * 100 + "TABLE = [\n" + row * 10 + "]\n")[0] is None


def test_names_with_digits_are_no_numbers() -> None:
    assert measured("x1 = utf8 + _2 + v10")["numbers"] == 0


@pytest.mark.parametrize(
    "head",
    [
        "# This file is automatically generated by the build.\n",
        "# -*- coding: utf-8 -*-\n# Generated by the protocol buffer compiler.  DO NOT EDIT!\n",
        "// Code generated by mockgen. DO NOT EDIT.\n",
        "/* Autogenerated. */\n",
        "# generated from mill.g4\n",
        "#\n# licence\n" * 15 + "# @generated\n",
    ],
)
def test_generated_files_say_so(head: str) -> None:
    assert rule_of(head + GOOD) == ("code:generated", None, None)
    assert rule_of(head + GOOD, rules=CodeRules(remove_generated=False))[0] is None


@pytest.mark.parametrize(
    "head",
    [
        "# Reads the files generated by the mill.\n",
        "# Maps names of streams\n# generated with an old version.\n",
        "#\n" * 6 + "# do not edit while the mill runs\n",
    ],
)
def test_talk_of_generated_files_is_no_mark(head: str) -> None:
    assert rule_of(head + GOOD)[0] is None


@pytest.mark.parametrize(
    "name", ["package-lock.json", "a/uv.lock", "go.sum", "mill_pb2.py", "mill_pb2_grpc.py", "x.pb.go", "m.generated.ts"]
)
def test_generated_files_by_name(name: str) -> None:
    assert rule_of(GOOD, name=name) == ("code:generated", None, None)


@pytest.mark.parametrize("name", ["block.py", "mylock.json", "pb2.py", "map.py", "gen.py", "generated.py", None])
def test_ordinary_names_pass(name: str | None) -> None:
    assert rule_of(GOOD, name=name)[0] is None


def test_minified_files_by_name_and_by_density() -> None:
    assert rule_of(GOOD, name="static/mill.min.js") == ("code:minified", None, None)
    dense = "function a(b){return b.c(d=>d.e+1).f()};" * 20 + "\n"
    rule, score, threshold = rule_of(dense * 10, "javascript")
    assert (rule, threshold) == ("code:minified", 0.08)
    assert score == pytest.approx((2 * 20 + 1) / len(dense))
    loose = "x = f(a, b)\n" * 30 + "// " + "y" * 250 + "\n"
    assert rule_of(loose, "javascript")[0] is None


def test_xml_goes_and_xslt_stays() -> None:
    body = "  <stone>slow</stone>\n" * 20
    declaration = '<?xml version="1.0"?>\n'
    assert rule_of(f"{declaration}<mill>\n{body}</mill>\n", "xml") == ("code:xml", None, None)
    assert rule_of(f"<mill>\n{body}</mill>\n", "xml")[0] is None
    assert rule_of(f"{declaration}<xsl:stylesheet>\n{body}</xsl:stylesheet>\n", "xml")[0] is None
    assert rule_of("<!-- " + "c" * 95 + f"-->{declaration}{body}", "xml")[0] is None


def test_formats_with_long_lines_have_another_limit() -> None:
    text = ('{"key": "' + "some words " * 200 + '"}\n') * 12
    assert rule_of(text, "json")[0] is None
    assert rule_of(text, "javascript")[0] == "code:line_length"
    assert rule_of(text, "json", rules=CodeRules(max_long_line_length=2000))[0] == "code:line_length"


def test_comment_share_has_two_ends_and_needs_a_known_language() -> None:
    code = "value = compute(first, second)\n" * 20
    assert rule_of(code) == ("code:too_few_comments", 0.0, 0.01)
    assert rule_of(code, "cobol")[0] is None
    assert rule_of(code, None)[0] is None
    comments = "# all of this is a comment, and no code\n" * 20
    rule, score, threshold = rule_of(comments)
    assert (rule, threshold) == ("code:too_many_comments", 0.85)
    assert score == pytest.approx(39 / 40)


def test_the_first_rule_in_order_wins_and_off_is_off() -> None:
    text = "<?xml version='1.0'?> generated automatically " + "x" * 3000
    assert rule_of(text)[0] == "code:generated"
    assert rule_of(text, rules=CodeRules(remove_generated=False))[0] == "code:minified"
    assert rule_of(text, rules=CodeRules(remove_generated=False, remove_minified=False))[0] == "code:xml"
    assert rule_of(text, rules=CodeRules(enabled=False)) == (None, None, None)


def test_no_text_is_too_few_lines() -> None:
    assert rule_of("") == ("code:too_few_lines", 0.0, 10.0)
    assert len(judge_code(pa.array([], pa.string()), pa.array([], pa.string()), CodeRules())) == 0


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"code\.min_lines is above code\.max_lines"):
        CodeRules(min_lines=10, max_lines=5)


@pytest.mark.parametrize(
    ("language", "text", "comments"),
    [
        ("c", "int a; // one\nint b; /* two\n lines */ int c;", ["// one", "/* two\n lines */"]),
        ("c", 'char *s = "// no"; char q = \'"\'; // yes', ["// yes"]),
        ("c", "char a = '\\''; // yes", ["// yes"]),
        ("c", "x = 1'000'000; // yes", ["// yes"]),
        ("rust", "fn f<'a>(x: &'a str) {} // yes", ["// yes"]),
        ("rust", "let c = 'ü'; // yes", ["// yes"]),
        ("go", "s := `// no\n// no`\n// yes", ["// yes"]),
        ("javascript", "let s = '/* no */', t = `// no`; // yes", ["// yes"]),
        ("javascript", "let s = 'open // no\n// yes", ["// yes"]),
        ("css", "a { /* yes */ background: url('//no'); }", ["/* yes */"]),
        ("python", 's = \'# no\'  # yes\nt = """# no"""', ["# yes"]),
        ("python", 'def f():\n    """Doc\n    # string."""\n', ['"""Doc\n    # string."""']),
        ("shell", "echo a#no $# # yes\n#!yes", ["# yes", "#!yes"]),
        ("lua", "--[[ a\nblock ]] x = 1 -- line", ["--[[ a\nblock ]]", "-- line"]),
        ("sql", "SELECT '-- no' -- yes\n/* and */", ["-- yes", "/* and */"]),
        ("haskell", "f' x = x -- yes\n{- a\nblock -}", ["-- yes", "{- a\nblock -}"]),
        ("hcl", "a = 1 # one\nb = 2 // two", ["# one", "// two"]),
        ("php", "<?php # one\n$a = 'multi\n// no'; // two", ["# one", "// two"]),
        ("common-lisp", '(f "; no") ; yes', ["; yes"]),
        ("c", "int a; /* never closed", ["/* never closed"]),
        ("c", 'char *s = "never closed', []),
        ("c", "/", []),
        ("python", '""', []),
        ("python", "'\\", []),
        ("c", "'\\", []),
    ],
)
def test_comments_of_each_syntax(language: str, text: str, comments: list[str]) -> None:
    assert measured(text, language)["comments"] == sum(map(len, comments))


def test_python_comments_are_those_of_the_tokenizer() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for name in (
        "ast.py",
        "argparse.py",
        "decimal.py",
        "json/decoder.py",
        "logging/__init__.py",
        "typing.py",
        "heapq.py",
    ):
        text = (library / name).read_text("utf-8")
        expected = 0
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            opens_line = not token.line[: token.start[1]].strip()
            docstring = token.type == tokenize.STRING and token.string.startswith(('"""', "'''")) and opens_line
            if token.type == tokenize.COMMENT or docstring:
                expected += len(token.string)
        assert measured(text, "python")["comments"] == expected, name


def slow_shape(text: str) -> dict[str, int]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return {
        "chars": len(text),
        "lines": len(lines),
        "blank_lines": sum(not line.strip() for line in lines),
        "longest_line": max((len(line.replace("\r", "")) for line in lines), default=0),
        "alphanumeric": sum(character.isalnum() for character in text),
        "spaces": sum(character.isspace() for character in text),
        "line_chars": len(text.replace("\r", "").replace("\n", "")),
    }


CODE = st.text(
    st.one_of(st.sampled_from("ab1_ \n\r\t'\"`\\/*#-{}x0,.=+"), st.characters(exclude_categories=["Cs"])), max_size=120
)


@settings(max_examples=300, deadline=None)
@given(CODE, st.sampled_from(["python", "c", "javascript", "lua", "sql", "shell", "haskell", "ruby"]))
def test_any_text_is_measured_as_by_the_slow_way(text: str, language: str) -> None:
    counted = measured(text, language)
    expected = slow_shape(text)
    assert {name: counted[name] for name in expected} == expected
    assert 0 <= counted["comments"] <= counted["chars"]
    assert 0 <= counted["numbers"] <= counted["chars"]


@settings(max_examples=60, deadline=None)
@given(st.lists(CODE, max_size=5), st.integers(0, 3))
def test_answers_do_not_depend_on_type_slice_or_neighbours(texts: list[str], start: int) -> None:
    narrow = pa.array(texts, pa.string())
    languages = pa.array(["python", "c", None, "lua", "unknown"][: len(texts)], pa.string())
    whole = measure_code(narrow, languages)
    wide = measure_code(narrow.cast(pa.large_string()), languages)
    part = measure_code(narrow.slice(start), languages.slice(start))
    for name in CodeCounters._fields:
        np.testing.assert_array_equal(getattr(wide, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[start:])
    verdicts = judge_code(narrow, languages, CodeRules(min_lines=0))
    assert judge_code(narrow.slice(start), languages.slice(start), CodeRules(min_lines=0)).rule == verdicts.rule.slice(
        start
    )
