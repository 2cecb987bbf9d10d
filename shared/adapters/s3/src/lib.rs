//! Uploads and media, in S3.

use app::ports::{MediaStore, PortError, ReceivedPart, UploadStore};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use domain::Seconds;
use domain::encryption::Seal;
use domain::upload::Part;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Segments never change; playlists at the same address never do either once a video is ready.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// One bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    bucket: String,
}

impl S3 {
    /// The bucket of that name.
    pub fn new(config: &aws_config::SdkConfig, bucket: impl Into<String>) -> Self {
        Self { client: Client::new(config), bucket: bucket.into() }
    }
}

fn failed<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> PortError {
    adapter_aws::failed("s3", &error)
}

fn presigning(lifetime: Seconds) -> Result<PresigningConfig, PortError> {
    PresigningConfig::expires_in(Duration::from_secs(lifetime))
        .map_err(|error| PortError::new("s3", error))
}

impl UploadStore for S3 {
    async fn start(&self, key: &str, content_type: &str) -> Result<String, PortError> {
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .send()
            .await
            .map_err(failed)?;
        answer.upload_id.ok_or_else(|| PortError::new("s3", "an upload without an id"))
    }

    async fn part_url(
        &self,
        key: &str,
        upload: &str,
        part: Part,
        lifetime: Seconds,
    ) -> Result<String, PortError> {
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .part_number(part.number.cast_signed())
            // Signed, so that S3 takes this many bytes and no other number.
            .content_length(part.size.cast_signed())
            .presigned(presigning(lifetime)?)
            .await
            .map_err(failed)?;
        Ok(request.uri().to_owned())
    }

    async fn received(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<Option<Vec<ReceivedPart>>, PortError> {
        let mut parts = Vec::new();
        let mut marker = None;
        loop {
            let answer = self
                .client
                .list_parts()
                .bucket(&self.bucket)
                .key(key)
                .upload_id(upload)
                .set_part_number_marker(marker)
                .send()
                .await;
            let page = match answer {
                Ok(page) => page,
                Err(error) if code(&error) == Some("NoSuchUpload") => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            parts.extend(page.parts().iter().map(|part| ReceivedPart {
                part: Part {
                    number: part.part_number().unwrap_or_default().cast_unsigned(),
                    size: part.size().unwrap_or_default().cast_unsigned(),
                },
                etag: part.e_tag().unwrap_or_default().to_owned(),
            }));
            marker = match page.is_truncated() {
                Some(true) => page.next_part_number_marker().map(str::to_owned),
                _ => return Ok(Some(parts)),
            };
        }
    }

    async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &[ReceivedPart],
    ) -> Result<(), PortError> {
        let parts = parts
            .iter()
            .map(|received| {
                CompletedPart::builder()
                    .part_number(received.part.number.cast_signed())
                    .e_tag(&received.etag)
                    .build()
            })
            .collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        self.client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .multipart_upload(parts)
            .send()
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, PortError> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(head.content_length().map(i64::cast_unsigned)),
            // Without ListBucket, S3 says forbidden for what is not there.
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|raw| matches!(raw.status().as_u16(), 403 | 404)) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn source_url(&self, key: &str, lifetime: Seconds) -> Result<String, PortError> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .presigned(presigning(lifetime)?)
            .await
            .map_err(failed)?;
        Ok(request.uri().to_owned())
    }

    async fn remove(&self, key: &str, upload: &str) -> Result<(), PortError> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .send()
            .await;
        match aborted {
            Ok(_) => {}
            Err(error) if code(&error) == Some("NoSuchUpload") => {}
            Err(error) => return Err(failed(error)),
        }
        let deleted = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        deleted.map(drop).map_err(failed)
    }
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

impl MediaStore for S3 {
    async fn put(
        &self,
        key: &str,
        content_type: &str,
        max_age: Seconds,
        body: Vec<u8>,
    ) -> Result<(), PortError> {
        let cache_control = format!("public, max-age={max_age}");
        self.put_stream(key, content_type, &cache_control, ByteStream::from(body)).await
    }

    /// A conditional write: docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
    async fn keep_file(
        &self,
        key: &str,
        content_type: &str,
        path: &Path,
        seal: Option<&Seal>,
    ) -> Result<u64, PortError> {
        let broken = |error| PortError::new("s3", error);
        let (size, body) = match seal {
            Some(seal) => {
                let sealed = seal.apply(&tokio::fs::read(path).await.map_err(broken)?);
                (sealed.len() as u64, ByteStream::from(sealed))
            }
            None => {
                let body = ByteStream::from_path(path).await;
                let size = tokio::fs::metadata(path).await.map_err(broken)?.len();
                (size, body.map_err(|error| PortError::new("s3", error))?)
            }
        };
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .cache_control(CACHE_CONTROL)
            .if_none_match("*")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(size),
            Err(error) if code(&error) == Some("PreconditionFailed") => {
                let there = UploadStore::size(self, key).await?;
                there.ok_or_else(|| PortError::new("s3", "an object that is there can't be seen"))
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(answer) => answer,
            // Without ListBucket, S3 says AccessDenied for what is not there.
            Err(error) if matches!(code(&error), Some("NoSuchKey" | "AccessDenied")) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let body = answer.body.collect().await.map_err(|error| PortError::new("s3", error))?;
        Ok(Some(body.to_vec()))
    }

    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, PortError> {
        let prefix = format!("{folder}/");
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
        let mut pages = request.into_paginator().send();
        let mut sizes = BTreeMap::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(failed)?.contents() {
                let name = object.key().and_then(|key| key.strip_prefix(&prefix));
                if let (Some(name), Some(size)) = (name, object.size()) {
                    sizes.insert(name.to_owned(), size.cast_unsigned());
                }
            }
        }
        Ok(sizes)
    }

    async fn remove_folder(&self, folder: &str) -> Result<(), PortError> {
        let prefix = format!("{folder}/");
        loop {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(&prefix)
                .send()
                .await
                .map_err(failed)?;
            let objects: Vec<_> = page
                .contents()
                .iter()
                .filter_map(|object| object.key())
                .filter_map(|key| ObjectIdentifier::builder().key(key).build().ok())
                .collect();
            if objects.is_empty() {
                return Ok(());
            }
            let delete = Delete::builder()
                .set_objects(Some(objects))
                .quiet(true)
                .build()
                .map_err(|error| PortError::new("s3", error))?;
            let answer = self
                .client
                .delete_objects()
                .bucket(&self.bucket)
                .delete(delete)
                .send()
                .await
                .map_err(failed)?;
            if let Some(error) = answer.errors().first() {
                let cause = error.message().unwrap_or("an object could not be removed");
                return Err(PortError::new("s3", cause));
            }
        }
    }
}

impl S3 {
    /// Writes an object that may change, with what caches should do about it.
    ///
    /// # Errors
    /// When S3 can't be written.
    pub async fn put_cached(
        &self,
        key: &str,
        content_type: &str,
        cache_control: &str,
        body: &'static [u8],
    ) -> Result<(), PortError> {
        self.put_stream(key, content_type, cache_control, ByteStream::from_static(body)).await
    }

    async fn put_stream(
        &self,
        key: &str,
        content_type: &str,
        cache_control: &str,
        body: ByteStream,
    ) -> Result<(), PortError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .cache_control(cache_control)
            .body(body)
            .send()
            .await
            .map(drop)
            .map_err(failed)
    }
}
