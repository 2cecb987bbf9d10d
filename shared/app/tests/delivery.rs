//! A grant's way to the player, its renewal, and its end.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::{
    CHAIN, CONTRACT, CREATOR, FRESHNESS, NOW, OTHER_CONTRACT, VIDEO, VIEWER, account, plan, policy,
    renew, review, session, tell_edge, terms, token_key, watch_with,
};
use app::deliver::{Playback, Terms, lifetime};
use app::end_grant::{Whom, end_grant, revoke_grants};
use app::grant_playback::Wish;
use app::problem::{Error, Problem};
use app::read_decisions::read_decisions;
use app::review_grants::ReviewMessage;
use domain::abi;
use domain::account::{Address, Wallet};
use domain::binding::Binding;
use domain::decision::Verdict::{No, Unknown, Yes};
use domain::edge_token::{self, Refusal};
use domain::fact::{Answer, EvmRead, Question};
use domain::grant::{Carrier, EndReason, GrantId};
use domain::number::U256;
use domain::revocation::{Shard, shard_key};
use domain::session::Holder;
use domain::video::Stage;
use serde_json::json;
use std::sync::atomic::Ordering;

const NEIGHBOUR: Address = Address([0x77; 20]);

fn scene() -> Memory {
    let memory = Memory::with_video(Stage::Ready);
    memory.holds(CONTRACT, VIEWER, Yes);
    memory
}

fn by(carrier: Carrier) -> Wish {
    Wish { carrier, ..Wish::default() }
}

async fn watch(memory: &Memory, who: Address, carrier: Carrier) -> Playback {
    watch_with(memory, &session(who), FRESHNESS, &by(carrier)).await.unwrap()
}

fn sold(memory: &Memory) -> ReviewMessage {
    memory.holds(CONTRACT, VIEWER, No);
    let at = memory.height.load(Ordering::SeqCst);
    ReviewMessage::Wallet { wallet: Wallet::Evm(VIEWER), chain: CHAIN, at: Some(at) }
}

fn slug<T: std::fmt::Debug>(outcome: Result<T, Error>) -> &'static str {
    match outcome {
        Err(Error::Problem(problem)) => problem.slug(),
        other => panic!("{other:?}"),
    }
}

/// What the edge says of a grant.
fn refused(memory: &Memory, grant: &GrantId) -> bool {
    let values = memory.edge.values.lock().unwrap();
    values.get(&shard_key(grant)).is_some_and(|value| Shard::read(value).unwrap().is_revoked(grant))
}

fn end_of(memory: &Memory, grant: &GrantId) -> Option<EndReason> {
    memory.grants.lock().unwrap()[grant].ended.as_ref().map(|ended| ended.why)
}

#[tokio::test]
async fn cookies_open_one_films_folder_for_minutes() {
    let memory = scene();
    let playback = watch(&memory, VIEWER, Carrier::Cookie).await;
    assert_eq!(playback.hls, format!("https://film.example/v/{VIDEO}/master.m3u8"));
    assert_eq!(playback.dash.unwrap(), format!("https://film.example/v/{VIDEO}/manifest.mpd"));
    let headers: Vec<_> = playback.cookies.iter().map(app::deliver::Cookie::header).collect();
    let names = ["Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];
    for (header, name) in headers.iter().zip(names) {
        assert!(header.starts_with(&format!("CloudFront-{name}=")), "{header}");
        let rest = header.split_once("; ").unwrap().1;
        let attributes =
            format!("Path=/v/{VIDEO}/; Max-Age=300; Secure; HttpOnly; SameSite=Strict");
        assert_eq!(rest, attributes);
    }
    assert_eq!(headers.len(), 4);
    assert_eq!(playback.renew_at, Some(domain::rfc3339(NOW + 280)));
    // Near the end of the grant there is nothing left to renew.
    memory.now.store(NOW + 400, Ordering::SeqCst);
    let last = renew(&memory, &playback.grant.token).await.unwrap();
    assert_eq!((last.cookies[0].max_age, last.renew_at), (200, None));
}

#[tokio::test]
async fn a_path_names_its_film_and_its_grant() {
    let memory = scene();
    let playback = watch(&memory, VIEWER, Carrier::Path).await;
    let (token, file) = playback
        .hls
        .strip_prefix("https://film.example/~")
        .and_then(|rest| rest.split_once("/v/"))
        .unwrap();
    assert_eq!(file, format!("{VIDEO}/master.m3u8"));
    let viewer = edge_token::Viewer::default();
    let keys = [token_key()];
    let claims = edge_token::verify(token, VIDEO, &keys, &viewer, NOW).unwrap();
    assert_eq!(claims.grant, playback.grant.id.as_str());
    assert_eq!((claims.not_before, claims.expires_at), (NOW - 60, NOW + 600));
    let other = edge_token::verify(token, "0f", &keys, &viewer, NOW);
    assert_eq!(other, Err(Refusal::OtherVideo));
    assert!(playback.cookies.is_empty() && playback.renew_at.is_none());
}

#[tokio::test]
async fn a_path_is_bound_to_what_the_viewer_says_and_stays_so() {
    let memory = scene();
    let bind: Binding = serde_json::from_value(
        json!({"address": "203.0.113.9/24", "country": "DE", "user_agent": "player/1"}),
    )
    .unwrap();
    let wish = Wish { bind: bind.clone(), ..by(Carrier::Path) };
    let playback = watch_with(&memory, &session(VIEWER), FRESHNESS, &wish).await.unwrap();
    let renewed = renew(&memory, &playback.grant.token).await.unwrap();
    let here = edge_token::Viewer {
        address: "203.0.113.200",
        country: Some("DE"),
        user_agent: Some("player/1"),
    };
    for playback in [playback, renewed] {
        let path = playback.hls.strip_prefix("https://film.example/~").unwrap();
        let token = path.split_once('/').unwrap().0;
        let keys = [token_key()];
        let look = |viewer| edge_token::verify(token, VIDEO, &keys, &viewer, NOW).map(drop);
        assert_eq!(look(here), Ok(()));
        let elsewhere = edge_token::Viewer { address: "198.51.100.1", ..here };
        assert_eq!(look(elsewhere), Err(Refusal::Address));
        assert_eq!(look(edge_token::Viewer { country: Some("FR"), ..here }), Err(Refusal::Country));
        assert_eq!(look(edge_token::Viewer { user_agent: None, ..here }), Err(Refusal::UserAgent));
    }
    // Nothing else can be bound, and nothing is granted that could not be delivered.
    let granted = memory.grants.lock().unwrap().len();
    for carrier in [Carrier::Cookie, Carrier::Query] {
        let wish = Wish { bind: bind.clone(), ..by(carrier) };
        let outcome = watch_with(&memory, &session(VIEWER), FRESHNESS, &wish).await;
        assert_eq!(slug(outcome), "body-invalid");
    }
    assert_eq!(memory.grants.lock().unwrap().len(), granted);
}

/// What is written down: who was let in, who was refused, who could not go on, and who was ended.
#[tokio::test]
async fn decisions_that_change_something_are_written_down() {
    let memory = scene();
    let first = watch(&memory, VIEWER, Carrier::Path).await.grant;
    renew(&memory, &first.token).await.unwrap();
    let moments = async || {
        let found = read_decisions(&memory, &memory, &session(CREATOR), VIDEO, None).await.unwrap();
        assert_eq!(found.next, None);
        let told = found.decisions.into_iter().map(|record| (record.receipt, record.ended));
        told.map(|(receipt, ended)| (receipt.verdict, receipt.grant, receipt.until, ended))
            .collect::<Vec<_>>()
    };
    let given = (Yes, Some(first.id.to_string()), Some(NOW + 600), None);
    assert_eq!(moments().await, std::slice::from_ref(&given), "going on is nothing new");
    memory.now.store(NOW + 1, Ordering::SeqCst);
    let second = watch(&memory, VIEWER, Carrier::Path).await.grant;
    let message = sold(&memory);
    // Whoever can't go on is ended by that, and only once.
    assert_eq!(slug(renew(&memory, &first.token).await), "policy-refused");
    assert_eq!(slug(renew(&memory, &first.token).await), "grant-invalid");
    memory.now.store(NOW + 2, Ordering::SeqCst);
    for _ in 0..2 {
        review(&memory, &message).await.unwrap();
    }
    let ended = |grant: &GrantId| (No, Some(grant.to_string()), None, Some(EndReason::Refused));
    let also = (Yes, Some(second.id.to_string()), Some(NOW + 601), None);
    let told = moments().await;
    assert_eq!(told[0], ended(&second.id));
    assert_eq!(told.len(), 4);
    assert!(told.contains(&ended(&first.id)) && told.contains(&also) && told.contains(&given));
    // Who asks again and again is told no each time, and is written down once a minute.
    for second in [60, 61, 119] {
        memory.now.store(NOW + second, Ordering::SeqCst);
        assert_eq!(slug(try_watch(&memory, Carrier::Path).await), "policy-refused");
    }
    let told = moments().await;
    assert_eq!((told.len(), &told[0]), (5, &(No, None, None, None)));
}

/// Guard: the receipt of an end says why, also where the rule said yes.
#[tokio::test]
async fn an_end_for_a_lost_chain_is_no_yes() {
    let memory = scene();
    let grant = watch(&memory, VIEWER, Carrier::Path).await.grant;
    let message = ReviewMessage::Grants { ids: vec![grant.id.clone()], lost: Some(CHAIN) };
    memory.now.store(NOW + 1, Ordering::SeqCst);
    review(&memory, &message).await.unwrap();
    let m = &memory;
    let found = read_decisions(m, m, &session(CREATOR), VIDEO, None).await.unwrap();
    assert_eq!(found.decisions[0].ended, Some(EndReason::ChainLost));
    assert_eq!(found.decisions[0].receipt.until, None);
}

/// Guard: nobody is let in of whom nothing is written down, and that costs nobody a place.
#[tokio::test]
async fn a_grant_that_can_not_be_written_down_leaves_nothing() {
    for method in ["audit.append", "grant.create"] {
        let memory = scene();
        memory.new_policy(Some(limited(json!({"per_wallet": 1}))));
        memory.fail(method, 1);
        assert!(matches!(try_watch(&memory, Carrier::Path).await, Err(Error::Port(_))), "{method}");
        let now = NOW + 1;
        assert!(
            memory.grants.lock().unwrap().values().all(|grant| !grant.is_live(now)),
            "{method}"
        );
        try_watch(&memory, Carrier::Path).await.unwrap();
    }
}

/// Guard: `contains` in `renew_grant`: an end is written down by who ended it.
#[tokio::test]
async fn an_end_is_written_down_once_whoever_else_comes_upon_it() {
    for rival in [false, true] {
        let memory = scene();
        let stream = watch(&memory, VIEWER, Carrier::Path).await.grant;
        memory.holds(CONTRACT, VIEWER, No);
        if rival {
            let id = stream.id.clone();
            memory.meanwhile("grant.end", move |memory| {
                let ended = domain::grant::Ended { at: NOW, why: EndReason::Left };
                memory.grants.lock().unwrap().get_mut(&id).unwrap().ended = Some(ended);
            });
        }
        assert_eq!(slug(renew(&memory, &stream.token).await), "policy-refused");
        let written = memory.keys.audit.lock().unwrap();
        let ends = written.values().filter(|record| record.ended.is_some()).count();
        assert_eq!(ends, usize::from(!rival));
    }
}

#[tokio::test]
async fn the_owner_alone_reads_decisions_page_by_page() {
    let memory = scene();
    for second in 0..150 {
        memory.now.store(NOW + second, Ordering::SeqCst);
        watch(&memory, VIEWER, Carrier::Path).await;
    }
    let m = &memory;
    let owner = session(CREATOR);
    let first = read_decisions(m, m, &owner, VIDEO, None).await.unwrap();
    let times: Vec<_> = first.decisions.iter().map(|record| record.receipt.iat - NOW).collect();
    assert_eq!(times, (50..150).rev().collect::<Vec<_>>());
    let rest = read_decisions(m, m, &owner, VIDEO, first.next.as_deref()).await.unwrap();
    let times: Vec<_> = rest.decisions.iter().map(|record| record.receipt.iat - NOW).collect();
    assert_eq!((times, rest.next), ((0..50).rev().collect(), None));
    let other = read_decisions(m, m, &session(VIEWER), VIDEO, None).await.map(drop);
    assert_eq!(slug(other), "not-found");
    let endless = "2".repeat(38);
    for odd in ["", &*endless] {
        let outcome = read_decisions(m, m, &owner, VIDEO, Some(odd)).await.map(drop);
        assert_eq!(slug(outcome), "body-invalid");
    }
}

/// Guard: [`app::deliver::lifetime`]. What a playlist of a whole film carries must outlive the film.
#[tokio::test]
async fn a_grant_lasts_as_long_as_the_film_and_a_pause() {
    let memory = scene();
    let mut video = memory.video().unwrap();
    assert_eq!(lifetime(&video, &terms()), 600);
    let planned = Memory::with_video(Stage::Uploaded);
    plan(&planned).await.unwrap();
    video.plan = planned.video().unwrap().plan;
    video.duration_seconds = Some(99.2);
    assert_eq!(lifetime(&video, &Terms { longest: 7200, ..terms() }), 700);
}

#[tokio::test]
async fn a_renewal_asks_the_rule_of_now() {
    let memory = scene();
    for carrier in [Carrier::Cookie, Carrier::Path, Carrier::Query] {
        let first = watch(&memory, VIEWER, carrier).await;
        let again = renew(&memory, &first.grant.token).await.unwrap();
        assert_eq!((&again.grant.id, &again.hls), (&first.grant.id, &first.hls), "{carrier:?}");
    }
    let playback = watch(&memory, VIEWER, Carrier::Cookie).await;
    memory.new_policy(Some(policy(OTHER_CONTRACT)));
    memory.holds(OTHER_CONTRACT, VIEWER, Unknown);
    assert_eq!(slug(renew(&memory, &playback.grant.token).await), "unavailable");
    memory.holds(OTHER_CONTRACT, VIEWER, Yes);
    renew(&memory, &playback.grant.token).await.unwrap();
    let stored = memory.grants.lock().unwrap()[&playback.grant.id].clone();
    assert_eq!(stored.policy_revision, memory.video().unwrap().policy_revision);
    // A no is its end.
    memory.holds(OTHER_CONTRACT, VIEWER, No);
    assert_eq!(slug(renew(&memory, &playback.grant.token).await), "policy-refused");
    assert_eq!(end_of(&memory, &playback.grant.id), Some(EndReason::Refused));
}

#[tokio::test]
async fn what_is_no_live_grants_token_renews_and_ends_nothing() {
    let memory = scene();
    let m = &memory;
    let playback = watch(m, VIEWER, Carrier::Path).await;
    let token = playback.grant.token;
    let other = watch(m, VIEWER, Carrier::Path).await.grant.token;
    let stored = m.grants.lock().unwrap()[&playback.grant.id].secret.clone();
    let mixed = format!("{}{}", &token[..40], &other[40..]);
    let table = format!("{}{stored}", &token[..40]);
    for bad in ["", &token[..40], &mixed, &table, &token.to_uppercase()] {
        assert_eq!(slug(renew(m, bad).await), "grant-invalid", "{bad}");
        assert_eq!(slug(end_grant(m, m, m, bad).await), "grant-invalid", "{bad}");
    }
    end_grant(m, m, m, &token).await.unwrap();
    assert_eq!(slug(renew(m, &token).await), "grant-invalid");
    m.now.store(NOW + 600, Ordering::SeqCst);
    assert_eq!(slug(renew(m, &other).await), "grant-invalid");
}

/// A renewal that comes while the grant is ended does not bring it back.
#[tokio::test]
async fn a_renewal_loses_to_an_end() {
    let memory = scene();
    let playback = watch(&memory, VIEWER, Carrier::Cookie).await;
    memory.new_policy(Some(policy(CONTRACT)));
    let id = playback.grant.id.clone();
    memory.meanwhile("grant.renew", move |memory| {
        let ended = domain::grant::Ended { at: NOW, why: EndReason::Left };
        memory.grants.lock().unwrap().get_mut(&id).unwrap().ended = Some(ended);
    });
    assert_eq!(slug(renew(&memory, &playback.grant.token).await), "grant-invalid");
}

/// The promise: sell the token, lose the picture.
#[tokio::test]
async fn a_sold_token_ends_its_streams_and_no_others() {
    let memory = scene();
    memory.holds(CONTRACT, NEIGHBOUR, Yes);
    let mut mine = Vec::new();
    for carrier in [Carrier::Cookie, Carrier::Path, Carrier::Query] {
        mine.push((watch(&memory, VIEWER, carrier).await.grant, carrier));
    }
    let neighbour = watch(&memory, NEIGHBOUR, Carrier::Path).await.grant;
    let message = sold(&memory);
    review(&memory, &message).await.unwrap();
    tell_edge(&memory).await.unwrap();
    for (grant, carrier) in &mine {
        assert_eq!(end_of(&memory, &grant.id), Some(EndReason::Refused));
        assert_eq!(refused(&memory, &grant.id), *carrier != Carrier::Cookie, "{carrier:?}");
        assert_eq!(slug(renew(&memory, &grant.token).await), "grant-invalid");
    }
    assert_eq!(end_of(&memory, &neighbour.id), None);
    assert!(!refused(&memory, &neighbour.id));
    // Bought back: a new grant plays, at once.
    memory.holds(CONTRACT, VIEWER, Yes);
    let again = watch(&memory, VIEWER, Carrier::Path).await.grant;
    assert!(!refused(&memory, &again.id));
}

/// One write ends all of a wallet's streams, and none that it is given later.
#[tokio::test]
async fn many_streams_of_a_wallet_end_by_one_order() {
    let memory = scene();
    let mut ids = Vec::new();
    for second in 0..6 {
        memory.now.store(NOW + second, Ordering::SeqCst);
        ids.push(watch(&memory, VIEWER, Carrier::Path).await.grant.id);
    }
    // An index may not show it yet, and it goes by itself.
    memory.now.store(NOW + 20, Ordering::SeqCst);
    ids.push(watch(&memory, VIEWER, Carrier::Path).await.grant.id);
    let message = sold(&memory);
    review(&memory, &message).await.unwrap();
    assert_eq!(memory.revoke_messages.lock().unwrap()[0].orders.len(), 2);
    tell_edge(&memory).await.unwrap();
    assert!(ids.iter().all(|id| refused(&memory, id)));
    // Bought back within the same second: what is given now is another grant.
    memory.holds(CONTRACT, VIEWER, Yes);
    assert!(!refused(&memory, &watch(&memory, VIEWER, Carrier::Path).await.grant.id));
}

/// Guard: `stays` in `orders`. One order for all that came before must leave out what goes on.
#[tokio::test]
async fn the_owner_of_a_film_ends_no_streams_of_others() {
    let memory = scene();
    let m = &memory;
    let mut ids = Vec::new();
    for second in 0..12 {
        m.now.store(NOW + second, Ordering::SeqCst);
        ids.push(watch(m, VIEWER, Carrier::Path).await.grant.id);
    }
    // One in the middle is of another film.
    let other = ids.remove(6);
    m.grants.lock().unwrap().get_mut(&other).unwrap().video = "another".into();
    m.now.store(NOW + 60, Ordering::SeqCst);
    let whom = serde_json::from_value(json!({"account": account(VIEWER)})).unwrap();
    revoke_grants(m, m, m, m, &session(CREATOR), VIDEO, &whom).await.unwrap();
    // The six before it at once, the five after it one by one.
    assert_eq!(m.revoke_messages.lock().unwrap()[0].orders.len(), 1 + 5);
    tell_edge(m).await.unwrap();
    assert!(ids.iter().all(|id| refused(m, id)) && !refused(m, &other));
}

/// A grant rests on every wallet that was linked, whichever loses its token.
#[tokio::test]
async fn a_linked_wallets_loss_counts() {
    let memory = Memory::with_video(Stage::Ready);
    memory.holds(CONTRACT, VIEWER, No);
    memory.holds(CONTRACT, NEIGHBOUR, Yes);
    let linked = session(VIEWER).linked(Holder::with_key(account(NEIGHBOUR)), NOW + 60).unwrap();
    let playback = watch_with(&memory, &linked, FRESHNESS, &by(Carrier::Path)).await.unwrap();
    memory.holds(CONTRACT, NEIGHBOUR, No);
    let wallet = Wallet::Evm(NEIGHBOUR);
    review(&memory, &ReviewMessage::Wallet { wallet, chain: CHAIN, at: None }).await.unwrap();
    assert_eq!(end_of(&memory, &playback.grant.id), Some(EndReason::Refused));
}

/// Guard: `behind` in `review`: a decision that doesn't know of the transfer yet is none.
#[tokio::test]
async fn a_review_waits_until_the_chain_is_read_where_it_changed() {
    let memory = scene();
    let playback = watch(&memory, VIEWER, Carrier::Path).await;
    let ReviewMessage::Wallet { wallet, chain, at: Some(at) } = sold(&memory) else { panic!() };
    memory.holds(CONTRACT, VIEWER, Yes);
    memory.height.store(at - 1, Ordering::SeqCst);
    let message = ReviewMessage::Wallet { wallet, chain, at: Some(at) };
    assert!(review(&memory, &message).await.is_err());
    assert_eq!(end_of(&memory, &playback.grant.id), None);
}

#[tokio::test]
async fn a_chain_that_can_t_be_read_ends_nothing_until_it_is_given_up() {
    let memory = scene();
    let playback = watch(&memory, VIEWER, Carrier::Query).await;
    memory.holds(CONTRACT, VIEWER, Unknown);
    let ids = vec![playback.grant.id.clone()];
    let message = ReviewMessage::Grants { ids: ids.clone(), lost: None };
    assert!(review(&memory, &message).await.is_err());
    assert_eq!(end_of(&memory, &playback.grant.id), None);
    // Another chain's loss is not this grant's, and one that stands still may go on answering.
    let elsewhere = Some(domain::account::ChainId::Eip155(137));
    let other = ReviewMessage::Grants { ids: ids.clone(), lost: elsewhere };
    memory.holds(CONTRACT, VIEWER, Yes);
    review(&memory, &other).await.unwrap();
    assert_eq!(end_of(&memory, &playback.grant.id), None);
    review(&memory, &ReviewMessage::Grants { ids, lost: Some(CHAIN) }).await.unwrap();
    assert_eq!(end_of(&memory, &playback.grant.id), Some(EndReason::ChainLost));
}

#[tokio::test]
async fn a_new_policy_decides_live_grants_again_and_a_deleted_film_ends_them() {
    let memory = scene();
    let playback = watch(&memory, VIEWER, Carrier::Path).await;
    let message = ReviewMessage::Video { video: VIDEO.into() };
    memory.new_policy(Some(policy(CONTRACT)));
    review(&memory, &message).await.unwrap();
    assert_eq!(end_of(&memory, &playback.grant.id), None);
    memory.change(|video| video.stage = Stage::Deleting);
    review(&memory, &message).await.unwrap();
    assert_eq!(end_of(&memory, &playback.grant.id), Some(EndReason::Deleted));

    let memory = scene();
    let (owner, viewer) = (
        watch(&memory, CREATOR, Carrier::Path).await.grant,
        watch(&memory, VIEWER, Carrier::Path).await.grant,
    );
    memory.new_policy(None);
    review(&memory, &message).await.unwrap();
    assert_eq!(end_of(&memory, &owner.id), None);
    assert_eq!(end_of(&memory, &viewer.id), Some(EndReason::Refused));
}

#[tokio::test]
async fn the_owner_ends_a_wallets_streams_or_everyones() {
    let memory = scene();
    let m = &memory;
    m.holds(CONTRACT, NEIGHBOUR, Yes);
    let viewer = watch(m, VIEWER, Carrier::Path).await.grant;
    let neighbour = watch(m, NEIGHBOUR, Carrier::Path).await.grant;
    let whom = |value| serde_json::from_value::<Whom>(value).unwrap();
    let one = whom(json!({"account": account(VIEWER)}));
    let all = whom(json!({"everyone": true}));
    for stranger in [VIEWER, NEIGHBOUR] {
        let outcome = revoke_grants(m, m, m, m, &session(stranger), VIDEO, &all).await;
        assert!(matches!(outcome, Err(Error::Problem(Problem::NotFound))));
    }
    let revoked = revoke_grants(m, m, m, m, &session(CREATOR), VIDEO, &one).await.unwrap();
    assert_eq!((revoked.ended, end_of(m, &neighbour.id)), (1, None));
    assert_eq!(end_of(m, &viewer.id), Some(EndReason::Revoked));
    let revoked = revoke_grants(m, m, m, m, &session(CREATOR), VIDEO, &all).await.unwrap();
    assert_eq!(revoked.ended, 1);
    tell_edge(m).await.unwrap();
    assert!(refused(m, &viewer.id) && refused(m, &neighbour.id));
    for bad in [json!({}), json!({"everyone": false}), json!({"account": "x"}), json!("everyone")] {
        assert!(serde_json::from_value::<Whom>(bad.clone()).is_err(), "{bad}");
    }
}

/// Whatever fails on the way, the message comes again and the edge is told in the end.
#[tokio::test]
async fn an_end_that_fails_half_way_is_finished_by_the_next_try() {
    for method in ["grant.of_wallet", "video.get", "grant.end", "revoke.send"] {
        let memory = scene();
        let playback = watch(&memory, VIEWER, Carrier::Path).await;
        let message = sold(&memory);
        memory.fail(method, 1);
        assert!(review(&memory, &message).await.is_err(), "{method}");
        review(&memory, &message).await.unwrap();
        tell_edge(&memory).await.unwrap();
        assert!(refused(&memory, &playback.grant.id), "{method}");
    }
}

/// Guard: the version in `apply_revocations`: a write between reading and writing is not lost.
#[tokio::test]
async fn two_writers_of_the_edges_store_lose_nothing() {
    let memory = scene();
    let (one, other) = (
        watch(&memory, VIEWER, Carrier::Path).await.grant.id,
        watch(&memory, VIEWER, Carrier::Path).await.grant.id,
    );
    let key = shard_key(&one);
    let order = |grant: &GrantId| domain::revocation::Revocation::Grant {
        grant: grant.clone(),
        until: NOW + 600,
    };
    let rival = order(&other);
    memory.meanwhile("edge.write", move |memory| {
        let mut shard = Shard::default();
        shard.add(&rival);
        memory.edge.writes.fetch_add(1, Ordering::SeqCst);
        memory.edge.values.lock().unwrap().insert(key, shard.write(NOW));
    });
    let message = app::apply_revocations::RevokeMessage::revoke(&[order(&one)]);
    memory.revoke_messages.lock().unwrap().push_back(message);
    tell_edge(&memory).await.unwrap();
    assert!(refused(&memory, &one) && refused(&memory, &other));
}

fn limited(streams: serde_json::Value) -> domain::policy::Policy {
    let mut value = policy(CONTRACT).to_json();
    value["streams"] = streams;
    domain::policy::Policy::read(&value).unwrap()
}

async fn try_watch(memory: &Memory, carrier: Carrier) -> Result<Playback, Error> {
    watch_with(memory, &session(VIEWER), FRESHNESS, &by(carrier)).await
}

#[tokio::test]
async fn one_stream_too_many_is_refused_with_who_holds_the_leases() {
    let memory = scene();
    memory.new_policy(Some(limited(json!({"per_wallet": 1}))));
    let first = try_watch(&memory, Carrier::Path).await.unwrap();
    assert_eq!(first.renew_at, Some(domain::rfc3339(NOW + 56)));
    let refusal = try_watch(&memory, Carrier::Path).await;
    let Err(Error::Problem(Problem::StreamsFull(holders))) = refusal else { panic!("{refusal:?}") };
    assert_eq!((holders[0].account, holders[0].until), (account(VIEWER), NOW + 60));
    // It keeps its place by renewing; the film's owner needs none.
    memory.now.store(NOW + 50, Ordering::SeqCst);
    renew(&memory, &first.grant.token).await.unwrap();
    memory.now.store(NOW + 100, Ordering::SeqCst);
    assert_eq!(slug(try_watch(&memory, Carrier::Query).await), "streams-full");
    watch(&memory, CREATOR, Carrier::Path).await;
    // Given back, it is free at once.
    let m = &memory;
    end_grant(m, m, m, &first.grant.token).await.unwrap();
    try_watch(m, Carrier::Path).await.unwrap();
}

/// Guard: `release` in `grant_playback`: a try that the policy overtook leaves its place to the next.
#[tokio::test]
async fn a_policy_that_moves_costs_no_place() {
    let memory = scene();
    memory.new_policy(Some(limited(json!({"per_wallet": 1}))));
    memory.meanwhile("grant.create", |memory| {
        memory.new_policy(Some(limited(json!({"per_wallet": 1, "when_full": "refuse"}))));
    });
    try_watch(&memory, Carrier::Path).await.unwrap();
    assert_eq!(slug(try_watch(&memory, Carrier::Path).await), "streams-full");
}

/// Guard: [`domain::grant::Grant::is_live`] and `hold`: a lease that lapsed is the end of its grant,
/// at the edge too as soon as somebody takes the place.
#[tokio::test]
async fn a_lapsed_lease_ends_its_grant() {
    let memory = scene();
    memory.new_policy(Some(limited(json!({"per_wallet": 1}))));
    let first = try_watch(&memory, Carrier::Path).await.unwrap().grant;
    memory.now.store(NOW + 60, Ordering::SeqCst);
    assert_eq!(slug(renew(&memory, &first.token).await), "grant-invalid");
    try_watch(&memory, Carrier::Path).await.unwrap();
    tell_edge(&memory).await.unwrap();
    assert_eq!(end_of(&memory, &first.id), Some(EndReason::Lapsed));
    assert!(refused(&memory, &first.id));
}

/// Guard: `left` in `hold`. Else whoever bought the token that it sat on would end it.
#[tokio::test]
async fn a_stream_that_moves_to_another_token_leaves_its_place() {
    let memory = scene();
    let owned = |id: u8, owner: Address| {
        let data = abi::call("ownerOf(uint256)", &[abi::uint(U256::from(id))]);
        let read = EvmRead::Call { to: CONTRACT, data };
        memory
            .evm
            .lock()
            .unwrap()
            .insert(read.clone(), Answer::Bytes(abi::address(owner).to_vec()));
        memory.fact_memory.evict(&Question::Evm(1, read.clone()));
        memory.facts.lock().unwrap().remove(&Question::Evm(1, read).key());
    };
    let mut value = policy(CONTRACT).to_json();
    value["rule"]["ids"] = json!(["3", "4"]);
    value["streams"] = json!({"per_token": 1});
    memory.new_policy(Some(domain::policy::Policy::read(&value).unwrap()));
    owned(3, VIEWER);
    owned(4, VIEWER);
    let stream = try_watch(&memory, Carrier::Path).await.unwrap().grant;
    let places = || memory.grants.lock().unwrap()[&stream.id].leases.clone();
    let (sold, left) = if places()[0].ends_with("/3") { (3, 4) } else { (4, 3) };
    owned(sold, NEIGHBOUR);
    renew(&memory, &stream.token).await.unwrap();
    assert!(places()[0].ends_with(&format!("/{left}")), "{:?}", places());
    let bought = watch(&memory, NEIGHBOUR, Carrier::Path).await.grant;
    assert!(end_of(&memory, &stream.id).is_none() && end_of(&memory, &bought.id).is_none());
    memory.now.store(NOW + 50, Ordering::SeqCst);
    renew(&memory, &stream.token).await.unwrap();
    renew(&memory, &bought.token).await.unwrap();
    let sheets = memory.sheets.lock().unwrap().clone();
    assert!(sheets.values().all(|sheet| sheet.seats.len() == 1), "{sheets:?}");
    // They swap: the place is the other's still, and that the stream finds none is written down.
    let before = memory.keys.audit.lock().unwrap().len();
    owned(left, NEIGHBOUR);
    owned(sold, VIEWER);
    assert_eq!(slug(renew(&memory, &stream.token).await), "streams-full");
    assert_eq!(memory.keys.audit.lock().unwrap().len(), before + 1);
}

#[tokio::test]
async fn the_oldest_stream_gives_way_where_the_policy_says_so() {
    let memory = scene();
    memory.new_policy(Some(limited(json!({"per_wallet": 1, "when_full": "take_over"}))));
    let first = try_watch(&memory, Carrier::Path).await.unwrap().grant;
    let second = try_watch(&memory, Carrier::Path).await.unwrap().grant;
    tell_edge(&memory).await.unwrap();
    assert_eq!(end_of(&memory, &first.id), Some(EndReason::TakenOver));
    assert!(refused(&memory, &first.id) && !refused(&memory, &second.id));
    assert_eq!(slug(renew(&memory, &first.token).await), "grant-invalid");
}

#[tokio::test]
async fn of_many_racers_for_the_last_place_one_wins() {
    let memory = scene();
    memory.new_policy(Some(limited(json!({"per_wallet": 1}))));
    let racers = (0..20).map(|_| try_watch(&memory, Carrier::Path));
    let outcomes = futures_util::future::join_all(racers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(memory.grants.lock().unwrap().len(), 1);
}
