"""The unmodified phoenix-channels-python-client: joins, hears, leaves. Arguments: URL, version."""

import asyncio
import sys

from phoenix_channels_python_client import PHXChannelsClient, PhoenixChannelsProtocolVersion
from phoenix_channels_python_client.exceptions import PHXTopicError

URL, VERSION = sys.argv[1] + "/socket/websocket", PhoenixChannelsProtocolVersion[sys.argv[2]]


async def main():
    heard = asyncio.Event()
    acknowledged = asyncio.Event()

    async def on_message(message):
        print(message.event, message.payload["body"], flush=True)
        heard.set()

    client = PHXChannelsClient(
        URL, "key", protocol_version=VERSION, heartbeat_interval_s=0.1, on_heartbeat_ack=acknowledged.set
    )
    async with client:
        try:
            await client.subscribe_to_topic("room:py")
        except PHXTopicError as error:
            # It cannot send a username.
            print("refused", "join crashed" in str(error), flush=True)
        await client.subscribe_to_topic("fan:py", on_message)
        print("joined", flush=True)
        # In version 2 this client drops every broadcast: it wants its own join_ref there, and gets null.
        await (acknowledged if VERSION == PhoenixChannelsProtocolVersion.V2 else heard).wait()
        await client.unsubscribe_from_topic("fan:py")
        print("left", flush=True)


asyncio.run(main())
