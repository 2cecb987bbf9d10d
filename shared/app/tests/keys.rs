//! Keys rotate, whatever is cut off and whoever else is at it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use adapter_memory::Memory;
use adapter_memory::arrange::NOW;
use app::ports::{Nowhere, PortError};
use app::rotate_keys::{KeyTerms, RotateRequest, rotate_keys};
use domain::Seconds;
use domain::keyring::{KeyKind, Keyring};
use futures_util::future::join_all;
use std::sync::atomic::Ordering;

const DAY: Seconds = 86_400;
const TERMS: KeyTerms =
    KeyTerms { lifetime: 30 * DAY, propagation: 900, grant: 3600, session: 7200 };
/// When the old key's time is over, from when the new one is known.
const OVER: Seconds = 900 + 3600 + 900;

fn at(memory: &Memory, seconds: Seconds) {
    memory.now.store(NOW + seconds, Ordering::SeqCst);
}

async fn rotate(memory: &Memory) -> Result<Keyring, PortError> {
    rotate_keys(memory, memory, memory, KeyKind::Signing, TERMS).await
}

fn ids(ring: &Keyring) -> Vec<String> {
    ring.keys.iter().map(|key| key.id.clone()).collect()
}

fn stored(memory: &Memory) -> Keyring {
    memory.keys.rings.lock().unwrap().get(&KeyKind::Signing).unwrap().1.clone()
}

fn outside(memory: &Memory) -> Vec<String> {
    memory.keys.outside.lock().unwrap().1.clone()
}

/// What a player needs: whatever is minted with is known outside under its name.
fn assert_plays(memory: &Memory) {
    use app::ports::Clock;
    let ring = stored(memory);
    let minting = ring.minting(memory.now()).unwrap();
    assert!(outside(memory).contains(&minting.id), "{ring:?} outside {:?}", outside(memory));
    assert_eq!(minting.name, Some(format!("K-{}", minting.id)));
    assert!(ring.live(memory.now()).count() <= 2);
}

#[tokio::test]
async fn every_kind_gets_its_first_key_at_once_and_keeps_it() {
    let memory = Memory::fresh();
    for kind in KeyKind::ALL {
        let made = rotate_keys(&memory, &memory, &Nowhere, kind, TERMS).await.unwrap();
        let minting = made.minting(NOW).unwrap();
        assert_eq!(minting.material.signing().is_some(), kind.is_pair(), "{kind:?}");
        assert_eq!(minting.material.symmetric().is_some(), !kind.is_pair(), "{kind:?}");
        at(&memory, 29 * DAY);
        let again = rotate_keys(&memory, &memory, &Nowhere, kind, TERMS).await.unwrap();
        assert_eq!(again, made);
        at(&memory, 0);
    }
}

#[tokio::test]
async fn the_new_key_is_known_before_it_is_used_and_the_old_one_until_nothing_of_it_lives() {
    let memory = Memory::fresh();
    let first = ids(&rotate(&memory).await.unwrap());
    at(&memory, 30 * DAY);
    let both = rotate(&memory).await.unwrap();
    assert_eq!(outside(&memory), ids(&both));
    assert_eq!((both.keys.len(), &both.keys[0].id), (2, &first[0]));
    let since = NOW + 30 * DAY;
    assert_eq!(both.minting(since + 899).unwrap().id, first[0]);
    assert_eq!(both.minting(since + 900).unwrap().id, both.keys[1].id);
    at(&memory, 30 * DAY + OVER - 1);
    assert_eq!(rotate(&memory).await.unwrap(), both);
    at(&memory, 30 * DAY + OVER);
    let after = rotate(&memory).await.unwrap();
    assert_eq!(ids(&after), [both.keys[1].id.clone()]);
    assert_eq!(outside(&memory), ids(&after));
}

/// Each step fails once, at each of the moments at which a run does something.
#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_is_taken_up_by_the_next() {
    for method in ["keys.look", "keys.load", "keys.publish", "keys.replace"] {
        for moment in [0, 30 * DAY, 30 * DAY + OVER] {
            for survived in 0..3 {
                let memory = Memory::fresh();
                for earlier in [0, 30 * DAY].into_iter().filter(|earlier| *earlier < moment) {
                    at(&memory, earlier);
                    rotate(&memory).await.unwrap();
                }
                at(&memory, moment);
                if moment > 0 {
                    assert_plays(&memory);
                }
                // The fault comes after so many calls of the method have gone well.
                memory.fail_after(method, survived, 1);
                let cut = rotate(&memory).await.is_err();
                if moment > 0 {
                    assert_plays(&memory);
                }
                if cut {
                    // Nothing that the next run, even days later, does not put right.
                    at(&memory, moment + DAY);
                    rotate(&memory).await.unwrap();
                }
                assert_plays(&memory);
                assert_eq!(outside(&memory), ids(&stored(&memory)), "{method} {moment} {survived}");
                assert!(stored(&memory).keys.iter().all(|key| key.usable_at.is_some()));
            }
        }
    }
}

#[tokio::test]
async fn runs_side_by_side_make_one_key() {
    for moment in [0, 30 * DAY, 30 * DAY + OVER] {
        let memory = Memory::fresh();
        for earlier in [0, 30 * DAY].into_iter().filter(|earlier| *earlier < moment) {
            at(&memory, earlier);
            rotate(&memory).await.unwrap();
        }
        at(&memory, moment);
        let rings = join_all((0..5).map(|_| rotate(&memory))).await;
        let last = stored(&memory);
        for ring in rings {
            assert_eq!(ring.unwrap(), last);
        }
        assert_eq!(last.keys.len(), if moment == 30 * DAY { 2 } else { 1 });
        assert_eq!(outside(&memory), ids(&last));
        assert_plays(&memory);
    }
}

/// Somebody slow read the keyring before a whole rotation, and wants to make it known after it.
#[tokio::test]
async fn nobody_slow_puts_old_keys_in_the_place_of_new_ones() {
    let memory = Memory::fresh();
    rotate(&memory).await.unwrap();
    at(&memory, 30 * DAY);
    rotate(&memory).await.unwrap();
    at(&memory, 60 * DAY);
    // The slow one is about to make known that the first key is gone; meanwhile the second is gone
    // from the keyring and a third has come.
    memory.meanwhile("keys.publish", |memory| {
        let rotated = async { while rotate(memory).await.unwrap().keys.len() < 2 {} };
        futures_util::FutureExt::now_or_never(Patient(Box::pin(rotated)));
    });
    rotate(&memory).await.unwrap();
    assert_eq!(outside(&memory), ids(&stored(&memory)));
    assert_plays(&memory);
}

/// Polls to the end, for what only lets others go first.
struct Patient<F>(std::pin::Pin<Box<F>>);

impl<F: Future<Output = ()>> Future for Patient<F> {
    type Output = ();
    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        while self.0.as_mut().poll(context).is_pending() {}
        std::task::Poll::Ready(())
    }
}

#[tokio::test]
async fn what_somebody_else_did_outside_is_put_right() {
    let memory = Memory::fresh();
    let ring = rotate(&memory).await.unwrap();
    *memory.keys.outside.lock().unwrap() = (7, vec!["foreign".into()]);
    assert_eq!(rotate(&memory).await.unwrap(), ring);
    assert_eq!(outside(&memory), ids(&ring));
}

#[tokio::test]
async fn an_operator_may_ask_for_a_new_key() {
    let memory = Memory::fresh();
    rotate(&memory).await.unwrap();
    let request: RotateRequest =
        serde_json::from_str(r#"{"rotate":["signing"],"detail-type":"x"}"#).unwrap();
    let terms = request.terms(KeyKind::Signing, TERMS);
    for _ in 0..3 {
        let ring = rotate_keys(&memory, &memory, &memory, KeyKind::Signing, terms).await.unwrap();
        assert_eq!(ring.keys.len(), 2, "one new key, and no third");
    }
    assert_eq!(request.terms(KeyKind::Token, TERMS), TERMS);
    assert!(serde_json::from_str::<RotateRequest>(r#"{"rotate":["other"]}"#).is_err());
}

#[tokio::test]
async fn content_keys_stay_readable_and_receipts_can_be_verified_for_ever() {
    for kind in [KeyKind::Content, KeyKind::Receipt] {
        let memory = Memory::fresh();
        let first = rotate_keys(&memory, &memory, &Nowhere, kind, TERMS).await.unwrap();
        let mut ring = Keyring::default();
        for round in 1..=5 {
            at(&memory, round * 31 * DAY);
            ring = rotate_keys(&memory, &memory, &Nowhere, kind, TERMS).await.unwrap();
        }
        assert_eq!(ring.keys.len(), 6);
        let kept = ring.find(&first.keys[0].id).unwrap();
        assert_eq!(kept.material.public(), first.keys[0].material.public());
        assert_eq!(kept.material.symmetric(), first.keys[0].material.symmetric());
        assert_eq!(kept.material.signing(), None);
        assert_eq!(ring.live(NOW + 156 * DAY).count(), 1);
    }
}

/// An audit record is written once; sent again, as after a fault, it changes nothing.
#[tokio::test]
async fn what_was_decided_is_added_and_never_changed() {
    use app::audit::{AuditLog, AuditRecord};
    use domain::decision::Verdict;
    use domain::receipt::Receipt;
    let memory = Memory::fresh();
    let receipt = Receipt {
        iss: "https://film.example".into(),
        iat: NOW,
        video: "film".into(),
        accounts: Vec::new(),
        policy: None,
        policy_revision: 1,
        facts: Vec::new(),
        verdict: Verdict::No,
        grant: None,
        until: None,
    };
    let record = AuditRecord { receipt, id: "00".repeat(8), ended: None };
    assert_eq!(record.moment(), "2027-01-15T08:00:00Z#0000000000000000");
    memory.append(&record).await.unwrap();
    let mut other = record.clone();
    other.receipt.verdict = Verdict::Yes;
    memory.append(&other).await.unwrap();
    let kept: Vec<_> = memory.keys.audit.lock().unwrap().values().cloned().collect();
    assert_eq!(kept, std::slice::from_ref(&record));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<AuditRecord>(&text).unwrap(), record);
}
