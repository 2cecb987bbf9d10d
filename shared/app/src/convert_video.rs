//! A film is to be converted by a job: start it, once.

use crate::follow_job::{JobNews, follow_job};
use crate::plan_transcode::{Failure, PublishMessage, fail};
use crate::ports::{
    Clock, ConversionStore, Converter, Events, JobOrder, MediaError, MediaStore, PortError, Queue,
    TaskStore, VideoStore,
};
use domain::conversion::Conversion;
use domain::ladder::Maker;
use domain::video::Video;

/// Starts a video's job, unless it has one. Asked again later it looks how that job is, so a message
/// that is sent again mends what a lost event has left behind.
///
/// # Errors
/// What is worth another try.
#[expect(clippy::too_many_arguments, reason = "each is one port")]
pub async fn convert_video(
    clock: &impl Clock,
    videos: &(impl VideoStore + ConversionStore),
    tasks: &impl TaskStore,
    media: &impl MediaStore,
    converter: &impl Converter,
    queue: &impl Queue<PublishMessage>,
    events: &impl Events,
    id: &str,
) -> Result<(), PortError> {
    let Some(video) = videos.get(id).await?.filter(Video::is_open) else { return Ok(()) };
    let stored = video.conversion.clone().unwrap_or_default();
    match stored.job {
        Some(job) => {
            let state = converter.state(&job).await?;
            let news = JobNews { video: id.to_owned(), attempt: stored.attempt, job, state };
            follow_job(clock, videos, tasks, media, converter, queue, events, &news).await
        }
        None => start(clock, videos, converter, events, &video).await,
    }
}

/// Starts the job of the attempt that a video is at. Of two who do it at once one's job counts, and
/// the other's ends.
pub(crate) async fn start(
    clock: &impl Clock,
    videos: &(impl VideoStore + ConversionStore),
    converter: &impl Converter,
    events: &impl Events,
    video: &Video,
) -> Result<(), PortError> {
    let id = &*video.id;
    let Some(plan) = video.plan.as_ref().filter(|plan| plan.maker == Maker::Job) else {
        tracing::warn!(video = id, "it is not for a job");
        return Ok(());
    };
    let stored = video.conversion.as_ref();
    let conversion = stored.cloned().unwrap_or_default();
    let order = JobOrder { video: id, plan, attempt: conversion.attempt };
    let job = match converter.submit(&order).await {
        Ok(job) => job,
        Err(MediaError::Refused(reason)) => {
            return fail(clock, videos, events, id, Failure::Refused(&reason)).await;
        }
        Err(MediaError::Failed(cause)) => return Err(PortError::new("converter", cause)),
    };
    tracing::info!(video = id, attempt = conversion.attempt, job, "its job is submitted");
    let submitted = Conversion { job: Some(job.clone()), ..conversion };
    if videos.replace(id, stored, &submitted, clock.now()).await? {
        return Ok(());
    }
    // The same order by another, or the job's first event, was quicker; or the video is going.
    let now = videos.get(id).await?.filter(Video::is_open).and_then(|video| video.conversion);
    match now.and_then(|conversion| conversion.job) {
        Some(other) if other == job => Ok(()),
        _ => converter.cancel(&job).await,
    }
}
