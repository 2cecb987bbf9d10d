//! HLS playlists (RFC 8216, version 7).

use std::fmt::Write;

use crate::presentation::{
    INIT_FILE, KEY_FRAMES_SUFFIX, Links, Presentation, Track, TrackKind, segment_file,
};

const AUDIO_GROUP: &str = "audio";

/// The playlist that names the renditions.
pub fn multivariant(presentation: &Presentation, links: &Links) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let mut default = "YES";
    for track in presentation.audios() {
        media_tag(&mut text, track, default, links);
        // One of a group at most may be the default.
        default = "NO";
    }
    // A player may take any audio with any picture: count the most expensive one.
    let most = |rate: fn(&Track) -> u64| presentation.audios().map(rate).max().unwrap_or(0);
    let audio_peak = most(|track| track.encoded.peak_bandwidth());
    let audio_average = most(|track| track.encoded.average_bandwidth());
    let mut audio_codecs: Vec<&str> = Vec::new();
    for track in presentation.audios() {
        if !audio_codecs.contains(&track.encoded.codecs.as_str()) {
            audio_codecs.push(&track.encoded.codecs);
        }
    }
    for track in presentation.videos() {
        let TrackKind::Video { width, height, frame_rate } = track.encoded.kind else { continue };
        let mut codecs = vec![track.encoded.codecs.as_str()];
        codecs.extend(&audio_codecs);
        put(
            &mut text,
            format_args!(
                "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS={},\
                 RESOLUTION={width}x{height},FRAME-RATE={:.3}",
                track.encoded.peak_bandwidth() + audio_peak,
                track.encoded.average_bandwidth() + audio_average,
                quoted(&codecs.join(",")),
                frame_rate.value(),
            ),
        );
        if !audio_codecs.is_empty() {
            put(&mut text, format_args!(",AUDIO=\"{AUDIO_GROUP}\""));
        }
        put(&mut text, format_args!("\n{}\n", links.playlist(track)));
    }
    for track in presentation.videos() {
        let TrackKind::Video { width, height, .. } = track.encoded.kind else { continue };
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
        for track in presentation.audios() {
            put(
                &mut text,
                format_args!(
                    "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS={},\
                     AUDIO=\"{AUDIO_GROUP}\"\n{}\n",
                    track.encoded.peak_bandwidth(),
                    track.encoded.average_bandwidth(),
                    quoted(&track.encoded.codecs),
                    links.playlist(track),
                ),
            );
        }
    }
    text
}

fn media_tag(text: &mut String, track: &Track, default: &str, links: &Links) {
    let TrackKind::Audio { channels, .. } = &track.encoded.kind else { return };
    // Names must differ within a group; track names do.
    put(
        text,
        format_args!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME={},DEFAULT={default},\
             AUTOSELECT=YES,",
            quoted(&track.name),
        ),
    );
    if let Some(language) = track.language() {
        put(text, format_args!("LANGUAGE={},", quoted(language)));
    }
    put(text, format_args!("CHANNELS=\"{channels}\",URI=\"{}\"\n", links.playlist(track)));
}

/// The playlist of one track, or of its key frames; none when there is no such track.
pub fn media(presentation: &Presentation, name: &str, links: &Links) -> Option<String> {
    if let Some(track) = presentation.track(name) {
        return Some(list(presentation, track, false, links));
    }
    let track = presentation.track(name.strip_suffix(KEY_FRAMES_SUFFIX)?)?;
    track.is_video().then(|| list(presentation, track, true, links))
}

fn list(presentation: &Presentation, track: &Track, key_frames: bool, links: &Links) -> String {
    let encoded = &track.encoded;
    let (before, after) = links.around(track);
    let mut text = String::with_capacity(256 + encoded.segments.len() * (80 + after.len()));
    put(
        &mut text,
        format_args!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:1\n\
             #EXT-X-PLAYLIST-TYPE:{}\n{}\n\
             #EXT-X-MAP:URI=\"{before}{INIT_FILE}{after}\"\n",
            presentation.target_seconds,
            if presentation.growing.is_some() { "EVENT" } else { "VOD" },
            if key_frames { "#EXT-X-I-FRAMES-ONLY" } else { "#EXT-X-INDEPENDENT-SEGMENTS" },
        ),
    );
    // Each border is rounded by itself: the sum of all EXTINF then stays exact to a microsecond
    // however long the film is. Whole seconds apart, so that no film is too long for 64 bits.
    let timescale = u64::from(encoded.timescale.max(1));
    let microseconds =
        |ticks: u64| ticks / timescale * 1_000_000 + ticks % timescale * 1_000_000 / timescale;
    let (mut ticks, mut start) = (0, 0);
    for (number, segment) in (1..).zip(&encoded.segments) {
        ticks += segment.duration_ticks;
        let end = microseconds(ticks);
        let length = end - start;
        start = end;
        let (seconds, rest) = (length / 1_000_000, length % 1_000_000);
        put(&mut text, format_args!("#EXTINF:{seconds}.{rest:06},\n"));
        if key_frames {
            put(&mut text, format_args!("#EXT-X-BYTERANGE:{}@0\n", segment.key_bytes));
        }
        for part in [&before, &segment_file(number), after, "\n"] {
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
    use crate::presentation::tests::{any_links, any_presentation, film};
    use m3u8_rs::{MasterPlaylist, MediaPlaylist, MediaPlaylistType};
    use proptest::prelude::*;

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
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES,\
LANGUAGE=\"eng\",CHANNELS=\"2\",URI=\"audio.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2126345,AVERAGE-BANDWIDTH=2081475,CODECS=\"avc1.64001f,mp4a.40.2\",\
RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\"
720p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=999001,AVERAGE-BANDWIDTH=976801,CODECS=\"avc1.64001f\",\
RESOLUTION=1280x720,URI=\"720p-iframes.m3u8\"
";
        assert_eq!(multivariant(&film(), &Links::relative()), expected);
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
        let links = Links::signed(&film.video, "cafe", "Policy=x&Signature=y");
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
            let shown = film.videos().count();
            let expected = if shown == 0 { film.audios().count() } else { shown };
            let (key_frames, variants): (Vec<_>, Vec<_>) =
                playlist.variants.iter().partition(|variant| variant.is_i_frame);
            prop_assert_eq!(variants.len(), expected);
            prop_assert_eq!(key_frames.len(), shown);
            prop_assert_eq!(playlist.alternatives.len(), film.audios().count());
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
                let map = playlist.segments[0].map.as_ref().unwrap();
                prop_assert_eq!(&map.uri, &links.media(track, INIT_FILE));
                let mut sum = 0.0;
                for (number, segment) in (1..).zip(&playlist.segments) {
                    prop_assert_eq!(&segment.uri, &links.media(track, &segment_file(number)));
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
