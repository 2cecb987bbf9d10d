//! What the use cases need from outside: one small trait per capability.
//!
//! Every method fails with [`PortError`] when the outside can't be reached or makes no sense;
//! what is simply absent, or lost a race, is part of the answer.
#![expect(async_fn_in_trait, reason = "callers are generic over concrete adapters")]

use domain::Seconds;
use domain::account::{Address, ChainId, Genesis, Pubkey, Wallet};
use domain::conversion::{Conversion, JobState};
use domain::encryption::Seal;
use domain::fact::{Block, EvmRead, Fact, PluginRead, SolanaRead};
use domain::grant::{Ended, Grant, GrantId};
use domain::keyring::{Key, KeyKind, Keyring};
use domain::ladder::{Probe, TranscodePlan, Work};
use domain::lease::Sheet;
use domain::policy::Policy;
use domain::presentation::Piece;
use domain::subtitle::Uploaded;
use domain::transfer::Log;
use domain::upload::Part;
use domain::video::{Stage, Task, Video};
use domain::watch::Cursor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The outside failed. The text is for the log, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{system}: {cause}")]
pub struct PortError {
    /// Which outside system.
    pub system: &'static str,
    /// What it said.
    pub cause: String,
}

impl PortError {
    /// A failure of `system`.
    pub fn new(system: &'static str, cause: impl ToString) -> Self {
        Self { system, cause: cause.to_string() }
    }
}

/// What time it is.
pub trait Clock {
    /// Unix seconds.
    fn now(&self) -> Seconds;
}

/// Where unguessable bytes come from.
pub trait Random {
    /// `N` of them.
    fn bytes<const N: usize>(&self) -> [u8; N];
}

/// The system's clock and random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Seconds {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

impl Random for System {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        use p256::elliptic_curve::rand_core::{OsRng, RngCore};
        let mut bytes = [0; N];
        OsRng.fill_bytes(&mut bytes);
        bytes
    }
}

/// Remembers used nonces.
pub trait NonceStore {
    /// Uses a nonce up; true for exactly one caller.
    async fn use_up(&self, nonce: &str, expires_at: Seconds) -> Result<bool, PortError>;
}

/// Remembers who signed out.
pub trait EndedSessions {
    /// Ends a session of which no token lasts longer than `until`.
    async fn end(&self, id: &str, until: Seconds) -> Result<(), PortError>;
    /// Whether it was ended, as of now (strongly consistent).
    async fn is_ended(&self, id: &str) -> Result<bool, PortError>;
}

/// The videos.
pub trait VideoStore {
    /// Writes a new one.
    async fn create(&self, video: &Video) -> Result<(), PortError>;
    /// Reads one, as of now (strongly consistent).
    async fn get(&self, id: &str) -> Result<Option<Video>, PortError>;
    /// An owner's, newest first, at most 100.
    async fn list(&self, owner: Wallet) -> Result<Vec<Video>, PortError>;
    /// Moves a video on if it is still in one of the stages `from`; false if it is not.
    async fn advance(
        &self,
        id: &str,
        from: &[Stage],
        change: &Change,
        now: Seconds,
    ) -> Result<bool, PortError>;
    /// Sets the policy and raises its revision, if nobody else did since `revision`.
    async fn set_policy(
        &self,
        id: &str,
        revision: u64,
        policy: Option<&Policy>,
        now: Seconds,
    ) -> Result<bool, PortError>;
    /// Sets which subtitles were uploaded, if they still are `before` and the video stays.
    async fn set_subtitles(
        &self,
        id: &str,
        before: &BTreeMap<String, Uploaded>,
        after: &BTreeMap<String, Uploaded>,
        now: Seconds,
    ) -> Result<bool, PortError>;
    /// Forgets one.
    async fn remove(&self, id: &str) -> Result<(), PortError>;
}

/// The jobs that videos wait for, each kept with its video.
pub trait ConversionStore {
    /// Puts `to` in the place of `from` (none: there was none yet), if the video still is open and
    /// nobody else was quicker; false if not.
    async fn replace(
        &self,
        video: &str,
        from: Option<&Conversion>,
        to: &Conversion,
        now: Seconds,
    ) -> Result<bool, PortError>;
}

/// A move from one stage to another, with what comes with it.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The file is whole.
    Uploaded,
    /// The work is planned.
    Transcoding {
        /// Into what; the first plan that is written counts.
        plan: TranscodePlan,
        /// How long the film is.
        duration_seconds: f64,
    },
    /// Its beginning can be watched.
    Growing {
        /// How many segments of it.
        segments: u64,
    },
    /// It can be watched.
    Ready,
    /// It can't become ready.
    Failed {
        /// Why, for the creator.
        reason: String,
        /// Whether a message in a dead-letter queue may still finish it.
        redrivable: bool,
    },
    /// Its objects are being removed.
    Deleting,
}

impl Change {
    /// The stage it leads to.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Uploaded => Stage::Uploaded,
            Self::Transcoding { .. } | Self::Growing { .. } => Stage::Transcoding,
            Self::Ready => Stage::Ready,
            Self::Failed { .. } => Stage::Failed,
            Self::Deleting => Stage::Deleting,
        }
    }
}

/// The tasks of a transcode.
pub trait TaskStore {
    /// Writes a task unless it is there already.
    async fn create(&self, task: &Task) -> Result<(), PortError>;
    /// Reads one.
    async fn get(&self, video: &str, task: &str) -> Result<Option<Task>, PortError>;
    /// All of a video's, by name.
    async fn list(&self, video: &str) -> Result<Vec<Task>, PortError>;
    /// Records a task's output and counts it on the video, both or neither; false if it was
    /// recorded before or the video is no longer transcoding.
    async fn finish(
        &self,
        video: &str,
        task: &str,
        output: &[Piece],
        now: Seconds,
    ) -> Result<bool, PortError>;
    /// Forgets all of a video's.
    async fn remove(&self, video: &str) -> Result<(), PortError>;
}

/// The grants.
pub trait GrantStore {
    /// Writes a new one.
    async fn create(&self, grant: &Grant) -> Result<(), PortError>;
    /// Reads one, as of now (strongly consistent); it may be over.
    async fn get(&self, id: &GrantId) -> Result<Option<Grant>, PortError>;
    /// Writes what the last decision says of it; false if it was ended meanwhile.
    async fn renew(&self, grant: &Grant) -> Result<bool, PortError>;
    /// Ends one; false for one that was ended before, which stays as it was.
    async fn end(&self, id: &GrantId, ended: &Ended) -> Result<bool, PortError>;
    /// The live ones of a wallet, linked or not. One of the last second may be missing.
    async fn of_wallet(&self, wallet: Wallet, now: Seconds) -> Result<Vec<Grant>, PortError>;
    /// The live ones of a video. One of the last second may be missing.
    async fn of_video(&self, video: &str, now: Seconds) -> Result<Vec<Grant>, PortError>;
    /// The leases' sheets, one for each subject, as of now; empty where there is none.
    async fn sheets(&self, subjects: &[String]) -> Result<Vec<Sheet>, PortError>;
    /// Writes sheets, all or none, if each still is at its revision; false if one is not.
    async fn write_sheets(&self, sheets: &[Sheet]) -> Result<bool, PortError>;
}

/// Where source files arrive (S3 multipart).
pub trait UploadStore {
    /// Starts an upload; answers with its id.
    async fn start(&self, key: &str, content_type: &str) -> Result<String, PortError>;
    /// An address to which exactly this part may be PUT for `lifetime` seconds.
    async fn part_url(
        &self,
        key: &str,
        upload: &str,
        part: Part,
        lifetime: Seconds,
    ) -> Result<String, PortError>;
    /// The parts that have arrived; `None` when the upload is over or unknown.
    async fn received(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<Option<Vec<ReceivedPart>>, PortError>;
    /// Joins the parts.
    async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &[ReceivedPart],
    ) -> Result<(), PortError>;
    /// The size of the joined file, if it is there.
    async fn size(&self, key: &str) -> Result<Option<u64>, PortError>;
    /// An address from which the file can be read for `lifetime` seconds. A secret: not for logs.
    async fn source_url(&self, key: &str, lifetime: Seconds) -> Result<String, PortError>;
    /// Ends an unfinished upload and removes the file, whichever there is.
    async fn remove(&self, key: &str, upload: &str) -> Result<(), PortError>;
}

/// A part that S3 has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedPart {
    /// Its number and size.
    pub part: Part,
    /// S3's tag for it.
    pub etag: String,
}

/// Where segments and playlists lie (S3, read by CloudFront).
pub trait MediaStore {
    /// Writes an object that caches keep for so many seconds.
    async fn put(
        &self,
        key: &str,
        content_type: &str,
        max_age: Seconds,
        body: Vec<u8>,
    ) -> Result<(), PortError>;
    /// Writes a file as an object that never changes: what is there already stays. Answers with the
    /// size of what is there then. With a seal, what is written is the encrypted file.
    async fn keep_file(
        &self,
        key: &str,
        content_type: &str,
        path: &Path,
        seal: Option<&Seal>,
    ) -> Result<u64, PortError>;
    /// Reads an object.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError>;
    /// The names of all objects under a folder, without it, and their sizes in bytes.
    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, PortError>;
    /// Removes every object under a folder.
    async fn remove_folder(&self, folder: &str) -> Result<(), PortError>;
}

/// Sends a message to the next worker.
pub trait Queue<Message> {
    /// At least once, in no order.
    async fn send(&self, message: &Message) -> Result<(), PortError> {
        self.send_later(message, 0).await
    }
    /// As [`Queue::send`], to be worked on after so many seconds, at most 900; 0 in a FIFO queue.
    async fn send_later(&self, message: &Message, seconds: Seconds) -> Result<(), PortError>;
}

/// Tells the world what happened (EventBridge).
pub trait Events {
    /// Tells it, after it is so. A fault between the two loses the event; the state is the truth.
    async fn emit(&self, event: &Event) -> Result<(), PortError>;
}

/// What the world is told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "event")]
pub enum Event {
    /// A video can be watched.
    VideoReady {
        /// Its id.
        video: String,
    },
    /// A video failed.
    VideoFailed {
        /// Its id.
        video: String,
        /// Why.
        reason: String,
    },
}

/// A chain and where it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct ChainSettings {
    /// Its name (CAIP-2).
    pub chain: ChainId,
    /// JSON-RPC addresses; they may hold keys.
    pub rpc: Vec<String>,
    /// How many of them must give the same answer.
    pub quorum: usize,
    /// How many blocks must lie on top of the one that is read. EVM chains only.
    pub confirmations: u64,
}

impl std::fmt::Debug for ChainSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { chain, rpc, quorum, .. } = self;
        write!(out, "ChainSettings({chain}, {quorum} of {})", rpc.len())
    }
}

/// Reads EVM chains. Never fails: what can't be learned is [`domain::fact::Answer::Unknown`].
pub trait EvmChains {
    /// One fact per read, in order, all of one block: `at`, where an earlier round of the same
    /// decision was, or the chain's shared head.
    async fn read(&self, chain: u64, at: Option<&Block>, reads: &[EvmRead]) -> Vec<Fact>;
    /// Whether a contract wallet, deployed (EIP-1271) or not yet (EIP-6492), says that `signature`
    /// over `digest` is its own; `None` when that can't be learned.
    async fn signed(
        &self,
        chain: u64,
        wallet: Address,
        digest: [u8; 32],
        signature: &[u8],
    ) -> Option<bool>;
}

/// Reads Solana clusters. Never fails: what can't be learned is
/// [`domain::fact::Answer::Unknown`].
pub trait SolanaChains {
    /// One fact per read, in order, of slot `at` or later.
    async fn read(&self, chain: Genesis, at: Option<u64>, reads: &[SolanaRead]) -> Vec<Fact>;
}

/// Asks plug-ins.
pub trait Plugins {
    /// What one says; unknown when it can't be reached in time or makes no sense.
    async fn ask(&self, question: &PluginRead) -> Fact;
}

/// Keeps facts for a while.
pub trait FactStore {
    /// One per key, in order. One that is over may be among them: whoever reads looks at its time.
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Fact>>, PortError>;
    /// Keeps facts until some time.
    async fn put(&self, facts: &[(String, Fact)], until: Seconds) -> Result<(), PortError>;
    /// Forgets facts: what they tell of has changed.
    async fn evict(&self, keys: &[String]) -> Result<(), PortError>;
}

/// Waits. Use cases that last need it, and have no clock of their own to wait by.
pub trait Pace {
    /// For so many seconds.
    async fn wait(&self, seconds: Seconds);
}

/// Who is at work on what only one may be at work on.
pub trait Leases {
    /// Takes a lease until some time, or renews it for the holder; false if another has it.
    async fn take(
        &self,
        name: &str,
        holder: &str,
        now: Seconds,
        until: Seconds,
    ) -> Result<bool, PortError>;
    /// Gives it back, if it is the holder's.
    async fn release(&self, name: &str, holder: &str) -> Result<(), PortError>;
}

/// How far chains have been followed.
pub trait Cursors {
    /// Reads one, as of now.
    async fn get(&self, chain: ChainId) -> Result<Option<Cursor>, PortError>;
    /// Writes one with the next revision, if its own is the newest; false if it is not. A revision
    /// of 0 was never written.
    async fn put(&self, cursor: &Cursor) -> Result<bool, PortError>;
}

/// The policies of all videos.
pub trait Policies {
    /// Each with its video's id. Those of videos that are being deleted may be missing.
    async fn all(&self) -> Result<Vec<(String, Policy)>, PortError>;
}

/// A block, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// Which.
    pub block: Block,
    /// Its own word for its time.
    pub time: Seconds,
}

/// Logs of a stretch of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    /// Each once, in no order.
    pub logs: Vec<Log>,
    /// Whether there are more than are told.
    pub more: bool,
}

/// Follows EVM chains.
pub trait EvmLogs {
    /// The newest block that a quorum of providers has. Fails also where it is old.
    async fn newest(&self, chain: u64) -> Result<Tip, PortError>;
    /// The block that a quorum has at a height.
    async fn at(&self, chain: u64, number: u64) -> Result<Tip, PortError>;
    /// What any provider says was logged by `contracts`, of [`domain::transfer::topics`], from a
    /// height to `to`; by at least a quorum of them, each of which has `to`. `None` if they refuse
    /// so many blocks at once.
    async fn logs(
        &self,
        chain: u64,
        from: u64,
        to: &Block,
        contracts: &[Address],
    ) -> Result<Option<Logs>, PortError>;
}

/// A grant that rests on accounts of a Solana cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Its id.
    pub grant: GrantId,
    /// The accounts that it was decided by.
    pub accounts: Vec<Pubkey>,
}

/// The grants that can still be used.
pub trait LiveGrants {
    /// Those that rest on a Solana cluster, with what they rest on.
    async fn resting_on(&self, chain: Genesis) -> Result<Vec<Resting>, PortError>;
    /// The ids of those that are to be decided again by now, the longest overdue first; not all at
    /// once, if there are many.
    async fn due(&self, now: Seconds) -> Result<Vec<GrantId>, PortError>;
}

/// Deliveries that have been worked on.
pub trait Deliveries {
    /// Whether one has been.
    async fn is_done(&self, id: &str) -> Result<bool, PortError>;
    /// One has been; remembered until some time.
    async fn done(&self, id: &str, until: Seconds) -> Result<(), PortError>;
}

/// Why media work failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The input's fault: trying again won't help. The reason is for the creator.
    #[error("refused: {0}")]
    Refused(String),
    /// Worth another try.
    #[error("failed: {0}")]
    Failed(String),
}

/// Looks at films and encodes them.
pub trait Transcoder {
    /// What is in the file behind `source_url`.
    async fn probe(&self, source_url: &str) -> Result<Probe, MediaError>;
    /// How many bits the film takes, beside those that the plan reckons with: 1 is as many.
    async fn measure(&self, source_url: &str, plan: &TranscodePlan) -> Result<f64, MediaError>;
    /// Encodes one task's part; segments appear in the answer's folder until it is dropped.
    async fn encode(&self, source_url: &str, work: &Work) -> Result<Encoded, MediaError>;
}

/// Has whole films converted by jobs of another service, which tells by events how far they are.
pub trait Converter {
    /// Starts a job. The same order again within a minute is the same job; later it may be another.
    /// Answers with its id.
    async fn submit(&self, order: &JobOrder<'_>) -> Result<String, MediaError>;
    /// Ends a job; one that is over stays as it is.
    async fn cancel(&self, job: &str) -> Result<(), PortError>;
    /// How it is.
    async fn state(&self, job: &str) -> Result<JobState, PortError>;
}

/// What a job is to do; where its files go follows from it, see [`domain::conversion`].
#[derive(Debug, Clone, Copy)]
pub struct JobOrder<'a> {
    /// The video.
    pub video: &'a str,
    /// What to make.
    pub plan: &'a TranscodePlan,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// The files that a task made: of each piece its init segment, or the whole of a text, and its
/// segments, in a folder of its track's name; and its images.
#[derive(Debug)]
pub struct Encoded {
    /// What they hold.
    pub pieces: Vec<Piece>,
    /// Where the tracks' folders are.
    pub directory: PathBuf,
    /// Keeps them until they are stored.
    pub folder: Folder,
}

/// Something that removes a folder when it is dropped.
pub struct Folder(pub Box<dyn std::any::Any + Send + Sync>);

impl std::fmt::Debug for Folder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Folder")
    }
}

// ---- Keys and what they sign ----

/// Where keyrings lie (Secrets Manager).
pub trait KeyringStore {
    /// The keyring of that kind as of now, empty if there is none yet.
    async fn load(&self, kind: KeyKind) -> Result<StoredKeyring, PortError>;
    /// Puts `keyring` in the place of what was loaded; false if somebody else was quicker.
    async fn replace(
        &self,
        kind: KeyKind,
        loaded: &StoredKeyring,
        keyring: &Keyring,
    ) -> Result<bool, PortError>;
}

/// A keyring, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredKeyring {
    /// The store's name of the version; none while nothing was ever written.
    pub version: Option<String>,
    /// The keys.
    pub keyring: Keyring,
}

/// The master keys of content.
pub trait ContentKeys {
    /// The name of the one for new films.
    async fn newest(&self) -> Result<String, PortError>;
    /// The key of that name, however old.
    async fn key(&self, id: &str) -> Result<[u8; 32], PortError>;
}

/// Where the keys of a kind must be known before they are used: CloudFront's key group, the edge's
/// key-value store, or nowhere.
pub trait KeyPlace {
    /// Its version. Looked at before the keyring is loaded, so that nobody who was slow puts older
    /// keys in the place of newer ones.
    async fn look(&self) -> Result<Option<String>, PortError>;
    /// Makes it hold exactly these keys, if it still has that version; `None` if not. It is done
    /// when the place has taken all of it. Answers with the names it gave, by the keys' ids.
    async fn publish(
        &self,
        seen: Option<&str>,
        keys: &[Key],
    ) -> Result<Option<Vec<(String, String)>>, PortError>;
}

/// For keys that only our own functions know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl KeyPlace for Nowhere {
    async fn look(&self) -> Result<Option<String>, PortError> {
        Ok(None)
    }

    async fn publish(
        &self,
        _: Option<&str>,
        _: &[Key],
    ) -> Result<Option<Vec<(String, String)>>, PortError> {
        Ok(Some(Vec::new()))
    }
}

/// How full the edge's store is. CloudFront's quota is 5 MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// All keys and values, in bytes.
    pub bytes: u64,
    /// How many keys there are.
    pub items: u64,
}

/// What was read of the edge's store, and the version it may be changed at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreRead {
    /// Of the keys that were asked for, those that are there.
    pub values: BTreeMap<String, String>,
    /// The whole store's, from before the values were read: a write at it fails if anything has changed since.
    pub version: String,
}

/// The most puts and deletes of one [`EdgeStore::write`].
pub const MAX_STORE_WRITES: usize = 50;

/// The store that the function at the edge reads: text by key (CloudFront's KeyValueStore).
pub trait EdgeStore {
    /// How full it is.
    async fn size(&self) -> Result<StoreSize, PortError>;
    /// The values of these keys. One call of the service for each.
    async fn get(&self, keys: &[String]) -> Result<StoreRead, PortError>;
    /// Every key and value. One call of the service for each 50.
    async fn all(&self) -> Result<StoreRead, PortError>;
    /// Puts and deletes, all or nothing, if the store is still at `version`. Answers with the version that it is at
    /// then, or `None` when somebody else wrote first: read again. Edges see it within seconds.
    ///
    /// At most [`MAX_STORE_WRITES`] of both together.
    async fn write(
        &self,
        version: &str,
        puts: &BTreeMap<String, String>,
        deletes: &[String],
    ) -> Result<Option<String>, PortError>;
}

/// What the edges have cached.
pub trait Invalidations {
    /// Makes them forget what is at these paths: absolute ones, which may end in `*`.
    async fn invalidate(&self, paths: &[String]) -> Result<(), PortError>;
}
