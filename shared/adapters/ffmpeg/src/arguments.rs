//! The command lines: everything that ffmpeg is told stands here.

use std::path::Path;

use domain::ladder::{Grid, Ratio, Rendition, Work};
use domain::presentation::INIT_FILE;

use crate::MediaError;

/// The containers that are accepted, by the names of their readers. None of them opens a second
/// file; playlists and concat scripts, which do, are not here.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi";
/// A signed address of a bucket needs no more.
const PROTOCOLS: &str = "http,https,tcp,tls";
/// Against picture bombs: 8K with room for alignment, whatever the header says and however the
/// size changes in mid-film.
const MAX_PIXELS: &str = "36000000";
/// No single allocation above this.
const MAX_ALLOCATION: &str = "536870912";
/// Where Linux distributions and Lambda keep the trusted roots.
const ROOTS: [&str; 3] =
    ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"];

const PRESET: &str = "medium";
/// Quality aimed at; the rendition's ceiling holds where that would cost too much.
const QUALITY: &str = "22";
const AUDIO_BITRATE: &str = "128k";
pub(crate) const SAMPLE_RATE: u32 = 48_000;
/// The last picture may stand this long: headers round, and the last frames of a film may be
/// missing. A source that ends earlier than that is cut off, and refused.
const HOLD_SECONDS: f64 = 2.0;
/// Written by the muxer and of no use.
pub(crate) const MUXER_PLAYLIST: &str = "muxer.m3u8";

/// How to open a source, or why it may not be opened.
pub(crate) fn source(url: &str, local_files: bool) -> Result<Vec<String>, MediaError> {
    let remote = url.starts_with("http://") || url.starts_with("https://");
    if !remote && !local_files {
        return Err(MediaError::Failed("a source must be an http or https address".into()));
    }
    let protocols = if local_files { format!("{PROTOCOLS},file") } else { PROTOCOLS.into() };
    let mut arguments = strings(&["-protocol_whitelist", &protocols]);
    arguments.extend(strings(&["-format_whitelist", CONTAINERS, "-max_pixels", MAX_PIXELS]));
    arguments.extend(strings(&["-max_streams", "64"]));
    if remote {
        // In microseconds. A dropped connection goes on where it ended.
        arguments.extend(strings(&["-rw_timeout", "30000000", "-reconnect", "1"]));
        arguments.extend(strings(&["-reconnect_on_network_error", "1"]));
        arguments.extend(strings(&["-reconnect_delay_max", "4", "-reconnect_max_retries", "5"]));
    }
    if url.starts_with("https://") {
        arguments.extend(strings(&["-tls_verify", "1"]));
        if let Some(roots) = ROOTS.into_iter().find(|path| Path::new(path).exists()) {
            arguments.extend(strings(&["-ca_file", roots]));
        }
    }
    Ok(arguments)
}

pub(crate) fn probe(source: &[String], url: &str) -> Vec<String> {
    // Which answer a server gave is a warning, and tells an empty file from a missing one.
    let mut arguments =
        strings(&["-hide_banner", "-v", "warning", "-max_alloc", MAX_ALLOCATION, "-of", "json"]);
    arguments.extend(strings(&["-probesize", "20000000", "-analyzeduration", "20000000"]));
    arguments.extend(strings(&[
        "-show_entries",
        "format=duration,start_time\
         :stream=codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,\
         avg_frame_rate,r_frame_rate,start_time,duration,channels\
         :stream_tags=language,DURATION:stream_disposition=attached_pic\
         :stream_side_data=rotation",
    ]));
    arguments.extend_from_slice(source);
    arguments.extend(strings(&["-i", url]));
    arguments
}

pub(crate) fn encode(source: &[String], url: &str, work: &Work, directory: &Path) -> Vec<String> {
    let mut arguments =
        strings(&["-hide_banner", "-nostdin", "-v", "error", "-max_alloc", MAX_ALLOCATION]);
    arguments.extend(strings(&["-progress", "pipe:1", "-stats_period", "0.5"]));
    arguments.extend_from_slice(source);
    arguments.extend(strings(&["-i", url, "-sn", "-dn"]));
    match work {
        Work::Video { rendition, grid } => arguments.extend(video(rendition, grid)),
        Work::Audio { stream, grid, .. } => arguments.extend(audio(*stream, grid)),
    }
    arguments.extend(muxer(work, directory));
    arguments
}

fn video(rendition: &Rendition, grid: &Grid) -> Vec<String> {
    let Ratio { numerator, denominator } = grid.frame_rate;
    let Rendition { width, height, max_kbps, .. } = rendition;
    let hold = (HOLD_SECONDS * grid.frame_rate.value()).ceil();
    let segment = grid.segment_frames.to_string();
    // Frames are put onto the constant rate from time 0 on before anything else looks at them, so
    // that every rendition has the same ones. `V` leaves out cover images.
    let filter = format!(
        "fps={numerator}/{denominator}:start_time=0,tpad=stop_mode=clone:stop={hold},\
         scale={width}:{height}:flags=bicubic,setsar=1,format=yuv420p"
    );
    let mut arguments = strings(&["-map", "0:V:0", "-an", "-vf", &filter]);
    arguments.extend(strings(&["-frames:v", &grid.frames.to_string()]));
    arguments.extend(strings(&["-fps_mode", "passthrough", "-c:v", "libx264"]));
    arguments.extend(strings(&["-preset", PRESET, "-profile:v", "high", "-crf", QUALITY]));
    arguments.extend(strings(&["-maxrate", &format!("{max_kbps}k")]));
    arguments.extend(strings(&["-bufsize", &format!("{}k", max_kbps * 2)]));
    // An IDR picture at every border and nowhere else, and no reference across it.
    arguments.extend(strings(&["-g", &segment, "-keyint_min", &segment, "-sc_threshold", "0"]));
    arguments.extend(strings(&["-flags", "+cgop+bitexact", "-forced-idr", "1"]));
    arguments.extend(strings(&["-force_key_frames", &format!("expr:eq(mod(n,{segment}),0)")]));
    arguments
}

fn audio(stream: u32, grid: &Grid) -> Vec<String> {
    let samples = audio_samples(grid);
    // Gaps and a late start become silence, drift is stretched away, and the end is the picture's.
    let filter = format!(
        "aresample={SAMPLE_RATE}:async=1000:first_pts=0,\
         aformat=sample_fmts=fltp:channel_layouts=stereo,apad,atrim=end_sample={samples}"
    );
    let mut arguments = strings(&["-map", &format!("0:a:{stream}"), "-vn", "-af", &filter]);
    arguments.extend(strings(&["-c:a", "aac", "-b:a", AUDIO_BITRATE, "-flags", "+bitexact"]));
    // The encoder begins with a frame of nothing at a negative time. Kept, it needs an edit list,
    // and a player without one is 21 ms off; dropped, sound is exact and its first 21 ms fade in.
    arguments.extend(strings(&["-bsf:a", "noise=drop=lt(pts\\,0)"]));
    arguments
}

fn muxer(work: &Work, directory: &Path) -> Vec<String> {
    let grid = work.grid();
    // The muxer cuts at the first key frame after this time: for pictures every key frame is a
    // border, so half a segment is safe from rounding; every frame of sound is a key frame.
    let cut = match work {
        Work::Video { .. } => grid.segment_seconds() / 2.0,
        Work::Audio { .. } => grid.segment_seconds(),
    };
    // Pictures leave the encoder out of order, so the first decoding time would be negative: it is
    // written as 0 and an edit list, always the same one, says by how much pictures are shown later.
    let options = match work {
        Work::Video { .. } => format!("use_editlist=1:video_track_timescale={}", timescale(grid)),
        Work::Audio { .. } => String::from("use_editlist=0"),
    };
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let mut arguments = strings(&["-map_metadata", "-1", "-map_chapters", "-1"]);
    arguments.extend(strings(&["-fflags", "+bitexact", "-avoid_negative_ts", "disabled"]));
    arguments.extend(strings(&["-f", "hls", "-hls_time", &format!("{cut:.6}")]));
    arguments.extend(strings(&["-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]));
    arguments.extend(strings(&["-hls_segment_options", &options]));
    arguments.extend(strings(&["-hls_fmp4_init_filename", INIT_FILE, "-start_number", "1"]));
    arguments.extend(strings(&["-hls_segment_filename", &path("%05d.m4s")]));
    arguments.extend(strings(&["-y", &path(MUXER_PLAYLIST)]));
    arguments
}

/// Ticks in which every frame has a whole length.
pub(crate) fn timescale(grid: &Grid) -> u32 {
    let numerator = grid.frame_rate.numerator;
    if numerator < 1000 { numerator * 1000 } else { numerator }
}

/// How many samples of sound the picture lasts.
pub(crate) fn audio_samples(grid: &Grid) -> u64 {
    (grid.duration_seconds() * f64::from(SAMPLE_RATE)).round() as u64
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| String::from(*text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_opened() {
        for address in ["/etc/passwd", "file:///etc/passwd", "concat:a|b", "ftp://a/b", "-version"]
        {
            assert!(source(address, false).is_err(), "{address}");
        }
        let remote = source("https://a/b", false).unwrap();
        assert_eq!(remote[..2], strings(&["-protocol_whitelist", "http,https,tcp,tls"]));
        assert!(remote.contains(&"-tls_verify".into()));
    }

    #[test]
    fn every_frame_has_a_whole_length() {
        for (numerator, denominator) in [(25, 2), (25, 1), (24_000, 1001), (60, 1), (60_000, 1001)]
        {
            let frame_rate = Ratio::new(numerator, denominator);
            let grid = Grid { frame_rate, segment_frames: 1, frames: 1 };
            let ticks = u64::from(timescale(&grid)) * u64::from(denominator);
            assert_eq!(ticks % u64::from(numerator), 0, "{frame_rate:?}");
        }
    }
}
