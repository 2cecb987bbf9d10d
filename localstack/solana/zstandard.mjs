// Zstandard frames (RFC 8878) of stored blocks: Node 20 has no compressor, and any decoder takes these.

const LARGEST_BLOCK = 128 * 1024;
const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
// One segment, and the content's size in four bytes.
const DESCRIPTOR = Buffer.from([0xa0]);

/** A frame that holds `bytes` as they are. */
export function frame(bytes) {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes.length);
  const parts = [MAGIC, DESCRIPTOR, size];
  let start = 0;
  do {
    const block = bytes.subarray(start, start + LARGEST_BLOCK);
    start += block.length;
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (start === bytes.length ? 1 : 0), 0, 3);
    parts.push(header, block);
  } while (start < bytes.length);
  return Buffer.concat(parts);
}
