// The RPC methods, by the names, shapes and error codes of Solana's HTTP API.
//
// Left out: what needs blocks, votes, stakes or subscriptions, and the encoding `jsonParsed`.

import * as base58 from "./base58.mjs";
import { sentence } from "./failures.mjs";
import { GENESIS_HASH } from "./ledger.mjs";
import { parse } from "./transaction.mjs";
import { frame } from "./zstandard.mjs";

/** An answer that is an error of JSON-RPC. */
export class RpcError extends Error {
  constructor(code, message, data) {
    super(message);
    Object.assign(this, { code, data });
  }
}

const INVALID_PARAMETERS = -32602;
const PREFLIGHT_FAILURE = -32002;
const SIGNATURE_FAILURE = -32003;
const MINIMUM_SLOT_NOT_REACHED = -32016;

const TOKEN_PROGRAMS = ["TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"];
const MINT_SIZE = 82;
const TOKEN_ACCOUNT_SIZE = 165;
const MULTISIG_SIZE = 355;
// The byte behind a token account's or a padded mint's fields, where Token-2022 says which of them it is.
const KIND_MINT = 1;
const KIND_ACCOUNT = 2;

// The version is in the form that clients parse, and newer than what they have workarounds for.
const VERSION = { "solana-core": "4.0.0", "feature-set": 0 };
const MOST_ACCOUNTS = 100;
const MOST_FILTERS = 4;
const MOST_COMPARED = 128;
const MOST_STATUSES = 256;
const MOST_BASE58 = 128;

const invalid = (message) => new RpcError(INVALID_PARAMETERS, message);

// ---- Reading parameters

function text(value, what) {
  if (typeof value !== "string") throw invalid(`Invalid params: invalid type: ${what} must be a string.`);
  return value;
}

function count(value, what, largest = Number.MAX_SAFE_INTEGER) {
  if (!Number.isInteger(value) || value < 0 || value > largest) {
    throw invalid(`Invalid params: invalid type: ${what} must be a whole number.`);
  }
  return value;
}

function list(value, what) {
  if (!Array.isArray(value)) throw invalid(`Invalid params: invalid type: ${what} must be a list.`);
  return value;
}

function address(value, what = "the address") {
  const bytes = base58.decode(text(value, what));
  if (!bytes) throw invalid("Invalid param: Invalid");
  if (bytes.length !== 32) throw invalid("Invalid param: WrongSize");
  return bytes;
}

/** The options object that ends most methods' parameters; also holds the caller to `minContextSlot`. */
function options(ledger, value) {
  const given = value ?? {};
  if (typeof given !== "object" || Array.isArray(given)) throw invalid("Invalid params: options must be an object.");
  const { commitment, minContextSlot } = given;
  // Everything is final here at once, so that the three differ in nothing.
  if (commitment !== undefined && !["processed", "confirmed", "finalized"].includes(commitment)) {
    throw invalid(`Invalid params: unknown commitment ${commitment}, expected processed, confirmed or finalized.`);
  }
  if ((minContextSlot ?? null) !== null && count(minContextSlot, "minContextSlot") > ledger.slot) {
    const contextSlot = ledger.slot;
    throw new RpcError(MINIMUM_SLOT_NOT_REACHED, "Minimum context slot has not been reached", { contextSlot });
  }
  return given;
}

// ---- Writing answers

const inContext = (ledger, value) => ({ context: { apiVersion: VERSION["solana-core"], slot: ledger.slot }, value });

function encoded(data, encoding) {
  switch (encoding) {
    case "base64":
      return [data.toString("base64"), "base64"];
    case "base64+zstd":
      return [frame(data).toString("base64"), "base64+zstd"];
    case "base58":
    case "binary":
      if (data.length > MOST_BASE58) {
        throw new RpcError(
          -32600,
          "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
        );
      }
      return encoding === "binary" ? base58.encode(data) : [base58.encode(data), "base58"];
    default:
      throw invalid(`Invalid params: the encoding ${encoding} is not known to this node.`);
  }
}

/** `base64` or, when none is named, the old form of base58 that validators still default to. */
function shown(account, { encoding = "binary", dataSlice } = {}) {
  let data = account.data;
  if (dataSlice !== undefined && dataSlice !== null) {
    const offset = count(dataSlice.offset, "dataSlice.offset");
    data = data.subarray(offset, offset + count(dataSlice.length, "dataSlice.length"));
  }
  return {
    data: encoded(data, encoding),
    executable: account.executable,
    lamports: account.lamports,
    owner: account.owner,
    rentEpoch: account.rentEpoch,
    space: account.data.length,
  };
}

// ---- Filters

function filter(given) {
  if (given?.dataSize !== undefined) {
    const size = count(given.dataSize, "dataSize");
    return (account) => account.data.length === size;
  }
  if (given?.memcmp) {
    const { offset, bytes, encoding = "base58" } = given.memcmp;
    const start = count(offset, "memcmp.offset");
    let wanted = null;
    if (Array.isArray(bytes)) wanted = Buffer.from(bytes);
    else if (encoding === "base58") wanted = base58.decode(text(bytes, "memcmp.bytes"));
    else if (encoding === "base64") wanted = Buffer.from(text(bytes, "memcmp.bytes"), "base64");
    if (!wanted) throw invalid("Invalid param: the bytes of a filter can't be decoded");
    if (wanted.length > MOST_COMPARED) throw invalid("Invalid param: a filter's bytes must be less than 129");
    return (account) => account.data.subarray(start, start + wanted.length).equals(wanted);
  }
  if (given?.tokenAccountState !== undefined) return isTokenAccount;
  throw invalid("Invalid params: a filter must be memcmp, dataSize or tokenAccountState.");
}

function isTokenAccount({ data }) {
  const plain = data.length === TOKEN_ACCOUNT_SIZE;
  const extended = data.length > TOKEN_ACCOUNT_SIZE && data.length !== MULTISIG_SIZE && data[165] === KIND_ACCOUNT;
  // Byte 108 is the state, and zero before the account is initialised.
  return (plain || extended) && data[108] !== 0;
}

function isMint({ data, owner }) {
  if (!TOKEN_PROGRAMS.includes(owner)) return false;
  const extended = data.length > TOKEN_ACCOUNT_SIZE && data.length !== MULTISIG_SIZE && data[165] === KIND_MINT;
  return data.length === MINT_SIZE || extended;
}

/** Which program's token accounts, and of which mint. */
function tokenFilter(ledger, given) {
  if (given?.mint !== undefined) {
    const mint = address(given.mint, "mint");
    const found = ledger.account(mint);
    if (!found) throw invalid("Invalid param: could not find mint");
    if (!isMint(found)) throw invalid("Invalid param: not a Token mint");
    return { program: found.owner, mint };
  }
  if (given?.programId !== undefined) {
    const program = base58.encode(address(given.programId, "programId"));
    if (!TOKEN_PROGRAMS.includes(program)) throw invalid("Invalid param: unrecognized Token program id");
    return { program };
  }
  throw invalid("Invalid params: the filter must be mint or programId.");
}

// ---- Transactions

function transaction(value, encoding = "base58") {
  const given = text(value, "the transaction");
  const decoders = { base58: base58.decode, base64: (encoded) => Buffer.from(encoded, "base64") };
  const bytes = Object.hasOwn(decoders, encoding) ? decoders[encoding](given) : null;
  if (!bytes) throw invalid(`invalid ${encoding} encoding: the transaction can't be decoded`);
  try {
    parse(bytes);
  } catch (problem) {
    throw invalid(`failed to deserialize solana_transaction::versioned::VersionedTransaction: ${problem.message}`);
  }
  return bytes;
}

function simulated(outcome) {
  const { returned } = outcome;
  const data = returned && [Buffer.from(returned.data).toString("base64"), "base64"];
  return {
    accounts: null,
    err: outcome.error,
    innerInstructions: null,
    logs: outcome.logs,
    replacementBlockhash: null,
    returnData: returned && { programId: returned.program, data },
    unitsConsumed: outcome.units,
  };
}

const refused = (outcome) =>
  new RpcError(PREFLIGHT_FAILURE, `Transaction simulation failed: ${sentence(outcome.error)}`, simulated(outcome));

// ---- The methods: each takes the ledger and the list of parameters

const SOLANA = {
  getHealth: () => "ok",
  getVersion: () => VERSION,
  getGenesisHash: () => GENESIS_HASH,

  getSlot(ledger, [given]) {
    options(ledger, given);
    return ledger.slot;
  },

  getBlockHeight(ledger, [given]) {
    options(ledger, given);
    return ledger.slot;
  },

  getLatestBlockhash(ledger, [given]) {
    options(ledger, given);
    return inContext(ledger, ledger.blockhash());
  },

  getMinimumBalanceForRentExemption(ledger, [size]) {
    return ledger.vm.minimumBalanceForRentExemption(BigInt(count(size, "the size")));
  },

  getBalance(ledger, [which, given]) {
    const account = ledger.account(address(which));
    options(ledger, given);
    return inContext(ledger, account?.lamports ?? 0);
  },

  getAccountInfo(ledger, [which, given]) {
    const account = ledger.account(address(which));
    const how = options(ledger, given);
    return inContext(ledger, account && shown(account, how));
  },

  getMultipleAccounts(ledger, [which, given]) {
    const addresses = list(which, "the addresses");
    if (addresses.length > MOST_ACCOUNTS) throw invalid(`Too many inputs provided; max ${MOST_ACCOUNTS}`);
    const accounts = addresses.map((one) => ledger.account(address(one)));
    const how = { encoding: "base64", ...options(ledger, given) };
    return inContext(ledger, accounts.map((account) => account && shown(account, how)));
  },

  getProgramAccounts(ledger, [program, given]) {
    const owner = address(program);
    const how = options(ledger, given);
    const filters = list(how.filters ?? [], "filters");
    if (filters.length > MOST_FILTERS) throw invalid(`Too many filters provided; max ${MOST_FILTERS}`);
    const tests = filters.map(filter);
    const found = ledger
      .accountsOf(owner)
      .filter(([, account]) => tests.every((test) => test(account)))
      .map(([pubkey, account]) => ({ pubkey, account: shown(account, how) }));
    return how.withContext ? inContext(ledger, found) : found;
  },

  getTokenAccountsByOwner(ledger, [owner, which, given]) {
    const holder = address(owner);
    const how = options(ledger, given);
    const { program, mint } = tokenFilter(ledger, which);
    const found = ledger
      .accountsOf(base58.decode(program))
      .filter(([, account]) => isTokenAccount(account) && account.data.subarray(32, 64).equals(holder))
      .filter(([, account]) => !mint || account.data.subarray(0, 32).equals(mint))
      .map(([pubkey, account]) => ({ pubkey, account: shown(account, how) }));
    return inContext(ledger, found);
  },

  getSignatureStatuses(ledger, [which]) {
    const signatures = list(which, "the signatures");
    if (signatures.length > MOST_STATUSES) throw invalid(`Too many inputs provided; max ${MOST_STATUSES}`);
    const statuses = signatures.map((signature) => {
      if (base58.decode(text(signature, "a signature"))?.length !== 64) throw invalid("Invalid param: WrongSize");
      const outcome = ledger.outcomes.get(signature);
      if (!outcome) return null;
      const { slot, error } = outcome;
      const status = error ? { Err: error } : { Ok: null };
      return { slot, confirmations: null, err: error, status, confirmationStatus: "finalized" };
    });
    return inContext(ledger, statuses);
  },

  sendTransaction(ledger, [sent, given]) {
    const how = options(ledger, given);
    const bytes = transaction(sent, how.encoding);
    if (!how.skipPreflight) {
      const outcome = ledger.simulate(bytes);
      if (outcome.error === "SignatureFailure") {
        throw new RpcError(SIGNATURE_FAILURE, "Transaction signature verification failure");
      }
      if (outcome.error) throw refused(outcome);
    }
    // Without preflight a validator answers the signature of anything: whether it went through is for a later question.
    return ledger.send(bytes).signature;
  },

  simulateTransaction(ledger, [sent, given]) {
    const how = options(ledger, given);
    const bytes = transaction(sent, how.encoding);
    if (how.sigVerify && how.replaceRecentBlockhash) {
      throw invalid("sigVerify may not be used with replaceRecentBlockhash");
    }
    const checks = { checkSignatures: how.sigVerify === true, checkBlockhash: how.replaceRecentBlockhash !== true };
    const outcome = ledger.simulate(bytes, checks);
    if (outcome.error === "SignatureFailure") {
      throw new RpcError(SIGNATURE_FAILURE, "Transaction signature verification failure");
    }
    const replacementBlockhash = how.replaceRecentBlockhash ? ledger.blockhash() : null;
    return inContext(ledger, { ...simulated(outcome), replacementBlockhash });
  },

  requestAirdrop(ledger, [which, lamports, given]) {
    const receiver = address(which);
    options(ledger, given);
    const outcome = ledger.airdrop(receiver, BigInt(count(lamports, "lamports")));
    if (outcome.error) throw refused(outcome);
    return outcome.signature;
  },
};

// What no validator has.
const CHEATS = {
  /** [address, {lamports, data (base64), owner, executable}]: lamports default to the rent's, 0 removes. */
  streamgate_setAccount(ledger, [which, given = {}]) {
    const data = Buffer.from(text(given.data ?? "", "data"), "base64");
    const rent = ledger.vm.minimumBalanceForRentExemption(BigInt(data.length));
    ledger.place(address(which), {
      lamports: given.lamports === undefined ? rent : BigInt(count(given.lamports, "lamports")),
      data,
      owner: address(given.owner ?? "11111111111111111111111111111111", "owner"),
      executable: given.executable === true,
    });
    return ledger.slot;
  },

  /** [count]: answers the slot it then is. */
  streamgate_advanceSlots: (ledger, [by = 1]) => ledger.advance(count(by, "the count", 1_000_000)),

  /** Answers a number for `streamgate_revert`. */
  streamgate_snapshot: (ledger) => ledger.snapshot(),

  /** [number]: accounts as they were; the slots go on. */
  streamgate_revert(ledger, [number]) {
    if (!ledger.revert(number)) throw invalid("Invalid param: no such snapshot");
    return ledger.slot;
  },

  /** Writes the state file now. */
  streamgate_save(ledger) {
    ledger.save();
    return true;
  },

  /** Comes back from the state file as after a crash: what was not saved is lost. */
  streamgate_restart(ledger) {
    if (!ledger.restart()) throw invalid("Invalid param: no state was saved");
    return ledger.slot;
  },
};

export const METHODS = new Map([...Object.entries(SOLANA), ...Object.entries(CHEATS)]);
