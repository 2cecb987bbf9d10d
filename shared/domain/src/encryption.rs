//! HLS segments encrypted with AES-128 (RFC 8216 5.2): a new key for every few minutes of film.
//!
//! No content key is stored. Each is derived from one of the stack's master keys, whose name is in
//! the film's plan, by HMAC-SHA256 over the film's id and the number of the stretch of film that it
//! is for, its *period*. One key serves all tracks of a period. What is written is the same however
//! often it is encoded: an initialisation vector, which is no secret, follows from the track's
//! folder (which names the plan) and the segment's number, so no two segments share one.
//!
//! Encrypted are the segments of pictures and sound. Plain are the init segments, which hold
//! settings of codecs only, subtitles, poster and storyboard: they lie behind the grant too, but
//! who keeps a copy of them can go on reading it.

use crate::ladder::Grid;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockEncryptMut, KeyIvInit};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The block size of AES, in bytes.
const BLOCK: u64 = 16;

/// How a film's segments are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// AES-128 in CBC mode with PKCS7 padding, whole segments: HLS only.
    #[serde(rename = "aes-128")]
    Aes128,
}

/// How a film is encrypted, once it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// By what.
    pub method: Method,
    /// The name of the master key.
    pub key: String,
    /// How many segments share a content key; at least one.
    pub period_segments: u64,
}

impl Encryption {
    /// Content keys of that master key, a new one after so many seconds of film: a whole number of
    /// segments, at least one.
    pub fn new(key: &str, period_seconds: u64, grid: &Grid) -> Self {
        let segments = period_seconds as f64 / grid.segment_seconds().max(f64::MIN_POSITIVE);
        Self {
            method: Method::Aes128,
            key: key.to_owned(),
            period_segments: (segments.round() as u64).max(1),
        }
    }

    /// The period of a segment; the first segment is number 1, the first period 0.
    pub fn period(&self, number: u64) -> u64 {
        number.saturating_sub(1) / self.period_segments.max(1)
    }

    /// How many periods a film of so many segments has.
    pub fn periods(&self, segments: u64) -> u64 {
        segments.div_ceil(self.period_segments.max(1))
    }

    /// What a segment of a track is sealed with.
    pub fn seal(&self, master: &[u8; 32], video: &str, folder: &str, number: u64) -> Seal {
        Seal {
            key: content_key(master, video, self.period(number)),
            vector: initialisation_vector(folder, number),
        }
    }
}

/// The key of a film's period: 16 bytes, a secret.
pub fn content_key(master: &[u8; 32], video: &str, period: u64) -> [u8; 16] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(master) else { return [0; 16] };
    mac.update(b"streamgate content key v1\0");
    mac.update(video.as_bytes());
    mac.update(b"\0");
    mac.update(&period.to_be_bytes());
    first_half(&mac.finalize().into_bytes())
}

/// The initialisation vector of a segment: `folder` is its track's within the film, as in
/// `720p/3f9a0c11d2e4b567`, the first segment is number 1.
pub fn initialisation_vector(folder: &str, number: u64) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"streamgate vector v1\0");
    hash.update(folder.as_bytes());
    hash.update(b"\0");
    hash.update(number.to_be_bytes());
    first_half(&hash.finalize())
}

fn first_half(digest: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// How long a file of so many bytes is once it is sealed: padding is always there.
pub fn sealed_len(bytes: u64) -> u64 {
    (bytes / BLOCK + 1) * BLOCK
}

/// What one segment is encrypted with.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal {
    key: [u8; 16],
    vector: [u8; 16],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Seal(..)")
    }
}

impl Seal {
    /// The encrypted file.
    pub fn apply(&self, plain: &[u8]) -> Vec<u8> {
        cbc::Encryptor::<aes::Aes128>::new(&self.key.into(), &self.vector.into())
            .encrypt_padded_vec_mut::<Pkcs7>(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::Ratio;
    use aes::cipher::BlockDecryptMut;
    use std::collections::BTreeSet;

    const MASTER: [u8; 32] = [7; 32];

    fn grid() -> Grid {
        let frame_rate = Ratio::new(25, 1);
        Grid { frame_rate, segment_frames: 100, frames: 10_000, start_micros: 0 }
    }

    fn every(period_seconds: u64) -> Encryption {
        Encryption::new("k1", period_seconds, &grid())
    }

    #[test]
    fn keys_change_with_every_stretch_of_film() {
        let five_minutes = every(300);
        assert_eq!(five_minutes.period_segments, 75);
        let periods = [1, 75, 76, 150, 151].map(|number| five_minutes.period(number));
        assert_eq!(periods, [0, 0, 1, 1, 2]);
        assert_eq!([0, 1, 75, 76].map(|all| five_minutes.periods(all)), [0, 1, 1, 2]);
        assert_eq!(every(1).period_segments, 1, "never none");
        assert_eq!(every(0).period_segments, 1);
    }

    #[test]
    fn no_two_films_periods_or_masters_share_a_key_and_no_two_segments_a_vector() {
        let mut keys = BTreeSet::new();
        for master in [[7; 32], [8; 32]] {
            for video in ["a", "b", "a\0"] {
                for period in [0, 1, 256, u64::MAX] {
                    assert!(keys.insert(content_key(&master, video, period)), "{video} {period}");
                }
            }
        }
        let mut vectors = BTreeSet::new();
        for folder in ["720p/aa", "720p/ab", "audio/aa"] {
            for number in 1..200 {
                assert!(vectors.insert(initialisation_vector(folder, number)), "{folder} {number}");
            }
        }
    }

    /// What is stored rests on these: another derivation would make every film unreadable.
    #[test]
    fn the_derivation_stays_as_it_is() {
        let key = content_key(&MASTER, "00112233445566778899aabbccddeeff", 3);
        let vector = initialisation_vector("720p/3f9a0c11d2e4b567", 17);
        assert_eq!(
            (hex::encode(key), hex::encode(vector)),
            ("f9b66d595b2afda8d547febee89015de".into(), "cfa1e15234eb5a5a61027b80c028cb00".into())
        );
    }

    #[test]
    fn what_is_sealed_is_the_same_each_time_and_opens_with_its_key_alone() {
        for length in [0_u64, 1, 15, 16, 17, 5000] {
            let plain: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let seal = every(300).seal(&MASTER, "film", "720p/aa", 9);
            let sealed = seal.apply(&plain);
            assert_eq!(sealed, seal.apply(&plain));
            assert_eq!(sealed.len() as u64, sealed_len(length));
            let open = |seal: &Seal| {
                cbc::Decryptor::<aes::Aes128>::new(&seal.key.into(), &seal.vector.into())
                    .decrypt_padded_vec_mut::<Pkcs7>(&sealed)
            };
            assert_eq!(open(&seal).unwrap(), plain);
            let next = every(4).seal(&MASTER, "film", "720p/aa", 9);
            assert_ne!(open(&next).ok(), Some(plain));
            assert_eq!(format!("{seal:?}"), "Seal(..)");
        }
    }
}
