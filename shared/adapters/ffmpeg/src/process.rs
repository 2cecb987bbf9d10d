//! Running a tool with limits, and saying what its complaints mean.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::MediaError;

/// What a probe may say about 64 streams, with room to spare.
const MAX_OUTPUT: usize = 1 << 20;
/// A damaged source gives a complaint per frame; the last ones say how it ended.
const MAX_COMPLAINTS: usize = 32 << 10;

const NOT_A_FILM: &str = "The file is not a video that can be read. MP4, MOV, MKV, WebM, MPEG-TS \
                          and AVI files are accepted.";
const UNKNOWN_CODEC: &str = "The file holds a kind of picture or sound that cannot be read.";
const DAMAGED: &str = "The file is incomplete or damaged.";

/// The source's fault, in words for the creator.
pub(crate) fn refused(reason: &str) -> MediaError {
    MediaError::Refused(reason.into())
}

/// A process that sees no environment, reads nothing and dies with its owner.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        // The AV1 encoder tells its settings otherwise: 1 is errors alone.
        .env("SVT_LOG", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs to the end and hands back what was printed, and the complaints of a run that ended well all
/// the same.
pub(crate) async fn run(
    command: Command,
    limit: Duration,
    secret: &str,
) -> Result<(Vec<u8>, String), MediaError> {
    let mut running = Running::start(command)?;
    let (mut stdout, mut stderr) = (running.stdout, running.stderr);
    let work = async {
        let output = async {
            let mut output = Vec::new();
            // One byte more than allowed tells "too much" from "just enough".
            let read = (&mut stdout).take(MAX_OUTPUT as u64 + 1).read_to_end(&mut output).await;
            if output.len() > MAX_OUTPUT {
                // Nobody reads on: the process ends by a broken pipe instead of waiting for ever.
                drop(stdout);
            }
            read.map(|_| output)
        };
        let (output, complaints) = tokio::join!(output, complaints(&mut stderr));
        Ok::<_, std::io::Error>((output?, complaints?, running.child.wait().await?))
    };
    let (output, complaints, status) = match tokio::time::timeout(limit, work).await {
        Ok(done) => {
            done.map_err(|error| MediaError::Failed(format!("the tool was lost: {error}")))?
        }
        Err(_) => return Err(MediaError::Failed("it took too long and was ended".into())),
    };
    if output.len() > MAX_OUTPUT {
        return Err(refused(NOT_A_FILM));
    }
    judge(status, &complaints, secret)?;
    Ok((output, complaints))
}

struct Running {
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl Running {
    fn start(mut command: Command) -> Result<Self, MediaError> {
        let mut child = command.spawn().map_err(|error| {
            let program = command.as_std().get_program().to_string_lossy();
            MediaError::Failed(format!("{program} cannot be started: {error}"))
        })?;
        match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => Ok(Self { child, stdout, stderr }),
            _ => Err(MediaError::Failed("the tool has no output".into())),
        }
    }
}

/// Reads everything, so that the process never waits, and keeps the end.
async fn complaints(stderr: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut kept: Vec<u8> = Vec::new();
    let mut piece = vec![0; 8 << 10];
    loop {
        let length = stderr.read(&mut piece).await?;
        if length == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(&piece[..length]);
        let surplus = kept.len().saturating_sub(MAX_COMPLAINTS);
        kept.drain(..surplus);
    }
}

/// Whose fault it was. What is not known for the source's own fault is tried again.
fn judge(status: ExitStatus, complaints: &str, secret: &str) -> Result<(), MediaError> {
    if status.success() {
        return Ok(());
    }
    let says = |texts: &[&str]| texts.iter().any(|text| complaints.contains(text));
    // No exit code: a signal ended it, for want of memory perhaps.
    let reason = if status.code().is_none() {
        None
    } else if says(&["HTTP error 416"]) {
        // What a bucket answers when a range of an empty object is asked for.
        Some("The file is empty.")
    } else if network_failed(complaints) {
        None
    } else if says(&["exceeds specified max pixel count"]) {
        Some("The picture is too large.")
    } else if complaints.contains("Codec (") && says(&["not on whitelist"]) {
        Some(UNKNOWN_CODEC)
    } else if says(&["not on whitelist"]) {
        Some(NOT_A_FILM)
    } else if says(&["moov atom not found", "End of file"]) || ends_early(complaints) {
        Some(DAMAGED)
    } else if says(&["Invalid data found when processing input", "could not find codec"]) {
        Some(NOT_A_FILM)
    } else if says(&["matches no streams", "Decoder not found", "no decoder found"]) {
        Some(UNKNOWN_CODEC)
    } else if says(&[
        "Error while decoding",
        "Decoding error",
        "Decode error rate",
        "Cannot determine format of input",
    ]) {
        Some(DAMAGED)
    } else {
        None
    };
    match reason {
        Some(reason) => Err(refused(reason)),
        None => Err(MediaError::Failed(format!("{status}: {}", shown(complaints, secret)))),
    }
}

/// Whether the source could not be fetched, or not to its end.
pub(crate) fn network_failed(complaints: &str) -> bool {
    [
        "HTTP error",
        "Server returned",
        "Connection refused",
        "Connection reset",
        "Connection timed out",
        "Operation timed out",
        "Network is unreachable",
        "No route to host",
        "Failed to resolve hostname",
        "Stream ends prematurely",
        "Will reconnect at",
        "Input/output error",
        "I/O error",
        "[tls @",
        "[https @",
        "[tcp @",
    ]
    .iter()
    .any(|text| complaints.contains(text))
}

/// Whether a container says of itself that its end is missing.
pub(crate) fn ends_early(complaints: &str) -> bool {
    ["partial file", "File ended prematurely", "Truncating packet"]
        .iter()
        .any(|text| complaints.contains(text))
}

/// The last complaints for the log, in one line and without any address.
fn shown(complaints: &str, secret: &str) -> String {
    let mut text = complaints.replace(secret, "(source)");
    // Parts of the address, too: after a redirect, or where the tool shortens it.
    if let Some((_, query)) = secret.split_once('?') {
        text = text.replace(query, "(query)");
    }
    let words: Vec<&str> = text
        .split_whitespace()
        .map(
            |word| if word.contains("://") || word.contains("X-Amz-") { "(address)" } else { word },
        )
        .collect();
    let line = words.join(" ");
    let start = line.char_indices().rev().nth(599).map_or(0, |(index, _)| index);
    line[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn verdict(complaints: &str) -> MediaError {
        judge(ExitStatus::from_raw(1 << 8), complaints, "https://host/key?X-Amz-Signature=5ec2e7")
            .unwrap_err()
    }

    #[test]
    fn faults_of_the_source_are_not_tried_again() {
        for complaint in [
            "[hls @ 0x1] Format not on whitelist 'mov'\nInvalid argument",
            "moov atom not found",
            "Invalid data found when processing input",
            "HTTP error 416 Range Not Satisfiable",
            "[zmbv @ 0x1] Codec (zmbv) not on whitelist 'h264,hevc'\nInvalid argument",
            "[vist#0:0/h264 @ 0x1] Decode error rate 1 exceeds maximum 0.666667",
            "Picture size 90000x90000 exceeds specified max pixel count 36000000",
        ] {
            assert!(matches!(verdict(complaint), MediaError::Refused(_)), "{complaint}");
        }
    }

    #[test]
    fn faults_of_the_network_are() {
        for complaint in [
            "[https @ 0x1] HTTP error 503 Service Unavailable\nInvalid data found",
            "Connection refused",
            "Connection reset by peer\nmoov atom not found",
            "a complaint nobody has heard before",
        ] {
            assert!(matches!(verdict(complaint), MediaError::Failed(_)), "{complaint}");
        }
        // Killed by a signal, whatever it said before.
        let killed = judge(ExitStatus::from_raw(9), "Invalid data found", "x").unwrap_err();
        assert!(matches!(killed, MediaError::Failed(_)));
    }

    #[test]
    fn the_address_is_not_shown() {
        let complaint = "Error opening input file https://host/key?X-Amz-Signature=5ec2e7. \
                         HTTP error 403 for 'https://other/?X-Amz-Signature=5ec2e7' 5ec2e7";
        let MediaError::Failed(text) = verdict(complaint) else { panic!("refused") };
        assert!(text.contains("HTTP error 403"), "{text}");
        assert!(!text.contains("Signature") && !text.contains("host"), "{text}");
        assert!(shown(&"é ".repeat(5000), "x").len() <= 1200);
    }

    #[tokio::test]
    async fn only_the_end_of_the_complaints_is_kept() {
        let text = "a".repeat(100_000) + "the end";
        let kept = complaints(&mut text.as_bytes()).await.unwrap();
        assert_eq!(kept.len(), MAX_COMPLAINTS);
        assert!(kept.ends_with("the end"));
    }

    #[tokio::test]
    async fn a_process_that_hangs_is_ended() {
        let mut sleep = command(Path::new("/bin/sh"));
        sleep.args(["-c", "exec sleep 60"]);
        let started = std::time::Instant::now();
        let result = run(sleep, Duration::from_millis(100), "x").await;
        assert!(matches!(result, Err(MediaError::Failed(_))));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn endless_output_is_refused() {
        let mut endless = command(Path::new("/bin/sh"));
        endless.args(["-c", "exec /usr/bin/yes"]);
        let result = run(endless, Duration::from_secs(20), "x").await;
        assert!(matches!(result, Err(MediaError::Refused(_))), "{result:?}");
    }

    #[tokio::test]
    async fn a_missing_tool_is_named() {
        let result = run(command(Path::new("/nowhere/ffprobe")), PROBE, "x").await;
        let Err(MediaError::Failed(text)) = result else { panic!("{result:?}") };
        assert!(text.contains("/nowhere/ffprobe"), "{text}");
    }

    const PROBE: Duration = Duration::from_secs(1);
}
