"""Requests on the REST port: what is understood, and that nothing else ever is."""

import pytest
from app1 import request
from hypothesis import given
from hypothesis import strategies as st

SHA = "0123456789abcdef" * 4
PLAIN = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?,="), min_size=1)


def test_a_path_without_arguments_is_lower_cased():
    got = request.parse(b"GET /Get_Stats HTTP/1.1")
    assert (got.path, got.args) == ("/get_stats", {})


def test_arguments_are_separated_by_commas_and_keep_their_values_case():
    got = request.parse(b"GET /set_config?CT1_IGAIN=42720,CT1_NAME=Oven HTTP/1.1")
    assert got.args == {"ct1_igain": "42720", "ct1_name": "Oven"}


def test_a_value_may_hold_an_equals_sign_and_a_question_mark():
    assert request.parse(b"GET /a?k=a=b?c HTTP/1.0").args == {"k": "a=b?c"}


@given(st.dictionaries(PLAIN.map(str.lower), PLAIN, min_size=1, max_size=5))
def test_what_a_tool_sends_is_what_arrives(args):
    query = ",".join(f"{key}={value}" for key, value in args.items())
    assert request.parse(f"GET /x?{query} HTTP/1.1".encode()).args == args


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_parse_or_raise_a_request_error(line):
    try:
        got = request.parse(line)
    except request.RequestError:
        return
    assert isinstance(got, request.Get | request.Upload)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"POST / HTTP/1.1",
        b"GET",
        b"GET stats HTTP/1.1",
        b"GET /a?novalue HTTP/1.1",
        b"GET /a?=1 HTTP/1.1",
    ],
)
def test_what_is_no_request_is_refused(line):
    with pytest.raises(request.RequestError):
        request.parse(line)


def test_an_upload_names_its_target_once_even_at_the_root():
    got = request.parse(f"FILE factory.cfg / 12 {SHA.upper()} HTTP/1.1".encode())
    assert (got.path, got.length, got.sha256) == ("/factory.cfg", 12, SHA)


@pytest.mark.parametrize(
    "line",
    [
        f"FILE a / 12 {SHA}",
        f"FILE a / -1 {SHA} HTTP/1.1",
        f"FILE a / 12x {SHA} HTTP/1.1",
        f"FILE a / 9999999 {SHA} HTTP/1.1",
        f"FILE a / 12 {SHA[1:]} HTTP/1.1",
        f"FILE a / 12 {SHA[1:]}g HTTP/1.1",
        f"FILE a/b / 12 {SHA} HTTP/1.1",
        f"FILE .. / 12 {SHA} HTTP/1.1",
        f"FILE a /app1/../x 12 {SHA} HTTP/1.1",
        f"FILE  / 12 {SHA} HTTP/1.1",
    ],
)
def test_a_malformed_upload_is_refused(line):
    with pytest.raises(request.RequestError):
        request.parse(line.encode())


@given(st.text(max_size=200))
def test_a_clean_path_is_absolute_and_never_climbs(path):
    try:
        clean = request.clean_path(path)
    except request.RequestError:
        return
    assert clean.startswith("/")
    assert not {"", ".", ".."} & set(clean[1:].split("/"))
    assert request.clean_path(clean) == clean


@given(st.text(max_size=50))
def test_unquote_undoes_percent_encoding(text):
    encoded = "".join(f"%{byte:02X}" for byte in text.encode())
    assert request.unquote(encoded) == text


@pytest.mark.parametrize("text", ["%", "%4", "100%", "%zz", "a%2", "%%41"])
def test_a_percent_sign_that_starts_no_code_stays(text):
    assert request.unquote(text) == text.replace("%41", "A")


def test_a_value_that_decodes_to_no_text_is_refused():
    with pytest.raises(request.RequestError):
        request.unquote("%ff")
