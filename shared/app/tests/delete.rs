//! Delete: all of a video, also after a fault, also beside workers.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CONTRACT, CREATOR, KNOWN, VIDEO, VIEWER, at_once, plan, publish, session, video as film_video,
    watch, work,
};
use app::delete_video::delete_video;
use app::forget_video::forget_video;
use app::plan_transcode::TaskMessage;
use app::problem::{Error, Problem};
use app::set_policy::{NewPolicy, set_policy};
use domain::account::Address;
use domain::decision::Verdict;
use domain::video::{Stage, Video};

const OTHER: &str = "ffeeddccbbaa99887766554433221100";

async fn delete(memory: &Memory, who: Address) -> Result<(), Error> {
    let m = memory;
    delete_video(m, m, m, m, m, Some(m), m, m, &session(who), VIDEO).await
}

/// A video whose tasks are planned, and their messages.
async fn transcoding() -> (Memory, Vec<TaskMessage>) {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    let messages = memory.take_task_messages();
    (memory, messages)
}

/// A video that can be watched.
async fn ready() -> Memory {
    let (memory, messages) = transcoding().await;
    for message in messages {
        work(&memory, &message).await.unwrap();
    }
    publish(&memory).await.unwrap();
    memory.take_publish_messages();
    memory
}

/// Begins a delete that dies at once.
fn begin(memory: &Memory) {
    memory.fail("upload.remove", 1);
    assert!(at_once(delete(memory, CREATOR)).is_err());
    assert_eq!(memory.stage(), Some(Stage::Deleting));
}

#[tokio::test]
async fn a_video_goes_with_all_that_was_made_of_it_and_nothing_beside() {
    let memory = ready().await;
    memory.put(Video { id: OTHER.into(), ..film_video(Stage::Ready) });
    let beside = format!("v/{OTHER}/init.mp4");
    memory.objects.lock().unwrap().insert(beside.clone(), Vec::new());
    delete(&memory, CREATOR).await.unwrap();
    assert_eq!(memory.object_names(), [beside]);
    assert!(memory.videos.lock().unwrap().contains_key(OTHER));
    assert!(memory.all_tasks().is_empty() && memory.files.lock().unwrap().is_empty());
    let again = delete(&memory, CREATOR).await;
    assert!(matches!(again, Err(Error::Problem(Problem::NotFound))));
}

#[tokio::test]
async fn nobody_deletes_anothers_video() {
    let memory = ready().await;
    let before = (memory.video(), memory.object_names());
    let outcome = delete(&memory, VIEWER).await;
    assert!(matches!(outcome, Err(Error::Problem(Problem::NotFound))));
    assert_eq!((memory.video(), memory.object_names()), before);
}

/// Guards: the record of the video goes last, so that it can be asked for again; `Deleting` is
/// among the stages that a delete may begin from.
#[tokio::test]
async fn a_delete_that_dies_goes_on_where_it_stopped() {
    let steps = [
        "video.advance",
        "upload.remove",
        "media.remove_folder",
        "task.remove",
        "forget.send",
        "video.remove",
    ];
    for method in steps {
        let memory = ready().await;
        memory.fail(method, 1);
        assert!(matches!(delete(&memory, CREATOR).await, Err(Error::Port(_))), "{method}");
        assert!(!memory.is_empty(), "{method}");
        delete(&memory, CREATOR).await.unwrap();
        assert!(memory.is_empty(), "{method}");
    }
}

/// Guard: the caches are told when nothing is left that they could fetch again.
#[tokio::test]
async fn the_edge_forgets_a_film_that_is_gone() {
    let memory = ready().await;
    memory.meanwhile("forget.send", |memory| {
        assert!(memory.object_names().is_empty() && memory.video().is_some());
    });
    delete(&memory, CREATOR).await.unwrap();
    let messages: Vec<_> = memory.forget_messages.lock().unwrap().drain(..).collect();
    assert_eq!(messages.len(), 1);
    memory.fail("edge.invalidate", 1);
    assert!(forget_video(&memory, &messages[0]).await.is_err(), "it comes again");
    forget_video(&memory, &messages[0]).await.unwrap();
    assert_eq!(*memory.edge.forgotten.lock().unwrap(), [format!("/v/{VIDEO}/*")]);
}

#[tokio::test]
async fn a_video_can_be_deleted_in_every_stage() {
    for stage in [
        Stage::Uploading,
        Stage::Uploaded,
        Stage::Transcoding,
        Stage::Ready,
        Stage::Failed,
        Stage::Deleting,
    ] {
        let memory = Memory::with_video(stage);
        delete(&memory, CREATOR).await.unwrap();
        assert!(memory.is_empty(), "{stage:?}");
    }
}

/// Guard: the stage moves first, and everything else looks at it.
#[tokio::test]
async fn once_a_delete_has_begun_nothing_is_planned_granted_or_changed() {
    let memory = ready().await;
    memory.holds(CONTRACT, VIEWER, Verdict::Yes);
    begin(&memory);
    let before = memory.video();
    plan(&memory).await.unwrap();
    publish(&memory).await.unwrap();
    assert!(memory.take_task_messages().is_empty());
    let m = &memory;
    let grant = watch(m, VIEWER).await;
    assert!(matches!(grant, Err(Error::Problem(Problem::NotFound))));
    let none = NewPolicy { policy: None };
    let set = set_policy(m, m, m, &KNOWN, &session(CREATOR), VIDEO, none).await;
    assert!(matches!(set, Err(Error::Problem(Problem::NotFound))));
    assert_eq!((memory.video(), memory.grant_count()), (before, 0));
}

/// Guards: `run_task` looks at the stage before it encodes; `TaskStore::finish` counts only on a
/// video that is transcoding.
#[tokio::test]
async fn a_task_that_finishes_after_a_delete_began_changes_nothing() {
    // Before it starts, while it encodes, and when its files are stored.
    for method in ["video.get", "media.encode", "task.finish"] {
        let (memory, messages) = transcoding().await;
        memory.meanwhile(method, begin);
        for message in &messages {
            work(&memory, message).await.unwrap();
        }
        let video = memory.video().unwrap();
        assert_eq!((video.stage, video.tasks_done), (Stage::Deleting, 0), "{method}");
        assert!(memory.all_tasks().iter().all(|task| task.output.is_none()), "{method}");
        publish(&memory).await.unwrap();
        assert_eq!(memory.video().unwrap().stage, Stage::Deleting, "{method}");
        delete(&memory, CREATOR).await.unwrap();
        assert!(memory.is_empty(), "{method}");
    }
}

/// Guard: `run_task` looks at the stage again before it stores. Encoding takes minutes: time for a
/// whole delete, which would never see what is stored after it.
#[tokio::test]
async fn a_task_that_finishes_after_a_delete_ended_stores_nothing() {
    let (memory, messages) = transcoding().await;
    memory.meanwhile("media.encode", |memory| {
        at_once(delete(memory, CREATOR)).unwrap();
    });
    work(&memory, &messages[0]).await.unwrap();
    assert!(memory.is_empty(), "{:?}", memory.object_names());
}

/// Guard: the move to `Ready` is only from `Transcoding`.
#[tokio::test]
async fn a_publisher_does_not_undo_a_delete() {
    let (memory, messages) = transcoding().await;
    for message in &messages {
        work(&memory, message).await.unwrap();
    }
    memory.meanwhile("video.advance", begin);
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Deleting));
    assert_eq!(memory.told(), []);
}
