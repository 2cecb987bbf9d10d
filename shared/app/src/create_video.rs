//! `POST /v1/videos`: a listed creator announces a film and learns where to upload it.

use crate::plan_upload::{self, Upload};
use crate::ports::{Clock, Random, UploadStore, VideoStore};
use crate::problem::{Error, Problem};
use crate::read_video::VideoView;
use domain::account::Wallet;
use domain::encryption::Method;
use domain::policy::{Known, Policy};
use domain::session::Session;
use domain::video::{Stage, Video, source_key};
use serde_json::Value;

/// Characters in a title, at most.
pub const MAX_TITLE: usize = 200;

/// What the stack allows.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who may upload, with a wallet that has a key of its own; nobody if empty.
    pub creators: Vec<Wallet>,
    /// The largest file, in bytes.
    pub max_bytes: u64,
}

/// The request's body.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVideo {
    /// 1 to [`MAX_TITLE`] characters.
    pub title: String,
    /// The file's size in bytes.
    pub size: u64,
    /// `video/...`, or `application/octet-stream` where a browser knows no better.
    pub content_type: String,
    /// Who may watch; nobody but the owner if absent.
    #[serde(default)]
    pub policy: Option<Value>,
    /// `aes-128`: its segments are encrypted, and players must know HLS. Plain if absent.
    #[serde(default)]
    pub encryption: Option<Method>,
}

/// The answer's body.
#[derive(Debug, serde::Serialize)]
pub struct CreatedVideo {
    /// The new video.
    pub video: VideoView,
    /// Where its parts go.
    pub upload: Upload,
}

/// Creates a video and starts its upload.
///
/// # Errors
/// [`Problem::NotACreator`], or what is wrong with the body. An S3 upload without a record, left by
/// a fault in between, is removed by the bucket's lifecycle rule.
pub async fn create_video(
    system: &(impl Clock + Random),
    videos: &impl VideoStore,
    uploads: &impl UploadStore,
    rules: &Rules,
    known: &Known<'_>,
    caller: &Session,
    new: NewVideo,
) -> Result<CreatedVideo, Error> {
    let creator = rules.creators.iter().find(|creator| caller.owns(**creator));
    let owner = *creator.ok_or(Problem::NotACreator)?;
    let title = new.title.trim();
    if title.is_empty() || title.chars().count() > MAX_TITLE || title.contains(char::is_control) {
        return invalid("title", format!("1 to {MAX_TITLE} printable characters"));
    }
    if new.size == 0 {
        return invalid("size", "the file is empty");
    }
    if new.size > rules.max_bytes {
        let limit = format!("size: at most {} bytes are taken here", rules.max_bytes);
        return Err(Problem::BodyTooLarge(limit).into());
    }
    if !is_media_type(&new.content_type) {
        return invalid("content_type", "video/..., or application/octet-stream");
    }
    let policy = match &new.policy {
        None | Some(Value::Null) => None,
        Some(policy) => Some(Policy::parse(policy, known)?),
    };
    let id = hex::encode(system.bytes::<16>());
    let upload_id = uploads.start(&source_key(&id), &new.content_type).await?;
    let now = system.now();
    let video = Video {
        title: title.to_owned(),
        owner,
        stage: Stage::Uploading,
        reason: None,
        redrivable: false,
        size: new.size,
        content_type: new.content_type,
        upload_id,
        duration_seconds: None,
        policy,
        policy_revision: 1,
        subtitles: std::collections::BTreeMap::new(),
        tasks_total: 0,
        tasks_done: 0,
        encryption: new.encryption,
        plan: None,
        planned_at: None,
        conversion: None,
        segments_shown: 0,
        created_at: now,
        updated_at: now,
        id,
    };
    videos.create(&video).await?;
    let upload = plan_upload::remaining(system, uploads, &video, &[]).await?;
    Ok(CreatedVideo { video: VideoView::for_owner(&video), upload })
}

fn invalid<T>(field: &str, reason: impl Into<String>) -> Result<T, Error> {
    Err(Problem::BodyInvalid { field: field.into(), reason: reason.into() }.into())
}

fn is_media_type(text: &str) -> bool {
    let subtype = |text: &str| {
        (1..=80).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.+".contains(&byte))
    };
    text == "application/octet-stream" || text.strip_prefix("video/").is_some_and(subtype)
}
