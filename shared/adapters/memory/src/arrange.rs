//! Scenes that many tests begin with.

use crate::{Memory, lock};
use app::apply_revocations::apply_revocations;
use app::deliver::{Playback, Terms};
use app::follow_job::JobNews;
use app::gate::{Gate, Sharing};
use app::grant_playback::{Viewing, Wish, grant_playback};
use app::plan_transcode::{ConvertMessage, PublishMessage, TaskMessage, plan_transcode};
use app::ports::{Event, PortError, ReceivedPart};
use app::problem::Error;
use app::publish_video::publish_video;
use app::renew_grant::renew_grant;
use app::review_grants::{ReviewMessage, review_grants};
use app::run_task::run_task;
use app::sign_playlist::Signer;
use domain::Seconds;
use domain::abi;
use domain::account::{Account, Address, ChainId, Wallet};
use domain::condition::{Bounds, Condition, Erc721};
use domain::conversion::{self, JobState};
use domain::decision::{Freshness, Verdict};
use domain::edge_token::EdgeKey;
use domain::fact::{Answer, EvmRead};
use domain::grant::Carrier;
use domain::label::Label;
use domain::ladder::{
    AudioStream, Ceilings, Extras, Limits, MAX_PIXELS, Picture, Probe, Ratio, VideoStream, Work,
};
use domain::number::U256;
use domain::policy::{Known, Policy, Rule};
use domain::session::{Holder, Session};
use domain::upload::{Part, parts};
use domain::video::{Stage, Task, Video, source_key};
use p256::ecdsa::SigningKey;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

/// When scenes play.
pub const NOW: Seconds = 1_800_000_000;
/// The video of most scenes.
pub const VIDEO: &str = "00112233445566778899aabbccddeeff";
/// The chain that is configured.
pub const CHAIN: ChainId = ChainId::Eip155(1);
/// What policies may name.
pub const KNOWN: Known<'static> = Known { chains: &[CHAIN], plugins: &[] };
/// Who made the video.
pub const CREATOR: Address = Address([0xc1; 20]);
/// Who wants to watch it.
pub const VIEWER: Address = Address([0xb2; 20]);
/// A collection that opens the video.
pub const CONTRACT: Address = Address([0xa3; 20]);
/// Another collection.
pub const OTHER_CONTRACT: Address = Address([0xa4; 20]);
/// The video's size: three parts, the last of them short.
pub const SIZE: u64 = 20 * 1024 * 1024;
/// What the stack accepts.
pub const LIMITS: Limits = Limits {
    max_duration_seconds: 60,
    max_pixels: MAX_PIXELS,
    chunk_seconds: 8,
    segment_seconds: 4,
    extras: Extras::NONE,
    ceilings: Ceilings::Fixed,
    key_seconds: 8,
};

/// That wallet on the configured chain.
pub fn account(address: Address) -> Account {
    Account { chain: CHAIN, wallet: Wallet::Evm(address) }
}

/// That wallet, signed in with its own key.
pub fn session(address: Address) -> Session {
    Session::new("n", Holder::with_key(account(address)), NOW + 3600)
}

/// A condition that asks for one token of a collection.
pub fn holds_one(contract: Address) -> Rule {
    Rule::Condition(Condition::Erc721(Erc721 {
        chain: 1,
        contract,
        count: Bounds { min: U256::ONE, max: None },
        ids: Vec::new(),
        traits: Vec::new(),
        delegated: false,
    }))
}

/// The policy of one such condition.
pub fn policy(contract: Address) -> Policy {
    Policy::new(holds_one(contract))
}

/// A video in some stage, with the policy that asks for [`CONTRACT`].
pub fn video(stage: Stage) -> Video {
    Video {
        id: VIDEO.into(),
        title: "A film".into(),
        owner: Wallet::Evm(CREATOR),
        stage,
        reason: None,
        redrivable: false,
        size: SIZE,
        content_type: "video/mp4".into(),
        upload_id: "upload".into(),
        duration_seconds: None,
        policy: Some(policy(CONTRACT)),
        policy_revision: 1,
        subtitles: std::collections::BTreeMap::new(),
        tasks_total: 0,
        tasks_done: 0,
        encryption: None,
        plan: None,
        planned_at: None,
        conversion: None,
        segments_shown: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Ten seconds of 720p with sound, three segments of each of its tracks: the picture is two tasks,
/// and the sound one.
pub fn film() -> Probe {
    Probe {
        duration_seconds: 10.0,
        start_micros: 0,
        video: Some(VideoStream {
            width: 1280,
            height: 720,
            frame_rate: Ratio::new(25, 1),
            codec: "h264".into(),
            picture: Picture::default(),
        }),
        audio: vec![AudioStream {
            stream: 0,
            codec: "aac".into(),
            channels: 2,
            default: true,
            label: Label::default(),
        }],
        texts: vec![],
    }
}

/// What a gate of most scenes goes by.
pub const FRESHNESS: Freshness =
    Freshness { event: 60, timer: 60, negative: 5, steady: 3600, grace: 0, recheck: 600 };

/// How a collection is asked for a wallet's tokens.
pub fn balance_of(contract: Address, holder: Address) -> EvmRead {
    let data = abi::call("balanceOf(address)", &[abi::address(holder)]);
    EvmRead::Call { to: contract, data }
}

impl Memory {
    /// Empty, at [`NOW`].
    pub fn fresh() -> Self {
        let memory = Self::default();
        memory.now.store(NOW, Ordering::SeqCst);
        memory
    }

    /// With one [`video`] in some stage, its parts or its file where they are then, and a [`film`]
    /// in it.
    pub fn with_video(stage: Stage) -> Self {
        let memory = Self::fresh();
        memory.put(video(stage));
        match stage {
            Stage::Uploading => {
                lock(&memory.parts).insert(source_key(VIDEO), Vec::new());
            }
            _ => {
                lock(&memory.files).insert(source_key(VIDEO), SIZE);
            }
        }
        *lock(&memory.probe) = Some(Ok(film()));
        memory
    }

    /// Puts a video in.
    pub fn put(&self, video: Video) {
        lock(&self.videos).insert(video.id.clone(), video);
    }

    /// Changes [`VIDEO`], past every rule.
    pub fn change(&self, change: impl FnOnce(&mut Video)) {
        if let Some(video) = lock(&self.videos).get_mut(VIDEO) {
            change(video);
        }
    }

    /// [`VIDEO`] as it is now.
    pub fn video(&self) -> Option<Video> {
        lock(&self.videos).get(VIDEO).cloned()
    }

    /// Its stage.
    pub fn stage(&self) -> Option<Stage> {
        self.video().map(|video| video.stage)
    }

    /// Sets a new policy on [`VIDEO`], as its owner would.
    pub fn new_policy(&self, policy: Option<Policy>) {
        self.change(|video| {
            video.policy = policy;
            video.policy_revision += 1;
        });
    }

    /// Lets parts of [`VIDEO`] arrive, with these sizes from number 1 on.
    pub fn receive(&self, sizes: &[u64]) {
        let received = (1..)
            .zip(sizes)
            .map(|(number, size)| ReceivedPart {
                part: Part { number, size: *size },
                etag: format!("\"{number}\""),
            })
            .collect();
        lock(&self.parts).insert(source_key(VIDEO), received);
    }

    /// Lets all parts of [`VIDEO`] arrive.
    pub fn receive_all(&self) {
        let sizes: Vec<_> = parts(SIZE).iter().map(|part| part.size).collect();
        self.receive(&sizes);
    }

    /// What the chain says of a holder from now on: one token, none, or nothing at all. It is a
    /// new block, and whoever watches the chain forgets what was known of the two.
    pub fn holds(&self, contract: Address, holder: Address, verdict: Verdict) {
        let read = balance_of(contract, holder);
        let answer = match verdict {
            Verdict::Yes => Answer::Bytes(abi::uint(U256::ONE).to_vec()),
            Verdict::No => Answer::Bytes(abi::uint(U256::ZERO).to_vec()),
            Verdict::Unknown => Answer::Unknown("no provider answers".into()),
        };
        lock(&self.evm).insert(read.clone(), answer);
        self.height.fetch_add(1, Ordering::SeqCst);
        let question = domain::fact::Question::Evm(1, read);
        self.fact_memory.evict(&question);
        lock(&self.facts).remove(&question.key());
    }

    /// A gate that takes all it needs from here.
    pub fn gate(&self, freshness: Freshness) -> Gate<'_, Self, Self, Self, Self> {
        let memory = &self.fact_memory;
        Gate {
            evm: self,
            solana: self,
            plugins: self,
            store: self,
            memory,
            freshness,
            sharing: Sharing::All,
        }
    }

    /// How many grants there are that nobody ended.
    pub fn grant_count(&self) -> usize {
        lock(&self.grants).values().filter(|grant| grant.ended.is_none()).count()
    }

    /// The names of all media objects.
    pub fn object_names(&self) -> Vec<String> {
        lock(&self.objects).keys().cloned().collect()
    }

    /// A media object.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.objects).get(key).cloned()
    }

    /// The tasks of all videos.
    pub fn all_tasks(&self) -> Vec<Task> {
        lock(&self.tasks).values().cloned().collect()
    }

    /// What the world was told.
    pub fn told(&self) -> Vec<Event> {
        lock(&self.events).clone()
    }

    /// Takes all task messages off their queue.
    pub fn take_task_messages(&self) -> Vec<TaskMessage> {
        lock(&self.task_messages).drain(..).collect()
    }

    /// Takes all publish messages off their queue.
    pub fn take_publish_messages(&self) -> Vec<PublishMessage> {
        lock(&self.publish_messages).drain(..).collect()
    }

    /// Takes all convert messages off their queue.
    pub fn take_convert_messages(&self) -> Vec<ConvertMessage> {
        lock(&self.convert_messages).drain(..).collect()
    }

    /// What a job of [`VIDEO`] tells, which is so from now on: one that is complete has written its
    /// files, two seconds in each segment, as the service names them.
    pub fn job_is(&self, id: &str, attempt: u32, state: JobState) -> JobNews {
        if let Some(job) = lock(&self.jobs).get_mut(id) {
            job.state = state.clone();
            if state == JobState::Complete {
                self.write_output(&format!("v/{VIDEO}/{}", job.folder));
            }
        }
        JobNews { video: VIDEO.into(), attempt, job: id.into(), state }
    }

    fn write_output(&self, folder: &str) {
        let mut sets = String::new();
        let mut objects = lock(&self.objects);
        let plan = lock(&self.videos).get(VIDEO).and_then(|video| video.plan.clone());
        for work in plan.iter().flat_map(domain::ladder::TranscodePlan::works) {
            let is_video = matches!(work, Work::Video { .. });
            let Some(track) = work.tracks().first().copied() else { continue };
            let names = conversion::names(track, is_video);
            for file in [&names.init, &names.segment(1), &names.segment(2)] {
                objects.insert(format!("{folder}/{file}"), vec![0; crate::MADE_UP_BYTES]);
            }
            sets += &format!(
                "<AdaptationSet><Representation codecs=\"{}\"><SegmentTemplate timescale=\"10\" \
                 startNumber=\"1\" initialization=\"{}\" media=\"{}\"><SegmentTimeline>\
                 <S t=\"0\" d=\"20\" r=\"1\"/></SegmentTimeline></SegmentTemplate>\
                 </Representation></AdaptationSet>",
                if is_video { "avc1.64001f" } else { "mp4a.40.2" },
                names.init,
                names.template(),
            );
        }
        let manifest = format!("<MPD type=\"static\"><Period>{sets}</Period></MPD>");
        objects.insert(format!("{folder}/film.mpd"), manifest.into_bytes());
    }

    /// Whether nothing of any video is left. Grants stay until they end; they open nothing.
    pub fn is_empty(&self) -> bool {
        lock(&self.videos).is_empty()
            && lock(&self.tasks).is_empty()
            && lock(&self.parts).is_empty()
            && lock(&self.files).is_empty()
            && lock(&self.objects).is_empty()
    }
}

/// Asks for a grant of ten minutes for [`VIDEO`], as the function does.
///
/// # Errors
/// Those of the use case.
pub async fn watch(memory: &Memory, who: Address) -> Result<Playback, Error> {
    watch_as(memory, &session(who), FRESHNESS).await
}

/// As [`watch`], for whoever is signed in with whatever wallets.
///
/// # Errors
/// Those of the use case.
pub async fn watch_as(
    memory: &Memory,
    caller: &Session,
    freshness: Freshness,
) -> Result<Playback, Error> {
    let wish = Wish { carrier: Carrier::Query, ..Wish::default() };
    watch_with(memory, caller, freshness, &wish).await
}

/// As [`watch_as`], with any wish.
///
/// # Errors
/// Those of the use case.
pub async fn watch_with(
    memory: &Memory,
    caller: &Session,
    freshness: Freshness,
    wish: &Wish,
) -> Result<Playback, Error> {
    let gate = memory.gate(freshness);
    let viewing = Viewing { caller, video: VIDEO, wish };
    grant_playback(memory, memory, memory, memory, memory, &gate, &terms(), &viewing).await
}

/// Renews a grant, as the function does.
///
/// # Errors
/// Those of the use case.
pub async fn renew(memory: &Memory, token: &str) -> Result<Playback, Error> {
    let gate = memory.gate(FRESHNESS);
    renew_grant(memory, memory, memory, memory, memory, &gate, &terms(), token).await
}

/// Reviews grants by facts that are read anew, as the function does.
///
/// # Errors
/// Those of the use case.
pub async fn review(memory: &Memory, message: &ReviewMessage) -> Result<(), PortError> {
    let gate = memory.gate(Freshness { event: 0, timer: 0, negative: 0, ..FRESHNESS });
    review_grants(
        memory,
        memory,
        memory,
        memory,
        memory,
        (memory, ORIGIN),
        &gate,
        memory,
        memory,
        message,
    )
    .await
}

/// Tells the edge what is in the queue.
///
/// # Errors
/// Those of the use case.
pub async fn tell_edge(memory: &Memory) -> Result<(), PortError> {
    let messages: Vec<_> = lock(&memory.revoke_messages).drain(..).collect();
    apply_revocations(memory, memory, &messages).await
}

/// The key of the path's tokens.
pub fn token_key() -> EdgeKey {
    EdgeKey { id: "k1".into(), secret: [9; 32] }
}

/// Where players come.
pub const ORIGIN: &str = "https://film.example";

/// What signs for the edge.
#[expect(clippy::expect_used, reason = "the number is a key")]
pub fn signer() -> Signer {
    let key = SigningKey::from_slice(&[5; 32]).expect("it is a key");
    Signer { origin: ORIGIN.into(), key, key_pair_id: "K1".into() }
}

/// Grants of ten minutes at most.
pub fn terms() -> Terms {
    Terms {
        signer: signer(),
        token_key: token_key(),
        receipt_key: ("r1".into(), signer().key),
        longest: 600,
        pause: 600,
        cookie: 300,
        lease: 60,
    }
}

/// Plans the film of the scene for our own workers.
///
/// # Errors
/// Those of the use case.
pub async fn plan(memory: &Memory) -> Result<(), PortError> {
    plan_within(memory, &LIMITS).await
}

/// As [`plan`], by other limits.
///
/// # Errors
/// Those of the use case.
pub async fn plan_within(memory: &Memory, limits: &Limits) -> Result<(), PortError> {
    let m = memory;
    plan_transcode(m, m, m, m, m, m, m, None::<&Memory>, m, limits, VIDEO).await
}

/// Does a task.
///
/// # Errors
/// Those of the use case.
pub async fn work(memory: &Memory, message: &TaskMessage) -> Result<(), PortError> {
    let m = memory;
    run_task(m, m, m, m, m, m, m, m, m, message).await
}

/// Publishes what there is of the film.
///
/// # Errors
/// Those of the use case.
pub async fn publish(memory: &Memory) -> Result<(), PortError> {
    let m = memory;
    publish_video(m, m, m, m, m, VIDEO).await
}

/// Runs a rival's whole step at once, in the middle of another's. Memory waits for nothing.
pub fn at_once<F: Future>(step: F) -> F::Output {
    let mut step = pin!(step);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(outcome) = step.as_mut().poll(&mut context) {
            return outcome;
        }
    }
}
