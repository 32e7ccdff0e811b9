// Hello, world with Node's socket.io: what everybody says goes to everybody.
const http = require("node:http").createServer();
const io = new (require("socket.io").Server)(http, { perMessageDeflate: false });
io.of("/octane").on("connection", (socket) => {
  socket.join("user");
  socket.on("user_message", (data) => io.of("/octane").to("user").emit("user_message", data));
  socket.on("v2x_BSM", (data) => io.of("/octane").to("user").emit("v2x_BSM", data));
  socket.emit("channels", 0);
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
