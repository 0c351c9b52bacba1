"""The search that tests judge secrets by finds them in whatever form they lie."""

import base64
import html
import json
import urllib.parse

import pytest
from secret_search import files_with, forms_in

SECRET = 'bench "only" p\\ss/phrase+5% <&>'
QUOTED = json.dumps({"PASSWD": SECRET})


@pytest.mark.parametrize(
    "data",
    [
        SECRET.encode(),
        QUOTED.encode(),
        json.dumps({"line": QUOTED}).encode(),
        f"<td>{html.escape(SECRET)}</td>".encode(),
        f"/wifi?password={urllib.parse.quote(SECRET, safe='')}&x=1".encode(),
        urllib.parse.urlencode({"password": SECRET}).encode(),
        f"console: {SECRET.encode()!r}".encode(),
        f"x{SECRET}y".encode().hex().encode(),
        *(base64.b64encode(b"abcd"[:offset] + SECRET.encode() + b"tail") for offset in range(4)),
        *(base64.urlsafe_b64encode(b"abcd"[:offset] + SECRET.encode() + b"tail") for offset in range(4)),
    ],
)
def test_a_secret_is_found_in_each_form(data):
    assert forms_in(data, SECRET)


def test_a_masked_secret_and_a_cut_one_are_not_taken_for_it(tmp_path):
    (tmp_path / "clean.txt").write_text(f"**** {SECRET[:-1]}")
    (tmp_path / "held.txt").write_text(QUOTED)
    assert files_with(tmp_path, SECRET) == {"held.txt": ["JSON"]}
