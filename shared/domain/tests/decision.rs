//! Decisions: every kind of condition, over arranged answers. No chain is needed for a rule.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::abi;
use domain::account::{Account, Address, ChainId, Genesis, Pubkey};
use domain::decision::Verdict::{No, Unknown, Yes};
use domain::decision::{Decision, Evaluation, Facts, Freshness, Plan, Source, Verdict};
use domain::fact::{Answer, Block, EvmRead, Fact, Find, Place, PluginRead, Question, SolanaRead};
use domain::leaf::{
    Asset, DELEGATE_REGISTRY, Viewer, associated_token_account, metadata_account, programs,
};
use domain::number::U256;
use domain::policy::Policy;
use domain::session::Holder;
use serde_json::{Value, json};
use std::collections::HashMap;

const NOW: u64 = 1_800_000_000;
const ALICE: Address = Address([0xa1; 20]);
const BOB: Address = Address([0xb0; 20]);
const VAULT: Address = Address([0xda; 20]);
const TOKEN: Address = Address([0x70; 20]);
const CLUSTER: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
const SOL: Pubkey = Pubkey([0x50; 32]);
const MINT: Pubkey = Pubkey([0x31; 32]);
const COLLECTION: Pubkey = Pubkey([0xc0; 32]);
const FRESH: Freshness =
    Freshness { event: 60, timer: 30, negative: 5, steady: 3600, grace: 0, recheck: 600 };

fn genesis() -> Genesis {
    Genesis::new(CLUSTER).unwrap()
}

fn holder(address: Address) -> Holder {
    Holder::with_key(format!("eip155:1:{address}").parse().unwrap())
}

fn solana_holder() -> Holder {
    Holder::with_key(format!("solana:{CLUSTER}:{SOL}").parse().unwrap())
}

fn call(to: Address, signature: &str, words: &[[u8; 32]]) -> Question {
    Question::Evm(1, EvmRead::Call { to, data: abi::call(signature, words) })
}

fn number(value: u64) -> [u8; 32] {
    abi::uint(U256::from(value))
}

fn bytes(word: [u8; 32]) -> Answer {
    Answer::Bytes(word.to_vec())
}

/// What the world answers: what is arranged; contracts refuse the rest, and Solana has nothing.
#[derive(Default, Clone)]
struct World {
    answers: HashMap<Question, Answer>,
    hints: Vec<Asset>,
    now: Option<u64>,
}

impl World {
    fn says(mut self, question: Question, answer: Answer) -> Self {
        self.answers.insert(question, answer);
        self
    }

    fn balance(self, holder: Address, count: u64) -> Self {
        self.says(call(TOKEN, "balanceOf(address)", &[abi::address(holder)]), bytes(number(count)))
    }

    fn owner(self, id: u64, owner: Address) -> Self {
        self.says(call(TOKEN, "ownerOf(uint256)", &[number(id)]), bytes(abi::address(owner)))
    }

    fn account(self, key: Pubkey, owner: Pubkey, data: Vec<u8>) -> Self {
        let read = SolanaRead::Account(key);
        self.says(Question::Solana(genesis(), read), Answer::Account { owner, data })
    }

    fn finds(self, find: Find, keys: &[Pubkey]) -> Self {
        self.says(Question::Solana(genesis(), SolanaRead::Find(find)), Answer::Keys(keys.to_vec()))
    }

    fn hint(mut self, text: &str) -> Self {
        self.hints.push(text.parse().unwrap());
        self
    }

    fn answer(&self, question: &Question) -> Fact {
        let answer = self.answers.get(question).cloned().unwrap_or_else(|| match question {
            Question::Evm(_, EvmRead::Call { .. }) => Answer::Refused("reverted".into()),
            Question::Evm(_, EvmRead::Balance(_)) => bytes(number(0)),
            Question::Solana(_, SolanaRead::Account(_)) => Answer::Absent,
            Question::Solana(_, SolanaRead::Find(_)) => Answer::Keys(Vec::new()),
            Question::Plugin(_) => Answer::Unknown("the plug-in does not answer".into()),
        });
        let block = || Place::Block(Block { number: 7, hash: "0x07".into() });
        let place = match question {
            Question::Evm(..) => Some(block()),
            Question::Solana(..) => Some(Place::Slot(9)),
            Question::Plugin(_) => None,
        };
        Fact { answer, place, read_at: self.now.unwrap_or(NOW) }
    }

    /// Reads whatever is wanted until it is decided; answers with the number of rounds too.
    fn decide_in(&self, rule: Value, holders: &[Holder]) -> (Decision, usize) {
        let policy = Policy::read(&json!({"version": 1, "rule": rule})).unwrap();
        assert_eq!(Policy::read(&policy.to_json()).unwrap(), policy);
        let plan = Plan::compile(&policy);
        let now = self.now.unwrap_or(NOW);
        let viewer = Viewer { holders, hints: &self.hints, now };
        let mut facts = Facts::default();
        for round in 0..8 {
            match plan.evaluate(&viewer, &facts, &FRESH) {
                Evaluation::Decided(decision) => return (decision, round),
                Evaluation::Wants(wants) => {
                    for question in wants {
                        facts.known.insert(question.clone(), self.answer(&question));
                    }
                }
            }
        }
        panic!("it never ends");
    }

    fn decide(&self, rule: Value, holders: &[Holder]) -> Decision {
        self.decide_in(rule, holders).0
    }

    fn verdict(&self, rule: Value, holders: &[Holder]) -> Verdict {
        self.decide(rule, holders).verdict
    }

    fn says_to_alice(&self, rule: Value) -> Verdict {
        self.verdict(rule, &[holder(ALICE)])
    }
}

fn reason(decision: &Decision) -> &str {
    decision.conditions[0].reason.as_deref().unwrap_or_default()
}

fn erc721(more: Value) -> Value {
    leaf(json!({"kind": "erc721", "chain": "eip155:1", "contract": TOKEN.to_string()}), more)
}

fn leaf(mut base: Value, more: Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

// ---- Logic

fn known(verdict: Verdict) -> Value {
    // A condition that is decided without any chain.
    match verdict {
        Yes => json!({"kind": "accounts", "allow": [format!("eip155:1:{ALICE}")]}),
        No => json!({"kind": "accounts", "deny": [format!("eip155:1:{ALICE}")]}),
        Unknown => json!({"kind": "lambda", "function": "silent"}),
    }
}

#[test]
fn unknown_matters_only_where_it_could_change_the_answer() {
    for (one, two, any, all, none, two_of) in [
        (Yes, Yes, Yes, Yes, No, Yes),
        (Yes, No, Yes, No, No, No),
        (Yes, Unknown, Yes, Unknown, No, Unknown),
        (No, No, No, No, Yes, No),
        (No, Unknown, Unknown, No, Unknown, No),
        (Unknown, Unknown, Unknown, Unknown, Unknown, Unknown),
    ] {
        for pair in [[one, two], [two, one]] {
            let rules = json!(pair.map(known));
            let world = World::default();
            assert_eq!(world.says_to_alice(json!({"any": rules})), any, "any {pair:?}");
            assert_eq!(world.says_to_alice(json!({"all": rules})), all, "all {pair:?}");
            assert_eq!(world.says_to_alice(json!({"none": rules})), none, "none {pair:?}");
            let rule = json!({"at_least": 2, "of": rules});
            assert_eq!(world.says_to_alice(rule), two_of, "two of {pair:?}");
        }
    }
}

#[test]
fn enough_are_enough_whatever_the_rest_says() {
    for (of, expected) in [
        ([Yes, Yes, Unknown, No], Yes),
        ([Yes, Unknown, Unknown, No], Unknown),
        ([Yes, No, No, Unknown], Unknown),
        ([Yes, No, No, No], No),
    ] {
        let rule = json!({"at_least": 2, "of": of.map(known)});
        assert_eq!(World::default().says_to_alice(rule), expected, "{of:?}");
    }
}

#[test]
fn every_outcome_is_told_with_its_path() {
    let rule = json!({"any": [{"all": [known(No)]}, {"at_least": 1, "of": [known(Yes)]}, {"none": [known(Yes)]}]});
    let decision = World::default().decide(rule, &[holder(ALICE)]);
    let outcomes: Vec<_> =
        decision.conditions.iter().map(|one| (one.path.as_str(), one.outcome)).collect();
    assert_eq!(
        outcomes,
        [("rule.any[0].all[0]", No), ("rule.any[1].of[0]", Yes), ("rule.any[2].none[0]", Yes)]
    );
}

// ---- ERC-721

#[test]
fn a_balance_is_added_up_over_linked_wallets_and_each_counts_once() {
    let world = World::default().balance(ALICE, 1).balance(BOB, 2);
    let rule = erc721(json!({"min": "3"}));
    assert_eq!(world.verdict(rule.clone(), &[holder(ALICE), holder(BOB)]), Yes);
    assert_eq!(world.verdict(rule.clone(), &[holder(ALICE)]), No);
    // The same wallet, signed in on two chains.
    let elsewhere = Holder::with_key(format!("eip155:137:{ALICE}").parse().unwrap());
    assert_eq!(world.verdict(rule, &[holder(ALICE), elsewhere]), No);
}

#[test]
fn at_most_means_at_most() {
    let world = World::default().balance(ALICE, 3);
    assert_eq!(world.says_to_alice(erc721(json!({"min": "1", "max": "3"}))), Yes);
    assert_eq!(world.says_to_alice(erc721(json!({"min": "1", "max": "2"}))), No);
    assert_eq!(
        World::default().balance(ALICE, 0).says_to_alice(erc721(json!({"min": "0", "max": "2"}))),
        Yes
    );
    // A balance that is not known might be too much.
    let unknown = Answer::Unknown("down".into());
    let ask = call(TOKEN, "balanceOf(address)", &[abi::address(BOB)]);
    let world = World::default().balance(ALICE, 1).says(ask, unknown);
    let both = [holder(ALICE), holder(BOB)];
    assert_eq!(world.verdict(erc721(json!({"min": "1", "max": "5"})), &both), Unknown);
    assert_eq!(world.verdict(erc721(json!({"min": "1"})), &both), Yes);
    assert_eq!(world.verdict(erc721(json!({"min": "2"})), &both), Unknown);
}

/// Guard: `Holder::counts_on` in `leaf::wallets`.
#[test]
fn a_contract_wallet_counts_on_its_own_chain_only() {
    let world = World::default().balance(ALICE, 1);
    let on = |chain| {
        let account: Account = format!("eip155:{chain}:{ALICE}").parse().unwrap();
        [Holder { account, contract: true }]
    };
    assert_eq!(world.verdict(erc721(json!({})), &on(1)), Yes);
    assert_eq!(world.verdict(erc721(json!({})), &on(137)), No);
    let listed = json!({"kind": "accounts", "allow": [format!("eip155:1:{ALICE}")]});
    assert_eq!(world.verdict(listed.clone(), &on(1)), Yes);
    assert_eq!(world.verdict(listed, &on(137)), No);
}

#[test]
fn token_ids_are_owned_or_not() {
    let world = World::default().owner(5, ALICE).owner(6, BOB).owner(7, ALICE);
    assert_eq!(world.says_to_alice(erc721(json!({"ids": ["5"]}))), Yes);
    assert_eq!(world.says_to_alice(erc721(json!({"ids": ["6"]}))), No);
    assert_eq!(world.says_to_alice(erc721(json!({"ids": ["999"]}))), No);
    assert_eq!(world.says_to_alice(erc721(json!({"ids": ["1-10"], "min": "2"}))), Yes);
    assert_eq!(world.says_to_alice(erc721(json!({"ids": ["6-10"], "min": "2"}))), No);
    let asset = json!({"kind": "erc721", "asset": format!("eip155:1/erc721:{TOKEN}/5")});
    assert_eq!(world.says_to_alice(asset), Yes);
    // Nobody owns what belongs to the zero address.
    let burnt = World::default().owner(5, Address::ZERO);
    assert_eq!(burnt.verdict(erc721(json!({"ids": ["5"]})), &[holder(Address::ZERO)]), No);
}

#[test]
fn a_wide_range_is_searched_by_enumeration_or_by_what_the_viewer_names() {
    let range = erc721(json!({"ids": ["1000-999999"]}));
    let index = |index| {
        call(TOKEN, "tokenOfOwnerByIndex(address,uint256)", &[abi::address(ALICE), number(index)])
    };
    let listed = World::default()
        .balance(ALICE, 2)
        .says(index(0), bytes(number(7)))
        .says(index(1), bytes(number(5000)));
    let held = listed.clone().owner(7, ALICE).owner(5000, ALICE);
    assert_eq!(held.says_to_alice(range.clone()), Yes);
    // Out of range, and listed but not owned.
    let outside =
        World::default().balance(ALICE, 1).says(index(0), bytes(number(7))).owner(7, ALICE);
    assert_eq!(outside.says_to_alice(range.clone()), No);
    assert_eq!(listed.owner(5000, BOB).says_to_alice(range.clone()), No);
    // A collection that lists nothing: the viewer says which, and that is checked.
    let mute = World::default().balance(ALICE, 1).owner(5000, ALICE).owner(5001, BOB);
    let refused = mute.decide(range.clone(), &[holder(ALICE)]);
    assert_eq!(refused.verdict, No);
    assert!(reason(&refused).contains("name the token"), "{}", reason(&refused));
    let named = |id| format!("eip155:1/erc721:{TOKEN}/{id}");
    assert_eq!(mute.clone().hint(&named(5000)).says_to_alice(range.clone()), Yes);
    assert_eq!(mute.clone().hint(&named(5001)).says_to_alice(range.clone()), No);
    assert_eq!(mute.clone().hint(&named(7)).owner(7, ALICE).says_to_alice(range.clone()), No);
    // Where a no lets in, a search that had to end is no answer.
    assert_eq!(mute.says_to_alice(json!({"none": [range]})), Unknown);
}

#[test]
fn traits_are_read_from_the_chain_and_only_of_own_tokens() {
    let uri = |json: &str| {
        let uri = format!("data:application/json;base64,{}", STANDARD.encode(json));
        let mut answer = number(32).to_vec();
        answer.extend(number(uri.len() as u64));
        answer.extend(uri.as_bytes());
        answer.resize(answer.len().div_ceil(32) * 32, 0);
        Answer::Bytes(answer)
    };
    let ask = |id| call(TOKEN, "tokenURI(uint256)", &[number(id)]);
    let red = uri(r#"{"attributes":[{"trait_type":"Hat","value":"Red"}]}"#);
    let wants =
        |value: &str| erc721(json!({"ids": ["1-3"], "traits": [{"trait": "Hat", "value": value}]}));
    let world = World::default()
        .owner(1, ALICE)
        .owner(2, BOB)
        .says(ask(1), red.clone())
        .says(ask(2), red.clone());
    assert_eq!(world.says_to_alice(wants("Red")), Yes);
    assert_eq!(world.says_to_alice(wants("Blue")), No);
    let bobs = World::default().owner(2, BOB).says(ask(2), red);
    assert_eq!(bobs.says_to_alice(wants("Red")), No);
    let elsewhere = World::default().owner(1, ALICE).says(
        ask(1),
        Answer::Bytes({
            let mut answer = number(32).to_vec();
            answer.extend(number(5));
            answer.extend(b"ipfs:");
            answer.resize(96, 0);
            answer
        }),
    );
    let refused = elsewhere.decide(wants("Red"), &[holder(ALICE)]);
    assert!(refused.verdict == No && reason(&refused).contains("not on the chain"));
}

// ---- Delegation

fn delegation(rows: &[(u64, Address, [u8; 32], Address, u64)]) -> Answer {
    let mut answer = number(32).to_vec();
    answer.extend(number(rows.len() as u64));
    for (kind, from, rights, contract, id) in rows {
        let words = [
            number(*kind),
            abi::address(ALICE),
            abi::address(*from),
            *rights,
            abi::address(*contract),
            number(*id),
            number(0),
        ];
        answer.extend(words.concat());
    }
    Answer::Bytes(answer)
}

#[test]
fn holdings_of_a_vault_count_where_it_delegated_and_the_policy_says_so() {
    let ask = || call(DELEGATE_REGISTRY, "getIncomingDelegations(address)", &[abi::address(ALICE)]);
    let world = World::default().balance(ALICE, 0).balance(VAULT, 1).owner(5, VAULT);
    let via = erc721(json!({"via": "delegate.xyz"}));
    let all = world.clone().says(ask(), delegation(&[(1, VAULT, [0; 32], Address::ZERO, 0)]));
    assert_eq!(all.says_to_alice(via.clone()), Yes);
    assert_eq!(all.says_to_alice(erc721(json!({}))), No, "the policy does not say so");
    for (row, expected) in [
        ((2, VAULT, [0; 32], TOKEN, 0), Yes),
        ((2, VAULT, [0; 32], DELEGATE_REGISTRY, 0), No),
        ((3, VAULT, [0; 32], TOKEN, 5), Yes),
        ((3, VAULT, [0; 32], TOKEN, 6), No),
        // Rights that are limited to some purpose are not for this one.
        ((1, VAULT, [1; 32], Address::ZERO, 0), No),
        ((0, VAULT, [0; 32], Address::ZERO, 0), No),
        ((5, VAULT, [0; 32], TOKEN, 5), No),
    ] {
        let world = world.clone().says(ask(), delegation(&[row]));
        assert_eq!(world.says_to_alice(via.clone()), expected, "{row:?}");
    }
    assert_eq!(world.says_to_alice(via.clone()), No, "no registry there");
    let down = world.says(ask(), Answer::Unknown("down".into()));
    assert_eq!(down.says_to_alice(via), Unknown);
}

/// Guard: `balance_of` beside `ownerOf` in `held_ids`: of a contract that refuses everything it
/// is not known that somebody does not hold a token.
#[test]
fn a_broken_contract_says_nothing_about_a_token() {
    let world = World::default();
    let one = erc721(json!({"ids": ["5"]}));
    assert_eq!(world.says_to_alice(one.clone()), No);
    assert_eq!(world.says_to_alice(json!({"none": [one.clone()]})), Unknown);
    let well = World::default().balance(ALICE, 0);
    assert_eq!(well.says_to_alice(json!({"none": [one]})), Yes);
}

/// Guard: `Purse::add` takes a token once.
#[test]
fn one_token_delegated_to_two_linked_wallets_is_one_token() {
    let ask = |to| call(DELEGATE_REGISTRY, "getIncomingDelegations(address)", &[abi::address(to)]);
    let row = |to: Address| {
        let words = [
            number(3),
            abi::address(to),
            abi::address(VAULT),
            [0; 32],
            abi::address(TOKEN),
            number(7),
            number(0),
        ];
        Answer::Bytes([number(32), number(1)].concat().into_iter().chain(words.concat()).collect())
    };
    let world = World::default()
        .balance(ALICE, 0)
        .balance(BOB, 0)
        .owner(7, VAULT)
        .says(ask(ALICE), row(ALICE))
        .says(ask(BOB), row(BOB));
    let both = [holder(ALICE), holder(BOB)];
    let via = |min: &str| erc721(json!({"via": "delegate.xyz", "min": min}));
    assert_eq!(world.verdict(via("1"), &both), Yes);
    assert_eq!(world.verdict(via("2"), &both), No);
}

/// Guard: `best.firm` in `leaf::evm::contract`: a second, clean wallet does not make up for one
/// of which the contract would not say.
#[test]
fn a_doubtful_no_stays_doubtful_beside_a_good_one() {
    let rule = json!({"none": [{"kind": "contract", "chain": "eip155:1",
        "contract": TOKEN.to_string(), "function": "banned(address)(bool)",
        "arguments": [":account"], "result": {"equals": "true"}}]});
    let ask = |who| call(TOKEN, "banned(address)", &[abi::address(who)]);
    let world = World::default().says(ask(BOB), bytes(number(0)));
    assert_eq!(world.verdict(rule.clone(), &[holder(BOB)]), Yes);
    for both in [[holder(ALICE), holder(BOB)], [holder(BOB), holder(ALICE)]] {
        assert_eq!(world.verdict(rule.clone(), &both), Unknown);
    }
}

// ---- Other tokens, coins, contracts

#[test]
fn editions_are_added_up_over_ids_and_wallets() {
    let ask = |who, id| call(TOKEN, "balanceOf(address,uint256)", &[abi::address(who), number(id)]);
    let world = World::default()
        .says(ask(ALICE, 1), bytes(number(2)))
        .says(ask(ALICE, 2), bytes(number(1)))
        .says(ask(BOB, 1), bytes(number(0)))
        .says(ask(BOB, 2), bytes(number(4)));
    let rule = |min: &str| json!({"kind": "erc1155", "chain": "eip155:1", "contract": TOKEN.to_string(), "ids": ["1-2"], "min": min});
    assert_eq!(world.says_to_alice(rule("3")), Yes);
    assert_eq!(world.says_to_alice(rule("4")), No);
    assert_eq!(world.verdict(rule("7"), &[holder(ALICE), holder(BOB)]), Yes);
}

#[test]
fn amounts_are_in_the_tokens_own_units() {
    let rule = |min: &str| json!({"kind": "erc20", "chain": "eip155:1", "contract": TOKEN.to_string(), "min": min});
    let with = |decimals: u64| {
        World::default()
            .balance(ALICE, 1_500_000)
            .says(call(TOKEN, "decimals()", &[]), bytes(number(decimals)))
    };
    assert_eq!(with(6).says_to_alice(rule("1.5")), Yes);
    assert_eq!(with(6).says_to_alice(rule("1.500001")), No);
    assert_eq!(with(0).says_to_alice(rule("1500000")), Yes);
    assert_eq!(
        with(6).decide(rule("9"), &[holder(ALICE)]).conditions[0].value.as_deref(),
        Some("1.5")
    );
    for decimals in [78, 255, u64::MAX] {
        let refused = with(decimals).decide(rule("0.1"), &[holder(ALICE)]);
        assert!(refused.verdict == No && reason(&refused).contains("decimals"));
        assert_eq!(with(decimals).says_to_alice(json!({"none": [rule("0.1")]})), Unknown);
    }
    let coin = |min: &str| json!({"kind": "native", "chain": "eip155:1", "min": min});
    let wei = U256::from(10).pow(U256::from(17));
    let world =
        World::default().says(Question::Evm(1, EvmRead::Balance(ALICE)), bytes(abi::uint(wei)));
    assert_eq!(world.says_to_alice(coin("0.1")), Yes);
    assert_eq!(world.says_to_alice(coin("0.100000000000000001")), No);
}

#[test]
fn a_view_functions_result_is_compared() {
    let rule = |function: &str, arguments: Value, result: Value| json!({"kind": "contract", "chain": "eip155:1", "contract": TOKEN.to_string(), "function": function, "arguments": arguments, "result": result});
    let level = |value| {
        World::default().says(
            call(TOKEN, "levelOf(address,uint256)", &[abi::address(ALICE), number(7)]),
            bytes(value),
        )
    };
    let wants = |word: &str, value: &str| {
        rule("levelOf(address,uint256)(uint256)", json!([":account", "7"]), json!({word: value}))
    };
    for (word, value, expected) in [
        ("equals", "3", Yes),
        ("equals", "4", No),
        ("not_equals", "3", No),
        ("not_equals", "4", Yes),
        ("at_least", "3", Yes),
        ("at_least", "4", No),
        ("at_most", "3", Yes),
        ("at_most", "2", No),
        ("above", "2", Yes),
        ("above", "3", No),
        ("below", "4", Yes),
        ("below", "3", No),
    ] {
        assert_eq!(level(number(3)).says_to_alice(wants(word, value)), expected, "{word} {value}");
    }
    // Numbers are not compared as text, and negative ones are less.
    assert_eq!(level(number(10)).says_to_alice(wants("at_least", "9")), Yes);
    let score = |value| {
        World::default().says(call(TOKEN, "scoreOf(address)", &[abi::address(ALICE)]), bytes(value))
    };
    let wants = |word: &str, value: &str| {
        rule("scoreOf(address)(int256)", json!([":account"]), json!({word: value}))
    };
    assert_eq!(score([0xff; 32]).says_to_alice(wants("below", "0")), Yes);
    assert_eq!(score([0xff; 32]).says_to_alice(wants("at_least", "-1")), Yes);
    assert_eq!(score(number(1)).says_to_alice(wants("above", "-5")), Yes);
    // An answer that is no bool is no answer, and not a yes.
    let member = World::default()
        .says(call(TOKEN, "isMember(address)", &[abi::address(ALICE)]), bytes(number(2)));
    let refused = member.decide(
        rule("isMember(address)(bool)", json!([":account"]), json!({"equals": "true"})),
        &[holder(ALICE)],
    );
    assert!(refused.verdict == No && reason(&refused).contains("no sense"));
}

#[test]
fn a_key_bounds_the_grant_by_its_end() {
    let lock = json!({"kind": "unlock", "chain": "eip155:1", "contract": TOKEN.to_string()});
    let with = |valid: u64, end: u64| {
        World::default()
            .says(
                call(TOKEN, "getHasValidKey(address)", &[abi::address(ALICE)]),
                bytes(number(valid)),
            )
            .says(call(TOKEN, "totalKeys(address)", &[abi::address(ALICE)]), bytes(number(1)))
            .says(
                call(
                    TOKEN,
                    "tokenOfOwnerByIndex(address,uint256)",
                    &[abi::address(ALICE), number(0)],
                ),
                bytes(number(42)),
            )
            .says(
                call(TOKEN, "keyExpirationTimestampFor(uint256)", &[number(42)]),
                bytes(number(end)),
            )
    };
    let (decision, rounds) = with(1, NOW + 100).decide_in(lock.clone(), &[holder(ALICE)]);
    assert_eq!((decision.verdict, decision.until), (Yes, Some(NOW + 100)));
    assert!(rounds <= 4, "{rounds}");
    assert_eq!(with(0, NOW + 100).says_to_alice(lock.clone()), No);
    assert_eq!(with(1, NOW).says_to_alice(lock.clone()), No, "a lock that contradicts itself");
    // An end that can't be read bounds nothing, so it opens nothing.
    let endless = World::default()
        .says(call(TOKEN, "getHasValidKey(address)", &[abi::address(ALICE)]), bytes(number(1)));
    assert_eq!(endless.says_to_alice(lock), No);
}

/// Guard: `leaf::evm::manners`.
#[test]
fn a_contract_that_says_yes_to_everything_is_not_believed() {
    let canary = call(TOKEN, "streamgateIsNoFunctionOfYours()", &[]);
    let rules = [
        erc721(json!({})),
        erc721(json!({"ids": ["1"]})),
        json!({"kind": "erc1155", "chain": "eip155:1", "contract": TOKEN.to_string(), "ids": ["1"]}),
        json!({"kind": "erc20", "chain": "eip155:1", "contract": TOKEN.to_string(), "min": "0.1"}),
        json!({"kind": "unlock", "chain": "eip155:1", "contract": TOKEN.to_string()}),
        json!({"kind": "contract", "chain": "eip155:1", "contract": TOKEN.to_string(), "function": "is(address)(bool)", "arguments": [":account"], "result": {"equals": "true"}}),
    ];
    for rule in rules {
        let mut world = World::default();
        // Whatever it asks, the answer is one.
        for _ in 0..4 {
            let policy = Policy::read(&json!({"version": 1, "rule": rule})).unwrap();
            let mut facts = Facts::default();
            for (question, answer) in &world.answers {
                let fact = Fact { answer: answer.clone(), place: None, read_at: NOW };
                facts.known.insert(question.clone(), fact);
            }
            let holders = [holder(ALICE)];
            let viewer = Viewer { holders: &holders, hints: &[], now: NOW };
            if let Evaluation::Wants(wants) =
                Plan::compile(&policy).evaluate(&viewer, &facts, &FRESH)
            {
                world.answers.extend(wants.into_iter().map(|one| (one, bytes(number(1)))));
            }
        }
        assert!(world.answers.contains_key(&canary));
        let refused = world.decide(rule.clone(), &[holder(ALICE)]);
        assert_eq!(refused.verdict, No, "{rule}");
        assert!(reason(&refused).contains("can't know"), "{}", reason(&refused));
        assert_eq!(world.says_to_alice(json!({"none": [rule]})), Unknown);
    }
}

#[test]
fn no_contract_and_nonsense_let_nobody_in_and_keep_nobody_out() {
    let ask = || call(TOKEN, "balanceOf(address)", &[abi::address(ALICE)]);
    for answer in [
        Answer::Bytes(Vec::new()),
        Answer::Bytes(vec![0; 31]),
        Answer::Bytes(vec![1; 64]),
        Answer::Refused("uses up all gas".into()),
    ] {
        let world = World::default().says(ask(), answer.clone());
        let refused = world.decide(erc721(json!({})), &[holder(ALICE)]);
        assert_eq!(refused.verdict, No, "{answer:?}");
        assert!(!reason(&refused).is_empty());
        assert_eq!(
            world.says_to_alice(json!({"none": [erc721(json!({}))]})),
            Unknown,
            "{answer:?}"
        );
        assert_eq!(world.says_to_alice(json!({"none": [{"none": [erc721(json!({}))]}]})), No);
    }
}

// ---- Time, lists, plug-ins, and how long an answer is good

#[test]
fn time_opens_and_closes_and_bounds_the_grant() {
    let rule =
        json!({"kind": "time", "from": domain::rfc3339(NOW), "until": domain::rfc3339(NOW + 50)});
    let at = |now| World { now: Some(now), ..World::default() };
    for (now, expected, until) in [
        (NOW - 1, No, None),
        (NOW, Yes, Some(NOW + 50)),
        (NOW + 49, Yes, Some(NOW + 50)),
        (NOW + 50, No, None),
    ] {
        let decision = at(now).decide(rule.clone(), &[holder(ALICE)]);
        assert_eq!((decision.verdict, decision.until), (expected, until), "{now}");
    }
    // Before it begins, `none` lets in, until it begins.
    let decision = at(NOW - 10).decide(json!({"none": [rule]}), &[holder(ALICE)]);
    assert_eq!((decision.verdict, decision.until), (Yes, Some(NOW)));
}

#[test]
fn a_grant_goes_on_no_longer_than_its_conditions() {
    let world = World::default()
        .balance(ALICE, 1)
        .says(Question::Evm(1, EvmRead::Balance(ALICE)), bytes([1; 32]));
    let coin = json!({"kind": "native", "chain": "eip155:1", "min": "1"});
    let event = world.decide(erc721(json!({})), &[holder(ALICE)]);
    assert_eq!((event.verdict, event.until), (Yes, None), "a transfer would tell");
    let timer = world.decide(json!({"all": [erc721(json!({})), coin]}), &[holder(ALICE)]);
    assert_eq!((timer.verdict, timer.review_at), (Yes, Some(NOW + FRESH.recheck)));
}

#[test]
fn a_plug_in_is_told_who_asks() {
    let rule = json!({"kind": "lambda", "function": "door", "parameters": {"room": 1}});
    let ask = |accounts: Vec<Account>| {
        Question::Plugin(PluginRead {
            function: "door".into(),
            parameters: r#"{"room":1}"#.into(),
            accounts,
        })
    };
    let said = |yes| Answer::Said { yes, reason: "on the guest list".into() };
    let account = holder(ALICE).account;
    let world = World::default().says(ask(vec![account]), said(true));
    let granted = world.decide(rule.clone(), &[holder(ALICE)]);
    assert_eq!((granted.verdict, reason(&granted)), (Yes, "on the guest list"));
    assert_eq!(world.verdict(rule.clone(), &[holder(BOB)]), Unknown);
    assert_eq!(World::default().says(ask(vec![account]), said(false)).says_to_alice(rule), No);
}

// ---- Facts: one block, and young enough

fn facts(world: &World, questions: &[(Question, u64, u64)]) -> Facts {
    let mut facts = Facts::default();
    for (question, block, read_at) in questions {
        let place = Some(Place::Block(Block { number: *block, hash: format!("0x{block}") }));
        let fact = Fact { place, read_at: *read_at, ..world.answer(question) };
        facts.known.insert(question.clone(), fact);
    }
    facts
}

fn balance(who: Address) -> Question {
    call(TOKEN, "balanceOf(address)", &[abi::address(who)])
}

fn canary() -> Question {
    call(TOKEN, "streamgateIsNoFunctionOfYours()", &[])
}

fn evaluate(rule: Value, facts: &Facts, holders: &[Holder]) -> Evaluation {
    let policy = Policy::read(&json!({"version": 1, "rule": rule})).unwrap();
    let viewer = Viewer { holders, hints: &[], now: NOW };
    Plan::compile(&policy).evaluate(&viewer, facts, &FRESH)
}

/// Guard: `Need::place` in `decision`: a token that moves between two linked wallets while facts
/// are being gathered must not count in both.
#[test]
fn facts_of_different_blocks_are_read_again_together() {
    let world = World::default().balance(ALICE, 1).balance(BOB, 1);
    let both = [holder(ALICE), holder(BOB)];
    let rule = erc721(json!({"min": "2"}));
    let mixed =
        facts(&world, &[(balance(ALICE), 100, NOW), (balance(BOB), 101, NOW), (canary(), 1, NOW)]);
    let Evaluation::Wants(wants) = evaluate(rule.clone(), &mixed, &both) else { panic!() };
    assert_eq!(wants, [balance(ALICE), balance(BOB)]);
    let same =
        facts(&world, &[(balance(ALICE), 101, NOW), (balance(BOB), 101, NOW), (canary(), 1, NOW)]);
    let Evaluation::Decided(decision) = evaluate(rule, &same, &both) else { panic!() };
    assert_eq!(decision.verdict, Yes);
}

/// Guard: `Needs::note`: expiry is checked here, whatever a store's own clean-up does.
#[test]
fn an_old_fact_is_read_again_a_no_sooner_than_a_yes() {
    let alice = [holder(ALICE)];
    for (count, age, fresh) in [(1, 60, true), (1, 61, false), (0, 5, true), (0, 6, false)] {
        let world = World::default().balance(ALICE, count);
        let facts = facts(&world, &[(balance(ALICE), 100, NOW - age), (canary(), 1, NOW - 3000)]);
        let decided = matches!(evaluate(erc721(json!({})), &facts, &alice), Evaluation::Decided(_));
        assert_eq!(decided, fresh, "{count} {age}");
    }
}

/// Guard: `settled` in `leaf`: what is not there yet may come, and is asked for again soon.
#[test]
fn what_is_not_there_is_looked_for_again() {
    let coin =
        json!({"kind": "erc20", "chain": "eip155:1", "contract": TOKEN.to_string(), "min": "1"});
    let decimals = call(TOKEN, "decimals()", &[]);
    for (answer, fresh) in [(bytes(number(0)), true), (Answer::Bytes(Vec::new()), false)] {
        let world = World::default().balance(ALICE, 1).says(decimals.clone(), answer);
        let facts = facts(
            &world,
            &[
                (balance(ALICE), 100, NOW),
                (canary(), 1, NOW - 3000),
                (decimals.clone(), 1, NOW - 3000),
            ],
        );
        let decided =
            matches!(evaluate(coin.clone(), &facts, &[holder(ALICE)]), Evaluation::Decided(_));
        assert_eq!(decided, fresh);
    }
    let world = World::default().balance(ALICE, 1).says(canary(), Answer::Bytes(Vec::new()));
    let facts = facts(&world, &[(balance(ALICE), 100, NOW), (canary(), 1, NOW - 3000)]);
    let Evaluation::Wants(wants) = evaluate(erc721(json!({})), &facts, &[holder(ALICE)]) else {
        panic!()
    };
    assert_eq!(wants, [canary()]);
}

/// Guard: `Plan::decide`'s look at `graced`.
#[test]
fn in_grace_an_old_yes_is_a_yes_and_an_old_no_is_nothing() {
    let alice = [holder(ALICE)];
    for (count, rule, expected) in [
        (1, erc721(json!({})), Yes),
        (0, erc721(json!({})), Unknown),
        (0, json!({"none": [erc721(json!({}))]}), Unknown),
        (1, json!({"none": [erc721(json!({}))]}), No),
    ] {
        let world = World::default().balance(ALICE, count);
        let mut facts =
            facts(&world, &[(balance(ALICE), 100, NOW - 500), (canary(), 1, NOW - 3000)]);
        facts.graced.insert(Source::Evm(1));
        let policy = Policy::read(&json!({"version": 1, "rule": rule})).unwrap();
        let viewer = Viewer { holders: &alice, hints: &[], now: NOW };
        let freshness = Freshness { grace: 600, ..FRESH };
        let evaluation = Plan::compile(&policy).evaluate(&viewer, &facts, &freshness);
        let Evaluation::Decided(decision) = evaluation else { panic!() };
        // Whoever gets in by an old answer gets in for no longer than such answers are good.
        assert!(decision.verdict != Yes || decision.until == Some(NOW + 600));
        assert_eq!(
            (decision.verdict, decision.grace, decision.conditions[0].grace),
            (expected, true, true)
        );
    }
}

// ---- Solana

fn token_account(mint: Pubkey, owner: Pubkey, amount: u64, state: u8) -> Vec<u8> {
    let mut data = [mint.0, owner.0].concat();
    data.extend(amount.to_le_bytes());
    data.resize(165, 0);
    data[108] = state;
    data
}

fn mint(decimals: u8) -> Vec<u8> {
    let mut data = vec![0; 82];
    data[44] = decimals;
    data[45] = 1;
    data
}

fn spl(min: &str) -> Value {
    json!({"kind": "spl", "chain": format!("solana:{CLUSTER}"), "mint": MINT.to_string(), "min": min})
}

fn usual(mint: Pubkey) -> Pubkey {
    associated_token_account(SOL, mint, programs::TOKEN).unwrap()
}

#[test]
fn derived_addresses_are_those_of_the_chain() {
    // USDC's mint, and the associated token account and metadata address that explorers show.
    let usdc: Pubkey = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v".parse().unwrap();
    let metadata = metadata_account(usdc).unwrap();
    assert_eq!(metadata.to_string(), "5x38Kp4hvdomTCnCrAny4UtMUt5rQBdB6px2K1Ui45Wq");
    assert_eq!(programs::TOKEN.to_string(), "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
    assert_eq!(programs::TOKEN_2022.to_string(), "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
    assert_eq!(
        programs::ASSOCIATED_TOKEN.to_string(),
        "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"
    );
    assert_eq!(programs::METADATA.to_string(), "metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s");
    assert_eq!(programs::CORE.to_string(), "CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d");
}

#[test]
fn spl_tokens_are_added_up_over_all_accounts() {
    let other = Pubkey([9; 32]);
    let find = Find::TokenAccounts { owner: SOL, mint: MINT };
    let world = World::default()
        .account(MINT, programs::TOKEN, mint(2))
        .account(usual(MINT), programs::TOKEN, token_account(MINT, SOL, 100, 1))
        .account(other, programs::TOKEN, token_account(MINT, SOL, 50, 1))
        .finds(find, &[other]);
    let me = [solana_holder()];
    assert_eq!(world.verdict(spl("1.5"), &me), Yes);
    assert_eq!(world.verdict(spl("1.51"), &me), No);
    let decision = world.decide(spl("9"), &me);
    assert_eq!(
        (decision.conditions[0].value.as_deref(), decision.conditions[0].slot),
        (Some("1.5"), Some(9))
    );
    // A wallet of another family holds nothing there.
    assert_eq!(world.verdict(spl("1.5"), &[holder(ALICE)]), No);
}

/// Guards: the checks of program, owner, mint, state and length in `leaf::solana`.
#[test]
fn an_account_that_is_not_what_it_seems_counts_nothing() {
    let me = [solana_holder()];
    let good = token_account(MINT, SOL, 5, 1);
    let with = |program, data| {
        World::default().account(MINT, programs::TOKEN, mint(0)).account(usual(MINT), program, data)
    };
    assert_eq!(with(programs::TOKEN, good.clone()).verdict(spl("5"), &me), Yes);
    let someone = Pubkey([7; 32]);
    for (program, data, what) in [
        (someone, good.clone(), "another program's account"),
        (programs::TOKEN_2022, good.clone(), "the other token program's"),
        (programs::TOKEN, token_account(MINT, someone, 5, 1), "another owner's"),
        (programs::TOKEN, token_account(someone, SOL, 5, 1), "another mint's"),
        (programs::TOKEN, token_account(MINT, SOL, 5, 0), "not initialised"),
        (programs::TOKEN, token_account(MINT, SOL, 5, 2), "frozen"),
        (programs::TOKEN, token_account(MINT, SOL, 5, 3), "no such state"),
        (programs::TOKEN, good[..164].to_vec(), "too short"),
        (programs::TOKEN, [good.clone(), vec![2]].concat(), "too long"),
    ] {
        assert_eq!(with(program, data).verdict(spl("5"), &me), No, "{what}");
    }
    let frozen = with(programs::TOKEN, token_account(MINT, SOL, 5, 2)).decide(spl("5"), &me);
    assert!(reason(&frozen).contains("frozen"));
    for (program, data) in [
        (programs::TOKEN, good.clone()),
        (someone, mint(0)),
        (programs::TOKEN, vec![0; 82]),
        (programs::TOKEN_2022, {
            // An extended token account is longer than a mint, and says what it is.
            let mut data = token_account(MINT, SOL, 5, 1);
            data.push(2);
            data
        }),
    ] {
        let world = with(programs::TOKEN, good.clone()).account(MINT, program, data);
        let refused = world.decide(spl("5"), &me);
        assert!(refused.verdict == No && reason(&refused).contains("no mint"));
        assert_eq!(world.verdict(json!({"none": [spl("5")]}), &me), Unknown);
    }
    let absent = World::default().decide(spl("5"), &me);
    assert!(absent.verdict == No && reason(&absent).contains("no such mint"));
}

fn metadata(mint: Pubkey, creators: &[(Pubkey, u8)], collection: Option<(u8, Pubkey)>) -> Vec<u8> {
    let mut data = vec![4];
    data.extend([1; 32]);
    data.extend(mint.0);
    for text in ["name", "", "uri"] {
        data.extend((text.len() as u32).to_le_bytes());
        data.extend(text.as_bytes());
    }
    data.extend([0; 2]);
    data.push(1);
    data.extend((creators.len() as u32).to_le_bytes());
    for (key, verified) in creators {
        data.extend(key.0);
        data.extend([*verified, 100]);
    }
    data.extend([0, 1, 1, 255, 1, 0]);
    match collection {
        Some((verified, key)) => {
            data.extend([1, verified]);
            data.extend(key.0);
        }
        None => data.push(0),
    }
    data.resize(607, 0);
    data
}

fn nft(kind: &str, field: &str, more: Value) -> Value {
    leaf(
        json!({"kind": kind, "chain": format!("solana:{CLUSTER}"), field: COLLECTION.to_string()}),
        more,
    )
}

/// A wallet with one NFT, whose metadata lies somewhere.
fn nft_world(place: Pubkey, program: Pubkey, data: Vec<u8>, state: u8) -> World {
    World::default()
        .finds(Find::Mints { owner: SOL, program: programs::TOKEN }, &[MINT])
        .account(place, program, data)
        .account(usual(MINT), programs::TOKEN, token_account(MINT, SOL, 1, state))
}

#[test]
fn a_verified_collection_or_creator_opens_and_a_claimed_one_does_not() {
    let me = [solana_holder()];
    let place = metadata_account(MINT).unwrap();
    let by_collection = nft("metaplex_collection", "collection", json!({}));
    let by_creator = nft("metaplex_creator", "creator", json!({}));
    let verified = metadata(MINT, &[(COLLECTION, 1)], Some((1, COLLECTION)));
    // Accounts of programmable NFTs are always frozen.
    for state in [1, 2] {
        let world = nft_world(place, programs::METADATA, verified.clone(), state);
        assert_eq!(world.verdict(by_collection.clone(), &me), Yes);
        assert_eq!(world.verdict(by_creator.clone(), &me), Yes);
    }
    let other = Pubkey([0xee; 32]);
    for (place, program, data, what) in [
        (
            place,
            programs::METADATA,
            metadata(MINT, &[(COLLECTION, 0)], Some((0, COLLECTION))),
            "claimed",
        ),
        (place, programs::METADATA, metadata(MINT, &[(other, 1)], Some((1, other))), "another's"),
        (place, programs::METADATA, metadata(MINT, &[], None), "of none"),
        (
            place,
            programs::METADATA,
            metadata(other, &[(COLLECTION, 1)], Some((1, COLLECTION))),
            "another mint's",
        ),
        (place, other, verified.clone(), "another program's"),
        (Pubkey([0x99; 32]), programs::METADATA, verified.clone(), "not where the mint's is"),
        (place, programs::METADATA, verified[..80].to_vec(), "cut off"),
        (
            place,
            programs::METADATA,
            metadata(MINT, &[(COLLECTION, 2)], Some((2, COLLECTION))),
            "no boolean",
        ),
        (place, programs::METADATA, vec![0], "burned"),
    ] {
        let world =
            nft_world(place, program, data, 1).hint(&format!("solana:{CLUSTER}/nft:{MINT}"));
        assert_eq!(world.verdict(by_collection.clone(), &me), No, "{what}");
        assert_eq!(world.verdict(by_creator.clone(), &me), No, "{what}");
    }
    // Sold: the account is there and empty.
    let sold = nft_world(place, programs::METADATA, verified.clone(), 1).account(
        usual(MINT),
        programs::TOKEN,
        token_account(MINT, SOL, 0, 1),
    );
    assert_eq!(sold.verdict(by_collection.clone(), &me), No);
    // Many copies of one token are one token.
    let copies = nft_world(place, programs::METADATA, verified, 1).account(
        usual(MINT),
        programs::TOKEN,
        token_account(MINT, SOL, 9, 1),
    );
    assert_eq!(copies.verdict(leaf(by_collection, json!({"min": "2"})), &me), No);
}

#[test]
fn what_a_provider_hides_the_viewer_can_name() {
    let me = [solana_holder()];
    let data = metadata(MINT, &[], Some((1, COLLECTION)));
    let hidden = nft_world(metadata_account(MINT).unwrap(), programs::METADATA, data, 1)
        .finds(Find::Mints { owner: SOL, program: programs::TOKEN }, &[]);
    let rule = nft("metaplex_collection", "collection", json!({}));
    assert_eq!(hidden.verdict(rule.clone(), &me), No);
    assert_eq!(hidden.hint(&format!("solana:{CLUSTER}/nft:{MINT}")).verdict(rule, &me), Yes);
}

#[test]
fn core_assets_belong_to_the_collection_that_is_their_authority() {
    let me = [solana_holder()];
    let asset = Pubkey([0xa5; 32]);
    let rule = nft("core_collection", "collection", json!({}));
    let data = |kind: u8, owner: Pubkey, authority: u8, collection: Pubkey| {
        let mut data = vec![kind];
        data.extend(owner.0);
        data.push(authority);
        data.extend(collection.0);
        data.extend([0; 20]);
        data
    };
    let world = |program, data| {
        World::default()
            .finds(Find::CoreAssets { owner: SOL, collection: COLLECTION }, &[asset])
            .account(asset, program, data)
    };
    assert_eq!(world(programs::CORE, data(1, SOL, 2, COLLECTION)).verdict(rule.clone(), &me), Yes);
    let other = Pubkey([0xee; 32]);
    for (program, data) in [
        (other, data(1, SOL, 2, COLLECTION)),
        (programs::CORE, data(1, other, 2, COLLECTION)),
        (programs::CORE, data(1, SOL, 2, other)),
        // The address of a collection as a plain authority is no membership.
        (programs::CORE, data(1, SOL, 1, COLLECTION)),
        (programs::CORE, data(5, SOL, 2, COLLECTION)),
        (programs::CORE, vec![0]),
    ] {
        assert_eq!(world(program, data).verdict(rule.clone(), &me), No);
    }
}

#[test]
fn members_of_a_token_2022_group_are_marked_in_the_mint() {
    let me = [solana_holder()];
    let rule = nft("token2022_group", "group", json!({}));
    let place = associated_token_account(SOL, MINT, programs::TOKEN_2022).unwrap();
    let member = |kind: u16, mint_key: Pubkey, group: Pubkey| {
        let mut data = mint(0);
        data.resize(165, 0);
        data.push(1);
        // Another extension before it.
        data.extend([20, 0, 2, 0, 9, 9]);
        data.extend(kind.to_le_bytes());
        data.extend(72_u16.to_le_bytes());
        data.extend(mint_key.0);
        data.extend(group.0);
        data.extend(1_u64.to_le_bytes());
        data
    };
    let world = |program, data| {
        World::default()
            .finds(Find::Mints { owner: SOL, program: programs::TOKEN_2022 }, &[MINT])
            .account(MINT, program, data)
            .account(place, programs::TOKEN_2022, token_account(MINT, SOL, 1, 1))
    };
    assert_eq!(
        world(programs::TOKEN_2022, member(23, MINT, COLLECTION)).verdict(rule.clone(), &me),
        Yes
    );
    let other = Pubkey([0xee; 32]);
    for (program, data) in [
        (programs::TOKEN_2022, member(22, MINT, COLLECTION)),
        (programs::TOKEN_2022, member(23, other, COLLECTION)),
        (programs::TOKEN_2022, member(23, MINT, other)),
        (programs::TOKEN, member(23, MINT, COLLECTION)),
        (programs::TOKEN_2022, mint(0)),
        (programs::TOKEN_2022, member(23, MINT, COLLECTION)[..200].to_vec()),
        // As long as a multisig, whose bytes its maker chooses.
        (programs::TOKEN_2022, {
            let mut data = member(23, MINT, COLLECTION);
            data.resize(355, 0);
            data
        }),
    ] {
        assert_eq!(world(program, data).verdict(rule.clone(), &me), No);
    }
}

#[test]
fn two_families_are_asked_for_in_one_policy() {
    let world = World::default().balance(ALICE, 1).account(MINT, programs::TOKEN, mint(0)).account(
        usual(MINT),
        programs::TOKEN,
        token_account(MINT, SOL, 1, 1),
    );
    let rule = json!({"all": [erc721(json!({})), spl("1")]});
    assert_eq!(world.verdict(rule.clone(), &[holder(ALICE), solana_holder()]), Yes);
    assert_eq!(world.verdict(rule.clone(), &[holder(ALICE)]), No);
    assert_eq!(world.verdict(rule, &[solana_holder()]), No);
    assert_eq!(ChainId::Solana(genesis()).to_string(), format!("solana:{CLUSTER}"));
}
// ---- Survivors of a mutation check

/// Guard: `again` in `leaf::wallets`.
#[test]
fn one_wallet_on_two_chains_is_one() {
    let elsewhere = Holder::with_key(format!("eip155:137:{ALICE}").parse().unwrap());
    let world = World::default().balance(ALICE, 1);
    let rule = erc721(json!({"min": "2"}));
    assert_eq!(world.verdict(rule, &[holder(ALICE), elsewhere]), No);
}

/// Guard: `max.is_some()` beside the doubt in `Tally::weigh`: what makes no sense may be too much.
#[test]
fn at_most_needs_every_part_to_make_sense() {
    let ask = call(TOKEN, "balanceOf(address)", &[abi::address(BOB)]);
    let world = World::default().balance(ALICE, 1).says(ask, Answer::Refused("reverted".into()));
    let both = [holder(ALICE), holder(BOB)];
    assert_eq!(world.verdict(erc721(json!({"min": "1", "max": "5"})), &both), No);
    assert_eq!(world.verdict(erc721(json!({"min": "1"})), &both), Yes);
}

/// Guard: the arm `Answer::Unknown` of `manners`.
#[test]
fn a_contract_whose_manners_are_not_known_is_not_believed_yet() {
    let world = World::default().balance(ALICE, 1).says(canary(), Answer::Unknown("down".into()));
    assert_eq!(world.says_to_alice(erc721(json!({}))), Unknown);
}

/// Guards in `Purse::add`, `held_ids` and `erc721`: to whom, from whom, for which token, and once.
#[test]
fn a_delegation_counts_for_what_it_says_and_no_more() {
    let ask = || call(DELEGATE_REGISTRY, "getIncomingDelegations(address)", &[abi::address(ALICE)]);
    let via = |more| erc721(leaf(json!({"via": "delegate.xyz"}), more));
    let world = World::default()
        .balance(ALICE, 0)
        .balance(VAULT, 1)
        .balance(Address::ZERO, 9)
        .owner(5, VAULT);
    let burnt =
        world.clone().says(ask(), delegation(&[(1, Address::ZERO, [0; 32], Address::ZERO, 0)]));
    assert_eq!(burnt.says_to_alice(via(json!({}))), No, "what is burnt is nobody's");
    let Answer::Bytes(mut row) = delegation(&[(1, VAULT, [0; 32], Address::ZERO, 0)]) else {
        panic!()
    };
    row[96..128].copy_from_slice(&abi::address(BOB));
    let to_bob = world.clone().says(ask(), Answer::Bytes(row));
    assert_eq!(to_bob.says_to_alice(via(json!({}))), No, "delegated to somebody else");
    // The token 6 is delegated, and 5 is asked for.
    let other = world.clone().says(ask(), delegation(&[(3, VAULT, [0; 32], TOKEN, 6)]));
    assert_eq!(other.says_to_alice(via(json!({"ids": ["5"]}))), No, "another token");
    let this = world.clone().says(ask(), delegation(&[(3, VAULT, [0; 32], TOKEN, 5)]));
    assert_eq!(this.says_to_alice(via(json!({"ids": ["5"]}))), Yes);
    let rows = [(1, VAULT, [0; 32], Address::ZERO, 0), (3, VAULT, [0; 32], TOKEN, 5)];
    let twice = world.says(ask(), delegation(&rows));
    assert_eq!(twice.says_to_alice(via(json!({"min": "2"}))), No, "one token, delegated twice");
}

/// Guards: `MAX_VAULTS`.
#[test]
fn no_more_than_ten_wallets_count_by_delegation() {
    let ask = || call(DELEGATE_REGISTRY, "getIncomingDelegations(address)", &[abi::address(ALICE)]);
    let vault = |index: u8| Address([index; 20]);
    let via = erc721(json!({"via": "delegate.xyz"}));
    for (kind, on) in [(1, Address::ZERO), (3, TOKEN)] {
        for (last, expected) in [(10, Yes), (11, No)] {
            let mut world = World::default().balance(ALICE, 0);
            for index in 1..last {
                world = world.balance(vault(index), 0).owner(index.into(), BOB);
            }
            world = world.balance(vault(last), 1).owner(last.into(), vault(last));
            let rows: Vec<_> = (1..=last)
                .map(|index| (kind, vault(index), [0; 32], on, u64::from(index)))
                .collect();
            let world = world.says(ask(), delegation(&rows));
            assert_eq!(world.says_to_alice(via.clone()), expected, "{kind} {last}");
        }
    }
}

/// Guards in `erc1155`: ids, and which contract's, of what the viewer names; the doubt.
#[test]
fn a_wide_range_of_editions_is_what_the_viewer_names() {
    let ask = |id| call(TOKEN, "balanceOf(address,uint256)", &[abi::address(ALICE), number(id)]);
    let world = World::default().says(ask(7), bytes(number(1))).says(ask(5000), bytes(number(1)));
    let rule = json!({"kind": "erc1155", "chain": "eip155:1", "contract": TOKEN.to_string(), "ids": ["1000-999999"]});
    let named = |of: Address, id: u64| world.clone().hint(&format!("eip155:1/erc1155:{of}/{id}"));
    assert_eq!(named(TOKEN, 5000).says_to_alice(rule.clone()), Yes);
    assert_eq!(named(TOKEN, 7).says_to_alice(rule.clone()), No, "out of range");
    assert_eq!(named(BOB, 5000).says_to_alice(rule.clone()), No, "another contract's");
    let silent = world.decide(rule.clone(), &[holder(ALICE)]);
    assert!(silent.verdict == No && reason(&silent).contains("name the token"));
    assert_eq!(world.says_to_alice(json!({"none": [rule]})), Unknown);
}

/// Guards in `held_ids` and `list_tokens`.
#[test]
fn a_hint_is_of_its_contract_and_a_list_that_is_not_known_is_not_short() {
    let range = erc721(json!({"ids": ["1000-999999"]}));
    let world = World::default().balance(ALICE, 1).owner(5000, ALICE);
    let other = world.clone().hint(&format!("eip155:1/erc721:{BOB}/5000"));
    assert_eq!(other.says_to_alice(range.clone()), No);
    let index =
        call(TOKEN, "tokenOfOwnerByIndex(address,uint256)", &[abi::address(ALICE), number(0)]);
    let down = world.says(index, Answer::Unknown("down".into()));
    assert_eq!(down.says_to_alice(range), Unknown);
}

/// Guards in `unlock`: a flag that is no boolean, and the latest of several keys.
#[test]
fn a_lock_answers_yes_or_no_and_the_longest_key_counts() {
    let lock = json!({"kind": "unlock", "chain": "eip155:1", "contract": TOKEN.to_string()});
    let who = abi::address(ALICE);
    let with = |valid: u64| {
        let mut world = World::default()
            .says(call(TOKEN, "getHasValidKey(address)", &[who]), bytes(number(valid)))
            .says(call(TOKEN, "totalKeys(address)", &[who]), bytes(number(2)));
        for (index, end) in [(0, NOW + 100), (1, NOW + 50)] {
            let at = call(TOKEN, "tokenOfOwnerByIndex(address,uint256)", &[who, number(index)]);
            let ends = call(TOKEN, "keyExpirationTimestampFor(uint256)", &[number(40 + index)]);
            world = world.says(at, bytes(number(40 + index))).says(ends, bytes(number(end)));
        }
        world.decide(lock.clone(), &[holder(ALICE)])
    };
    assert_eq!((with(1).verdict, with(1).until), (Yes, Some(NOW + 100)));
    let nonsense = with(2);
    assert!(nonsense.verdict == No && reason(&nonsense).contains("no sense"));
}

/// Guard: how `contract` takes the best of several wallets.
#[test]
fn of_several_wallets_the_best_answer_counts() {
    let ask = |who| call(TOKEN, "isMember(address)", &[abi::address(who)]);
    let rule = json!({"kind": "contract", "chain": "eip155:1", "contract": TOKEN.to_string(), "function": "isMember(address)(bool)", "arguments": [":account"], "result": {"equals": "true"}});
    for (one, two, expected) in [
        (bytes(number(1)), bytes(number(0)), Yes),
        (bytes(number(1)), Answer::Unknown("down".into()), Yes),
        (Answer::Unknown("down".into()), bytes(number(0)), Unknown),
    ] {
        for (first, second) in [(ALICE, BOB), (BOB, ALICE)] {
            let world =
                World::default().says(ask(first), one.clone()).says(ask(second), two.clone());
            let both = [holder(ALICE), holder(BOB)];
            assert_eq!(world.verdict(rule.clone(), &both), expected, "{one:?} {two:?}");
        }
    }
}

/// Guards: `TokenAccount::read` and `Mint::read` under Token-2022, and a mint's length.
#[test]
fn a_token_2022_account_says_what_it_is() {
    let me = [solana_holder()];
    let place = associated_token_account(SOL, MINT, programs::TOKEN_2022).unwrap();
    let good = token_account(MINT, SOL, 5, 1);
    let with = |data| {
        World::default()
            .account(MINT, programs::TOKEN_2022, mint(0))
            .account(place, programs::TOKEN_2022, data)
            .verdict(spl("5"), &me)
    };
    assert_eq!(with(good.clone()), Yes);
    assert_eq!(with([good.clone(), vec![2, 7, 0, 0, 0]].concat()), Yes);
    assert_eq!(with([good.clone(), vec![1]].concat()), No, "a mint");
    assert_eq!(with(good[..164].to_vec()), No, "too short");
    // Where a mint says that it is initialised, this owner's key has a 1.
    let seems = token_account(MINT, Pubkey([1; 32]), 5, 1);
    for (program, data) in [
        (programs::TOKEN, seems.clone()),
        (programs::TOKEN_2022, seems.clone()),
        (programs::TOKEN_2022, [seems, vec![2]].concat()),
    ] {
        let world = World::default()
            .account(MINT, program, data)
            .account(usual(MINT), programs::TOKEN, token_account(MINT, SOL, 5, 1))
            .account(place, programs::TOKEN_2022, token_account(MINT, SOL, 5, 1));
        let refused = world.decide(spl("0.000001"), &me);
        assert!(refused.verdict == No && reason(&refused).contains("no mint"));
    }
}

/// Guards: what can't be read on Solana is not nothing.
#[test]
fn what_can_not_be_read_on_solana_is_not_known() {
    let me = [solana_holder()];
    let down = || Answer::Unknown("down".into());
    let at = |key| Question::Solana(genesis(), SolanaRead::Account(key));
    let search = Find::TokenAccounts { owner: SOL, mint: MINT };
    let search = Question::Solana(genesis(), SolanaRead::Find(search));
    let world = World::default().account(MINT, programs::TOKEN, mint(0));
    assert_eq!(world.verdict(spl("1"), &me), No);
    assert_eq!(world.clone().says(at(usual(MINT)), down()).verdict(spl("1"), &me), Unknown);
    assert_eq!(world.clone().says(search.clone(), down()).verdict(spl("1"), &me), Unknown);
    // Where it usually is it is found without a search.
    let held = world.account(usual(MINT), programs::TOKEN, token_account(MINT, SOL, 1, 1));
    assert_eq!(held.says(search, down()).verdict(spl("1"), &me), Yes);
    let data = metadata(MINT, &[], Some((1, COLLECTION)));
    let rule = nft("metaplex_collection", "collection", json!({}));
    let nfts = nft_world(metadata_account(MINT).unwrap(), programs::METADATA, data, 1);
    assert_eq!(nfts.says(at(usual(MINT)), down()).verdict(rule, &me), Unknown);
}

/// Guard: `MAX_LOOKED_AT` is told, and no firm no.
#[test]
fn a_wallet_too_full_to_look_through_is_told_so() {
    let me = [solana_holder()];
    let many: Vec<_> = (0..200).map(|index| Pubkey([index; 32])).collect();
    let world = World::default().finds(Find::Mints { owner: SOL, program: programs::TOKEN }, &many);
    let rule = nft("metaplex_collection", "collection", json!({}));
    let refused = world.decide(rule.clone(), &me);
    assert!(refused.verdict == No && reason(&refused).contains("name the token"));
    assert_eq!(world.verdict(json!({"none": [rule]}), &me), Unknown);
    // Nor does it help to spread a token over so many accounts that not all are added up.
    let world = World::default()
        .account(MINT, programs::TOKEN, mint(0))
        .finds(Find::TokenAccounts { owner: SOL, mint: MINT }, &many);
    assert_eq!(world.verdict(spl("1"), &me), No);
    assert_eq!(world.verdict(json!({"none": [spl("1")]}), &me), Unknown);
}

/// Guards: the kind of a Metaplex account, of a group's member, and of what chain a hint is.
#[test]
fn what_only_looks_like_a_mark_is_none() {
    let me = [solana_holder()];
    let place = metadata_account(MINT).unwrap();
    let rule = nft("metaplex_collection", "collection", json!({}));
    let mut data = metadata(MINT, &[], Some((1, COLLECTION)));
    let good = nft_world(place, programs::METADATA, data.clone(), 1);
    let hidden = good.finds(Find::Mints { owner: SOL, program: programs::TOKEN }, &[]);
    let devnet = format!("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/nft:{MINT}");
    assert_eq!(hidden.hint(&devnet).verdict(rule.clone(), &me), No, "another cluster's hint");
    data[0] = 6;
    let edition = nft_world(place, programs::METADATA, data, 1);
    assert_eq!(edition.verdict(rule, &me), No, "no metadata");
    let mut short = mint(0);
    short.resize(165, 0);
    short.extend([1, 23, 0, 64, 0]);
    short.extend([MINT.0, COLLECTION.0].concat());
    let place = associated_token_account(SOL, MINT, programs::TOKEN_2022).unwrap();
    let world = World::default()
        .finds(Find::Mints { owner: SOL, program: programs::TOKEN_2022 }, &[MINT])
        .account(MINT, programs::TOKEN_2022, short)
        .account(place, programs::TOKEN_2022, token_account(MINT, SOL, 1, 1));
    assert_eq!(world.verdict(nft("token2022_group", "group", json!({})), &me), No, "no member");
}

/// Guard: a derived address is no point of the curve: here the first five are, or the bump is 250.
#[test]
fn a_derived_address_is_off_the_curve() {
    let bonk: Pubkey = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263".parse().unwrap();
    let metadata = metadata_account(bonk).unwrap();
    assert_eq!(metadata.to_string(), "FDZZbyY9XGpL3CNKUZxLk3wFTTQYL3TkDiDzqxrizcPN");
}

/// Guards: `Notice` decides how long a yes is good, and the soonest end counts.
#[test]
fn a_yes_without_events_is_good_for_less_and_ends_with_the_soonest() {
    let wei = Question::Evm(1, EvmRead::Balance(ALICE));
    let coin = json!({"kind": "native", "chain": "eip155:1", "min": "1"});
    let world = World::default().says(wei.clone(), bytes([1; 32]));
    for (age, fresh) in [(30, true), (31, false)] {
        let facts = facts(&world, &[(wei.clone(), 100, NOW - age)]);
        let decided =
            matches!(evaluate(coin.clone(), &facts, &[holder(ALICE)]), Evaluation::Decided(_));
        assert_eq!(decided, fresh, "{age}");
    }
    for ends in [50, 5000] {
        let time = json!({"kind": "time", "until": domain::rfc3339(NOW + ends)});
        for rules in [json!([coin, time]), json!([time, coin])] {
            let decision = world.decide(json!({"all": rules}), &[holder(ALICE)]);
            assert_eq!((decision.verdict, decision.until), (Yes, Some(NOW + ends)));
            assert_eq!(decision.review_at, Some(NOW + FRESH.recheck));
        }
    }
}

/// Guard: `Condition::notice`: neither a trait's change nor a delegation's end is a transfer.
#[test]
fn traits_and_delegations_are_asked_for_again() {
    let ask = call(DELEGATE_REGISTRY, "getIncomingDelegations(address)", &[abi::address(ALICE)]);
    let world = World::default().balance(ALICE, 1).says(ask, delegation(&[]));
    let via = world.decide(erc721(json!({"via": "delegate.xyz"})), &[holder(ALICE)]);
    assert_eq!((via.verdict, via.review_at), (Yes, Some(NOW + FRESH.recheck)));
    let json = r#"{"attributes":[{"trait_type":"Hat","value":"Red"}]}"#;
    let uri = format!("data:application/json;base64,{}", STANDARD.encode(json));
    let mut answer = [number(32), number(uri.len() as u64)].concat();
    answer.extend(uri.as_bytes());
    answer.resize(answer.len().div_ceil(32) * 32, 0);
    let world = World::default()
        .owner(1, ALICE)
        .says(call(TOKEN, "tokenURI(uint256)", &[number(1)]), Answer::Bytes(answer));
    let rule = erc721(json!({"ids": ["1"], "traits": [{"trait": "Hat", "value": "Red"}]}));
    let decision = world.decide(rule, &[holder(ALICE)]);
    assert_eq!((decision.verdict, decision.review_at), (Yes, Some(NOW + FRESH.recheck)));
}
