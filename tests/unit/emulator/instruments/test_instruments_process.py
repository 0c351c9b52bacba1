"""The instruments' process: ports, control link, faults from the configuration, clean end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from fake_bench import Client

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.instruments.process import InstrumentRack
from mfg.errors import UsageError


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def bench_config(folder, **instruments):
    meter, switch, thermometer = free_ports(3)
    return BenchConfig(
        folder=str(folder),
        clock=str(BenchClock(factor=10.0)),
        instruments=InstrumentsConfig(
            meter_port=meter,
            switch_port=switch,
            thermometer_port=thermometer,
            meter_gain_error_pct=0.0,
            meter_noise_pct=0.0,
            **instruments,
        ),
    )


async def connect(port):
    return Client(*await asyncio.open_connection("127.0.0.1", port))


@asynccontextmanager
async def running(config):
    stop = asyncio.Event()
    rack = InstrumentRack(config)
    serving = asyncio.create_task(rack.serve(stop))
    await asyncio.sleep(0.05)
    try:
        yield rack
    finally:
        stop.set()
        await serving


def test_the_meter_sees_the_load_that_the_switch_turns_on(tmp_path):
    async def talk():
        config = bench_config(tmp_path)
        async with running(config):
            meter = await connect(config.instruments.meter_port)
            switch = await connect(config.instruments.switch_port)
            thermometer = await connect(config.instruments.thermometer_port)
            meter.write(":COMM:HEAD OFF;:INP:VOLT:RANG 300V;:INP:CURR:RANG 10A;:STAT:FILT1 FALL\n")
            read = ":STAT:EESR?;:COMM:WAIT 1;:NUM:NORM:VAL? 2"
            assert (await meter.query(read)).split(";")[1] == "0.000E+00\r\n"
            assert await switch.query("OUTP2 ON;*OPC?") == "1\n"
            await meter.query(read)
            current_a = float((await meter.query(read)).split(";")[1])
            assert current_a == pytest.approx(9.0, rel=0.02)
            assert float(await switch.query("MEAS2:CURR?")) == pytest.approx(current_a, rel=0.01)
            assert float(await thermometer.query("MEAS:TEMP?")) == pytest.approx(22.0, abs=1.0)

    asyncio.run(talk())


def test_faults_hold_from_the_start_and_are_switched_by_the_control_link(tmp_path):
    async def talk():
        config = bench_config(tmp_path, faults=("meter_wrong_identity",))
        async with running(config) as rack:
            meter = await connect(config.instruments.meter_port)
            assert "GPM-8213" in await meter.query("*IDN?")
            off = {"op": "fault", "name": "meter_wrong_identity", "on": False}
            assert await rack.control(off) == {"faults": []}
            assert "GPM-8310" in await meter.query("*IDN?")
            state = await rack.control({"op": "state"})
            assert set(state) == {"meter", "switch", "thermometer", "faults"}
            with pytest.raises(UsageError, match="no_such_fault"):
                await rack.control({"op": "fault", "name": "no_such_fault", "on": True})
            with pytest.raises(UsageError, match="bogus"):
                await rack.control({"op": "bogus"})

    asyncio.run(talk())


def test_a_taken_port_ends_the_process_with_an_error(tmp_path):
    config = bench_config(tmp_path)
    with socket.create_server(("127.0.0.1", config.instruments.switch_port)):

        async def serve():
            await InstrumentRack(config).serve(asyncio.Event())

        with pytest.raises(OSError, match="address already in use"):
            asyncio.run(serve())


def test_sigterm_ends_the_process_cleanly_while_clients_are_connected(tmp_path):
    (control,) = free_ports(1)
    config = bench_config(tmp_path, control_port=control)
    path = tmp_path / "bench-config.json"
    config.write(path)
    code = (
        "import sys; from pathlib import Path; from mfg.emulator.config import BenchConfig; "
        "from mfg.emulator.instruments import run_instruments; "
        "run_instruments(BenchConfig.read(Path(sys.argv[1])))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.PIPE, text=True)
    try:
        link = connect_when_ready(config.instruments.meter_port)
        with link:
            link.sendall(b"*IDN?\n")
            assert link.recv(100) == b"GWInstek,GPM-8310,GEU000123,V1.05\r\n"
            link.sendall(b":COMM:WAIT 2\n")
            os.kill(process.pid, signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
        assert process.returncode == 0
        assert errors == ""
    finally:
        process.kill()
        process.wait()


def connect_when_ready(port):
    deadline_s = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
