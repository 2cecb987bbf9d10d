//! The gate: who gets a grant, by the stored policy and the chain alone.
#![expect(clippy::panic, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CONTRACT, CREATOR, FRESHNESS, KNOWN, NOW, OTHER_CONTRACT, VIDEO, VIEWER, account, holds_one,
    policy, session, watch as ask,
};
use app::deliver::Playback;
use app::problem::{Error, Problem};
use app::set_policy::{NewPolicy, set_policy};
use app::verify_policy::{Question, verify_policy};
use domain::account::Address;
use domain::decision::Verdict::{self, No, Unknown, Yes};
use domain::grant::Carrier;
use domain::policy::{Known, Policy, Rule};
use domain::video::Stage;
use serde_json::json;

fn problem(outcome: Result<Playback, Error>) -> Problem {
    match outcome {
        Err(Error::Problem(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

fn question(contract: Address) -> Question {
    Question {
        policy: policy(contract).to_json(),
        account: account(VIEWER),
        linked: Vec::new(),
        assets: Vec::new(),
    }
}

/// A ready video whose viewer holds this of its collection.
fn scene(verdict: Verdict) -> Memory {
    let memory = Memory::with_video(Stage::Ready);
    memory.holds(CONTRACT, VIEWER, verdict);
    memory
}

#[tokio::test]
async fn a_holder_gets_a_grant_that_only_they_know() {
    let memory = scene(Yes);
    let playback = ask(&memory, VIEWER).await.unwrap();
    let stem = format!("https://film.example/v1/videos/{VIDEO}/playlists");
    let token = playback.hls.strip_prefix(&format!("{stem}/master.m3u8?grant=")).unwrap();
    assert_eq!(playback.dash, Some(format!("{stem}/manifest.mpd?grant={token}")));
    assert_eq!((playback.carrier, playback.grant.token.as_str()), (Carrier::Query, token));
    let grants = memory.grants.lock().unwrap();
    let stored = &grants[&playback.grant.id];
    assert_eq!((stored.video.as_str(), stored.account), (VIDEO, account(VIEWER)));
    assert_eq!((stored.created_at, stored.expires_at), (NOW, NOW + 600));
    let secret = &token[40..];
    assert!(!format!("{grants:?}").contains(secret), "whoever reads the table can't play");
}

#[tokio::test]
async fn a_non_holder_learns_which_condition_fails() {
    let memory = scene(No);
    let Problem::PolicyRefused(conditions) = problem(ask(&memory, VIEWER).await) else { panic!() };
    let outcomes: Vec<_> = conditions.iter().map(|one| (one.path.as_str(), one.outcome)).collect();
    assert_eq!(outcomes, [("rule", No)]);
    assert_eq!(memory.grant_count(), 0);
}

/// Guard: the arm `Verdict::Unknown` of `grant_playback`: not known is neither yes nor no.
#[tokio::test]
async fn with_the_chain_down_nobody_is_let_in_and_nobody_is_told_no() {
    // The provider says nothing at all; then something that makes no sense.
    let down = scene(Yes);
    down.fail("evm.read", u32::MAX);
    for memory in [down, scene(Unknown)] {
        let refusal = problem(ask(&memory, VIEWER).await);
        assert_eq!((refusal.slug(), refusal.status()), ("unavailable", 503));
        assert_eq!(memory.grant_count(), 0);
    }
}

/// Guard: Kleene's logic in `domain::decision`: a dead chain matters where it could change the
/// answer, and only there.
#[tokio::test]
async fn half_an_answer_is_used_as_far_as_it_goes() {
    let both = || vec![holds_one(CONTRACT), holds_one(OTHER_CONTRACT)];
    for (rule, first, second, expected) in [
        (Rule::All(both()), Yes, Unknown, "unavailable"),
        (Rule::All(both()), No, Unknown, "policy-refused"),
        (Rule::All(both()), Unknown, No, "policy-refused"),
        (Rule::All(both()), Yes, Yes, "granted"),
        (Rule::Any(both()), No, Unknown, "unavailable"),
        (Rule::Any(both()), Unknown, Yes, "granted"),
        (Rule::Any(both()), No, No, "policy-refused"),
    ] {
        let memory = scene(first);
        memory.holds(OTHER_CONTRACT, VIEWER, second);
        let case = format!("{rule:?} {first:?} {second:?}");
        memory.new_policy(Some(Policy::new(rule)));
        let outcome = ask(&memory, VIEWER).await;
        let granted = outcome.is_ok();
        let slug = outcome.map_or_else(|error| problem(Err(error)).slug(), |_| "granted");
        assert_eq!(slug, expected, "{case}");
        assert_eq!(memory.grant_count(), usize::from(granted), "{case}");
    }
}

/// Guard: the `?` behind every store in `grant_playback`: what can't be read or written is a fault
/// (503 at the edge of the function), not a policy that is absent.
#[tokio::test]
async fn with_a_store_down_nothing_is_granted_and_nothing_refused() {
    for verdict in [Yes, Unknown, No] {
        let memory = scene(verdict);
        memory.fail("video.get", 1);
        let outcome = ask(&memory, VIEWER).await;
        assert!(matches!(outcome, Err(Error::Port(_))), "{verdict:?}: {outcome:?}");
        assert_eq!(memory.grant_count(), 0);
    }
    let memory = scene(Yes);
    memory.fail("grant.create", 1);
    assert!(matches!(ask(&memory, VIEWER).await, Err(Error::Port(_))));
    assert_eq!(memory.grant_count(), 0);
}

/// Guard: `let Some(policy) = .. else` refused in `grant_playback`: closed by default.
#[tokio::test]
async fn without_a_policy_only_the_owner_watches() {
    let memory = scene(Yes);
    memory.new_policy(None);
    let refusal = problem(ask(&memory, VIEWER).await);
    assert_eq!(refusal, Problem::PolicyRefused(Vec::new()));
    assert_eq!(memory.grant_count(), 0);
    ask(&memory, CREATOR).await.unwrap();
    assert_eq!(memory.grant_count(), 1);
}

#[tokio::test]
async fn the_owner_watches_whatever_the_chain_says() {
    let memory = Memory::with_video(Stage::Ready);
    memory.fail("evm.read", u32::MAX);
    ask(&memory, CREATOR).await.unwrap();
}

/// Guard: `GrantStore::create` writes only at the policy revision that was decided on.
#[tokio::test]
async fn a_policy_closed_while_a_grant_is_being_made_lets_nobody_in() {
    for closed in [Some(policy(OTHER_CONTRACT)), None] {
        let memory = scene(Yes);
        memory.holds(OTHER_CONTRACT, VIEWER, No);
        // The old policy has been read, and the chain is about to say yes to it.
        memory.meanwhile("evm.read", move |memory| memory.new_policy(closed));
        assert_eq!(problem(ask(&memory, VIEWER).await).slug(), "policy-refused");
        assert_eq!(memory.grant_count(), 0);
    }
}

/// As above, the change coming at the very last moment, after the decision.
#[tokio::test]
async fn a_policy_closed_after_the_decision_lets_nobody_in() {
    let memory = scene(Yes);
    memory.holds(OTHER_CONTRACT, VIEWER, No);
    memory.meanwhile("grant.create", |memory| memory.new_policy(Some(policy(OTHER_CONTRACT))));
    assert_eq!(problem(ask(&memory, VIEWER).await).slug(), "policy-refused");
    assert_eq!(memory.grant_count(), 0);
}

/// A grant that another policy gives just as well is made on that one.
#[tokio::test]
async fn a_policy_replaced_by_one_that_opens_too_is_decided_anew() {
    let memory = scene(Yes);
    memory.holds(OTHER_CONTRACT, VIEWER, Yes);
    memory.meanwhile("grant.create", |memory| memory.new_policy(Some(policy(OTHER_CONTRACT))));
    ask(&memory, VIEWER).await.unwrap();
    let grants = memory.grants.lock().unwrap();
    let live = grants.values().filter(|grant| grant.ended.is_none());
    assert_eq!(live.map(|grant| grant.policy_revision).collect::<Vec<_>>(), [2]);
}

/// The reverse: the policy opens while it refuses. The refusal is of the moment it was asked; it
/// stores nothing, and the next request is let in.
#[tokio::test]
async fn a_policy_opened_meanwhile_opens_from_the_next_request_on() {
    let memory = scene(No);
    memory.holds(OTHER_CONTRACT, VIEWER, Yes);
    memory.meanwhile("evm.read", |memory| memory.new_policy(Some(policy(OTHER_CONTRACT))));
    assert_eq!(problem(ask(&memory, VIEWER).await).slug(), "policy-refused");
    assert_eq!(memory.grant_count(), 0);
    ask(&memory, VIEWER).await.unwrap();
}

/// Guard: `ATTEMPTS`: it gives up rather than decide by a rule that has changed.
#[tokio::test]
async fn a_policy_that_keeps_changing_is_a_conflict() {
    fn again(memory: &Memory) {
        memory.new_policy(Some(policy(CONTRACT)));
        memory.meanwhile("grant.create", again);
    }
    let memory = scene(Yes);
    memory.meanwhile("grant.create", again);
    assert_eq!(problem(ask(&memory, VIEWER).await).slug(), "conflict");
    assert_eq!(memory.grant_count(), 0);
}

/// Guard: `GrantStore::create` writes only while the video is ready.
#[tokio::test]
async fn a_video_deleted_while_a_grant_is_being_made_gives_none() {
    let memory = scene(Yes);
    memory.meanwhile("grant.create", |memory| {
        memory.change(|video| video.stage = Stage::Deleting);
    });
    assert_eq!(problem(ask(&memory, VIEWER).await), Problem::NotFound);
    assert_eq!(memory.grant_count(), 0);
}

#[tokio::test]
async fn only_a_ready_video_can_be_watched() {
    for stage in
        [Stage::Uploading, Stage::Uploaded, Stage::Transcoding, Stage::Failed, Stage::Deleting]
    {
        let memory = Memory::with_video(stage);
        memory.holds(CONTRACT, VIEWER, Yes);
        assert_eq!(problem(ask(&memory, VIEWER).await), Problem::NotFound, "{stage:?}");
        let own = problem(ask(&memory, CREATOR).await);
        assert_eq!(own, Problem::VideoNotReady(stage.as_str()));
        assert_eq!(memory.grant_count(), 0);
    }
    assert_eq!(problem(ask(&Memory::fresh(), VIEWER).await), Problem::NotFound);
}

/// Guard: `grant_playback` has no parameter that could carry a policy; what a request says about
/// policies goes to `verify_policy`, which writes nothing.
#[tokio::test]
async fn a_policy_of_the_request_grants_nothing() {
    let memory = scene(No);
    memory.holds(OTHER_CONTRACT, VIEWER, Yes);
    let before = memory.video();
    let question = question(OTHER_CONTRACT);
    let decision =
        verify_policy(&memory, &memory.gate(FRESHNESS), &KNOWN, &question).await.unwrap();
    assert_eq!(decision.verdict, Yes);
    assert_eq!((memory.grant_count(), memory.video()), (0, before));
    assert_eq!(problem(ask(&memory, VIEWER).await).slug(), "policy-refused");
}

#[tokio::test]
async fn a_question_is_answered_also_with_not_known() {
    let memory = Memory::fresh();
    let question = question(CONTRACT);
    let decision =
        verify_policy(&memory, &memory.gate(FRESHNESS), &KNOWN, &question).await.unwrap();
    assert_eq!(decision.verdict, Unknown);
    assert!(decision.conditions[0].reason.is_some());
    let elsewhere =
        verify_policy(&memory, &memory.gate(FRESHNESS), &Known::default(), &question).await;
    let Err(Error::Problem(Problem::PolicyInvalid { path, .. })) = elsewhere else { panic!() };
    assert_eq!(path, "rule.chain");
}

/// Guard: `VideoStore::set_policy` compares the revision that was read.
#[tokio::test]
async fn of_two_changes_at_once_one_is_told_so() {
    let memory = Memory::with_video(Stage::Ready);
    memory.meanwhile("video.set_policy", |memory| memory.new_policy(None));
    let new = NewPolicy { policy: Some(policy(OTHER_CONTRACT).to_json()) };
    let outcome =
        set_policy(&memory, &memory, &memory, &KNOWN, &session(CREATOR), VIDEO, new).await;
    assert!(matches!(outcome, Err(Error::Problem(Problem::Conflict(_)))), "{outcome:?}");
    assert_eq!(memory.video().unwrap().policy, None);
}

#[tokio::test]
async fn a_policy_that_can_not_be_leaves_the_old_one() {
    let memory = Memory::with_video(Stage::Ready);
    let before = memory.video();
    let new = NewPolicy { policy: Some(json!({"version": 1, "rule": {"kind": "anybody"}})) };
    let outcome =
        set_policy(&memory, &memory, &memory, &KNOWN, &session(CREATOR), VIDEO, new).await;
    assert!(matches!(outcome, Err(Error::Problem(Problem::PolicyInvalid { .. }))));
    assert_eq!(memory.video(), before);
    // Nothing said is not null: an empty body closes no film.
    assert!(serde_json::from_value::<NewPolicy>(json!({})).is_err());
    let new = serde_json::from_value(json!({"policy": null})).unwrap();
    set_policy(&memory, &memory, &memory, &KNOWN, &session(CREATOR), VIDEO, new).await.unwrap();
    assert_eq!(memory.video().unwrap().policy, None);
}
