#!/usr/bin/env python3
"""Values per second from the simulated car, beside what the link can carry and what python-OBD gets of it.

    host/benches/obd_rate.py target/release/cloverleaf [target/peers/obd-0.7.3/bin/python]

For 1, 5, 10 and 20 values at three serial rates and three link delays (there and back), with an ELM327 and with an STN.
The bounds are those of `obd_bounds.csv`, which `host/tests/it/obd_rate.rs` derives and explains; it measures the same in
virtual time, where the machine costs nothing.
"""

import csv
import json
import pathlib
import subprocess
import sys
import time

NAMES = [
    "RPM", "SPEED", "ENGINE_LOAD", "THROTTLE_POS", "MAF", "COOLANT_TEMP", "INTAKE_PRESSURE", "TIMING_ADVANCE", "INTAKE_TEMP",
    "SHORT_FUEL_TRIM_1", "LONG_FUEL_TRIM_1", "RUN_TIME", "FUEL_LEVEL", "BAROMETRIC_PRESSURE", "CONTROL_MODULE_VOLTAGE",
    "ABSOLUTE_LOAD", "RELATIVE_THROTTLE_POS", "AMBIANT_AIR_TEMP", "ACCELERATOR_POS_D", "OIL_TEMP",
]
BOUNDS = pathlib.Path(__file__).with_name("obd_bounds.csv")
SECONDS = 5

PYTHON_OBD = """
import sys, time, obd
obd.logger.removeHandler(obd.console_handler)
port, *names = sys.argv[1:]
count = 0
def counted(response):
    global count
    count += 1
connection = obd.Async(port, baudrate=38400)
for name in names:
    connection.watch(obd.commands[name], callback=counted)
connection.start()
time.sleep(2)
begin, count = time.monotonic(), 0
time.sleep(4)
print(count / (time.monotonic() - begin))
connection.stop()
"""


def measure(cloverleaf, python, adapter, names, baud, delay):
    """Values per second of ours and, with a Python that has it, of python-OBD."""
    simulator = subprocess.Popen(
        [cloverleaf, "simulator", "--listen", "127.0.0.1:0", "--baud", str(baud), "--delay", f"{delay // 2}ms",
         "--warm", "300", *(["--stn"] if adapter == "stn" else [])],
        stdout=subprocess.PIPE, text=True)
    try:
        port = simulator.stdout.readline().rsplit(":", 1)[1].strip()
        watch = subprocess.Popen(
            [cloverleaf, "obd", "watch", "--json", "--adapter", f"tcp://127.0.0.1:{port}", *names],
            stdout=subprocess.PIPE, text=True)
        first, count, last = None, 0, 0
        for line in watch.stdout:
            reading = json.loads(line)
            last = reading["time"]
            first = first or last
            # The first second learns lengths and groups.
            if last - first > 1000:
                count += "value" in reading
            if last - first > 1000 * (1 + SECONDS):
                break
        watch.kill()
        watch.wait()
        rate = count / ((last - first - 1000) / 1000)
        theirs = None
        if python:
            output = subprocess.run(
                [python, "-c", PYTHON_OBD, f"socket://127.0.0.1:{port}", *names],
                stdout=subprocess.PIPE, text=True, timeout=60).stdout
            theirs = float(output)
        return rate, theirs
    finally:
        simulator.kill()
        simulator.wait()


def main():
    cloverleaf, python = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    print("adapter   baud   delay  values |  bound/s  cloverleaf/s  share | python-OBD/s  ratio")
    with BOUNDS.open() as table:
        for row in csv.DictReader(table):
            adapter, baud, delay, count = row["adapter"], int(row["baud"]), int(row["delay_ms"]), int(row["values"])
            best = float(row["bound"])
            rate, theirs = measure(cloverleaf, python, adapter, NAMES[:count], baud, delay)
            beside = f"{theirs:12.1f} {rate / theirs:6.1f}" if theirs else ""
            print(f"{adapter:7} {baud:6} {delay:3} ms {count:7} | {best:8.1f} {rate:13.1f} {rate / best:6.0%} | {beside}",
                  flush=True)


if __name__ == "__main__":
    main()
