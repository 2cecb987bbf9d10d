//! An encrypted film: HLS alone, a new key every few minutes, and keys for live grants only.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CONTRACT, FRESHNESS, NOW, VIDEO, VIEWER, film, plan, policy, publish, session, watch,
    watch_with, work,
};
use adapter_memory::keys::NEWEST;
use app::grant_playback::Wish;
use app::open_key::{WantedKey, open_key};
use app::ports::ContentKeys;
use app::problem::{Error, Problem};
use domain::decision::Verdict;
use domain::encryption::{Encryption, Method, content_key, sealed_len};
use domain::grant::Carrier;
use domain::video::Stage;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// Three segments of four seconds, the last one shorter; a key for two of them (the arrangement's
/// limits say eight seconds).
async fn encrypted() -> Memory {
    let memory = Memory::with_video(Stage::Uploaded);
    memory.change(|video| video.encryption = Some(Method::Aes128));
    *memory.probe.lock().unwrap() = Some(Ok(film()));
    plan(&memory).await.unwrap();
    for message in memory.take_task_messages() {
        work(&memory, &message).await.unwrap();
    }
    publish(&memory).await.unwrap();
    assert_eq!(memory.stage(), Some(Stage::Ready));
    memory
}

async fn granted(memory: &Memory) -> String {
    memory.holds(CONTRACT, VIEWER, Verdict::Yes);
    let playback = watch(memory, VIEWER).await.unwrap();
    playback.hls.rsplit_once("grant=").unwrap().1.to_owned()
}

async fn key(memory: &Memory, video: &str, period: &str, token: &str) -> Result<[u8; 16], Problem> {
    let wanted = WantedKey { video, period, token };
    match open_key(memory, memory, memory, memory, &wanted).await {
        Ok(key) => Ok(key),
        Err(Error::Problem(problem)) => Err(problem),
        Err(Error::Port(error)) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_film_is_stored_encrypted_with_a_key_for_every_stretch() {
    let memory = encrypted().await;
    let plan = memory.video().unwrap().plan.unwrap();
    let expected = Encryption { method: Method::Aes128, key: NEWEST.into(), period_segments: 2 };
    assert_eq!(plan.encryption, Some(expected.clone()));
    let master = memory.key(NEWEST).await.unwrap();
    let mut stored = BTreeSet::new();
    for track in ["360p", "720p", "audio"] {
        let folder = format!("{track}/{}", plan.digest());
        for number in 1..=3 {
            let object = memory.object(&format!("v/{VIDEO}/{folder}/{number:05}.m4s")).unwrap();
            // What the fake encoder makes is a thousand zeros.
            let seal = expected.seal(&master, VIDEO, &folder, number);
            assert_eq!(object, seal.apply(&[0; 1000]));
            assert_eq!(object.len() as u64, sealed_len(1000));
            assert!(stored.insert(object), "{folder} {number}");
        }
        let init = memory.object(&format!("v/{VIDEO}/{folder}/init.mp4")).unwrap();
        assert_eq!(init, [0; 1000], "settings of codecs stay plain");
    }
}

#[tokio::test]
async fn its_playlists_name_keys_and_there_is_no_dash_and_none_of_key_frames() {
    let memory = encrypted().await;
    let names = memory.object_names();
    for name in ["manifest.mpd", "360p-iframes.m3u8", "720p-iframes.m3u8"] {
        assert!(!names.iter().any(|other| other.ends_with(name)), "{names:?}");
    }
    let text = |name: &str| {
        String::from_utf8(memory.object(&format!("v/{VIDEO}/{name}")).unwrap()).unwrap()
    };
    assert!(!text("master.m3u8").contains("I-FRAME"));
    let playlist = text("720p.m3u8");
    let keys: Vec<_> = playlist
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-KEY:METHOD=AES-128,URI=\""))
        .map(|rest| rest.split_once('"').unwrap())
        .collect();
    let uris: Vec<_> = keys.iter().map(|(uri, _)| *uri).collect();
    let at = |period| format!("/v1/videos/{VIDEO}/keys/{period}");
    assert_eq!(uris, [at(0), at(0), at(1)]);
    let vectors: BTreeSet<_> = keys.iter().map(|(_, rest)| *rest).collect();
    assert_eq!(vectors.len(), 3, "one for each segment");
    // The init segment comes before the first key: it is plain.
    assert!(playlist.find("#EXT-X-MAP") < playlist.find("#EXT-X-KEY"));
}

#[tokio::test]
async fn a_retry_writes_the_very_same_bytes() {
    let (one, other) = (encrypted().await, encrypted().await);
    for name in one.object_names().iter().filter(|name| name.ends_with(".m4s")) {
        assert_eq!(one.object(name), other.object(name), "{name}");
    }
    // And a worker that died before it was counted has changed nothing.
    let memory = Memory::with_video(Stage::Uploaded);
    memory.change(|video| video.encryption = Some(Method::Aes128));
    *memory.probe.lock().unwrap() = Some(Ok(film()));
    plan(&memory).await.unwrap();
    let messages = memory.take_task_messages();
    memory.fail("task.finish", 1);
    assert!(work(&memory, &messages[0]).await.is_err());
    for message in &messages {
        work(&memory, message).await.unwrap();
    }
    publish(&memory).await.unwrap();
    for name in one.object_names().iter().filter(|name| name.contains(".m")) {
        assert_eq!(memory.object(name), one.object(name), "{name}");
    }
}

#[tokio::test]
async fn without_its_master_key_nothing_is_planned_or_stored() {
    for method in ["content.newest", "content.key"] {
        let memory = Memory::with_video(Stage::Uploaded);
        memory.change(|video| video.encryption = Some(Method::Aes128));
        *memory.probe.lock().unwrap() = Some(Ok(film()));
        memory.fail(method, u32::MAX);
        let planned = plan(&memory).await;
        assert_eq!(planned.is_err(), method == "content.newest");
        for message in memory.take_task_messages() {
            assert!(work(&memory, &message).await.is_err());
        }
        assert!(memory.object_names().iter().all(|name| !name.ends_with(".m4s")));
    }
}

#[tokio::test]
async fn a_live_grant_gets_the_keys_of_its_film() {
    let memory = encrypted().await;
    let token = granted(&memory).await;
    let master = memory.key(NEWEST).await.unwrap();
    for (period, text) in [(0, "0"), (1, "1")] {
        let expected = content_key(&master, VIDEO, period);
        assert_eq!(key(&memory, VIDEO, text, &token).await, Ok(expected));
    }
    assert_ne!(key(&memory, VIDEO, "0", &token).await, key(&memory, VIDEO, "1", &token).await);
    for beyond in ["2", "00", "+1", "-1", "x", "", "18446744073709551616", "0x0"] {
        assert_eq!(key(&memory, VIDEO, beyond, &token).await, Err(Problem::NotFound), "{beyond}");
    }
}

/// Guard: `carries` comes before anything is written down.
#[tokio::test]
async fn by_a_path_it_is_not_granted() {
    let memory = encrypted().await;
    memory.holds(CONTRACT, VIEWER, Verdict::Yes);
    let wish = Wish { carrier: Carrier::Path, ..Wish::default() };
    let outcome = watch_with(&memory, &session(VIEWER), FRESHNESS, &wish).await;
    let Err(Error::Problem(Problem::BodyInvalid { field, .. })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(field, "carrier");
    assert!(memory.grants.lock().unwrap().is_empty());
    assert!(memory.keys.audit.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_else_gets_one() {
    let memory = encrypted().await;
    let token = granted(&memory).await;
    let refused = async |memory: &Memory, video: &str, token: &str| {
        key(memory, video, "0", token).await == Err(Problem::GrantInvalid)
    };
    let stored = memory.grants.lock().unwrap().values().next().unwrap().clone();
    let stored = format!("{}{}", stored.grant, stored.secret);
    for bad in ["", "x", &"0".repeat(64), &token.to_uppercase(), &token[1..], &stored] {
        assert!(refused(&memory, VIDEO, bad).await, "{bad}");
    }
    // Nor does it say whether there is such a period, or such a film.
    assert_eq!(key(&memory, VIDEO, "99", "x").await, Err(Problem::GrantInvalid));
    assert!(refused(&memory, &"1".repeat(32), &token).await, "another film's");
    memory.now.store(NOW + 600, Ordering::SeqCst);
    assert!(refused(&memory, VIDEO, &token).await, "over");
    memory.now.store(NOW, Ordering::SeqCst);
    assert!(!refused(&memory, VIDEO, &token).await);
    memory.new_policy(Some(policy(CONTRACT)));
    assert!(refused(&memory, VIDEO, &token).await, "decided on an earlier policy");
    let again = granted(&memory).await;
    assert!(!refused(&memory, VIDEO, &again).await);
    memory.change(|video| video.stage = Stage::Deleting);
    assert!(refused(&memory, VIDEO, &again).await, "going");
}

#[tokio::test]
async fn a_plain_film_has_no_keys() {
    let memory = Memory::with_video(Stage::Uploaded);
    *memory.probe.lock().unwrap() = Some(Ok(film()));
    plan(&memory).await.unwrap();
    for message in memory.take_task_messages() {
        work(&memory, &message).await.unwrap();
    }
    publish(&memory).await.unwrap();
    let token = granted(&memory).await;
    assert_eq!(key(&memory, VIDEO, "0", &token).await, Err(Problem::NotFound));
    let names = memory.object_names();
    assert!(names.iter().any(|name| name.ends_with("manifest.mpd")));
    let playlist = memory.object(&format!("v/{VIDEO}/720p.m3u8")).unwrap();
    assert!(!String::from_utf8(playlist).unwrap().contains("EXT-X-KEY"));
}
