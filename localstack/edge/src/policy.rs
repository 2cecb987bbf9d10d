//! What a signed policy allows: canned and custom policies, their conditions, and the check of one request. Pure.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;

use crate::pattern;
use crate::refusal::Refusal;

/// A policy whose signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    resource: Option<String>,
    less_than: u64,
    greater_than: Option<u64>,
    source: Option<Range>,
}

/// An IPv4 range. CloudFront's `IpAddress` has no IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    network: u32,
    bits: u8,
}

// CloudFront asks for exactly these members and takes one statement. Anything more is refused: a condition that is not
// understood must not be ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Statement")]
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Resource")]
    resource: Option<String>,
    #[serde(rename = "Condition")]
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "DateLessThan")]
    less_than: Epoch,
    #[serde(rename = "DateGreaterThan")]
    greater_than: Option<Epoch>,
    #[serde(rename = "IpAddress")]
    address: Option<Address>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Epoch {
    #[serde(rename = "AWS:EpochTime")]
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    #[serde(rename = "AWS:SourceIp")]
    range: String,
}

/// The text a canned policy's signature covers, byte for byte as documented.
pub fn canned_text(url: &str, expires: u64) -> String {
    format!(
        r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    )
}

impl Policy {
    /// A canned policy: this URL, until then.
    pub fn canned(expires: u64) -> Self {
        // The URL took part in the signature itself, so nothing is left to match.
        Self { resource: None, less_than: expires, greater_than: None, source: None }
    }

    /// Reads a custom policy.
    pub fn custom(text: &[u8]) -> Result<Self, Refusal> {
        let document: Document =
            serde_json::from_slice(text).map_err(|_| Refusal::MalformedPolicy)?;
        let mut statements = document.statement.into_iter();
        let (Some(statement), None) = (statements.next(), statements.next()) else {
            return Err(Refusal::StatementCount);
        };
        let source = match &statement.condition.address {
            Some(address) => Some(Range::parse(&address.range).ok_or(Refusal::MalformedPolicy)?),
            None => None,
        };
        Ok(Self {
            resource: statement.resource,
            less_than: statement.condition.less_than.seconds,
            greater_than: statement.condition.greater_than.map(|from| from.seconds),
            source,
        })
    }

    /// Whether the policy allows this URL (without CloudFront's own parameters) at this time to this address.
    pub fn allows(&self, url: &str, now: u64, viewer: IpAddr) -> Result<(), Refusal> {
        // A custom policy without a resource covers everything the key group does; CloudFront documents that.
        if self.resource.as_ref().is_some_and(|resource| !pattern::matches(resource, url)) {
            return Err(Refusal::ResourceMismatch);
        }
        if now >= self.less_than {
            return Err(Refusal::Expired);
        }
        if self.greater_than.is_some_and(|from| now <= from) {
            return Err(Refusal::NotYetValid);
        }
        if self.source.is_some_and(|range| !range.contains(viewer)) {
            return Err(Refusal::AddressMismatch);
        }
        Ok(())
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => {
                if bits.is_empty() || !bits.bytes().all(|digit| digit.is_ascii_digit()) {
                    return None;
                }
                (address, bits.parse::<u8>().ok()?)
            }
            None => (text, 32),
        };
        if bits > 32 {
            return None;
        }
        let network = address.parse::<Ipv4Addr>().ok()?.to_bits() & mask(bits);
        Some(Self { network, bits })
    }

    fn contains(self, viewer: IpAddr) -> bool {
        // A viewer on IPv6 fails every range, as AWS warns; an IPv4 viewer of a dual-stack socket is IPv4.
        match viewer.to_canonical() {
            IpAddr::V4(address) => address.to_bits() & mask(self.bits) == self.network,
            IpAddr::V6(_) => false,
        }
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));

    fn custom(text: &str) -> Result<Policy, Refusal> {
        Policy::custom(text.as_bytes())
    }

    #[test]
    fn the_canned_text_is_the_documented_one() {
        assert_eq!(
            canned_text("https://d1.cloudfront.net/a?b=c", 1_767_225_600),
            concat!(
                r#"{"Statement":[{"Resource":"https://d1.cloudfront.net/a?b=c","#,
                r#""Condition":{"DateLessThan":{"AWS:EpochTime":1767225600}}}]}"#
            )
        );
    }

    #[test]
    fn every_condition_must_hold() {
        let policy = custom(
            r#"{"Statement":[{"Resource":"http://e/v/a/*","Condition":{"IpAddress":{"AWS:SourceIp":
            "192.0.2.0/24"},"DateGreaterThan":{"AWS:EpochTime":100},"DateLessThan":{"AWS:EpochTime":200}}}]}"#,
        )
        .unwrap();
        assert_eq!(policy.allows("http://e/v/a/x?y=z", 150, HERE), Ok(()));
        assert_eq!(policy.allows("http://e/v/b/x", 150, HERE), Err(Refusal::ResourceMismatch));
        assert_eq!(policy.allows("https://e/v/a/x", 150, HERE), Err(Refusal::ResourceMismatch));
        assert_eq!(policy.allows("http://e/v/a/x", 200, HERE), Err(Refusal::Expired));
        assert_eq!(policy.allows("http://e/v/a/x", 199, HERE), Ok(()));
        assert_eq!(policy.allows("http://e/v/a/x", 100, HERE), Err(Refusal::NotYetValid));
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 3, 77));
        assert_eq!(policy.allows("http://e/v/a/x", 150, elsewhere), Err(Refusal::AddressMismatch));
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(policy.allows("http://e/v/a/x", 150, six), Err(Refusal::AddressMismatch));
        let mapped: IpAddr = "::ffff:192.0.2.9".parse().unwrap();
        assert_eq!(policy.allows("http://e/v/a/x", 150, mapped), Ok(()));
    }

    #[test]
    fn a_missing_resource_covers_everything() {
        let policy =
            custom(r#"{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":200}}}]}"#)
                .unwrap();
        assert_eq!(policy.allows("http://e/anything", 150, HERE), Ok(()));
    }

    #[test]
    fn what_is_not_exactly_a_policy_is_refused() {
        let date = r#""DateLessThan":{"AWS:EpochTime":200}"#;
        for text in [
            "".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"Statement":{}}"#.to_owned(),
            r#"{"Statement":[{"Resource":"*"}]}"#.to_owned(),
            r#"{"Statement":[{"Resource":"*","Condition":{}}]}"#.to_owned(),
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":"200"}}}]}"#.to_owned(),
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":-1}}}]}"#.to_owned(),
            r#"{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":2e2}}}]}"#.to_owned(),
            format!(r#"{{"Statement":[{{"Resource":["*"],"Condition":{{{date}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Resource":"*","Effect":"Deny","Condition":{{{date}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Resource":"*","Condition":{{{date},{date}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Resource":"a","Resource":"*","Condition":{{{date}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Resource":"*","Condition":{{{date},"StringEquals":{{}}}}}}]}}"#),
            format!(r#"{{"Statement":[{{"Resource":"*","Condition":{{{date}}}}}]}} x"#),
        ] {
            assert_eq!(custom(&text), Err(Refusal::MalformedPolicy), "{text}");
        }
        for range in
            ["", "300.1.1.1", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/0", "10.0.0/8"]
        {
            let text = format!(
                r#"{{"Statement":[{{"Condition":{{{date},"IpAddress":{{"AWS:SourceIp":"{range}"}}}}}}]}}"#
            );
            assert_eq!(custom(&text), Err(Refusal::MalformedPolicy), "{range}");
        }
    }

    #[test]
    fn exactly_one_statement() {
        let one = r#"{"Condition":{"DateLessThan":{"AWS:EpochTime":200}}}"#;
        assert_eq!(custom(r#"{"Statement":[]}"#), Err(Refusal::StatementCount));
        assert_eq!(
            custom(&format!(r#"{{"Statement":[{one},{one}]}}"#)),
            Err(Refusal::StatementCount)
        );
    }

    #[test]
    fn ranges_have_documented_edges() {
        let all = Range::parse("0.0.0.0/0").unwrap();
        assert!(all.contains(HERE));
        let one = Range::parse("192.0.2.77").unwrap();
        assert!(one.contains(HERE) && !one.contains(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 78))));
        assert!(Range::parse("192.0.2.99/24").unwrap().contains(HERE), "host bits do not matter");
    }
}
