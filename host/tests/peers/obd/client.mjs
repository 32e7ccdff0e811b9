// An unmodified socket.io-client: from connect to a stream of RPM. The transports are a comma-separated list.
import { io } from "socket.io-client-4.0";

const [url, namespace, transports] = process.argv.slice(2);
const socket = io(url + namespace, { transports: transports.split(",") });
const ask = (event, ...argument) =>
  new Promise((resolve) => {
    socket.once(event, resolve);
    socket.emit(event, ...argument);
  });
setTimeout(() => {
  console.error("nothing happens");
  process.exit(1);
}, 40000).unref();

await new Promise((resolve) => socket.on("connect", resolve));
while ((await ask("supports", "RPM")) !== true);
if ((await ask("status")) !== "Car Connected") throw new Error("status");
console.log("vin", String.fromCharCode(...(await ask("query", "VIN")).value));
const seen = new Set();
socket.on("watching", (response) => {
  if (response.command.name === "RPM") seen.add(response.value);
  if (seen.size === 5) {
    console.log("rpm", ...seen);
    socket.disconnect();
    process.exit(0);
  }
});
socket.emit("watch", ["RPM"]);
