//! One reading of the path for everybody.
//!
//! CloudFront picks the behaviour by a normalised path and sends the raw one to the origin. A gap between the two is
//! how signed folders are escaped (`/v/mine/../other/x`). The edge keeps a single string for behaviour, policy, cache
//! and origin, and refuses every path of which a second reading exists. This is stricter than CloudFront.

/// Whether the path can be read in one way only.
pub fn is_unambiguous(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    let bytes = path.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let Some(value) = bytes.get(at + 1..at + 3).and_then(hex_pair) else {
                    return false;
                };
                // Encoded slashes and backslashes make folders out of names, an encoded percent sign hides a second
                // layer, controls have no business here, and a plain character needs no encoding: each of them gives
                // the same file two spellings.
                if matches!(value, b'/' | b'\\' | b'%') || value < 0x20 || value == 0x7f {
                    return false;
                }
                if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') {
                    return false;
                }
                at += 3;
            }
            byte if is_plain(byte) => at += 1,
            _ => return false,
        }
    }
    // An empty segment is only fine at the end: a folder address.
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last {
            return false;
        }
        // Path parameters (`..;x`) are dropped by some origins before they look for dots.
        if segment.split(';').next().is_some_and(|name| matches!(name, "." | "..")) {
            return false;
        }
    }
    percent_encoding::percent_decode_str(path).decode_utf8().is_ok()
}

/// What RFC 3986 lets stand unencoded in a path.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(pair).ok()?;
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in
            ["/", "/v/a/b.m4s", "/v/folder/", "/a%20b", "/caf%C3%A9", "/a(1)*.mp4", "/a;b=1/c"]
        {
            assert!(is_unambiguous(path), "{path}");
        }
    }

    #[test]
    fn paths_with_a_second_reading_do_not() {
        for path in [
            "",
            "v/a",
            "//v/a",
            "/v//a",
            "/v/../a",
            "/v/./a",
            "/..",
            "/v/%2e%2e/a",
            "/v/.%2e/a",
            "/v/%2E./a",
            "/v%2fa",
            "/v%5ca",
            "/v\\a",
            "/v/%252e%252e/a",
            "/%76/a",
            "/v/a%00",
            "/v/a%0a",
            "/v/a%",
            "/v/a%2",
            "/v/a%zz",
            "/v/a%+1",
            "/v/..;x/a",
            "/v/%ff",
            "/v/a b",
            "/v/\u{e9}",
            "/v/a\"b",
        ] {
            assert!(!is_unambiguous(path), "{path}");
        }
    }
}
