// Opens the dashboard in Chromium and tells what it shows: page.mjs URL [WIDTH HEIGHT light|dark]
// Each line of standard input is an expression to be awaited in the page until it is something true; each line printed
// is the JSON of that, with every error and violation of the page's policy so far. `picture FILE` writes a PNG instead.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [url, width = "1440", height = "900", scheme = "light"] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "cloverleaf-chromium-"));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${profile}`];
// It ends with the pipes, that is with this process, however that ends.
const chromium = spawn("chromium", [...flags, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const [, , , ask, tell] = chromium.stdio;
chromium.on("error", (error) => { throw error; });

const answers = new Map();
const errors = [];
let [session, last, rest] = [undefined, 0, ""];
tell.setEncoding("utf8").on("data", (data) => {
  const messages = (rest + data).split("\0");
  rest = messages.pop();
  for (const message of messages) hear(JSON.parse(message));
});

function hear({ id, result, error, method, params }) {
  if (id) answers.get(id)(result ?? { error });
  if (method === "Runtime.exceptionThrown") errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
  // A server that is away is no error of the page.
  if (method === "Log.entryAdded" && params.entry.level === "error" && params.entry.source !== "network") errors.push(params.entry.text);
}

function call(method, params = {}) {
  return new Promise((resolve) => {
    answers.set(++last, resolve);
    ask.write(`${JSON.stringify({ id: last, method, params, sessionId: session })}\0`);
  });
}

const { targetInfos } = await call("Target.getTargets");
const { targetId } = targetInfos.find(({ type }) => type === "page");
session = (await call("Target.attachToTarget", { targetId, flatten: true })).sessionId;
await call("Emulation.setDeviceMetricsOverride", { width: Number(width), height: Number(height), deviceScaleFactor: 1, mobile: Number(width) < 600 });
await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
for (const domain of ["Runtime", "Log", "Page"]) await call(`${domain}.enable`);
await call("Page.navigate", { url });

for await (const line of createInterface(process.stdin)) {
  const picture = line.match(/^picture (.*)/)?.[1];
  if (picture) {
    const { data } = await call("Page.captureScreenshot");
    writeFileSync(picture, Buffer.from(data, "base64"));
    continue;
  }
  for (;;) {
    const { result } = await call("Runtime.evaluate", { expression: line, returnByValue: true });
    if (result && result.subtype !== "error" && result.value) {
      console.log(JSON.stringify({ value: result.value, errors }));
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const ended = new Promise((resolve) => chromium.on("exit", resolve));
session = undefined;
call("Browser.close");
await ended;
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
process.exit(0);
