//! Conversion by a job: once, followed, tried again, given up and ended, whatever queues and workers do.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::arrange::{CREATOR, LIMITS, NOW, VIDEO, at_once, film, publish, session, work};
use adapter_memory::{Memory, arrange};
use app::convert_video::convert_video;
use app::delete_video::delete_video;
use app::follow_job::{JobEvent, JobNews, follow_job};
use app::plan_transcode::{ConvertMessage, plan_transcode};
use app::ports::{Event, MediaError, PortError};
use app::read_video::read_video;
use app::run_task::give_up;
use domain::conversion::{Conversion, JobState, MOST_ATTEMPTS};
use domain::label::Label;
use domain::ladder::{Maker, Probe, TextStream, TranscodePlan};
use domain::video::Stage;
use serde_json::json;
use std::sync::atomic::Ordering;

async fn plan(m: &Memory) -> Result<(), PortError> {
    plan_transcode(m, m, m, m, m, m, m, Some(m), m, &LIMITS, VIDEO).await
}

async fn convert(m: &Memory) -> Result<(), PortError> {
    convert_video(m, m, m, m, m, m, m, VIDEO).await
}

async fn follow(m: &Memory, news: &JobNews) -> Result<(), PortError> {
    follow_job(m, m, m, m, m, m, m, news).await
}

async fn delete(m: &Memory) {
    delete_video(m, m, m, m, m, Some(m), m, m, &session(CREATOR), VIDEO).await.unwrap();
}

/// What our workers do of every film.
const IMAGES: [&str; 2] = ["images-00001", "images-00003"];

/// A video whose first job is submitted, and whose images our workers have made.
async fn submitted() -> Memory {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    assert_eq!(memory.take_convert_messages(), [ConvertMessage::Convert(VIDEO.into())]);
    convert(&memory).await.unwrap();
    assert_eq!(work_ours(&memory).await, IMAGES);
    memory.take_publish_messages();
    memory
}

/// Does all that waits for our own workers; its names.
async fn work_ours(memory: &Memory) -> Vec<String> {
    let messages = memory.take_task_messages();
    for message in &messages {
        work(memory, message).await.unwrap();
    }
    messages.into_iter().map(|message| message.task).collect()
}

fn jobs(memory: &Memory) -> Vec<JobState> {
    memory.jobs.lock().unwrap().values().map(|job| job.state.clone()).collect()
}

fn plan_of(memory: &Memory) -> TranscodePlan {
    memory.video().unwrap().plan.unwrap()
}

fn conversion(memory: &Memory) -> Conversion {
    memory.video().unwrap().conversion.unwrap()
}

#[tokio::test]
async fn one_job_makes_a_film_that_is_published_as_any_other() {
    let memory = submitted().await;
    let video = memory.video().unwrap();
    assert_eq!((video.stage, video.tasks_done, video.tasks_total), (Stage::Transcoding, 2, 5));
    assert_eq!(video.plan.as_ref().unwrap().maker, Maker::Job);
    follow(&memory, &memory.job_is("job-1", 1, JobState::Complete)).await.unwrap();
    assert_eq!(memory.take_publish_messages().len(), 1);
    publish(&memory).await.unwrap();
    let video = memory.video().unwrap();
    assert_eq!((video.stage, video.tasks_done), (Stage::Ready, 5));
    assert_eq!(memory.told(), [Event::VideoReady { video: VIDEO.into() }]);
    let playlist = memory.objects.lock().unwrap()[&format!("v/{VIDEO}/720p.m3u8")].clone();
    let playlist = String::from_utf8(playlist).unwrap();
    let folder = format!("job/{}/1", video.plan.unwrap().digest());
    for file in ["film-720pinit.cmfv\"", "film-720p_000000001.cmfv", "film-720p_000000002.cmfv"] {
        assert!(playlist.contains(&format!("{folder}/{file}")), "{playlist}");
    }
}

/// Guards: `convert_video` goes by the job that is recorded, `take_over` finishes each task once, and
/// the percentage only rises.
#[tokio::test]
async fn every_message_thrice_and_out_of_order_has_each_effect_once() {
    let memory = submitted().await;
    for _ in 0..2 {
        plan(&memory).await.unwrap();
        convert(&memory).await.unwrap();
    }
    let running = |percent| memory.job_is("job-1", 1, JobState::Running(percent));
    for percent in [0, 30, 20, 30, 60] {
        follow(&memory, &running(percent)).await.unwrap();
    }
    assert_eq!(conversion(&memory).percent, 60);
    let complete = memory.job_is("job-1", 1, JobState::Complete);
    for _ in 0..3 {
        follow(&memory, &complete).await.unwrap();
        publish(&memory).await.unwrap();
        follow(&memory, &JobNews { state: JobState::Running(10), ..complete.clone() })
            .await
            .unwrap();
        convert(&memory).await.unwrap();
    }
    let video = memory.video().unwrap();
    assert_eq!((video.stage, video.tasks_done), (Stage::Ready, 5));
    assert_eq!(memory.told(), [Event::VideoReady { video: VIDEO.into() }]);
    assert_eq!(jobs(&memory), [JobState::Complete]);
}

#[tokio::test]
async fn two_who_submit_at_once_have_one_job() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    memory.meanwhile("conversion.replace", |memory| at_once(convert(memory)).unwrap());
    convert(&memory).await.unwrap();
    assert_eq!(jobs(&memory), [JobState::Running(0)]);
    assert_eq!(conversion(&memory).job.as_deref(), Some("job-1"));
}

/// The service remembers an order for a minute only. Guard: of two jobs of one attempt the one that
/// is recorded goes on, and the other ends when it is heard of.
#[tokio::test]
async fn a_job_that_was_ordered_twice_runs_once() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    memory.fail("conversion.replace", 1);
    assert!(convert(&memory).await.is_err());
    memory.jobs.lock().unwrap().get_mut("job-1").unwrap().token = "forgotten".into();
    convert(&memory).await.unwrap();
    assert_eq!(conversion(&memory).job.as_deref(), Some("job-2"));
    follow(&memory, &memory.job_is("job-1", 1, JobState::Running(0))).await.unwrap();
    assert_eq!(jobs(&memory), [JobState::Canceled, JobState::Running(0)]);
    follow(&memory, &memory.job_is("job-1", 1, JobState::Canceled)).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Transcoding));
}

/// Guard: the first news of a job that nobody recorded records it.
#[tokio::test]
async fn a_job_whose_submitter_died_is_found_by_what_it_tells() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    memory.fail("conversion.replace", 1);
    assert!(convert(&memory).await.is_err());
    follow(&memory, &memory.job_is("job-1", 1, JobState::Running(5))).await.unwrap();
    assert_eq!(
        conversion(&memory),
        Conversion { attempt: 1, job: Some("job-1".into()), percent: 5 }
    );
    convert(&memory).await.unwrap();
    assert_eq!(jobs(&memory).len(), 1);
}

#[tokio::test]
async fn a_lost_event_is_mended_by_the_message_that_is_sent_again() {
    let memory = submitted().await;
    memory.job_is("job-1", 1, JobState::Complete);
    convert(&memory).await.unwrap();
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
}

/// Guards: `is_extra` where a task is refused, and where it is given up.
#[tokio::test]
async fn images_that_cannot_be_made_are_left_out() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    convert(&memory).await.unwrap();
    follow(&memory, &memory.job_is("job-1", 1, JobState::Complete)).await.unwrap();
    let messages = memory.take_task_messages();
    let refused = MediaError::Refused("damaged".into());
    memory.encode_errors.lock().unwrap().push_back(refused);
    work(&memory, &messages[0]).await.unwrap();
    memory.encode_errors.lock().unwrap().push_back(MediaError::Failed("no memory".into()));
    let cause = work(&memory, &messages[1]).await.unwrap_err();
    assert_eq!(memory.stage(), Some(Stage::Transcoding));
    let m = &memory;
    memory.take_publish_messages();
    give_up(m, m, m, m, m, &messages[1], cause).await.unwrap();
    assert_eq!(memory.take_publish_messages().len(), 1);
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
    assert!(!memory.object_names().iter().any(|name| name.ends_with(".jpg")));
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_and_not_for_ever() {
    let memory = submitted().await;
    for attempt in 1..=MOST_ATTEMPTS {
        assert_eq!(memory.stage(), Some(Stage::Transcoding));
        let id = format!("job-{attempt}");
        assert_eq!(conversion(&memory).job.as_ref(), Some(&id));
        let folder = memory.jobs.lock().unwrap()[&id].folder.clone();
        let half = format!("v/{VIDEO}/{folder}/film-720p_000000001.cmfv");
        memory.objects.lock().unwrap().insert(half, vec![1]);
        let failed = memory.job_is(&id, attempt, JobState::Failed(1999, "s3://a".into()));
        for _ in 0..3 {
            follow(&memory, &failed).await.unwrap();
        }
        let left = memory.object_names().into_iter().any(|name| name.contains("/job/"));
        assert!(!left, "what a failed attempt wrote goes at once");
    }
    assert_eq!(jobs(&memory).len(), 3);
    let video = memory.video().unwrap();
    assert_eq!((video.stage, video.redrivable), (Stage::Failed, false));
    let reason = video.reason.unwrap();
    assert!(reason.contains("error 1999") && !reason.contains("s3:"), "{reason}");
    assert!(matches!(memory.told().as_slice(), [Event::VideoFailed { .. }]));
}

/// Guard: the end of an earlier attempt starts the next, where nobody has.
#[tokio::test]
async fn who_dies_between_two_attempts_strands_nothing() {
    let memory = submitted().await;
    let failed = memory.job_is("job-1", 1, JobState::Failed(1404, String::new()));
    memory.fail("job.submit", 1);
    assert!(follow(&memory, &failed).await.is_err());
    assert_eq!(conversion(&memory), Conversion { attempt: 2, job: None, percent: 0 });
    follow(&memory, &failed).await.unwrap();
    assert_eq!(conversion(&memory).job.as_deref(), Some("job-2"));
    assert_eq!(jobs(&memory).len(), 2);
}

#[tokio::test]
async fn what_the_film_is_to_blame_for_is_not_tried_again() {
    let memory = submitted().await;
    follow(&memory, &memory.job_is("job-1", 1, JobState::Failed(1030, "no".into()))).await.unwrap();
    assert_eq!((memory.stage(), jobs(&memory).len()), (Some(Stage::Failed), 1));
    let refused = Memory::with_video(Stage::Uploaded);
    plan(&refused).await.unwrap();
    refused.encode_errors.lock().unwrap().push_back(MediaError::Refused("too small".into()));
    convert(&refused).await.unwrap();
    assert_eq!(refused.video().unwrap().reason.as_deref(), Some("too small"));
}

#[tokio::test]
async fn a_job_that_somebody_canceled_fails_its_film() {
    let memory = submitted().await;
    follow(&memory, &memory.job_is("job-1", 1, JobState::Canceled)).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Failed));
}

#[tokio::test]
async fn output_that_is_not_as_ordered_is_no_film() {
    let memory = submitted().await;
    let complete = memory.job_is("job-1", 1, JobState::Complete);
    let whole = memory.objects.lock().unwrap().clone();
    let missing = whole.keys().find(|key| key.ends_with("_000000002.cmfv")).unwrap();
    memory.objects.lock().unwrap().remove(missing);
    assert!(follow(&memory, &complete).await.is_err());
    assert!(memory.take_publish_messages().is_empty());
    assert_eq!(memory.video().unwrap().tasks_done, 2);
    *memory.objects.lock().unwrap() = whole;
    follow(&memory, &complete).await.unwrap();
    assert_eq!(memory.video().unwrap().tasks_done, 5);
}

/// Guards: a delete sends word to the job, and the job's end removes what it wrote since.
#[tokio::test]
async fn a_delete_ends_the_job_and_leaves_nothing() {
    let memory = submitted().await;
    delete(&memory).await;
    assert_eq!(memory.take_convert_messages(), [ConvertMessage::Cancel("job-1".into())]);
    // It ends all the same: the word came too late.
    let complete = memory.job_is("job-1", 1, JobState::Complete);
    assert!(!memory.is_empty());
    for _ in 0..2 {
        follow(&memory, &complete).await.unwrap();
        assert!(memory.is_empty(), "{:?}", memory.object_names());
    }
    // What runs on without a film is ended when it is heard of.
    let other = submitted().await;
    delete(&other).await;
    follow(&other, &other.job_is("job-1", 1, JobState::Running(50))).await.unwrap();
    assert_eq!(jobs(&other), [JobState::Canceled]);
}

#[tokio::test]
async fn a_delete_at_any_step_of_the_conversion_leaves_nothing() {
    for step in ["job.submit", "conversion.replace", "media.get", "media.sizes", "task.finish"] {
        let memory = Memory::with_video(Stage::Uploaded);
        plan(&memory).await.unwrap();
        memory.meanwhile(step, |memory| at_once(delete(memory)));
        convert(&memory).await.unwrap();
        if memory.video().is_some() {
            let news = memory.job_is("job-1", 1, JobState::Complete);
            // Whatever it comes to, the message is told again.
            let _ = follow(&memory, &news).await;
        }
        assert!(memory.video().is_none(), "{step}");
        let end = match jobs(&memory).as_slice() {
            [] => continue,
            [state] => state.clone(),
            more => unreachable!("{more:?}"),
        };
        assert_ne!(end, JobState::Running(0), "{step}");
        follow(&memory, &memory.job_is("job-1", 1, end)).await.unwrap();
        assert!(memory.is_empty(), "{step}: {:?}", memory.object_names());
    }
}

#[tokio::test]
async fn progress_is_the_jobs_own() {
    let memory = submitted().await;
    memory.now.store(NOW + 30, Ordering::SeqCst);
    follow(&memory, &memory.job_is("job-1", 1, JobState::Running(25))).await.unwrap();
    let view = read_video(&memory, &memory, &memory, Some(&session(CREATOR)), VIDEO).await.unwrap();
    let progress = &serde_json::to_value(view).unwrap()["progress"];
    let tracks = ["360p", "720p", "audio"].map(|name| json!({"name": name, "done": 0.25}));
    assert_eq!(progress["tracks"], json!(tracks));
    assert_eq!(
        (&progress["seconds_left"], &progress["watchable_seconds"]),
        (&json!(90), &json!(0.0))
    );
}

#[tokio::test]
async fn texts_and_images_are_our_own_workers_and_waited_for() {
    let memory = Memory::with_video(Stage::Uploaded);
    let (codec, label) = ("subrip".to_owned(), Label::default());
    let stream = TextStream { stream: 0, codec, default: false, label };
    *memory.probe.lock().unwrap() = Some(Ok(Probe { texts: vec![stream], ..film() }));
    plan(&memory).await.unwrap();
    convert(&memory).await.unwrap();
    follow(&memory, &memory.job_is("job-1", 1, JobState::Complete)).await.unwrap();
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Transcoding));
    assert_eq!(work_ours(&memory).await, ["text-1", IMAGES[0], IMAGES[1]]);
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
    let stored = memory.object_names();
    let sheet = format!("v/{VIDEO}/storyboard/{}/00001.jpg", plan_of(&memory).digest());
    for name in [&format!("v/{VIDEO}/poster.jpg"), &format!("v/{VIDEO}/storyboard.vtt"), &sheet] {
        assert!(stored.contains(name), "{name}: {stored:?}");
    }
}

/// Guard: of a job's film nothing is shown before all tasks are done, the images' too.
#[tokio::test]
async fn a_film_whose_images_are_late_is_not_ready_without_them() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    convert(&memory).await.unwrap();
    follow(&memory, &memory.job_is("job-1", 1, JobState::Complete)).await.unwrap();
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Transcoding));
    work_ours(&memory).await;
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
}

/// Guard: a video stays with the maker that it was planned for, whatever the stack says since.
#[tokio::test]
async fn a_stack_that_changes_its_mind_changes_new_films_only() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    memory.take_task_messages();
    let again = arrange::plan(&memory).await;
    assert!(again.is_err() && memory.take_task_messages().is_empty());
    let ours = Memory::with_video(Stage::Uploaded);
    let m = &ours;
    arrange::plan(m).await.unwrap();
    plan(&ours).await.unwrap();
    assert!(ours.take_convert_messages().is_empty());
    convert(&ours).await.unwrap();
    assert!(jobs(&ours).is_empty());
}

fn event(status: &str, more: serde_json::Value) -> serde_json::Value {
    let mut event = json!({
        "version": "0", "detail-type": "MediaConvert Job State Change", "source": "aws.mediaconvert",
        "detail": {"jobId": "1-a", "status": status, "userMetadata": {"video": VIDEO, "attempt": "2"}},
    });
    let detail = event["detail"].as_object_mut().unwrap();
    detail.extend(more.as_object().unwrap().clone());
    event
}

#[test]
fn events_are_read_as_the_service_documents_them() {
    let read = |event| serde_json::from_value::<JobEvent>(event).unwrap().news();
    let progress = json!({"framesDecoded": 353, "jobProgress": {"jobPercentComplete": 7}});
    let failed = json!({"errorCode": 1040, "errorMessage": "m"});
    for (status, more, state) in [
        ("PROGRESSING", json!({}), JobState::Running(0)),
        ("STATUS_UPDATE", progress, JobState::Running(7)),
        ("COMPLETE", json!({"outputGroupDetails": []}), JobState::Complete),
        ("ERROR", failed, JobState::Failed(1040, "m".into())),
        ("CANCELED", json!({}), JobState::Canceled),
    ] {
        let news = read(event(status, more)).unwrap();
        assert_eq!(news, JobNews { video: VIDEO.into(), attempt: 2, job: "1-a".into(), state });
    }
    let metadata = |video: &str, attempt: &str| {
        event("COMPLETE", json!({"userMetadata": {"video": video, "attempt": attempt}}))
    };
    for bad in [metadata("../x", "1"), metadata(VIDEO, "one"), metadata(VIDEO, "")] {
        assert!(read(bad).is_err());
    }
    let mut foreign = event("COMPLETE", json!({}));
    foreign["source"] = "aws.s3".into();
    assert!(read(foreign).is_err());
}
