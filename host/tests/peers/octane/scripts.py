"""What users' scripts do: python scripts.py SERVER KEY WHAT TRANSPORTS, where WHAT is one of the functions below."""
import json
import sys
import threading
import urllib.request

import socketio

server, key, what, transports = sys.argv[1:5]
transports = None if transports == "default" else [transports]
namespace = "/octane"


def connect(sio, url=server):
    sio.connect(url, namespaces=[namespace], transports=transports)


def client(on_auth_ok=None):
    """A client that logs in from its connect handler and reports auth_fail and disconnect."""
    sio = socketio.Client(reconnection=False)
    sio.over = threading.Event()
    sio.on("connect", lambda: sio.emit("auth", {"x-api-key": key}, namespace=namespace), namespace=namespace)
    sio.on("auth_ok", on_auth_ok or (lambda data: None), namespace=namespace)
    sio.on("auth_fail", lambda data: print("auth_fail", data, flush=True), namespace=namespace)
    sio.on("disconnect", lambda *_: sio.over.set(), namespace=namespace)
    return sio


def member(channel):
    """A client that joined a channel within auth_ok, once the echo is there."""
    joined = threading.Event()
    sio = client(lambda data: sio.emit("join", {"channel": channel}, namespace=namespace))
    sio.on("join", lambda data: data["join"] == channel and joined.set(), namespace=namespace)
    connect(sio)
    assert joined.wait(20), "no echo of join"
    return sio


def trigger():
    """trigger-proxy: a callback without arguments has to be called, and a listener hears the same."""
    heard, called = threading.Event(), threading.Event()
    listener = member("ipc")
    listener.on("ipc_message", lambda data: (print("heard", data, flush=True), heard.set()), namespace=namespace)
    sender = member("ipc")
    message = {"type": "TRIGGER", "payload": {"id": 1, "triggerType": "software", "state": {"activated": True}}}
    sender.emit("ipc_message", message, namespace=namespace, callback=lambda: called.set())
    assert called.wait(20) and heard.wait(20)
    for sio in (listener, sender):
        sio.disconnect()


def robot():
    """MAPP: a command reaches the robot and not the one who commands; the robot's result comes back."""
    done, called = threading.Event(), threading.Event()
    machine, commander = member("robot"), member("robot")

    def obey(data):
        print("robot", data, flush=True)
        machine.emit("robot_proxy", {"id": 1, "type": "goal_result", "data": "{}"}, namespace=namespace)

    machine.on("robot_proxy", obey, namespace=namespace)
    commander.on("robot_proxy", lambda data: (print("commander", data, flush=True), done.set()), namespace=namespace)
    commander.emit("robot_proxy", {"id": 1, "type": "estop"}, namespace=namespace, callback=lambda: called.set())
    assert called.wait(20) and done.wait(20)
    for sio in (machine, commander):
        sio.disconnect()


def v2x():
    """python-v2x: the first `channels` means "logged in"; joining from its handler must not go round for ever."""
    listings, seen = [], threading.Event()
    sio = client()

    def on_channels(data):
        listings.append(data)
        sio.emit("join", {"channel": "v2x_rsu_0129_parsed"}, namespace=namespace)

    sio.on("channels", on_channels, namespace=namespace)
    sio.on("v2x_SPaT", lambda data: (data["id"] == "0129" or sys.exit("another radio")) and seen.set(), namespace=namespace)
    connect(sio)
    assert seen.wait(20)
    sio.sleep(1)
    print("listings", len(listings), flush=True)
    sio.disconnect()


def beacon():
    """publish-proxy-location starts before it is logged in; a consumer reads id and dynamics."""
    seen = threading.Event()
    consumer = member("beacon")

    def on_update(data):
        if data["id"] == "B7A5A2":
            print("beacon", data["state"]["dynamics"]["latitude"], "updated" in data["state"]["dynamics"], flush=True)
            seen.set()

    consumer.on("beacon_update", on_update, namespace=namespace)
    producer = client()
    connect(producer)
    while not seen.wait(0.2):
        dynamics = {"longitude": -83.69, "latitude": 42.3, "heading": 1.0, "velocity": 2.0}
        producer.emit("beacon_message", {"id": "B7A5A2", "payload": {"state": {"dynamics": dynamics}}}, namespace=namespace)
    for sio in (consumer, producer):
        sio.disconnect()


def robot_returns():
    """A robot's handler returns values: they reach whoever asks over REST."""
    machine = member("robot")
    answers = {"get_batt": {"percent": 87}, "running": False}
    machine.on("robot_proxy", lambda data: answers.get(data["type"]), namespace=namespace)
    for command in answers:
        body = json.dumps({"id": 1, "type": command}).encode()
        request = urllib.request.Request(server + "/api/robot/1/proxy", body, {"X-API-KEY": key})
        with urllib.request.urlopen(request) as response:
            print("answer", json.load(response)["answer"], flush=True)
    machine.disconnect()


def query():
    """The key in the URL: everything comes without a word. Handlers run at the same time, so the order is not told."""
    heard, came = [], threading.Semaphore(0)
    sio = socketio.Client(reconnection=False)
    for name in ("auth_ok", "auth_fail", "join", "channels"):
        sio.on(name, lambda data, name=name: (heard.append(f"{name} {data}"[:30]), came.release()), namespace=namespace)
    connect(sio, f"{server}?X-API-KEY={key}")
    for _ in range(4):
        assert came.acquire(timeout=20), heard
    print(*sorted(heard), sep="\n", flush=True)
    sio.disconnect()


def intersections(phase):
    """listen-intersections: joins within auth_ok, waits for number 4, and reads a phase of it."""
    seen = threading.Event()
    sio = member("intersection")

    def on_update(data):
        if data["id"] == 4 and not seen.is_set():
            print("intersection", phase(data["state"]["phases"]), data["state"]["updated"][10], flush=True)
            seen.set()

    sio.on("intersection_update", on_update, namespace=namespace)
    assert seen.wait(20), "no intersection 4"
    sio.disconnect()


def listen_intersections():
    intersections(lambda phases: phases[0]["phase"])


def listen_intersection_poller():
    intersections(lambda phases: sorted(int(key) for key in phases if int(key) <= 8)[0])


def bad_key():
    """A bad key twelve times: the reason always comes before the end, and the end is always noticed.

    Half of the keys are sent from the handler of connect, as users' scripts do, which runs before connect() returns;
    this client takes no notice of an end that comes before that.
    """
    for count in range(12):
        reasons, connected = [], threading.Event()
        sio = socketio.Client(reconnection=False)
        sio.over = threading.Event()
        send = lambda: sio.emit("auth", {"x-api-key": "badkey"}, namespace=namespace)
        at_once = count % 2 == 0
        sio.on("connect", send if at_once else connected.set, namespace=namespace)
        sio.on("disconnect", lambda *_: sio.over.set(), namespace=namespace)
        sio.on("auth_fail", reasons.append, namespace=namespace)
        connect(sio)
        if not at_once:
            # Version 4.0 returns from connect() before the namespace is connected.
            assert connected.wait(20), "not connected"
            send()
        assert sio.over.wait(20), "not disconnected"
        assert reasons == [{"message": "API key is missing or invalid"}], reasons
        if hasattr(socketio.exceptions, "BadNamespaceError") and hasattr(sio, "connected"):
            try:
                sio.emit("channels", namespace=namespace)
                sys.exit("an event was sent after the end")
            except socketio.exceptions.BadNamespaceError:
                pass
        sio.disconnect()
    print("refused 12", flush=True)


globals()[what]()
