"""The chat client of the original's guide: version 1, refs always null, no heartbeats."""

import asyncio
import json
import sys

import websockets

URL, room_name, username, expected = sys.argv[1] + "/socket/websocket", "lobby", sys.argv[2], int(sys.argv[3])
online_users = []


def message(event, payload):
    return json.dumps({"topic": f"room:{room_name}", "event": event, "payload": payload, "ref": None})


async def connect():
    connection = await websockets.connect(URL)
    await connection.send(message("phx_join", {"username": username}))
    return connection


def manage_presence(received):
    joined = list(received["payload"]["joins"].keys())
    left = list(received["payload"]["leaves"].keys())
    if joined:
        name = joined[0]
        if name in online_users:
            typing = received["payload"]["joins"][name]["metas"][0]["typing"]
            print(f"{name} {'is' if typing else 'has stopped'} typing", flush=True)
        else:
            online_users.append(name)
            print(f"{name} has joined", flush=True)
    else:
        online_users.remove(left[0])
        print(f"{left[0]} has left", flush=True)


async def recv(connection):
    response = json.loads(await connection.recv())
    assert response["payload"] == {"response": {}, "status": "ok"}, response
    print("< connected", flush=True)
    said, greeted = 0, False
    async for data in connection:
        received = json.loads(data)
        if received["event"] == "shout":
            print(f"< {received['payload']['name']} says : {received['payload']['body']}", flush=True)
            said += 1
            if said == expected:
                return
        elif received["event"] == "presence_diff":
            manage_presence(received)
            if len(online_users) == expected and not greeted:
                greeted = True
                await connection.send(message("user:typing", {"username": username, "typing": True}))
                body = {"body": f"hello from {username}", "channel": room_name, "name": username}
                await connection.send(message("shout", body))
        elif received["event"] == "presence_state":
            online_users.extend(list(received["payload"].keys()))


async def main():
    connection = await connect()
    await recv(connection)
    await connection.close()


asyncio.run(main())
