"""The line between supervisor and runner never blocks a side, and its end is a message."""

import json
import os
import queue

import pytest

from mfg.runner.line import Line


class Pair:
    """Two ends on two pipes."""

    def __init__(self):
        there, back = os.pipe(), os.pipe()
        self.heard, self.answered = queue.Queue(), queue.Queue()
        self.near = Line(os.fdopen(back[0], "rb"), os.fdopen(there[1], "wb"), self.answered.put)
        self.far = Line(os.fdopen(there[0], "rb"), os.fdopen(back[1], "wb"), self.heard.put)


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.near.close()
    made.far.close()


def test_messages_arrive_in_order_both_ways(pair):
    for number in range(50):
        pair.near.send("progress", number=number)
    pair.far.send("answer", text="ja, é\n")
    assert [pair.heard.get(timeout=5)["number"] for _ in range(50)] == list(range(50))
    assert pair.answered.get(timeout=5) == {"kind": "answer", "text": "ja, é\n"}


def test_the_end_of_a_side_is_told_to_the_other(pair):
    pair.near.send("done")
    pair.near.close()
    assert [pair.heard.get(timeout=5)["kind"] for _ in range(2)] == ["done", "end"]
    pair.far.send("alive")  # nobody listens any more: nothing happens


def test_what_is_no_message_is_passed_over():
    read, write = os.pipe()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    heard = queue.Queue()
    line = Line(os.fdopen(read, "rb"), os.fdopen(nowhere, "wb"), heard.put)
    with os.fdopen(write, "wb") as writer:
        for data in (b"\xff\xfe\n", b"[1]\n", b'{"kind": 3}\n', b"{\n", b"\n"):
            writer.write(data)
        writer.write(json.dumps({"kind": "alive"}).encode() + b"\n")
    assert [heard.get(timeout=5)["kind"] for _ in range(2)] == ["alive", "end"]
    line.close()


def test_a_side_that_takes_nothing_blocks_nobody():
    read, write = os.pipe()  # nobody reads
    silent_read, silent_write = os.pipe()
    line = Line(os.fdopen(silent_read, "rb"), os.fdopen(write, "wb"), lambda _message: None)
    for _ in range(3000):
        line.send("progress", text="x" * 1000)
    os.close(read)
    os.close(silent_write)
    line.close()
