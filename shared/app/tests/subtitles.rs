//! Subtitles beside the film: before, while and after it is transcoded.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{CREATOR, VIDEO, VIEWER, plan, publish, session, work};
use app::problem::{Error, Problem};
use app::set_subtitle::{NewSubtitle, remove_subtitle, set_subtitle};
use domain::account::Address;
use domain::presentation::{Presentation, Track};
use domain::video::Stage;
use serde_json::{Value, json};

const GERMAN: &str = "1\n00:00:05,000 --> 00:00:06,000\nGuten Tag.\n";

fn german() -> Value {
    json!({ "text": GERMAN })
}

async fn set(memory: &Memory, who: Address, name: &str, new: Value) -> Result<(), Error> {
    let new: NewSubtitle = serde_json::from_value(new).unwrap();
    let caller = &session(who);
    set_subtitle(memory, memory, memory, memory, caller, (VIDEO, name), new).await.map(drop)
}

async fn remove(memory: &Memory, who: Address, name: &str) -> Result<(), Error> {
    remove_subtitle(memory, memory, memory, &session(who), (VIDEO, name)).await
}

/// Everything that waits for a publisher.
async fn publish_all(memory: &Memory) {
    for message in memory.take_publish_messages() {
        assert_eq!(message.video, VIDEO);
        publish(memory).await.unwrap();
    }
}

/// The first tasks that wait.
async fn work_on(memory: &Memory, tasks: usize) {
    for message in memory.take_task_messages().iter().take(tasks) {
        work(memory, message).await.unwrap();
    }
}

async fn ready() -> Memory {
    let memory = Memory::with_video(Stage::Uploaded);
    plan(&memory).await.unwrap();
    work_on(&memory, usize::MAX).await;
    publish_all(&memory).await;
    assert_eq!(memory.stage(), Some(Stage::Ready));
    memory
}

fn object(memory: &Memory, name: &str) -> String {
    String::from_utf8(memory.object(&format!("v/{VIDEO}/{name}")).unwrap()).unwrap()
}

/// The uploaded subtitles of the film as it is published.
fn shown(memory: &Memory) -> Vec<Track> {
    let film = Presentation::read(object(memory, "presentation.json").as_bytes()).unwrap();
    film.tracks.into_iter().filter(|track| track.name.starts_with("subtitles-")).collect()
}

#[tokio::test]
async fn they_come_with_the_film_when_they_were_there_before_it() {
    let memory = Memory::with_video(Stage::Uploading);
    set(&memory, CREATOR, "de", german()).await.unwrap();
    publish_all(&memory).await;
    plan(&memory).await.unwrap();
    // The sound and the first two of three segments.
    work_on(&memory, 2).await;
    publish_all(&memory).await;
    let [track] = &*shown(&memory) else { unreachable!("one track") };
    assert_eq!((track.language(), track.encoded.segments.len()), (Some("de"), 2), "it grows");
    plan(&memory).await.unwrap();
    work_on(&memory, usize::MAX).await;
    publish_all(&memory).await;
    let [track] = &*shown(&memory) else { unreachable!("one track") };
    assert_eq!(track.encoded.segments.len(), 3);
    let said = |number: u32| {
        let file = format!("{}/{number:05}.vtt", track.folder);
        object(&memory, &file).contains("00:00:05.000 --> 00:00:06.000\nGuten Tag.")
    };
    assert_eq!([said(1), said(2), said(3)], [false, true, false]);
    let playlist = object(&memory, "master.m3u8");
    assert!(playlist.contains("LANGUAGE=\"de\",URI=\"subtitles-de.m3u8\""), "{playlist}");
    assert!(object(&memory, "subtitles-de.m3u8").contains("/00003.vtt"));
}

#[tokio::test]
async fn they_come_to_a_film_that_is_ready_and_go() {
    let memory = ready().await;
    let before = object(&memory, "720p.m3u8");
    set(&memory, CREATOR, "de", german()).await.unwrap();
    let english = json!({ "text": GERMAN.replace("Guten Tag", "Good day"), "language": "en",
                          "purpose": "hearing_impaired", "title": "English SDH" });
    set(&memory, CREATOR, "en-sdh", english).await.unwrap();
    publish_all(&memory).await;
    let tracks = shown(&memory);
    let names: Vec<_> = tracks.iter().map(|track| &*track.name).collect();
    assert_eq!(names, ["subtitles-de", "subtitles-en-sdh"]);
    assert!(object(&memory, "master.m3u8").contains("NAME=\"English SDH\""));
    // A new text is another track of that name: who has the old one cached doesn't mix them.
    let old = tracks[0].folder.clone();
    let better = json!({ "text": GERMAN.replace("Tag", "Abend") });
    set(&memory, CREATOR, "de", better).await.unwrap();
    publish_all(&memory).await;
    let new = shown(&memory)[0].folder.clone();
    assert_ne!(new, old);
    assert!(object(&memory, &format!("{new}/00002.vtt")).contains("Guten Abend"));
    // The same text under another title is cut once, and called by the new one.
    let titled = json!({ "text": GERMAN.replace("Tag", "Abend"), "title": "Deutsch" });
    set(&memory, CREATOR, "de", titled).await.unwrap();
    publish_all(&memory).await;
    assert_eq!(shown(&memory)[0].folder, new);
    assert!(object(&memory, "master.m3u8").contains("NAME=\"Deutsch\""));
    for name in ["de", "en-sdh"] {
        remove(&memory, CREATOR, name).await.unwrap();
    }
    publish_all(&memory).await;
    assert!(shown(&memory).is_empty());
    assert!(!object(&memory, "master.m3u8").contains("SUBTITLES"));
    assert_eq!(object(&memory, "720p.m3u8"), before);
    assert_eq!(memory.told().len(), 1, "the film was ready once");
}

#[tokio::test]
async fn a_publisher_that_dies_leaves_nothing_half() {
    for step in ["media.get", "media.put"] {
        let memory = ready().await;
        set(&memory, CREATOR, "de", german()).await.unwrap();
        memory.take_publish_messages();
        memory.fail(step, 1);
        let died = publish(&memory).await;
        assert!(died.is_err(), "{step}");
        publish(&memory).await.unwrap();
        assert_eq!(shown(&memory).len(), 1, "{step}");
    }
}

#[tokio::test]
async fn what_is_no_subtitle_changes_nothing() {
    let memory = ready().await;
    let objects = memory.object_names();
    for (body, field) in [
        (json!({ "text": "" }), "text"),
        (json!({ "text": "Nobody says when." }), "text"),
        (json!({ "text": GERMAN, "language": "Deutsch, bitte" }), "language"),
    ] {
        let refused = set(&memory, CREATOR, "de", body).await.unwrap_err();
        let Error::Problem(Problem::BodyInvalid { field: found, .. }) = refused else {
            unreachable!("{refused:?}")
        };
        assert_eq!(found, field);
    }
    let long = json!({ "text": GERMAN.repeat(app::set_subtitle::MAX_TEXT / GERMAN.len() + 1) });
    let refused = set(&memory, CREATOR, "de", long).await.unwrap_err();
    assert!(matches!(refused, Error::Problem(Problem::BodyTooLarge(_))));
    for name in ["", "De", "../de", "a/b", &"a".repeat(36)] {
        let refused = set(&memory, CREATOR, name, german()).await.unwrap_err();
        assert!(matches!(refused, Error::Problem(Problem::NotFound)), "{name}");
    }
    let stranger = set(&memory, VIEWER, "de", german()).await.unwrap_err();
    assert!(matches!(stranger, Error::Problem(Problem::NotFound)));
    let nothing = remove(&memory, CREATOR, "de").await.unwrap_err();
    assert!(matches!(nothing, Error::Problem(Problem::NotFound)));
    assert_eq!(memory.object_names(), objects);
    assert!(memory.take_publish_messages().is_empty());
    assert!(memory.video().unwrap().subtitles.is_empty());
}

#[tokio::test]
async fn there_is_an_end_to_how_many() {
    let memory = ready().await;
    for number in 0..domain::subtitle::MOST_UPLOADED {
        set(&memory, CREATOR, &format!("t{number}"), german()).await.unwrap();
    }
    let refused = set(&memory, CREATOR, "one-more", german()).await.unwrap_err();
    assert!(matches!(refused, Error::Problem(Problem::Conflict(_))));
    set(&memory, CREATOR, "t0", german()).await.unwrap();
    remove(&memory, CREATOR, "t0").await.unwrap();
    set(&memory, CREATOR, "one-more", german()).await.unwrap();
}

/// Guard: `VideoStore::set_subtitles` compares what was read.
#[tokio::test]
async fn of_two_at_once_none_is_lost() {
    let memory = ready().await;
    let both = futures_util::future::join(
        set(&memory, CREATOR, "de", german()),
        set(&memory, CREATOR, "fr", german()),
    )
    .await;
    let refused = [&both.0, &both.1].into_iter().filter(|outcome| outcome.is_err()).count();
    let kept = memory.video().unwrap().subtitles.len();
    assert_eq!(kept + refused, 2, "{both:?}");
    assert!(kept >= 1);
}
