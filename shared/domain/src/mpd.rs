//! Reads the DASH manifest (ISO/IEC 23009-1) that another packager wrote: what its segments are called
//! and how long each of them is, to the tick.
//!
//! Only what a static manifest with a `SegmentTimeline` and `$Number$` needs. A size, a depth or a
//! count beyond the limits here is an error, and so is a document type: nothing is expanded.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Twelve hours of ten tracks whose segments all differ in length are half of that.
pub const MAX_BYTES: usize = 8 << 20;
/// Of elements in each other; ours are at most seven.
const MAX_DEPTH: usize = 16;
const MAX_REPRESENTATIONS: usize = 100;
/// Of one representation: twelve hours of two seconds each are a third of that.
const MAX_SEGMENTS: usize = 65_536;

/// One representation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Representation {
    /// The file with codec settings, as it is written.
    pub init: String,
    /// The names of the segments, as they are written, with `$Number%09d$`.
    pub media: String,
    /// The number of the first segment.
    pub first_number: u64,
    /// RFC 6381.
    pub codecs: String,
    /// Of sound, in Hz.
    pub sample_rate: Option<u32>,
    /// Ticks in a second.
    pub timescale: u32,
    /// When the first segment begins on the film's clock, in ticks; before zero if need be.
    pub start: i64,
    /// How long each segment is, in ticks.
    pub lengths: Vec<u64>,
}

/// Why a manifest can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest can't be read: {0}")]
pub struct Unreadable(String);

fn bad(why: impl ToString) -> Unreadable {
    Unreadable(why.to_string())
}

/// What is known on one level of the manifest; a level below begins with what is known above.
#[derive(Clone, Default)]
struct Level {
    known: Representation,
    offset: u64,
    first_time: Option<u64>,
    next_time: u64,
}

/// All representations, in the order of the manifest.
///
/// # Errors
/// When it is none, or beyond a limit.
pub fn read(text: &[u8]) -> Result<Vec<Representation>, Unreadable> {
    if text.len() > MAX_BYTES {
        return Err(bad("it is too large"));
    }
    let mut reader = Reader::from_reader(text);
    let mut levels = vec![Level::default()];
    let (mut found, mut depth, mut is_static) = (Vec::new(), 0, false);
    loop {
        match reader.read_event().map_err(bad)? {
            Event::DocType(_) => return Err(bad("it has a document type")),
            Event::Start(element) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(bad("it is too deep"));
                }
                is_static |= begin(&element, &mut levels)?;
            }
            Event::Empty(element) => {
                is_static |= begin(&element, &mut levels)?;
                end(element.local_name().as_ref(), &mut levels, &mut found)?;
            }
            Event::End(element) => {
                depth -= 1;
                end(element.local_name().as_ref(), &mut levels, &mut found)?;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match is_static && depth == 0 {
        true => Ok(found),
        false => Err(bad("it is no whole static manifest")),
    }
}

fn is_level(name: &[u8]) -> bool {
    matches!(name, b"Period" | b"AdaptationSet" | b"Representation")
}

/// True for the root of a static manifest.
fn begin(element: &BytesStart<'_>, levels: &mut Vec<Level>) -> Result<bool, Unreadable> {
    let name = element.local_name();
    let name = name.as_ref();
    if is_level(name) {
        let inherited = levels.last().cloned().unwrap_or_default();
        levels.push(inherited);
    }
    let Some(level) = levels.last_mut() else { return Err(bad("it ends too early")) };
    let mut is_static = name == b"MPD";
    if name == b"SegmentTimeline" {
        level.known.lengths.clear();
        (level.first_time, level.next_time) = (None, 0);
    }
    let (mut time, mut length, mut repeat) = (None, 0, 0);
    for attribute in element.attributes() {
        let attribute = attribute.map_err(bad)?;
        let value = attribute.unescape_value().map_err(bad)?;
        let number = || value.parse::<u64>().map_err(bad);
        let small = || value.parse::<u32>().map_err(bad);
        let known = &mut level.known;
        match (name, attribute.key.local_name().as_ref()) {
            (b"MPD", b"type") => is_static = value == "static",
            (b"AdaptationSet" | b"Representation", b"codecs") => known.codecs = value.into_owned(),
            (b"AdaptationSet" | b"Representation", b"audioSamplingRate") => {
                known.sample_rate = Some(small()?);
            }
            (b"SegmentTemplate", b"timescale") => known.timescale = small()?,
            (b"SegmentTemplate", b"startNumber") => known.first_number = number()?,
            (b"SegmentTemplate", b"presentationTimeOffset") => level.offset = number()?,
            (b"SegmentTemplate", b"initialization") => known.init = value.into_owned(),
            (b"SegmentTemplate", b"media") => known.media = value.into_owned(),
            (b"S", b"t") => time = Some(number()?),
            (b"S", b"d") => length = number()?,
            // A negative one means "to the end", which nobody here needs.
            (b"S", b"r") => repeat = usize::try_from(number()?).map_err(bad)?,
            _ => {}
        }
    }
    if name == b"S" {
        let start = time.unwrap_or(level.next_time);
        level.first_time.get_or_insert(start);
        let lengths = &mut level.known.lengths;
        if length == 0 || repeat >= MAX_SEGMENTS - lengths.len().min(MAX_SEGMENTS) {
            return Err(bad("a segment has no length, or there are too many"));
        }
        if !lengths.is_empty() && start != level.next_time {
            return Err(bad("the segments leave a gap"));
        }
        lengths.extend(std::iter::repeat_n(length, repeat + 1));
        let run = length.checked_mul(repeat as u64 + 1);
        let next = run.and_then(|run| start.checked_add(run));
        level.next_time = next.ok_or_else(|| bad("it is too long"))?;
    }
    Ok(is_static)
}

fn end(
    name: &[u8],
    levels: &mut Vec<Level>,
    found: &mut Vec<Representation>,
) -> Result<(), Unreadable> {
    if !is_level(name) {
        return Ok(());
    }
    let Some(Level { known, offset, first_time, .. }) = levels.pop() else {
        return Err(bad("it ends too early"));
    };
    if name == b"Representation" {
        if found.len() == MAX_REPRESENTATIONS {
            return Err(bad("it has too many representations"));
        }
        // Both are ticks of a film: far from the end of 63 bits.
        let signed = |ticks: u64| i64::try_from(ticks).map_err(bad);
        let start = signed(first_time.unwrap_or(0))? - signed(offset)?;
        found.push(Representation { start, ..known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MediaConvert writes them.
    const MANIFEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10.010S">
  <Period start="PT0S" duration="PT10.010S" id="1">
    <AdaptationSet mimeType="video/mp4" frameRate="30000/1001" segmentAlignment="true">
      <Representation id="1" width="1280" height="720" bandwidth="3000000" codecs="avc1.64001f">
        <SegmentTemplate media="film-720p_$Number%09d$.cmfv" initialization="film-720pinit.cmfv"
            startNumber="1" timescale="90000" presentationTimeOffset="0">
          <SegmentTimeline>
            <S t="0" d="360360" r="1"/>
            <S t="720720" d="180180"/>
          </SegmentTimeline>
        </SegmentTemplate>
      </Representation>
    </AdaptationSet>
    <AdaptationSet mimeType="audio/mp4" lang="und">
      <Representation id="2" audioSamplingRate="48000" bandwidth="130000" codecs="mp4a.40.2">
        <AudioChannelConfiguration schemeIdUri="urn:x" value="2"/>
        <SegmentTemplate media="film-audio_$Number%09d$.cmfa" initialization="film-audioinit.cmfa"
            startNumber="1" timescale="48000"><SegmentTimeline><S t="0" d="480480"/>
        </SegmentTimeline></SegmentTemplate>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>"#;

    fn with(from: &str, to: &str) -> Result<Vec<Representation>, Unreadable> {
        assert!(MANIFEST.contains(from), "{from}");
        read(MANIFEST.replace(from, to).as_bytes())
    }

    #[test]
    fn names_and_lengths_are_read_to_the_tick() {
        let [video, audio] = read(MANIFEST.as_bytes()).unwrap().try_into().unwrap();
        let expected = Representation {
            init: "film-720pinit.cmfv".into(),
            media: "film-720p_$Number%09d$.cmfv".into(),
            first_number: 1,
            codecs: "avc1.64001f".into(),
            sample_rate: None,
            timescale: 90_000,
            start: 0,
            lengths: vec![360_360, 360_360, 180_180],
        };
        assert_eq!(video, expected);
        assert_eq!((audio.sample_rate, audio.lengths), (Some(48_000), vec![480_480]));
    }

    #[test]
    fn what_stands_above_holds_below() {
        let text = r#"<MPD type="static"><Period><AdaptationSet codecs="mp4a.40.2">
            <SegmentTemplate timescale="10" presentationTimeOffset="7"><SegmentTimeline><S d="40" t="5"/>
            <S d="2"/></SegmentTimeline></SegmentTemplate>
            <Representation><SegmentTemplate media="a" initialization="b"/></Representation>
            <Representation codecs="x"><SegmentTemplate media="c"><SegmentTimeline><S d="9"/>
            </SegmentTimeline></SegmentTemplate></Representation></AdaptationSet></Period></MPD>"#;
        let [one, two] = read(text.as_bytes()).unwrap().try_into().unwrap();
        assert_eq!((one.media.as_str(), one.init.as_str(), one.start), ("a", "b", -2));
        assert_eq!((one.lengths, one.timescale, one.codecs), (vec![40, 2], 10, "mp4a.40.2".into()));
        assert_eq!((two.media.as_str(), two.start, two.lengths), ("c", -7, vec![9]));
        assert_eq!(two.codecs, "x");
    }

    #[test]
    fn what_is_beyond_a_limit_or_makes_no_sense_is_refused() {
        for (from, to) in [
            ("type=\"static\"", "type=\"dynamic\""),
            ("d=\"180180\"", "d=\"0\""),
            ("d=\"180180\"", "d=\"-1\""),
            ("t=\"720720\"", "t=\"720721\""),
            ("r=\"1\"", "r=\"-1\""),
            ("r=\"1\"", "r=\"65536\""),
            ("r=\"1\"", "r=\"18446744073709551615\""),
            ("d=\"360360\"", "d=\"18446744073709551615\""),
            ("</Period>", ""),
            ("</Period>", "</Set>"),
            ("<MPD ", "<!DOCTYPE x [<!ENTITY a \"b\">]><MPD "),
            ("timescale=\"90000\"", "timescale=\"4294967296\""),
            ("presentationTimeOffset=\"0\"", "presentationTimeOffset=\"9223372036854775808\""),
            ("codecs=\"avc1.64001f\"", "codecs=\"&a;\""),
        ] {
            assert!(with(from, to).is_err(), "{to}");
        }
        assert!(read(&b" ".repeat(MAX_BYTES + 1)).is_err());
        assert!(read(format!("<MPD>{}", "<a>".repeat(MAX_DEPTH + 1)).as_bytes()).is_err());
        let many = "<Representation/>".repeat(MAX_REPRESENTATIONS + 1);
        assert!(with("<AdaptationSet mimeType=\"audio/mp4\"", &many).is_err());
        assert!(read(b"").is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[<>/=\"A-Za-z0-9 &;]{0,200}", whole: Vec<u8>) {
            let _ = read(text.as_bytes());
            let _ = read(&whole);
            let _ = with("type=\"static\"", &text);
        }
    }
}
