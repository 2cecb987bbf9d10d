//! What goes in, as to the picture. Every film is encoded in chunks and in one go, and the two must
//! show the same pictures. With the real tools, found in FFMPEG_DIRECTORY or on PATH.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod tools;

use adapter_ffmpeg::{Ffmpeg, MediaError};
use domain::ladder::{
    Ceilings, Extras, Gamut, Limits, Matrix, Picture, Probe, TranscodePlan, Transfer, VideoStream,
    Work, plan,
};
use tempfile::TempDir;
use tools::{output, tools};

/// A chunk is one segment.
const LIMITS: Limits = Limits {
    max_duration_seconds: 120,
    max_pixels: 36_000_000,
    chunk_seconds: 4,
    segment_seconds: 4,
    extras: Extras::NONE,
    ceilings: Ceilings::Fixed,
    key_seconds: 300,
};
/// The size of most films, and how many columns of it show one bit of a frame's number.
const WIDTH: usize = 160;
const HEIGHT: usize = 96;
const BIT: usize = 20;
const X264: [&str; 6] = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    output("ffmpeg", &[&["-v", "error", "-y"], arguments].concat()).stdout
}

/// Frames that show their number, modulo 256, in eight columns of black and white.
fn numbered(size: &str, rate: &str, seconds: &str) -> String {
    format!(
        "color=gray:size={size}:rate={rate}:duration={seconds},format=yuv420p,\
         geq=lum='if(mod(floor(N/pow(2,floor(X/{BIT}))),2),235,16)':cb=128:cr=128"
    )
}

struct Film {
    directory: TempDir,
    path: String,
}

impl Film {
    fn new(name: &str, picture: &str, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name).to_string_lossy().into_owned();
        ffmpeg(&[&["-f", "lavfi", "-i", picture], more, &[&path]].concat());
        Self { directory, path }
    }

    async fn probe(&self) -> Probe {
        Ffmpeg::for_local_files(tools()).probe(&self.path).await.unwrap()
    }

    async fn video(&self) -> VideoStream {
        self.probe().await.video.unwrap()
    }
}

/// One rendition of a film, decoded.
struct Shown {
    plan: TranscodePlan,
    width: usize,
    height: usize,
    /// Planar 4:2:0 of eight bits.
    frames: Vec<Vec<u8>>,
}

impl Shown {
    /// The number that a film of the usual size shows in a frame.
    fn number(&self, frame: usize) -> usize {
        assert_eq!((self.width, self.height), (WIDTH, HEIGHT));
        let row = HEIGHT / 2 * WIDTH;
        (0..8)
            .filter(|bit| self.frames[frame][row + bit * BIT + BIT / 2] > 128)
            .map(|bit| 1 << bit)
            .sum()
    }

    fn numbers(&self) -> Vec<usize> {
        (0..self.frames.len()).map(|frame| self.number(frame)).collect()
    }

    /// Luma and the two chromas in the middle of a column of so many.
    fn colour(&self, column: usize, columns: usize) -> (u8, u8, u8) {
        let frame = &self.frames[self.frames.len() / 2];
        let luma = self.width * self.height;
        let x = self.width * (2 * column + 1) / (2 * columns);
        let chroma = self.height / 4 * (self.width / 2) + x / 2;
        let first = frame[self.height / 2 * self.width + x];
        (first, frame[luma + chroma], frame[luma + luma / 4 + chroma])
    }
}

/// In decibels.
fn likeness(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let square = |(a, b): (&u8, &u8)| (f64::from(*a) - f64::from(*b)).powi(2);
    let error: f64 = one.iter().zip(other).map(square).sum::<f64>() / one.len() as f64;
    10.0 * (255.0 * 255.0 / error.max(1e-9)).log10()
}

/// The largest rendition of each chunk, one after the other behind the init segment, decoded.
async fn shown(film: &Film, plan: &TranscodePlan, works: &[Work]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let rendition = plan.renditions.last().unwrap();
    let (mut init, mut media) = (None, Vec::new());
    for work in works {
        if !work.tracks().contains(&&*rendition.name) {
            continue;
        }
        let output = film.directory.path().join("out");
        let encoded = Ffmpeg::for_local_files(tools()).encode(&film.path, work, &output).await;
        let pieces = encoded.unwrap_or_else(|error| panic!("{}: {error}", work.name()));
        let piece = pieces.iter().find(|piece| piece.track == rendition.name).unwrap();
        let read = |name: &str| std::fs::read(output.join(&rendition.name).join(name)).unwrap();
        let first = init.get_or_insert_with(|| read("init.mp4"));
        assert!(*first == read("init.mp4"), "{}: another init segment", work.name());
        let numbers = piece.first_segment + 1..;
        for (number, _) in numbers.zip(&piece.encoded.segments) {
            media.extend(read(&format!("{number:05}.m4s")));
        }
    }
    let init = init.unwrap();
    let joined = film.directory.path().join("joined.mp4");
    std::fs::write(&joined, [&*init, &media].concat()).unwrap();
    let joined = joined.to_string_lossy();
    let raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"];
    let bytes = ffmpeg(&[&["-i", &*joined], &raw[..]].concat());
    let size = rendition.width as usize * rendition.height as usize * 3 / 2;
    (init, bytes.chunks(size).map(<[u8]>::to_vec).collect())
}

/// Encodes a film in chunks and in one go, and sees that both show the same.
async fn joins(film: &Film) -> Shown {
    let plan = plan(&film.probe().await, &LIMITS).unwrap();
    let works: Vec<Work> =
        plan.works().into_iter().filter(|work| matches!(work, Work::Video { .. })).collect();
    assert!(works.len() > 1, "one chunk joins nothing: {plan:?}");
    let in_one = TranscodePlan { chunk_segments: u64::MAX / 2, split: false, ..plan.clone() };
    let in_one = in_one.works();
    let (whole_init, whole) = shown(film, &plan, &in_one[in_one.len() - 1..]).await;
    let (init, frames) = shown(film, &plan, &works).await;
    assert!(init == whole_init, "the init segment depends on the chunk");
    assert_eq!((frames.len(), whole.len()), (plan.grid.frames as usize, plan.grid.frames as usize));
    for (index, (one, other)) in frames.iter().zip(&whole).enumerate() {
        let likeness = likeness(one, other);
        assert!(likeness > 30.0, "frame {index}: {likeness:.1} dB");
    }
    let rendition = plan.renditions.last().unwrap();
    let (width, height) = (rendition.width as usize, rendition.height as usize);
    Shown { plan, width, height, frames }
}

/// The numbers that are shown when every frame is shown once.
fn counted(frames: usize) -> Vec<usize> {
    (0..frames).map(|frame| frame % 256).collect()
}

fn usual() -> String {
    numbered("160x96", "25", "6")
}

#[tokio::test]
async fn containers_and_codecs() {
    let x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"];
    let av1 = ["-c:v", "libsvtav1", "-preset", "12", "-g", "60"];
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
    for (name, codec, encoder) in [
        ("film.mp4", "h264", &X264[..]),
        ("film.mov", "prores", &["-c:v", "prores_ks", "-profile:v", "3"]),
        ("film.mkv", "hevc", &x265),
        ("film.webm", "vp9", &vp9),
        ("film.avi", "mjpeg", &["-c:v", "mjpeg", "-q:v", "3"]),
        ("film.mp4", "av1", &av1),
        ("film.mkv", "av1", &av1),
        ("film.ts", "h264", &X264),
        ("film.ts", "hevc", &x265),
        ("film.avi", "h264", &X264),
    ] {
        let film = Film::new(name, &usual(), encoder);
        assert_eq!(film.video().await.codec, codec);
        let shown = joins(&film).await;
        assert_eq!(shown.numbers(), counted(150), "{codec} in {name}");
    }
}

#[tokio::test]
async fn decoders_are_a_closed_list() {
    let film = Film::new("film.avi", &usual(), &["-c:v", "zmbv", "-pix_fmt", "bgr0"]);
    let plan = plan(&film.probe().await, &LIMITS).unwrap();
    let (work, output) = (&plan.works()[0], film.directory.path().join("out"));
    let refused = Ffmpeg::for_local_files(tools()).encode(&film.path, work, &output).await;
    let Err(MediaError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, "The file holds a kind of picture or sound that cannot be read.");
}

#[tokio::test]
async fn groups_that_are_open_long_or_out_of_order() {
    let open = "keyint=30:min-keyint=10:open-gop=1:bframes=3:b-adapt=0:scenecut=0";
    let hevc = "keyint=30:min-keyint=10:open-gop=1:bframes=3:b-adapt=0:log-level=none";
    let ultrafast = ["-preset", "ultrafast", "-pix_fmt", "yuv420p"];
    let x265 = ["-c:v", "libx265", "-x265-params", hevc];
    let x264 = ["-c:v", "libx264", "-x264-params", open];
    let long = ["-c:v", "libx264", "-bf", "3", "-g", "1000"];
    let mpeg2 = ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-g", "15"];
    for (name, encoder, more) in [
        ("film.mp4", x264, &[][..]),
        ("film.mkv", x264, &[]),
        ("film.ts", x264, &[]),
        ("film.mp4", x265, &[]),
        ("film.ts", x265, &[]),
        ("film.mkv", x265, &[]),
    ] {
        let film = Film::new(name, &usual(), &[&encoder, &ultrafast[..], more].concat());
        assert_eq!(joins(&film).await.numbers(), counted(150), "{name} {encoder:?}");
    }
    for (name, more) in [
        ("film.ts", &[][..]),
        ("film.mp4", &["-movflags", "+negative_cts_offsets"]),
        ("film.mp4", &["-use_editlist", "0", "-avoid_negative_ts", "make_zero"]),
        ("film.mp4", &["-movflags", "+frag_keyframe+empty_moov"]),
    ] {
        let film = Film::new(name, &usual(), &[&long, &ultrafast[..], more].concat());
        assert_eq!(joins(&film).await.numbers(), counted(150), "{name} {more:?}");
    }
    let film = Film::new("film.ts", &usual(), &mpeg2);
    assert_eq!(joins(&film).await.numbers(), counted(150), "MPEG-2");
}

#[tokio::test]
async fn sizes_and_shapes() {
    // Turned, portrait, of long pixels, odd.
    let film = Film::new("film.mp4", &usual(), &X264);
    for (angle, size) in [("90", (96, 160)), ("180", (160, 96)), ("270", (96, 160))] {
        let path = film.path.replace("film.mp4", "turned.mp4");
        ffmpeg(&["-display_rotation", angle, "-i", &film.path, "-c", "copy", &path]);
        let turned = Film { directory: tempfile::tempdir().unwrap(), path };
        let shown = joins(&turned).await;
        assert_eq!((shown.width, shown.height), size, "turned by {angle}");
        // The column of the lowest bit, which changes from frame to frame, lies at another side.
        let place = match angle {
            "90" => shown.width * (shown.height - 10) + shown.width / 2,
            "180" => shown.width * shown.height / 2 + shown.width - 10,
            _ => shown.width * 10 + shown.width / 2,
        };
        for (index, frame) in shown.frames.iter().enumerate() {
            assert_eq!(frame[place] > 128, index % 2 == 1, "frame {index} turned by {angle}");
        }
    }
    let portrait = Film::new("film.mp4", &numbered("96x160", "25", "5"), &X264);
    let shown = joins(&portrait).await;
    assert_eq!((shown.width, shown.height), (96, 160));
    let long = [&X264[..], &["-vf", "setsar=4/3"]].concat();
    let shown = joins(&Film::new("film.mkv", &numbered("160x96", "25", "5"), &long)).await;
    assert_eq!((shown.width, shown.height), (212, 96));
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];
    let odd = Film::new("film.webm", &numbered("161x97", "25", "5"), &vp9);
    assert_eq!((odd.video().await.width, odd.video().await.height), (161, 97));
    let shown = joins(&odd).await;
    assert_eq!((shown.width, shown.height), (160, 96));
    assert_eq!(shown.numbers(), counted(125));
}

/// How much a line stands out from the two around it, on average.
fn comb(frame: &[u8]) -> f64 {
    let luma = |x: usize, y: usize| f64::from(frame[y * WIDTH + x]);
    let out = |x, y: usize| (2.0 * luma(x, y) - luma(x, y - 1) - luma(x, y + 1)).abs();
    let sum: f64 =
        (1..HEIGHT - 1).flat_map(|y| (0..WIDTH).map(move |x| (x, y))).map(|(x, y)| out(x, y)).sum();
    sum / ((HEIGHT - 2) * WIDTH) as f64
}

/// Fields of 50 moments a second, woven, of bars that move by three points a field.
#[tokio::test]
async fn fields_are_taken_apart() {
    let woven = "color=gray:size=160x96:rate=50:duration=6,format=yuv420p,\
                 geq=lum='if(lt(mod(X+3*N,64),32),40,200)':cb=128:cr=128,\
                 tinterlace=interleave_top,setfield=tff";
    let x264 = [&X264[..], &["-x264-params", "tff=1"]].concat();
    let mpeg2 = ["-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme", "-pix_fmt", "yuv420p"];
    let prores = ["-c:v", "prores_ks", "-flags", "+ildct"];
    for (name, encoder) in [("film.mp4", &x264[..]), ("film.ts", &mpeg2), ("film.mov", &prores)] {
        let film = Film::new(name, woven, encoder);
        assert!(film.video().await.picture.interlaced, "{name}");
        let shown = joins(&film).await;
        assert_eq!(shown.frames.len(), 150);
        for (index, frame) in shown.frames.iter().enumerate() {
            assert!(comb(frame) < 6.0, "frame {index} of {name}: {:.1}", comb(frame));
        }
    }
    // What says that it is progressive is left alone.
    assert!(!Film::new("film.mp4", &usual(), &X264).video().await.picture.interlaced);
}

#[tokio::test]
async fn times_that_are_not_even() {
    // Frames left out here and there, and a picture that stands from 2.4 s to 8.8 s: longer than a chunk.
    let kept = |n: usize| (!(61..220).contains(&n) && n % 7 != 3) || n == 60;
    let choice = "select='not(between(n,61,219))*not(eq(mod(n,7),3))+eq(n,60)'";
    let film = format!("{},{choice}", numbered("160x96", "25", "13"));
    let expected: Vec<usize> =
        (0..325).map(|n| (0..=n).rev().find(|n| kept(*n)).unwrap() % 256).collect();
    for (name, more) in [
        ("film.mp4", &["-g", "1000"][..]),
        ("film.mkv", &["-g", "20"]),
        ("film.ts", &["-g", "1000"]),
        ("film.ts", &["-g", "20"]),
    ] {
        let encoder = [&X264[..], &["-fps_mode", "vfr"], more].concat();
        let film = Film::new(name, &film, &encoder);
        let probe = film.probe().await;
        assert!((probe.duration_seconds - 13.0).abs() < 0.1, "{name}: {probe:?}");
        let shown = joins(&film).await;
        assert_eq!(shown.numbers(), expected, "{name} {more:?}");
    }
    // Two rates, one after the other.
    let two = format!(
        "{},setpts='if(lt(N,125),N/25,5+(N-125)/30)/TB',settb=1/600",
        numbered("160x96", "25", "10")
    );
    let encoder = [&X264[..], &["-fps_mode", "vfr", "-enc_time_base", "1/600"]].concat();
    let shown = joins(&Film::new("film.mp4", &two, &encoder)).await;
    let numbers = shown.numbers();
    assert!(numbers.windows(2).all(|pair| (pair[1] + 256 - pair[0]) % 256 <= 2), "{numbers:?}");
}

/// Sound that begins before the picture: its first frame stands for as long.
#[tokio::test]
async fn a_picture_that_begins_late() {
    let tone = "sine=frequency=440:duration=6";
    let picture = Film::new("film.mp4", &usual(), &X264);
    for name in ["late.mp4", "late.mkv", "late.ts"] {
        let path = picture.directory.path().join(name).to_string_lossy().into_owned();
        let inputs = ["-f", "lavfi", "-i", tone, "-itsoffset", "0.48", "-i", &picture.path];
        let maps = ["-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", "aac"];
        ffmpeg(&[&inputs[..], &maps, &[&path]].concat());
        let late = Film { directory: tempfile::tempdir().unwrap(), path };
        let numbers = joins(&late).await.numbers();
        // The encoder of the sound begins a little before its first sample, and containers round.
        let late = numbers.iter().filter(|number| **number == 0).count() - 1;
        assert!((12..=13).contains(&late), "{name}: {late}");
        let expected: Vec<usize> = (0..150 + late).map(|n| n.saturating_sub(late)).collect();
        assert_eq!(numbers, expected, "{name}");
    }
}

/// Range, primaries, transfer and matrix.
fn tagged([range, primaries, transfer, matrix]: [&str; 4]) -> String {
    format!(
        "setparams=range={range}:color_primaries={primaries}:color_trc={transfer}:colorspace={matrix}"
    )
}

/// The columns of a picture of 10 bits: luma and the two chromas of each.
fn columns(colours: &[(u32, u32, u32)], tags: [&str; 4]) -> String {
    let column = |part: fn(&(u32, u32, u32)) -> u32| {
        let width = format!("floor(X*{}/W)", colours.len());
        let mut text = String::from("0");
        for (index, colour) in colours.iter().enumerate() {
            text += &format!("+{}*eq({width},{index})", part(colour));
        }
        text
    };
    format!(
        "color=black:size=192x96:rate=10:duration=5,format=yuv420p10,\
         geq=lum='{}':cb='{}':cr='{}',{}",
        column(|colour| colour.0),
        column(|colour| colour.1),
        column(|colour| colour.2),
        tagged(tags),
    )
}

fn x265(more: &str) -> Vec<String> {
    let parameters = format!("log-level=none{more}");
    ["-c:v", "libx265", "-preset", "ultrafast", "-crf", "4", "-x265-params", &parameters]
        .map(String::from)
        .to_vec()
}

fn coded(name: &str, picture: &str, encoder: &[String]) -> Film {
    Film::new(name, picture, &encoder.iter().map(String::as_str).collect::<Vec<_>>())
}

fn assert_near(found: (u8, u8, u8), expected: (u8, u8, u8), by: u8, what: &str) {
    let near = |a: u8, b: u8| a.abs_diff(b) <= by;
    let all = near(found.0, expected.0) && near(found.1, expected.1) && near(found.2, expected.2);
    assert!(all, "{what}: {found:?} instead of {expected:?}");
}

/// Greys keep their brightness up to 100 cd/m² (178 of 235: half the light of white), what is
/// brighter is bent under white, and colours keep their hue.
#[tokio::test]
async fn high_brightness_becomes_ordinary() {
    // 0, 10, 100, 203, 1000 and 4000 cd/m² in SMPTE ST 2084, then red and blue of BT.2020 at 203.
    let pq = [
        (64, 512, 512),
        (328, 512, 512),
        (509, 512, 512),
        (573, 512, 512),
        (723, 512, 512),
        (855, 512, 512),
        (198, 440, 766),
        (94, 766, 491),
    ];
    let display = ":hdr10=1:max-cll=1000,400:master-display=\
                   G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)";
    let tags = ["limited", "bt2020", "smpte2084", "bt2020nc"];
    for (name, more) in [("film.mp4", display), ("film.mkv", "")] {
        let film = coded(name, &columns(&pq, tags), &x265(more));
        let picture = film.video().await.picture;
        let expected = Picture {
            matrix: Matrix::Bt2020,
            gamut: Gamut::Bt2020,
            transfer: Transfer::Pq,
            ..Picture::default()
        };
        assert_eq!(picture, expected, "{name}");
        let shown = joins(&film).await;
        for (column, luma) in [16, 79, 177, 213, 233, 233].into_iter().enumerate() {
            assert_near(shown.colour(column, 8), (luma, 128, 128), 3, "grey");
        }
        let (red, blue) = (shown.colour(6, 8), shown.colour(7, 8));
        assert!(red.2 > 170 && red.1 < 128, "red is {red:?}");
        assert!(blue.1 > 170 && blue.2 < 135, "blue is {blue:?}");
        // Nothing is left that says otherwise.
        let joined = film.directory.path().join("joined.mp4").to_string_lossy().into_owned();
        let looks = ["-v", "error", "-show_streams", "-show_frames", "-read_intervals", "%+#1"];
        let probe = output("ffprobe", &[&looks[..], &[&joined]].concat());
        let text = String::from_utf8_lossy(&probe.stdout).into_owned();
        for line in ["color_space=bt709", "color_transfer=bt709", "color_primaries=bt709"] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(text.contains("color_range=tv") && text.contains("pix_fmt=yuv420p"), "{text}");
        assert!(!text.contains("Mastering") && !text.contains("Content light"), "{text}");
    }
    // In hybrid log-gamma white is at 75%, and the rest is above.
    let hlg = [(64, 512, 512), (328, 512, 512), (502, 512, 512), (721, 512, 512), (940, 512, 512)];
    let film = coded(
        "film.mov",
        &columns(&hlg, ["limited", "bt2020", "arib-std-b67", "bt2020nc"]),
        &x265(""),
    );
    assert_eq!(film.video().await.picture.transfer, Transfer::Hlg);
    let shown = joins(&film).await;
    for (column, luma) in [16, 90, 139, 215, 234].into_iter().enumerate() {
        assert_near(shown.colour(column, 5), (luma, 128, 128), 3, "grey");
    }
}

/// The same three colours and grey in every coding come out as the same BT.709 of limited range.
#[tokio::test]
async fn codings_of_colour_become_one() {
    // Red, green and blue at three quarters, in BT.709 of limited range: H.273, equations 38 to 40.
    let expected = [(51, 109, 212), (133, 63, 52), (28, 212, 120), (180, 128, 128)];
    let rgb = "color=black:size=192x96:rate=10:duration=5,format=gbrp,\
               geq=r='191*(eq(floor(X*4/W),0)+eq(floor(X*4/W),3))':\
               g='191*(eq(floor(X*4/W),1)+eq(floor(X*4/W),3))':\
               b='191*(eq(floor(X*4/W),2)+eq(floor(X*4/W),3))'";
    let matrix = |matrix: &str, range: &str, tags: [&str; 4]| {
        format!(
            "{rgb},scale=out_color_matrix={matrix}:out_range={range}:\
             flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p,{}",
            tagged(tags),
        )
    };
    let crf = [&X264[..], &["-crf", "4"]].concat();
    let tagged = [
        matrix("bt709", "limited", ["limited", "bt709", "bt709", "bt709"]),
        matrix("bt601", "limited", ["limited", "smpte170m", "smpte170m", "smpte170m"]),
        matrix("bt601", "limited", ["limited", "bt470bg", "smpte170m", "bt470bg"]),
        // Says nothing: a small picture is BT.601.
        matrix("bt601", "limited", ["unknown", "unknown", "unknown", "unknown"]),
        matrix("bt709", "full", ["full", "bt709", "bt709", "bt709"]),
    ];
    for source in &tagged {
        let film = Film::new("film.mp4", source, &crf);
        let shown = joins(&film).await;
        for (column, expected) in expected.into_iter().enumerate() {
            assert_near(shown.colour(column, 4), expected, 4, source);
        }
    }
    let jpeg = matrix("bt601", "full", ["full", "unknown", "unknown", "unknown"]);
    let film =
        Film::new("film.avi", &jpeg, &["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"]);
    assert!(film.video().await.picture.full_range);
    let shown = joins(&film).await;
    for (column, expected) in expected.into_iter().enumerate() {
        assert_near(shown.colour(column, 4), expected, 5, "JPEG");
    }
    // Ten bits, and a wide gamut of ordinary brightness: grey stays, colours move outwards.
    let wide = [(721, 512, 512), (300, 440, 700)];
    let film =
        coded("film.mkv", &columns(&wide, ["limited", "bt2020", "bt709", "bt2020nc"]), &x265(""));
    assert_eq!(film.video().await.picture.gamut, Gamut::Bt2020);
    let shown = joins(&film).await;
    assert_near(shown.colour(0, 2), (180, 128, 128), 3, "grey of ten bits");
    assert!(shown.colour(1, 2).2 > 178, "{:?}", shown.colour(1, 2));
}

fn refusal<T: std::fmt::Debug>(result: Result<T, MediaError>) -> String {
    match result {
        Err(MediaError::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused() {
    let tool = Ffmpeg::for_local_files(tools());
    let key = "00112233445566778899aabbccddeeff";
    let cipher = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key];
    let locked = [&X264[..], &cipher, &["-encryption_kid", key]].concat();
    let film = Film::new("film.mp4", &numbered("160x96", "25", "2"), &locked);
    assert_eq!(refusal(tool.probe(&film.path).await), "The film is encrypted.");
    // A few kilobytes that would be 42 million pixels.
    let bomb = "color=black:size=7000x6000:rate=1:duration=1";
    let film = Film::new("film.avi", bomb, &["-c:v", "mjpeg"]);
    let reason = refusal(tool.probe(&film.path).await);
    assert!(reason.contains("picture"), "{reason}");
}

/// When each picture of what was joined last is shown, in seconds.
fn times(film: &Film) -> Vec<f64> {
    let joined = film.directory.path().join("joined.mp4").to_string_lossy().into_owned();
    let looks = ["-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time"];
    let printed = output("ffprobe", &[&looks[..], &["-of", "csv=p=0", &joined]].concat()).stdout;
    let text = String::from_utf8(printed).unwrap();
    let mut times: Vec<f64> =
        text.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The film's sound as its task makes it, decoded: samples of one channel.
async fn heard(film: &Film, plan: &TranscodePlan) -> Vec<f32> {
    let work = plan.works().into_iter().find(|work| matches!(work, Work::Audio { .. })).unwrap();
    let output = film.directory.path().join("sound");
    let pieces = Ffmpeg::for_local_files(tools()).encode(&film.path, &work, &output).await.unwrap();
    let folder = output.join(&pieces[0].track);
    let mut media = std::fs::read(folder.join("init.mp4")).unwrap();
    for number in 1..=pieces[0].encoded.segments.len() {
        media.extend(std::fs::read(folder.join(format!("{number:05}.m4s"))).unwrap());
    }
    let joined = film.directory.path().join("sound.mp4");
    std::fs::write(&joined, media).unwrap();
    let joined = joined.to_string_lossy();
    let bytes = ffmpeg(&["-i", &*joined, "-ac", "1", "-f", "f32le", "-"]);
    bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

/// How far sound may be from its picture, in seconds.
const SKEW: f64 = 0.020;

/// A minute in more than three chunks, at all the rates there are, with a tone that begins with a
/// picture of the last second.
#[tokio::test]
#[ignore = "takes minutes: make proof"]
async fn a_minute_at_every_rate() {
    for (rate, left_out, frames, marked) in [
        ("24000/1001", "", 1439, 1415),
        ("24", "", 1440, 1416),
        ("25", "", 1500, 1475),
        ("30000/1001", "", 1799, 1769),
        ("30", "", 1800, 1770),
        ("50", "", 3000, 2950),
        ("60", "", 3600, 3540),
        // Of variable rate: six of seven frames, and a picture that stands for five seconds.
        ("30", ",select='eq(n,0)+mod(n,7)*not(between(n,700,849))+eq(n,1799)'", 1800, 1770),
    ] {
        let name = format!("{rate}{left_out}");
        let picture = numbered("160x96", rate, "60") + left_out;
        let tone =
            format!("aevalsrc=exprs='sin(2*PI*880*t)*gte(t,{marked}/({rate}))':s=48000:d=60");
        let sound = ["-f", "lavfi", "-i", &tone, "-c:a", "aac", "-b:a", "128k"];
        let film =
            Film::new("film.mp4", &picture, &[&sound[..], &X264, &["-fps_mode", "vfr"]].concat());
        let probe = film.probe().await;
        assert!((probe.duration_seconds - 60.0).abs() < 0.05, "{name}: {probe:?}");
        let shown = joins(&film).await;
        assert!(shown.plan.works().len() > 4);
        assert_eq!(shown.frames.len(), frames, "{name}");
        let times = times(&film);
        assert_eq!(times.len(), frames, "{name}");
        // Every picture at its own time, before a join and after it.
        let frame_rate = shown.plan.grid.frame_rate.value();
        for (index, time) in times.iter().enumerate() {
            assert!((time - index as f64 / frame_rate).abs() < 0.001, "{name}: {index} at {time}");
        }
        // A number comes again after 256 frames.
        let last =
            shown.numbers().iter().rposition(|number| *number == (marked - 1) % 256).unwrap();
        let samples = heard(&film, &shown.plan).await;
        let begins =
            samples.iter().position(|sample| sample.abs() > 0.1).unwrap() as f64 / 48_000.0;
        let skew = begins - times[last + 1];
        assert!(skew.abs() <= SKEW, "{name}: the sound comes {skew} s after its picture");
        let end = frames as f64 / frame_rate;
        let skew = samples.len() as f64 / 48_000.0 - end;
        assert!(skew.abs() <= SKEW, "{name}: the sound ends {skew} s after the picture");
    }
}
