//! The real tools, found in FFMPEG_DIRECTORY or on PATH; without them these tests fail.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Where both are.
pub fn tools() -> PathBuf {
    let named = std::env::var_os("FFMPEG_DIRECTORY").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(std::env::split_paths(&path))
        .find(|directory| directory.join("ffmpeg").exists() && directory.join("ffprobe").exists())
        .expect("ffmpeg and ffprobe must be in FFMPEG_DIRECTORY or on PATH")
}

/// Runs one that must succeed.
pub fn output(tool: &str, arguments: &[&str]) -> Output {
    let output = Command::new(tools().join(tool)).args(arguments).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {complaints}");
    output
}
