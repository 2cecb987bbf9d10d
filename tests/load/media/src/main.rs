//! What a transcode by chunks costs, what the same costs in one go, and the writing of playlists.
//!
//! ```text
//! load-media encode SOURCE CHUNK_SECONDS DIRECTORY   probe, plan, every task in turn, and the playlists
//! load-media single SOURCE DIRECTORY                 the same ladder and sound by one ffmpeg, in one pass
//! load-media playlists                               all playlists of a film of 2 hours, beside m3u8-rs
//! ```
//!
//! Prints one JSON object. `FFMPEG_DIRECTORY` names the place of ffmpeg and ffprobe. Both encodes leave
//! `TRACK.mp4` in the directory, which must be a new one: what a player gets of a track, init segment
//! and all segments in one file.

mod cost;
mod encode;
mod playlists;

use std::path::Path;

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["encode", source, chunk_seconds, directory] => {
            encode::by_chunks(source, chunk_seconds.parse()?, Path::new(directory))?
        }
        ["single", source, directory] => encode::in_one_go(source, Path::new(directory))?,
        ["playlists"] => playlists::run()?,
        _ => {
            return Err("usage: load-media encode SOURCE CHUNK_SECONDS DIRECTORY | \
                        single SOURCE DIRECTORY | playlists"
                .into());
        }
    };
    println!("{answer}");
    Ok(())
}
