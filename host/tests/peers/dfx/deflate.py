"""A DFX server on the websockets library, which takes permessage-deflate: answers each request with its own body.

Prints its URL, then a JSON object for each connection: the extensions agreed on, and how many requests it answered.
"""

import asyncio
import json

import websockets


async def serve(websocket):
    count = 0
    async for request in websocket:
        await websocket.send(request[4:14] + b"200" + request[14:])
        count += 1
    names = [extension.name for extension in websocket.extensions]
    print(json.dumps({"extensions": names, "requests": count}), flush=True)


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0, subprotocols=["json", "proto"], max_size=None) as server:
        print("ws://127.0.0.1:{}".format(server.sockets[0].getsockname()[1]), flush=True)
        await asyncio.Future()


asyncio.run(main())
