//! Scenes that many tests begin with.

use crate::{Memory, lock};
use app::plan_transcode::{PublishMessage, TaskMessage};
use app::ports::{Event, ReceivedPart};
use domain::Seconds;
use domain::account::{Account, Address, ChainId};
use domain::decision::Verdict;
use domain::ladder::{AudioStream, Limits, Probe, Ratio, VideoStream};
use domain::policy::{Condition, Holding, Policy, Rule, U256};
use domain::upload::{Part, parts};
use domain::video::{Stage, Task, Video, source_key};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

/// When scenes play.
pub const NOW: Seconds = 1_800_000_000;
/// The video of most scenes.
pub const VIDEO: &str = "00112233445566778899aabbccddeeff";
/// The chain that is configured.
pub const CHAIN: ChainId = ChainId(1);
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
pub const LIMITS: Limits = Limits { max_duration_seconds: 60, max_pixels: 8192 * 4320 };

/// That wallet, signed in on the configured chain.
pub fn account(address: Address) -> Account {
    Account { chain: CHAIN, address }
}

/// A condition that asks for one token of a collection.
pub fn holds_one(contract: Address) -> Rule {
    let holding = Holding::Balance(U256::ONE);
    Rule::Condition(Condition::Erc721 { chain: CHAIN, contract, holding })
}

/// The policy of one such condition.
pub fn policy(contract: Address) -> Policy {
    Policy { rule: holds_one(contract) }
}

/// A video in some stage, with the policy that asks for [`CONTRACT`].
pub fn video(stage: Stage) -> Video {
    Video {
        id: VIDEO.into(),
        title: "A film".into(),
        owner: CREATOR,
        stage,
        reason: None,
        redrivable: false,
        size: SIZE,
        content_type: "video/mp4".into(),
        upload_id: "upload".into(),
        duration_seconds: None,
        policy: Some(policy(CONTRACT)),
        policy_revision: 1,
        tasks_total: 0,
        tasks_done: 0,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Ten seconds of 720p with sound: the tasks 360p, 720p and audio, of three segments each.
pub fn film() -> Probe {
    Probe {
        duration_seconds: 10.0,
        video: Some(VideoStream {
            width: 1280,
            height: 720,
            frame_rate: Ratio::new(25, 1),
            codec: "h264".into(),
        }),
        audio: Some(AudioStream { codec: "aac".into(), channels: 2, language: None }),
    }
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

    /// What the chain says of a holder.
    pub fn holds(&self, contract: Address, holder: Address, verdict: Verdict) {
        lock(&self.holdings).insert((contract, holder), verdict);
    }

    /// How many grants there are.
    pub fn grant_count(&self) -> usize {
        lock(&self.grants).len()
    }

    /// The names of all media objects.
    pub fn object_names(&self) -> Vec<String> {
        lock(&self.objects).keys().cloned().collect()
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

    /// Whether nothing of any video is left. Grants stay until they end; they open nothing.
    pub fn is_empty(&self) -> bool {
        lock(&self.videos).is_empty()
            && lock(&self.tasks).is_empty()
            && lock(&self.parts).is_empty()
            && lock(&self.files).is_empty()
            && lock(&self.objects).is_empty()
    }
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
