//! Sign In With Solana: EIP-4361's text for Solana accounts, signed with Ed25519.
//!
//! The grammar is the one of Phantom's specification (`sign-in-with-solana`, "ABNF Message Format"),
//! in which everything behind the address is optional. We ask for URI, version, chain, nonce and
//! issued-at, because the checks need them, and take a CAIP-2 name as chain id, too. A statement
//! that begins like a field is read as that field.

use super::{Message, SignInError, grammar};
use crate::account::{Account, ChainId, Pubkey, Wallet};
use ed25519_dalek::{Signature, VerifyingKey};
use std::fmt;
use std::str::FromStr;

pub(super) const HEADER: &str = " wants you to sign in with your Solana account:";
const RESOURCES: &str = "Resources:";
/// The fields of one line, in the order in which they must stand.
const TAGS: [&str; 8] = [
    "URI: ",
    "Version: ",
    "Chain ID: ",
    "Nonce: ",
    "Issued At: ",
    "Expiration Time: ",
    "Not Before: ",
    "Request ID: ",
];
/// The well-known clusters' short names.
const CLUSTERS: [(&str, &str); 3] = [
    ("mainnet", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
    ("devnet", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"),
    ("testnet", "solana:4uhcVJyU9pJkvQyS88uRDiswHXSGkY3z"),
];

/// A message's parts as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Who asks for the signature.
    pub domain: &'a str,
    /// Who signs.
    pub address: &'a str,
    /// What a person reads.
    pub statement: Option<&'a str>,
    /// URI, version, chain id, nonce, issued at, expiration time, not before, request id.
    pub fields: [Option<&'a str>; 8],
    /// More URIs.
    pub resources: Option<Vec<&'a str>>,
}

/// Takes a message apart by its lines; what stands in them is not looked at.
///
/// # Errors
/// [`SignInError::Malformed`].
pub fn parse(text: &str) -> Result<Parts<'_>, SignInError> {
    let mut lines = text.split('\n').peekable();
    let domain = lines.next().and_then(|line| line.strip_suffix(HEADER));
    let domain = domain.ok_or_else(|| malformed("the first line"))?;
    let address = lines.next().ok_or_else(|| malformed("no address"))?;
    let (mut statement, mut fields, mut resources) = (None, [None; 8], None);
    // An empty line stands before the statement, and one before the fields.
    lines.next();
    if lines.peek().is_some_and(|line| !is_field(line)) {
        statement = lines.next();
        lines.next();
    }
    for (tag, field) in TAGS.iter().zip(&mut fields) {
        *field = lines.peek().and_then(|line| line.strip_prefix(tag));
        if field.is_some() {
            lines.next();
        }
    }
    if lines.next_if_eq(&RESOURCES).is_some() {
        let uris: Option<Vec<_>> = lines.map(|line| line.strip_prefix("- ")).collect();
        resources = Some(uris.ok_or_else(|| malformed("a resource is \"- \" and a URI"))?);
    }
    let parts = Parts { domain, address, statement, fields, resources };
    // What was signed must be what was read: no line too many, too few or out of its place.
    if parts.to_string() != text {
        return Err(malformed("a line is missing, misplaced or no field"));
    }
    Ok(parts)
}

fn is_field(line: &str) -> bool {
    line == RESOURCES || TAGS.iter().any(|tag| line.starts_with(tag))
}

impl fmt::Display for Parts<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{HEADER}\n{}", self.domain, self.address)?;
        if let Some(statement) = self.statement {
            write!(out, "\n\n{statement}")?;
        }
        let mut gap = "\n\n";
        for (tag, field) in TAGS.iter().zip(self.fields) {
            if let Some(field) = field {
                write!(out, "{gap}{tag}{field}")?;
                gap = "\n";
            }
        }
        if let Some(resources) = &self.resources {
            write!(out, "{gap}{RESOURCES}")?;
            for resource in resources {
                write!(out, "\n- {resource}")?;
            }
        }
        Ok(())
    }
}

pub(super) fn read(text: &str) -> Result<Message, SignInError> {
    let parts = parse(text)?;
    let [uri, version, chain, nonce, issued_at, expiration_time, not_before, request_id] =
        parts.fields;
    let wallet = Pubkey::from_str(parts.address).map_err(malformed)?;
    if !grammar::is_authority(parts.domain) {
        return Err(malformed("the domain is no authority"));
    }
    if !parts.statement.is_none_or(|text| !text.is_empty() && grammar::is_statement(text)) {
        return Err(malformed("a statement holds letters, digits, spaces and URI punctuation"));
    }
    let uri = uri.filter(|uri| grammar::is_uri(uri)).ok_or_else(|| malformed("URI"))?;
    if version != Some("1") {
        return Err(malformed("Version"));
    }
    let chain = chain.and_then(cluster).ok_or_else(|| malformed("Chain ID"))?;
    let nonce = nonce.filter(|nonce| grammar::is_nonce(nonce)).ok_or_else(|| malformed("Nonce"))?;
    let issued_at = issued_at.and_then(grammar::date_time).ok_or_else(|| malformed("Issued At"))?;
    let optional = |field: Option<&str>, name| {
        field.map(|text| grammar::date_time(text).ok_or_else(|| malformed(name))).transpose()
    };
    let expiration_time = optional(expiration_time, "Expiration Time")?;
    let not_before = optional(not_before, "Not Before")?;
    if !request_id.is_none_or(grammar::is_request_id) {
        return Err(malformed("Request ID"));
    }
    if !parts.resources.iter().flatten().all(|resource| grammar::is_uri(resource)) {
        return Err(malformed("Resources"));
    }
    Ok(Message {
        scheme: None,
        domain: parts.domain.into(),
        account: Account { chain, wallet: Wallet::Solana(wallet) },
        uri: uri.into(),
        nonce: nonce.into(),
        issued_at,
        expiration_time,
        not_before,
    })
}

/// By its CAIP-2 name, or a well-known cluster's short one with or without `solana:`.
fn cluster(text: &str) -> Option<ChainId> {
    let short = text.strip_prefix("solana:").unwrap_or(text);
    let name = CLUSTERS.iter().find(|(known, _)| *known == short).map_or(text, |(_, name)| name);
    name.parse().ok().filter(|chain| matches!(chain, ChainId::Solana(_)))
}

/// Whether the wallet's key signed this very text. The signature is 64 bytes in base58.
///
/// Strict: a key of small order, for which one signature fits many texts, signs nothing.
pub(super) fn is_signed(wallet: Pubkey, text: &str, signature: &str) -> bool {
    let mut bytes = [0; 64];
    if bs58::decode(signature).onto(&mut bytes) != Ok(64) {
        return false;
    }
    VerifyingKey::from_bytes(&wallet.0)
        .is_ok_and(|key| key.verify_strict(text.as_bytes(), &Signature::from_bytes(&bytes)).is_ok())
}

fn malformed(reason: impl ToString) -> SignInError {
    SignInError::Malformed(reason.to_string())
}
