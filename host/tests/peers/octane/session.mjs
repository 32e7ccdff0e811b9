// What the jQuery page does: node session.mjs MODULE URL KEY HOW TRANSPORTS, where HOW is event, query or namespace.
import { createRequire } from "node:module";
const [module, url, key, how, transports] = process.argv.slice(2);
const loaded = createRequire(import.meta.url)(module);
const io = loaded.io ?? loaded;
const options = { forceNew: true, reconnection: false, path: "/socket.io/" };
if (transports !== "default") options.transports = transports.split(",");
if (how === "query") options.query = `X-API-KEY=${key}`;
const socket = io(`${url}/octane${how === "namespace" ? `?X-API-KEY=${key}` : ""}`, options);
const say = (name) => (...data) => console.log(name, JSON.stringify(data));
let listings = 0;
socket.on("connect", () => {
  console.log("connect");
  if (how === "event") socket.emit("auth", { "x-api-key": key });
});
for (const name of ["auth_ok", "auth_fail", "join", "leave", "user_message"]) socket.on(name, say(name));
socket.on("channels", (data) => {
  console.log("channels", data.channels.length);
  listings += 1;
  if (listings === 1) socket.emit("join", { channel: "crosswalk" });
});
socket.on("join", (data) => data.join === "crosswalk" && socket.emit("leave", { channel: "crosswalk" }));
socket.on("leave", () => socket.emit("user_message", { message: "hi from js" }));
socket.on("user_message", () => socket.emit("disconnect_request"));
socket.on("disconnect", (reason) => {
  console.log("disconnect", reason);
  process.exit(0);
});
for (const name of ["connect_error", "error"]) socket.on(name, (error) => { console.error(name, error); process.exit(1); });
setTimeout(() => { console.error("took too long"); process.exit(1); }, 40000).unref();
