//! A video, the stages of its life, and the tasks that make its renditions.

use crate::Seconds;
use crate::account::Wallet;
use crate::conversion::Conversion;
use crate::encryption::Method;
use crate::ladder::{TranscodePlan, Work};
use crate::policy::Policy;
use crate::presentation::Piece;
use crate::subtitle::Uploaded;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Where a video is in its life; it only moves down this list, or to `Failed` or `Deleting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Parts are arriving.
    Uploading,
    /// The file is whole; the planner is next.
    Uploaded,
    /// Tasks are running.
    Transcoding,
    /// It can be watched.
    Ready,
    /// It can't become ready; the reason says why.
    Failed,
    /// Its objects are being removed.
    Deleting,
}

impl Stage {
    /// Its name, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Uploaded => "uploaded",
            Self::Transcoding => "transcoding",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

/// A film and who may watch it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// 32 lower-case hex digits.
    pub id: String,
    /// 1 to 200 characters.
    pub title: String,
    /// The creator's wallet: one with a key of its own, the same on every chain of its family.
    pub owner: Wallet,
    /// Where it is in its life.
    pub stage: Stage,
    /// Why it failed, for the creator to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A failed video's message waits in a dead-letter queue, and a redrive may finish the film.
    #[serde(default)]
    pub redrivable: bool,
    /// The file's declared size in bytes.
    pub size: u64,
    /// The file's declared media type.
    pub content_type: String,
    /// S3's id of the multipart upload.
    pub upload_id: String,
    /// Known once probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Who may watch; nobody but the owner if there is none.
    #[serde(default, with = "stored_policy", skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Grows with each change of the policy.
    pub policy_revision: u64,
    /// Subtitles that were uploaded beside the film, by name.
    #[serde(default)]
    pub subtitles: BTreeMap<String, Uploaded>,
    /// How many tasks there are, once planned.
    #[serde(default)]
    pub tasks_total: u32,
    /// How many of them are finished.
    #[serde(default)]
    pub tasks_done: u32,
    /// How its segments are to be encrypted, if they are; such a film is HLS only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Method>,
    /// What it is transcoded into, once planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<TranscodePlan>,
    /// When it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Seconds>,
    /// The job that makes it, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversion: Option<Conversion>,
    /// How many segments can be watched while the rest is transcoded.
    #[serde(default)]
    pub segments_shown: u64,
    /// When it was made.
    pub created_at: Seconds,
    /// When it last changed.
    pub updated_at: Seconds,
}

impl Video {
    /// Whether finished tasks still count.
    pub fn is_open(&self) -> bool {
        match self.stage {
            Stage::Transcoding => true,
            Stage::Failed => self.redrivable,
            _ => false,
        }
    }

    /// Whether it, or its beginning, can be watched.
    pub fn is_watchable(&self) -> bool {
        match self.stage {
            Stage::Ready => true,
            Stage::Transcoding => self.segments_shown > 0,
            _ => false,
        }
    }
}

/// A policy is stored as JSON text: what was checked on the way in is read again on the way out.
mod stored_policy {
    use super::{Deserialize, Deserializer, Policy, Serializer};
    use serde::de::Error;
    use serde_json::{Value, json};

    pub fn serialize<S: Serializer>(policy: &Option<Policy>, out: S) -> Result<S::Ok, S::Error> {
        match policy {
            Some(policy) => out.serialize_str(&policy.to_json().to_string()),
            None => out.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Policy>, D::Error> {
        let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
        let mut value = serde_json::from_str(&text).map_err(D::Error::custom)?;
        rename(&mut value);
        Policy::read(&value).map(Some).map_err(D::Error::custom)
    }

    /// The first policies that were stored knew ERC-721 alone, and called things otherwise.
    fn rename(value: &mut Value) {
        match value {
            Value::Object(object) if object.contains_key("kind") => {
                if object["kind"] != "erc721" {
                    return;
                }
                if let Some(least) = object.remove("min_balance") {
                    object.insert("min".into(), least);
                }
                if let Some(id) = object.remove("token_id") {
                    object.insert("ids".into(), json!([id]));
                }
            }
            Value::Object(object) => object.values_mut().for_each(rename),
            Value::Array(list) => list.iter_mut().for_each(rename),
            _ => {}
        }
    }
}

/// One piece of a video's transcode, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The video.
    pub video: String,
    /// The task's name within it, as in `360p+720p-00001`.
    pub task: String,
    /// What to do.
    pub work: Work,
    /// What was made, of each track; absent until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Vec<Piece>>,
}

/// A video id: 32 lower-case hex digits, and nothing that could leave a folder.
pub fn is_id(text: &str) -> bool {
    text.len() == 32
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Where a video's source file lies in the uploads bucket.
pub fn source_key(id: &str) -> String {
    format!("uploads/{id}/source")
}

/// The video that a source key belongs to.
pub fn video_of_source(key: &str) -> Option<&str> {
    key.strip_prefix("uploads/")?.strip_suffix("/source").filter(|id| is_id(id))
}

/// A video's folder in the media bucket.
pub fn media_folder(id: &str) -> String {
    format!("v/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_keys_lead_back_to_their_video() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(video_of_source(&source_key(id)), Some(id));
        for key in ["uploads/x/source", "uploads/../source", "other", "uploads//source"] {
            assert_eq!(video_of_source(key), None);
        }
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_an_error_and_not_no_policy() {
        let video = |policy: &str| {
            serde_json::from_value::<Video>(serde_json::json!({
                "id": "0", "title": "t", "owner": Wallet::Evm(crate::account::Address([1; 20])), "stage": "ready",
                "size": 1, "content_type": "video/mp4", "upload_id": "u", "policy": policy,
                "policy_revision": 1, "created_at": 1, "updated_at": 1,
            }))
        };
        let good = r#"{"version":1,"rule":{"kind":"erc721","chain":"eip155:1",
            "contract":"0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"}}"#;
        let read = video(good).unwrap();
        assert!(read.policy.is_some());
        let again: Video = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(again, read);
        let first = video(&good.replace("erc721\"", "erc721\",\"token_id\":\"7\"")).unwrap();
        let ids = &first.policy.unwrap().to_json()["rule"]["ids"];
        assert_eq!(*ids, serde_json::json!(["7"]));
        assert!(video("{}").is_err());
        assert!(video("").is_err());
    }
}
