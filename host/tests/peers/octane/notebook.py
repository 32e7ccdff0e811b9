"""The cells of the OCTANE notebook, in order: python notebook.py SERVER KEY TRANSPORTS

Prints "In [N]" before each cell and what the notebook's handlers print behind it; in the end, whether the client is
connected again.
"""
import sys
import threading

import socketio

server, api_key, transports = sys.argv[1:4]
namespace = "/octane"
sio = socketio.Client()
heard = threading.Semaphore(0)


def say(*words):
    print(*words, flush=True)
    heard.release()


def cell_2():
    @sio.on("connect", namespace=namespace)
    def on_connect():
        sio.emit("auth", {"x-api-key": api_key}, namespace=namespace)


def cell_3():
    # Only to know when the login is over: the notebook waits for a person to run the next cell.
    sio.on("channels", lambda data: heard.release(), namespace=namespace)
    sio.connect(server, namespaces=[namespace], transports=None if transports == "default" else [transports])


def cell_4():
    @sio.on("intersection_update", namespace=namespace)
    def on_int_update(data):
        say("Int[U]:", data)


def cell_5():
    @sio.on("join", namespace=namespace)
    def on_join(data):
        say("Joining:", data)

    @sio.on("leave", namespace=namespace)
    def on_leave(data):
        say("Leaving:", data)

    @sio.on("channels", namespace=namespace)
    def on_channels(data):
        say("Channel information", data)


def cell_11():
    @sio.on("user_message", namespace=namespace)
    def on_user_message(data):
        say("User Message:", data)


def cell_13():
    @sio.on("disconnect_request", namespace=namespace)
    def on_disconnect_request(data):
        say("Ask to disconnect from server", data)

    @sio.on("disconnect", namespace=namespace)
    def on_disconnect():
        say("Disconnected from server")


def emit(event, *data):
    return lambda: sio.emit(event, *data, namespace="/octane")


# Each cell with what it does, and whether something is heard before the next one is run.
cells = [
    (2, cell_2, False),
    (3, cell_3, True),
    (4, cell_4, False),
    (5, cell_5, False),
    (6, emit("channels"), True),
    (7, emit("join", {"channel": "crosswalk"}), True),
    (8, emit("channels"), True),
    (9, emit("leave", {"channel": "crosswalk"}), True),
    (10, emit("channels"), True),
    (11, cell_11, False),
    (12, emit("user_message", {"message": "Testing messaging"}), True),
    (13, cell_13, False),
    (14, emit("disconnect_request"), True),
]
for number, run, is_heard in cells:
    print(f"In [{number}]", flush=True)
    run()
    if is_heard and not heard.acquire(timeout=30):
        sys.exit("nothing was heard for 30 s")
# Long enough for a client that would come back to do so.
sio.sleep(1.5)
print("end", namespace in getattr(sio, "namespaces", {}) and getattr(sio, "connected", False), flush=True)
sio.disconnect()
