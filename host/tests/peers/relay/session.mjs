// Users and monitors with socket.io-client: session.mjs MODULE URL NAMESPACE TRANSPORTS(JSON) BURST
// Prints one JSON array per thing heard: [who, event, payload].
import { createRequire } from "node:module";

const [name, url, namespace, transports, burst] = process.argv.slice(2);
const io = createRequire(import.meta.url)(name);
const A = "0123456789abcdef0123456789abcdef";
const sockets = [];

function join() {
  const socket = io(url + namespace, { transports: JSON.parse(transports), forceNew: true, reconnection: false });
  sockets.push(socket);
  return new Promise((resolve, reject) => {
    socket.on("connect", () => resolve(socket));
    socket.on("connect_error", reject);
  });
}

// The next `event` of a socket, printed.
function hear(who, socket, event) {
  return new Promise((resolve) => {
    const take = (payload) => {
      socket.off ? socket.off(event, take) : socket.removeListener(event, take);
      console.log(JSON.stringify([who, event, payload]));
      resolve(payload);
    };
    socket.on(event, take);
  });
}

async function ask(who, socket, event, args, ...answers) {
  const heard = Promise.all(answers.map((answer) => hear(who, socket, answer)));
  socket.emit(event, ...args);
  await heard;
}

const monitor = await join();
await ask("monitor", monitor, "con", [{ monitor_id: A }], "con ok");
const user = await join();
await ask("user", user, "query", [{ monitor_id: A }], "query ok");

async function command(text, report) {
  const ok = hear("user", user, "command ok");
  const task = hear("monitor", monitor, "command do");
  user.emit("command send", { command: text });
  await task;
  await ok;
  const end = hear("user", user, report[0] === "command done" ? "command finish" : "command failed");
  monitor.emit(...report);
  await end;
}
await command("lights on", ["command done"]);
await command("ünï \u2028 \"\\ 🚗", ["command done", {}]);
await command("door open", ["command error", { reason: "jam" }]);

// An acknowledgement comes after the reply, with nothing in it.
const ok = hear("user", user, "command ok");
const task = hear("monitor", monitor, "command do");
const acknowledged = new Promise((resolve) => user.emit("command send", { command: "ack" }, (...args) => resolve(args)));
await task;
await ok;
console.log(JSON.stringify(["user", "ack", await acknowledged]));
const finish = hear("user", user, "command finish");
monitor.emit("command done");
await finish;

// A second monitor of the same id, and ids that are none.
const second = await join();
const gone = hear("second", second, "disconnect");
await ask("second", second, "con", [{ monitor_id: A }], "con failed");
await gone;
for (const data of [[], [{}], [{ monitor_id: "short" }], [{ monitor_id: null }], [7], [[A]]]) {
  const stranger = await join();
  const gone = hear("stranger", stranger, "disconnect");
  await ask("stranger", stranger, "query", data, "query failed");
  await gone;
}

// Many commands at once: in order, and each ok before its finish.
const count = Number(burst);
let [done, accepted, finished, disorder] = [0, 0, 0, 0];
monitor.on("command do", ({ command }) => {
  if (command !== String(done++)) disorder++;
  monitor.emit("command done", {});
});
await new Promise((resolve) => {
  user.on("command ok", () => accepted++);
  user.on("command finish", () => {
    if (++finished > accepted) disorder++;
    if (finished === count) resolve();
  });
  for (let number = 0; number < count; number++) user.emit("command send", { command: String(number) });
});
console.log(JSON.stringify(["burst", [done, accepted, finished], disorder]));

// A monitor that goes.
monitor.removeAllListeners("command do");
let given = 0;
const failures = [];
await new Promise((resolve) => {
  monitor.on("command do", () => ++given === 3 && monitor.disconnect());
  user.on("command failed", ({ reason }) => failures.push(reason) === 3 && resolve());
  for (const text of ["1", "2", "3"]) user.emit("command send", { command: text });
});
console.log(JSON.stringify(["user", "command failed", failures]));
for (const socket of sockets) socket.disconnect();
