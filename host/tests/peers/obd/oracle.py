"""python-OBD as an oracle: its table of commands, then what it makes of replies.

Reads lines of JSON from the file named first: {"name": …, "lines": [...]}. Prints one JSON array of its commands,
then one JSON object per line read: {"value": …} with one of the shapes below, or {"error": …}.
"""

import json
import logging
import sys

import obd
from obd.OBDResponse import Monitor, Status
from obd.protocols import ISO_15765_4_11bit_500k
from obd.utils import BitArray

logging.disable(logging.CRITICAL)
PROTOCOL = ISO_15765_4_11bit_500k(["7E8 06 41 00 BE 3F A8 13"])


def quantity(value):
    """A pint quantity, or what stands for one in a monitor's test."""
    if hasattr(value, "magnitude"):
        return {"number": value.magnitude, "unit": str(value.units)}
    return value


def shape(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, BitArray):
        return {"bits": [bool(bit) for bit in value]}
    if isinstance(value, bytearray):
        return {"bytes": list(value)}
    if isinstance(value, Status):
        tests = {
            name: [test.available, test.complete]
            for name, test in vars(value).items()
            if name and hasattr(test, "available")
        }
        return {"mil": value.MIL, "count": value.DTC_count, "ignition": value.ignition_type, "tests": tests}
    if isinstance(value, Monitor):
        return {
            "tests": [
                [test.tid, quantity(test.value), quantity(test.min), quantity(test.max), test.passed]
                for test in value._tests.values()
                if not test.is_null()
            ]
        }
    if isinstance(value, (tuple, list)):
        return {"items": [shape(item) for item in value]}
    return quantity(value)


commands = [command for mode in obd.commands.modes for command in mode if command is not None]
commands += [obd.commands.ELM_VERSION, obd.commands.ELM_VOLTAGE]
table = [
    {
        "name": command.name,
        "desc": command.desc,
        "command": command.command.decode(),
        "bytes": command.bytes,
        "ecu": command.ecu,
        "fast": command.fast,
    }
    for command in commands
]
print(json.dumps(table))
with open(sys.argv[1], encoding="utf-8") as cases:
    for line in cases:
        case = json.loads(line)
        try:
            response = obd.commands[case["name"]](PROTOCOL(case["lines"]))
            print(json.dumps({"value": shape(response.value)}))
        except Exception as error:
            print(json.dumps({"error": type(error).__name__}))
