"""An unmodified python-socketio client: from connect to a stream of RPM. TRANSPORT is websocket or polling."""

import queue
import sys

import socketio

url, namespace, transport = sys.argv[1:]
client = socketio.Client()
events = queue.Queue()
for name in ("status", "supports", "has_name", "query", "watching", "supported_commands", "port_name"):
    client.on(name, lambda value, name=name: events.put((name, value)), namespace=namespace)


def ask(event, *argument):
    client.emit(event, *argument, namespace=namespace)
    while True:
        name, value = events.get(timeout=30)
        if name == event:
            return value


client.connect(url, transports=[transport], namespaces=[namespace])
assert client.transport() == transport, client.transport()
while ask("supports", "RPM") is not True:
    pass
assert ask("status") == "Car Connected"
assert ask("has_name", "BOGUS") is False
assert ask("query", "BOGUS") is None
assert any(command["name"] == "RPM" for command in ask("supported_commands"))
vin = bytes(ask("query", "VIN")["value"]).decode()
print("vin", vin)
client.emit("watch", ["RPM", "SPEED"], namespace=namespace)
client.emit("start", namespace=namespace)
seen = []
while len(seen) < 5:
    name, value = events.get(timeout=30)
    if name == "watching" and value["command"]["name"] == "RPM" and value["value"] not in seen:
        assert value["unit"] == "revolutions_per_minute", value
        assert isinstance(value["value"], float), value
        seen.append(value["value"])
# The way of the original's README: watch, then query.
assert ask("query", "RPM")["command"]["command"] == "010C"
client.emit("unwatch_all", namespace=namespace)
print("rpm", *seen)
client.disconnect()
