//! `cf.cwt.validateToken`: "CWT support for CloudFront Functions" in the developer guide.
//!
//! Documented: COSE_MAC0 (RFC 8152) with HS256, its tag required and the CWT tag before it optional, 1 KB at most; the
//! key as string or Buffer; no check of any claim; keys of claims as strings. Not documented, and done here as a
//! lenient decoder would: any well-formed CBOR is taken, and what follows it is not looked at.

use ciborium::Value as Cbor;
use hmac::{Hmac, Mac as _};
use rquickjs::{Ctx, Function, IntoJs as _, Object, TypedArray, Value};
use sha2::Sha256;

use super::codec::{bytes, thrown};

const LONGEST: usize = 1_024;
const CWT: u64 = 61;
const COSE_MAC0: u64 = 17;
const HS256: i64 = 5;

/// Checks a token with a key, both as bytes in strings; `buffer` makes a Buffer of an array of bytes.
pub fn validate<'js>(
    ctx: Ctx<'js>,
    token: String,
    key: String,
    buffer: Function<'js>,
) -> rquickjs::Result<Object<'js>> {
    let token = bytes(&token)?;
    if token.len() > LONGEST {
        return Err(thrown("the token is longer than 1 KB"));
    }
    let read = |bytes: &[u8]| {
        ciborium::from_reader::<Cbor, _>(bytes).map_err(|_| thrown("the token is not CBOR"))
    };
    let item = match read(&token)? {
        Cbor::Tag(CWT, inside) => *inside,
        item => item,
    };
    let parts = match item {
        Cbor::Tag(COSE_MAC0, inside) => inside.into_array().unwrap_or_default(),
        _ => Vec::new(),
    };
    let [
        Cbor::Bytes(protected),
        unprotected @ Cbor::Map(_),
        Cbor::Bytes(payload),
        Cbor::Bytes(tag),
    ] = parts.as_slice()
    else {
        return Err(thrown("the token is no COSE_MAC0"));
    };
    let headers = read(protected)?;
    let algorithm = headers.as_map().and_then(|entries| {
        entries.iter().find(|(name, _)| *name == Cbor::from(1)).map(|(_, value)| value)
    });
    if algorithm != Some(&Cbor::from(HS256)) {
        return Err(thrown("the algorithm is not HS256"));
    }
    let structure = Cbor::Array(vec![
        Cbor::from("MAC0"),
        Cbor::Bytes(protected.clone()),
        Cbor::Bytes(Vec::new()),
        Cbor::Bytes(payload.clone()),
    ]);
    let mut message = Vec::new();
    ciborium::into_writer(&structure, &mut message).map_err(|_| thrown("the token is not CBOR"))?;
    Hmac::<Sha256>::new_from_slice(&bytes(&key)?)
        .map_err(|_| thrown("the key can't be used"))?
        .chain_update(message)
        .verify_slice(tag)
        .map_err(|_| thrown("the MAC does not fit"))?;
    let answer = Object::new(ctx.clone())?;
    answer.set("protectedHeaders", script(&ctx, &headers, &buffer)?)?;
    answer.set("unprotectedHeaders", script(&ctx, unprotected, &buffer)?)?;
    answer.set("payload", script(&ctx, &read(payload)?, &buffer)?)?;
    Ok(answer)
}

fn script<'js>(
    ctx: &Ctx<'js>,
    item: &Cbor,
    buffer: &Function<'js>,
) -> rquickjs::Result<Value<'js>> {
    match item {
        Cbor::Integer(number) => (i128::from(*number) as f64).into_js(ctx),
        Cbor::Float(number) => number.into_js(ctx),
        Cbor::Bool(truth) => truth.into_js(ctx),
        Cbor::Text(text) => text.as_str().into_js(ctx),
        Cbor::Bytes(bytes) => buffer.call((TypedArray::new(ctx.clone(), bytes.clone())?,)),
        Cbor::Array(items) => {
            let array = rquickjs::Array::new(ctx.clone())?;
            for (at, item) in items.iter().enumerate() {
                array.set(at, script(ctx, item, buffer)?)?;
            }
            Ok(array.into_value())
        }
        Cbor::Map(entries) => {
            let object = Object::new(ctx.clone())?;
            for (key, value) in entries {
                let key = match key {
                    Cbor::Integer(number) => i128::from(*number).to_string(),
                    Cbor::Text(text) => text.clone(),
                    _ => return Err(thrown("a key that is neither a number nor text")),
                };
                object.set(key, script(ctx, value, buffer)?)?;
            }
            Ok(object.into_value())
        }
        Cbor::Null => Ok(Value::new_null(ctx.clone())),
        _ => Err(thrown("an item that has no counterpart")),
    }
}
