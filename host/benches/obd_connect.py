#!/usr/bin/env python3
"""How long it takes to reach a car, beside python-OBD on the same adapter in the same run.

    host/benches/obd_connect.py target/release/cloverleaf target/peers/obd-0.7.3/bin/python \\
        [target/peers/elm327-emulator-4.0.0/bin/elm]

Adapters: the simulated one (reset 500 ms, search 350 ms) and, if given, ELM327-emulator (reset 503 ms, search 1500 ms,
protocol number 500 ms). `beyond` is what is left once these delays of the adapter are taken away.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
PYTHON_OBD = """
import sys, time, obd
obd.logger.removeHandler(obd.console_handler)
begin = time.monotonic()
connection = obd.OBD(sys.argv[1], baudrate=38400)
assert connection.is_connected(), connection.status()
print(time.monotonic() - begin)
"""


def cloverleaf(program, port):
    begin = time.monotonic()
    subprocess.run([program, "obd", "query", "RPM", "--adapter", f"tcp://127.0.0.1:{port}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    return time.monotonic() - begin


def python_obd(python, port):
    done = subprocess.run([python, "-c", PYTHON_OBD, f"socket://127.0.0.1:{port}"],
                          check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    return float(done.stdout)


def measure(name, own, port, program, python):
    # By turns, so that both meet the same machine.
    ours, theirs = zip(*((cloverleaf(program, port), python_obd(python, port)) for _ in range(ROUNDS)))
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{name:16} | {own:5.2f} s | {ours:5.2f} s {ours - own:7.2f} s | {theirs:5.2f} s {theirs - own:7.2f} s")


def main():
    program, python, *emulator = sys.argv[1:]
    print("adapter          |     own | cloverleaf  beyond | python-OBD  beyond")
    simulator = subprocess.Popen([program, "simulator", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    try:
        port = simulator.stdout.readline().rsplit(":", 1)[1].strip()
        measure("simulator", 0.85, port, program, python)
    finally:
        simulator.kill()
        simulator.wait()
    if emulator:
        port = "35017"
        # It writes a log where it is.
        peer = subprocess.Popen([os.path.abspath(emulator[0]), "-s", "car", "-n", port, "-b", "/dev/stdout"],
                                cwd=tempfile.mkdtemp(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            for line in peer.stdout:
                if "End of batch commands." in line:
                    break
            measure("ELM327-emulator", 2.5, port, program, python)
        finally:
            peer.kill()
            peer.wait()


if __name__ == "__main__":
    main()
