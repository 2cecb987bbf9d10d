//! Playlists: signed once, for whoever shows a live grant.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CONTRACT, CREATOR, FRESHNESS, NOW, VIDEO, VIEWER, plan, publish, session, signer,
    video as film_video, watch, watch_with, work,
};
use app::delete_video::delete_video;
use app::grant_playback::Wish;
use app::ports::VideoStore;
use app::problem::{Error, Problem};
use app::sign_playlist::{Opened, Playlist, Wanted, sign_playlist};
use domain::decision::Verdict;
use domain::grant::Carrier;
use domain::video::Stage;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

const OTHER: &str = "ffeeddccbbaa99887766554433221100";

/// A film as it is published, and the token of a holder's grant.
async fn scene() -> (Memory, String) {
    let m = Memory::with_video(Stage::Uploaded);
    plan(&m).await.unwrap();
    for message in m.take_task_messages() {
        work(&m, &message).await.unwrap();
    }
    publish(&m).await.unwrap();
    m.holds(CONTRACT, VIEWER, Verdict::Yes);
    let playback = watch(&m, VIEWER).await.unwrap();
    let (_, token) = playback.hls.split_once("?grant=").unwrap();
    (m, token.to_owned())
}

async fn fetch(memory: &Memory, id: &str, name: &str, token: &str) -> Result<Playlist, Error> {
    match open(memory, id, name, token).await? {
        Opened::Playlist(playlist) => Ok(playlist),
        Opened::At(address) => panic!("{name} is at {address}"),
    }
}

async fn open(memory: &Memory, id: &str, name: &str, token: &str) -> Result<Opened, Error> {
    let wanted = Wanted { video: id, name, token };
    sign_playlist(memory, memory, memory, memory, &signer(), &wanted).await
}

fn problem(outcome: Result<Playlist, Error>) -> Problem {
    match outcome {
        Err(Error::Problem(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_address_opens_with_the_one_signature() {
    let (memory, token) = scene().await;
    let main = fetch(&memory, VIDEO, "master.m3u8", &token).await.unwrap();
    assert_eq!(main.content_type, "application/vnd.apple.mpegurl");
    let mut signatures = BTreeSet::new();
    let plan = memory.video().unwrap().plan.unwrap().digest();
    let grant = &token[..40];
    let folder = format!("/q/{grant}/v/{VIDEO}/");
    for track in ["360p", "720p", "audio"] {
        assert!(main.text.contains(&format!("{track}.m3u8?grant={token}")), "{}", main.text);
        let playlist = fetch(&memory, VIDEO, &format!("{track}.m3u8"), &token).await.unwrap();
        let stem = format!("{folder}{track}/{plan}/");
        for file in ["init.mp4", "00001.m4s", "00002.m4s", "00003.m4s"] {
            let (_, rest) = playlist.text.split_once(&format!("{stem}{file}?")).unwrap();
            signatures.insert(rest.split(['"', '\n']).next().unwrap().to_owned());
        }
    }
    let storyboard = fetch(&memory, VIDEO, "storyboard.vtt", &token).await.unwrap();
    assert_eq!(storyboard.content_type, "text/vtt");
    for (sheet, tiles) in [("00001.jpg", 2), ("00003.jpg", 1)] {
        let stem = format!("{folder}storyboard/{plan}/{sheet}?");
        let found = storyboard.text.split(&stem).skip(1);
        signatures.extend(found.clone().map(|rest| rest.split('#').next().unwrap().to_owned()));
        assert_eq!(found.count(), tiles, "{}", storyboard.text);
    }
    let poster = open(&memory, VIDEO, "poster.jpg", &token).await.unwrap();
    let Opened::At(address) = poster else { panic!("{poster:?}") };
    let (path, signature) = address.split_once('?').unwrap();
    assert_eq!(path, format!("{folder}poster.jpg"));
    signatures.insert(signature.to_owned());
    assert_eq!(signatures.len(), 1, "{signatures:?}");
    let dash = fetch(&memory, VIDEO, "manifest.mpd", &token).await.unwrap();
    assert_eq!(dash.content_type, "application/dash+xml");
    let signature = signatures.first().unwrap().split('&').find(|part| part.contains("Signature"));
    assert!(dash.text.contains(signature.unwrap()));
}

/// Guard: `grant.carrier` in `sign_playlist`: what the edge can't be told to refuse is not signed.
#[tokio::test]
async fn another_carriers_token_writes_no_playlist() {
    let (memory, _) = scene().await;
    for carrier in [Carrier::Cookie, Carrier::Path] {
        let playback =
            watch_with(&memory, &session(VIEWER), FRESHNESS, &Wish { carrier, ..Wish::default() })
                .await
                .unwrap();
        let outcome = fetch(&memory, VIDEO, "master.m3u8", &playback.grant.token).await;
        assert_eq!(problem(outcome), Problem::GrantInvalid);
    }
}

/// Guard: `grant.video == id` in `sign_playlist`.
#[tokio::test]
async fn a_grant_opens_no_other_video() {
    let (memory, token) = scene().await;
    memory.put(domain::video::Video { id: OTHER.into(), ..film_video(Stage::Ready) });
    let stored = memory.objects.lock().unwrap()[&format!("v/{VIDEO}/presentation.json")].clone();
    memory.objects.lock().unwrap().insert(format!("v/{OTHER}/presentation.json"), stored);
    let outcome = fetch(&memory, OTHER, "master.m3u8", &token).await;
    assert_eq!(problem(outcome), Problem::GrantInvalid);
}

/// Guard: `sign_playlist` looks at `expires_at` itself; the table forgets days later.
#[tokio::test]
async fn a_grant_ends_on_its_second() {
    let (memory, token) = scene().await;
    memory.now.store(NOW + 599, Ordering::SeqCst);
    fetch(&memory, VIDEO, "master.m3u8", &token).await.unwrap();
    memory.now.store(NOW + 600, Ordering::SeqCst);
    let outcome = fetch(&memory, VIDEO, "master.m3u8", &token).await;
    assert_eq!(problem(outcome), Problem::GrantInvalid);
}

#[tokio::test]
async fn a_token_that_is_none_opens_nothing() {
    let (memory, token) = scene().await;
    let stored = memory.grants.lock().unwrap().values().next().unwrap().clone();
    let (id, other) = (stored.grant.as_str(), "0".repeat(64));
    // What the table holds is no token either.
    let (shown, guess) = (format!("{id}{}", stored.secret), format!("{id}{other}"));
    for bad in ["", "x", &other, &token.to_uppercase(), &token[1..], id, &shown, &guess] {
        let outcome = fetch(&memory, VIDEO, "master.m3u8", bad).await;
        assert_eq!(problem(outcome), Problem::GrantInvalid, "{bad}");
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_not_found() {
    let (memory, token) = scene().await;
    for name in ["1080p.m3u8", "720p", "presentation.json", "../x.m3u8", ".m3u8", ""] {
        let outcome = fetch(&memory, VIDEO, name, &token).await;
        assert_eq!(problem(outcome), Problem::NotFound, "{name}");
    }
}

/// Guard: the `?` behind both stores in `sign_playlist`.
#[tokio::test]
async fn with_a_store_down_nothing_is_signed() {
    for method in ["grant.get", "media.get"] {
        let (memory, token) = scene().await;
        memory.fail(method, 1);
        let outcome = fetch(&memory, VIDEO, "master.m3u8", &token).await;
        assert!(matches!(outcome, Err(Error::Port(_))), "{method}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_grant_outlives_its_video_and_opens_nothing() {
    let (memory, token) = scene().await;
    let m = &memory;
    delete_video(m, m, m, m, m, Some(m), m, m, &session(CREATOR), VIDEO).await.unwrap();
    assert_eq!(memory.grant_count(), 1);
    let outcome = fetch(&memory, VIDEO, "master.m3u8", &token).await;
    assert_eq!(problem(outcome), Problem::GrantInvalid);
}

/// Guard: `sign_playlist` compares the grant's policy revision with the video's.
#[tokio::test]
async fn a_grant_by_an_earlier_policy_opens_nothing() {
    let (memory, token) = scene().await;
    assert!(fetch(&memory, VIDEO, "master.m3u8", &token).await.is_ok());
    let revision = memory.video().unwrap().policy_revision;
    assert!(VideoStore::set_policy(&memory, VIDEO, revision, None, 1).await.unwrap());
    let outcome = fetch(&memory, VIDEO, "master.m3u8", &token).await;
    assert_eq!(problem(outcome), Problem::GrantInvalid);
}
