//! DASH manifests (ISO/IEC 23009-1, isoff-live profile): static, or dynamic while a film grows.

use std::fmt::Write;

use crate::label::Purpose;
use crate::ladder::Ratio;
use crate::presentation::{EncodedTrack, Growing, Links, Presentation, Track, TrackKind, names};
use crate::rfc3339;

/// The manifest over the same segments as the HLS playlists.
pub fn manifest(presentation: &Presentation, links: &Links) -> String {
    let buffer = presentation.target_seconds;
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text.push_str("<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" ");
    text.push_str("profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" ");
    match presentation.growing {
        // Whoever starts is to start at the beginning, and to look for more twice a segment.
        Some(Growing { since, published_at }) => put(
            &mut text,
            format_args!(
                "type=\"dynamic\" availabilityStartTime=\"{}\" publishTime=\"{}\" \
                 minimumUpdatePeriod=\"PT{}S\"",
                rfc3339(since),
                rfc3339(published_at),
                presentation.refresh_seconds(),
            ),
        ),
        None => put(
            &mut text,
            format_args!(
                "type=\"static\" mediaPresentationDuration=\"PT{:.6}S\"",
                presentation.duration_seconds,
            ),
        ),
    }
    put(
        &mut text,
        format_args!(" minBufferTime=\"PT{buffer}S\">\n<Period id=\"0\" start=\"PT0S\">\n"),
    );
    let mut set = 0;
    for videos in presentation.pictures() {
        adaptation_set(&mut text, set, "video/mp4", &[], None, &videos, links);
        set += 1;
    }
    // A player may switch within a set, so each sound and each text gets its own.
    let sounds: Vec<&Track> = presentation.audios().collect();
    let main = sounds.first().copied();
    for (track, name) in sounds.iter().zip(names(&sounds)) {
        let roles = sound_roles(track, main);
        adaptation_set(&mut text, set, "audio/mp4", &roles, Some(&name), &[track], links);
        set += 1;
    }
    // A text is one file without a length of its own, and players take that length from the film:
    // of one that grows there is none, and they would never ask for it.
    let texts: Vec<&Track> = match presentation.growing {
        Some(_) => Vec::new(),
        None => presentation.texts().collect(),
    };
    for (track, name) in texts.iter().zip(names(&texts)) {
        let roles = text_roles(track);
        adaptation_set(&mut text, set, "text/vtt", &roles, Some(&name), &[track], links);
        set += 1;
    }
    text.push_str("</Period>\n</MPD>\n");
    text
}

/// By the role scheme of 5.8.5.5. `main` is what plays when nobody chooses; the same sound in more
/// channels is as good.
fn sound_roles(track: &Track, main: Option<&Track>) -> Vec<&'static str> {
    let stream = |track: &Track| match track.encoded.kind {
        TrackKind::Audio { stream, .. } => Some(stream),
        _ => None,
    };
    let is_main = main.is_some_and(|main| stream(main) == stream(track));
    let dubbed = main.is_some_and(|main| {
        main.language().is_some()
            && track.language().is_some()
            && main.language() != track.language()
    });
    let first = match () {
        () if is_main => "main",
        () if dubbed => "dub",
        () => "alternate",
    };
    match track.purpose() {
        Purpose::Commentary => vec!["commentary"],
        Purpose::Described => vec![first, "description"],
        Purpose::HearingImpaired => vec![first, "enhanced-audio-intelligibility"],
        Purpose::Plain | Purpose::Forced => vec![first],
    }
}

fn text_roles(track: &Track) -> Vec<&'static str> {
    match track.purpose() {
        Purpose::HearingImpaired => vec!["caption"],
        Purpose::Forced => vec!["subtitle", "forced-subtitle"],
        Purpose::Commentary => vec!["subtitle", "commentary"],
        Purpose::Described => vec!["subtitle", "description"],
        Purpose::Plain => vec!["subtitle"],
    }
}

/// Tracks between which a player switches by itself.
fn adaptation_set(
    text: &mut String,
    id: u32,
    content_type: &str,
    roles: &[&str],
    name: Option<&str>,
    tracks: &[&Track],
    links: &Links,
) {
    let content = content_type.split('/').next().unwrap_or_default();
    put(
        text,
        format_args!(
            "<AdaptationSet id=\"{id}\" contentType=\"{content}\" mimeType=\"{content_type}\"",
        ),
    );
    if content != "text" {
        text.push_str(" segmentAlignment=\"true\" startWithSAP=\"1\"");
    }
    if let Some(language) = tracks.first().and_then(|track| track.language()) {
        put(text, format_args!(" lang=\"{language}\""));
    }
    text.push_str(">\n");
    if let Some(name) = name {
        put(text, format_args!("<Label>{}</Label>\n", escape(name)));
    }
    for role in if roles.is_empty() { &["main"] } else { roles } {
        put(
            text,
            format_args!("<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n"),
        );
    }
    for track in tracks {
        representation(text, track, links);
    }
    text.push_str("</AdaptationSet>\n");
}

fn representation(text: &mut String, track: &Track, links: &Links) {
    let encoded = &track.encoded;
    put(
        text,
        format_args!(
            "<Representation id=\"{}\" bandwidth=\"{}\"",
            // An id may hold no white space.
            escape(&track.name).replace(char::is_whitespace, "_"),
            encoded.peak_bandwidth(),
        ),
    );
    if matches!(encoded.kind, TrackKind::Text { .. }) {
        let file = escape(&links.media(track, encoded.kind.whole_file()));
        put(text, format_args!(">\n<BaseURL>{file}</BaseURL>\n</Representation>\n"));
        return;
    }
    put(text, format_args!(" codecs=\"{}\"", escape(&encoded.codecs)));
    match &encoded.kind {
        TrackKind::Video { width, height, frame_rate } => put(
            text,
            format_args!(
                " width=\"{width}\" height=\"{height}\" frameRate=\"{}\" sar=\"1:1\">\n",
                rate(*frame_rate),
            ),
        ),
        TrackKind::Audio { channels, sample_rate, .. } => put(
            text,
            format_args!(
                " audioSamplingRate=\"{sample_rate}\">\n<AudioChannelConfiguration \
                 schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
                 value=\"{channels}\"/>\n",
            ),
        ),
        TrackKind::Text { .. } => {}
    }
    let (before, after) = links.around(track);
    let (before, after) = (template(&before), template(after));
    let (init, segments) = (escape(track.whole_file()), escape(&track.segment_template()));
    put(
        text,
        format_args!(
            "<SegmentTemplate timescale=\"{}\" startNumber=\"1\" \
             initialization=\"{before}{init}{after}\" \
             media=\"{before}{segments}{after}\">\n<SegmentTimeline>\n",
            encoded.timescale,
        ),
    );
    timeline(text, encoded);
    text.push_str("</SegmentTimeline>\n</SegmentTemplate>\n</Representation>\n");
}

/// Runs of equal segments are one line.
fn timeline(text: &mut String, encoded: &EncodedTrack) {
    let mut start = 0;
    for run in encoded.segments.chunk_by(|one, next| one.duration_ticks == next.duration_ticks) {
        let (length, count) = (run[0].duration_ticks, run.len() as u64);
        put(text, format_args!("<S t=\"{start}\" d=\"{length}\""));
        if count > 1 {
            put(text, format_args!(" r=\"{}\"", count - 1));
        }
        text.push_str("/>\n");
        start += length * count;
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = text.write_fmt(arguments);
}

fn rate(rate: Ratio) -> String {
    if rate.denominator == 1 {
        return rate.numerator.to_string();
    }
    format!("{}/{}", rate.numerator, rate.denominator)
}

/// A dollar sign begins a variable in a template; doubled it stands for itself.
fn template(address: &str) -> String {
    escape(&address.replace('$', "$$"))
}

/// For attribute values. Characters that XML 1.0 cannot hold at all become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => {
                escaped.push(' ');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presentation::INIT_FILE;
    use crate::presentation::tests::{any_links, any_presentation, film, rich_film};
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use std::collections::BTreeMap;

    type Element = (String, BTreeMap<String, String>);

    /// All elements in order; fails on anything that is not well-formed.
    fn read(text: &str) -> Vec<Element> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut elements = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) | Event::Empty(tag) => {
                    let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
                    let mut attributes = BTreeMap::new();
                    for attribute in tag.attributes() {
                        let attribute = attribute.unwrap();
                        let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                        let value = attribute.unescape_value().unwrap().into_owned();
                        assert!(attributes.insert(key, value).is_none());
                    }
                    elements.push((name, attributes));
                }
                Event::Eof => return elements,
                _ => {}
            }
        }
    }

    #[test]
    fn the_manifest_as_a_whole() {
        let film = film();
        let links = Links::signed(&format!("/v/{}/", film.video), "cafe", "Policy=x&Signature=y");
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
type=\"static\" mediaPresentationDuration=\"PT9.009000S\" minBufferTime=\"PT4S\">
<Period id=\"0\" start=\"PT0S\">
<AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" \
startWithSAP=\"1\">
<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>
<Representation id=\"720p\" bandwidth=\"1998002\" codecs=\"avc1.64001f\" width=\"1280\" \
height=\"720\" frameRate=\"30000/1001\" sar=\"1:1\">
<SegmentTemplate timescale=\"30000\" startNumber=\"1\" \
initialization=\"/v/00112233445566778899aabbccddeeff/720p/3f9a0c11d2e4b567/init.mp4\
?Policy=x&amp;Signature=y\" \
media=\"/v/00112233445566778899aabbccddeeff/720p/3f9a0c11d2e4b567/$Number%05d$.m4s\
?Policy=x&amp;Signature=y\">
<SegmentTimeline>
<S t=\"0\" d=\"120120\" r=\"1\"/>
<S t=\"240240\" d=\"30030\"/>
</SegmentTimeline>
</SegmentTemplate>
</Representation>
</AdaptationSet>
<AdaptationSet id=\"1\" contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\" \
startWithSAP=\"1\" lang=\"en\">
<Label>English</Label>
<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>
<Representation id=\"audio\" bandwidth=\"128343\" codecs=\"mp4a.40.2\" \
audioSamplingRate=\"48000\">
<AudioChannelConfiguration \
schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"2\"/>
<SegmentTemplate timescale=\"48000\" startNumber=\"1\" \
initialization=\"/v/00112233445566778899aabbccddeeff/audio/3f9a0c11d2e4b567/init.mp4\
?Policy=x&amp;Signature=y\" \
media=\"/v/00112233445566778899aabbccddeeff/audio/3f9a0c11d2e4b567/$Number%05d$.m4s\
?Policy=x&amp;Signature=y\">
<SegmentTimeline>
<S t=\"0\" d=\"192512\"/>
<S t=\"192512\" d=\"191488\"/>
<S t=\"384000\" d=\"48432\"/>
</SegmentTimeline>
</SegmentTemplate>
</Representation>
</AdaptationSet>
</Period>
</MPD>
";
        assert_eq!(manifest(&film, &links), expected);
    }

    /// Per set: content, language, roles, label and what the track is found by.
    #[test]
    fn sounds_and_texts_say_what_they_are() {
        let mut film = rich_film();
        let text = manifest(&film, &Links::relative());
        let sets: Vec<String> = text
            .split("<AdaptationSet ")
            .skip(1)
            .map(|set| {
                let values = |before: &str, after: &str| {
                    let found = set.split(before).skip(1).filter_map(|s| s.split(after).next());
                    found.collect::<Vec<_>>().join("+")
                };
                let role = "role:2011\" value=\"";
                [
                    values("mimeType=\"", "\""),
                    values("lang=\"", "\""),
                    values(role, "\""),
                    values("<Label>", "<"),
                    values("<BaseURL>", "<"),
                    values("configuration:2011\" value=\"", "\""),
                ]
                .join(" ")
            })
            .collect();
        let folder = "3f9a0c11d2e4b567";
        let expected = [
            "video/mp4  main   ".to_owned(),
            "audio/mp4 en main English  2".to_owned(),
            "audio/mp4 de dub German  2".to_owned(),
            "audio/mp4 en commentary English (commentary)  2".to_owned(),
            "audio/mp4 en main English 2  6".to_owned(),
            format!("text/vtt en subtitle English text-1/{folder}/text.vtt "),
            format!("text/vtt en caption English (hard of hearing) text-2/{folder}/text.vtt "),
            format!(
                "text/vtt de subtitle+forced-subtitle German (forced) text-3/{folder}/text.vtt "
            ),
        ];
        assert_eq!(sets, expected);
        film.growing = Some(Growing { since: 0, published_at: 0 });
        assert!(!manifest(&film, &Links::relative()).contains("text/vtt"));
    }

    #[test]
    fn a_growing_film_is_dynamic() {
        let mut film = film();
        film.growing = Some(Growing { since: 1_000_000_000, published_at: 1_000_000_060 });
        let text = manifest(&film, &Links::relative());
        let expected = "type=\"dynamic\" availabilityStartTime=\"2001-09-09T01:46:40Z\" \
                        publishTime=\"2001-09-09T01:47:40Z\" minimumUpdatePeriod=\"PT2S\" \
                        minBufferTime=\"PT4S\">\n<Period id=\"0\" start=\"PT0S\">";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("mediaPresentationDuration"), "{text}");
    }

    #[test]
    fn a_dollar_sign_in_a_query_is_no_variable() {
        let film = film();
        let text = manifest(&film, &Links::signed(&format!("/v/{}/", film.video), "", "a=$Time$"));
        assert!(text.contains("$Number%05d$.m4s?a=$$Time$$\""), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(film in any_presentation(), links in any_links()) {
            let elements = read(&manifest(&film, &links));
            let named = |name: &str| -> Vec<&BTreeMap<String, String>> {
                elements.iter().filter(|e| e.0 == name).map(|e| &e.1).collect()
            };
            let (representations, templates) = (named("Representation"), named("SegmentTemplate"));
            prop_assert_eq!(representations.len(), film.tracks.len());
            let written = film.pictures().into_iter().flatten().chain(film.audios());
            for (representation, track) in representations.iter().zip(written.chain(film.texts())) {
                prop_assert_eq!(
                    &representation["bandwidth"],
                    &track.encoded.peak_bandwidth().to_string()
                );
            }
            let timed = || film.pictures().into_iter().flatten().chain(film.audios());
            prop_assert_eq!(templates.len(), timed().count());
            prop_assert_eq!(named("BaseURL").len(), film.texts().count());
            for (template, track) in templates.iter().zip(timed()) {
                let init = template["initialization"].replace("$$", "$");
                prop_assert_eq!(init, links.media(track, INIT_FILE));
                let first = template["media"].replace("$Number%05d$", "00001").replace("$$", "$");
                prop_assert_eq!(first, links.media(track, "00001.m4s"));
            }
            // Unrolled, the timelines are the segments.
            let mut written = named("S").into_iter();
            for track in timed() {
                let mut lengths = Vec::new();
                let mut start = 0;
                while lengths.len() < track.encoded.segments.len() {
                    let line = written.next().unwrap();
                    prop_assert_eq!(line["t"].parse::<u64>().unwrap(), start);
                    let length: u64 = line["d"].parse().unwrap();
                    let again: usize = line.get("r").map_or(0, |r| r.parse().unwrap());
                    lengths.extend(std::iter::repeat_n(length, again + 1));
                    start += length * (again as u64 + 1);
                }
                let expected: Vec<u64> =
                    track.encoded.segments.iter().map(|segment| segment.duration_ticks).collect();
                prop_assert_eq!(lengths, expected);
            }
            prop_assert!(written.next().is_none());
        }
    }
}
