//! The gate: one decision on one policy for one viewer, by facts from memory, the store, or the
//! chains themselves, in this order.

use crate::ports::{Clock, EvmChains, FactStore, Plugins, SolanaChains};
use domain::Seconds;
use domain::account::Genesis;
use domain::decision::{Decision, Evaluation, Facts, Freshness, Plan, Source};
use domain::fact::{EvmRead, Fact, Place, Question, SolanaRead};
use domain::leaf::{Asset, Viewer};
use domain::policy::Policy;
use domain::session::Holder;
use futures_util::lock::Mutex as Turn;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// How often a decision may find that it needs more. The deepest condition takes four rounds.
const MAX_ROUNDS: usize = 8;
/// How many reads one decision may make of one chain.
const MAX_READS: usize = 600;
/// How many facts a function remembers by itself.
const MAX_REMEMBERED: usize = 20_000;
/// Decisions that miss the same facts wait for one another; others hardly ever do.
const TURNS: usize = 64;

/// Facts and those who know them.
#[derive(Debug)]
pub struct Gate<'a, E, S, P, F> {
    /// EVM chains.
    pub evm: &'a E,
    /// Solana clusters.
    pub solana: &'a S,
    /// Plug-ins.
    pub plugins: &'a P,
    /// What all functions remember.
    pub store: &'a F,
    /// What this one remembers.
    pub memory: &'a FactMemory,
    /// How long facts are good.
    pub freshness: Freshness,
    /// What it has in common with other functions.
    pub sharing: Sharing,
}

/// How a gate uses [`Gate::store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all: where facts are asked for too seldom to be found there.
    Nothing,
    /// Only to read. Where anybody may say what is asked: calls that are made together share their gas, so
    /// a hostile one could bend another's answer.
    Reads,
    /// What is read here may serve others.
    All,
}

impl Sharing {
    /// Of renewals that come each `every` seconds. The next one comes when what was read for the last is
    /// too old, unless it is good for longer, or may stand in where a chain can't be read.
    pub fn of_renewals(freshness: &Freshness, every: Seconds) -> Self {
        match freshness.grace > 0 || freshness.event >= every {
            true => Self::All,
            false => Self::Nothing,
        }
    }
}

/// What one function remembers, and whose turn it is to ask.
pub struct FactMemory {
    facts: Mutex<HashMap<Question, Fact>>,
    turns: [Turn<()>; TURNS],
}

impl Default for FactMemory {
    fn default() -> Self {
        Self { facts: Mutex::default(), turns: std::array::from_fn(|_| Turn::new(())) }
    }
}

impl std::fmt::Debug for FactMemory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("FactMemory")
    }
}

impl FactMemory {
    fn get(&self, question: &Question) -> Option<Fact> {
        let facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.get(question).cloned()
    }

    fn put(&self, question: &Question, fact: &Fact) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.len() >= MAX_REMEMBERED && !facts.contains_key(question) {
            // Forgetting all is rare, and costs no more than a fresh function does.
            facts.clear();
        }
        facts.insert(question.clone(), fact.clone());
    }

    /// Forgets one, as [`FactStore::evict`] does.
    pub fn evict(&self, question: &Question) {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
    }

    fn turn(&self, questions: &[Question]) -> &Turn<()> {
        let mut hasher = DefaultHasher::new();
        questions.first().hash(&mut hasher);
        // Less than TURNS, whatever the width of the machine's words.
        &self.turns[(hasher.finish() % TURNS as u64) as usize]
    }
}

/// What a decision cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Facts that were remembered.
    pub hits: usize,
    /// Facts that had to be asked for.
    pub misses: usize,
}

impl Cost {
    /// Counts it into the stack's hit rate: a line that `infra`'s metric filters read.
    pub fn count(self) {
        tracing::info!(fact_hits = self.hits, fact_misses = self.misses, "facts");
    }
}

/// One decision on its way.
struct Course {
    facts: Facts,
    /// What was remembered, also where it was too old.
    old: HashMap<Question, Fact>,
    looked_up: HashSet<Question>,
    read: HashSet<Question>,
    /// Where this decision reads each chain.
    places: HashMap<Source, Place>,
    /// Who did not answer. They are not waited for again.
    lost: HashSet<Source>,
}

impl<E: EvmChains, S: SolanaChains, P: Plugins, F: FactStore> Gate<'_, E, S, P, F> {
    /// What `policy` says to whoever signed in with these wallets. Never fails: what can't be
    /// learned makes the verdict unknown, where it matters.
    pub async fn decide(
        &self,
        clock: &impl Clock,
        policy: &Policy,
        holders: &[Holder],
        hints: &[Asset],
    ) -> (Decision, Cost) {
        let plan = Plan::compile(policy);
        let viewer = Viewer { holders, hints, now: clock.now() };
        let mut course = Course {
            facts: Facts::default(),
            old: HashMap::new(),
            looked_up: HashSet::new(),
            read: HashSet::new(),
            places: HashMap::new(),
            lost: HashSet::new(),
        };
        for _ in 0..MAX_ROUNDS {
            let wants = match plan.evaluate(&viewer, &course.facts, &self.freshness) {
                Evaluation::Decided(decision) => return (decision, course.cost()),
                Evaluation::Wants(wants) => wants,
            };
            if self.look_up(&mut course, &wants).await {
                continue;
            }
            // Whoever waited for another that asked the same finds the answer in memory.
            let turn = self.memory.turn(&wants).lock().await;
            if self.remember(&mut course, &wants, viewer.now) {
                continue;
            }
            self.read(&mut course, &wants, viewer.now).await;
            drop(turn);
        }
        // Facts kept moving under the decision.
        loop {
            match plan.evaluate(&viewer, &course.facts, &self.freshness) {
                Evaluation::Decided(decision) => return (decision, course.cost()),
                Evaluation::Wants(wants) => {
                    for question in wants {
                        let fact = Fact::unknown("the answers kept changing", viewer.now);
                        course.facts.known.insert(question, fact);
                    }
                }
            }
        }
    }

    /// Takes what is remembered of what is wanted, each once; true if anything was found.
    async fn look_up(&self, course: &mut Course, wants: &[Question]) -> bool {
        let fresh: Vec<_> =
            wants.iter().filter(|question| !course.looked_up.contains(*question)).collect();
        let mut found = false;
        let mut missing = Vec::new();
        for question in fresh {
            course.looked_up.insert(question.clone());
            match self.memory.get(question) {
                Some(fact) => {
                    found = true;
                    course.old.insert(question.clone(), fact.clone());
                    course.facts.known.insert(question.clone(), fact);
                }
                None => missing.push(question),
            }
        }
        if missing.is_empty() || self.sharing == Sharing::Nothing {
            return found;
        }
        let keys: Vec<_> = missing.iter().map(|question| question.key()).collect();
        match self.store.get(&keys).await {
            Ok(facts) => {
                for (question, fact) in missing.into_iter().zip(facts) {
                    let Some(fact) = fact.filter(Fact::is_known) else { continue };
                    found = true;
                    self.memory.put(question, &fact);
                    course.old.insert(question.clone(), fact.clone());
                    course.facts.known.insert(question.clone(), fact);
                }
            }
            Err(error) => tracing::warn!(%error, "facts can't be looked up"),
        }
        found
    }

    /// Takes what another decision has read since this one began; true if that is all of it.
    fn remember(&self, course: &mut Course, wants: &[Question], since: Seconds) -> bool {
        let news: Option<Vec<_>> = wants
            .iter()
            .map(|question| {
                self.memory.get(question).filter(|fact| {
                    fact.read_at >= since && course.facts.known.get(question) != Some(fact)
                })
            })
            .collect();
        let Some(news) = news else { return false };
        for (question, fact) in wants.iter().zip(news) {
            if let Some(place) = &fact.place {
                course.places.insert(Source::of(question), place.clone());
            }
            course.facts.known.insert(question.clone(), fact);
        }
        true
    }

    /// Asks for what is wanted, each source once and all sources at the same time.
    async fn read(&self, course: &mut Course, wants: &[Question], now: Seconds) {
        let mut sources: BTreeMap<Source, Vec<Question>> = BTreeMap::new();
        for question in wants {
            sources.entry(Source::of(question)).or_default().push(question.clone());
        }
        let (places, lost) = (&course.places, &course.lost);
        let asked = sources.into_iter().map(|(source, questions)| async move {
            let facts = match lost.contains(&source) {
                true => vec![Fact::unknown("it does not answer", now); questions.len()],
                false => self.ask(&source, places.get(&source), &questions, now).await,
            };
            (source, questions, facts)
        });
        let mut news = Vec::new();
        for (source, questions, facts) in futures_util::future::join_all(asked).await {
            if facts.iter().all(|fact| !fact.is_known()) {
                course.lost.insert(source.clone());
            }
            let lost = facts.iter().any(|fact| !fact.is_known());
            if lost && self.stand_in(course, &source, &questions, now) {
                continue;
            }
            for (question, fact) in questions.into_iter().zip(facts) {
                if fact.is_known() {
                    if let Some(place) = &fact.place {
                        course.places.entry(source.clone()).or_insert_with(|| place.clone());
                    }
                    self.memory.put(&question, &fact);
                    news.push((question.key(), fact.clone()));
                }
                course.read.insert(question.clone());
                course.facts.known.insert(question, fact);
            }
        }
        let Freshness { event, timer, negative, steady, grace, .. } = self.freshness;
        let longest = [event, timer, negative, steady, grace].into_iter().max().unwrap_or(0);
        if self.sharing == Sharing::All
            && !news.is_empty()
            && let Err(error) = self.store.put(&news, now + longest).await
        {
            tracing::warn!(%error, "facts can't be kept");
        }
    }

    async fn ask(
        &self,
        source: &Source,
        place: Option<&Place>,
        questions: &[Question],
        now: Seconds,
    ) -> Vec<Fact> {
        if questions.len() > MAX_READS {
            let reason = format!("more than {MAX_READS} reads of one chain: link fewer wallets");
            return vec![Fact::unknown(reason, now); questions.len()];
        }
        match source {
            Source::Evm(chain) => {
                let at = match place {
                    Some(Place::Block(block)) => Some(block),
                    _ => None,
                };
                self.evm.read(*chain, at, &evm_reads(questions)).await
            }
            Source::Solana(genesis) => {
                let at = match place {
                    Some(Place::Slot(slot)) => Some(*slot),
                    _ => None,
                };
                self.ask_solana(*genesis, at, questions).await
            }
            Source::Plugin(_) => {
                let asked = questions.iter().filter_map(|question| match question {
                    Question::Plugin(plugin) => Some(self.plugins.ask(plugin)),
                    _ => None,
                });
                futures_util::future::join_all(asked).await
            }
        }
    }

    async fn ask_solana(&self, chain: Genesis, at: Option<u64>, asked: &[Question]) -> Vec<Fact> {
        let reads: Vec<_> = asked
            .iter()
            .filter_map(|question| match question {
                Question::Solana(_, read) => Some(read.clone()),
                _ => None,
            })
            .collect::<Vec<SolanaRead>>();
        let mut facts = self.solana.read(chain, at, &reads).await;
        // Where to look is one provider's word, and so is the slot that it names for it.
        for (read, fact) in reads.iter().zip(&mut facts) {
            if matches!(read, SolanaRead::Find(_)) {
                fact.place = None;
            }
        }
        facts
    }

    /// Lets older answers stand in for a source that can't be read, if there are such for all that
    /// is asked of it and the stack allows it.
    fn stand_in(
        &self,
        course: &mut Course,
        source: &Source,
        questions: &[Question],
        now: Seconds,
    ) -> bool {
        let grace = self.freshness.grace;
        let good = |question: &Question| {
            course.old.get(question).is_some_and(|fact| now.saturating_sub(fact.read_at) <= grace)
        };
        if grace == 0 || course.places.contains_key(source) || !questions.iter().all(good) {
            return false;
        }
        for question in questions {
            if let Some(fact) = course.old.get(question) {
                course.facts.known.insert(question.clone(), fact.clone());
            }
        }
        tracing::warn!(?source, "older answers stand in for what can't be read");
        course.facts.graced.insert(source.clone());
        true
    }
}

impl Course {
    fn cost(&self) -> Cost {
        let misses = self.read.len();
        let used = self.facts.known.values().filter(|fact| fact.is_known()).count();
        Cost { hits: used.saturating_sub(misses), misses }
    }
}

fn evm_reads(questions: &[Question]) -> Vec<EvmRead> {
    questions
        .iter()
        .filter_map(|question| match question {
            Question::Evm(_, read) => Some(read.clone()),
            _ => None,
        })
        .collect()
}
