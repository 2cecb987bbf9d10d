//! Token metadata that is on the chain itself: `data:application/json` in ERC-721's `tokenURI`.

use crate::condition::Trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(default)]
    trait_type: String,
    #[serde(default)]
    value: Value,
}

/// Whether a token URI's metadata has every one of `wanted`.
///
/// # Errors
/// Why the URI can't be used, for people: nothing is ever fetched.
pub(super) fn has_traits(uri: &str, wanted: &[Trait]) -> Result<bool, String> {
    let text = uri
        .strip_prefix("data:application/json")
        .ok_or("the token's metadata is not on the chain")?;
    let (options, data) = text.split_once(',').ok_or("the token's metadata is no data URI")?;
    let bytes = if options.ends_with(";base64") {
        STANDARD.decode(data).map_err(|_| "the token's metadata is no base64")?
    } else {
        percent_decoded(data).ok_or("the token's metadata is badly escaped")?
    };
    let metadata: Metadata =
        serde_json::from_slice(&bytes).map_err(|_| "the token's metadata is no JSON metadata")?;
    Ok(wanted.iter().all(|Trait { name, value }| {
        metadata.attributes.iter().any(|attribute| {
            attribute.trait_type == *name
                && match &attribute.value {
                    Value::String(text) => text == value,
                    Value::Number(number) => number.to_string() == *value,
                    Value::Bool(yes) => yes.to_string() == *value,
                    _ => false,
                }
        })
    }))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.extend(hex::decode(digits).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(name: &str, value: &str) -> Vec<Trait> {
        vec![Trait { name: name.into(), value: value.into() }]
    }

    const JSON: &str = r#"{"name":"a","attributes":[{"trait_type":"Hat","value":"Red"},{"trait_type":"Level","value":3}]}"#;

    #[test]
    fn traits_are_read_from_either_form_of_data_uri() {
        let base64 = format!("data:application/json;base64,{}", STANDARD.encode(JSON));
        let plain = format!("data:application/json;utf8,{}", JSON.replace('"', "%22"));
        for uri in [&base64, &plain] {
            assert_eq!(has_traits(uri, &wants("Hat", "Red")), Ok(true));
            assert_eq!(has_traits(uri, &wants("Level", "3")), Ok(true));
            assert_eq!(has_traits(uri, &wants("Hat", "Blue")), Ok(false));
            assert_eq!(has_traits(uri, &wants("Shoes", "Red")), Ok(false));
            let both = [wants("Hat", "Red"), wants("Level", "4")].concat();
            assert_eq!(has_traits(uri, &both), Ok(false));
        }
    }

    #[test]
    fn metadata_elsewhere_or_broken_says_so() {
        for uri in [
            "https://example.com/1.json",
            "ipfs://x",
            "data:text/html,{}",
            "data:application/json;base64,***",
            "data:application/json;base64,e30=e30=",
            "data:application/json,%2",
            "data:application/json",
            "",
        ] {
            assert!(has_traits(uri, &wants("Hat", "Red")).is_err(), "{uri}");
        }
        assert_eq!(has_traits("data:application/json,{}", &wants("Hat", "Red")), Ok(false));
    }
}
