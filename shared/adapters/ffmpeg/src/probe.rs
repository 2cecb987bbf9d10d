//! Reading what ffprobe says.

use domain::label::{Label, Purpose};
use domain::ladder::{
    AudioStream, Gamut, Matrix, Picture, Probe, Ratio, TextStream, Transfer, VideoStream,
};
use serde::Deserialize;

use crate::MediaError;
use crate::process::refused;

/// The codecs of subtitles that are text.
const TEXTS: [&str; 6] = ["subrip", "ass", "ssa", "mov_text", "webvtt", "text"];
/// A nominal rate from here on is a clock, not a rate at which frames come.
const FASTEST: f64 = 60.5;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Report {
    format: Format,
    streams: Vec<Stream>,
    packets: Vec<Packet>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Packet {
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    duration: Option<String>,
    start_time: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stream {
    codec_type: String,
    codec_name: Option<String>,
    codec_tag_string: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    channels: Option<u32>,
    field_order: String,
    pix_fmt: String,
    color_range: String,
    color_space: String,
    color_transfer: String,
    color_primaries: String,
    tags: Tags,
    disposition: Disposition,
    side_data_list: Vec<SideData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tags {
    language: Option<String>,
    title: Option<String>,
    #[serde(rename = "DURATION")]
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
    default: u8,
    forced: u8,
    comment: u8,
    hearing_impaired: u8,
    visual_impaired: u8,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SideData {
    side_data_type: String,
    rotation: Option<f64>,
    dv_profile: Option<u32>,
    dv_bl_signal_compatibility_id: Option<u32>,
}

/// What the report means. A file without pictures is no error here: the plan refuses it.
pub(crate) fn parse(report: &[u8]) -> Result<Probe, MediaError> {
    let report: Report = serde_json::from_slice(report)
        .map_err(|error| MediaError::Failed(format!("ffprobe's report: {error}")))?;
    let is_video =
        |stream: &&Stream| stream.codec_type == "video" && stream.disposition.attached_pic == 0;
    let picture = report.streams.iter().find(is_video);
    let mut said = report.packets.iter().flat_map(|packet| &packet.side_data_list);
    if said.any(|data| data.side_data_type == "Encryption info") {
        return Err(refused("The film is encrypted."));
    }
    let of_type = |kind| report.streams.iter().filter(move |stream| stream.codec_type == kind);
    for stream in picture.into_iter().chain(of_type("audio")) {
        if matches!(stream.codec_tag_string.as_deref(), Some("encv" | "enca")) {
            return Err(refused("The film is encrypted."));
        }
    }
    Ok(Probe {
        duration_seconds: picture.map_or(0.0, |picture| duration(picture, &report.format)),
        start_micros: number(&report.format.start_time)
            .map_or(0, |seconds| (seconds * 1e6).round() as i64),
        video: picture.map(video).transpose()?,
        // Sound in an unknown coding, or without channels, would fail later: it is left out.
        audio: (0..).zip(of_type("audio")).filter_map(|(n, stream)| audio(n, stream)).collect(),
        texts: (0..).zip(of_type("subtitle")).filter_map(|(n, stream)| text(n, stream)).collect(),
    })
}

fn video(stream: &Stream) -> Result<VideoStream, MediaError> {
    let known = |text: &Option<String>| text.clone().filter(|name| name != "unknown");
    let (Some(codec), Some(width), Some(height)) = (
        known(&stream.codec_name),
        stream.width.filter(|width| *width > 0),
        stream.height.filter(|height| *height > 0),
    ) else {
        return Err(refused("The file holds a kind of picture that cannot be read."));
    };
    // Dolby Vision has forms whose base alone has colours of its own (profile 5).
    let foreign = |data: &SideData| {
        data.dv_profile.is_some() && data.dv_bl_signal_compatibility_id == Some(0)
    };
    if stream.side_data_list.iter().any(foreign) {
        return Err(refused(
            "The film is in a form of Dolby Vision that cannot be read. Export it as HDR10, HLG or SDR.",
        ));
    }
    let picture = samples(stream, width, height);
    // Pixels that are not square: the height stays and the width becomes what is seen.
    let shape = stream.sample_aspect_ratio.as_deref().and_then(ratio);
    let shape = shape.map_or(1.0, Ratio::value);
    let width = if shape > 0.0 { (f64::from(width) * shape).round() as u32 } else { width };
    let turned = stream
        .side_data_list
        .iter()
        .filter_map(|data| data.rotation)
        .any(|angle| (angle.abs() - 90.0).abs() < 45.0 || (angle.abs() - 270.0).abs() < 45.0);
    let (width, height) = if turned { (height, width) } else { (width, height) };
    let frame_rate = frame_rate(stream);
    Ok(VideoStream { width, height, frame_rate, codec, picture })
}

/// What the samples mean, of a picture of this stored size. What the source does not tell is
/// guessed as players do: standard definition is BT.601, and anything larger BT.709.
fn samples(stream: &Stream, width: u32, height: u32) -> Picture {
    let jpeg = stream.pix_fmt.starts_with("yuvj");
    let transfer = match &*stream.color_transfer {
        "smpte2084" => Transfer::Pq,
        "arib-std-b67" => Transfer::Hlg,
        _ => Transfer::Sdr,
    };
    let matrix = match &*stream.color_space {
        "bt709" | "smpte240m" => Matrix::Bt709,
        "smpte170m" | "bt470bg" | "fcc" => Matrix::Bt601,
        "bt2020nc" | "bt2020c" => Matrix::Bt2020,
        // High brightness comes with the matrix and the gamut of BT.2020, said or not.
        _ if transfer != Transfer::Sdr => Matrix::Bt2020,
        _ if jpeg || (width < 1280 && height <= 576) => Matrix::Bt601,
        _ => Matrix::Bt709,
    };
    let gamut = match &*stream.color_primaries {
        "bt2020" => Gamut::Bt2020,
        "smpte431" | "smpte432" => Gamut::P3,
        "bt709" => Gamut::Bt709,
        _ if transfer != Transfer::Sdr => Gamut::Bt2020,
        _ => Gamut::Bt709,
    };
    Picture {
        interlaced: matches!(&*stream.field_order, "tt" | "bb" | "tb" | "bt"),
        full_range: jpeg || stream.color_range == "pc",
        matrix,
        gamut,
        transfer,
    }
}

/// The nominal rate, on which all times lie: where it is above the average, frames were left out,
/// and the average would be a rate that nothing in the film moves at. Unless it is the rate of
/// fields (twice or, of pulled down films, 2.5 times the average), or just the container's clock.
fn frame_rate(stream: &Stream) -> Ratio {
    let rate = |text: &Option<String>| text.as_deref().and_then(ratio).filter(|r| r.value() > 0.0);
    match (rate(&stream.avg_frame_rate), rate(&stream.r_frame_rate)) {
        (Some(average), Some(nominal)) => {
            let times = nominal.value() / average.value();
            let fields = stream.field_order != "progressive"
                && [2.0, 2.5].into_iter().any(|n: f64| (times / n - 1.0).abs() < 0.02);
            let left_out = times >= 1.0 && nominal.value() < FASTEST && !fields;
            if left_out { nominal } else { average }
        }
        (average, nominal) => average.or(nominal).unwrap_or(Ratio::new(0, 0)),
    }
}

fn audio(number: u32, stream: &Stream) -> Option<AudioStream> {
    Some(AudioStream {
        stream: number,
        codec: stream.codec_name.clone().filter(|name| name != "unknown")?,
        channels: stream.channels.filter(|channels| *channels > 0)?,
        default: stream.disposition.default != 0,
        label: label(stream),
    })
}

/// Subtitles that are pictures of letters, as DVDs have them, are none.
fn text(number: u32, stream: &Stream) -> Option<TextStream> {
    let codec = stream.codec_name.clone()?;
    TEXTS.contains(&&*codec).then(|| TextStream {
        stream: number,
        codec,
        default: stream.disposition.default != 0,
        label: label(stream),
    })
}

fn label(stream: &Stream) -> Label {
    let Disposition { forced, comment, hearing_impaired, visual_impaired, .. } = stream.disposition;
    let purpose = match () {
        () if forced != 0 => Purpose::Forced,
        () if comment != 0 => Purpose::Commentary,
        () if hearing_impaired != 0 => Purpose::HearingImpaired,
        () if visual_impaired != 0 => Purpose::Described,
        () => Purpose::Plain,
    };
    Label::new(stream.tags.language.as_deref(), stream.tags.title.as_deref(), purpose)
}

/// When the last picture ends, counted from the beginning of the file; the whole file's length where
/// the container does not say it of the picture alone.
fn duration(picture: &Stream, format: &Format) -> f64 {
    let late = match (number(&picture.start_time), number(&format.start_time)) {
        (Some(picture), Some(file)) => (picture - file).max(0.0),
        _ => 0.0,
    };
    number(&picture.duration)
        .map(|duration| duration + late)
        // Matroska's tag is a time of day: already counted from the beginning.
        .or_else(|| picture.tags.duration.as_deref().and_then(clock))
        .filter(|duration| *duration > 0.0)
        .or_else(|| number(&format.duration))
        .unwrap_or(0.0)
}

fn number(text: &Option<String>) -> Option<f64> {
    text.as_deref().and_then(|text| text.parse().ok())
}

/// `01:02:03.5` in seconds.
fn clock(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}

/// `30000/1001` or `4:3`.
fn ratio(text: &str) -> Option<Ratio> {
    let (numerator, denominator) = text.split_once(['/', ':'])?;
    Some(Ratio::new(numerator.parse().ok()?, denominator.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(more: &str) -> Result<Probe, MediaError> {
        let report = format!(
            r#"{{"format":{{"duration":"9.5","start_time":"1.0"}},"streams":[
                {{"codec_type":"video","codec_name":"png","disposition":{{"attached_pic":1}}}},
                {{"codec_type":"video","codec_name":"h264","width":720,"height":576,
                  "avg_frame_rate":"25/1" {more}}},
                {{"codec_type":"audio","codec_name":"aac","channels":6,
                  "tags":{{"language":"und"}}}}]}}"#
        );
        parse(report.as_bytes())
    }

    #[test]
    fn a_cover_is_no_picture_and_und_no_language() {
        let probe = picture("").unwrap();
        assert_eq!(probe.video.unwrap().codec, "h264");
        let (codec, label) = ("aac".into(), Label::default());
        let sound = AudioStream { stream: 0, codec, channels: 6, default: false, label };
        assert_eq!(probe.audio, [sound]);
    }

    #[test]
    fn every_sound_and_text_is_described() {
        let probe = picture(
            r#"},{"codec_type":"subtitle","codec_name":"hdmv_pgs_subtitle"},
               {"codec_type":"audio","codec_name":"unknown","channels":2},
               {"codec_type":"audio","codec_name":"aac","channels":0},
               {"codec_type":"audio","codec_name":"opus","channels":2,
                "tags":{"language":"ger","title":"Der Regisseur"},
                "disposition":{"default":1,"comment":1}},
               {"codec_type":"subtitle","codec_name":"ass","tags":{"language":"eng"},
                "disposition":{"hearing_impaired":1}},
               {"codec_type":"subtitle","codec_name":"mov_text","disposition":{"forced":1}"#,
        )
        .unwrap();
        let sounds: Vec<_> =
            probe.audio.iter().map(|s| (s.stream, s.default, s.label.words("Sound"))).collect();
        let expected = [(2, true, "Der Regisseur".to_owned()), (3, false, "Sound".to_owned())];
        assert_eq!(sounds, expected);
        assert_eq!(probe.audio[0].label.purpose, Purpose::Commentary);
        let texts: Vec<_> = probe.texts.iter().map(|t| (t.stream, t.label.purpose)).collect();
        assert_eq!(texts, [(1, Purpose::HearingImpaired), (2, Purpose::Forced)]);
    }

    #[test]
    fn the_size_is_the_one_that_is_seen() {
        let size = |more: &str| {
            let video = picture(more).unwrap().video.unwrap();
            (video.width, video.height)
        };
        assert_eq!(size(""), (720, 576));
        assert_eq!(size(r#","sample_aspect_ratio":"64:45""#), (1024, 576));
        assert_eq!(size(r#","sample_aspect_ratio":"0:1""#), (720, 576));
        assert_eq!(size(r#","side_data_list":[{"rotation":-90}]"#), (576, 720));
        assert_eq!(size(r#","side_data_list":[{},{"rotation":180}]"#), (720, 576));
    }

    #[test]
    fn what_the_samples_mean_is_read_or_guessed() {
        let meaning = |more: &str| picture(more).unwrap().video.unwrap().picture;
        let standard = Picture { matrix: Matrix::Bt601, ..Picture::default() };
        assert_eq!(meaning(""), standard);
        assert_eq!(
            meaning(r#","color_space":"bt709","field_order":"progressive""#),
            Picture::default()
        );
        assert_eq!(meaning(r#","field_order":"tb""#), Picture { interlaced: true, ..standard });
        let full = Picture { full_range: true, ..standard };
        assert_eq!(meaning(r#","pix_fmt":"yuvj420p""#), full);
        assert_eq!(meaning(r#","color_range":"pc""#), full);
        let high = |transfer| Picture {
            matrix: Matrix::Bt2020,
            gamut: Gamut::Bt2020,
            transfer,
            ..Picture::default()
        };
        assert_eq!(meaning(r#","color_transfer":"smpte2084""#), high(Transfer::Pq));
        assert_eq!(meaning(r#","color_transfer":"arib-std-b67""#), high(Transfer::Hlg));
        let phone = r#","color_space":"bt709","color_primaries":"smpte432""#;
        assert_eq!(meaning(phone), Picture { gamut: Gamut::P3, ..Picture::default() });
        // A high definition film that says nothing.
        let report = r#"{"streams":[{"codec_type":"video","codec_name":"h264","width":1280,
                         "height":536}]}"#;
        let video = parse(report.as_bytes()).unwrap().video.unwrap();
        assert_eq!(video.picture, Picture::default());
    }

    #[test]
    fn a_dolby_vision_film_needs_a_base_that_others_can_show() {
        let with = |profile: u32, base: u32| {
            picture(&format!(
                r#","side_data_list":[{{"dv_profile":{profile},"dv_bl_signal_compatibility_id":{base}}}]"#
            ))
        };
        assert!(matches!(with(5, 0), Err(MediaError::Refused(_))));
        assert!(with(8, 1).is_ok() && with(8, 4).is_ok());
    }

    #[test]
    fn left_out_frames_do_not_change_the_rate() {
        let rate = |nominal: &str| {
            let more = format!(r#","r_frame_rate":"{nominal}""#);
            picture(&more).unwrap().video.unwrap().frame_rate
        };
        assert_eq!(rate("30/1"), Ratio::new(30, 1));
        assert_eq!(rate("60/1"), Ratio::new(60, 1));
        assert_eq!(rate("50/1"), Ratio::new(25, 1));
        assert_eq!(rate("90000/1"), Ratio::new(25, 1));
        assert_eq!(rate("0/0"), Ratio::new(25, 1));
    }

    #[test]
    fn the_picture_says_how_long_the_film_is() {
        let length = |more: &str| picture(more).unwrap().duration_seconds;
        assert_eq!(length(""), 9.5);
        assert_eq!(length(r#","duration":"8.0""#), 8.0);
        assert_eq!(length(r#","duration":"8.0","start_time":"1.5""#), 8.5);
        assert_eq!(length(r#","tags":{"DURATION":"01:00:02.500000000"}"#), 3602.5);
        assert_eq!(length(r#","duration":"N/A""#), 9.5);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for more in [r#","codec_tag_string":"encv""#, r#","codec_name":"unknown""#] {
            let report = format!(
                r#"{{"streams":[{{"codec_type":"video","width":720,"height":576 {more}}}]}}"#
            );
            let result = parse(report.as_bytes());
            assert!(matches!(result, Err(MediaError::Refused(_))), "{more}");
        }
        assert!(matches!(parse(b"{"), Err(MediaError::Failed(_))));
        let empty = parse(b"{}").unwrap();
        assert!(empty.video.is_none() && empty.audio.is_empty() && empty.texts.is_empty());
    }
}
