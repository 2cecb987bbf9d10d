//! Damaged inputs: whatever is read never panics or overflows, and what is accepted gives playlists
//! that strict readers take. Real inputs are damaged again and again, from a seed.
//!
//! Some seconds in every run. `make proof` runs the ignored test for `STREAMGATE_FUZZ_SECONDS`
//! (60); a failure names its seed, and `STREAMGATE_FUZZ_SEED` begins there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod films;

use domain::label::{self, Label, Purpose};
use domain::ladder::Grid;
use domain::policy::Policy;
use domain::presentation::{KEY_FRAMES_SUFFIX, Links, Presentation};
use domain::subtitle::Subtitles;
use domain::{dash, hls};
use films::{any_film, any_links};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use quick_xml::Reader;
use quick_xml::events::Event;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What may be written for each byte that was read, and besides: a hostile name is escaped.
const GROWTH: usize = 40;
const BESIDES: usize = 10_000;
/// Nothing that is read is larger here.
const LARGEST: usize = 200_000;

/// The same for the same seed.
struct Random(StdRng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Numbers at which something may tip over.
const NUMBERS: [&str; 17] = [
    "0",
    "1",
    "-1",
    "2",
    "127",
    "128",
    "255",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "-1e-308",
    "0.5",
];

/// Texts that end something, begin something, or are nothing.
const TEXTS: [&str; 22] = [
    "",
    "\"",
    "\n",
    "\r\n",
    "\n#EXT-X-ENDLIST\n",
    "<",
    ">",
    "&",
    "]]>",
    "<!--",
    "$Number$",
    "$",
    "%",
    "%zz",
    "\u{0}",
    "\u{fffe}",
    "\u{2028}",
    "-->",
    "00:00:01.000 --> 00:00:02.000",
    "{\\an8}",
    "&#x0;",
    "\u{feff}",
];

/// Somewhere among the bytes.
fn damage_bytes(random: &mut Random, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let (at, end) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
    let (start, end) = (at.min(end), at.max(end));
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(start..end)),
        3 => {
            let again = bytes[start..end].to_vec();
            bytes.splice(start..start, again);
        }
        4 => drop(bytes.splice(at..at, random.one(&NUMBERS).bytes())),
        5 => drop(bytes.splice(at..at, random.one(&TEXTS).bytes())),
        6 => {
            let long = vec![*random.one(b"a[{(\"\\ \n<-:0\xff"); 1 << random.below(16)];
            bytes.splice(at..at, long);
        }
        7 => {
            let other = random.one(others);
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
        // A number where one stands, so that what is read around it stays good.
        _ => {
            let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
            let Some(start) = (at..bytes.len()).find(|index| digit(*index)) else { return };
            let end = (start..bytes.len()).find(|index| !digit(*index)).unwrap_or(bytes.len());
            bytes.splice(start..end, random.one(&NUMBERS).bytes());
        }
    }
}

/// Somewhere in a JSON value, which stays one.
fn damage_json(random: &mut Random, value: &mut Value) {
    let deeper = random.below(8) > 0;
    match value {
        Value::Object(object) if deeper && !object.is_empty() => {
            let chosen = random.below(object.len());
            if random.below(12) == 0 {
                let key = object.keys().nth(chosen).unwrap().clone();
                object.remove(&key);
            } else if let Some(inner) = object.values_mut().nth(chosen) {
                damage_json(random, inner);
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let chosen = random.below(list.len());
            match random.below(12) {
                0 => drop(list.remove(chosen)),
                1 => list.push(list[chosen].clone()),
                2 => list.swap(0, chosen),
                _ => damage_json(random, &mut list[chosen]),
            }
        }
        other => {
            *other = match random.below(8) {
                0 => Value::String((*random.one(&TEXTS)).into()),
                1 => Value::String(random.one(&TEXTS).repeat(1 << random.below(8))),
                2 => Value::Null,
                3 => Value::Array(vec![other.clone(); random.below(3)]),
                4 => Value::Bool(true),
                _ => serde_json::from_str(NUMBERS[random.below(NUMBERS.len())]).unwrap(),
            };
        }
    }
}

fn damaged(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.one(inputs).clone();
    if random.below(3) > 0
        && let Ok(mut value) = serde_json::from_slice::<Value>(&bytes)
    {
        (0..=random.below(4)).for_each(|_| damage_json(random, &mut value));
        bytes = value.to_string().into_bytes();
    } else {
        (0..=random.below(6)).for_each(|_| damage_bytes(random, &mut bytes, inputs));
    }
    bytes.truncate(LARGEST);
    bytes
}

struct Inputs {
    films: Vec<Vec<u8>>,
    grids: Vec<Grid>,
    links: Vec<Links>,
    texts: Vec<Vec<u8>>,
    policies: Vec<Vec<u8>>,
}

impl Inputs {
    /// The same in every run.
    fn new() -> Self {
        let mut runner = TestRunner::deterministic();
        let small = any_film().prop_filter("small", |film| film.grid.segments() < 40);
        let some: Vec<_> =
            (0..40).map(|_| small.new_tree(&mut runner).unwrap().current()).collect();
        let films = some.iter().map(|film| film.beginning.as_ref().unwrap_or(&film.whole));
        let links = (0..10).map(|_| any_links().new_tree(&mut runner).unwrap().current());
        let texts: [&str; 3] = [
            "1\r\n00:00:03,500 --> 01:00:05,000 X1:1\r\n{\\an8}Later &\r\n<font color=\"red\">second\
             </font> line\r\n\r\n2\r\n00:00:00,5 --> 00:00:03,000\r\n<i>First</i>\r\n",
            "\u{feff}WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\nNOTE nothing\n\nname\n\
             00:01.000 --> 00:04.000 line:10% align:start\n<v Ann>One &lt; <b>two</b> &#65;\n\n\
             01:00:00.000 --> 01:00:02.500\n<c.a><00:01.500>Some</c> <u>more\n",
            "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<b><i>a</b></i>\n\n\n\n--> x\n",
        ];
        let policy = r#"{"version":1,"rule":{"any":[
            {"kind":"erc721","chain":"eip155:1","contract":"0x5FbDB2315678afecb367f032d93F642f64180aa3",
             "min":"1","ids":["1","5-9"],"traits":[{"name":"a","value":"b"}]},
            {"at_least":2,"of":[{"kind":"native","chain":"eip155:1","min":"0.5"},
             {"kind":"erc20","chain":"eip155:1","contract":"0x5FbDB2315678afecb367f032d93F642f64180aa3","min":"1.25"},
             {"kind":"time","from":"2026-01-01T00:00:00Z"}]},
            {"none":[{"kind":"accounts","deny":["eip155:1:0x5FbDB2315678afecb367f032d93F642f64180aa3"]}]},
            {"kind":"contract","chain":"eip155:1","contract":"0x5FbDB2315678afecb367f032d93F642f64180aa3",
             "function":"levelOf(address)(uint256)","arguments":[":account"],"result":{"at_least":"3"}}]}}"#;
        Self {
            films: films.map(|film| serde_json::to_vec(film).unwrap()).collect(),
            grids: some.iter().map(|film| film.grid).collect(),
            links: links.collect(),
            texts: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            policies: vec![policy.into()],
        }
    }

    /// One turn, decided by its seed alone. Whether what was damaged was still accepted.
    fn turn(&self, seed: u64) -> bool {
        let mut random = Random(StdRng::seed_from_u64(seed));
        match random.below(8) {
            0..4 => film(&damaged(&mut random, &self.films), random.one(&self.links)),
            4 | 5 => subtitles(&damaged(&mut random, &self.texts), random.one(&self.grids)),
            6 => policy(&damaged(&mut random, &self.policies)),
            _ => label(&damaged(&mut random, &self.texts)),
        }
    }
}

fn film(stored: &[u8], links: &Links) -> bool {
    let Ok(film) = Presentation::read(stored) else { return false };
    let again = serde_json::to_vec(&film).unwrap();
    assert_eq!(Presentation::read(&again).unwrap(), film, "it is stored as it was read");
    // Each segment is a line, and in each line is an address.
    let address = film.tracks.iter().map(|track| links.media(track, "").len()).max().unwrap_or(0);
    let segments: usize = film.tracks.iter().map(|track| track.encoded.segments.len()).sum();
    let most = stored.len() * GROWTH + (segments + 2) * address + BESIDES;
    let written = |text: String| {
        assert!(text.len() < most, "{} bytes", text.len());
        text
    };
    let text = written(hls::multivariant(&film, links));
    m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap();
    for track in &film.tracks {
        for name in [track.name.clone(), format!("{}{KEY_FRAMES_SUFFIX}", track.name)] {
            let Some(text) = hls::media(&film, &name, links).map(written) else { continue };
            let list = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
            assert_eq!(list.end_list, film.growing.is_none());
            assert_eq!(list.target_duration, film.target_seconds);
        }
    }
    strict_xml(&written(dash::manifest(&film, links)));
    true
}

/// Well-formed, with nothing that XML 1.0 can't hold, and every attribute once.
fn strict_xml(text: &str) {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(allowed));
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut depth = 0;
    loop {
        let event = reader.read_event().unwrap();
        if let Event::Start(tag) | Event::Empty(tag) = &event {
            for attribute in tag.attributes() {
                attribute.unwrap().unescape_value().unwrap();
            }
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::GeneralRef(_) | Event::Text(_) | Event::Decl(_) | Event::Empty(_) => {}
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(depth, 0);
}

fn subtitles(file: &[u8], grid: &Grid) -> bool {
    let subtitles = Subtitles::read(file);
    let whole = subtitles.whole();
    assert!(whole.len() < file.len() * GROWTH + BESIDES, "{} bytes", whole.len());
    assert_eq!(Subtitles::read(whole.as_bytes()), subtitles, "{whole}");
    for number in [0, 1, 900, grid.segments() - 1, grid.segments(), u64::MAX - 1] {
        let text = subtitles.segment(grid, number);
        let shown = Subtitles::read(text.as_bytes());
        assert!(text.len() <= whole.len() + BESIDES && shown.len() <= subtitles.len());
        assert_eq!(text.matches("-->").count(), shown.len());
    }
    !subtitles.is_empty()
}

fn policy(text: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return false };
    let Ok(policy) = Policy::read(&value) else { return false };
    let _ = (policy.conditions(), policy.to_public_json());
    assert_eq!(Policy::read(&policy.to_json()).unwrap(), policy);
    true
}

fn label(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let (language, title) = text.split_at(text.floor_char_boundary(8));
    let label = Label::new(Some(language), Some(title), Purpose::Forced);
    let words = label.words("Sound");
    assert!(!words.trim().is_empty() && words.chars().count() <= 200, "{words}");
    assert!(!words.contains(|c: char| c == '"' || c.is_control()), "{words:?}");
    assert!(label.language.as_deref().is_none_or(label::is_tag));
    label.language.is_some() || label.title.is_some()
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

fn run(seconds: u64) {
    let inputs = Inputs::new();
    let until = Instant::now() + Duration::from_secs(seconds);
    let first = setting("STREAMGATE_FUZZ_SEED", 1);
    let (mut turns, mut accepted) = (0, 0);
    while Instant::now() < until {
        let seed = first + turns;
        match catch_unwind(AssertUnwindSafe(|| inputs.turn(seed))) {
            Ok(good) => accepted += u64::from(good),
            Err(_) => panic!("STREAMGATE_FUZZ_SEED={seed}"),
        }
        turns += 1;
    }
    // Were everything refused, nothing would have been tried.
    assert!(turns > 100 && accepted * 20 > turns, "{accepted} of {turns} were accepted");
}

proptest! {
    #[test]
    fn a_film_is_stored_and_read_back(film in any_film()) {
        for film in [Some(film.whole), film.beginning].into_iter().flatten() {
            let stored = serde_json::to_vec(&film).unwrap();
            prop_assert_eq!(Presentation::read(&stored).unwrap(), film);
        }
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>) {
        prop_assert!(Presentation::read(&bytes).is_err());
        let subtitles = Subtitles::read(&bytes);
        prop_assert_eq!(Subtitles::read(subtitles.whole().as_bytes()), subtitles);
    }
}

/// Guards: `Presentation::check`. Each of these made a sum overflow, or a playlist or manifest that
/// nobody can read.
#[test]
fn what_no_encoder_can_have_measured_is_refused() {
    let film = r#"{"video":"v","duration_seconds":4.0,"target_seconds":4,"tracks":[
        {"name":"360p","folder":"360p/cafe","encoded":{"codecs":"avc1.64001e","timescale":25000,
         "kind":{"type":"video","width":640,"height":360,
                 "frame_rate":{"numerator":25,"denominator":1}},
         "segments":[{"duration_ticks":100000,"bytes":70,"key_bytes":7}]}},
        {"name":"text-1","folder":"text-1/cafe","encoded":{"codecs":"","timescale":25,
         "kind":{"type":"text"},"segments":[{"duration_ticks":100,"bytes":60}]}}]}"#;
    let changed = |place: &str, value: Value| {
        let mut film: Value = serde_json::from_str(film).unwrap();
        *film.pointer_mut(place).unwrap() = value;
        Presentation::read(film.to_string().as_bytes())
    };
    assert!(changed("/target_seconds", 6.into()).is_ok());
    for (place, value) in [
        ("/tracks", Value::Array(Vec::new())),
        ("/tracks/1/name", "360p".into()),
        ("/tracks/0/encoded/kind", serde_json::json!({"type": "text"})),
        ("/video", "v".repeat(1000).into()),
        ("/tracks/0/folder", "f".repeat(1000).into()),
        ("/target_seconds", u64::MAX.into()),
        ("/tracks/0/encoded/timescale", 0.into()),
        ("/tracks/0/encoded/codecs", "".into()),
        ("/tracks/0/encoded/codecs", "a\"b".into()),
        ("/tracks/0/encoded/kind/frame_rate/denominator", 0.into()),
        ("/tracks/0/encoded/segments", Value::Array(Vec::new())),
        ("/tracks/0/encoded/segments/0/duration_ticks", 0.into()),
        ("/tracks/0/encoded/segments/0/duration_ticks", u64::MAX.into()),
        ("/tracks/0/encoded/segments/0/bytes", u64::MAX.into()),
        ("/tracks/0/encoded/segments/0/key_bytes", 71.into()),
    ] {
        assert!(changed(place, value.clone()).is_err(), "{place} {value}");
    }
    // It is reckoned, and not believed.
    assert_eq!(changed("/duration_seconds", (-1e300).into()).unwrap().duration_seconds, 4.0);
    // DASH has 32 bits for a rate.
    let fast = changed("/tracks/0/encoded/segments/0/bytes", (1u64 << 40).into()).unwrap();
    let manifest = dash::manifest(&fast, &Links::relative());
    assert!(manifest.contains("bandwidth=\"4294967295\""), "{manifest}");
}

#[test]
fn damaged_inputs_for_some_seconds() {
    run(2);
}

#[test]
#[ignore = "takes as long as it is told; make proof runs it"]
fn damaged_inputs_for_long() {
    run(setting("STREAMGATE_FUZZ_SECONDS", 60));
}
