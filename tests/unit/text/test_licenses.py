"""Licences by tag, field, text and sentence."""

from __future__ import annotations

import random
from importlib.metadata import distributions
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldmill.text import license_fingerprints
from goldmill.text.license_fingerprints import closest_license, load_fingerprints, normalized_words, word_pair_hashes
from goldmill.text.licenses import LicenseMatch, detect_license, detect_licenses

APACHE = (Path(__file__).parents[3] / "LICENSE").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("# SPDX-License-Identifier: MIT", "MIT"),
        ("/* SPDX-License-Identifier: Apache-2.0 */", "Apache-2.0"),
        ("<!-- SPDX-License-Identifier: CC0-1.0 -->", "CC0-1.0"),
        ("// SPDX-License-Identifier: (mit OR apache-2.0) AND BSD-3-Clause", "(MIT OR Apache-2.0) AND BSD-3-Clause"),
        (" * SPDX-License-Identifier: GPL-2.0+ WITH Linux-syscall-note", "GPL-2.0-or-later WITH Linux-syscall-note"),
        ("SPDX-License-Identifier: LicenseRef-House-Rules", "LicenseRef-House-Rules"),
        ("SPDX-License-Identifier: LGPL-2.1", "LGPL-2.1-only"),
        ("SPDX-License-Identifier: MIT and more words", "MIT"),
        ("SPDX-License-Identifier: MIT OR", None),
        ("SPDX-License-Identifier: (MIT", None),
        ("SPDX-License-Identifier: ", None),
        ("License-Expression: MIT", "MIT"),
        ("License: apache-2.0", "Apache-2.0"),
        ("License: MIT or Apache-2.0", "MIT OR Apache-2.0"),
        ('  "license": "BSD-3-Clause",', "BSD-3-Clause"),
        ('license = "MIT OR Apache-2.0"\r', "MIT OR Apache-2.0"),
        ("License: see the file LICENSE", None),
        ("License: BSD", None),
        ("license = load(path)", None),
    ],
)
def test_tags_and_fields(line: str, expected: str | None) -> None:
    assert detect_license(f"first line\n{line}\nlast line\n") == (
        None if expected is None else LicenseMatch(expected, 1.0)
    )


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Licensed under the Apache License, Version 2.0 (the 'License');", "Apache-2.0"),
        ("This file is subject to the Mozilla Public\n# License, v. 2.0.", "MPL-2.0"),
        ("Distributed under the terms of the MIT License.", "MIT"),
        ("Released under the ISC licence.", "ISC"),
        ("Use of this is under the 3-clause BSD license.", "BSD-3-Clause"),
        ("Licensed under the simplified BSD license", "BSD-2-Clause"),
        ("Distributed under the Boost Software License, Version 1.0.", "BSL-1.0"),
        ("Licensed to PSF under a Contributor Agreement.", "PSF-2.0"),
        (
            "it under the terms of the GNU General Public License as published;\n# version 2, or any later version.",
            "GPL-2.0-or-later",
        ),
        ("under the terms of the GNU General Public License version 3.", "GPL-3.0-only"),
        ("under the GNU Lesser General Public License, version 2.1", "LGPL-2.1-only"),
        ("the GNU Affero General Public License, v3 or later", "AGPL-3.0-or-later"),
        ("under the GNU General Public License", None),
        ("Licensed under terms that nobody knows.", None),
        ("The commit license for this mill is emitted.", None),
    ],
)
def test_sentences_in_a_comment(sentence: str, expected: str | None) -> None:
    text = f"#!/usr/bin/env python\n# {sentence}\nimport mill\n"
    assert detect_license(text) == (None if expected is None else LicenseMatch(expected, 1.0))


def test_a_tag_goes_before_a_sentence() -> None:
    text = "# Licensed under the Apache License, Version 2.0\n# SPDX-License-Identifier: MIT\n"
    assert detect_license(text) == LicenseMatch("MIT", 1.0)


def test_what_stands_far_below_is_not_looked_at() -> None:
    assert detect_license("code\n" * 4000 + "# SPDX-License-Identifier: MIT\n") is None


def test_a_whole_text_however_it_is_wrapped_and_commented() -> None:
    words = APACHE.split()
    rewrapped = "\n".join("# " + " ".join(words[at : at + 7]) for at in range(0, len(words), 7))
    for text in (
        APACHE,
        rewrapped,
        APACHE.upper(),
        "Copyright 2020 The Millers\n" + APACHE + "\nprint('flour')\n" * 50,
    ):
        match = detect_license(text)
        assert match is not None
        assert match.spdx_id == "Apache-2.0"
        assert match.score > 0.98


def test_a_changed_text_is_not_taken_for_the_licence() -> None:
    words = normalized_words(APACHE)
    rng = random.Random(7)
    slightly = [word if rng.random() > 0.01 else "changed" for word in words]
    badly = [word if rng.random() > 0.2 else "changed" for word in words]
    found = closest_license(slightly, 0.9)
    assert found is not None
    assert found.spdx_id == "Apache-2.0"
    assert closest_license(badly, 0.9) is None
    assert closest_license([], 0.9) is None


def test_licence_files_of_installed_packages_are_those_their_metadata_names() -> None:
    known = set(load_fingerprints())
    wrong = []
    right = 0
    for distribution in distributions():
        named = distribution.metadata.get("License-Expression")
        texts = [file for file in distribution.files or [] if ".dist-info/licenses/" in str(file)]
        if named not in known or len(texts) != 1:
            continue
        match = detect_license(Path(str(distribution.locate_file(texts[0]))).read_text("utf-8", "replace"))
        if match is not None and match.spdx_id == named:
            right += 1
        else:
            wrong.append((distribution.metadata["Name"], named, match))
    assert right >= 5, "too few packages with a licence expression are installed to tell"
    assert len(wrong) <= 0.05 * right, wrong


def test_fingerprints_hold_no_words_and_cover_the_common_licences() -> None:
    fingerprints = load_fingerprints()
    common = {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "Zlib", "BSL-1.0", "Unlicense"}
    copyleft = {"GPL-2.0-only", "GPL-3.0-only", "LGPL-2.1-only", "LGPL-3.0-only", "MPL-2.0", "EPL-2.0"}
    assert common | copyleft | {"CC0-1.0", "PSF-2.0"} <= set(fingerprints)
    assert all(isinstance(pair, int) and 0 <= pair < 2**32 for pairs in fingerprints.values() for pair in pairs)


def house_rules(owner: str) -> str:
    words = " ".join(f"clause{number} binds" for number in range(100))
    return f"Copyright 2020 {owner}\nThe rules of {owner} say: {words}\n"


def test_fingerprints_are_what_samples_share(tmp_path: Path) -> None:
    data = tmp_path / "fingerprints.npz"
    for owner in ("Anna", "Bert"):
        (tmp_path / owner).write_text(house_rules(owner), encoding="utf-8")
    license_fingerprints.main([f"House-1.0={tmp_path / 'Anna'},{tmp_path / 'Bert'}"], data)
    license_fingerprints.main([f"House-2.0={tmp_path / 'Anna'}"], data)
    stored = license_fingerprints.read_fingerprints(data)
    other = set(word_pair_hashes(normalized_words(house_rules("Carl"))))
    assert set(stored) == {"House-1.0", "House-2.0"}
    assert stored["House-1.0"] <= other
    assert not stored["House-2.0"] <= other


def test_samples_of_different_licences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(house_rules("Anna"), encoding="utf-8")
    (tmp_path / "b").write_text("Something else.", encoding="utf-8")
    with pytest.raises(ValueError, match=r"House-1\.0: its samples share only 0"):
        license_fingerprints.main([f"House-1.0={tmp_path / 'a'},{tmp_path / 'b'}"], tmp_path / "data.npz")
    with pytest.raises(ValueError, match="SPDX-ID=FILE"):
        license_fingerprints.main(["House-1.0"], tmp_path / "data.npz")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_column_of_texts(kind: pa.DataType) -> None:
    texts = pa.array(["", "SPDX-License-Identifier: MIT", None, "no hint at all", APACHE, "ein Mühlstein"], kind)
    expected = pa.array(["MIT", None, None, "Apache-2.0", None], pa.string())
    assert detect_licenses(texts.slice(1)) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["", "SPDX-License-Identifier: ", "License: ", "warranty license gnu "]))
def test_any_text_gives_an_identifier_or_none(text: str, lead: str) -> None:
    match = detect_license(lead + text)
    assert match is None or (match.spdx_id.strip() == match.spdx_id != "" and 0.9 <= match.score <= 1.0)
    assert detect_licenses(pa.array([lead + text])).to_pylist() == [None if match is None else match.spdx_id]
