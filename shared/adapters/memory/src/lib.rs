//! Every port in memory, for tests of the use cases and for injecting faults. Ships in nothing.
//!
//! Every call of a port first lets all others that wait take a step, so that what a test runs side
//! by side really interleaves; then it fails, or lets a rival in, where a test has arranged that.

pub mod arrange;
pub mod edge;
mod grants;
pub mod keys;
pub mod watch;

use app::apply_revocations::RevokeMessage;
use app::forget_video::ForgetMessage;
use app::gate::FactMemory;
use app::plan_transcode::{ConvertMessage, PublishMessage, TaskMessage};
use app::ports::{
    Change, Clock, ConversionStore, Converter, Encoded, EndedSessions, Event, Events, EvmChains,
    FactStore, Folder, JobOrder, MediaError, MediaStore, NonceStore, Plugins, PortError, Queue,
    Random, ReceivedPart, SolanaChains, TaskStore, Transcoder, UploadStore, VideoStore,
};
use domain::Seconds;
use domain::account::{Address, Genesis, Wallet};
use domain::conversion::{self, Conversion, JobState};
use domain::encryption::Seal;
use domain::fact::{Answer, Block, EvmRead, Fact, Place, PluginRead, SolanaRead};
use domain::grant::{Grant, GrantId};
use domain::ladder::{Probe, TranscodePlan, Work};
use domain::lease::Sheet;
use domain::policy::Policy;
use domain::presentation::{EncodedSegment, EncodedTrack, Piece, TrackKind};
use domain::subtitle::Uploaded;
use domain::upload::Part;
use domain::video::{Stage, Task, Video};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::poll_fn;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

/// All of it. Fields are open so that a test can arrange and look.
#[derive(Debug, Default)]
pub struct Memory {
    /// The time.
    pub now: AtomicU64,
    counter: AtomicU64,
    /// How many calls of a method still go well, and how many fail after them.
    faults: Mutex<HashMap<&'static str, (u32, u32)>>,
    rivals: Mutex<HashMap<&'static str, Rival>>,
    /// Used nonces.
    pub nonces: Mutex<BTreeSet<String>>,
    /// Ended sessions.
    pub ended: Mutex<BTreeSet<String>>,
    /// Videos by id.
    pub videos: Mutex<BTreeMap<String, Video>>,
    /// Tasks by video and name.
    pub tasks: Mutex<BTreeMap<(String, String), Task>>,
    /// Grants by key.
    pub grants: Mutex<BTreeMap<GrantId, Grant>>,
    /// Leases by subject.
    pub sheets: Mutex<BTreeMap<String, Sheet>>,
    /// Parts that have arrived, by source key; gone once joined.
    pub parts: Mutex<BTreeMap<String, Vec<ReceivedPart>>>,
    /// Joined files' sizes, by key.
    pub files: Mutex<BTreeMap<String, u64>>,
    /// Media objects by key.
    pub objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// How long caches keep those of them that may change, in seconds.
    pub max_ages: Mutex<BTreeMap<String, Seconds>>,
    /// Task messages not yet taken.
    pub task_messages: Mutex<VecDeque<TaskMessage>>,
    /// Publish messages not yet taken.
    pub publish_messages: Mutex<VecDeque<PublishMessage>>,
    /// Convert messages not yet taken.
    pub convert_messages: Mutex<VecDeque<ConvertMessage>>,
    /// Orders to the edge not yet taken.
    pub revoke_messages: Mutex<VecDeque<RevokeMessage>>,
    /// Films that caches are to forget.
    pub forget_messages: Mutex<VecDeque<ForgetMessage>>,
    /// The jobs that were submitted, by id.
    pub jobs: Mutex<BTreeMap<String, Job>>,
    /// Events told.
    pub events: Mutex<Vec<Event>>,
    /// What EVM chains answer, all of them alike; what is not here is unknown, but for a question
    /// that no contract knows, which is refused as real ones do.
    pub evm: Mutex<HashMap<EvmRead, Answer>>,
    /// The height of EVM chains.
    pub height: AtomicU64,
    /// Every read of EVM chains, in order.
    pub evm_reads: Mutex<Vec<EvmRead>>,
    /// Contract wallets' signatures that are good: (chain, wallet, digest, signature).
    pub signed: Mutex<BTreeSet<Signed>>,
    /// What Solana answers; else accounts are absent, and nothing is found.
    pub solana: Mutex<HashMap<SolanaRead, Answer>>,
    /// What plug-ins answer, by name; else they are unknown.
    pub plugins: Mutex<HashMap<String, Answer>>,
    /// The facts that all functions remember, and until when.
    pub facts: Mutex<BTreeMap<String, (Fact, Seconds)>>,
    /// What this function remembers.
    pub fact_memory: FactMemory,
    /// What a probe answers.
    pub probe: Mutex<Option<Result<Probe, MediaError>>>,
    /// Keyrings.
    pub keys: keys::Keys,
    /// The edge's store, and what its caches were told to forget.
    pub edge: edge::Edge,
    /// Why the next encodes fail, in turn; when empty they make a track of the size that is wanted.
    pub encode_errors: Mutex<VecDeque<MediaError>>,
    /// What watching chains needs.
    pub watch: watch::Watch,
}

/// A job of the other service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What makes two orders one.
    pub token: String,
    /// Where it writes, within the video's folder.
    pub folder: String,
    /// How it is.
    pub state: JobState,
}

/// A contract wallet's good signature: chain, wallet, digest and the signature itself.
pub type Signed = (u64, Address, [u8; 32], Vec<u8>);

struct Rival(Box<dyn FnOnce(&Memory) + Send>);

impl std::fmt::Debug for Rival {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Rival")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Memory {
    /// Makes the next `times` calls of `method`, as in `video.get`, fail before they do anything.
    pub fn fail(&self, method: &'static str, times: u32) {
        self.fail_after(method, 0, times);
    }

    /// The same, after `survived` more calls that go well.
    pub fn fail_after(&self, method: &'static str, survived: u32, times: u32) {
        lock(&self.faults).insert(method, (survived, times));
    }

    /// Does `step` once, just before the next call of `method`: a rival, in the middle of it all.
    pub fn meanwhile(&self, method: &'static str, step: impl FnOnce(&Self) + Send + 'static) {
        lock(&self.rivals).insert(method, Rival(Box::new(step)));
    }

    async fn step(&self, method: &'static str) -> Result<(), PortError> {
        yield_once().await;
        let rival = lock(&self.rivals).remove(method);
        if let Some(Rival(step)) = rival {
            step(self);
        }
        match lock(&self.faults).get_mut(method) {
            Some((survived, _)) if *survived > 0 => {
                *survived -= 1;
                Ok(())
            }
            Some((_, left)) if *left > 0 => {
                *left -= 1;
                Err(PortError::new("memory", method))
            }
            _ => Ok(()),
        }
    }
}

/// Lets whatever else is ready go first.
async fn yield_once() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Clock for Memory {
    fn now(&self) -> Seconds {
        self.now.load(Ordering::SeqCst)
    }
}

impl Random for Memory {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        // The first four bytes tell them apart, as they do of what is random.
        let count = (self.counter.fetch_add(1, Ordering::SeqCst) as u32).to_be_bytes();
        let mut bytes = [0; N];
        for (byte, count) in bytes.iter_mut().zip(count.iter().cycle()) {
            // With letters among the hex digits.
            *byte = *count ^ 0xa5;
        }
        bytes
    }
}

impl NonceStore for Memory {
    async fn use_up(&self, nonce: &str, _: Seconds) -> Result<bool, PortError> {
        self.step("nonce.use_up").await?;
        Ok(lock(&self.nonces).insert(nonce.to_owned()))
    }
}

impl EndedSessions for Memory {
    async fn end(&self, id: &str, _: Seconds) -> Result<(), PortError> {
        self.step("session.end").await?;
        lock(&self.ended).insert(id.to_owned());
        Ok(())
    }

    async fn is_ended(&self, id: &str) -> Result<bool, PortError> {
        self.step("session.is_ended").await?;
        Ok(lock(&self.ended).contains(id))
    }
}

impl VideoStore for Memory {
    async fn create(&self, video: &Video) -> Result<(), PortError> {
        self.step("video.create").await?;
        lock(&self.videos).insert(video.id.clone(), video.clone());
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Video>, PortError> {
        self.step("video.get").await?;
        Ok(lock(&self.videos).get(id).cloned())
    }

    async fn list(&self, owner: Wallet) -> Result<Vec<Video>, PortError> {
        self.step("video.list").await?;
        let videos = lock(&self.videos);
        let mut own: Vec<_> = videos.values().filter(|video| video.owner == owner).collect();
        own.sort_by_key(|video| std::cmp::Reverse(video.created_at));
        Ok(own.into_iter().cloned().collect())
    }

    async fn advance(
        &self,
        id: &str,
        from: &[Stage],
        change: &Change,
        now: Seconds,
    ) -> Result<bool, PortError> {
        self.step("video.advance").await?;
        let mut videos = lock(&self.videos);
        let Some(video) = videos.get_mut(id).filter(|video| from.contains(&video.stage)) else {
            return Ok(false);
        };
        video.stage = change.stage();
        video.updated_at = now;
        match change {
            Change::Transcoding { plan, duration_seconds } => {
                video.tasks_total = u32::try_from(plan.works().len()).unwrap_or(u32::MAX);
                video.plan = Some(plan.clone());
                video.planned_at = Some(now);
                video.duration_seconds = Some(*duration_seconds);
            }
            Change::Growing { segments } => video.segments_shown = *segments,
            Change::Failed { reason, redrivable } => {
                video.reason = Some(reason.clone());
                video.redrivable = *redrivable;
            }
            Change::Ready => video.reason = None,
            _ => {}
        }
        Ok(true)
    }

    async fn set_policy(
        &self,
        id: &str,
        revision: u64,
        policy: Option<&Policy>,
        now: Seconds,
    ) -> Result<bool, PortError> {
        self.step("video.set_policy").await?;
        let mut videos = lock(&self.videos);
        let Some(video) = videos.get_mut(id).filter(|video| video.policy_revision == revision)
        else {
            return Ok(false);
        };
        video.policy = policy.cloned();
        video.policy_revision += 1;
        video.updated_at = now;
        Ok(true)
    }

    async fn set_subtitles(
        &self,
        id: &str,
        before: &BTreeMap<String, Uploaded>,
        after: &BTreeMap<String, Uploaded>,
        now: Seconds,
    ) -> Result<bool, PortError> {
        self.step("video.set_subtitles").await?;
        let mut videos = lock(&self.videos);
        let stays =
            |video: &&mut Video| video.stage != Stage::Deleting && video.subtitles == *before;
        let Some(video) = videos.get_mut(id).filter(stays) else { return Ok(false) };
        video.subtitles.clone_from(after);
        video.updated_at = now;
        Ok(true)
    }

    async fn remove(&self, id: &str) -> Result<(), PortError> {
        self.step("video.remove").await?;
        lock(&self.videos).remove(id);
        Ok(())
    }
}

impl ConversionStore for Memory {
    async fn replace(
        &self,
        video: &str,
        from: Option<&Conversion>,
        to: &Conversion,
        now: Seconds,
    ) -> Result<bool, PortError> {
        self.step("conversion.replace").await?;
        let mut videos = lock(&self.videos);
        let fits = |video: &&mut Video| video.is_open() && video.conversion.as_ref() == from;
        let Some(video) = videos.get_mut(video).filter(fits) else { return Ok(false) };
        video.conversion = Some(to.clone());
        video.updated_at = now;
        Ok(true)
    }
}

impl TaskStore for Memory {
    async fn create(&self, task: &Task) -> Result<(), PortError> {
        self.step("task.create").await?;
        let key = (task.video.clone(), task.task.clone());
        lock(&self.tasks).entry(key).or_insert_with(|| task.clone());
        Ok(())
    }

    async fn get(&self, video: &str, task: &str) -> Result<Option<Task>, PortError> {
        self.step("task.get").await?;
        Ok(lock(&self.tasks).get(&(video.to_owned(), task.to_owned())).cloned())
    }

    async fn list(&self, video: &str) -> Result<Vec<Task>, PortError> {
        self.step("task.list").await?;
        let tasks = lock(&self.tasks);
        Ok(tasks.values().filter(|task| task.video == video).cloned().collect())
    }

    async fn finish(
        &self,
        video: &str,
        task: &str,
        output: &[Piece],
        now: Seconds,
    ) -> Result<bool, PortError> {
        self.step("task.finish").await?;
        let mut videos = lock(&self.videos);
        let mut tasks = lock(&self.tasks);
        let video = videos.get_mut(video).filter(|video| video.is_open());
        let Some(video) = video else { return Ok(false) };
        let key = (video.id.clone(), task.to_owned());
        match tasks.get_mut(&key).filter(|task| task.output.is_none()) {
            Some(task) => {
                task.output = Some(output.to_vec());
                video.tasks_done += 1;
                video.updated_at = now;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn remove(&self, video: &str) -> Result<(), PortError> {
        self.step("task.remove").await?;
        lock(&self.tasks).retain(|(owner, _), _| owner != video);
        Ok(())
    }
}

impl UploadStore for Memory {
    async fn start(&self, key: &str, _: &str) -> Result<String, PortError> {
        self.step("upload.start").await?;
        lock(&self.parts).insert(key.to_owned(), Vec::new());
        Ok(format!("upload of {key}"))
    }

    async fn part_url(
        &self,
        key: &str,
        _: &str,
        part: Part,
        _: Seconds,
    ) -> Result<String, PortError> {
        Ok(format!("memory:{key}/{}", part.number))
    }

    async fn received(&self, key: &str, _: &str) -> Result<Option<Vec<ReceivedPart>>, PortError> {
        self.step("upload.received").await?;
        Ok(lock(&self.parts).get(key).cloned())
    }

    async fn complete(&self, key: &str, _: &str, parts: &[ReceivedPart]) -> Result<(), PortError> {
        self.step("upload.complete").await?;
        lock(&self.parts).remove(key);
        let size = parts.iter().map(|received| received.part.size).sum();
        lock(&self.files).insert(key.to_owned(), size);
        Ok(())
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, PortError> {
        self.step("upload.size").await?;
        Ok(lock(&self.files).get(key).copied())
    }

    async fn source_url(&self, key: &str, _: Seconds) -> Result<String, PortError> {
        self.step("upload.source_url").await?;
        Ok(format!("memory:{key}"))
    }

    async fn remove(&self, key: &str, _: &str) -> Result<(), PortError> {
        self.step("upload.remove").await?;
        lock(&self.parts).remove(key);
        lock(&self.files).remove(key);
        Ok(())
    }
}

impl MediaStore for Memory {
    async fn put(
        &self,
        key: &str,
        _: &str,
        max_age: Seconds,
        body: Vec<u8>,
    ) -> Result<(), PortError> {
        self.step("media.put").await?;
        lock(&self.objects).insert(key.to_owned(), body);
        lock(&self.max_ages).insert(key.to_owned(), max_age);
        Ok(())
    }

    async fn keep_file(
        &self,
        key: &str,
        _: &str,
        _: &Path,
        seal: Option<&Seal>,
    ) -> Result<u64, PortError> {
        self.step("media.keep_file").await?;
        let mut objects = lock(&self.objects);
        let object = objects.entry(key.to_owned()).or_insert_with(|| {
            let plain = vec![0; MADE_UP_BYTES];
            seal.map_or(plain.clone(), |seal| seal.apply(&plain))
        });
        Ok(object.len() as u64)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.step("media.get").await?;
        Ok(lock(&self.objects).get(key).cloned())
    }

    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, PortError> {
        self.step("media.sizes").await?;
        let prefix = format!("{folder}/");
        let objects = lock(&self.objects);
        let found = objects.iter().filter_map(|(key, body)| {
            Some((key.strip_prefix(&prefix)?.to_owned(), body.len() as u64))
        });
        Ok(found.collect())
    }

    async fn remove_folder(&self, folder: &str) -> Result<(), PortError> {
        self.step("media.remove_folder").await?;
        let prefix = format!("{folder}/");
        lock(&self.objects).retain(|key, _| !key.starts_with(&prefix));
        Ok(())
    }
}

impl Queue<TaskMessage> for Memory {
    async fn send_later(&self, message: &TaskMessage, _: Seconds) -> Result<(), PortError> {
        self.step("tasks.send").await?;
        lock(&self.task_messages).push_back(message.clone());
        Ok(())
    }
}

impl Queue<PublishMessage> for Memory {
    async fn send_later(&self, message: &PublishMessage, _: Seconds) -> Result<(), PortError> {
        self.step("publish.send").await?;
        lock(&self.publish_messages).push_back(message.clone());
        Ok(())
    }
}

impl Queue<ConvertMessage> for Memory {
    async fn send_later(&self, message: &ConvertMessage, _: Seconds) -> Result<(), PortError> {
        self.step("convert.send").await?;
        lock(&self.convert_messages).push_back(message.clone());
        Ok(())
    }
}

impl Converter for Memory {
    async fn submit(&self, order: &JobOrder<'_>) -> Result<String, MediaError> {
        self.step("job.submit").await.map_err(|error| MediaError::Failed(error.to_string()))?;
        if let Some(error) = lock(&self.encode_errors).pop_front() {
            return Err(error);
        }
        let plan = order.plan.digest();
        let token = conversion::request_token(order.video, &plan, order.attempt);
        let mut jobs = lock(&self.jobs);
        if let Some((id, _)) = jobs.iter().find(|(_, job)| job.token == token) {
            return Ok(id.clone());
        }
        let id = format!("job-{}", jobs.len() + 1);
        let folder = conversion::folder(&plan, order.attempt);
        jobs.insert(id.clone(), Job { token, folder, state: JobState::Running(0) });
        Ok(id)
    }

    async fn cancel(&self, job: &str) -> Result<(), PortError> {
        self.step("job.cancel").await?;
        if let Some(job) = lock(&self.jobs).get_mut(job)
            && matches!(job.state, JobState::Running(_))
        {
            job.state = JobState::Canceled;
        }
        Ok(())
    }

    async fn state(&self, job: &str) -> Result<JobState, PortError> {
        self.step("job.state").await?;
        let state = lock(&self.jobs).get(job).map(|job| job.state.clone());
        state.ok_or_else(|| PortError::new("memory", "there is no such job"))
    }
}

impl Events for Memory {
    async fn emit(&self, event: &Event) -> Result<(), PortError> {
        self.step("events.emit").await?;
        lock(&self.events).push(event.clone());
        Ok(())
    }
}

impl Memory {
    fn fact(&self, answer: Answer, place: Place) -> Fact {
        let place = (!matches!(answer, Answer::Unknown(_))).then_some(place);
        Fact { answer, place, read_at: self.now() }
    }
}

/// A contract of this adapter knows what was arranged, and refuses what no contract knows.
fn unarranged(read: &EvmRead) -> Answer {
    let nonsense = domain::abi::call("streamgateIsNoFunctionOfYours()", &[]);
    match read {
        EvmRead::Call { data, .. } if *data == nonsense => Answer::Refused("reverted".into()),
        _ => Answer::Unknown("no provider answers".into()),
    }
}

impl EvmChains for Memory {
    async fn read(&self, _: u64, at: Option<&Block>, reads: &[EvmRead]) -> Vec<Fact> {
        if self.step("evm.read").await.is_err() {
            return vec![Fact::unknown("no provider answers", self.now()); reads.len()];
        }
        lock(&self.evm_reads).extend_from_slice(reads);
        let height = self.height.load(Ordering::SeqCst);
        let head = Block { number: height, hash: format!("0x{height:064x}") };
        let place = Place::Block(at.cloned().unwrap_or(head));
        let arranged = lock(&self.evm);
        reads
            .iter()
            .map(|read| arranged.get(read).cloned().unwrap_or_else(|| unarranged(read)))
            .map(|answer| self.fact(answer, place.clone()))
            .collect()
    }

    async fn signed(
        &self,
        chain: u64,
        wallet: Address,
        digest: [u8; 32],
        signature: &[u8],
    ) -> Option<bool> {
        self.step("evm.signed").await.ok()?;
        Some(lock(&self.signed).contains(&(chain, wallet, digest, signature.to_vec())))
    }
}

impl SolanaChains for Memory {
    async fn read(&self, _: Genesis, at: Option<u64>, reads: &[SolanaRead]) -> Vec<Fact> {
        if self.step("solana.read").await.is_err() {
            return vec![Fact::unknown("no provider answers", self.now()); reads.len()];
        }
        let slot = at.unwrap_or_default().max(self.height.load(Ordering::SeqCst));
        let arranged = lock(&self.solana);
        reads
            .iter()
            .map(|read| match (arranged.get(read), read) {
                (Some(answer), _) => answer.clone(),
                (None, SolanaRead::Account(_)) => Answer::Absent,
                (None, SolanaRead::Find(_)) => Answer::Keys(Vec::new()),
            })
            .map(|answer| self.fact(answer, Place::Slot(slot)))
            .collect()
    }
}

impl Plugins for Memory {
    async fn ask(&self, question: &PluginRead) -> Fact {
        let down = self.step("plugin.ask").await.is_err();
        let answer = lock(&self.plugins).get(&question.function).filter(|_| !down).cloned();
        let answer =
            answer.unwrap_or_else(|| Answer::Unknown("the plug-in does not answer".into()));
        Fact { answer, place: None, read_at: self.now() }
    }
}

impl FactStore for Memory {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Fact>>, PortError> {
        self.step("facts.get").await?;
        let facts = lock(&self.facts);
        Ok(keys.iter().map(|key| facts.get(key).map(|(fact, _)| fact.clone())).collect())
    }

    async fn put(&self, facts: &[(String, Fact)], until: Seconds) -> Result<(), PortError> {
        self.step("facts.put").await?;
        let news = facts.iter().map(|(key, fact)| (key.clone(), (fact.clone(), until)));
        lock(&self.facts).extend(news);
        Ok(())
    }

    async fn evict(&self, keys: &[String]) -> Result<(), PortError> {
        self.step("facts.evict").await?;
        let mut facts = lock(&self.facts);
        keys.iter().for_each(|key| drop(facts.remove(key)));
        Ok(())
    }
}

impl Transcoder for Memory {
    async fn probe(&self, _: &str) -> Result<Probe, MediaError> {
        self.step("media.probe").await.map_err(|error| MediaError::Failed(error.to_string()))?;
        let arranged = lock(&self.probe).clone();
        arranged.unwrap_or_else(|| Err(MediaError::Failed("no probe was arranged".into())))
    }

    async fn measure(&self, _: &str, _: &TranscodePlan) -> Result<f64, MediaError> {
        self.step("media.measure").await.map_err(|error| MediaError::Failed(error.to_string()))?;
        Ok(MEASURED)
    }

    async fn encode(&self, _: &str, work: &Work) -> Result<Encoded, MediaError> {
        self.step("media.encode").await.map_err(|error| MediaError::Failed(error.to_string()))?;
        if let Some(error) = lock(&self.encode_errors).pop_front() {
            return Err(error);
        }
        let pieces = work.tracks().into_iter().map(|track| made_up(work, track)).collect();
        Ok(Encoded { pieces, directory: "/nowhere".into(), folder: Folder(Box::new(())) })
    }
}

/// Every film takes this much of what is reckoned with.
pub const MEASURED: f64 = 0.5;

/// The size of every segment that is made up.
const MADE_UP_BYTES: usize = 1000;

/// A piece of a track as an encoder would measure it, one tick to a frame.
fn made_up(work: &Work, track: &str) -> Piece {
    let grid = work.grid();
    let (codecs, kind, segments) = match work {
        Work::Video { renditions, segments, .. } => {
            let made = renditions.iter().find(|rendition| rendition.name == track);
            let (width, height) =
                made.map_or((0, 0), |rendition| (rendition.width, rendition.height));
            let kind = TrackKind::Video { width, height, frame_rate: grid.frame_rate };
            ("avc1.64001f", kind, segments.clone())
        }
        Work::Audio { sound, .. } => {
            let (channels, stream, label) = (sound.channels, sound.stream, sound.label.clone());
            let kind = TrackKind::Audio { channels, sample_rate: 48_000, stream, label };
            ("mp4a.40.2", kind, 0..grid.segments())
        }
        Work::Text { text, .. } => {
            ("", TrackKind::Text { label: text.label.clone() }, 0..grid.segments())
        }
    };
    let first_segment = segments.start;
    let segments = segments
        .map(|segment| {
            let frames = grid.frames_of(&(segment..segment + 1));
            EncodedSegment {
                duration_ticks: frames.end - frames.start,
                bytes: MADE_UP_BYTES as u64,
                key_bytes: 100,
            }
        })
        .collect();
    let timescale = grid.frame_rate.value().round() as u32;
    let encoded = EncodedTrack { codecs: codecs.into(), timescale, kind, segments };
    // The same input always gives the same output here, as it should anywhere.
    let (track, init) = (track.to_owned(), "0123".into());
    Piece { track, init, first_segment, encoded, elsewhere: None }
}
