//! What a path may be bound to, so that who copies it can't use it elsewhere.
//!
//! The viewer asks for it, and it protects the viewer. It keeps nobody from sharing who wants to.

use crate::edge_token::{Prefix, agent_digest, is_country};
use serde::{Deserialize, Serialize};

/// Browsers' user agents have some 120 characters.
const LONGEST_AGENT: usize = 512;

/// Each is looked at on its own: a header that is missing refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Addresses, as in `203.0.113.0/24` or `2001:db8::/48`; without `/` one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Prefix>,
    /// Where the viewer is (ISO 3166-1 alpha-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The player's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<UserAgent>,
}

impl Binding {
    /// Whether it binds to nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Two upper-case letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Country(String);

impl Country {
    /// As CloudFront writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Country {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_country(&text) { Ok(Self(text)) } else { Err("a country is two upper-case letters") }
    }
}

/// 1 to 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserAgent(String);

impl UserAgent {
    /// What a token keeps of it.
    pub fn digest(&self) -> [u8; 16] {
        agent_digest(&self.0)
    }
}

impl TryFrom<String> for UserAgent {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=LONGEST_AGENT).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err("a user agent has 1 to 512 bytes")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Option<Binding> {
        serde_json::from_value(value.clone()).ok()
    }

    #[test]
    fn what_is_bound_to_is_written_as_it_is_read() {
        for (given, kept) in [
            (json!({}), json!({})),
            (json!({"address": "203.0.113.7/24"}), json!({"address": "203.0.113.0/24"})),
            (json!({"address": "203.0.113.7"}), json!({"address": "203.0.113.7/32"})),
            (json!({"address": "2001:DB8::1/48"}), json!({"address": "2001:db8::/48"})),
            (json!({"address": "::ffff:203.0.113.7/120"}), json!({"address": "203.0.113.0/24"})),
            (
                json!({"country": "DE", "user_agent": "x"}),
                json!({"country": "DE", "user_agent": "x"}),
            ),
        ] {
            let binding = read(&given).unwrap();
            assert_eq!(serde_json::to_value(&binding).unwrap(), kept, "{given}");
            assert_eq!(read(&kept), Some(binding), "{given}");
        }
    }

    #[test]
    fn what_binds_to_nothing_that_is_is_refused() {
        for bad in [
            json!({"address": "203.0.113.0/33"}),
            json!({"address": "203.0.113.0/"}),
            json!({"address": "203.0.113.0/+8"}),
            json!({"address": "203.0.113/24"}),
            json!({"address": "2001:db8::/129"}),
            json!({"address": ""}),
            json!({"country": "de"}),
            json!({"country": "DEU"}),
            json!({"user_agent": ""}),
            json!({"user_agent": "x".repeat(513)}),
            json!({"more": 1}),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
