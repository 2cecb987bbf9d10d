// Reads a transaction's wire format, as far as the server must: the native VM ends the process on bytes that don't
// parse.

import * as base58 from "./base58.mjs";

// What fits one UDP packet of IPv6's smallest size, less the headers: no validator takes more.
const MAXIMUM_SIZE = 1232;

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.position = 0;
  }

  take(count) {
    if (this.position + count > this.bytes.length) throw new Error("io error: unexpected end of file");
    this.position += count;
    return this.bytes.subarray(this.position - count, this.position);
  }

  byte() {
    return this.take(1)[0];
  }

  /** A count in one to three bytes of seven bits. */
  compact() {
    let value = 0;
    for (let place = 0; place < 3; place += 1) {
      const byte = this.byte();
      value |= (byte & 0x7f) << (7 * place);
      if (byte < 0x80) {
        if (place > 0 && byte === 0) throw new Error("invalid value: a count in more bytes than it needs");
        if (value > 0xffff) break;
        return value;
      }
    }
    throw new Error("invalid value: a count of more than 16 bits");
  }

  list(read) {
    return Array.from({ length: this.compact() }, read);
  }
}

/** First signature and blockhash in base58; throws an Error that says what is wrong with the bytes. */
export function parse(bytes) {
  if (bytes.length > MAXIMUM_SIZE) throw new Error(`too large: ${bytes.length} bytes (max: ${MAXIMUM_SIZE} bytes)`);
  const reader = new Reader(bytes);
  const signatures = reader.list(() => reader.take(64));
  const first = reader.byte();
  const versioned = (first & 0x80) !== 0;
  if (versioned && first !== 0x80) throw new Error(`unsupported transaction version ${first & 0x7f}`);
  // What needs a signature; how many of those, and of the rest, are read-only.
  reader.take(versioned ? 3 : 2);
  reader.list(() => reader.take(32));
  const blockhash = base58.encode(reader.take(32));
  reader.list(() => {
    reader.byte();
    reader.list(() => reader.byte());
    reader.list(() => reader.byte());
  });
  if (versioned) {
    reader.list(() => {
      reader.take(32);
      reader.list(() => reader.byte());
      reader.list(() => reader.byte());
    });
  }
  if (reader.position !== bytes.length) throw new Error("bytes are left over");
  if (!signatures.length) throw new Error("no signature");
  return { signature: base58.encode(signatures[0]), blockhash };
}
