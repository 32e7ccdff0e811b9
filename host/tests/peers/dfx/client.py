"""dfx-apiv2-client measuring three chunks over WebSocket with JSON, then asking for what is not there.

Arguments: WebSocket URL, REST URL. Prints one JSON object a line.
"""

import asyncio
import json
import math
import random
import string
import struct
import sys

import aiohttp
import dfx_apiv2_client as dfxapi


def pulse(bpm):
    """Five seconds of samples: CLVP, samples a second, samples, little-endian."""
    samples = [int(10000 * math.sin(2 * math.pi * bpm / 60 * at / 30)) for at in range(150)]
    return b"CLVP" + struct.pack("<H150h", 30, *samples)


def request_id():
    return "".join(random.choices(string.ascii_letters, k=10))


def say(**what):
    print(json.dumps(what), flush=True)


async def main(websocket_url, rest_url):
    dfxapi.Settings.ws_url = websocket_url
    dfxapi.Settings.rest_url = rest_url
    async with aiohttp.ClientSession() as session:
        status, body = await dfxapi.General.api_status(session)
        say(step="status", status=status, active=body["StatusID"])
        status, _ = await dfxapi.Organizations.register_license(
            session, "licence", "LINUX", "test", "test", "1.0")
        say(step="register", status=status, device=bool(dfxapi.Settings.device_id))
    headers = {"Authorization": "Bearer " + dfxapi.Settings.device_token}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
        _, created = await dfxapi.Measurements.create(session, "study")
        measurement = created["ID"]
        async with dfxapi.Measurements.ws_connect(session) as ws:
            say(step="connect", protocol=ws.protocol)
            await dfxapi.Organizations.ws_auth_with_token(ws, request_id())
            status, _, _ = dfxapi.Measurements.ws_decode(await ws.receive())
            say(step="auth", status=status)
            results, calls = request_id(), {}
            call = request_id()
            await dfxapi.Measurements.ws_subscribe_to_results(ws, call, measurement, results)
            status, answered, body = dfxapi.Measurements.ws_decode(await ws.receive())
            say(step="subscribe", status=status, same=answered == call, body=json.loads(body))
            for order, action in enumerate(["FIRST::PROCESS", "CHUNK::PROCESS", "LAST::PROCESS"]):
                call = request_id()
                calls[call] = order
                await dfxapi.Measurements.ws_add_data(ws, call, measurement, action, pulse(66))
            finished = 0
            while finished < 3 or calls:
                status, answered, body = dfxapi.Measurements.ws_decode(await ws.receive())
                body = json.loads(body)
                if answered == results:
                    finished += 1
                    bpm = body["Channels"]["HR_BPM"]["Data"][0] / body["Multiplier"]
                    say(step="result", chunk=body["MeasurementDataID"].split(":")[1], bpm=bpm)
                else:
                    say(step="data", status=status, right=body["ChunkOrder"] == calls.pop(answered))
            # Ids shorter than ten characters, which the client pads on the right in the header only.
            await ws.send_str("0510{:10}{}".format("short", json.dumps(
                {"Params": {"ID": measurement}, "RequestID": "short"})))
            status, answered, _ = dfxapi.Measurements.ws_decode(await ws.receive())
            say(step="short", status=status, same=answered == "short     ")
            try:
                await ws.send_str("9999" + request_id() + "{}")
                dfxapi.Measurements.ws_decode(await ws.receive())
            except ValueError as error:
                say(step="unknown", error=str(error))
        _, whole = await dfxapi.Measurements.retrieve(session, measurement)
        say(step="retrieve", chunks=len(whole["Results"]["HR_BPM"][0]["Data"]))
        _, result = await dfxapi.Measurements.retrieve_intermediate(session, measurement, 1)
        say(step="intermediate", chunk=result["MeasurementDataID"].split(":")[1])


asyncio.run(main(sys.argv[1], sys.argv[2]))
