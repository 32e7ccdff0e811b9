"""An OCTANE server of another make: python server.py KEY PORT

Prints its URL, then every event that it takes. It speaks as the original does, on python-socketio: what is malformed
raises in a handler, and nobody is told.
"""
import json
import os
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import socketio

key = sys.argv[1]
namespace = "/octane"
channels = ["facility", "user", "v2x", "crosswalk", "gate", "railcrossing", "signal", "intersection", "ipc"]
sio = socketio.Server(async_mode="threading", namespaces=[namespace])


def say(*words):
    # In one piece: events are handled in threads of their own.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def tell(sid, event, *data):
    sio.emit(event, *data, to=sid, namespace=namespace)


def listing(sid):
    rooms = sio.rooms(sid, namespace=namespace)
    tell(sid, "channels", {"channels": [{"name": name, "subscribed": name in rooms} for name in channels]})


@sio.on("auth", namespace=namespace)
def auth(sid, data):
    say("auth", data == {"x-api-key": key})
    if data["x-api-key"] != key:
        tell(sid, "auth_fail", {"message": "no such key"})
        return sio.disconnect(sid, namespace=namespace)
    tell(sid, "auth_ok", {"message": "OK"})
    for channel in ("user", "facility"):
        sio.enter_room(sid, channel, namespace=namespace)
        tell(sid, "join", {"join": channel})
    listing(sid)


@sio.on("channels", namespace=namespace)
def on_channels(sid):
    listing(sid)


@sio.on("join", namespace=namespace)
def on_join(sid, data):
    say("join", json.dumps(data))
    if data["channel"] in channels:
        sio.enter_room(sid, data["channel"], namespace=namespace)
        tell(sid, "join", {"join": data["channel"]})


@sio.on("user_message", namespace=namespace)
def on_user_message(sid, data):
    sio.emit("user_message", data, to="user", namespace=namespace)
    say("user_message", json.dumps(data))


@sio.on("ipc_message", namespace=namespace)
def on_ipc_message(sid, data):
    sio.emit("ipc_message", data, to="ipc", namespace=namespace)
    say("ipc_message", json.dumps(data))


def app(environ, start_response, wrapped=socketio.WSGIApp(sio)):
    try:
        return wrapped(environ, start_response)
    except ConnectionError:
        # A WebSocket has ended.
        return []


class Request(WSGIRequestHandler):
    def get_environ(self):
        # Where WebSockets are taken from the server's hands.
        return super().get_environ() | {"werkzeug.socket": self.connection}

    def get_stderr(self):
        # Nobody reads what it complains about when a WebSocket has ended.
        return open(os.devnull, "w")

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


server = make_server("127.0.0.1", int(sys.argv[2]), app, Server, Request)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
# Until whoever started it goes away, or says something.
sys.stdin.readline()
