#!/usr/bin/env python3
"""Values per second from the simulated car, beside what the link can carry and what python-OBD gets of it.

    host/benches/obd_rate.py target/release/cloverleaf [target/peers/obd-0.7.3/bin/python]

For 1, 5, 10 and 20 values at three serial rates and three link delays (there and back). The bound is that of the
best technique that an ELM327 has (six PIDs a request, response count, neither headers nor blanks, a lone carriage return for
an unchanged request): the bytes of request and reply at ten bits each, 5 ms of thinking, 0.25 ms a CAN frame, the
delay. `host/tests/it/obd_rate.rs` measures the same in virtual time, where the machine costs nothing.
"""

import json
import math
import subprocess
import sys
import time

LENGTHS = {
    "RPM": 2, "SPEED": 1, "ENGINE_LOAD": 1, "THROTTLE_POS": 1, "MAF": 2, "COOLANT_TEMP": 1, "INTAKE_PRESSURE": 1,
    "TIMING_ADVANCE": 1, "INTAKE_TEMP": 1, "SHORT_FUEL_TRIM_1": 1, "LONG_FUEL_TRIM_1": 1, "RUN_TIME": 2,
    "FUEL_LEVEL": 1, "BAROMETRIC_PRESSURE": 1, "CONTROL_MODULE_VOLTAGE": 2, "ABSOLUTE_LOAD": 2,
    "RELATIVE_THROTTLE_POS": 1, "AMBIANT_AIR_TEMP": 1, "ACCELERATOR_POS_D": 1, "OIL_TEMP": 1,
}
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


def bound(names, baud, delay):
    """Values per second, in groups of six."""
    group = min(len(names), 6)
    request = 1 if len(names) <= 6 else 2 + 2 * group + 1 + 1  # CR; or service, PIDs, count, CR
    data = 1 + group + sum(LENGTHS[name] for name in names) * group / len(names)
    frames = 1 if data <= 7 else 1 + math.ceil((data - 6) / 7)
    around = 1 if frames == 1 else 4 + 3 * frames  # CR; or the length and its CR, number, colon and CR of each line
    reply = around + 2 * data + 2  # CR and prompt
    flow = 0.00025 if frames > 1 else 0
    # Lines leave while later frames arrive, so either the port or the bus is what takes time.
    return group / ((request + reply) * 10 / baud + 0.00025 + 0.005 + 0.00025 + flow + delay)


def measure(cloverleaf, python, names, baud, delay):
    simulator = subprocess.Popen(
        [cloverleaf, "simulator", "--listen", "127.0.0.1:0", "--baud", str(baud), "--delay", f"{delay // 2}ms",
         "--warm", "300"],
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
    print("baud    delay  values |  bound/s  cloverleaf/s  share | python-OBD/s  ratio")
    for baud in (38_400, 115_200, 500_000):
        for delay in (0, 2, 20):
            for count in (1, 5, 10, 20):
                names = list(LENGTHS)[:count]
                best = bound(names, baud, delay / 1000)
                rate, theirs = measure(cloverleaf, python, names, baud, delay)
                beside = f"{theirs:12.1f} {rate / theirs:6.1f}" if theirs else ""
                print(f"{baud:6} {delay:3} ms {count:7} | {best:8.1f} {rate:13.1f} {rate / best:6.0%} | {beside}",
                      flush=True)


if __name__ == "__main__":
    main()
