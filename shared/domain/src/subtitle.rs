//! Subtitles: SubRip and WebVTT (<https://www.w3.org/TR/webvtt1/>) are read, WebVTT is written.
//!
//! Sources hold anything. Of markup only `<i>`, `<b>` and `<u>` are kept, and every other `<`, `>`
//! and `&` is written as an escape: no script, no class and no arrow gets through.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::label::Label;
use crate::ladder::Grid;
use crate::presentation::{EncodedSegment, EncodedTrack, TrackKind};

/// What is read of a source at most; two hours of talk are some 200 kB.
pub const MAX_BYTES: usize = 4 << 20;
/// Cues beyond are left out.
const MAX_CUES: usize = 20_000;
/// A longer text is cut.
const MAX_TEXT: usize = 2_000;
/// Further cues of a segment are left out: what covers the whole film is in each of its segments.
const MAX_SEGMENT: usize = 64 << 10;
/// Hours are written with two digits.
const MAX_TIME: u64 = 100 * 3_600_000 - 1;

/// A video has no more uploaded ones.
pub const MOST_UPLOADED: usize = 32;

/// Before an uploaded one's name, the name of its track.
const UPLOADED_PREFIX: &str = "subtitles-";

/// Subtitles that were uploaded beside the film. What they say lies in the media bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// 16 hex digits of SHA-256 of all of it: new text lies in a folder of its own.
    pub digest: String,
    /// What it is called.
    pub label: Label,
}

impl Uploaded {
    /// Of that file, as [`Subtitles::whole`] writes it.
    pub fn new(whole: &str, label: Label) -> Self {
        Self { digest: hex::encode(&Sha256::digest(whole)[..8]), label }
    }
}

/// The track of uploaded subtitles, by their name: `subtitles-de`.
pub fn uploaded_track(name: &str) -> String {
    format!("{UPLOADED_PREFIX}{name}")
}

/// Whether a track was made of uploaded subtitles.
pub fn is_uploaded_track(track: &str) -> bool {
    track.starts_with(UPLOADED_PREFIX)
}

/// Whether uploaded subtitles may have this name: 1 to 35 lower-case letters, digits and hyphens.
pub fn is_name(name: &str) -> bool {
    (1..=35).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What a cue may say of its place.
const SETTINGS: [&str; 5] = ["vertical", "line", "position", "size", "align"];

/// One text and when it is shown. Times are milliseconds from the beginning of the film.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cue {
    start: u64,
    end: u64,
    settings: String,
    /// As it is written: escaped, without an empty line, every tag closed.
    text: String,
}

/// All cues of a track, by when they begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subtitles {
    cues: Vec<Cue>,
}

impl Subtitles {
    /// Reads SubRip or WebVTT, in UTF-8. Never fails: what makes no sense is left out.
    pub fn read(file: &[u8]) -> Self {
        let file = String::from_utf8_lossy(&file[..file.len().min(MAX_BYTES)]);
        let file = file.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut cues = Vec::new();
        let mut open: Option<(Cue, Vec<&str>)> = None;
        // An empty line more, which ends the last cue.
        for line in file.lines().chain([""]) {
            let timing = timing(line);
            if timing.is_some() || line.trim().is_empty() {
                if let Some((cue, lines)) = open.take() {
                    cues.extend(finished(cue, &lines));
                }
                open = timing.map(|cue| (cue, Vec::new()));
            } else if let Some((_, lines)) = &mut open {
                lines.push(line);
            }
            // Else a counter, a name, a note, a style, or nothing known.
            if cues.len() == MAX_CUES {
                break;
            }
        }
        cues.sort_by_key(|cue| cue.start);
        Self { cues }
    }

    /// How many cues there are.
    pub fn len(&self) -> usize {
        self.cues.len()
    }

    /// Whether nobody says anything.
    pub fn is_empty(&self) -> bool {
        self.cues.is_empty()
    }

    /// All of it in one file, as DASH has it.
    pub fn whole(&self) -> String {
        let mut text = String::from("WEBVTT\n\n");
        self.cues.iter().for_each(|cue| cue.write(&mut text));
        text
    }

    /// A segment, counted from 0, with every cue that is shown in it (RFC 8216 3.5). Cues have the
    /// film's own times, and the media begin at 0.
    pub fn segment(&self, grid: &Grid, segment: u64) -> String {
        let frames = grid.frames_of(&(segment..segment + 1));
        let rate = grid.frame_rate;
        // Both sides times the rate: exact.
        let time = |milliseconds: u64| u128::from(milliseconds) * u128::from(rate.numerator);
        let border = |frame: u64| u128::from(frame) * u128::from(rate.denominator) * 1000;
        let (start, end) = (border(frames.start), border(frames.end));
        let mut text = String::from("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n");
        let begun = self.cues.iter().take_while(|cue| time(cue.start) < end);
        for cue in begun.filter(|cue| time(cue.end) > start) {
            if text.len() + cue.text.len() > MAX_SEGMENT {
                break;
            }
            cue.write(&mut text);
        }
        text
    }
}

impl Subtitles {
    /// The segments of a track, and what playlists say of them: cut where the pictures are.
    pub fn cut(&self, grid: &Grid, label: &Label) -> (Vec<String>, EncodedTrack) {
        let files: Vec<String> =
            (0..grid.segments()).map(|segment| self.segment(grid, segment)).collect();
        let segments = (0..).zip(&files).map(|(segment, file)| {
            let frames = grid.frames_of(&(segment..segment + 1));
            let bytes = file.len() as u64;
            EncodedSegment {
                duration_ticks: (frames.end - frames.start)
                    * u64::from(grid.frame_rate.denominator),
                bytes,
                key_bytes: bytes,
            }
        });
        let encoded = EncodedTrack {
            codecs: String::new(),
            timescale: grid.frame_rate.numerator,
            kind: TrackKind::Text { label: label.clone() },
            segments: segments.collect(),
        };
        (files, encoded)
    }
}

impl Cue {
    fn write(&self, text: &mut String) {
        let Self { start, end, settings, text: shown } = self;
        let space = if settings.is_empty() { "" } else { " " };
        // Writing into a String cannot fail.
        let _ = write!(text, "{} --> {}{space}{settings}\n{shown}\n\n", clock(*start), clock(*end));
    }
}

pub(crate) fn clock(time: u64) -> String {
    let seconds = time / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, time % 1000)
}

fn finished(cue: Cue, lines: &[&str]) -> Option<Cue> {
    let text = markup(&lines.join("\n"));
    let sensible = cue.start < cue.end && cue.end <= MAX_TIME;
    (sensible && has_words(&text)).then_some(Cue { text, ..cue })
}

fn has_words(text: &str) -> bool {
    let mut inside = false;
    text.chars().any(|character| {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            other => return !inside && !other.is_whitespace(),
        }
        false
    })
}

/// `00:01:02,500 --> 00:01:04.000 align:start`, of both forms; a cue without its text.
fn timing(line: &str) -> Option<Cue> {
    let (start, rest) = line.split_once("-->")?;
    let mut words = rest.split_whitespace();
    let (start, end) = (time(start.trim())?, time(words.next()?)?);
    let settings: Vec<&str> = words.filter(|word| is_setting(word)).take(SETTINGS.len()).collect();
    Some(Cue { start, end, settings: settings.join(" "), text: String::new() })
}

fn is_setting(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%.,-".contains(c);
    let known = word.split_once(':').is_some_and(|(name, value)| {
        SETTINGS.contains(&name) && !value.is_empty() && value.chars().all(plain)
    });
    known && word.len() <= 40
}

/// `01:02:03.004`, or without hours, in milliseconds.
fn time(text: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (clock, fraction) = text.split_once(['.', ','])?;
    let thousandths = match fraction.len() {
        1 => number(fraction)? * 100,
        2 => number(fraction)? * 10,
        3 => number(fraction)?,
        _ => return None,
    };
    let (hours, minutes, seconds) = match *clock.split(':').collect::<Vec<_>>() {
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        [minutes, seconds] => (0, number(minutes)?, number(seconds)?),
        _ => return None,
    };
    let sensible = minutes < 60 && seconds < 60;
    sensible.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths)
}

/// A text as it may be written; what came out of it gives itself again.
fn markup(source: &str) -> String {
    let mut writer = Writer::default();
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        if writer.text.len() >= MAX_TEXT {
            break;
        }
        let (token, length) = token(rest, character);
        rest = &rest[length..];
        writer.write(token);
    }
    writer.finish()
}

enum Token {
    Character(char),
    Open(char),
    Close(char),
    Nothing,
}

/// What a text begins with, and how many bytes that takes.
fn token(rest: &str, character: char) -> (Token, usize) {
    let literal = (Token::Character(character), character.len_utf8());
    let until = |end: char| rest.find(end).map(|end| (&rest[1..end], end + 1));
    match character {
        '<' => match until('>') {
            Some((inside, length)) if is_tag(inside) => (tag(inside), length),
            _ => literal,
        },
        // Commands of SubStation, which found their way into SubRip: `{\an8}`.
        '{' if rest.starts_with("{\\") => {
            until('}').map_or(literal, |(_, length)| (Token::Nothing, length))
        }
        '&' => match until(';').and_then(|(name, length)| Some((entity(name)?, length))) {
            Some((character, length)) => (Token::Character(character), length),
            None => literal,
        },
        _ => literal,
    }
}

/// A name, a closing name, or the time within a karaoke text; `3 < 4` and `<3` are none.
fn is_tag(inside: &str) -> bool {
    let first = inside.strip_prefix('/').unwrap_or(inside).chars().next();
    let named = first.is_none_or(|first| first.is_ascii_alphabetic() || "!?".contains(first));
    (named || time(inside).is_some()) && !inside.contains('<')
}

fn tag(inside: &str) -> Token {
    let (close, name) = match inside.strip_prefix('/') {
        Some(name) => (true, name),
        None => (false, inside),
    };
    let name = name.split(|c: char| c == '.' || c.is_whitespace()).next().unwrap_or_default();
    match name.to_ascii_lowercase().as_bytes() {
        [name @ (b'i' | b'b' | b'u')] if close => Token::Close(char::from(*name)),
        [name @ (b'i' | b'b' | b'u')] => Token::Open(char::from(*name)),
        _ => Token::Nothing,
    }
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        _ => {
            let number = name.strip_prefix('#').filter(|number| number.len() <= 8)?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

#[derive(Default)]
struct Writer {
    text: String,
    open: Vec<char>,
}

impl Writer {
    fn write(&mut self, token: Token) {
        match token {
            Token::Character('&') => self.text.push_str("&amp;"),
            Token::Character('<') => self.text.push_str("&lt;"),
            Token::Character('>') => self.text.push_str("&gt;"),
            // No empty line, which would end the cue, and no space around a line.
            Token::Character('\n') => {
                self.text.truncate(self.text.trim_end().len());
                if !self.text.is_empty() {
                    self.text.push('\n');
                }
            }
            // Taken apart, a command could become one by what was left out of it.
            Token::Character('\\') if self.text.ends_with('{') => {}
            Token::Character(space) if space.is_whitespace() => {
                if !self.text.is_empty() && !self.text.ends_with('\n') {
                    self.text.push(if space.is_control() { ' ' } else { space });
                }
            }
            Token::Character(other) if other.is_control() => {}
            Token::Character(other) => self.text.push(other),
            Token::Open(name) if !self.open.contains(&name) => {
                self.open.push(name);
                self.put_tag("<", name);
            }
            Token::Close(name) if self.open.contains(&name) => {
                while let Some(last) = self.open.pop() {
                    self.put_tag("</", last);
                    if last == name {
                        break;
                    }
                }
            }
            Token::Open(_) | Token::Close(_) | Token::Nothing => {}
        }
    }

    fn put_tag(&mut self, before: &str, name: char) {
        self.text.push_str(before);
        self.text.push(name);
        self.text.push('>');
    }

    fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        while let Some(name) = self.open.pop() {
            self.put_tag("</", name);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::Ratio;
    use proptest::prelude::*;

    fn texts(file: &str) -> Vec<String> {
        Subtitles::read(file.as_bytes()).cues.into_iter().map(|cue| cue.text).collect()
    }

    fn one(text: &str) -> String {
        let file = format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n");
        texts(&file).pop().unwrap_or_default()
    }

    #[test]
    fn subrip_becomes_webvtt() {
        let file = "\u{feff}1\r\n00:00:03,500 --> 01:00:05,000 X1:1 X2:2\r\n{\\an8}Later &\r\n\
                    <font color=\"red\">second</font> line\r\n\r\n\
                    2\r\n00:00:00,5 --> 00:00:03,000\r\n<i>First</i>\r\n";
        let expected = "WEBVTT\n\n00:00:00.500 --> 00:00:03.000\n<i>First</i>\n\n\
                        00:00:03.500 --> 01:00:05.000\nLater &amp;\nsecond line\n\n";
        assert_eq!(Subtitles::read(file.as_bytes()).whole(), expected);
    }

    #[test]
    fn webvtt_keeps_its_places() {
        let file = "WEBVTT - Title\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n\
                    STYLE\n::cue { color: red }\n\nNOTE\nnot shown\n\nname\n\
                    00:01.000 --> 00:02.000 align:start region:r line:0 onclick:x()\n\
                    <v Mary>Hi</v> <c.loud>there</c> <00:01.500>&lt;now&gt;&#33;";
        let expected = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000 align:start line:0\n\
                        Hi there &lt;now&gt;!\n\n";
        assert_eq!(Subtitles::read(file.as_bytes()).whole(), expected);
    }

    #[test]
    fn hostile_texts_are_harmless() {
        assert_eq!(one("<script>alert(1)</script>"), "alert(1)");
        assert_eq!(one("<img src=x onerror=alert(1)>a"), "a");
        assert_eq!(one("&lt;script&gt;"), "&lt;script&gt;");
        assert_eq!(one("a --> b"), "a --&gt; b");
        assert_eq!(one("3 < 4 <3 > 2"), "3 &lt; 4 &lt;3 &gt; 2");
        assert_eq!(one("<i>a<b>b</i>c</b><u>"), "<i>a<b>b</b></i>c<u></u>");
        assert_eq!(one("<I.x>a"), "<i>a</i>");
        assert_eq!(one("a\u{0}\u{7}b\tc"), "ab c");
        assert_eq!(one("{{\\a}\\b}c"), "{b}c");
        assert_eq!(one("<i></i> <b> </b>"), "");
        assert!(one(&"&".repeat(100_000)).len() < MAX_TEXT + 10);
    }

    #[test]
    fn wrong_times_are_left_out() {
        for times in [
            "00:00:02.000 --> 00:00:01.000",
            "00:00:01.000 --> 00:00:01.000",
            "00:61:00.000 --> 01:02:00.000",
            "00:00:01.000 --> 100:00:00.000",
            "-0:00:01.000 --> 00:00:02.000",
            "00:00:01 --> 00:00:02",
            "99999999999999999999:00:01.000 --> 00:00:02.000",
            "1:2:3:4.000 --> 00:00:02.000",
            "--> 00:00:02.000",
            "00:00:01.000 -->",
        ] {
            assert!(Subtitles::read(format!("{times}\ntext\n").as_bytes()).is_empty(), "{times}");
        }
    }

    /// Guards: `MAX_BYTES`, `MAX_CUES` and `MAX_SEGMENT`.
    #[test]
    fn huge_and_binary_input_is_bounded() {
        assert!(Subtitles::read(&[0xff; 100_000]).is_empty());
        let cue = "00:00:00.000 --> 99:00:00.000\nx\n\n";
        let many = Subtitles::read(cue.repeat(60_000).as_bytes());
        assert_eq!(many.len(), MAX_CUES);
        let grid = Grid {
            frame_rate: Ratio::new(25, 1),
            segment_frames: 100,
            frames: 1000,
            start_micros: 0,
        };
        assert!(many.segment(&grid, 9).len() < MAX_SEGMENT + MAX_TEXT);
        let late = [" ".repeat(MAX_BYTES).as_bytes(), b"\n\n", cue.as_bytes()].concat();
        assert!(Subtitles::read(&late).is_empty());
    }

    #[test]
    fn a_cue_is_in_every_segment_that_it_touches() {
        // 4.004 s each.
        let grid = Grid {
            frame_rate: Ratio::new(30_000, 1001),
            segment_frames: 120,
            frames: 300,
            start_micros: 0,
        };
        let file = "00:00:01.000 --> 00:00:04.004\nfirst\n\n00:00:04.003 --> 00:00:04.005\nboth\n\n\
                    00:00:08.008 --> 00:00:20.000\nlast\n\n00:00:11.000 --> 00:00:20.000\nnever\n";
        let subtitles = Subtitles::read(file.as_bytes());
        let head = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n";
        let both = "00:00:04.003 --> 00:00:04.005\nboth\n\n";
        assert_eq!(
            subtitles.segment(&grid, 0),
            format!("{head}00:00:01.000 --> 00:00:04.004\nfirst\n\n{both}")
        );
        assert_eq!(subtitles.segment(&grid, 1), format!("{head}{both}"));
        assert_eq!(
            subtitles.segment(&grid, 2),
            format!("{head}00:00:08.008 --> 00:00:20.000\nlast\n\n")
        );
    }

    /// Scraps of both forms, of markup and of attacks, in any order.
    fn scraps() -> impl Strategy<Value = String> {
        let scrap = prop_oneof![
            4 => (0u64..400_000, 0u64..400_000).prop_map(|(start, length)| format!(
                "\n\n{} --> {} line:1%\n", clock(start), clock(start + length)
            )),
            2 => any::<String>(),
            1 => "[a-z &<>/{}\\\\;#0-9:.\n\r-]{0,30}",
            2 => proptest::sample::select(vec![
                "<i>", "</i>", "<b>", "<u>", "</u>", "<v a>", "-->", " --> ", "&amp;", "&lt;", "&#60;",
                "{\\", "}", "{", "\\", "\n", "\r\n", " ", "\u{a0}", "\u{2028}", "&nbsp;", "WEBVTT",
                "NOTE", "<", ">", "&", ";", "00:01.000", "\u{0}", "x",
            ]).prop_map(String::from),
        ];
        proptest::collection::vec(scrap, 0..60).prop_map(|scraps| scraps.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn what_is_written_is_read_back(file in scraps()) {
            let subtitles = Subtitles::read(file.as_bytes());
            let whole = subtitles.whole();
            prop_assert_eq!(&Subtitles::read(whole.as_bytes()), &subtitles, "{}", whole);
            // Arrows stand between times, and there is no markup but the three.
            prop_assert_eq!(whole.matches("-->").count(), subtitles.len());
            let bare = ["<i>", "</i>", "<b>", "</b>", "<u>", "</u>", "-->"]
                .iter()
                .fold(whole.clone(), |text, known| text.replace(known, ""));
            prop_assert!(!bare.contains(['<', '>', '\0', '\r']), "{}", bare);
        }

        #[test]
        fn the_segments_are_the_whole(file in scraps(), rate in 1u32..70_000, below in 1u32..1100) {
            let frame_rate = Ratio::new(rate.max(below), below);
            let segment_frames = (4.0 * frame_rate.value()).round() as u32;
            let grid = Grid { frame_rate, segment_frames, frames: u64::from(segment_frames) * 30, start_micros: 0 };
            let subtitles = Subtitles::read(file.as_bytes());
            let segments: Vec<Subtitles> = (0..grid.segments())
                .map(|segment| Subtitles::read(subtitles.segment(&grid, segment).as_bytes()))
                .collect();
            for cue in &subtitles.cues {
                for (number, segment) in segments.iter().enumerate() {
                    let start = number as f64 * grid.segment_seconds() * 1000.0;
                    let end = start + grid.segment_seconds() * 1000.0;
                    let (from, to) = (cue.start as f64, cue.end as f64);
                    // Which side of a border is another test.
                    if (from - end).abs() > 0.5 && (to - start).abs() > 0.5 {
                        let shown = from < end && to > start;
                        prop_assert_eq!(segment.cues.contains(cue), shown);
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_read(file in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let subtitles = Subtitles::read(&file);
            prop_assert_eq!(Subtitles::read(subtitles.whole().as_bytes()), subtitles);
        }
    }
}
