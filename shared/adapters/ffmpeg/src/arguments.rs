//! The command lines: everything that ffmpeg is told stands here.

use std::path::Path;

use domain::ladder::{
    AudioCodec, Gamut, Grid, Images, Matrix, Picture, Ratio, Rendition, Size, Sound, Text,
    TranscodePlan, Transfer, VideoCodec, Work,
};
use domain::presentation::INIT_FILE;
use domain::storyboard::{COLUMNS, POSTER_FILE, image_files, rows};
use domain::subtitle;
use std::ops::Range;

use crate::MediaError;

/// The containers that are accepted, by the names of their readers. None of them opens a second
/// file; playlists and concat scripts, which do, are not here.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi";
/// The decoders that may read a film, by their names: what cameras, phones, editors and discs write. The
/// binary has hundreds more, for which nobody looks as closely.
const DECODERS: &str = "h264,hevc,libdav1d,av1,vp8,vp9,prores,mjpeg,mpeg1video,mpeg2video,mpeg4,msmpeg4,\
     msmpeg4v2,h263,flv,vc1,wmv3,dnxhd,cfhd,dvvideo,huffyuv,ffvhuff,utvideo,ffv1,qtrle,png,rawvideo,\
     v210,theora,aac,aac_latm,mp1float,mp2float,mp3float,mp1,mp2,mp3,ac3,eac3,dca,truehd,mlp,flac,\
     alac,opus,vorbis,wmav1,wmav2,wmapro,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,pcm_alaw,pcm_mulaw,pcm_u8,\
     pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,\
     pcm_f64le,pcm_bluray,pcm_dvd,subrip,srt,text,webvtt,mov_text,ass,ssa";
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
/// Frames that are encoded side by side. With a number of its own choice, the encoder's output would
/// depend on the machine, and a task that is done twice would not make the same files. Those of HEVC
/// and AV1 differ from run to run all the same: whichever is stored first stays.
const ENCODER_THREADS: &str = "4";
/// Quality aimed at; the rendition's ceiling holds where that would cost too much.
const QUALITY: &str = "22";
const HEVC_PRESET: &str = "fast";
const HEVC_QUALITY: &str = "24";
const AV1_PRESET: &str = "8";
const AV1_QUALITY: &str = "32";
const STEREO_BITRATE: &str = "128k";
const SURROUND_BITRATE: &str = "384k";
const OPUS_BITRATE: &str = "96k";
/// From 1, the best, to 31.
const IMAGE_QUALITY: &str = "5";
/// A sample tells how many bits a film takes, not how it looks.
const SAMPLE_PRESET: &str = "veryfast";
/// Opus puts this many samples before the first, and codes frames of so many (RFC 6716, libopus).
const OPUS_DELAY: u64 = 312;
const OPUS_FRAME: u64 = 960;
pub(crate) const SAMPLE_RATE: u32 = 48_000;
/// The last picture may stand this long: headers round, and the last frames of a film may be
/// missing. A source that ends earlier than that is cut off, and refused.
const HOLD_SECONDS: f64 = 2.0;
/// Written by the muxer and of no use.
pub(crate) const MUXER_PLAYLIST: &str = "muxer.m3u8";
/// Subtitles as they come out of the source, before they are made fit.
pub(crate) const RAW_TEXT: &str = "raw.vtt";

/// How to open a source, or why it may not be opened.
pub(crate) fn source(url: &str, local_files: bool) -> Result<Vec<String>, MediaError> {
    let remote = url.starts_with("http://") || url.starts_with("https://");
    if !remote && !local_files {
        return Err(MediaError::Failed("a source must be an http or https address".into()));
    }
    let protocols = if local_files { format!("{PROTOCOLS},file") } else { PROTOCOLS.into() };
    let mut arguments = strings(&["-protocol_whitelist", &protocols]);
    arguments.extend(strings(&["-format_whitelist", CONTAINERS, "-max_pixels", MAX_PIXELS]));
    arguments.extend(strings(&["-codec_whitelist", DECODERS, "-max_streams", "64"]));
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
    // The first packets tell whether they are encrypted.
    arguments.extend(strings(&["-read_intervals", "%+#8"]));
    arguments.extend(strings(&["-probesize", "20000000", "-analyzeduration", "20000000"]));
    arguments.extend(strings(&[
        "-show_entries",
        "format=duration,start_time\
         :stream=codec_type,codec_name,codec_tag_string,width,height,sample_aspect_ratio,\
         avg_frame_rate,r_frame_rate,start_time,duration,channels,\
         field_order,pix_fmt,color_range,color_space,color_transfer,color_primaries\
         :stream_tags=language,title,DURATION:stream_disposition=attached_pic,default,forced,\
         comment,hearing_impaired,visual_impaired\
         :packet=stream_index:packet_side_data=side_data_type\
         :stream_side_data=rotation,dv_profile,dv_bl_signal_compatibility_id",
    ]));
    arguments.extend_from_slice(source);
    arguments.extend(strings(&["-i", url]));
    arguments
}

/// How long before a chunk its source is read, in seconds, try after try: a film's pictures are in
/// another order than its packets, and not every container finds a key frame at once. The last one
/// is the whole film.
pub(crate) const MARGINS: [f64; 4] = [1.0, 12.0, 90.0, f64::INFINITY];

pub(crate) fn encode(
    source: &[String],
    url: &str,
    work: &Work,
    margin: f64,
    directory: &Path,
) -> Vec<String> {
    let mut arguments = begin(source);
    arguments.extend(clock(work.grid()));
    match work {
        Work::Video { renditions, grid, segments, picture, images } => {
            let frames = grid.frames_of(segments);
            let stills = images.map(|images| stills(work, &images, segments)).unwrap_or_default();
            arguments.extend(seek(grid, &frames, margin));
            arguments.extend(strings(&["-i", url, "-filter_complex"]));
            arguments.push(pictures("", renditions, &stills, grid, &frames, *picture));
            for (index, rendition) in renditions.iter().enumerate() {
                arguments.extend(video(index, rendition, grid, &frames));
                arguments.extend(muxer(work, &rendition.name, segments.start, directory));
            }
            for (index, still) in stills.iter().enumerate() {
                arguments.extend(image(index, &directory.join(&still.file)));
            }
        }
        Work::Audio { sound, grid } => {
            arguments.extend(strings(&["-i", url]));
            arguments.extend(audio(sound, grid));
            arguments.extend(muxer(work, &sound.name, 0, directory));
        }
        Work::Text { text, .. } => {
            arguments.extend(strings(&["-i", url]));
            arguments.extend(subtitles(text, directory));
        }
    }
    arguments
}

/// What every call of ffmpeg begins with.
fn begin(source: &[String]) -> Vec<String> {
    let mut arguments =
        strings(&["-hide_banner", "-nostdin", "-v", "error", "-max_alloc", MAX_ALLOCATION]);
    arguments.extend_from_slice(source);
    arguments
}

/// The source's own times, from the film's zero on: ffmpeg's, of an MPEG-TS, is that of the streams
/// that a task reads.
fn clock(grid: &Grid) -> Vec<String> {
    let zero = -grid.start_micros as f64 / 1e6;
    strings(&["-copyts", "-itsoffset", &format!("{zero:.6}")])
}

/// To the key frame before a chunk. All that is read from there on is decoded, so that the picture
/// that stands when the chunk begins is among it.
fn seek(grid: &Grid, frames: &Range<u64>, margin: f64) -> Vec<String> {
    let mut arguments = Vec::new();
    let start = frames.start as f64 / grid.frame_rate.value() - margin;
    if start > 0.0 {
        arguments.extend(strings(&["-noaccurate_seek", "-ss", &format!("{start:.6}")]));
    }
    arguments
}

/// Decoded once for all renditions. Frames are put onto the constant rate, counted from the
/// beginning of the film, before anything else but the weaving apart of fields: so every chunk and
/// every rendition has the very ones that it would have in one go. `V` leaves out cover images.
fn pictures(
    before: &str,
    renditions: &[Rendition],
    stills: &[Still],
    grid: &Grid,
    frames: &Range<u64>,
    picture: Picture,
) -> String {
    let Ratio { numerator, denominator } = grid.frame_rate;
    // Images alone are made of what there is: whether the film is whole, others find out.
    let hold = match renditions.is_empty() {
        true => -1.0,
        false => (HOLD_SECONDS * grid.frame_rate.value()).ceil(),
    };
    let Range { start, end } = frames;
    let first = if *start == 0 { ":start_time=0" } else { "" };
    // One frame for one, and only those that say of themselves that they are woven.
    let progressive = if picture.interlaced { "bwdif=send_frame:auto:interlaced," } else { "" };
    let mut graph = format!(
        "[0:V:0]{before}{progressive}fps={numerator}/{denominator}{first},\
         tpad=stop_mode=clone:stop={hold},trim=start_pts={start}:end_pts={end},setpts=PTS-{start},",
    );
    let mut picture = picture;
    // Where there are renditions, whatever the images: a rendition is the same in every chunk.
    let size =
        largest(renditions.iter().map(|&Rendition { width, height, .. }| Size { width, height }))
            .or_else(|| largest(stills.iter().map(|still| still.size)));
    if let Some(toned) = size.and_then(|size| toned(size, picture)) {
        graph += &format!("{toned},");
        picture = Picture::default();
    }
    graph += &format!("split={}", renditions.len() + stills.len());
    for index in 0..renditions.len() {
        graph += &format!("[s{index}]");
    }
    for index in 0..stills.len() {
        graph += &format!("[t{index}]");
    }
    let (from, gamut) = (samples(picture), gamut(picture));
    for (index, Still { chosen, size: Size { width, height }, arranged, .. }) in
        stills.iter().enumerate()
    {
        // As JPEG files have it.
        graph += &format!(
            ";[t{index}]{chosen},scale={width}:{height}:{SCALER}:{from}{gamut}\
             :out_color_matrix=bt601:out_range=full,setsar=1,format=yuvj420p,{arranged}[i{index}]"
        );
    }
    for (index, Rendition { width, height, .. }) in renditions.iter().enumerate() {
        graph += &format!(
            ";[s{index}]scale={width}:{height}:{SCALER}:{from}{gamut}:{TARGET},setsar=1,\
             format=yuv420p,{TAGS}[v{index}]"
        );
    }
    graph
}

/// A picture to look at, made of a chunk's frames.
struct Still {
    /// Within the directory.
    file: String,
    /// The filter that takes the frames it is made of.
    chosen: String,
    size: Size,
    /// The filter that makes one picture of them.
    arranged: String,
}

/// Of images alone: there if no frame was missing before it. Nobody keeps it.
pub(crate) const LAST_FRAME: &str = "storyboard/last.jpg";

/// The first frame of each segment on a sheet; and where the film's poster lies in this chunk, the
/// frame of its segment that is most like the others.
fn stills(work: &Work, images: &Images, segments: &Range<u64>) -> Vec<Still> {
    let grid = work.grid();
    let sheet = |file| Still {
        file,
        chosen: format!("select=not(mod(n\\,{}))", grid.segment_frames),
        size: images.tile,
        arranged: format!("tile={COLUMNS}x{}", rows(segments.end - segments.start)),
    };
    let poster = |file| {
        let frames = grid.frames_of(&(images.poster_segment..images.poster_segment + 1));
        let before = grid.frames_of(segments).start;
        let (start, end) = (frames.start - before, frames.end - before);
        Still {
            file,
            chosen: format!("trim=start_frame={start}:end_frame={end}"),
            size: images.poster,
            arranged: format!("thumbnail=n={}", end - start),
        }
    };
    let frames = grid.frames_of(segments);
    let last = || Still {
        file: LAST_FRAME.into(),
        chosen: format!("select=eq(n\\,{})", frames.end - frames.start - 1),
        size: images.tile,
        arranged: "null".into(),
    };
    image_files(work)
        .into_iter()
        .map(|file| if file == POSTER_FILE { poster(file) } else { sheet(file) })
        .chain(work.tracks().is_empty().then(last))
        .collect()
}

fn image(index: usize, path: &Path) -> Vec<String> {
    let path = path.to_string_lossy();
    let mut arguments = strings(&["-map", &format!("[i{index}]"), "-frames:v", "1"]);
    arguments.extend(strings(&["-fps_mode", "passthrough", "-c:v", "mjpeg"]));
    arguments.extend(strings(&["-q:v", IMAGE_QUALITY, "-flags", "+bitexact"]));
    arguments.extend(strings(&["-map_metadata", "-1", "-fflags", "+bitexact"]));
    arguments.extend(strings(&["-f", "image2", "-update", "1", "-y", &path]));
    arguments
}

const SCALER: &str = "flags=bicubic+accurate_rnd+bitexact";
/// What all renditions are in.
const TARGET: &str = "out_color_matrix=bt709:out_range=limited";

/// Every frame says so: the encoder writes it into the stream, and the muxer into the init segment.
const TAGS: &str = "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709";

/// How the source's numbers are meant, whatever its frames say: players don't guess as ffmpeg does.
fn samples(picture: Picture) -> String {
    let matrix = match picture.matrix {
        Matrix::Bt709 => "bt709",
        Matrix::Bt601 => "bt601",
        Matrix::Bt2020 => "bt2020",
    };
    let range = if picture.full_range { "full" } else { "limited" };
    format!("in_color_matrix={matrix}:in_range={range}")
}

/// From a wider gamut to BT.709; colours outside of it are brought to its border.
fn gamut(picture: Picture) -> String {
    let primaries = match picture.gamut {
        Gamut::Bt709 if picture.transfer == Transfer::Sdr => return String::new(),
        Gamut::Bt709 => "bt709",
        Gamut::Bt2020 => "bt2020",
        Gamut::P3 => "smpte432",
    };
    let transfer = match picture.transfer {
        Transfer::Sdr => "bt709",
        Transfer::Pq => "smpte2084",
        Transfer::Hlg => "arib-std-b67",
    };
    format!(
        ":in_primaries={primaries}:in_transfer={transfer}\
         :out_primaries=bt709:out_transfer=bt709:intent=relative_colorimetric"
    )
}

/// The numbers of 1000 cd/m², the brightest that most films are mastered for, and of 203, which
/// is white in print and on an ordinary screen (ITU-R BT.2408, table 1).
const PQ_PEAK: f64 = 0.751_827;
const PQ_WHITE: f64 = 0.580_689;
const HLG_PEAK: f64 = 1.0;
const HLG_WHITE: f64 = 0.75;

fn largest(sizes: impl Iterator<Item = Size>) -> Option<Size> {
    sizes.max_by_key(|size| (size.width, size.height))
}

/// High brightness to ordinary, once for all renditions at the largest size. The curve bends what
/// is bright down under white and leaves the rest alone; the scaler then knows how to leave the
/// transfer and the gamut. None for a source that is ordinary.
fn toned(Size { width, height }: Size, picture: Picture) -> Option<String> {
    let (peak, white) = match picture.transfer {
        Transfer::Sdr => return None,
        Transfer::Pq => (PQ_PEAK, PQ_WHITE),
        Transfer::Hlg => (HLG_PEAK, HLG_WHITE),
    };
    let (from, gamut) = (samples(picture), gamut(picture));
    let curve = curve(peak, white);
    // What frames say of the display they were made on is no longer so, and would steer the scaler.
    Some(format!(
        "scale={width}:{height}:{SCALER}:{from},format=gbrp10,lutrgb='{curve}':'{curve}':'{curve}',\
         sidedata=delete,scale={SCALER}{gamut}:{TARGET},format=yuv420p"
    ))
}

/// The knee of ITU-R BT.2390-11, 5.4.1: straight up to a point, and from there a Hermite spline to
/// the target's white, where it is flat. Of one number between 0 and `maxval`, as ffmpeg calculates.
fn curve(peak: f64, white: f64) -> String {
    let white = white / peak;
    let knee = 1.5 * white - 0.5;
    let rest = 1.0 - knee;
    format!(
        "st(0,min(val/maxval/{peak:.6},1));st(1,max(ld(0)-{knee:.6},0)/{rest:.6});\
         st(2,ld(1)*ld(1));st(3,ld(2)*ld(1));\
         {peak:.6}*maxval*if(lt(ld(0),{knee:.6}),ld(0),(2*ld(3)-3*ld(2)+1)*{knee:.6}\
         +(ld(3)-2*ld(2)+ld(1))*{rest:.6}+(3*ld(2)-2*ld(3))*{white:.6})"
    )
}

fn video(index: usize, rendition: &Rendition, grid: &Grid, frames: &Range<u64>) -> Vec<String> {
    let Rendition { max_kbps, codec, .. } = rendition;
    let segment = grid.segment_frames.to_string();
    let mut arguments = strings(&["-map", &format!("[v{index}]")]);
    arguments.extend(strings(&["-frames:v", &(frames.end - frames.start).to_string()]));
    arguments.extend(strings(&["-fps_mode", "passthrough", "-g", &segment]));
    arguments.extend(strings(&["-maxrate", &format!("{max_kbps}k")]));
    arguments.extend(strings(&["-bufsize", &format!("{}k", max_kbps * 2)]));
    // A key frame at every border and nowhere else, and no reference across it.
    match codec {
        VideoCodec::H264 => {
            arguments.extend(strings(&["-c:v", "libx264", "-threads", ENCODER_THREADS]));
            arguments.extend(strings(&["-preset", PRESET, "-profile:v", "high", "-crf", QUALITY]));
            arguments.extend(strings(&["-keyint_min", &segment, "-sc_threshold", "0"]));
            arguments.extend(strings(&["-flags", "+cgop+bitexact", "-forced-idr", "1"]));
            arguments
                .extend(strings(&["-force_key_frames", &format!("expr:eq(mod(n,{segment}),0)")]));
        }
        VideoCodec::Hevc => {
            let parameters = format!(
                "log-level=error:keyint={segment}:min-keyint={segment}:scenecut=0:open-gop=0:info=0\
                 :frame-threads=2:pools={ENCODER_THREADS}"
            );
            arguments.extend(strings(&["-c:v", "libx265", "-tag:v", "hvc1", "-profile:v", "main"]));
            arguments.extend(strings(&["-preset", HEVC_PRESET, "-crf", HEVC_QUALITY]));
            arguments.extend(strings(&["-x265-params", &parameters, "-flags", "+cgop+bitexact"]));
        }
        VideoCodec::Av1 => {
            let parameters = format!("scd=0:irefresh-type=2:lp={ENCODER_THREADS}");
            arguments.extend(strings(&["-c:v", "libsvtav1", "-preset", AV1_PRESET]));
            arguments.extend(strings(&["-crf", AV1_QUALITY, "-svtav1-params", &parameters]));
            arguments.extend(strings(&["-flags", "+bitexact"]));
        }
    }
    arguments
}

/// A few seconds of a film in a rendition's size, as good as it will be and without a ceiling: into a
/// file that is nothing but H.264. From the key frame before on, so that nothing is decoded in vain.
pub(crate) fn sample(
    source: &[String],
    url: &str,
    plan: &TranscodePlan,
    rendition: &Rendition,
    start_seconds: f64,
    frames: u64,
    path: &Path,
) -> Vec<String> {
    let mut arguments = begin(source);
    arguments.extend(strings(&["-noaccurate_seek", "-ss", &format!("{start_seconds:.6}")]));
    arguments.extend(strings(&["-i", url, "-filter_complex"]));
    let (rendition, frames_wanted) = (std::slice::from_ref(rendition), 0..frames);
    let before = "setpts=PTS-STARTPTS,";
    arguments.push(pictures(before, rendition, &[], &plan.grid, &frames_wanted, plan.picture));
    arguments.extend(strings(&["-map", "[v0]", "-frames:v", &frames.to_string()]));
    arguments.extend(strings(&["-fps_mode", "passthrough", "-c:v", "libx264"]));
    arguments.extend(strings(&["-preset", SAMPLE_PRESET, "-crf", QUALITY]));
    let path = path.to_string_lossy();
    arguments.extend(strings(&["-fs", &MAX_SAMPLE.to_string(), "-f", "h264", "-y", &path]));
    arguments
}

/// No sample gets longer than this.
const MAX_SAMPLE: u64 = 64 << 20;

fn audio(sound: &Sound, grid: &Grid) -> Vec<String> {
    let samples = audio_samples(grid);
    let (layout, bitrate) = match (sound.codec, sound.channels) {
        (AudioCodec::Opus, _) => ("stereo", OPUS_BITRATE),
        (AudioCodec::Aac, 6) => ("5.1", SURROUND_BITRATE),
        (AudioCodec::Aac, _) => ("stereo", STEREO_BITRATE),
    };
    let format = match sound.codec {
        AudioCodec::Aac => "fltp",
        AudioCodec::Opus => "flt",
    };
    // Gaps and a late start become silence, drift is stretched away, and the end is the picture's.
    let mut filter = format!(
        "aresample={SAMPLE_RATE}:async=1000:first_pts=0,\
         aformat=sample_fmts={format}:channel_layouts={layout},apad,atrim=end_sample={samples}"
    );
    // Encoders begin with nothing, at a negative time. Kept, it needs an edit list, and a player
    // without one is 21 ms off; dropped, sound is exact, and the first 21 ms of AAC fade in.
    let mut dropped = String::from("noise=drop=lt(pts\\,0)");
    let codec = match sound.codec {
        AudioCodec::Aac => "aac",
        AudioCodec::Opus => {
            // The frame that is dropped is to hold no sound: silence is put there, and taken off
            // the times again.
            let early = OPUS_FRAME - OPUS_DELAY;
            filter += &format!(",adelay={early}S:all=1");
            dropped += &format!(",setts=pts=PTS-{early}:dts=DTS-{early}");
            "libopus"
        }
    };
    let mut arguments = strings(&["-map", &format!("0:a:{}", sound.stream), "-af", &filter]);
    arguments.extend(strings(&["-c:a", codec, "-b:a", bitrate, "-flags", "+bitexact"]));
    arguments.extend(strings(&["-bsf:a", &dropped]));
    arguments
}

/// As WebVTT. What is WebVTT already is copied: decoding it takes what looks like markup out.
fn subtitles(text: &Text, directory: &Path) -> Vec<String> {
    let codec = if text.codec == "webvtt" { "copy" } else { "webvtt" };
    let path = directory.join(&text.name).join(RAW_TEXT).to_string_lossy().into_owned();
    let mut arguments = strings(&["-map", &format!("0:s:{}", text.stream), "-c:s", codec]);
    // A text that cannot be read is left out where it cannot: it does not spoil the film.
    arguments.extend(strings(&["-max_error_rate", "1", "-fs", &subtitle::MAX_BYTES.to_string()]));
    arguments.extend(strings(&["-map_metadata", "-1", "-map_chapters", "-1"]));
    arguments.extend(strings(&["-fflags", "+bitexact", "-avoid_negative_ts", "disabled"]));
    arguments.extend(strings(&["-f", "webvtt", "-y", &path]));
    arguments
}

fn muxer(work: &Work, track: &str, first_segment: u64, directory: &Path) -> Vec<String> {
    let grid = work.grid();
    // The muxer cuts at the first key frame after this time: for pictures every key frame is a
    // border, so half a segment is safe from rounding; every frame of sound is a key frame.
    let cut = match work {
        Work::Video { .. } => grid.segment_seconds() / 2.0,
        Work::Audio { .. } | Work::Text { .. } => grid.segment_seconds(),
    };
    // Pictures leave the encoder out of order, so the first decoding time would be negative: it is
    // written as 0 and an edit list, always the same one, says by how much pictures are shown later.
    let options = match work {
        Work::Video { .. } => format!("use_editlist=1:video_track_timescale={}", timescale(grid)),
        Work::Audio { .. } | Work::Text { .. } => String::from("use_editlist=0"),
    };
    let path = |name: &str| directory.join(track).join(name).to_string_lossy().into_owned();
    // The muxer writes the number in five digits, as `segment_file` does.
    let first = (first_segment + 1).to_string();
    let mut arguments = strings(&["-map_metadata", "-1", "-map_chapters", "-1"]);
    arguments.extend(strings(&["-fflags", "+bitexact", "-avoid_negative_ts", "disabled"]));
    arguments.extend(strings(&["-f", "hls", "-hls_time", &format!("{cut:.6}")]));
    arguments.extend(strings(&["-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]));
    arguments.extend(strings(&["-hls_segment_options", &options]));
    arguments.extend(strings(&["-hls_fmp4_init_filename", INIT_FILE]));
    arguments.extend(strings(&["-start_number", &first]));
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
        let names =
            |text: &str| text.split(',').all(|name| !name.is_empty() && !name.contains(' '));
        assert!(names(DECODERS) && names(CONTAINERS));
        assert!(remote.contains(&"-tls_verify".into()));
    }

    #[test]
    fn every_frame_has_a_whole_length() {
        for (numerator, denominator) in [(25, 2), (25, 1), (24_000, 1001), (60, 1), (60_000, 1001)]
        {
            let frame_rate = Ratio::new(numerator, denominator);
            let grid = Grid { frame_rate, segment_frames: 1, frames: 1, start_micros: 0 };
            let ticks = u64::from(timescale(&grid)) * u64::from(denominator);
            assert_eq!(ticks % u64::from(numerator), 0, "{frame_rate:?}");
        }
    }
}
