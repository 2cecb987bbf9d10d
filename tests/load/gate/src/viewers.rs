//! How often a decision asks no chain, in a load that is stated here.
//!
//! 10,000 viewers sit down within five minutes, each at a time of its own, and watch one film for the
//! half hour: one of 200 by Zipf's law (exponent 1). A film's policy asks for one token of one of 20
//! collections (film `n` has collection `n mod 20`). While it plays, its grant is renewed every five
//! minutes, as the cookie carrier does; each renewal is a whole decision. Nine of ten viewers hold a
//! token of every collection; the others hold none, and try one film after another, every 15
//! minutes. Twice a second somebody sells a token: what is known of seller and buyer is evicted, as
//! the watcher of a chain does. Decisions are spread over eight functions, each with a memory of
//! its own, which is forgotten every ten minutes.

use adapter_dynamodb::Facts;
use adapter_memory::Memory;
use adapter_memory::arrange::balance_of;
use app::gate::{FactMemory, Gate, Sharing};
use app::ports::FactStore;
use domain::abi;
use domain::account::Address;
use domain::condition::{Bounds, Condition, Erc721};
use domain::decision::Freshness;
use domain::fact::{Answer, Question};
use domain::number::U256;
use domain::policy::{Policy, Rule};
use domain::session::Holder;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

const VIEWERS: u32 = 10_000;
const FILMS: usize = 200;
const COLLECTIONS: u32 = 20;
const BEGIN: u64 = 1_800_000_000;
const LENGTH: u64 = 30 * 60;
const FILM: u64 = 45 * 60;
const ARRIVALS: u64 = 5 * 60;
const NEXT_TRY: u64 = 15 * 60;
const RENEWAL: u64 = 5 * 60;
const FUNCTIONS: usize = 8;
const FUNCTION_LIFE: u64 = 10 * 60;
const SALES_PER_SECOND: u64 = 2;

/// Marsaglia's xorshift: the same load in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Weights of Zipf's law, summed up, in millionths.
fn zipf() -> Vec<u64> {
    let mut sum = 0;
    (1..=FILMS as u64)
        .map(|rank| {
            sum += 1_000_000 / rank;
            sum
        })
        .collect()
}

fn collection(number: u32) -> Address {
    address(0xc0, number)
}

fn address(kind: u8, number: u32) -> Address {
    let mut bytes = [kind; 20];
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    Address(bytes)
}

fn policy(film: usize) -> Policy {
    Policy::new(Rule::Condition(Condition::Erc721(Erc721 {
        chain: 1,
        contract: collection(film as u32 % COLLECTIONS),
        count: Bounds { min: U256::ONE, max: None },
        ids: Vec::new(),
        traits: Vec::new(),
        delegated: false,
    })))
}

pub fn run(store: &str, seconds: u64) -> Result<Value, Box<dyn std::error::Error>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        match store {
            "memory" => {
                let store = Memory::default();
                play(&store, seconds).await
            }
            "dynamodb" => {
                let aws = runtime::aws::config().await;
                play(&Facts::new(&aws, std::env::var("FACTS_TABLE")?), seconds).await
            }
            other => Err(format!("no such store: {other}").into()),
        }
    })
}

fn holds(world: &Memory, viewer: u32, collection_number: u32, count: u8) {
    let read = balance_of(collection(collection_number), address(0xaa, viewer));
    let answer = Answer::Bytes(abi::uint(U256::from(count)).to_vec());
    if let Ok(mut evm) = world.evm.lock() {
        evm.insert(read, answer);
    }
}

async fn play(store: &impl FactStore, yes: u64) -> Result<Value, Box<dyn std::error::Error>> {
    let world = Memory::default();
    world.now.store(BEGIN, Ordering::SeqCst);
    let freshness =
        Freshness { event: yes, timer: yes, negative: 5, steady: 3600, grace: 0, recheck: 3600 };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let weights = zipf();
    let total = weights.last().copied().unwrap_or(1);
    let mut functions: Vec<_> = (0..FUNCTIONS).map(|_| FactMemory::default()).collect();
    // (when, viewer, film, when the film ends), the next one on top.
    let mut agenda: BinaryHeap<Reverse<(u64, u32, usize, u64)>> = BinaryHeap::new();
    for viewer in 0..VIEWERS {
        let count = u8::from(viewer % 10 < 9);
        (0..COLLECTIONS).for_each(|number| holds(&world, viewer, number, count));
        let at = BEGIN + dice.roll(ARRIVALS);
        agenda.push(Reverse((at, viewer, FILMS, 0)));
    }
    let (mut decisions, mut silent, mut hits, mut misses) = (0_u64, 0_u64, 0, 0);
    let (mut clock, mut life) = (BEGIN, BEGIN);
    while let Some(Reverse((at, viewer, mut film, mut ends))) = agenda.pop() {
        if at >= BEGIN + LENGTH {
            break;
        }
        for _ in 0..(at - clock) * SALES_PER_SECOND {
            let (number, seller, buyer) = (
                dice.roll(u64::from(COLLECTIONS)) as u32,
                dice.roll(u64::from(VIEWERS)) as u32,
                dice.roll(u64::from(VIEWERS)) as u32,
            );
            let questions = [seller, buyer]
                .map(|who| Question::Evm(1, balance_of(collection(number), address(0xaa, who))));
            // A block, and what the watcher does about it.
            holds(&world, seller, number, 0);
            holds(&world, buyer, number, 1);
            store.evict(&questions.each_ref().map(Question::key)).await?;
            functions.iter().for_each(|memory| questions.iter().for_each(|one| memory.evict(one)));
        }
        if at > clock {
            world.height.store(at, Ordering::SeqCst);
            world.now.store(at, Ordering::SeqCst);
            clock = at;
        }
        if clock - life >= FUNCTION_LIFE {
            functions = (0..FUNCTIONS).map(|_| FactMemory::default()).collect();
            life = clock;
        }
        let begins = film == FILMS || at >= ends;
        if begins {
            let pick = dice.roll(total);
            film = weights.partition_point(|sum| *sum <= pick);
            ends = at + FILM;
        }
        let function = dice.roll(FUNCTIONS as u64) as usize;
        let gate = Gate {
            evm: &world,
            solana: &world,
            plugins: &world,
            store,
            memory: &functions[function],
            freshness,
            sharing: match begins {
                true => Sharing::All,
                false => Sharing::of_renewals(&freshness, RENEWAL),
            },
        };
        let account = format!("eip155:1:{}", address(0xaa, viewer)).parse()?;
        let holders = [Holder::with_key(account)];
        let (decision, cost) = gate.decide(&world, &policy(film), &holders, &[]).await;
        decisions += 1;
        silent += u64::from(cost.misses == 0);
        hits += cost.hits;
        misses += cost.misses;
        let granted = decision.verdict == domain::decision::Verdict::Yes;
        let next = if granted { at + RENEWAL } else { at + NEXT_TRY };
        let film = if granted { film } else { FILMS };
        agenda.push(Reverse((next, viewer, film, ends)));
    }
    Ok(json!({
        "decisions": decisions,
        "without_a_chain": silent as f64 / decisions.max(1) as f64,
        "fact_hit_rate": hits as f64 / (hits + misses).max(1) as f64,
        "fact_seconds": yes,
    }))
}
