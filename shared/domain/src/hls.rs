//! HLS playlists (RFC 8216, version 7).

use std::fmt::Write;

use crate::encryption::initialisation_vector;
use crate::label::Purpose;
use crate::presentation::{
    EncodedTrack, KEY_FRAMES_SUFFIX, Links, Presentation, Track, TrackKind, names, segment_time,
};

const SUBTITLES: &str = "subtitles";

/// The playlist that names the renditions.
pub fn multivariant(presentation: &Presentation, links: &Links) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let sounds = presentation.sound_groups();
    let texts: Vec<&Track> = presentation.texts().collect();
    for (group, tracks) in &sounds {
        media_tags(&mut text, "AUDIO", group, tracks, links);
    }
    media_tags(&mut text, "SUBTITLES", SUBTITLES, &texts, links);

    // Who can play no more than stereo finds that first. A silent film is a group of nothing.
    let groups: Vec<(Option<&str>, &[&Track])> = match &*sounds {
        [] => vec![(None, &[])],
        sounds => sounds.iter().map(|(group, tracks)| (Some(*group), &**tracks)).collect(),
    };
    for (group, sounds) in &groups {
        for track in presentation.videos() {
            let TrackKind::Video { width, height, frame_rate } = track.encoded.kind else {
                continue;
            };
            variant(&mut text, track, sounds, &texts);
            let rate = frame_rate.value();
            put(&mut text, format_args!(",RESOLUTION={width}x{height},FRAME-RATE={rate:.3}"));
            groups_of(&mut text, *group, &texts);
            put(&mut text, format_args!("\n{}\n", links.playlist(track)));
        }
    }
    for track in presentation.videos() {
        let TrackKind::Video { width, height, .. } = track.encoded.kind else { continue };
        if presentation.encryption.is_some() {
            break;
        }
        let frames = track.encoded.key_frames();
        put(
            &mut text,
            format_args!(
                "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS={},\
                 RESOLUTION={width}x{height},URI=\"{}\"\n",
                frames.peak_bandwidth(),
                frames.average_bandwidth(),
                quoted(&track.encoded.codecs),
                links.key_frames(track),
            ),
        );
    }
    if presentation.videos().next().is_none() {
        // Sound alone: the rendition group needs a variant to hang on.
        for (group, sounds) in &sounds {
            for track in sounds {
                variant(&mut text, track, &[], &texts);
                groups_of(&mut text, Some(group), &texts);
                put(&mut text, format_args!("\n{}\n", links.playlist(track)));
            }
        }
    }
    text
}

/// A player may take any sound and any text with a track: the most expensive ones are counted.
fn variant(text: &mut String, track: &Track, sounds: &[&Track], texts: &[&Track]) {
    let most = |tracks: &[&Track], rate: fn(&EncodedTrack) -> u64| {
        tracks.iter().map(|track| rate(&track.encoded)).max().unwrap_or(0)
    };
    let all = |rate: fn(&EncodedTrack) -> u64| {
        rate(&track.encoded) + most(sounds, rate) + most(texts, rate)
    };
    let mut codecs = vec![track.encoded.codecs.as_str()];
    for sound in sounds {
        if !codecs.contains(&sound.encoded.codecs.as_str()) {
            codecs.push(&sound.encoded.codecs);
        }
    }
    put(
        text,
        format_args!(
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS={}",
            all(EncodedTrack::peak_bandwidth),
            all(EncodedTrack::average_bandwidth),
            quoted(&codecs.join(",")),
        ),
    );
}

fn groups_of(text: &mut String, sounds: Option<&str>, texts: &[&Track]) {
    if let Some(group) = sounds {
        put(text, format_args!(",AUDIO=\"{group}\""));
    }
    if !texts.is_empty() {
        put(text, format_args!(",SUBTITLES=\"{SUBTITLES}\""));
    }
}

/// The members of a group. Which sound plays when nobody chooses is the first; subtitles never are
/// shown unasked, since containers call any of them the default.
fn media_tags(text: &mut String, kind: &str, group: &str, tracks: &[&Track], links: &Links) {
    let mut chosen = Vec::new();
    for (index, (track, name)) in tracks.iter().zip(names(tracks)).enumerate() {
        let (purpose, language) = (track.purpose(), track.language());
        let yes = |yes: bool| if yes { "YES" } else { "NO" };
        let is_text = matches!(track.encoded.kind, TrackKind::Text { .. });
        let default = index == 0 && !is_text;
        // What a player chooses by should tell the members apart (RFC 8216 4.3.4.1.1); of what is
        // made for someone, Apple wants every one to be chosen (2.13, 4.6, 5.11).
        let told_apart = !chosen.contains(&(language, purpose));
        chosen.push((language, purpose));
        let wanted = match purpose {
            Purpose::Plain => told_apart,
            Purpose::Commentary => false,
            Purpose::Forced | Purpose::HearingImpaired | Purpose::Described => true,
        };
        let automatic = default || wanted;
        put(
            text,
            format_args!(
                "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{group}\",NAME={},DEFAULT={},AUTOSELECT={},",
                quoted(&name),
                yes(default),
                yes(automatic),
            ),
        );
        // Apple wants one of each (8.10): RFC 5646 has a tag for what is not known.
        put(text, format_args!("LANGUAGE={},", quoted(language.unwrap_or("und"))));
        if is_text && purpose == Purpose::Forced {
            text.push_str("FORCED=YES,");
        }
        if let Some(characteristics) = characteristics(is_text, purpose) {
            put(text, format_args!("CHARACTERISTICS=\"{characteristics}\","));
        }
        if let TrackKind::Audio { channels, .. } = track.encoded.kind {
            put(text, format_args!("CHANNELS=\"{channels}\","));
        }
        put(text, format_args!("URI=\"{}\"\n", links.playlist(track)));
    }
}

/// Apple's uniform type identifiers (RFC 8216 4.3.4.1, HLS authoring specification).
fn characteristics(is_text: bool, purpose: Purpose) -> Option<&'static str> {
    match (purpose, is_text) {
        (Purpose::HearingImpaired, true) => Some(
            "public.accessibility.transcribes-spoken-dialog,\
             public.accessibility.describes-music-and-sound",
        ),
        (Purpose::HearingImpaired, false) => {
            Some("public.accessibility.enhances-speech-intelligibility")
        }
        (Purpose::Described, _) => Some("public.accessibility.describes-video"),
        (Purpose::Plain | Purpose::Commentary | Purpose::Forced, _) => None,
    }
}

/// The playlist of one track, or of its key frames; none when there is no such track.
pub fn media(presentation: &Presentation, name: &str, links: &Links) -> Option<String> {
    if let Some(track) = presentation.track(name) {
        return Some(list(presentation, track, false, links));
    }
    let track = presentation.track(name.strip_suffix(KEY_FRAMES_SUFFIX)?)?;
    (track.is_video() && presentation.encryption.is_none())
        .then(|| list(presentation, track, true, links))
}

fn list(presentation: &Presentation, track: &Track, key_frames: bool, links: &Links) -> String {
    let encoded = &track.encoded;
    let (before, after) = links.around(track);
    let mut text = String::with_capacity(256 + encoded.segments.len() * (80 + after.len()));
    put(
        &mut text,
        format_args!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:1\n\
             #EXT-X-PLAYLIST-TYPE:{}\n{}\n",
            presentation.target_seconds,
            if presentation.growing.is_some() { "EVENT" } else { "VOD" },
            if key_frames { "#EXT-X-I-FRAMES-ONLY" } else { "#EXT-X-INDEPENDENT-SEGMENTS" },
        ),
    );
    let is_text = matches!(encoded.kind, TrackKind::Text { .. });
    if !is_text {
        let settings = track.whole_file();
        put(&mut text, format_args!("#EXT-X-MAP:URI=\"{before}{settings}{after}\"\n"));
    }
    // Each border is rounded by itself: the sum of all EXTINF then stays exact to a microsecond
    // however long the film is.
    let (mut ticks, mut start) = (0, 0);
    let encryption = presentation.encryption.as_ref().filter(|_| !is_text);
    for (number, segment) in (1..).zip(&encoded.segments) {
        if let Some(encryption) = encryption {
            // With each segment, for each has a vector of its own; after EXT-X-MAP, which is plain.
            put(
                &mut text,
                format_args!(
                    "#EXT-X-KEY:METHOD=AES-128,URI=\"{}\",IV=0x{}\n",
                    links.key(&presentation.video, encryption.period(number)),
                    hex::encode(initialisation_vector(&track.folder, number)),
                ),
            );
        }
        ticks += segment.duration_ticks;
        let end = segment_time(ticks, encoded.timescale);
        let length = end - start;
        start = end;
        let (seconds, rest) = (length / 1_000_000, length % 1_000_000);
        put(&mut text, format_args!("#EXTINF:{seconds}.{rest:06},\n"));
        if key_frames {
            put(&mut text, format_args!("#EXT-X-BYTERANGE:{}@0\n", segment.key_bytes));
        }
        for part in [&before, &track.segment_file(number), after, "\n"] {
            text.push_str(part);
        }
    }
    if presentation.growing.is_none() {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = text.write_fmt(arguments);
}

/// A quoted-string has no escapes: what may not stand in it is replaced.
fn quoted(text: &str) -> String {
    let inner: String = text
        .chars()
        .map(|character| match character {
            '"' => '\'',
            other if other.is_control() => ' ',
            other => other,
        })
        .collect();
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presentation::Growing;
    use crate::presentation::INIT_FILE;
    use crate::presentation::tests::{any_links, any_presentation, film, rich_film};
    use m3u8_rs::{AlternativeMediaType, MasterPlaylist, MediaPlaylist, MediaPlaylistType};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn read_multivariant(text: &str) -> MasterPlaylist {
        m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap()
    }

    fn read_media(text: &str) -> MediaPlaylist {
        m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_multivariant_playlist_as_a_whole() {
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,\
LANGUAGE=\"en\",CHANNELS=\"2\",URI=\"audio.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2126345,AVERAGE-BANDWIDTH=2081475,CODECS=\"avc1.64001f,mp4a.40.2\",\
RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\"
720p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=999001,AVERAGE-BANDWIDTH=976801,CODECS=\"avc1.64001f\",\
RESOLUTION=1280x720,URI=\"720p-iframes.m3u8\"
";
        assert_eq!(multivariant(&film(), &Links::relative()), expected);
    }

    #[test]
    fn sounds_and_texts_are_groups_to_choose_from() {
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,\
LANGUAGE=\"en\",CHANNELS=\"2\",URI=\"audio.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"German\",DEFAULT=NO,AUTOSELECT=YES,\
LANGUAGE=\"de\",CHANNELS=\"2\",URI=\"audio-2.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"English (commentary)\",DEFAULT=NO,\
AUTOSELECT=NO,LANGUAGE=\"en\",CHANNELS=\"2\",URI=\"audio-3.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"surround\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,\
LANGUAGE=\"en\",CHANNELS=\"6\",URI=\"audio-surround.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"surround\",NAME=\"German\",DEFAULT=NO,AUTOSELECT=YES,\
LANGUAGE=\"de\",CHANNELS=\"2\",URI=\"audio-2.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"surround\",NAME=\"English (commentary)\",DEFAULT=NO,\
AUTOSELECT=NO,LANGUAGE=\"en\",CHANNELS=\"2\",URI=\"audio-3.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"English\",DEFAULT=NO,AUTOSELECT=YES,\
LANGUAGE=\"en\",URI=\"text-1.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"English (hard of hearing)\",DEFAULT=NO,\
AUTOSELECT=YES,LANGUAGE=\"en\",\
CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
public.accessibility.describes-music-and-sound\",URI=\"text-2.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"German (forced)\",DEFAULT=NO,\
AUTOSELECT=YES,LANGUAGE=\"de\",FORCED=YES,URI=\"text-3.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2126062,AVERAGE-BANDWIDTH=2067587,CODECS=\"avc1.64001f,mp4a.40.2\",\
RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\",SUBTITLES=\"subtitles\"
720p.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2381381,AVERAGE-BANDWIDTH=2294915,CODECS=\"avc1.64001f,mp4a.40.2\",\
RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"surround\",SUBTITLES=\"subtitles\"
720p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=999001,AVERAGE-BANDWIDTH=976801,CODECS=\"avc1.64001f\",\
RESOLUTION=1280x720,URI=\"720p-iframes.m3u8\"
";
        assert_eq!(multivariant(&rich_film(), &Links::relative()), expected);
    }

    /// Whoever knows none but H.264 and AAC finds those first.
    #[test]
    fn other_codecs_come_after_what_everybody_can_play() {
        let mut tracks = film().tracks;
        let more = [("a", "av01.0.05M.08"), ("b", "hvc1.1.6.L93.90")];
        for (name, codecs) in more {
            let mut track = tracks[0].clone();
            (track.name, track.encoded.codecs) = (name.into(), codecs.into());
            tracks.push(track);
        }
        let mut opus = tracks[1].clone();
        (opus.name, opus.encoded.codecs) = ("audio-opus".into(), "opus".into());
        tracks.push(opus);
        let text = multivariant(&Presentation::new("v", tracks), &Links::relative());
        let variants: Vec<_> = read_multivariant(&text)
            .variants
            .into_iter()
            .filter(|variant| !variant.is_i_frame)
            .map(|variant| (variant.uri, variant.codecs.unwrap(), variant.audio.unwrap()))
            .collect();
        let expected = ["audio", "opus"].into_iter().flat_map(|group| {
            let sound = if group == "audio" { "mp4a.40.2" } else { "opus" };
            ["720p avc1.64001f", "b hvc1.1.6.L93.90", "a av01.0.05M.08"].map(|video| {
                let (name, codecs) = video.split_once(' ').unwrap();
                (format!("{name}.m3u8"), format!("{codecs},{sound}"), group.to_owned())
            })
        });
        assert_eq!(variants, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_text_has_segments_and_nothing_before_them() {
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:5
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXTINF:4.004000,
text-1/3f9a0c11d2e4b567/00001.vtt
#EXTINF:4.004000,
text-1/3f9a0c11d2e4b567/00002.vtt
#EXTINF:1.001000,
text-1/3f9a0c11d2e4b567/00003.vtt
#EXT-X-ENDLIST
";
        assert_eq!(media(&rich_film(), "text-1", &Links::relative()).unwrap(), expected);
        assert_eq!(media(&rich_film(), "text-1-iframes", &Links::relative()), None);
    }

    #[test]
    fn the_media_playlist_as_a_whole() {
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"720p/3f9a0c11d2e4b567/init.mp4\"
#EXTINF:4.004000,
720p/3f9a0c11d2e4b567/00001.m4s
#EXTINF:4.004000,
720p/3f9a0c11d2e4b567/00002.m4s
#EXTINF:1.001000,
720p/3f9a0c11d2e4b567/00003.m4s
#EXT-X-ENDLIST
";
        assert_eq!(media(&film(), "720p", &Links::relative()).unwrap(), expected);
        assert_eq!(media(&film(), "1080p", &Links::relative()), None);
    }

    #[test]
    fn key_frames_are_the_beginnings_of_their_segments() {
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI=\"720p/3f9a0c11d2e4b567/init.mp4\"
#EXTINF:4.004000,
#EXT-X-BYTERANGE:500000@0
720p/3f9a0c11d2e4b567/00001.m4s
#EXTINF:4.004000,
#EXT-X-BYTERANGE:450000@0
720p/3f9a0c11d2e4b567/00002.m4s
#EXTINF:1.001000,
#EXT-X-BYTERANGE:150000@0
720p/3f9a0c11d2e4b567/00003.m4s
#EXT-X-ENDLIST
";
        assert_eq!(media(&film(), "720p-iframes", &Links::relative()).unwrap(), expected);
        assert_eq!(media(&film(), "audio-iframes", &Links::relative()), None);
    }

    /// RFC 8216 4.3.3.5 and 6.2.1: a growing list is an EVENT without an end, and what it held it
    /// still holds when it is whole.
    #[test]
    fn a_growing_film_is_an_event_that_ends() {
        let whole = media(&film(), "720p", &Links::relative()).unwrap();
        let mut film = film();
        film.growing = Some(Growing { since: 1, published_at: 2 });
        film.tracks[0].encoded.segments.truncate(2);
        let growing = media(&film, "720p", &Links::relative()).unwrap();
        let (head, list) = growing.split_once("#EXT-X-MAP").unwrap();
        assert!(head.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n"), "{head}");
        assert!(whole.split_once("#EXT-X-MAP").unwrap().1.starts_with(list));
        assert!(!growing.contains("ENDLIST"), "{growing}");
    }

    #[test]
    fn a_signed_playlist_signs_every_address() {
        let film = film();
        let links = Links::signed(&format!("/v/{}/", film.video), "cafe", "Policy=x&Signature=y");
        let text = media(&film, "audio", &links).unwrap();
        assert_eq!(text.matches("?Policy=x&Signature=y").count(), 4);
        let root = format!("\n/v/{}/audio/3f9a0c11d2e4b567/0000", film.video);
        assert_eq!(text.matches(&root).count(), 3);
        let text = multivariant(&film, &links);
        assert!(text.contains("\n720p.m3u8?grant=cafe\n"), "{text}");
        assert!(text.contains("URI=\"audio.m3u8?grant=cafe\""), "{text}");
    }

    #[test]
    fn a_silent_film_names_no_audio_group() {
        let mut film = film();
        film.tracks.retain(Track::is_video);
        let text = multivariant(&film, &Links::relative());
        assert!(!text.contains("AUDIO"), "{text}");
        assert!(text.contains("CODECS=\"avc1.64001f\""), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(film in any_presentation(), links in any_links()) {
            let playlist = read_multivariant(&multivariant(&film, &links));
            prop_assert!(playlist.independent_segments);
            let groups = film.sound_groups();
            let sounds: usize = groups.iter().map(|group| group.1.len()).sum();
            let shown = film.videos().count();
            let expected = if shown == 0 { sounds } else { shown * groups.len().max(1) };
            let (key_frames, variants): (Vec<_>, Vec<_>) =
                playlist.variants.iter().partition(|variant| variant.is_i_frame);
            prop_assert_eq!(variants.len(), expected);
            prop_assert_eq!(key_frames.len(), shown);
            let texts = film.texts().count();
            prop_assert_eq!(playlist.alternatives.len(), sounds + texts);
            // RFC 8216 4.3.4.1 and 4.3.4.1.1: names differ within a group, one of it at most is the
            // default, every default is chosen automatically, all groups have the same members.
            let mut members = Vec::new();
            for group in ["audio", "surround", "opus", "subtitles"] {
                let all: Vec<_> =
                    playlist.alternatives.iter().filter(|one| one.group_id == group).collect();
                let names: Vec<&str> = all.iter().map(|one| &*one.name).collect();
                prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
                prop_assert!(all.iter().filter(|one| one.default).count() <= 1);
                prop_assert!(all.iter().all(|one| one.autoselect || !one.default));
                let is_text = |kind| kind == AlternativeMediaType::Subtitles;
                for one in &all {
                    prop_assert_eq!(is_text(one.media_type.clone()), group == "subtitles");
                }
                members.push((group, names));
            }
            if !members[1].1.is_empty() {
                prop_assert_eq!(members[0].1.len(), members[1].1.len());
            }
            for (index, variant) in variants.iter().enumerate() {
                let group = groups.get(index / shown.max(1)).map(|group| group.0.to_owned());
                if shown > 0 {
                    prop_assert_eq!(&variant.audio, &group);
                }
                let subtitles = (texts > 0).then(|| SUBTITLES.to_owned());
                prop_assert_eq!(&variant.subtitles, &subtitles);
            }
            for (variant, track) in variants.into_iter().zip(film.videos()) {
                prop_assert_eq!(&variant.uri, &links.playlist(track));
                prop_assert!(variant.bandwidth >= track.encoded.peak_bandwidth());
                prop_assert!(variant.average_bandwidth.unwrap() <= variant.bandwidth);
            }
        }

        #[test]
        fn every_segment_is_listed_with_its_time(
            film in any_presentation(), links in any_links()
        ) {
            for track in &film.tracks {
                // Of two tracks with one name the first is meant.
                let track = film.track(&track.name).unwrap();
                let playlist = read_media(&media(&film, &track.name, &links).unwrap());
                prop_assert!(playlist.end_list);
                prop_assert_eq!(&playlist.playlist_type, &Some(MediaPlaylistType::Vod));
                prop_assert_eq!(playlist.segments.len(), track.encoded.segments.len());
                let map = playlist.segments[0].map.as_ref().map(|map| map.uri.clone());
                let is_text = matches!(track.encoded.kind, TrackKind::Text { .. });
                prop_assert_eq!(map, (!is_text).then(|| links.media(track, INIT_FILE)));
                let mut sum = 0.0;
                for (number, segment) in (1..).zip(&playlist.segments) {
                    let file = track.encoded.kind.segment_file(number);
                    prop_assert_eq!(&segment.uri, &links.media(track, &file));
                    prop_assert!(segment.duration.round() as u64 <= playlist.target_duration);
                    sum += f64::from(segment.duration);
                }
                // The reader keeps single precision: allow for that.
                let length = track.encoded.duration_seconds();
                prop_assert!((sum - length).abs() <= 1e-5 * length.max(1.0));
            }
        }
    }
}
