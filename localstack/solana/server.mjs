// A Solana validator's JSON-RPC over HTTP in front of a real Solana VM, for the local stack and the tests.
//
//     node localstack/solana/server.mjs
//
// Variables: STREAMGATE_SOLANA_PORT (default 8899), STREAMGATE_CACHE (where localstack/tools.sh put the VM and the
// programs; default <repository>/.cache), STREAMGATE_SOLANA_STATE (a file to come back from; default: none),
// STREAMGATE_SOLANA_SLOT_MILLISECONDS (default 400, a real cluster's pace). It listens on 127.0.0.1 only.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { Ledger } from "./ledger.mjs";
import { METHODS, RpcError } from "./methods.mjs";

const SAVE_EVERY_MILLISECONDS = 5000;
// Validators take 50 KiB; an account that is placed may have a megabyte, and is sent in base64.
const LARGEST_BODY = 4 * 1024 * 1024;

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const cache = resolve(process.env.STREAMGATE_CACHE ?? join(repository, ".cache"));
const say = (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`);

function number(name, preset, largest) {
  const value = Number(process.env[name] ?? preset);
  if (!Number.isInteger(value) || value < 1 || value > largest) fail(`${name} must be a number from 1 to ${largest}`);
  return value;
}

function fail(line) {
  say(`error: ${line}`);
  process.exit(1);
}

function open() {
  const require = createRequire(join(cache, "npm", "package.json"));
  const metadata = join(cache, "programs", "metaplex_token_metadata.so");
  try {
    return new Ledger(require("litesvm-linux-x64-gnu"), {
      version: require("litesvm-linux-x64-gnu/package.json").version,
      programs: new Map([["metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s", readFileSync(metadata)]]),
      slotMilliseconds: number("STREAMGATE_SOLANA_SLOT_MILLISECONDS", 400, 60_000),
      state: process.env.STREAMGATE_SOLANA_STATE,
      say,
    });
  } catch (problem) {
    return fail(`${problem.message.split("\n")[0]}; \`make tools\` installs what is needed`);
  }
}

// ---- JSON-RPC

/** JSON with whole numbers of 64 bits, which JSON.stringify has no way to write. */
function json(value) {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map((entry) => json(entry)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value ?? null);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${json(member)}`).join(",")}}`;
}

const failed = (id, code, message, data) => ({ jsonrpc: "2.0", error: { code, message, data }, id });

function answerOne(ledger, asked) {
  const id = asked?.id ?? null;
  const named = id === null || ["string", "number"].includes(typeof id);
  if (asked?.jsonrpc !== "2.0" || typeof asked.method !== "string" || !named) {
    return failed(null, -32600, "Invalid request");
  }
  const method = METHODS.get(asked.method);
  if (!method) return failed(id, -32601, "Method not found");
  const parameters = asked.params ?? [];
  if (!Array.isArray(parameters)) return failed(id, -32602, "Invalid params: a list is expected.");
  try {
    return { jsonrpc: "2.0", result: method(ledger, parameters), id };
  } catch (problem) {
    if (problem instanceof RpcError) return failed(id, problem.code, problem.message, problem.data);
    say(`${asked.method}: ${problem.stack}`);
    return failed(id, -32603, "Internal error");
  }
}

function answer(ledger, body) {
  let asked;
  try {
    asked = JSON.parse(body);
  } catch {
    return failed(null, -32700, "Parse error");
  }
  if (!Array.isArray(asked)) return answerOne(ledger, asked);
  return asked.length ? asked.map((one) => answerOne(ledger, one)) : failed(null, -32600, "Invalid request");
}

// ---- HTTP

function reply(response, status, type, content) {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(content) });
  response.end(content);
}

function serve(ledger, request, response) {
  if (request.method === "GET" && request.url === "/health") return reply(response, 200, "text/plain", "ok");
  if (request.method !== "POST") return reply(response, 405, "text/plain", "Used HTTP Method is not allowed.\n");
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
    return reply(response, 415, "text/plain", "Content-Type: application/json is required.\n");
  }
  const parts = [];
  let size = 0;
  request.on("data", (part) => {
    size += part.length;
    if (size <= LARGEST_BODY) parts.push(part);
  });
  return request.on("end", () => {
    if (size > LARGEST_BODY) return reply(response, 413, "text/plain", "Request body is too large.\n");
    return reply(response, 200, "application/json", json(answer(ledger, Buffer.concat(parts).toString())));
  });
}

const ledger = open();
const server = createServer((request, response) => serve(ledger, request, response));
server.on("error", (problem) => fail(problem.message));
server.keepAliveTimeout = 60_000;
const port = number("STREAMGATE_SOLANA_PORT", 8899, 65_535);
server.listen(port, "127.0.0.1", () => say(`listening on 127.0.0.1:${port}, slot ${ledger.slot}`));
setInterval(() => ledger.advance(), ledger.slotMilliseconds);
setInterval(() => ledger.save(), SAVE_EVERY_MILLISECONDS);
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    // Also when only time went on: the next start then knows the time.
    ledger.changed = true;
    ledger.save();
    process.exit(0);
  });
}
