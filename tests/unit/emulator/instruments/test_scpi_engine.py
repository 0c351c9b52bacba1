"""The SCPI engine: headers, path memory, parameters, errors, status, transport."""

import asyncio
import string

import pytest
from fake_bench import FakeClock, ask, served
from hypothesis import given
from hypothesis import strategies as st

from mfg.emulator.instruments.scpi import ERROR_QUEUE_DEPTH, ScpiInstrument
from mfg.emulator.instruments.server import CLIENT_LIMIT, LINE_LIMIT_BYTES
from mfg.emulator.instruments.syntax import Call, HeaderSpec, ScpiError, parse_number, split_outside_quotes

ESR_CME, ESR_EXE, ESR_DDE, ESR_QYE = 32, 16, 8, 4


class Source(ScpiInstrument):
    """A small instrument with one command of each kind."""

    identity = "ACME,SRC,0001,1.0"

    def __init__(self):
        super().__init__(FakeClock())
        self.voltage_v = 0.0
        self.output = {}
        self.label = ""
        self.add("[:SOURce]:VOLTage[:LEVel]", self._set_voltage, lambda call: f"{self.voltage_v:g}")
        self.add(":OUTPut<n>[:STATe]", self._set_output, self._output)
        self.add(":DISPlay:TEXT", self._set_label, lambda call: f'"{self.label}"')
        self.add(":DISPlay:STYLe", lambda call: setattr(self, "label", call.choice({"PLAin": "plain"})))
        self.add(":SLOW", query=self._slow)

    def _set_voltage(self, call):
        self.voltage_v = call.number(0, 300, "V", 12.0)

    def _set_output(self, call):
        self.output[call.suffix(1, 3)] = call.boolean()

    def _output(self, call):
        return str(int(self.output.get(call.suffix(1, 3), False)))

    def _set_label(self, call):
        self.label = call.string()

    async def _slow(self, call):
        await asyncio.sleep(0.2)
        return "slow"


@pytest.fixture
def source():
    return Source()


def error(instrument):
    return ask(instrument, "SYST:ERR?")


@pytest.mark.parametrize(
    "header",
    ["VOLT", "VOLTAGE", "volt", ":VOLT", ":SOUR:VOLT", "SOURCE:VOLTAGE:LEVEL", "Sour:Volt:Lev", ":VOLT:LEV"],
)
def test_exact_short_and_long_forms_with_optional_nodes_are_accepted(source, header):
    assert ask(source, f"{header} 5;:SOUR:VOLT?") == "5"
    assert error(source) == '+0,"No error"'


@pytest.mark.parametrize("header", ["VOLTA", "VOL", "VOLTAGES", "SOURC:VOLT", "LEV", "VOLT:VOLT", "SOUR"])
def test_any_other_abbreviation_is_an_undefined_header(source, header):
    ask(source, f"{header} 5")
    assert error(source).startswith('-113,"Undefined header')
    assert source.voltage_v == 0


def test_numeric_suffixes_default_to_one_and_are_range_checked(source):
    assert ask(source, "OUTP ON;:OUTP1?;:OUTPUT2:STATE?") == "1;0"
    ask(source, "OUTP4 ON")
    assert error(source).startswith('-114,"Header suffix out of range')
    ask(source, "VOLT2 5")
    assert error(source).startswith('-114,"Header suffix out of range')


def test_a_unit_without_colon_continues_the_path_and_common_commands_keep_it(source):
    assert ask(source, ":SOUR:VOLT:LEV 7;*OPC;LEV?") == "7"
    assert ask(source, ':DISP:TEXT "a;b";TEXT?') == '"a;b"'
    ask(source, ":DISP:TEXT 'x';VOLT 3")
    assert error(source).startswith('-113,"Undefined header')
    assert ask(source, ":DISP:TEXT 'x';:VOLT 3;:VOLT?") == "3"


def test_responses_of_one_message_are_joined_by_semicolons(source):
    assert ask(source, "*IDN?;:VOLT?;*OPC?") == "ACME,SRC,0001,1.0;0;1"


def test_a_message_goes_on_after_a_refused_unit(source):
    assert ask(source, "BOGUS;:VOLT 4;:VOLT?") == "4"
    assert error(source).startswith("-113")


@pytest.mark.parametrize(
    ("message", "code", "bit"),
    [
        ("VOLT", -109, ESR_CME),
        ("VOLT 1,2", -108, ESR_CME),
        ("VOLT ONE", -104, ESR_CME),
        ("VOLT 5A", -131, ESR_CME),
        ("VOLT 301", -222, ESR_EXE),
        ("OUTP MAYBE", -224, ESR_EXE),
        ("OUTP 1V", -138, ESR_CME),
        ("DISP:TEXT 5", -104, ESR_CME),
        ('DISP:TEXT "open', -151, ESR_CME),
        ("DISP:STYL FANCY", -224, ESR_EXE),
        ("VOLT 1,", -102, ESR_CME),
        ("1VOLT 2", -102, ESR_CME),
        ("VOLT?X", -102, ESR_CME),
        ("ABCDEFGHIJKLM 1", -112, ESR_CME),
        ("*NIX", -113, ESR_CME),
        ("*IDN", -113, ESR_CME),
        ("VOLT:LEV:MORE 1", -113, ESR_CME),
    ],
)
def test_each_kind_of_mistake_has_its_code_and_its_event_bit(source, message, code, bit):
    ask(source, "*CLS")
    ask(source, message)
    assert error(source).startswith(f"{code},")
    assert ask(source, "*ESR?") == str(bit)
    assert source.voltage_v == 0


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("300V", "V", 300.0),
        ("10MA", "A", 0.01),
        ("10 mA", "A", 0.01),
        ("1MAA", "A", 1e6),
        ("2MHZ", "HZ", 2e6),
        ("1MAHZ", "HZ", 1e6),
        ("250MS", "S", 0.25),
        ("1.5E2", "", 150.0),
        (".5kV", "V", 500.0),
        ("+3.", "", 3.0),
        ("5E-3", "A", 0.005),
        ("#H1F", "", 31.0),
        ("#B101", "", 5.0),
        ("#q17", "", 15.0),
    ],
)
def test_numbers_carry_units_multipliers_and_bases(text, unit, value):
    assert parse_number(text, unit) == pytest.approx(value)


@pytest.mark.parametrize("word", ["MIN", "MINimum", "max", "MAXIMUM", "DEF"])
def test_min_max_def_stand_for_numbers(source, word):
    ask(source, f"VOLT {word}")
    assert source.voltage_v == {"MI": 0, "MA": 300, "DE": 12}[word[:2].upper()]


@pytest.mark.parametrize(
    ("text", "on"), [("ON", True), ("off", False), ("1", True), ("0", False), ("0.4", False), ("2", True)]
)
def test_booleans_are_words_or_rounded_numbers(source, text, on):
    ask(source, f"OUTP3 {text}")
    assert source.output[3] is on


def test_strings_double_their_own_quote(source):
    ask(source, "DISP:TEXT 'it''s'")
    assert source.label == "it's"
    ask(source, 'DISP:TEXT "say ""hi"""')
    assert source.label == 'say "hi"'


def test_splitting_leaves_channel_lists_whole():
    assert split_outside_quotes("ON,(@1,2:3)", ",") == ["ON", "(@1,2:3)"]


def test_the_error_queue_is_first_in_first_out_and_marks_its_overflow(source):
    for _ in range(ERROR_QUEUE_DEPTH + 5):
        ask(source, "VOLT 301")
    assert ask(source, "SYST:ERR:COUN?") == str(ERROR_QUEUE_DEPTH)
    entries = [ask(source, "SYST:ERR:NEXT?") for _ in range(ERROR_QUEUE_DEPTH + 1)]
    assert all(entry.startswith("-222") for entry in entries[:-2])
    assert entries[-2:] == ['-350,"Queue overflow"', '+0,"No error"']


def test_power_on_sets_its_bit_once(source):
    assert ask(source, "*ESR?;*ESR?") == "128;0"


def test_reset_keeps_errors_and_enables_and_clear_keeps_enables(source):
    ask(source, "*ESE 60;*SRE 255;VOLT 301;*RST")
    assert ask(source, "*ESE?;*SRE?;:SYST:ERR:COUN?") == "60;191;1"
    ask(source, "*CLS")
    assert ask(source, "*ESE?;*SRE?;:SYST:ERR:COUN?;*ESR?") == "60;191;0;0"


def test_the_status_byte_sums_up_errors_events_and_messages(source):
    ask(source, "*CLS;*ESE 16;*SRE 32")
    assert ask(source, "*STB?") == "0"
    ask(source, "VOLT 301")
    assert ask(source, "*STB?") == str(4 + 32 + 64)
    assert ask(source, "*IDN?;*STB?").endswith(f";{4 + 16 + 32 + 64}")


def test_operation_complete_sets_its_bit_and_answers(source):
    ask(source, "*CLS;*OPC;*WAI")
    assert ask(source, "*ESR?;*OPC?;*TST?;:SYST:VERS?") == "1;1;0;1999.0"


def test_transition_filters_turn_conditions_into_events(source):
    register = source.questionable
    ask(source, "STAT:QUES:NTR 2;PTR 1;ENAB 3")
    register.set_condition(3)
    assert ask(source, "STAT:QUES:COND?;EVEN?") == "3;1"
    register.set_condition(0)
    assert ask(source, "*STB?") == "8"
    assert ask(source, "STAT:QUES?;:STAT:QUES:EVEN?") == "2;0"
    ask(source, "STAT:PRES")
    assert ask(source, "STAT:QUES:ENAB?;PTR?;NTR?;:STAT:OPER:COND?") == "0;32767;0;0"


def test_a_definition_is_written_back_in_its_short_and_its_long_form():
    spec = HeaderSpec.parse(":NUMeric[:NORMal]:ITEM<n>")
    assert spec.text(long=False, suffixes=(3,)) == ":NUM:NORM:ITEM3"
    assert spec.text(long=True, suffixes=(3,)) == ":NUMERIC:NORMAL:ITEM3"


def test_a_missing_parameter_is_noticed_while_parameters_are_taken():
    with pytest.raises(ScpiError, match="-109"):
        Call((), ()).boolean()


@given(st.text(alphabet=string.printable, max_size=80))
def test_no_text_breaks_the_engine(text):
    instrument = Source()
    ask(instrument, text)
    assert ask(instrument, "*IDN?") == instrument.identity


def test_line_feed_and_carriage_return_line_feed_end_a_message(source):
    async def talk():
        async with served(source) as (client,):
            client.write("VOLT 5\r\nVOLT?\r\n")
            assert await client.read() == "5\n"
            client.write("VOL")
            client.write("T 6\n\n\nVOLT?\n")
            assert await client.read() == "6\n"

    asyncio.run(talk())


def test_several_clients_share_the_instrument_but_not_its_answers(source):
    async def talk():
        async with served(source, clients=3) as (first, second, third):
            first.write("SLOW?\n")
            assert await second.query("VOLT 8;:VOLT?") == "8\n"
            assert await third.query("VOLT?") == "8\n"
            assert await first.read() == "slow\n"

    asyncio.run(talk())


def test_messages_that_arrive_together_are_answered_in_order(source):
    async def talk():
        async with served(source) as (client,):
            client.write("SLOW?\nVOLT?\n*OPC?\n")
            assert [await client.read() for _ in range(3)] == ["slow\n", "0\n", "1\n"]

    asyncio.run(talk())


def test_a_line_beyond_the_limit_is_lost_whole_and_reported(source):
    async def talk():
        async with served(source) as (client,):
            client.write("VOLT " + "1" * (3 * LINE_LIMIT_BYTES) + "\n")
            assert (await client.query("SYST:ERR?")).startswith('-363,"Input buffer overrun')
            assert await client.query("*ESR?") == f"{128 + ESR_DDE}\n"

    asyncio.run(talk())


def test_bytes_outside_ascii_are_refused(source):
    async def talk():
        async with served(source) as (client,):
            client.write("VOLT 5\xb5\n")
            assert (await client.query("SYST:ERR?")).startswith("-101")

    asyncio.run(talk())


def test_an_interruptible_instrument_discards_the_answer_that_was_not_waited_for(source):
    source.interruptible = True

    async def talk():
        async with served(source) as (client,):
            client.write("SLOW?\n")
            await asyncio.sleep(0.05)
            assert await client.query("VOLT?") == "0\n"
            assert (await client.query("SYST:ERR?")).startswith('-410,"Query INTERRUPTED"')
            assert await client.query("*ESR?") == f"{128 + ESR_QYE}\n"

    asyncio.run(talk())


def test_clients_beyond_the_limit_are_turned_away(source):
    async def talk():
        async with served(source, clients=CLIENT_LIMIT) as clients:
            assert await clients[-1].query("VOLT?") == "0\n"
            async with served(source) as _:
                pass
            port = clients[0].writer.get_extra_info("peername")[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

    asyncio.run(talk())
