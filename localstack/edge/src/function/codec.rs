//! The prelude's natives: encodings and digests. Bytes come as strings of code points below 256.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::Mac as _;
use rquickjs::{Ctx, TypedArray};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// An exception with this message.
pub fn thrown(message: &str) -> rquickjs::Error {
    rquickjs::Error::new_from_js_message("value", "value", message)
}

/// The bytes of such a string.
pub fn bytes(latin: &str) -> rquickjs::Result<Vec<u8>> {
    let byte = |letter: char| u8::try_from(letter).map_err(|_| thrown("not a byte"));
    latin.chars().map(byte).collect()
}

/// As Buffer reads text: what is no base64 is skipped, padding is optional.
pub fn decode<'js>(
    ctx: Ctx<'js>,
    text: String,
    encoding: String,
) -> rquickjs::Result<TypedArray<'js, u8>> {
    let bytes = match encoding.as_str() {
        "utf8" => text.into_bytes(),
        "hex" => hex::decode(text).map_err(|_| thrown("not hex"))?,
        "base64" | "base64url" => {
            let plain: String = text
                .chars()
                .filter_map(|letter| match letter {
                    '+' => Some('-'),
                    '/' => Some('_'),
                    '-' | '_' => Some(letter),
                    letter => letter.is_ascii_alphanumeric().then_some(letter),
                })
                .collect();
            let whole = if plain.len() % 4 == 1 { &plain[..plain.len() - 1] } else { &plain };
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true);
            GeneralPurpose::new(&alphabet::URL_SAFE, config)
                .decode(whole)
                .map_err(|_| thrown("not base64"))?
        }
        _ => return Err(thrown("no such encoding")),
    };
    TypedArray::new(ctx, bytes)
}

/// As Buffer writes text.
pub fn encode(latin: String, encoding: String) -> rquickjs::Result<String> {
    let bytes = bytes(&latin)?;
    Ok(match encoding.as_str() {
        "utf8" => String::from_utf8_lossy(&bytes).into_owned(),
        "hex" => hex::encode(bytes),
        "base64" => base64::engine::general_purpose::STANDARD.encode(bytes),
        "base64url" => base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes),
        _ => return Err(thrown("no such encoding")),
    })
}

/// `sha1` and `sha256`; `md5` is documented and not here.
pub fn hash<'js>(
    ctx: Ctx<'js>,
    algorithm: String,
    latin: String,
) -> rquickjs::Result<TypedArray<'js, u8>> {
    let message = bytes(&latin)?;
    let digest = match algorithm.as_str() {
        "sha1" => Sha1::digest(message).to_vec(),
        "sha256" => Sha256::digest(message).to_vec(),
        _ => return Err(thrown("no such algorithm")),
    };
    TypedArray::new(ctx, digest)
}

/// `sha256` only.
pub fn hmac<'js>(
    ctx: Ctx<'js>,
    algorithm: String,
    key: String,
    latin: String,
) -> rquickjs::Result<TypedArray<'js, u8>> {
    if algorithm != "sha256" {
        return Err(thrown("no such algorithm"));
    }
    let mac = hmac::Hmac::<Sha256>::new_from_slice(&bytes(&key)?).map_err(|_| thrown("no key"))?;
    TypedArray::new(ctx, mac.chain_update(bytes(&latin)?).finalize().into_bytes().to_vec())
}
