"""What one reply costs here and in python-OBD, on the same machine in the same minute.

Both sides start from the text that the adapter sent and end with a value. They take turns, so that whatever else
the machine does slows both; the medians are compared.

    .ci/peers                                       # installs python-OBD below target/peers
    cargo build --release -p cloverleaf-core --example replies
    target/peers/obd-0.7.3/bin/python core/benches/against_python_obd.py
"""

import json
import pathlib
import re
import shutil
import statistics
import subprocess
import time

import obd
from obd.protocols import ISO_15765_4_11bit_500k

REPLIES = {
    "RPM": "7E8 04 41 0C 17 70 \r\r>",
    "VIN": "7E8 10 14 49 02 01 57 50 30 \r7E8 21 5A 5A 5A 39 39 5A 54 \r7E8 22 53 33 39 32 31 32 34 \r\r>",
    "GET_DTC": "7E8 06 43 02 01 04 01 33 \r7E9 04 43 01 C1 00 \r\r>",
}
ROUNDS = 15
OURS = 500_000
THEIRS = 5_000
EXAMPLE = pathlib.Path(__file__).parents[2] / "target/release/examples/replies"
PROTOCOL = ISO_15765_4_11bit_500k(["7E8 06 41 00 BE 3F A8 13"])


def lines(text):
    """The clean-up that python-OBD does to what it read from the port."""
    data = re.sub(b"\x00", b"", text).rstrip(b">")
    return [line.strip() for line in re.split("[\r\n]", data.decode("utf-8", "ignore")) if line]


def theirs(name):
    command, text = obd.commands[name], bytearray(REPLIES[name], "ascii")
    start = time.perf_counter()
    for _ in range(THEIRS):
        value = command(PROTOCOL(lines(text))).value
    assert value is not None
    return (time.perf_counter() - start) / THEIRS * 1e9


def ours(name):
    command = [EXAMPLE, name, REPLIES[name].replace("\r", "/"), str(OURS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["ns"]


def instructions(name):
    """Instructions per reply: the difference of two runs under callgrind, start-up cancelled."""
    if not shutil.which("valgrind"):
        return None
    counts = []
    for replies in (1_000, 11_000):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", EXAMPLE, name]
        command += [REPLIES[name].replace("\r", "/"), str(replies)]
        report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        counts.append(int(re.search(r"refs:\s+([\d,]+)", report)[1].replace(",", "")))
    return (counts[1] - counts[0]) // 10_000


print(f"{'reply':<8} {'cloverleaf':>14} {'python-OBD':>14} {'ratio':>7} {'instructions':>13}")
for name in REPLIES:
    rounds = [(ours(name), theirs(name)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*rounds))
    ratio = statistics.median(b / a for a, b in rounds)
    print(f"{name:<8} {1e9 / mine:>12,.0f}/s {1e9 / other:>12,.0f}/s {ratio:>6.0f}x {instructions(name) or '-':>13}")
