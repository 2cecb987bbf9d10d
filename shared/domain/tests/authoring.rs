//! What Apple's "HLS authoring specification for Apple devices" (as of 2025-05-08) asks of
//! playlists, clause by clause, on random films; and where RFC 8216 says more. What it asks of the
//! media is tested on the deployed stack: tests/contract/test_authoring.py.
//!
//! Segments last 6 s, as 7.5 and 7.6 recommend, unless a stack says otherwise.
//! A source of 360 lines or fewer has one variant, where 9.9 wants several.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod films;

use domain::presentation::{
    EncodedTrack, KEY_FRAMES_SUFFIX, Links, Presentation, Track, TrackKind,
};
use domain::{dash, hls};
use films::{AUDIO_FRAME, Film, SAMPLE_RATE, any_film, any_links};
use m3u8_rs::{AlternativeMedia, MasterPlaylist, VariantStream};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const MICROSECONDS: f64 = 1e6;

fn multivariant(film: &Presentation) -> MasterPlaylist {
    let text = hls::multivariant(film, &Links::relative());
    m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap()
}

fn variants(playlist: &MasterPlaylist) -> Vec<&VariantStream> {
    playlist.variants.iter().filter(|variant| !variant.is_i_frame).collect()
}

fn key_frames(playlist: &MasterPlaylist) -> Vec<&VariantStream> {
    playlist.variants.iter().filter(|variant| variant.is_i_frame).collect()
}

/// The names of all media playlists.
fn names(film: &Presentation) -> Vec<String> {
    let key_frames = film.videos().map(|track| format!("{}{KEY_FRAMES_SUFFIX}", track.name));
    film.tracks.iter().map(|track| track.name.clone()).chain(key_frames).collect()
}

fn media(film: &Presentation, name: &str) -> String {
    hls::media(film, name, &Links::relative()).unwrap()
}

/// The values of a tag, in order.
fn values<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(tag)).collect()
}

/// In microseconds: exact, which a reader's floating point is not.
fn lengths(text: &str) -> Vec<u64> {
    let length = |value: &str| {
        let (seconds, rest) = value.strip_suffix(',').unwrap().split_once('.').unwrap();
        assert_eq!(rest.len(), 6);
        seconds.parse::<u64>().unwrap() * 1_000_000 + rest.parse::<u64>().unwrap()
    };
    values(text, "#EXTINF:").into_iter().map(length).collect()
}

fn target(text: &str) -> u64 {
    values(text, "#EXT-X-TARGETDURATION:")[0].parse().unwrap()
}

/// Where segments end, in microseconds.
fn borders(text: &str) -> Vec<u64> {
    lengths(text)
        .into_iter()
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect()
}

fn is_text(track: &Track) -> bool {
    matches!(track.encoded.kind, TrackKind::Text { .. })
}

/// Of the picture, or of the sound where that is coarser; in microseconds.
fn frame(film: &Film) -> f64 {
    let audio = AUDIO_FRAME as f64 / SAMPLE_RATE as f64;
    MICROSECONDS * audio.max(1.0 / film.grid.frame_rate.value())
}

/// RFC 8216 4.1, word by word: the largest rate of any contiguous run of segments that lasts
/// between 0.5 and 1.5 target durations; of a film without such a run its average.
fn peak(track: &EncodedTrack, target: u64) -> f64 {
    let scale = f64::from(track.timescale);
    let rates = (0..track.segments.len()).flat_map(|first| {
        let (mut ticks, mut bytes) = (0, 0);
        track.segments[first..].iter().map(move |segment| {
            ticks += segment.duration_ticks;
            bytes += segment.bytes;
            (ticks as f64 / scale, bytes as f64 * 8.0 * scale / ticks as f64)
        })
    });
    let target = target as f64;
    let run = |seconds: f64| (0.5 * target..=1.5 * target).contains(&seconds);
    rates.filter(|(seconds, _)| run(*seconds)).map(|(_, rate)| rate).fold(average(track), f64::max)
}

fn average(track: &EncodedTrack) -> f64 {
    let bytes: u64 = track.segments.iter().map(|segment| segment.bytes).sum();
    bytes as f64 * 8.0 / track.duration_seconds()
}

/// Bits per second, rounded up for each of at most three tracks.
fn agree(written: u64, measured: f64) -> bool {
    let written = written as f64;
    written >= measured * 0.999_999 && written <= measured * 1.000_001 + 3.0
}

fn largest(tracks: &[&Track], rate: impl Fn(&EncodedTrack) -> f64) -> f64 {
    tracks.iter().map(|track| rate(&track.encoded)).fold(0.0, f64::max)
}

/// RFC 5646 2.1: what every language tag looks like.
fn is_language(tag: &str) -> bool {
    let parts: Vec<&str> = tag.split('-').collect();
    let letters = |part: &str| part.chars().all(|c| c.is_ascii_alphabetic());
    let plain = |part: &&str| {
        (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let private = matches!(parts[0], "x" | "i") && parts.len() > 1;
    parts.iter().all(plain) && letters(parts[0]) && (parts[0].len() > 1 || private)
}

fn has(one: &AlternativeMedia, characteristic: &str) -> bool {
    one.characteristics.as_deref().unwrap_or("").split(',').any(|each| each == characteristic)
}

fn groups(playlist: &MasterPlaylist) -> BTreeMap<&str, Vec<&AlternativeMedia>> {
    let mut groups: BTreeMap<&str, Vec<&AlternativeMedia>> = BTreeMap::new();
    for one in &playlist.alternatives {
        groups.entry(&one.group_id).or_default().push(one);
    }
    groups
}

proptest! {
    /// 7.7 "MUST NOT exceed the target duration by more than 0.5 seconds", and RFC 8216 4.3.3.1:
    /// not even once rounded. All but the last are as long as ours are meant to be (see 7.5, 7.6).
    #[test]
    fn segments_have_the_target_length(film in any_film()) {
        for name in names(&film.whole) {
            let text = media(&film.whole, &name);
            let (lengths, target) = (lengths(&text), target(&text));
            for length in &lengths {
                let seconds = *length as f64 / MICROSECONDS;
                prop_assert!(seconds <= target as f64 + 0.5, "{name}: {seconds}");
                prop_assert!(seconds.round() as u64 <= target, "{name}: {seconds}");
            }
            for length in &lengths[..lengths.len() - 1] {
                let off = *length as f64 - film.grid.segment_seconds() * MICROSECONDS;
                prop_assert!(off.abs() <= frame(&film) + 1.0, "{name}: {off} µs off");
            }
        }
    }

    /// 8.1: the sum of any contiguous group of EXTINF is within one video frame of the content's.
    /// Ours are within two microseconds, however many there are.
    #[test]
    fn sums_of_durations_are_exact(film in any_film()) {
        for track in &film.whole.tracks {
            let mut ticks = 0;
            let mut errors = vec![0.0];
            for (border, segment) in
                borders(&media(&film.whole, &track.name)).iter().zip(&track.encoded.segments)
            {
                ticks += segment.duration_ticks;
                let seconds = ticks as f64 / f64::from(track.encoded.timescale);
                errors.push(*border as f64 - seconds * MICROSECONDS);
            }
            // A group's error is the difference of the errors at its two ends.
            let most = errors.iter().copied().fold(f64::MIN, f64::max);
            let least = errors.iter().copied().fold(f64::MAX, f64::min);
            prop_assert!(most - least < 2.0, "{}: {most} - {least} µs", track.name);
        }
    }

    /// 8.2: one target duration. 5.6 and 6.11 want it of subtitles and key frames while a film
    /// grows; RFC 8216 6.2.1: it may not change then.
    #[test]
    fn all_playlists_have_one_target_duration(film in any_film()) {
        for shown in [Some(&film.whole), film.beginning.as_ref()].into_iter().flatten() {
            let targets: BTreeSet<u64> =
                names(shown).iter().map(|name| target(&media(shown, name))).collect();
            prop_assert_eq!(targets, BTreeSet::from([film.whole.target_seconds]));
        }
    }

    /// 8.3, 8.7 and 2.15: all cover the same time. 8.22: segments end at the same points in time.
    /// 5.5: subtitles exist for the whole of the content.
    #[test]
    fn all_playlists_cover_the_same_time_with_the_same_borders(film in any_film()) {
        let ends: Vec<f64> = (1..=film.grid.segments())
            .map(|number| number as f64 * film.grid.segment_seconds())
            .map(|end| end.min(film.grid.duration_seconds()) * MICROSECONDS)
            .collect();
        for name in names(&film.whole) {
            let found = borders(&media(&film.whole, &name));
            // A last picture may be shorter than a frame of sound, and then the sound has ended.
            prop_assert!(found.len().abs_diff(ends.len()) <= 1, "{name}");
            let last = (*found.last().unwrap() as f64, *ends.last().unwrap());
            for (found, end) in
                found.iter().map(|border| *border as f64).zip(ends.iter().copied()).chain([last])
            {
                prop_assert!((found - end).abs() <= frame(&film) + 1.0, "{name}: {found} {end}");
            }
        }
    }

    /// 8.6: VOD. 8.8: an EVENT while it grows; RFC 8216 4.3.3.5 and 6.2.1: lines are only added.
    #[test]
    fn a_whole_film_is_vod_and_a_growing_one_an_event_that_becomes_it(film in any_film()) {
        for name in names(&film.whole) {
            let whole = media(&film.whole, &name);
            prop_assert_eq!(values(&whole, "#EXT-X-PLAYLIST-TYPE:"), ["VOD"]);
            prop_assert_eq!(whole.lines().last(), Some("#EXT-X-ENDLIST"));
            let Some(beginning) = &film.beginning else { continue };
            let event = media(beginning, &name);
            prop_assert_eq!(values(&event, "#EXT-X-PLAYLIST-TYPE:"), ["EVENT"]);
            prop_assert!(!event.contains("#EXT-X-ENDLIST"));
            let begun = event.replace("#EXT-X-PLAYLIST-TYPE:EVENT", "#EXT-X-PLAYLIST-TYPE:VOD");
            prop_assert!(whole.starts_with(&begun), "{name}: {event}");
            prop_assert!(!lengths(&event).is_empty());
        }
    }

    /// 8.20: fMP4 has EXT-X-MAP. 8.13 to 8.15: a discontinuity is needed where encoding changes, as
    /// the one map of all segments says it does not; so there is none. 5.3: WebVTT has no map.
    #[test]
    fn one_map_and_no_discontinuity(film in any_film()) {
        for name in names(&film.whole) {
            let text = media(&film.whole, &name);
            prop_assert!(!text.contains("#EXT-X-DISCONTINUITY"));
            prop_assert!(!text.contains("#EXT-X-GAP") && !text.contains("#EXT-X-KEY"));
            let maps = text.matches("#EXT-X-MAP:").count();
            let of_text = film.whole.track(&name).is_some_and(is_text);
            prop_assert_eq!(maps, usize::from(!of_text));
            if !of_text {
                prop_assert!(text.find("#EXT-X-MAP:") < text.find("#EXTINF:"));
            }
        }
    }

    /// 9.11 and 9.12: segments are independent, says the multivariant playlist, and each but those
    /// of key frames. 6.8: those have EXT-X-I-FRAMES-ONLY.
    #[test]
    fn segments_are_independent(film in any_film()) {
        prop_assert!(multivariant(&film.whole).independent_segments);
        for name in names(&film.whole) {
            let text = media(&film.whole, &name);
            let only = name.ends_with(KEY_FRAMES_SUFFIX);
            prop_assert_eq!(text.lines().any(|line| line == "#EXT-X-I-FRAMES-ONLY"), only);
            let independent = text.lines().any(|line| line == "#EXT-X-INDEPENDENT-SEGMENTS");
            prop_assert_eq!(independent, !only);
        }
    }

    /// 9.1, 9.2, 9.14, 9.15: every variant says what it is; the codecs are all it can need
    /// (RFC 8216 4.3.4.2). RFC 8216: a rate has three decimals at most. 1.19: 60 at most.
    /// 1.33: one shape.
    #[test]
    fn variants_say_what_they_are(film in any_film()) {
        let film = &film.whole;
        let text = hls::multivariant(film, &Links::relative());
        for line in values(&text, "#EXT-X-STREAM-INF:") {
            let rate = line.split("FRAME-RATE=").nth(1).unwrap().split(',').next().unwrap();
            prop_assert!(rate.split_once('.').is_some_and(|(_, rest)| rest.len() <= 3), "{rate}");
        }
        let playlist = multivariant(film);
        let found = variants(&playlist);
        let groups = film.sound_groups();
        prop_assert_eq!(found.len(), film.videos().count() * groups.len().max(1));
        for (index, variant) in found.into_iter().enumerate() {
            let track = film.videos().nth(index % film.videos().count()).unwrap();
            let TrackKind::Video { width, height, frame_rate } = track.encoded.kind else {
                panic!("not a picture");
            };
            let shown = variant.resolution.unwrap();
            prop_assert_eq!((shown.width, shown.height), (width.into(), height.into()));
            let rate = variant.frame_rate.unwrap();
            prop_assert!((rate - frame_rate.value()).abs() <= 0.0005 && rate <= 60.0, "{rate}");
            let sounds = groups.iter().find(|group| variant.audio.as_deref() == Some(group.0));
            let mut codecs = BTreeSet::from([track.encoded.codecs.as_str()]);
            codecs.extend(sounds.iter().flat_map(|group| &group.1).map(|s| &*s.encoded.codecs));
            let written: Vec<&str> = variant.codecs.as_deref().unwrap().split(',').collect();
            prop_assert_eq!(written.len(), codecs.len());
            prop_assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), codecs);
            prop_assert!(variant.average_bandwidth.is_some());
            let largest = film.videos().last().unwrap();
            let TrackKind::Video { width: wide, height: high, .. } = largest.encoded.kind else {
                panic!("not a picture");
            };
            // Sides are even numbers: two pixels of either.
            let off = f64::from(width) * f64::from(high) - f64::from(wide) * f64::from(height);
            prop_assert!(off.abs() <= 2.0 * f64::from(wide + high), "{width}x{height}");
        }
    }

    /// 9.13, 1.27: BANDWIDTH is the largest sum of peaks of any playable combination.
    /// 9.14, 1.26: AVERAGE-BANDWIDTH is that of averages. Both exactly, where 10 % are allowed.
    #[test]
    fn bandwidths_are_the_measured_ones(film in any_film()) {
        let film = &film.whole;
        let (playlist, texts) = (multivariant(film), film.texts().collect::<Vec<_>>());
        let groups = film.sound_groups();
        let measured = |video: &Track, group: Option<&str>, rate: &dyn Fn(&EncodedTrack) -> f64| {
            let sounds = groups.iter().find(|one| Some(one.0) == group);
            let sounds = sounds.map_or(&[][..], |one| &one.1);
            rate(&video.encoded) + largest(sounds, rate) + largest(&texts, rate)
        };
        let peak_of = |track: &EncodedTrack| peak(track, track.target_seconds());
        for variant in variants(&playlist) {
            let name = variant.uri.strip_suffix(".m3u8").unwrap();
            let (video, group) = (film.track(name).unwrap(), variant.audio.as_deref());
            let peak = measured(video, group, &peak_of);
            prop_assert!(agree(variant.bandwidth, peak), "{} {peak}", variant.bandwidth);
            let average = measured(video, group, &average);
            let written = variant.average_bandwidth.unwrap();
            prop_assert!(agree(written, average), "{written} {average}");
            prop_assert!(written <= variant.bandwidth);
        }
    }

    /// 6.1: key frames of every picture. 9.3, 9.4: with codec and size. 6.10: each from the
    /// beginning of its segment, where the moof is, and no more than it. 6.9: their own peak.
    #[test]
    fn there_are_key_frames_of_every_picture(film in any_film()) {
        let film = &film.whole;
        let playlist = multivariant(film);
        let found = key_frames(&playlist);
        prop_assert_eq!(found.len(), film.videos().count());
        for (variant, track) in found.into_iter().zip(film.videos()) {
            let TrackKind::Video { width, height, .. } = track.encoded.kind else {
                panic!("not a picture");
            };
            prop_assert_eq!(variant.codecs.as_deref(), Some(&*track.encoded.codecs));
            let shown = variant.resolution.unwrap();
            prop_assert_eq!((shown.width, shown.height), (width.into(), height.into()));
            let text = media(film, variant.uri.strip_suffix(".m3u8").unwrap());
            let ranges = values(&text, "#EXT-X-BYTERANGE:");
            prop_assert_eq!(ranges.len(), track.encoded.segments.len());
            let mut keys = track.encoded.clone();
            for (range, segment) in ranges.into_iter().zip(&mut keys.segments) {
                let (length, start) = range.split_once('@').unwrap();
                prop_assert_eq!(start, "0");
                let length = length.parse().unwrap();
                prop_assert!(length > 0 && length <= segment.bytes);
                segment.bytes = length;
            }
            prop_assert!(agree(variant.bandwidth, peak(&keys, keys.target_seconds())));
        }
    }

    /// 8.10, 4.7, 2.27: LANGUAGE always, by RFC 5646. 2.12, 4.5, 2.28: what is made for whom is
    /// marked. 2.13, 4.6, 5.11: and chosen by itself. 8.9: each has a playlist of its own.
    #[test]
    fn renditions_say_what_they_are(film in any_film()) {
        let playlist = multivariant(&film.whole);
        prop_assert_eq!(playlist.alternatives.is_empty(), {
            film.whole.tracks.iter().all(Track::is_video)
        });
        for one in &playlist.alternatives {
            let language = one.language.as_deref();
            prop_assert!(language.is_some_and(is_language), "{language:?}");
            let track = film.whole.track(one.uri.as_deref().unwrap().strip_suffix(".m3u8").unwrap());
            let (track, channels) = (track.unwrap(), one.channels.as_deref());
            if let Some(known) = track.language() {
                prop_assert_eq!(language, Some(known));
            }
            if let TrackKind::Audio { channels: expected, .. } = track.encoded.kind {
                prop_assert_eq!(channels.unwrap().parse::<u32>().unwrap(), expected);
            }
            use domain::label::Purpose::{Commentary, Described, Forced, HearingImpaired, Plain};
            let purpose = track.purpose();
            prop_assert_eq!(
                has(one, "public.accessibility.describes-video"), purpose == Described
            );
            let deaf = purpose == HearingImpaired && is_text(track);
            prop_assert_eq!(has(one, "public.accessibility.transcribes-spoken-dialog"), deaf);
            prop_assert_eq!(has(one, "public.accessibility.describes-music-and-sound"), deaf);
            prop_assert_eq!(
                has(one, "public.accessibility.enhances-speech-intelligibility"),
                purpose == HearingImpaired && !is_text(track)
            );
            prop_assert_eq!(one.forced, purpose == Forced && is_text(track));
            match purpose {
                Described | HearingImpaired | Forced => prop_assert!(one.autoselect),
                Plain | Commentary => {}
            }
        }
    }

    /// RFC 8216 4.3.4.1 and 4.3.4.1.1: in a group names differ and one at most is the default,
    /// which is chosen by itself. All groups have the same members, and all variants the same choice.
    #[test]
    fn groups_are_alike_and_their_members_told_apart(film in any_film()) {
        let playlist = multivariant(&film.whole);
        let groups = groups(&playlist);
        for (group, members) in &groups {
            let names: BTreeSet<&str> = members.iter().map(|one| &*one.name).collect();
            prop_assert_eq!(names.len(), members.len());
            let default: Vec<_> = members.iter().filter(|one| one.default).collect();
            prop_assert_eq!(default.len(), usize::from(*group != "subtitles"));
            prop_assert!(default.iter().all(|one| one.autoselect));
            prop_assert!(members.iter().all(|one| one.uri.is_some()));
        }
        let attributes = |group: &str| -> Vec<_> {
            let members = groups.get(group).map_or(&[][..], |members| &**members);
            members
                .iter()
                .map(|one| (&one.name, &one.language, one.default, one.autoselect, one.forced))
                .collect()
        };
        if groups.contains_key("surround") {
            prop_assert_eq!(attributes("audio"), attributes("surround"));
        }
        // 9.6, 9.7: sound never lies in the picture's own stream.
        for variant in variants(&playlist) {
            prop_assert_eq!(variant.audio.is_some(), groups.contains_key("audio"));
            prop_assert_eq!(variant.subtitles.is_some(), groups.contains_key("subtitles"));
            for group in variant.audio.iter().chain(&variant.subtitles) {
                prop_assert!(groups.contains_key(group.as_str()));
            }
        }
        let pictures = |group: &str| -> BTreeSet<&str> {
            let all = variants(&playlist);
            let of = all.into_iter().filter(|variant| variant.audio.as_deref() == Some(group));
            of.map(|variant| &*variant.uri).collect()
        };
        if groups.contains_key("surround") {
            prop_assert_eq!(pictures("audio"), pictures("surround"));
        }
    }

    /// For tests/contract/test_manifest.py, which asks the MPD's schema: one file for each film.
    #[test]
    #[ignore = "writes files into STREAMGATE_MANIFESTS"]
    fn manifests_for_the_schema(film in any_film(), links in any_links()) {
        let folder = PathBuf::from(std::env::var("STREAMGATE_MANIFESTS").unwrap());
        for film in [Some(film.whole), film.beginning].into_iter().flatten() {
            let path = folder.join(format!("{:05}.mpd", folder.read_dir().unwrap().count()));
            std::fs::write(path, dash::manifest(&film, &links)).unwrap();
        }
    }

    /// 8.18, 12.4: segments are asked for where the playlist says, and the address is a viewer's own.
    #[test]
    fn every_address_is_signed(film in any_film(), links in any_links()) {
        for track in &film.whole.tracks {
            let text = hls::media(&film.whole, &track.name, &links).unwrap();
            let (before, after) = links.around(track);
            let addresses: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            prop_assert_eq!(addresses.len(), track.encoded.segments.len());
            for address in addresses {
                prop_assert!(address.starts_with(&before) && address.ends_with(after), "{address}");
            }
        }
    }
}
