//! CPU of one decision: a compiled plan of 20 conditions and all facts at hand, beside reading the
//! same policy as plain JSON.

use domain::abi;
use domain::account::Address;
use domain::decision::{Evaluation, Facts, Freshness, Plan, Verdict};
use domain::fact::{Answer, Block, Fact, Place};
use domain::leaf::Viewer;
use domain::number::U256;
use domain::policy::Policy;
use domain::session::Holder;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const NOW: u64 = 1_800_000_000;
const TURNS: u32 = 2_000;
const SERIES: usize = 15;

/// Microseconds of one turn: the least of several series, the one that was disturbed least.
fn microseconds(mut turn: impl FnMut()) -> f64 {
    let series = (0..SERIES).map(|_| {
        let since = Instant::now();
        (0..TURNS).for_each(|_| turn());
        since.elapsed().as_secs_f64() * 1e6 / f64::from(TURNS)
    });
    series.fold(f64::INFINITY, f64::min)
}

/// Twenty collections on three chains, ten of which must be held.
pub fn policy() -> Value {
    let leaf = |index: u8| {
        let chain = [1, 137, 10][usize::from(index) % 3];
        let contract = Address([index + 1; 20]);
        json!({"kind": "erc721", "chain": format!("eip155:{chain}"), "contract": contract, "min": "1"})
    };
    let leaves: Vec<_> = (0..20).map(leaf).collect();
    json!({"version": 1, "rule": {"at_least": 10, "of": leaves}})
}

pub fn run() -> Result<Value, Box<dyn std::error::Error>> {
    let text = policy().to_string();
    let plan = Plan::compile(&Policy::read(&policy())?);
    let freshness =
        Freshness { event: 60, timer: 60, negative: 60, steady: 60, grace: 0, recheck: 60 };
    let holders = [Holder::with_key(format!("eip155:1:{}", Address([0xaa; 20])).parse()?)];
    let viewer = Viewer { holders: &holders, hints: &[], now: NOW };
    let mut facts = Facts::default();
    let decided = loop {
        match plan.evaluate(&viewer, &facts, &freshness) {
            Evaluation::Decided(decision) => break decision,
            Evaluation::Wants(wants) => {
                for (index, question) in wants.into_iter().enumerate() {
                    let answer = Answer::Bytes(abi::uint(U256::from(index % 2)).to_vec());
                    let place = Some(Place::Block(Block { number: 1, hash: "0x1".into() }));
                    facts.known.insert(question, Fact { answer, place, read_at: NOW });
                }
            }
        }
    };
    assert_eq!(decided.conditions.len(), 20);
    assert_ne!(decided.verdict, Verdict::Unknown);
    let decide = microseconds(|| {
        black_box(plan.evaluate(black_box(&viewer), black_box(&facts), &freshness));
    });
    let parse = microseconds(|| {
        let _ = black_box(serde_json::from_str::<Value>(black_box(&text)));
    });
    let compile = microseconds(|| {
        let value = serde_json::from_str::<Value>(black_box(&text)).unwrap_or_default();
        let _ = black_box(Policy::read(&value).map(|policy| Plan::compile(&policy)));
    });
    Ok(
        json!({"decide_us": decide, "parse_us": parse, "compile_us": compile, "facts": facts.known.len()}),
    )
}
