// Base58 with Bitcoin's alphabet, as Solana writes addresses, hashes and signatures.

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** The text of some bytes. */
export function encode(bytes) {
  let number = 0n;
  for (const byte of bytes) number = number * 256n + BigInt(byte);
  let text = "";
  for (; number > 0n; number /= 58n) text = ALPHABET[Number(number % 58n)] + text;
  // The number does not show zeros in front, so each is written as the first letter.
  for (const byte of bytes) {
    if (byte) break;
    text = ALPHABET[0] + text;
  }
  return text;
}

/** The bytes of a text, or null when it is not base58. */
export function decode(text) {
  let number = 0n;
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) return null;
    number = number * 58n + BigInt(digit);
  }
  const bytes = [];
  for (; number > 0n; number /= 256n) bytes.unshift(Number(number % 256n));
  for (const letter of text) {
    if (letter !== ALPHABET[0]) break;
    bytes.unshift(0);
  }
  return Buffer.from(bytes);
}
