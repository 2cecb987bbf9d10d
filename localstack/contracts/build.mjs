// Compiles Token.sol into Token.json (ABI + creation bytecode), which is committed so that nobody needs a compiler.
//
//   npm install --prefix DIR solc@0.8.37 @openzeppelin/contracts@5.7.0
//   NODE_MODULES=DIR/node_modules node build.mjs           writes Token.json
//   NODE_MODULES=DIR/node_modules node build.mjs --check   fails if Token.json is not what Token.sol compiles to
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = resolve(process.env.NODE_MODULES ?? join(here, "node_modules"));
const solc = createRequire(join(modules, "."))("solc");

const source = readFileSync(join(here, "Token.sol"), "utf8");
const input = {
  language: "Solidity",
  sources: { "Token.sol": { content: source } },
  settings: {
    // OpenZeppelin 5.7 uses MCOPY, which came with Cancun.
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    // No metadata hash: the output depends on the code alone, so that --check can compare it.
    metadata: { bytecodeHash: "none" },
    outputSelection: { "Token.sol": { Token: ["abi", "evm.bytecode.object"] } },
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
const errors = (output.errors ?? []).filter((found) => found.severity === "error");
if (errors.length > 0) {
  console.error(errors.map((found) => found.formattedMessage).join("\n"));
  process.exit(1);
}

const version = (name) => JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8")).version;
const contract = output.contracts["Token.sol"].Token;
const text =
  JSON.stringify(
    {
      contract: "Token",
      compiler: `solc ${version("solc")}`,
      openzeppelin: version("@openzeppelin/contracts"),
      // By this a test without a compiler sees that Token.json is of this Token.sol.
      source_sha256: createHash("sha256").update(source).digest("hex"),
      abi: contract.abi,
      bytecode: `0x${contract.evm.bytecode.object}`,
    },
    null,
    1,
  ) + "\n";

const target = join(here, "Token.json");
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    console.error("Token.json is not what Token.sol compiles to: run build.mjs");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
  console.log(`Token.json: ${text.length} bytes`);
}
