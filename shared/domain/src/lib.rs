//! StreamGate's types and rules: policy, sign-in, grant, video, ladder, subtitles, playlists.
//!
//! Pure: nothing here waits, reads a clock, a file or a network. Times are given as Unix seconds.

pub mod abi;
pub mod account;
pub mod binding;
pub mod cloudfront;
pub mod condition;
pub mod conversion;
pub mod dash;
pub mod decision;
pub mod edge_token;
pub mod encryption;
pub mod fact;
pub mod grant;
pub mod hls;
pub mod keyring;
pub mod label;
pub mod ladder;
pub mod leaf;
pub mod lease;
pub mod mpd;
pub mod nonce;
pub mod number;
pub mod policy;
pub mod presentation;
pub mod receipt;
pub mod revocation;
pub mod session;
pub mod sign_in;
pub mod storyboard;
pub mod subtitle;
pub mod transfer;
pub mod upload;
pub mod video;
pub mod watch;
pub mod webhook;

/// Seconds since the Unix epoch.
pub type Seconds = u64;

/// Seconds as RFC 3339 in UTC, as every API answer writes times.
pub fn rfc3339(at: Seconds) -> String {
    let moment = i64::try_from(at)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    moment
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|_| String::from("1970-01-01T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(super::rfc3339(1_700_000_000), "2023-11-14T22:13:20Z");
    }
}
