//! Upload: create, resume, complete, and who may.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CONTRACT, CREATOR, KNOWN, SIZE, VIDEO, VIEWER, at_once, plan, session,
};
use app::complete_upload::complete_upload;
use app::create_video::{CreatedVideo, NewVideo, Rules, create_video};
use app::plan_upload::plan_upload;
use app::problem::{Error, Problem};
use app::read_video::{list_videos, read_video};
use app::set_policy::{NewPolicy, set_policy};
use domain::account::{Address, Wallet};
use domain::upload::parts;
use domain::video::{Stage, is_id};
use serde_json::{Value, json};

fn rules() -> Rules {
    Rules { creators: vec![Wallet::Evm(CREATOR)], max_bytes: 1 << 30 }
}

/// A request's body, read as the function reads it.
fn new(field: &str, value: Value) -> NewVideo {
    let mut body = json!({"title": "A film", "size": SIZE, "content_type": "video/mp4"});
    body[field] = value;
    serde_json::from_value(body).unwrap()
}

async fn create(memory: &Memory, owner: Address, new: NewVideo) -> Result<CreatedVideo, Error> {
    create_video(memory, memory, memory, &rules(), &KNOWN, &session(owner), new).await
}

async fn complete(memory: &Memory, owner: Address) -> Result<Stage, Error> {
    complete_upload(memory, memory, memory, &session(owner), VIDEO).await?;
    Ok(memory.stage().unwrap())
}

fn problem<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Problem {
    match outcome {
        Err(Error::Problem(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_creator_learns_where_every_part_goes() {
    let memory = Memory::fresh();
    let policy = json!({"version": 1, "rule":
        {"kind": "erc721", "chain": "eip155:1", "contract": CONTRACT.to_string()}});
    let created = create(&memory, CREATOR, new("policy", policy)).await.unwrap();
    let answer = serde_json::to_value(&created).unwrap();
    let id = answer["video"]["id"].as_str().unwrap();
    assert!(is_id(id));
    assert_eq!(answer["video"]["stage"], "uploading");
    assert_eq!(answer["video"]["policy"]["rule"]["min"], "1");
    let sizes: Vec<_> = answer["upload"]["parts"].as_array().unwrap().iter().collect();
    let total: u64 = sizes.iter().map(|part| part["size"].as_u64().unwrap()).sum();
    assert_eq!((sizes.len(), total), (3, SIZE));
    assert_eq!(answer["upload"]["received"], json!([]));
    assert!(memory.videos.lock().unwrap()[id].policy.is_some());
}

/// Guard: `create_video`'s look at `Rules::creators`, before anything else.
#[tokio::test]
async fn only_listed_creators_may_upload() {
    let memory = Memory::fresh();
    let outcome = create(&memory, VIEWER, new("size", json!(1))).await;
    assert_eq!(problem(outcome), Problem::NotACreator);
    let nobody = Rules { creators: Vec::new(), ..rules() };
    let body = new("size", json!(1));
    let outcome =
        create_video(&memory, &memory, &memory, &nobody, &KNOWN, &session(CREATOR), body).await;
    assert_eq!(problem(outcome), Problem::NotACreator);
    assert!(memory.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_named_and_leaves_nothing() {
    let cases = [
        ("title", json!(""), "title"),
        ("title", json!("  "), "title"),
        ("title", json!("x".repeat(201)), "title"),
        ("title", json!("a\nb"), "title"),
        ("size", json!(0), "size"),
        ("content_type", json!("text/html"), "content_type"),
        ("content_type", json!("video/"), "content_type"),
        ("content_type", json!("video/mp4\r\nx: y"), "content_type"),
        ("policy", json!({"version": 2}), "version"),
        ("policy", json!([]), "policy"),
    ];
    for (field, value, named) in cases {
        let memory = Memory::fresh();
        match problem(create(&memory, CREATOR, new(field, value.clone())).await) {
            Problem::BodyInvalid { field, .. } => assert_eq!(field, named, "{value}"),
            Problem::PolicyInvalid { path, .. } => assert_eq!(path, named, "{value}"),
            other => panic!("{value}: {other:?}"),
        }
        assert!(memory.is_empty(), "{value}");
    }
    let memory = Memory::fresh();
    let outcome = create(&memory, CREATOR, new("size", json!((1_u64 << 30) + 1))).await;
    assert_eq!(problem(outcome).slug(), "body-too-large");
    assert!(memory.is_empty());
    create(&memory, CREATOR, new("size", json!(1_u64 << 30))).await.unwrap();
    create(&memory, CREATOR, new("title", json!("é".repeat(200)))).await.unwrap();
    let browser = new("content_type", json!("application/octet-stream"));
    create(&memory, CREATOR, browser).await.unwrap();
}

#[tokio::test]
async fn an_interrupted_upload_resumes() {
    let memory = Memory::with_video(Stage::Uploading);
    let sizes: Vec<_> = parts(SIZE).iter().map(|part| part.size).collect();
    // The second arrived cut short: it is asked for again.
    memory.receive(&[sizes[0], sizes[1] - 1]);
    let plan = plan_upload(&memory, &memory, &memory, &session(CREATOR), VIDEO).await.unwrap();
    assert_eq!(plan.received, [1]);
    let missing: Vec<_> = plan.parts.iter().map(|missing| missing.part.number).collect();
    assert_eq!(missing, [2, 3]);
}

/// Guard: `upload::complete` in `complete_upload`: S3 would join whatever parts it has.
#[tokio::test]
async fn an_incomplete_upload_is_not_joined() {
    let sizes: Vec<_> = parts(SIZE).iter().map(|part| part.size).collect();
    for (arrived, missing) in [
        (vec![], vec![1, 2, 3]),
        (vec![sizes[0], sizes[1]], vec![3]),
        (vec![sizes[0], sizes[1] - 1, sizes[2]], vec![2]),
        (vec![sizes[0], sizes[1] + 1, sizes[2] - 1], vec![2, 3]),
        (vec![sizes[0], sizes[1], sizes[2], 1], vec![]),
    ] {
        let memory = Memory::with_video(Stage::Uploading);
        memory.receive(&arrived);
        let outcome = complete(&memory, CREATOR).await;
        assert_eq!(problem(outcome), Problem::UploadIncomplete(missing));
        assert_eq!(memory.stage(), Some(Stage::Uploading));
        assert!(memory.files.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn completing_twice_changes_nothing() {
    let memory = Memory::with_video(Stage::Uploading);
    memory.receive_all();
    assert_eq!(complete(&memory, CREATOR).await.unwrap(), Stage::Uploaded);
    let before = memory.video();
    assert_eq!(complete(&memory, CREATOR).await.unwrap(), Stage::Uploaded);
    assert_eq!(memory.video(), before);
    let outcome = plan_upload(&memory, &memory, &memory, &session(CREATOR), VIDEO).await;
    assert_eq!(problem(outcome).slug(), "conflict");
}

/// Guard: the arm of `complete_upload` that takes a joined file of the right size for its own
/// earlier work.
#[tokio::test]
async fn completing_goes_on_after_a_death_between_joining_and_saying_so() {
    let memory = Memory::with_video(Stage::Uploading);
    memory.receive_all();
    memory.fail("video.advance", 1);
    assert!(matches!(complete(&memory, CREATOR).await, Err(Error::Port(_))));
    assert_eq!(memory.stage(), Some(Stage::Uploading));
    assert_eq!(complete(&memory, CREATOR).await.unwrap(), Stage::Uploaded);
}

#[tokio::test]
async fn a_lapsed_upload_is_a_conflict() {
    let memory = Memory::with_video(Stage::Uploading);
    memory.parts.lock().unwrap().clear();
    assert_eq!(problem(complete(&memory, CREATOR).await).slug(), "conflict");
}

/// Guard: `advance` from `Uploading` only. S3's notice may overtake the one who completes.
#[tokio::test]
async fn a_planner_that_is_quicker_is_not_undone() {
    let memory = Memory::with_video(Stage::Uploading);
    memory.receive_all();
    memory.meanwhile("video.advance", |memory| {
        at_once(plan(memory)).unwrap();
    });
    assert_eq!(complete(&memory, CREATOR).await.unwrap(), Stage::Transcoding);
    assert_eq!(memory.take_task_messages().len(), 3);
}

/// Guard: `app::owned`, by which every verb of an owner reads the video.
#[tokio::test]
async fn to_everybody_else_there_is_no_such_video() {
    let memory = Memory::with_video(Stage::Uploading);
    memory.receive_all();
    let before = memory.video();
    let anybody = &memory;
    assert_eq!(problem(complete(anybody, VIEWER).await), Problem::NotFound);
    let plan = plan_upload(anybody, anybody, anybody, &session(VIEWER), VIDEO).await;
    assert_eq!(problem(plan), Problem::NotFound);
    let none = NewPolicy { policy: None };
    let set = set_policy(anybody, anybody, anybody, &KNOWN, &session(VIEWER), VIDEO, none).await;
    assert_eq!(problem(set), Problem::NotFound);
    for caller in [Some(&session(VIEWER)), None] {
        assert_eq!(
            problem(read_video(anybody, anybody, anybody, caller, VIDEO).await),
            Problem::NotFound
        );
    }
    assert!(list_videos(anybody, &session(VIEWER)).await.unwrap().is_empty());
    assert_eq!(memory.video(), before);
    assert_eq!(list_videos(anybody, &session(CREATOR)).await.unwrap().len(), 1);
    assert!(read_video(anybody, anybody, anybody, Some(&session(CREATOR)), VIDEO).await.is_ok());
}

#[tokio::test]
async fn a_viewer_sees_the_poster_of_a_ready_film_and_no_more() {
    let memory = Memory::with_video(Stage::Ready);
    let seen =
        serde_json::to_value(read_video(&memory, &memory, &memory, None, VIDEO).await.unwrap())
            .unwrap();
    let fields: Vec<_> = seen.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["id", "policy", "stage", "title"]);
}
