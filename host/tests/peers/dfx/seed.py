"""The WebsocketHandler of the DFX snippets as its documentation prints it, measuring two chunks with protobuf.

Arguments: WebSocket URL, REST URL. Prints one JSON object a line. The class tells messages apart by their length, as
`default.config` beside it says, which works for protobuf bodies.
"""

import asyncio
import json
import math
import os
import struct
import sys
import tempfile
import urllib.request
import uuid

import websockets
import websockets.client
from dfx_apiv2_protos import measurements_pb2


class WebsocketHandler():
    def __init__(self, token, websocket_url):
        self.token = token
        self.ws_url = websocket_url
        self.headers = dict(Authorization="Bearer {}".format(self.token))
        self.ws_ID = uuid.uuid4().hex[:10]      # Use same ws_ID for all connections
        self.ws = None

        # Use this to form a mutual exclusion lock
        self.recv = True

        # Lists for tracking return values
        self.addDataStats = []
        self.subscribeStats = []
        self.chunks = []
        self.unknown = {}        # For storing messages not coming from a known websocket sender

    async def connect_ws(self):
        if not self.ws:
            self.ws = await self.handle_connect()

    async def handle_connect(self):
        ws = await websockets.client.connect(self.ws_url, extra_headers=self.headers)
        print(" Websocket Connected ")
        return ws

    async def handle_close(self):
        print(" Closing Websocket ")
        await self.ws.close()
        return

    async def handle_send(self, content):
        await self.ws.send(content)

    async def handle_recieve(self):
        if self.recv == True:
            self.recv = False
            response = await self.ws.recv()
            self.recv = True
        else:
            return

        if response:
            wsID = response[0:10].decode('utf-8')
            if wsID != self.ws_ID:
                self.unknown[wsID] = response

            with open('./default.config') as json_file:
                data = json.load(json_file)

                if len(response) == int(data["Subscribe_status"]):
                    self.subscribeStats.append(response)
                elif len(response) <= int(data["Adddata_status"]):
                    self.addDataStats.append(response)
                else:
                    self.chunks.append(response)


def pulse(bpm):
    """Five seconds of samples: CLVP, samples a second, samples, little-endian."""
    samples = [int(10000 * math.sin(2 * math.pi * bpm / 60 * at / 30)) for at in range(150)]
    return b"CLVP" + struct.pack("<H150h", 30, *samples)


async def receive(handler, messages):
    while not messages:
        await asyncio.wait_for(handler.handle_recieve(), 10)
    return messages.pop(0)


async def main(websocket_url, rest_url):
    create = urllib.request.Request(
        rest_url + "/measurements",
        data=json.dumps({"StudyID": "study", "Action": "t", "Resolution": 0}).encode(),
        headers={"Authorization": "Bearer t", "Content-Type": "application/json"})
    measurement = json.load(urllib.request.urlopen(create))["ID"]
    handler = WebsocketHandler("t", websocket_url)
    await handler.connect_ws()
    print(json.dumps({"extensions": [extension.name for extension in handler.ws.extensions]}))

    # The snippets send the first chunk before they subscribe.
    def chunk(action, order):
        request = measurements_pb2.DataRequest()
        request.Params.ID = measurement
        request.Action = action
        request.ChunkOrder = order
        request.StartTime = 5 * order
        request.EndTime = 5 * (order + 1)
        request.Duration = 5
        request.Payload = pulse(84)
        request.Meta = json.dumps({"Order": order}).encode()
        return "0506".encode() + handler.ws_ID.encode() + request.SerializeToString()

    await handler.handle_send(chunk("FIRST::PROCESS", 0))
    subscribe = measurements_pb2.SubscribeResultsRequest()
    subscribe.Params.ID = measurement
    subscribe.RequestID = uuid.uuid4().hex[:10]
    await handler.handle_send("0510".encode() + handler.ws_ID.encode() + subscribe.SerializeToString())
    await receive(handler, handler.subscribeStats)
    await handler.handle_send(chunk("LAST::PROCESS", 1))
    for order in range(2):
        ack = await receive(handler, handler.addDataStats)
        reply = measurements_pb2.DataResponse.FromString(ack[13:])
        print(json.dumps({"ack": reply.ID == "{}:{}".format(measurement, order), "status": int(ack[10:13])}))
    for _ in range(2):
        response = await receive(handler, handler.chunks)
        result = measurements_pb2.SubscribeResultsResponse.FromString(response[13:])
        print(json.dumps({
            "result": result.MeasurementDataID.split(":")[1],
            "status": int(response[10:13]),
            "id": response[0:10].decode() == subscribe.RequestID,
            "bpm": result.Channels["HR_BPM"].Data[0] / result.Multiplier,
            "code": result.Error.Code,
        }))
    await handler.handle_close()


folder = tempfile.mkdtemp()
os.chdir(folder)
with open("default.config", "w") as config:
    json.dump({"Subscribe_status": "13", "Adddata_status": "60"}, config)
asyncio.run(main(sys.argv[1], sys.argv[2]))
