"""Users and monitors with python-socketio: session.py URL NAMESPACE TRANSPORTS(JSON) BURST

Prints one JSON array per thing heard: [who, event, payload]. This client hands every packet to a thread of its own,
so the order of its handlers says nothing of the order on the wire: what may come together is printed in the order
asked for. session.mjs checks the order.
"""
import json
import queue
import sys

import socketio

url, namespace, transports, burst = *sys.argv[1:3], json.loads(sys.argv[3]), int(sys.argv[4])
A = "0123456789abcdef0123456789abcdef"


class Peer:
    def __init__(self, who):
        self.who, self.heard = who, queue.Queue()
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", self.take, namespace=namespace)
        self.client.on("disconnect", lambda *_: self.heard.put(("disconnect",)), namespace=namespace)
        self.client.connect(url, transports=transports, namespaces=[namespace])

    def take(self, event, *args):
        # The relay asks so whether a monitor lives; the client acknowledges by itself.
        if event != "relay probe":
            self.heard.put((event, *args))

    def hear(self, *events):
        together = {}
        for _ in events:
            heard = self.heard.get(timeout=30)
            together[heard[0]] = heard
        assert together.keys() == set(events), (self.who, events, together)
        for event in events:
            heard = together[event]
            print(json.dumps([self.who, *heard], ensure_ascii=False), flush=True)

    def say(self, event, data=None, callback=None):
        self.client.emit(event, data, namespace=namespace, callback=callback)

    def ask(self, event, data, *answers):
        self.say(event, data)
        self.hear(*answers)


monitor, user = Peer("monitor"), Peer("user")
monitor.ask("con", {"monitor_id": A}, "con ok")
user.ask("query", {"monitor_id": A}, "query ok")
for text, report in [("lights on", ["command done"]), ("ünï \u2028 \"\\ 🚗", ["command done", {}]), ("door open", ["command error", {"reason": "jam"}])]:
    user.say("command send", {"command": text})
    monitor.hear("command do")
    user.hear("command ok")
    monitor.say(*report)
    user.hear("command finish" if report[0] == "command done" else "command failed")

answer = queue.Queue()
user.say("command send", {"command": "ack"}, callback=lambda *args: answer.put(list(args)))
monitor.hear("command do")
user.hear("command ok")
print(json.dumps(["user", "ack", answer.get(timeout=30)]))
monitor.say("command done")
user.hear("command finish")

second = Peer("second")
second.ask("con", {"monitor_id": A}, "con failed", "disconnect")
for data in [None, {}, {"monitor_id": "short"}, {"monitor_id": None}, 7, [A]]:
    Peer("stranger").ask("query", data, "query failed", "disconnect")

for number in range(burst):
    user.say("command send", {"command": str(number)})
missing = {str(number) for number in range(burst)}
for _ in range(burst):
    event, data = monitor.heard.get(timeout=30)
    assert event == "command do", event
    missing.remove(data["command"])
    monitor.say("command done", {})
told = [user.heard.get(timeout=30)[0] for _ in range(2 * burst)]
accepted, finished = told.count("command ok"), told.count("command finish")
print(json.dumps(["burst", [burst, accepted, finished], len(missing)]))

for text in "123":
    user.say("command send", {"command": text})
for _ in range(3):
    assert monitor.heard.get(timeout=30)[0] == "command do"
monitor.client.disconnect()
failures = []
while len(failures) < 3:
    event, data = user.heard.get(timeout=30)
    if event == "command failed":
        failures.append(data["reason"])
print(json.dumps(["user", "command failed", failures]))
user.client.disconnect()
