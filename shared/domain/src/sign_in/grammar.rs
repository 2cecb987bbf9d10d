//! The pieces that both standards' grammars take from RFC 3986 and RFC 3339.

use iri_string::types::UriStr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `authority`, with a host.
pub fn is_authority(text: &str) -> bool {
    let with_scheme = format!("x://{text}");
    let Ok(uri) = UriStr::new(&with_scheme) else { return false };
    let whole = uri.authority_str() == Some(text) && uri.path_str().is_empty();
    let more = uri.query_str().is_some() || uri.fragment().is_some();
    whole && !more && uri.authority_components().is_some_and(|parts| !parts.host().is_empty())
}

/// `URI`.
pub fn is_uri(text: &str) -> bool {
    UriStr::new(text).is_ok()
}

/// `*( reserved / unreserved / " " )`.
pub fn is_statement(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || is_unreserved(byte) || is_reserved(byte))
}

/// `*pchar`.
pub fn is_request_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let encoded = byte == b'%' && {
            let digits = [bytes.next(), bytes.next()];
            digits.iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
        };
        let plain = is_unreserved(byte) || is_sub_delimiter(byte) || matches!(byte, b':' | b'@');
        if !encoded && !plain {
            return false;
        }
    }
    true
}

/// `8*( ALPHA / DIGIT )`.
pub fn is_nonce(text: &str) -> bool {
    text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `date-time`; answers with its Unix seconds.
pub fn date_time(text: &str) -> Option<i64> {
    // The parser takes anything between date and time.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_reserved(byte: u8) -> bool {
    is_sub_delimiter(byte) || matches!(byte, b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@')
}

fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_hosts_with_or_without_more() {
        for text in ["a.example", "a.example:80", "u@a.example", "127.0.0.1", "[::1]:8", "a%20b"] {
            assert!(is_authority(text), "{text}");
        }
        for text in ["", ":80", "u@", "a/b", "a?b", "a#b", "a b", "https://a", "a:b", "[::x]", "é"]
        {
            assert!(!is_authority(text), "{text}");
        }
    }

    #[test]
    fn request_ids_may_hold_whole_escapes_only() {
        for text in ["", "a:b@c", "%20", "a%2Fb", "~'()*+,;=!$&"] {
            assert!(is_request_id(text), "{text}");
        }
        for text in ["%", "%2", "%2g", "a b", "a/b", "a?b", "a#b", "\"", "é", "%é"] {
            assert!(!is_request_id(text), "{text}");
        }
    }

    #[test]
    fn times_are_of_rfc_3339() {
        assert_eq!(date_time("2027-01-15T08:00:00Z"), Some(1_800_000_000));
        assert_eq!(date_time("2027-01-15T08:00:00.999Z"), Some(1_800_000_000));
        assert_eq!(date_time("2027-01-15T10:30:00+02:30"), Some(1_800_000_000));
        for text in [
            "2027-01-15 08:00:00Z",
            "2027-01-15_08:00:00Z",
            "2027-01-15T08:00:00",
            "2027-02-30T08:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T08:00Z",
            "2027-1-15T08:00:00Z",
            "20270115T080000Z",
            "2027-01-15T08:00:00Z ",
            "1800000000",
            "",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
    }
}
