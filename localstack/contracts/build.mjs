// Compiles every *.sol here into a *.json of its name (ABI + creation bytecode), which are committed so that nobody needs a
// compiler. Unlock's PublicLock is taken from its npm package as it is (see README.md).
//
//   npm install --prefix DIR solc@0.8.37 @openzeppelin/contracts@5.7.0 @unlock-protocol/contracts@0.0.34
//   NODE_MODULES=DIR/node_modules node build.mjs           writes what changed
//   NODE_MODULES=DIR/node_modules node build.mjs --check   fails if a file is not what this would write
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const repository = resolve(here, "../..");
const modules = resolve(process.env.NODE_MODULES ?? join(here, "node_modules"));
const solc = createRequire(join(modules, "."))("solc");

// Placed by anvil_setCode, where no constructor runs.
const PLACED = ["Delegations"];
// Beside its artifact: the Rust adapter embeds the bytecode alone.
const VALIDATOR_HEX = join(repository, "shared/adapters/evm/src/signature_validator.hex");
// What the tests use of a lock, of some eighty functions.
const LOCK_FUNCTIONS = [
  "balanceOf", "expireAndRefundFor", "getHasValidKey", "grantKeys", "initialize", "isValidKey", "keyExpirationTimestampFor",
  "ownerOf", "publicLockVersion", "setKeyExpiration", "tokenOfOwnerByIndex", "totalKeys", "transferFrom", "updateLockConfig",
];

function fail(problem) {
  console.error(problem);
  process.exit(1);
}

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const version = (name) => JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;

/** One field a line, one function a line: a change shows as what it is. */
function artifact(fields, abi, code) {
  const lines = Object.entries(fields).map(([name, value]) => ` ${JSON.stringify(name)}: ${JSON.stringify(value)},`);
  const entries = abi.map((entry) => `  ${JSON.stringify(entry)}`).join(",\n");
  const codes = Object.entries(code).map(([name, value]) => ` ${JSON.stringify(name)}: "0x${value}"`);
  return ["{", ...lines, ` "abi": [\n${entries}\n ],`, codes.join(",\n"), "}", ""].join("\n");
}

function compile() {
  const names = readdirSync(here).filter((name) => name.endsWith(".sol")).sort();
  const sources = Object.fromEntries(names.map((name) => [name, readFileSync(join(here, name), "utf8")]));
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(names.map((name) => [name, { content: sources[name] }])),
    settings: {
      // OpenZeppelin 5.7 uses MCOPY, which came with Cancun.
      evmVersion: "cancun",
      optimizer: { enabled: true, runs: 200 },
      // No metadata hash: the output depends on the code alone, so that --check can compare it.
      metadata: { bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const findImport = (path) => {
    try {
      return { contents: readFileSync(join(modules, path), "utf8") };
    } catch (error) {
      return { error: error.message };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const problems = (output.errors ?? []).filter((found) => found.severity !== "info");
  if (problems.length > 0) fail(problems.map((found) => found.formattedMessage).join("\n"));

  const found = new Map();
  for (const name of names) {
    const contract = name.replace(/\.sol$/, "");
    const { abi, evm } = output.contracts[name][contract];
    const imports = [...sources[name].matchAll(/from "\.\/(\w+\.sol)"/g)].map((match) => match[1]);
    const fields = {
      contract,
      compiler: `solc ${version("solc")}`,
      openzeppelin: version("@openzeppelin/contracts"),
      // By these a test without a compiler sees that the bytecode is of this source.
      source_sha256: sha256(sources[name]),
    };
    if (imports.length > 0) {
      fields.imports_sha256 = Object.fromEntries(imports.map((path) => [path, sha256(sources[path])]));
    }
    const code = { bytecode: evm.bytecode.object };
    if (PLACED.includes(contract)) code.deployedBytecode = evm.deployedBytecode.object;
    found.set(join(here, `${contract}.json`), artifact(fields, abi, code));
    if (contract === "SignatureValidator") found.set(VALIDATOR_HEX, `${evm.bytecode.object}\n`);
  }
  return found;
}

/** Unlock's own lock, as it was compiled for its release. */
function publicLock() {
  const name = "@unlock-protocol/contracts";
  const lock = JSON.parse(readFileSync(join(modules, name, "dist/abis/PublicLock/PublicLockV14.json"), "utf8"));
  const bytecode = lock.bytecode.replace(/^0x/, "");
  const fields = { contract: "PublicLock", package: `${name} ${version(name)}`, bytecode_sha256: sha256(bytecode) };
  const abi = lock.abi.filter((entry) => LOCK_FUNCTIONS.includes(entry.name));
  return [join(here, "PublicLock.json"), artifact(fields, abi, { bytecode })];
}

const check = process.argv.includes("--check");
const files = compile().set(...publicLock());
let stale = 0;
for (const [path, text] of files) {
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  const shown = relative(repository, path);
  if (check) {
    console.error(`${shown} is not what its source compiles to: run build.mjs`);
    stale += 1;
  } else {
    writeFileSync(path, text);
    console.log(`${shown}: ${text.length} bytes`);
  }
}
process.exitCode = stale > 0 ? 1 : 0;
