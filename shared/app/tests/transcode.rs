//! Transcode: plan, tasks, publishing, when queues deliver thrice and workers die.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{LIMITS, VIDEO, at_once, film, plan, plan_within, publish, work};
use app::plan_transcode::{Failure, TaskMessage, fail};
use app::ports::{Event, MediaError};
use app::run_task::give_up;
use domain::label::{Label, Purpose};
use domain::ladder::{Ceilings, Probe, TextStream};
use domain::video::Stage;
use futures_util::future::join_all;

const TASKS: [&str; 3] = [FIRST, SECOND, SOUND];
/// Two segments of both renditions, and the last one.
const FIRST: &str = "360p+720p-00001";
const SECOND: &str = "360p+720p-00003";
const SOUND: &str = "audio";

fn message(task: &str) -> TaskMessage {
    TaskMessage { video: VIDEO.into(), task: task.into() }
}

/// Each of them three times, in an order that `seed` decides.
fn thrice<T: Clone>(messages: Vec<T>, mut seed: u64) -> Vec<T> {
    let mut dealt: Vec<T> = (0..3).flat_map(|_| messages.clone()).collect();
    for left in (1..dealt.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        dealt.swap(left, usize::try_from(seed >> 33).unwrap() % (left + 1));
    }
    dealt
}

fn assert_published_once(memory: &Memory, case: &str) {
    let video = memory.video().unwrap();
    assert_eq!(video.stage, Stage::Ready, "{case}");
    assert_eq!((video.tasks_done, video.tasks_total), (3, 3), "{case}");
    assert_eq!(memory.told(), [Event::VideoReady { video: VIDEO.into() }], "{case}");
    let plan = video.plan.unwrap().digest();
    let mut expected: Vec<_> = ["360p", "720p", "audio"]
        .iter()
        .flat_map(|track| {
            ["00001.m4s", "00002.m4s", "00003.m4s", "init.mp4"]
                .map(|file| format!("v/{VIDEO}/{track}/{plan}/{file}"))
        })
        .collect();
    expected.extend(
        [
            "360p.m3u8",
            "360p-iframes.m3u8",
            "720p.m3u8",
            "720p-iframes.m3u8",
            "audio.m3u8",
            "manifest.mpd",
            "master.m3u8",
            "poster.jpg",
            "presentation.json",
            "storyboard.vtt",
        ]
        .map(|file| format!("v/{VIDEO}/{file}")),
    );
    expected.extend(
        ["00001.jpg", "00003.jpg"].map(|sheet| format!("v/{VIDEO}/storyboard/{plan}/{sheet}")),
    );
    expected.sort();
    assert_eq!(memory.object_names(), expected, "{case}");
    assert!(memory.all_tasks().iter().all(|task| task.output.is_some()), "{case}");
}

/// Guards: `TaskStore::create` (unless there) and `TaskStore::finish` (counts once) are conditional
/// writes; `publish_video` looks at the stage and tells the world only if its own move to `Ready`
/// was the one that counted.
#[tokio::test]
async fn every_message_thrice_and_out_of_order_has_each_effect_once() {
    for seed in 0..20 {
        let memory = Memory::with_video(Stage::Uploaded);
        for () in thrice(vec![()], seed) {
            plan(&memory).await.unwrap();
        }
        for message in thrice(memory.take_task_messages(), seed) {
            work(&memory, &message).await.unwrap();
        }
        assert_eq!(memory.video().unwrap().tasks_done, 3);
        for _ in thrice(memory.take_publish_messages(), seed) {
            publish(&memory).await.unwrap();
        }
        assert_published_once(&memory, &format!("seed {seed}"));
        // And the stragglers of everything, long after.
        plan(&memory).await.unwrap();
        for task in TASKS {
            work(&memory, &message(task)).await.unwrap();
        }
        publish(&memory).await.unwrap();
        assert!(memory.take_task_messages().is_empty());
        assert!(memory.take_publish_messages().is_empty());
        assert_published_once(&memory, &format!("seed {seed}, later"));
    }
}

/// Guard: `plan_transcode` has the plan spend what the samples tell, and goes by what is reckoned with
/// where there are none.
#[tokio::test]
async fn a_film_gets_ceilings_of_its_own() {
    let per_title = domain::ladder::Limits { ceilings: Ceilings::PerTitle, ..LIMITS };
    let ceilings = async |limits, fault: bool| {
        let memory = Memory::with_video(Stage::Uploaded);
        if fault {
            memory.fail("media.measure", 1);
        }
        plan_within(&memory, limits).await.unwrap();
        let plan = memory.video().unwrap().plan.unwrap();
        plan.renditions.iter().map(|rendition| rendition.max_kbps).collect::<Vec<_>>()
    };
    let fixed = ceilings(&LIMITS, false).await;
    assert_eq!(fixed, [900, 2550]);
    assert_eq!(ceilings(&per_title, false).await, [450, 1280]);
    assert_eq!(ceilings(&per_title, true).await, fixed);
}

/// Guard: `run_task` asks the track for the names and the type of its files.
#[tokio::test]
async fn subtitles_are_stored_as_text_and_are_there_with_the_first_picture() {
    let memory = Memory::with_video(Stage::Uploaded);
    let label = Label::new(Some("ger"), None, Purpose::Plain);
    let stream = TextStream { stream: 0, codec: "subrip".into(), default: false, label };
    *memory.probe.lock().unwrap() = Some(Ok(Probe { texts: vec![stream], ..film() }));
    plan(&memory).await.unwrap();
    for task in [SOUND, FIRST] {
        work(&memory, &message(task)).await.unwrap();
        publish(&memory).await.unwrap();
        assert_eq!(memory.video().unwrap().segments_shown, 0);
    }
    work(&memory, &message("text-1")).await.unwrap();
    publish(&memory).await.unwrap();
    assert_eq!(memory.video().unwrap().segments_shown, 2);
    let digest = memory.video().unwrap().plan.unwrap().digest();
    let names = memory.object_names();
    for file in ["00001.vtt", "00002.vtt", "00003.vtt", "text.vtt"] {
        assert!(names.contains(&format!("v/{VIDEO}/text-1/{digest}/{file}")), "{names:?}");
    }
    assert!(names.contains(&format!("v/{VIDEO}/text-1.m3u8")), "{names:?}");
}

/// As above, with all deliveries at the same time.
#[tokio::test]
async fn every_message_thrice_side_by_side_has_each_effect_once() {
    let memory = Memory::with_video(Stage::Uploaded);
    for outcome in join_all((0..3).map(|_| plan(&memory))).await {
        outcome.unwrap();
    }
    let messages = thrice(memory.take_task_messages(), 1);
    assert!(messages.len() >= 9);
    for outcome in join_all(messages.iter().map(|message| work(&memory, message))).await {
        outcome.unwrap();
    }
    let publishes = thrice(memory.take_publish_messages(), 2);
    for outcome in join_all(publishes.iter().map(|_| publish(&memory))).await {
        outcome.unwrap();
    }
    assert_published_once(&memory, "side by side");
}

/// Guard: `TaskStore::create` keeps a task that is there. A planner that was overtaken by its own
/// duplicate must not wipe out what the workers have made since.
#[tokio::test]
async fn a_planner_that_falls_behind_wipes_nothing_out() {
    let memory = Memory::with_video(Stage::Uploaded);
    memory.meanwhile("task.create", |memory| {
        at_once(async {
            plan(memory).await.unwrap();
            for message in memory.take_task_messages() {
                work(memory, &message).await.unwrap();
            }
        });
    });
    plan(&memory).await.unwrap();
    for message in memory.take_task_messages() {
        work(&memory, &message).await.unwrap();
    }
    assert!(!memory.take_publish_messages().is_empty());
    publish(&memory).await.unwrap();
    assert_published_once(&memory, "overtaken");
}

/// Guard: `advance` only from before `Transcoding`: the plan of a slow duplicate may not reopen a
/// finished film.
#[tokio::test]
async fn a_planner_that_falls_behind_by_a_whole_film_reopens_nothing() {
    let memory = Memory::with_video(Stage::Uploaded);
    memory.meanwhile("video.advance", |memory| {
        at_once(async {
            plan(memory).await.unwrap();
            for message in memory.take_task_messages() {
                work(memory, &message).await.unwrap();
            }
            publish(memory).await.unwrap();
        });
    });
    plan(&memory).await.unwrap();
    assert_published_once(&memory, "overtaken");
    assert!(memory.take_task_messages().is_empty());
}

/// Guard: a plan that is made again sends what is not finished, also when the video is
/// `Transcoding` already.
#[tokio::test]
async fn a_planner_that_dies_is_taken_over() {
    for method in ["task.create", "video.advance", "task.list", "tasks.send"] {
        let memory = Memory::with_video(Stage::Uploaded);
        memory.fail(method, 1);
        assert!(plan(&memory).await.is_err(), "{method}");
        memory.take_task_messages();
        plan(&memory).await.unwrap();
        let mut sent: Vec<_> =
            memory.take_task_messages().into_iter().map(|message| message.task).collect();
        sent.sort();
        assert_eq!(sent, TASKS, "{method}");
        assert_eq!(memory.video().unwrap().tasks_total, 3, "{method}");
    }
}

/// Guards: an error makes `run_task` fail, so that SQS delivers again, and nothing before
/// `TaskStore::finish` counts; objects are named by their content, so the second run writes the
/// same ones.
#[tokio::test]
async fn a_worker_that_dies_in_mid_task_is_taken_over() {
    for method in ["media.encode", "media.keep_file", "task.finish", "video.get", "task.get"] {
        let memory = Memory::with_video(Stage::Uploaded);
        plan(&memory).await.unwrap();
        let messages = memory.take_task_messages();
        memory.fail(method, 1);
        assert!(work(&memory, &messages[0]).await.is_err(), "{method}");
        assert_eq!(memory.video().unwrap().tasks_done, 0, "{method}");
        for message in &messages {
            work(&memory, message).await.unwrap();
        }
        publish(&memory).await.unwrap();
        assert_published_once(&memory, method);
    }
}

/// Guard: the publish message is sent also by a redelivery of a task that was finished before.
#[tokio::test]
async fn a_death_between_the_last_task_and_publishing_strands_nothing() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    let messages = memory.take_task_messages();
    let (last, others) = messages.split_last().unwrap();
    for message in others {
        work(&memory, message).await.unwrap();
    }
    memory.take_publish_messages();
    memory.fail("publish.send", 1);
    assert!(work(&memory, last).await.is_err());
    assert_eq!(memory.video().unwrap().tasks_done, 3);
    assert!(memory.take_publish_messages().is_empty());
    work(&memory, last).await.unwrap();
    assert_eq!(memory.take_publish_messages().len(), 1);
    publish(&memory).await.unwrap();
    assert_published_once(&memory, "redelivered");
}

/// Guard: `TaskStore::finish` records an output and counts it in one conditional write. The other
/// worker finishes while this one encodes.
#[tokio::test]
async fn a_task_that_two_workers_finish_is_counted_once() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    memory.meanwhile("task.finish", |memory| {
        at_once(work(memory, &message(SECOND))).unwrap();
    });
    work(&memory, &message(SECOND)).await.unwrap();
    assert_eq!(memory.video().unwrap().tasks_done, 1);
}

/// Guard: `publish_video` wants as many outputs as there are tasks.
#[tokio::test]
async fn a_publish_message_that_comes_too_early_does_nothing() {
    let memory = Memory::with_video(Stage::Uploaded);
    publish(&memory).await.unwrap();
    plan(&memory).await.unwrap();
    publish(&memory).await.unwrap();
    work(&memory, &message(SECOND)).await.unwrap();
    let before = memory.object_names();
    publish(&memory).await.unwrap();
    assert_eq!(memory.object_names(), before);
    assert_eq!(memory.stage(), Some(Stage::Transcoding));
    assert_eq!(memory.told(), []);
}

/// Guard: `publish_video` moves to `Ready` last, when every playlist is there.
#[tokio::test]
async fn a_publisher_that_dies_is_taken_over_and_nobody_saw_half_a_film() {
    for method in ["video.get", "task.list", "media.put", "video.advance"] {
        let memory = Memory::with_video(Stage::Uploaded);
        plan(&memory).await.unwrap();
        for message in memory.take_task_messages() {
            work(&memory, &message).await.unwrap();
        }
        memory.fail(method, 1);
        assert!(publish(&memory).await.is_err(), "{method}");
        assert_eq!(memory.stage(), Some(Stage::Transcoding), "{method}");
        assert_eq!(memory.told(), [], "{method}");
        publish(&memory).await.unwrap();
        assert_published_once(&memory, method);
    }
}

/// Guards: `publish_video` shows the beginning of a film, never less than before, and opens it when
/// it is whole. Nobody gets a grant before there is something to see.
#[tokio::test]
async fn a_film_grows_from_its_beginning() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    let shown = |memory: &Memory| memory.video().unwrap().segments_shown;
    for task in [SOUND, SECOND] {
        work(&memory, &message(task)).await.unwrap();
        publish(&memory).await.unwrap();
        assert_eq!(shown(&memory), 0, "{task}");
        assert!(!memory.video().unwrap().is_watchable());
    }
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    for task in [FIRST, SOUND] {
        work(&memory, &message(task)).await.unwrap();
        publish(&memory).await.unwrap();
    }
    assert_eq!((memory.stage(), shown(&memory)), (Some(Stage::Transcoding), 2));
    assert!(memory.video().unwrap().is_watchable());
    let text = |memory: &Memory, name: &str| {
        let objects = memory.objects.lock().unwrap();
        String::from_utf8(objects[&format!("v/{VIDEO}/{name}")].clone()).unwrap()
    };
    let max_age =
        |memory: &Memory, name: &str| memory.max_ages.lock().unwrap()[&format!("v/{VIDEO}/{name}")];
    for name in ["360p.m3u8", "720p.m3u8", "audio.m3u8"] {
        assert_eq!(text(&memory, name).matches("#EXTINF").count(), 2, "{name}");
        assert!(text(&memory, name).contains("EVENT"), "{name}");
        assert_eq!(max_age(&memory, name), 2, "{name}");
    }
    assert!(text(&memory, "manifest.mpd").contains("type=\"dynamic\""));
    assert_eq!(memory.told(), []);
    // Again, and by a message that was late: nothing is written.
    let before = memory.objects.lock().unwrap().clone();
    memory.max_ages.lock().unwrap().clear();
    publish(&memory).await.unwrap();
    assert_eq!(*memory.objects.lock().unwrap(), before);
    assert!(memory.max_ages.lock().unwrap().is_empty());
    work(&memory, &message(SECOND)).await.unwrap();
    publish(&memory).await.unwrap();
    assert_published_once(&memory, "grown");
    assert!(text(&memory, "720p.m3u8").ends_with("#EXT-X-ENDLIST\n"));
    assert!(text(&memory, "manifest.mpd").contains("type=\"static\""));
    assert!(max_age(&memory, "720p.m3u8") > 2);
}

/// Guard: everything goes by the plan that is stored, not by the one that was just made.
#[tokio::test]
async fn the_first_plan_counts() {
    let memory = Memory::with_video(Stage::Uploaded);
    memory.meanwhile("video.advance", |memory| {
        at_once(async {
            let limits = domain::ladder::Limits { chunk_seconds: 60, ..LIMITS };
            plan_within(memory, &limits).await.unwrap();
        });
    });
    plan(&memory).await.unwrap();
    let tasks: Vec<_> = memory.all_tasks().into_iter().map(|task| task.task).collect();
    assert_eq!(tasks, [FIRST, SOUND]);
    for message in memory.take_task_messages() {
        work(&memory, &message).await.unwrap();
    }
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
}

/// Guard: `run_task` goes by the size of what is stored. A worker that died may have stored another.
#[tokio::test]
async fn what_a_dead_worker_has_stored_stays() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    let digest = memory.video().unwrap().plan.unwrap().digest();
    let place = format!("v/{VIDEO}/720p/{digest}/00001.m4s");
    memory.objects.lock().unwrap().insert(place, vec![0; 77]);
    work(&memory, &message(FIRST)).await.unwrap();
    let tasks = memory.all_tasks();
    let pieces = tasks.iter().find_map(|task| task.output.clone()).unwrap();
    let sizes: Vec<_> = pieces[1].encoded.segments.iter().map(|s| (s.bytes, s.key_bytes)).collect();
    assert_eq!((pieces[1].track.as_str(), sizes), ("720p", vec![(77, 77), (1000, 100)]));
}

fn assert_failed(memory: &Memory, reason: &str) {
    let video = memory.video().unwrap();
    assert_eq!(video.stage, Stage::Failed);
    assert_eq!(video.reason.as_deref(), Some(reason));
    let told = Event::VideoFailed { video: VIDEO.into(), reason: reason.into() };
    assert_eq!(memory.told(), [told]);
}

/// Guard: `plan_transcode` takes a refusal for an answer; an error would come again for ever.
#[tokio::test]
async fn a_file_that_is_no_film_fails_with_a_reason_and_is_not_tried_again() {
    let memory = Memory::with_video(Stage::Uploaded);
    let refused = MediaError::Refused("This is a text file.".into());
    *memory.probe.lock().unwrap() = Some(Err(refused));
    plan(&memory).await.unwrap();
    assert_failed(&memory, "This is a text file.");
    plan(&memory).await.unwrap();
    assert_failed(&memory, "This is a text file.");
    assert!(memory.take_task_messages().is_empty());
    assert!(memory.all_tasks().is_empty());
}

#[tokio::test]
async fn a_film_beyond_the_limits_fails_with_a_reason() {
    let memory = Memory::with_video(Stage::Uploaded);
    let long = domain::ladder::Probe { duration_seconds: 61.0, ..film() };
    *memory.probe.lock().unwrap() = Some(Ok(long));
    plan(&memory).await.unwrap();
    assert_failed(&memory, "The film lasts 61 seconds; at most 60 are accepted.");
}

/// Guard: `plan_transcode` and `run_task` pass a failure on, so that SQS delivers again.
#[tokio::test]
async fn a_tool_that_fails_is_tried_again() {
    let memory = Memory::with_video(Stage::Uploaded);
    *memory.probe.lock().unwrap() = Some(Err(MediaError::Failed("out of memory".into())));
    assert!(plan(&memory).await.is_err());
    assert_eq!(memory.stage(), Some(Stage::Uploaded));
    *memory.probe.lock().unwrap() = Some(Ok(film()));
    plan(&memory).await.unwrap();
    let failed = MediaError::Failed("killed".into());
    memory.encode_errors.lock().unwrap().push_back(failed);
    let cause = work(&memory, &message(SECOND)).await.unwrap_err();
    assert_eq!(memory.stage(), Some(Stage::Transcoding));
    assert_eq!(memory.told(), []);
    // And after the last attempt.
    let m = &memory;
    assert!(give_up(m, m, m, m, m, &message(SECOND), cause).await.is_err());
    let video = memory.video().unwrap();
    assert_eq!((video.stage, video.redrivable), (Stage::Failed, true));
    assert_eq!(video.reason.unwrap(), format!("the part {SECOND} could not be encoded"));
}

#[tokio::test]
async fn a_picture_that_can_not_be_decoded_fails_the_video_and_ends_its_other_tasks() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    let refused = MediaError::Refused("The picture is broken.".into());
    memory.encode_errors.lock().unwrap().push_back(refused);
    for task in TASKS {
        work(&memory, &message(task)).await.unwrap();
    }
    assert_failed(&memory, "The picture is broken.");
    assert_eq!(memory.object_names(), [] as [&str; 0]);
    assert!(memory.take_publish_messages().is_empty());
}

/// Guard: `fail` moves only from the stages before `Ready`. The last attempt of a duplicate may end
/// long after another has succeeded.
#[tokio::test]
async fn a_duplicate_that_gives_up_late_fails_no_finished_film() {
    for stage in [Stage::Ready, Stage::Deleting, Stage::Failed] {
        let memory = Memory::with_video(stage);
        let before = memory.video();
        let failure = Failure::Refused("it could not be encoded");
        fail(&memory, &memory, &memory, VIDEO, failure).await.unwrap();
        assert_eq!((memory.video(), memory.told()), (before, vec![]));
    }
    let memory = Memory::with_video(Stage::Transcoding);
    for _ in 0..3 {
        let failure = Failure::Refused("it could not be encoded");
        fail(&memory, &memory, &memory, VIDEO, failure).await.unwrap();
    }
    assert_failed(&memory, "it could not be encoded");
}

/// Guard: `run_task` and `publish_video` take a failed video that is redrivable.
#[tokio::test]
async fn a_part_that_was_given_up_is_finished_by_a_redrive() {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    let mut messages = memory.take_task_messages();
    let poisoned = messages.remove(0);
    let failure = Failure::GaveUp("the part audio could not be encoded");
    fail(&memory, &memory, &memory, VIDEO, failure).await.unwrap();
    for message in &messages {
        work(&memory, message).await.unwrap();
        publish(&memory).await.unwrap();
    }
    assert_eq!(memory.stage(), Some(Stage::Failed));
    assert!(!memory.object_names().iter().any(|name| name.ends_with(".m3u8")));
    memory.take_publish_messages();
    work(&memory, &poisoned).await.unwrap();
    assert_eq!(memory.take_publish_messages().len(), 1);
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
    assert_eq!(memory.video().unwrap().reason, None);
}

/// Guard: `plan_transcode` starts over for a redrivable video without tasks, and for no other.
#[tokio::test]
async fn a_plan_that_was_given_up_is_made_by_a_redrive() {
    for (failure, tasks) in [(Failure::GaveUp("later"), 3), (Failure::Refused("never"), 0)] {
        let memory = Memory::with_video(Stage::Uploaded);
        fail(&memory, &memory, &memory, VIDEO, failure).await.unwrap();
        plan(&memory).await.unwrap();
        assert_eq!(memory.take_task_messages().len(), tasks, "{failure:?}");
    }
}

#[tokio::test]
async fn messages_of_no_video_and_of_no_task_are_done_with() {
    let memory = Memory::fresh();
    plan(&memory).await.unwrap();
    work(&memory, &message(SECOND)).await.unwrap();
    publish(&memory).await.unwrap();
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    work(&memory, &message("4320p-00001")).await.unwrap();
    assert_eq!(memory.video().unwrap().tasks_done, 0);
    assert_eq!(memory.object_names(), [] as [&str; 0]);
}
