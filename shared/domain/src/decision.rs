//! From facts to a verdict, three-valued: what could not be learned is neither yes nor no.

use crate::Seconds;
use crate::account::{ChainId, Genesis, Pubkey};
use crate::condition::{Condition, Notice};
use crate::fact::{Block, Fact, Place, Question, SolanaRead};
use crate::leaf::{Asker, Asset, Finding, Manner, Viewer, evaluate};
use crate::policy::{Policy, Rule};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Yes, no, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// The chain could not be read, or its answer made no sense.
    Unknown,
}

/// How long answers may be used again, and grants go on, by how a loss is noticed. All in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// A yes whose loss an event would tell.
    pub event: Seconds,
    /// A yes that has to be asked for again.
    pub timer: Seconds,
    /// A no: short, so that whoever just bought gets in.
    pub negative: Seconds,
    /// What does not change from one minute to the next: decimals, where to look.
    pub steady: Seconds,
    /// How old a yes may be while the chain can't be read; 0 for not at all.
    pub grace: Seconds,
    /// How long a grant may go on that rests on a condition without events.
    pub recheck: Seconds,
}

/// A policy that is ready to be decided: leaves and tree apart, so that nothing is walked twice.
#[derive(Debug)]
pub struct Plan {
    leaves: Vec<Leaf>,
    root: Node,
}

#[derive(Debug)]
struct Leaf {
    path: String,
    condition: Condition,
    /// Below an odd number of `none`: there a no lets in.
    negated: bool,
}

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    AtLeast(usize, Vec<Node>),
    Not(Box<Node>),
    Leaf(usize),
}

/// One condition's part in the answer to a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Its place in the policy.
    pub path: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainId>,
    /// Its contract, mint or plug-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whether it holds.
    pub outcome: Verdict,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// At which block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// At which slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The chain can't be read, and an older answer stands in for a while.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grace: bool,
}

/// The verdict with what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The policy's answer.
    pub verdict: Verdict,
    /// Every condition's, in the policy's order.
    pub conditions: Vec<Outcome>,
    /// When the answer is over by itself.
    #[serde(skip)]
    pub until: Option<Seconds>,
    /// When it has to be asked for again, because it rests on what no event tells of.
    #[serde(skip)]
    pub review_at: Option<Seconds>,
    /// The single tokens that let in, where it is known which they are.
    #[serde(skip)]
    pub tokens: Vec<Asset>,
    /// The Solana accounts that were read, by cluster.
    #[serde(skip)]
    pub accounts: BTreeMap<Genesis, Vec<Pubkey>>,
    /// Whether an older answer stands in somewhere.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grace: bool,
}

/// What became of an evaluation.
#[derive(Debug)]
pub enum Evaluation {
    /// These must be read first, those of one chain all together.
    Wants(Vec<Question>),
    /// It is decided.
    Decided(Decision),
}

/// The facts at hand.
#[derive(Debug, Default)]
pub struct Facts {
    /// By what was asked.
    pub known: HashMap<Question, Fact>,
    /// Those chains and plug-ins that can't be read now, and whose older answers stand in.
    pub graced: HashSet<Source>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// An EVM chain.
    Evm(u64),
    /// A Solana cluster.
    Solana(Genesis),
    /// A plug-in.
    Plugin(String),
}

impl Source {
    /// Of a question.
    pub fn of(question: &Question) -> Self {
        match question {
            Question::Evm(chain, _) => Self::Evm(*chain),
            Question::Solana(genesis, _) => Self::Solana(*genesis),
            Question::Plugin(plugin) => Self::Plugin(plugin.function.clone()),
        }
    }
}

impl Plan {
    /// Of a policy.
    pub fn compile(policy: &Policy) -> Self {
        let mut leaves: Vec<_> = policy
            .conditions()
            .into_iter()
            .map(|(path, condition)| Leaf { path, condition: condition.clone(), negated: false })
            .collect();
        let mut next = 0;
        let root = compile(&policy.rule, false, &mut leaves, &mut next);
        Self { leaves, root }
    }

    /// Decides what `viewer` is told by the facts at hand, or says which are wanted.
    ///
    /// Facts of one chain must be of one block: else a token that moves between two linked wallets
    /// would count in both. So if any is missing, too old, or of another block than the rest, all
    /// that this decision needs of that chain are wanted, to be read together.
    ///
    /// `all` is no as soon as one is no, `any` is yes as soon as one is yes (Kleene's logic), so
    /// that a dead chain only matters where it could change the answer.
    pub fn evaluate(
        &self,
        viewer: &Viewer<'_>,
        facts: &Facts,
        freshness: &Freshness,
    ) -> Evaluation {
        let mut needs = Needs::default();
        let mut findings = Vec::with_capacity(self.leaves.len());
        for leaf in &self.leaves {
            let mut ask = Asker::new(&facts.known);
            let finding = evaluate(&leaf.condition, viewer, &mut ask);
            needs.note(&leaf.condition, &finding, &ask, facts, viewer.now, freshness);
            findings.push(finding);
        }
        let wants = needs.wants();
        if wants.is_empty() {
            Evaluation::Decided(self.decide(findings, facts, viewer.now, freshness))
        } else {
            Evaluation::Wants(wants)
        }
    }

    fn decide(
        &self,
        findings: Vec<Finding>,
        facts: &Facts,
        now: Seconds,
        freshness: &Freshness,
    ) -> Decision {
        let (mut until, mut review_at) = (None, None);
        let mut tokens = Vec::new();
        let mut verdicts = Vec::with_capacity(findings.len());
        let mut conditions = Vec::with_capacity(findings.len());
        for (leaf, finding) in self.leaves.iter().zip(findings) {
            let graced = leaf.source().is_some_and(|source| facts.graced.contains(&source));
            let mut verdict = finding.verdict;
            let mut reason = finding.reason;
            if graced && verdict != Verdict::Yes {
                // An older no may be wrong by now, and must neither refuse nor let in.
                (verdict, reason) = (
                    Verdict::Unknown,
                    Some("it can't be read now, and an older no is no answer".into()),
                );
            } else if leaf.negated && verdict == Verdict::No && !finding.firm {
                // Where a no lets in, it has to be a good one.
                verdict = Verdict::Unknown;
            }
            // What this leaf says can turn against the viewer: a yes, or below `none` a no.
            if (verdict == Verdict::Yes) != leaf.negated {
                let recheck = match leaf.condition.notice() {
                    Notice::Timer => Some(now + freshness.recheck),
                    Notice::Event | Notice::Known => None,
                };
                let grace = graced.then(|| now + freshness.grace);
                until = [until, finding.until, grace].into_iter().flatten().min();
                review_at = [review_at, recheck].into_iter().flatten().min();
            }
            if verdict == Verdict::Yes && !leaf.negated {
                tokens.extend(finding.tokens);
            }
            verdicts.push(verdict);
            let (block, slot) = match finding.place {
                Some(Place::Block(block)) => (Some(block), None),
                Some(Place::Slot(slot)) => (None, Some(slot)),
                None => (None, None),
            };
            conditions.push(Outcome {
                path: leaf.path.clone(),
                kind: leaf.condition.kind(),
                chain: leaf.condition.chain(),
                subject: leaf.condition.subject(),
                outcome: verdict,
                value: finding.value,
                block,
                slot,
                reason,
                grace: graced,
            });
        }
        let verdict = self.root.weigh(&verdicts);
        let mut accounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (cluster, account) in facts.known.keys().filter_map(solana_account) {
            accounts.entry(cluster).or_default().push(account);
        }
        let grace = !facts.graced.is_empty();
        Decision { verdict, conditions, until, review_at, tokens, accounts, grace }
    }
}

impl Leaf {
    fn source(&self) -> Option<Source> {
        match (&self.condition, self.condition.chain()) {
            (Condition::Lambda(lambda), _) => Some(Source::Plugin(lambda.function.clone())),
            (_, Some(ChainId::Eip155(chain))) => Some(Source::Evm(chain)),
            (_, Some(ChainId::Solana(genesis))) => Some(Source::Solana(genesis)),
            (_, None) => None,
        }
    }
}

fn solana_account(question: &Question) -> Option<(Genesis, Pubkey)> {
    match question {
        Question::Solana(cluster, SolanaRead::Account(key)) => Some((*cluster, *key)),
        _ => None,
    }
}

fn compile(rule: &Rule, negated: bool, leaves: &mut [Leaf], next: &mut usize) -> Node {
    let mut each = |rules: &[Rule], negated| {
        rules.iter().map(|rule| compile(rule, negated, leaves, next)).collect::<Vec<_>>()
    };
    match rule {
        Rule::All(rules) => Node::All(each(rules, negated)),
        Rule::Any(rules) => Node::AtLeast(1, each(rules, negated)),
        Rule::AtLeast(count, rules) => Node::AtLeast(*count, each(rules, negated)),
        Rule::None(rules) => Node::Not(Box::new(Node::AtLeast(1, each(rules, !negated)))),
        Rule::Condition(_) => {
            let index = *next;
            *next += 1;
            if let Some(leaf) = leaves.get_mut(index) {
                leaf.negated = negated;
            }
            Node::Leaf(index)
        }
    }
}

impl Node {
    fn weigh(&self, verdicts: &[Verdict]) -> Verdict {
        let count = |nodes: &[Self]| {
            let mut yes = 0;
            let mut possible = 0;
            for node in nodes {
                match node.weigh(verdicts) {
                    Verdict::Yes => (yes, possible) = (yes + 1, possible + 1),
                    Verdict::Unknown => possible += 1,
                    Verdict::No => {}
                }
            }
            (yes, possible)
        };
        let reached = |wanted: usize, (yes, possible): (usize, usize)| {
            if yes >= wanted {
                Verdict::Yes
            } else if possible < wanted {
                Verdict::No
            } else {
                Verdict::Unknown
            }
        };
        match self {
            Self::All(nodes) => reached(nodes.len(), count(nodes)),
            Self::AtLeast(wanted, nodes) => reached(*wanted, count(nodes)),
            Self::Not(node) => match node.weigh(verdicts) {
                Verdict::Yes => Verdict::No,
                Verdict::No => Verdict::Yes,
                Verdict::Unknown => Verdict::Unknown,
            },
            Self::Leaf(index) => verdicts.get(*index).copied().unwrap_or(Verdict::Unknown),
        }
    }
}

/// What a decision asks of each source, and whether it has to be read.
#[derive(Default)]
struct Needs {
    sources: Vec<(Source, Need)>,
}

#[derive(Default)]
struct Need {
    /// Steady ones, and whether each is missing or too old.
    steady: Vec<(Question, bool)>,
    /// The others, which are read together.
    together: Vec<Question>,
    place: Option<Place>,
    read: bool,
}

impl Needs {
    fn note(
        &mut self,
        condition: &Condition,
        finding: &Finding,
        ask: &Asker<'_>,
        facts: &Facts,
        now: Seconds,
        freshness: &Freshness,
    ) {
        let yes = match condition.notice() {
            Notice::Event => freshness.event,
            Notice::Timer | Notice::Known => freshness.timer,
        };
        let most = if finding.verdict == Verdict::Yes { yes } else { freshness.negative };
        for (question, manner) in &ask.asked {
            let source = Source::of(question);
            let graced = facts.graced.contains(&source);
            let fact = facts.known.get(question);
            let old = |most: Seconds| {
                let most = if graced { most.max(freshness.grace) } else { most };
                fact.is_none_or(|fact| now.saturating_sub(fact.read_at) > most)
            };
            let index = self.sources.iter().position(|(other, _)| *other == source);
            let index = index.unwrap_or_else(|| {
                self.sources.push((source, Need::default()));
                self.sources.len() - 1
            });
            let need = &mut self.sources[index].1;
            if let Manner::Steady { settled } = *manner {
                let most = if settled { freshness.steady } else { most };
                if !need.steady.iter().any(|(other, _)| other == question) {
                    need.steady.push((question.clone(), old(most)));
                }
                continue;
            }
            need.read |= old(most);
            if !need.together.contains(question) {
                need.together.push(question.clone());
            }
            if let Some(place) = fact.and_then(|fact| fact.place.as_ref()) {
                match &need.place {
                    Some(other) => need.read |= other != place,
                    None => need.place = Some(place.clone()),
                }
            }
        }
    }

    fn wants(self) -> Vec<Question> {
        let mut wants = Vec::new();
        for (_, need) in self.sources {
            if need.read {
                wants.extend(need.together);
            }
            wants.extend(
                need.steady.into_iter().filter(|(_, old)| *old).map(|(question, _)| question),
            );
        }
        wants
    }
}
