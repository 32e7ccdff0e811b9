"""python-OBD on the adapter at PORT: prints what it supports and the values of NAMES as one JSON object."""

import json
import sys
import time

import obd

obd.logger.removeHandler(obd.console_handler)

port, *names = sys.argv[1:]
begun = time.monotonic()
connection = obd.OBD(port, baudrate=38400, fast=True)
connected = time.monotonic() - begun
values = {}
for name in names:
    value = connection.query(obd.commands[name]).value
    values[name] = [value.magnitude, str(value.units)] if hasattr(value, "magnitude") else str(value)
print(json.dumps({
    "status": connection.status(),
    "protocol": connection.protocol_id(),
    "supported": sorted(command.name for command in connection.supported_commands),
    "values": values,
    "connect_seconds": connected,
}))
connection.close()
