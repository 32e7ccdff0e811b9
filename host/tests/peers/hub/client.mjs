// The unmodified npm phoenix against the hub. Prints one JSON line per step; the test reads them.
import { Presence, Socket } from "phoenix";
import { WebSocket } from "ws";

const say = (step, value) => console.log(JSON.stringify({ step, value }));
const socket = new Socket(`${process.argv[2]}/socket`, { transport: WebSocket, heartbeatIntervalMs: 200 });
socket.onError(() => {});
socket.connect();

const answer = (push) =>
  new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve({ status, response }));
  });
const once = (channel, event) => new Promise((resolve) => {
  const ref = channel.on(event, (payload) => { channel.off(event, ref); resolve(payload); });
});

const room = socket.channel("room:js", { username: "ann" });
const presence = new Presence(room);
const people = () => presence.list((name, { metas }) => [name, metas[0].typing]);
let joins = 0;
const synced = () => new Promise((resolve) => presence.onSync(() => resolve(people())));
let sync = synced();
say("join", await answer(room.join().receive("ok", () => (joins += 1))));
say("present", await sync);
const shouted = once(room, "shout");
room.push("shout", { name: "ann", body: "hey", channel: "js" });
say("shout", await shouted);
sync = synced();
say("typing", await answer(room.push("user:typing", { username: "ann", typing: true })));
say("typing seen", await sync);

const test = socket.channel("test:js", { mode: "reply", n: 1 });
say("join with reply", await answer(test.join()));
say("echo", await answer(test.push("echo", { a: [1, null, "ü"] })));
say("err", await answer(test.push("err", { reason: "bad" })));
const bytes = Uint8Array.from([0, 1, 254, 255]).buffer;
const echoed = await answer(test.push("echo", bytes));
say("binary", { status: echoed.status, response: [...new Uint8Array(echoed.response)] });
const pushed = once(test, "bcast");
test.push("broadcast", bytes);
say("binary broadcast", [...new Uint8Array(await pushed)]);
const failed = new Promise((resolve) => test.onError(resolve));
test.push("crash", {});
await failed;
say("failed", test.state);
say("left", await answer(test.leave()));
const again = socket.channel("test:js", {});
say("joined again", await answer(again.join()));

// The test now restarts the server; the client comes back by itself.
const closed = new Promise((resolve) => socket.onClose((event) => resolve(event.code)));
say("restart", null);
say("closed", await closed);
const before = joins;
while (joins === before) await new Promise((resolve) => setTimeout(resolve, 20));
say("rejoined", room.state);
socket.disconnect(() => process.exit(0));
