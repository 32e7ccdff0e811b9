"""The cells of the OCTANE notebook, in order: python notebook.py SERVER KEY TRANSPORTS

Prints what the notebook's handlers print, and "end" when the client is not connected any more.
"""
import sys
import threading

import socketio

server, key, transports = sys.argv[1:4]
namespace = "/octane"
client = socketio.Client()
heard = threading.Semaphore(0)


def say(*words):
    print(*words, flush=True)
    heard.release()


def wait():
    if not heard.acquire(timeout=30):
        sys.exit("nothing was heard for 30 s")


client.on("connect", lambda: client.emit("auth", {"x-api-key": key}, namespace=namespace), namespace=namespace)
# Only to know when the login is over: the notebook waits for a person to run the next cell.
client.on("channels", lambda data: heard.release(), namespace=namespace)
client.connect(server, namespaces=[namespace], transports=None if transports == "default" else [transports])
wait()

client.on("intersection_update", lambda data: say("Int[U]:", data), namespace=namespace)
client.on("join", lambda data: say("Joining:", data), namespace=namespace)
client.on("leave", lambda data: say("Leaving:", data), namespace=namespace)
client.on("channels", lambda data: say("Channel information", data), namespace=namespace)
client.emit("channels", namespace=namespace)
wait()
client.emit("join", {"channel": "crosswalk"}, namespace=namespace)
wait()
client.emit("channels", namespace=namespace)
wait()
client.emit("leave", {"channel": "crosswalk"}, namespace=namespace)
wait()
client.emit("channels", namespace=namespace)
wait()
client.on("user_message", lambda data: say("User Message:", data), namespace=namespace)
client.emit("user_message", {"message": "Testing messaging"}, namespace=namespace)
wait()
client.on("disconnect_request", lambda data: say("Ask to disconnect from server", data), namespace=namespace)
client.on("disconnect", lambda *_: say("Disconnected from server"), namespace=namespace)
client.emit("disconnect_request", namespace=namespace)
wait()
# Long enough for a client that would come back to do so.
client.sleep(1.5)
say("end", namespace in getattr(client, "namespaces", {}) and getattr(client, "connected", False))
client.disconnect()
