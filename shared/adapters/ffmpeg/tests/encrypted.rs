//! An encrypted film by the worker's own way, played by a player that knows nothing of us.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod tools;

use adapter_ffmpeg::Ffmpeg;
use adapter_memory::Memory;
use adapter_memory::arrange::{LIMITS, VIDEO};
use adapter_memory::keys::NEWEST;
use app::plan_transcode::plan_transcode;
use app::ports::{ContentKeys, Encoded, MediaError, MediaStore, PortError, Transcoder};
use app::publish_video::publish_video;
use app::run_task::run_task;
use domain::Seconds;
use domain::encryption::{Method, Seal, content_key};
use domain::ladder::{Limits, Probe, TranscodePlan, Work};
use domain::video::Stage;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tools::{output, tools};

/// The film, wherever it is said to be.
struct Film(Ffmpeg, String);

impl Transcoder for Film {
    async fn probe(&self, _: &str) -> Result<Probe, MediaError> {
        Transcoder::probe(&self.0, &self.1).await
    }

    async fn measure(&self, _: &str, plan: &TranscodePlan) -> Result<f64, MediaError> {
        Transcoder::measure(&self.0, &self.1, plan).await
    }

    async fn encode(&self, _: &str, work: &Work) -> Result<Encoded, MediaError> {
        Transcoder::encode(&self.0, &self.1, work).await
    }
}

/// A bucket that is a folder.
struct Disk(PathBuf);

impl Disk {
    fn at(&self, key: &str) -> PathBuf {
        let path = self.0.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

impl MediaStore for Disk {
    async fn put(&self, key: &str, _: &str, _: Seconds, body: Vec<u8>) -> Result<(), PortError> {
        std::fs::write(self.at(key), body).unwrap();
        Ok(())
    }

    async fn keep_file(
        &self,
        key: &str,
        _: &str,
        path: &Path,
        seal: Option<&Seal>,
    ) -> Result<u64, PortError> {
        let plain = std::fs::read(path).unwrap();
        let body = seal.map_or(plain.clone(), |seal| seal.apply(&plain));
        std::fs::write(self.at(key), &body).unwrap();
        Ok(body.len() as u64)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        Ok(std::fs::read(self.at(key)).ok())
    }

    async fn sizes(&self, _: &str) -> Result<BTreeMap<String, u64>, PortError> {
        Ok(BTreeMap::new())
    }

    async fn remove_folder(&self, _: &str) -> Result<(), PortError> {
        Ok(())
    }
}

/// How many pictures and sound frames a player gets out of a playlist, or nothing where it fails.
fn frames(playlist: &Path) -> Option<u64> {
    let probed = Command::new(tools().join("ffprobe"))
        .args(["-v", "error", "-allowed_extensions", "ALL", "-count_frames"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(playlist)
        .output()
        .unwrap();
    let complaints = !probed.stderr.is_empty() || !probed.status.success();
    let text = String::from_utf8(probed.stdout).unwrap();
    text.lines().next()?.trim().parse().ok().filter(|_| !complaints)
}

#[tokio::test]
async fn a_player_with_the_keys_decodes_every_frame_and_one_without_none() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mp4").to_string_lossy().into_owned();
    let picture = "testsrc2=size=320x240:rate=25:duration=9";
    let tone = "sine=frequency=440:sample_rate=44100:duration=9";
    let mut arguments =
        vec!["-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone];
    arguments.extend(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);
    arguments.extend(["-c:a", "aac", &source]);
    output("ffmpeg", &arguments);

    let (m, disk) = (&Memory::with_video(Stage::Uploaded), &Disk(folder.path().join("bucket")));
    let film = &Film(Ffmpeg::for_local_files(tools()), source);
    m.change(|video| video.encryption = Some(Method::Aes128));
    let limits = &Limits { key_seconds: 4, ..LIMITS };
    let none = None::<&Memory>;
    plan_transcode(m, m, m, m, m, film, m, none, m, limits, VIDEO).await.unwrap();
    for message in m.take_task_messages() {
        run_task(m, m, m, m, disk, m, film, m, m, &message).await.unwrap();
    }
    publish_video(m, m, m, disk, m, VIDEO).await.unwrap();
    assert_eq!(m.stage(), Some(Stage::Ready));

    let video = disk.0.join("v").join(VIDEO);
    let master = m.key(NEWEST).await.unwrap();
    let plan = m.video().unwrap().plan.unwrap();
    let periods = plan.encryption.as_ref().unwrap().periods(plan.grid.segments());
    assert_eq!(periods, 3);
    // The key function's answers, as files beside the playlists.
    let keys = |wrong: Option<u64>| {
        for period in 0..periods {
            let mut key = content_key(&master, VIDEO, period);
            if wrong == Some(period) {
                key[0] ^= 1;
            }
            std::fs::write(video.join(format!("key{period}")), key).unwrap();
        }
    };
    let picture = format!("{}.m3u8", plan.renditions[0].name);
    for name in [picture.as_str(), "audio.m3u8"] {
        let path = video.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("#EXT-X-KEY:METHOD=AES-128,URI=\"/v1/videos/"), "{text}");
        let local = text.replace(&format!("/v1/videos/{VIDEO}/keys/"), "key");
        std::fs::write(&path, local).unwrap();
        keys(None);
        let whole = frames(&path);
        let expected = if name == picture { 225 } else { 9 * 44_100 / 1024 };
        assert!(whole.is_some_and(|count| count >= expected), "{name}: {whole:?}");
        // Each period has a key of its own: one wrong one is noticed wherever it is.
        for period in 0..periods {
            keys(Some(period));
            assert_ne!(frames(&path), whole, "{name}, period {period}");
        }
    }
    keys(None);
    assert_eq!(frames(&video.join(&picture)), Some(225));
}
