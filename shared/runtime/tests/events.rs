//! The samples in events/, read as the functions read them, and their bad twins, refused.
//!
//! A sample is named by its function, and by a variant behind `_`. A bad twin lies in events/bad/
//! and has the problem with which it must be refused behind the sample's name:
//! `video-create.policy-invalid.json`; what comes behind a second dot only tells twins apart.
//! `dead-letter` is a message that fails until SQS puts it away, `unreadable` an event that does
//! not reach the function's code.
//!
//! Every sample happens at [`NOW`] in a scene that is made for it: the ready (or, for an upload,
//! uploading) video of the wallet that signed the samples.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CHAIN, CONTRACT, FRESHNESS, KNOWN, NOW, VIDEO, at_once, plan, publish, signer, terms, work,
};
use app::apply_revocations::RevokeMessage;
use app::complete_upload::complete_upload;
use app::create_video::{Rules, create_video};
use app::delete_video::delete_video;
use app::end_grant::{end_grant, revoke_grants};
use app::end_session::end_session;
use app::follow_job::ConvertNews;
use app::forget_video::ForgetMessage;
use app::grant_playback::{Viewing, Wish, grant_playback};
use app::open_key::{WantedKey, open_key};
use app::open_session::{SignedMessage, open_session};
use app::plan_transcode::{ConvertMessage, PublishMessage, TaskMessage};
use app::plan_upload::plan_upload;
use app::ports::{ChainSettings, EndedSessions, EvmChains, PortError};
use app::problem::{Error, Problem};
use app::read_decisions::read_decisions;
use app::read_video::{list_videos, read_video};
use app::receive_webhook::{Delivery, receive_webhook};
use app::renew_grant::renew_grant;
use app::request_nonce::{NonceRequest, Site, request_nonce};
use app::review_grants::ReviewMessage;
use app::rotate_keys::RotateRequest;
use app::set_policy::set_policy;
use app::set_subtitle::{remove_subtitle, set_subtitle};
use app::sign_playlist::{Wanted, sign_playlist};
use app::touched::Notices;
use app::verify_policy::verify_policy;
use aws_lambda_events::event::sqs::SqsEvent;
use domain::account::{Account, Address};
use domain::decision::Verdict;
use domain::encryption::Encryption;
use domain::fact::{Block, EvmRead, Fact};
use domain::grant::{Carrier, Grant, GrantToken};
use domain::session::{self, Holder, Session, SessionKeys};
use domain::video::{Stage, video_of_source};
use domain::webhook::Hooks;
use lambda_http::Request;
use runtime::custom_resource;
use runtime::schedule::Tick;
use runtime::{http, plugin, queue};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// With which the samples' sessions and nonces were made.
const KEY: [u8; 32] = [7; 32];
/// Of the session that the samples show.
const SESSION: &str = "8f0b4c7d2a916e35";
/// Of the grant that playlist-sign.json and the samples of its renewal and end show.
const TOKEN: &str = "8215ecc270e848056b49d20001020304050607085f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f\
                     5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f";
const DOMAIN: &str = "d111111abcdef8.cloudfront.net";
const ORIGIN: &str = "https://d111111abcdef8.cloudfront.net";

/// How an event is refused: the problem's name and its HTTP status.
type Refusal = (&'static str, u16);

const DEAD_LETTER: Refusal = ("dead-letter", 0);
const UNREADABLE: Refusal = ("unreadable", 0);

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..")
}

/// Names, without `.json`, and texts of the samples in a folder.
fn samples(folder: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The function of a sample.
fn function(name: &str) -> &str {
    name.split(['_', '.']).next().unwrap()
}

fn functions() -> BTreeSet<String> {
    fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The wallet that signed the samples.
fn wallet() -> Account {
    "eip155:1:0x58DA990A8F4A3a6ca7cb6315d68a140105917352".parse().unwrap()
}

fn caller(request: &Request) -> Result<Session, Error> {
    let token = http::bearer(request)?.ok_or(Problem::SessionRequired)?;
    Ok(session::verify(&SessionKeys::single(KEY), token, NOW)?)
}

/// The contract wallet of the samples, and the signature that it takes.
struct ContractWallet;

impl EvmChains for ContractWallet {
    async fn read(&self, _: u64, _: Option<&Block>, _: &[EvmRead]) -> Vec<Fact> {
        panic!("nobody who signs in reads facts")
    }

    async fn signed(
        &self,
        chain: u64,
        wallet: Address,
        _digest: [u8; 32],
        signature: &[u8],
    ) -> Option<bool> {
        Some(chain == 1 && wallet == Address([0xcc; 20]) && signature == [0x12, 0x34])
    }
}

fn scene(stage: Stage) -> Memory {
    let memory = Memory::with_video(stage);
    memory.change(|video| video.owner = wallet().wallet);
    memory
}

/// A published video and the grant of [`TOKEN`].
async fn published() -> Memory {
    let memory = scene(Stage::Uploaded);
    let m = &memory;
    plan(m).await.unwrap();
    for message in m.take_task_messages() {
        work(m, &message).await.unwrap();
    }
    publish(m).await.unwrap();
    let token = GrantToken::read(TOKEN).unwrap();
    let caller = Session::new("n", Holder::with_key(wallet()), NOW + 60);
    let life = (NOW, NOW + 60);
    let grant = Grant::new(&token, VIDEO, &caller, Carrier::Query, life);
    let grant = Grant { policy_revision: 1, ..grant };
    memory.grants.lock().unwrap().insert(token.id, grant);
    memory
}

/// What the function does with a request, on stores in memory.
async fn handle(function: &str, request: &Request) -> Result<(), Error> {
    let site = Site {
        origin: ORIGIN.into(),
        domain: DOMAIN.into(),
        keys: SessionKeys::single(KEY),
        nonce_lifetime: 300,
    };
    let ready = scene(Stage::Ready);
    let m = &ready;
    match function {
        "auth-nonce" => {
            let NonceRequest { account } = http::body(request)?;
            request_nonce(m, &site, &account);
        }
        "auth-session" if http::route_key(request).starts_with("DELETE") => {
            end_session(m, m, &caller(request)?).await?;
            assert!(m.is_ended(SESSION).await?);
        }
        "auth-session" => {
            let signed: SignedMessage = http::body(request)?;
            let shown = if signed.link { Some(caller(request)?) } else { None };
            let shown = shown.as_ref();
            let chains = [ChainSettings { chain: CHAIN, rpc: vec![], quorum: 1, confirmations: 0 }];
            let contracts = async || Ok::<_, PortError>((chains.as_slice(), &ContractWallet));
            let session = open_session(m, m, contracts, &site, 60, shown, &signed).await?;
            assert_eq!(session.accounts.len(), if signed.link { 2 } else { 1 });
        }
        "video-create" => {
            let rules = Rules { creators: vec![wallet().wallet], max_bytes: 1 << 40 };
            let caller = caller(request)?;
            create_video(m, m, m, &rules, &KNOWN, &caller, http::body(request)?).await?;
        }
        "video-upload" => {
            let uploading = scene(Stage::Uploading);
            let m = &uploading;
            let owner = caller(request)?;
            let id = http::video_id(request)?;
            if http::route_key(request).starts_with("POST") {
                m.receive_all();
                complete_upload(m, m, m, &owner, &id).await?;
            } else {
                plan_upload(m, m, m, &owner, &id).await?;
            }
        }
        "video-read" if http::path(request, "id").is_err() => {
            assert_eq!(list_videos(m, &caller(request)?).await?.len(), 1);
        }
        "video-read" => {
            let caller = caller(request)?;
            read_video(m, m, m, Some(&caller), &http::video_id(request)?).await?;
        }
        "video-decisions" => {
            let (owner, id) = (caller(request)?, http::video_id(request)?);
            let before = http::query(request, "before");
            read_decisions(m, m, &owner, &id, before.as_deref()).await?;
        }
        "video-policy" => {
            let owner = caller(request)?;
            let id = http::video_id(request)?;
            set_policy(m, m, m, &KNOWN, &owner, &id, http::body(request)?).await?;
        }
        "video-subtitle" => {
            let owner = caller(request)?;
            let (id, name) = (http::video_id(request)?, http::path(request, "name")?);
            let at = (&*id, &*name);
            let cue = json!({ "text": "00:01.000 --> 00:02.000\nGuten Tag." });
            let german = serde_json::from_value(cue).unwrap();
            if http::route_key(request).starts_with("DELETE") {
                set_subtitle(m, m, m, m, &owner, (&id, "de"), german).await?;
                remove_subtitle(m, m, m, &owner, at).await?;
            } else {
                set_subtitle(m, m, m, m, &owner, at, http::body(request)?).await?;
            }
        }
        "video-delete" => {
            let owner = caller(request)?;
            delete_video(m, m, m, m, m, Some(m), m, m, &owner, &http::video_id(request)?).await?;
        }
        "chain-verify" => {
            caller(request)?;
            verify_policy(m, &m.gate(FRESHNESS), &KNOWN, &http::body(request)?).await?;
        }
        "playback-grant" => {
            let viewer = caller(request)?;
            let id = http::video_id(request)?;
            let wish: Wish = http::body_if_any(request)?;
            let stranger: Address = "0x99C851eaa3c3976914D63b822C67e201EC0BFBb8".parse().unwrap();
            m.holds(CONTRACT, stranger, Verdict::No);
            let viewing = Viewing { caller: &viewer, video: &id, wish: &wish };
            grant_playback(m, m, m, m, m, &m.gate(FRESHNESS), &terms(), &viewing).await?;
        }
        "grant-renew" => {
            let m = &published().await;
            let token = http::grant_token(request)?;
            renew_grant(m, m, m, m, m, &m.gate(FRESHNESS), &terms(), token).await?;
        }
        "grant-end" if http::route_key(request).starts_with("DELETE") => {
            let m = &published().await;
            end_grant(m, m, m, http::grant_token(request)?).await?;
        }
        "grant-end" => {
            let m = &published().await;
            let owner = caller(request)?;
            let id = http::video_id(request)?;
            let revoked = revoke_grants(m, m, m, m, &owner, &id, &http::body(request)?).await?;
            assert_eq!(revoked.ended, 1);
        }
        "playlist-sign" => {
            let id = http::video_id(request)?;
            let name = http::path(request, "name")?;
            let token = http::query(request, "grant").unwrap_or_default();
            let m = &published().await;
            let wanted = Wanted { video: &id, name: &name, token: &token };
            sign_playlist(m, m, m, m, &signer(), &wanted).await?;
        }
        "webhook-chain" => {
            let provider = &http::path(request, "provider")?;
            let key = "whsec_0707070707070707";
            let hooks = json!({"alchemy": [{"chain": "eip155:1", "signing_key": key}]});
            let hooks = &Hooks::read(&hooks.to_string()).unwrap();
            let header = &|name| http::only_header(request, name);
            let delivery = &Delivery { provider, header, body: request.body() };
            let notices = &Notices { facts: m, reviews: m, again_after: 70 };
            let policies = (m, &m.watch.memory.book);
            receive_webhook(m, policies, m, notices, hooks, delivery).await?;
            assert_eq!(m.take_reviews().len(), 4);
        }
        "content-key" => {
            let video = &http::video_id(request)?;
            let period = &http::path(request, "period")?;
            let token = &http::query(request, "grant").unwrap_or_default();
            let m = &published().await;
            m.change(|video| {
                if let Some(plan) = &mut video.plan {
                    plan.encryption = Some(Encryption::new("k1", 300, &plan.grid));
                }
            });
            open_key(m, m, m, m, &WantedKey { video, period, token }).await?;
        }
        "health" | "receipt-keys" => {}
        other => panic!("{other} answers no requests"),
    }
    Ok(())
}

/// What the function does with a message of a queue.
fn consume(function: &str, message: &queue::Message) -> Result<(), Refusal> {
    assert!(!message.receipt.is_empty() && message.attempt == 1);
    let read = match function {
        "transcode-plan" => queue::created_objects(message).map(|keys| {
            for key in keys {
                assert_eq!(video_of_source(&key), Some(VIDEO));
            }
        }),
        "transcode-work" => message.json::<TaskMessage>().map(|task| {
            assert_eq!((task.video.as_str(), task.task.as_str()), (VIDEO, "360p+720p-00001"));
        }),
        "transcode-publish" => message.json::<PublishMessage>().map(|message| {
            assert_eq!(message.video, VIDEO);
        }),
        "transcode-convert" => message.json::<ConvertNews>().and_then(|news| match news {
            ConvertNews::Order(ConvertMessage::Convert(id)) => {
                assert_eq!(id, VIDEO);
                Ok(())
            }
            ConvertNews::Order(ConvertMessage::Cancel(job)) => {
                assert!(!job.is_empty());
                Ok(())
            }
            ConvertNews::Event(event) => event.news().map(|news| {
                assert_eq!((news.video.as_str(), news.attempt), (VIDEO, 1));
            }),
        }),
        "grant-review" => message.json::<ReviewMessage>().map(drop),
        "edge-revoke" => message.json::<RevokeMessage>().map(|message| {
            assert_eq!(message.orders[0].grant(), &GrantToken::read(TOKEN).unwrap().id);
        }),
        "edge-forget" => message.json::<ForgetMessage>().map(|message| {
            assert_eq!(message.video, VIDEO);
        }),
        other => panic!("{other} has no queue"),
    };
    read.map_err(|_| DEAD_LETTER)
}

/// What becomes of an event.
fn judge(function: &str, text: &str) -> Result<(), Refusal> {
    if function.starts_with("transcode-")
        || ["grant-review", "edge-revoke", "edge-forget"].contains(&function)
    {
        let event: SqsEvent = serde_json::from_str(text).map_err(|_| UNREADABLE)?;
        assert_eq!(event.records.len(), 1);
        for message in event.records {
            consume(function, &queue::read(message))?;
        }
        return Ok(());
    }
    if function.starts_with("stack-") {
        let request: custom_resource::Request =
            serde_json::from_str(text).map_err(|_| UNREADABLE)?;
        assert!(request.resource_properties.is_object());
        return Ok(());
    }
    if function == "key-rotate" {
        let request: RotateRequest = serde_json::from_str(text).map_err(|_| UNREADABLE)?;
        assert_eq!(request.rotate.is_empty(), text.contains("Scheduled Event"));
        return Ok(());
    }
    if function == "ownership-watch" {
        let event = serde_json::from_str::<Value>(text).unwrap();
        return Tick::deserialize(event).map(drop).map_err(|_| UNREADABLE);
    }
    if function.starts_with("plugin-") {
        let event: Value = serde_json::from_str(text).map_err(|_| UNREADABLE)?;
        let question = plugin::read::<Value>(&event).map_err(|_| UNREADABLE)?;
        assert!(question.parameters.is_object());
        return Ok(());
    }
    let request = lambda_http::request::from_str(text).map_err(|_| UNREADABLE)?;
    match at_once(handle(function, &request)) {
        Ok(()) => Ok(()),
        Err(Error::Problem(problem)) => Err((problem.slug(), problem.status())),
        Err(Error::Port(error)) => panic!("{function}: {error}"),
    }
}

#[test]
fn every_sample_is_taken() {
    for (name, text) in samples("events") {
        assert_eq!(judge(function(&name), &text), Ok(()), "events/{name}.json");
    }
}

#[test]
fn every_bad_twin_is_refused_for_its_own_reason() {
    let statuses = [
        ("body-invalid", 422),
        ("body-too-large", 413),
        ("domain-mismatch", 401),
        ("grant-invalid", 403),
        ("grant-token-required", 401),
        ("message-malformed", 422),
        ("nonce-invalid", 401),
        ("not-a-creator", 403),
        ("not-found", 404),
        ("policy-invalid", 422),
        ("policy-refused", 403),
        ("session-invalid", 401),
        ("session-required", 401),
        ("signature-invalid", 401),
        DEAD_LETTER,
        UNREADABLE,
    ];
    for (name, text) in samples("events/bad") {
        let slug = name.split('.').nth(1).unwrap();
        let expected = statuses.iter().find(|(known, _)| *known == slug);
        let expected = expected.unwrap_or_else(|| panic!("{name}: unknown problem"));
        assert_eq!(judge(function(&name), &text), Err(*expected), "events/bad/{name}.json");
    }
}

#[test]
fn every_function_has_a_sample_and_every_sample_a_bad_twin() {
    let (good, bad) = (samples("events"), samples("events/bad"));
    let sampled: BTreeSet<_> = good.iter().map(|(name, _)| function(name).to_owned()).collect();
    assert_eq!(sampled, functions());
    let twins: BTreeSet<_> = bad.iter().map(|(name, _)| name.split('.').next().unwrap()).collect();
    let names: BTreeSet<_> = good.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(twins, names);
}

/// The template's routes, each as in `GET /v1/videos`.
fn routes() -> BTreeSet<String> {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let lines: Vec<_> = template.lines().map(str::trim).collect();
    let value = |line: &str, field: &str| line.strip_prefix(field).map(str::to_owned);
    lines
        .windows(2)
        .filter_map(|pair| {
            Some(format!("{} {}", value(pair[0], "Method: ")?, value(pair[1], "Path: ")?))
        })
        .collect()
}

#[test]
fn every_route_of_the_template_has_a_sample() {
    let sampled: BTreeSet<_> = samples("events")
        .iter()
        .filter_map(|(_, text)| lambda_http::request::from_str(text).ok())
        .map(|request| http::route_key(&request))
        .collect();
    let routes = routes();
    assert!(!routes.is_empty());
    assert_eq!(sampled, routes);
}

#[test]
fn an_answer_to_cloudformation_names_what_it_answers() {
    let (_, text) = samples("events").into_iter().find(|(name, _)| name == "stack-keys").unwrap();
    let request: custom_resource::Request = serde_json::from_str(&text).unwrap();
    assert_eq!(request.request_type, custom_resource::RequestType::Create);
    let data = serde_json::json!({"PublicKey": "PEM"});
    let well = custom_resource::answer(&request, "stack-keys", Ok(data));
    let ill = custom_resource::answer(&request, "stack-keys", Err("no such secret".into()));
    for answer in [&well, &ill] {
        assert_eq!(answer["PhysicalResourceId"], "stack-keys");
        assert_eq!(answer["LogicalResourceId"], "StackKeys");
        assert_eq!(answer["StackId"], request.stack_id);
        assert_eq!(answer["RequestId"], request.request_id);
    }
    assert_eq!((&well["Status"], &well["Data"]["PublicKey"]), (&"SUCCESS".into(), &"PEM".into()));
    assert_eq!((&ill["Status"], &ill["Reason"]), (&"FAILED".into(), &"no such secret".into()));
}
