// The simplest relay with socket.io, for comparison: prints its port.
const { Server } = require("socket.io");
const io = new Server({ transports: ["websocket"], perMessageDeflate: false });
const monitors = new Map();
io.of("/relay").on("connection", (socket) => {
  socket.on("con", ({ monitor_id }) => {
    monitors.set(monitor_id, { socket, user: null });
    socket.emit("con ok", { reason: "Connection ok" });
    socket.on("command done", () => monitors.get(monitor_id).user.emit("command finish", { reason: "Command finish" }));
  });
  socket.on("query", ({ monitor_id }) => {
    const monitor = monitors.get(monitor_id);
    monitor.user = socket;
    socket.emit("query ok", { reason: "Query ok" });
    socket.on("command send", ({ command }) => {
      monitor.socket.emit("command do", { command });
      socket.emit("command ok", { reason: "Command ok" });
    });
  });
});
const http = require("http").createServer();
io.attach(http);
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
