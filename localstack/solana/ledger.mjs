// A Solana chain of one node: the real virtual machine, with slots, blockhashes and a file to come back from.
//
// Limits: one fork, and what is processed is final at once; there are no votes, blocks or rewards to ask for.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";

import * as base58 from "./base58.mjs";
import { describe } from "./failures.mjs";
import { parse } from "./transaction.mjs";

/** Ours, and the same on every machine, so that the chain's CAIP-2 id can stand in a policy. */
export const GENESIS_HASH = base58.encode(createHash("sha256").update("StreamGate's local Solana chain").digest());

// For how many slots a transaction may name a blockhash, as on a real cluster.
const BLOCKHASH_SLOTS = 150;
// More than fit BLOCKHASH_SLOTS, for each takes a slot: what is forgotten can't be sent again.
const REMEMBERED_TRANSACTIONS = 1000;
const SLOTS_PER_EPOCH = 432_000n;
// What a crash may have lost of the slots that transactions took since the last save.
const SLOTS_AFTER_A_CRASH = 500;
const NO_RENT = 2n ** 64n - 1n;

export class Ledger {
  /** `native` is the VM's module; `programs` maps addresses to ELF files; `state` is a file, or undefined. */
  constructor(native, { version, programs, slotMilliseconds, state, say }) {
    Object.assign(this, { native, version, programs, slotMilliseconds, state, say });
    this.snapshots = new Map();
    const kept = this.#kept();
    this.#use(kept ? native.LiteSvm.fromBytes(kept.bytes) : new native.LiteSvm());
    // A chain goes on while a node is away, and never goes back.
    if (kept) this.advance(SLOTS_AFTER_A_CRASH + Math.floor((Date.now() - kept.savedAt) / slotMilliseconds));
    else this.advance(1);
    this.changed = true;
  }

  #use(vm) {
    this.vm = vm;
    // Checked here: the VM knows the latest blockhash only.
    vm.setBlockhashCheck(false);
    vm.setTransactionHistory(BigInt(REMEMBERED_TRANSACTIONS));
    for (const [address, elf] of this.programs) vm.addProgram(base58.decode(address), elf);
    this.slot = Number(vm.getClock().slot);
    this.blockhashes = new Map([[vm.latestBlockhash(), this.slot]]);
    this.outcomes = new Map();
  }

  // ---- Time

  /** Goes on by that many slots, each with a blockhash of its own. */
  advance(count = 1) {
    const clock = this.vm.getClock();
    this.slot += count;
    clock.slot = BigInt(this.slot);
    clock.epoch = clock.slot / SLOTS_PER_EPOCH;
    clock.leaderScheduleEpoch = clock.epoch + 1n;
    clock.unixTimestamp = BigInt(Math.floor(Date.now() / 1000));
    this.vm.setClock(clock);
    this.vm.expireBlockhash();
    this.blockhashes.set(this.vm.latestBlockhash(), this.slot);
    for (const [blockhash, slot] of this.blockhashes) {
      if (slot + BLOCKHASH_SLOTS >= this.slot) break;
      this.blockhashes.delete(blockhash);
    }
    return this.slot;
  }

  blockhash() {
    const blockhash = this.vm.latestBlockhash();
    return { blockhash, lastValidBlockHeight: this.blockhashes.get(blockhash) + BLOCKHASH_SLOTS };
  }

  // ---- Accounts

  /** Null when there is none. An account without lamports is no account. */
  account(address) {
    const found = this.vm.getAccount(address);
    return found && found.lamports() > 0n ? plain(found) : null;
  }

  /** All accounts of a program, by address in base58. */
  accountsOf(program) {
    return this.vm
      .getProgramAccounts(program)
      .map((entry) => [base58.encode(entry.address), plain(entry.account())])
      .filter(([, account]) => account.lamports > 0n)
      .sort(([one], [other]) => (one < other ? -1 : 1));
  }

  /** Writes an account as no transaction could. */
  place(address, { lamports, data, owner, executable }) {
    this.vm.setAccount(address, new this.native.Account(lamports, data, owner, executable, NO_RENT));
    this.changed = true;
    this.advance();
  }

  // ---- Transactions

  /** Runs a transaction without keeping what it does. */
  simulate(bytes, { checkSignatures = true, checkBlockhash = true } = {}) {
    const { blockhash } = parse(bytes);
    if (checkBlockhash && !this.blockhashes.has(blockhash)) return { error: "BlockhashNotFound", logs: [], units: 0n };
    this.vm.setSigverify(checkSignatures);
    try {
      return this.#outcome(this.vm.simulateVersionedTransaction(bytes));
    } finally {
      this.vm.setSigverify(true);
    }
  }

  /** Takes a transaction in. One that fails has still happened, and paid its fee. */
  send(bytes) {
    const { signature, blockhash } = parse(bytes);
    if (!this.blockhashes.has(blockhash)) return { signature, error: "BlockhashNotFound", logs: [], units: 0n };
    const outcome = { signature, ...this.#outcome(this.vm.sendVersionedTransaction(bytes)) };
    const known = this.outcomes.has(signature);
    if (known || ["SignatureFailure", "SanitizeFailure", "AlreadyProcessed"].includes(outcome.error)) return outcome;
    this.#remember(signature, outcome.error);
    return outcome;
  }

  /** Lamports from nowhere. It fails for less than an account must have. */
  airdrop(address, lamports) {
    const done = this.vm.airdrop(address, lamports);
    const outcome = this.#outcome(done);
    if (outcome.error) return outcome;
    const signature = base58.encode(done.signature());
    this.#remember(signature, null);
    return { signature, ...outcome };
  }

  #remember(signature, error) {
    this.changed = true;
    this.outcomes.set(signature, { slot: this.advance(), error });
    if (this.outcomes.size > REMEMBERED_TRANSACTIONS) this.outcomes.delete(this.outcomes.keys().next().value);
  }

  #outcome(done) {
    const failed = done instanceof this.native.FailedTransactionMetadata;
    const meta = done instanceof this.native.TransactionMetadata ? done : done.meta();
    const returned = meta.returnData();
    return {
      error: failed ? describe(this.native, done.err()) : null,
      logs: meta.logs(),
      units: meta.computeUnitsConsumed(),
      returned: returned.data().length ? { program: base58.encode(returned.programId()), data: returned.data() } : null,
    };
  }

  // ---- What was

  /** Remembers everything under a number that `revert` takes. */
  snapshot() {
    this.snapshots.set(this.snapshots.size + 1, this.vm.toBytes());
    return this.snapshots.size;
  }

  /** Accounts as they were, on a fork whose slots go on from here. False when there is no such snapshot. */
  revert(number) {
    const bytes = this.snapshots.get(number);
    if (!bytes) return false;
    const slot = this.slot;
    this.#use(this.native.LiteSvm.fromBytes(bytes));
    this.slot = Math.max(slot, this.slot);
    this.advance();
    this.changed = true;
    return true;
  }

  /** Forgets what is in memory and reads the file again, as a node does that was killed. */
  restart() {
    const kept = this.#kept();
    if (!kept) return false;
    const slot = this.slot;
    this.#use(this.native.LiteSvm.fromBytes(kept.bytes));
    this.slot = Math.max(slot, this.slot);
    this.advance();
    return true;
  }

  /** Writes the state file, if anything but time changed since the last. */
  save() {
    if (!this.state || !this.changed) return;
    const header = { version: this.version, genesis: GENESIS_HASH, savedAt: Date.now() };
    const next = `${this.state}.new`;
    writeFileSync(next, Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), this.vm.toBytes()]));
    renameSync(next, this.state);
    this.changed = false;
  }

  #kept() {
    if (!this.state) return null;
    let content;
    try {
      content = readFileSync(this.state);
    } catch (problem) {
      if (problem.code === "ENOENT") return null;
      throw problem;
    }
    const end = content.indexOf("\n");
    const header = JSON.parse(content.subarray(0, end).toString());
    if (header.version !== this.version || header.genesis !== GENESIS_HASH) {
      // The VM's own format: another version may not read it, and would end the process trying.
      this.say(`${this.state} is of version ${header.version}, this is ${this.version}: starting anew`);
      return null;
    }
    return { bytes: content.subarray(end + 1), savedAt: header.savedAt };
  }
}

function plain(account) {
  return {
    lamports: account.lamports(),
    data: Buffer.from(account.data()),
    owner: base58.encode(account.owner()),
    executable: account.executable(),
    rentEpoch: account.rentEpoch(),
  };
}
