//! DASH manifests (ISO/IEC 23009-1, isoff-live profile): static, or dynamic while a film grows.

use std::fmt::Write;

use crate::ladder::Ratio;
use crate::presentation::{
    EncodedTrack, Growing, INIT_FILE, Links, Presentation, Track, TrackKind,
};
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
    if presentation.videos().next().is_some() {
        adaptation_set(&mut text, set, "video", None, true, presentation.videos(), links);
        set += 1;
    }
    // A player may switch within a set, so each sound track gets its own.
    let mut main = true;
    for track in presentation.audios() {
        let language = track.language();
        adaptation_set(&mut text, set, "audio", language, main, std::iter::once(track), links);
        main = false;
        set += 1;
    }
    text.push_str("</Period>\n</MPD>\n");
    text
}

fn adaptation_set<'a>(
    text: &mut String,
    id: u32,
    content: &str,
    language: Option<&str>,
    main: bool,
    tracks: impl Iterator<Item = &'a Track>,
    links: &Links,
) {
    put(
        text,
        format_args!(
            "<AdaptationSet id=\"{id}\" contentType=\"{content}\" mimeType=\"{content}/mp4\" \
             segmentAlignment=\"true\" startWithSAP=\"1\"",
        ),
    );
    if let Some(language) = language {
        put(text, format_args!(" lang=\"{language}\""));
    }
    let role = if main { "main" } else { "alternate" };
    put(
        text,
        format_args!(">\n<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n"),
    );
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
            "<Representation id=\"{}\" codecs=\"{}\" bandwidth=\"{}\"",
            // An id may hold no white space.
            escape(&track.name).replace(char::is_whitespace, "_"),
            escape(&encoded.codecs),
            encoded.peak_bandwidth(),
        ),
    );
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
    }
    let (before, after) = links.around(track);
    let (before, after) = (template(&before), template(after));
    put(
        text,
        format_args!(
            "<SegmentTemplate timescale=\"{}\" startNumber=\"1\" \
             initialization=\"{before}{INIT_FILE}{after}\" \
             media=\"{before}$Number%05d$.m4s{after}\">\n<SegmentTimeline>\n",
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
    use crate::presentation::tests::{any_links, any_presentation, film};
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
        let links = Links::signed(&film.video, "cafe", "Policy=x&Signature=y");
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
type=\"static\" mediaPresentationDuration=\"PT9.009000S\" minBufferTime=\"PT4S\">
<Period id=\"0\" start=\"PT0S\">
<AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" \
startWithSAP=\"1\">
<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>
<Representation id=\"720p\" codecs=\"avc1.64001f\" bandwidth=\"1998002\" width=\"1280\" \
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
startWithSAP=\"1\" lang=\"eng\">
<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>
<Representation id=\"audio\" codecs=\"mp4a.40.2\" bandwidth=\"128343\" \
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
        let text = manifest(&film, &Links::signed(&film.video, "", "a=$Time$"));
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
            for ((representation, template), track) in
                representations.iter().zip(&templates).zip(&film.tracks)
            {
                prop_assert_eq!(
                    &representation["bandwidth"],
                    &track.encoded.peak_bandwidth().to_string()
                );
                let init = template["initialization"].replace("$$", "$");
                prop_assert_eq!(init, links.media(track, INIT_FILE));
                let first = template["media"].replace("$Number%05d$", "00001").replace("$$", "$");
                prop_assert_eq!(first, links.media(track, "00001.m4s"));
            }
            // Unrolled, the timelines are the segments.
            let mut written = named("S").into_iter();
            for track in &film.tracks {
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
