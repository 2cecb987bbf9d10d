//! Reading back what the muxer wrote: the init segment, and the times of a media segment.

use std::ops::Range;

use mp4_atom::{Atom, Buf, Codec, Decode, DecodeAtom, DecodeMaybe, Header, Moof, Moov, Visual};

use crate::codecs;

/// Set in the flags of a sample that other samples are needed to decode.
const DEPENDENT_SAMPLE: u32 = 0x0001_0000;

/// From the init segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) codecs: String,
    pub(crate) timescale: u32,
    pub(crate) content: Content,
    default_duration: u32,
    default_flags: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Video { width: u32, height: u32 },
    Audio { channels: u32, sample_rate: u32 },
}

/// From a media segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// When its first sample is decoded.
    pub(crate) start: u64,
    pub(crate) duration: u64,
    pub(crate) samples: u64,
    /// From the beginning of the file to the end of its first sample.
    pub(crate) key_bytes: u64,
    /// Whether a player may begin here.
    pub(crate) starts_with_sync: bool,
}

pub(crate) fn init(file: &[u8]) -> Result<Init, String> {
    let moov: Moov = first(file)?.ok_or("the init segment has no moov")?;
    let [trak] = moov.trak.as_slice() else { return Err("not one track".into()) };
    let defaults = moov.mvex.as_ref().and_then(|mvex| mvex.trex.first());
    let [codec] = trak.mdia.minf.stbl.stsd.codecs.as_slice() else {
        return Err("not one sample entry".into());
    };
    let (codecs, content) = match codec {
        Codec::Avc1(entry) => (codecs::avc(&entry.avcc), picture(&entry.visual)),
        Codec::Hvc1(entry) => (codecs::hevc(&entry.hvcc), picture(&entry.visual)),
        Codec::Av01(entry) => (codecs::av1(&entry.av1c), picture(&entry.visual)),
        Codec::Opus(entry) => {
            let channels = entry.dops.output_channel_count.into();
            ("opus".into(), Content::Audio { channels, sample_rate: trak.mdia.mdhd.timescale })
        }
        Codec::Mp4a(entry) => {
            let config = &entry.esds.es_desc.dec_config;
            let specific = config.dec_specific.as_ref().ok_or("no audio configuration")?;
            let codecs = format!("mp4a.{:x}.{}", config.object_type_indication, specific.profile);
            // The sample entry says two whatever there is (ISO/IEC 14496-14 5.6.1). Up to 5.1 the
            // configuration's number is how many channels there are.
            let channels = specific.chan_conf.into();
            // The field of the sample entry is too narrow for some rates; the timescale is the rate.
            (codecs, Content::Audio { channels, sample_rate: trak.mdia.mdhd.timescale })
        }
        other => {
            return Err(format!("an unexpected sample entry: {other:?}")
                .chars()
                .take(80)
                .collect());
        }
    };
    Ok(Init {
        codecs,
        timescale: trak.mdia.mdhd.timescale,
        content,
        default_duration: defaults.map_or(0, |trex| trex.default_sample_duration),
        default_flags: defaults.map_or(0, |trex| trex.default_sample_flags),
    })
}

fn picture(visual: &Visual) -> Content {
    Content::Video { width: visual.width.into(), height: visual.height.into() }
}

/// Tells decoders of Opus to leave nothing out at the beginning: that was done when it was encoded.
/// True if there was something to tell.
pub(crate) fn keep_all(init: &mut [u8]) -> bool {
    // Encapsulation of Opus in ISOBMFF 4.3.2: version, channels, and then how much to leave out.
    let Some(place) = init.windows(4).position(|kind| kind == b"dOps") else { return false };
    match init.get_mut(place + 6..place + 8) {
        Some(skipped) => {
            skipped.fill(0);
            true
        }
        None => false,
    }
}

pub(crate) fn times(init: &Init, file: &[u8]) -> Result<Times, String> {
    let place = within(file, 0..file.len())?.into_iter().find(|(kind, _)| kind == b"moof");
    let (_, place) = place.ok_or("the segment has no moof")?;
    let moof: Moof = first(file)?.ok_or("the segment has no moof")?;
    let [traf] = moof.traf.as_slice() else { return Err("not one track in a segment".into()) };
    let start = traf.tfdt.as_ref().ok_or("the segment has no time")?.base_media_decode_time;
    let default_duration = traf.tfhd.default_sample_duration.unwrap_or(init.default_duration);
    let default_flags = traf.tfhd.default_sample_flags.unwrap_or(init.default_flags);
    let mut times = Times { start, duration: 0, samples: 0, key_bytes: 0, starts_with_sync: false };
    for run in &traf.trun {
        for sample in &run.samples {
            if times.samples == 0 {
                let flags = sample.flags.unwrap_or(default_flags);
                times.starts_with_sync = flags & DEPENDENT_SAMPLE == 0;
                let offset = run.data_offset.ok_or("the segment does not say where its data is")?;
                let size = sample.size.or(traf.tfhd.default_sample_size).unwrap_or_default();
                let end = place.start as i64 + i64::from(offset) + i64::from(size);
                times.key_bytes = u64::try_from(end).unwrap_or_default().min(file.len() as u64);
            }
            times.duration += u64::from(sample.duration.unwrap_or(default_duration));
            times.samples += 1;
        }
    }
    Ok(times)
}

/// Whether there is media in a file at all: where no frame came, the muxer writes only its head.
pub(crate) fn has_media(file: &[u8]) -> Result<bool, String> {
    Ok(within(file, 0..file.len())?.iter().any(|(kind, _)| kind == b"moof"))
}

/// Moves a segment to where its chunk lies in the film: by so many ticks, and with this number.
/// The encoder of a chunk counts both from its own beginning.
pub(crate) fn shift(init: &Init, file: &mut [u8], ticks: u64, number: u64) -> Result<(), String> {
    let mut moved = false;
    let all = 0..file.len();
    for (kind, place) in within(file, all)? {
        match &kind {
            // ISO/IEC 14496-12 8.16.3: version, flags, track, timescale, and the earliest time.
            b"sidx" => {
                let body = &mut file[place.start + 8..place.end];
                let scale = body.get(8..12).ok_or("a short sidx")?;
                if scale != init.timescale.to_be_bytes() {
                    return Err("the sidx counts in other ticks than its track".into());
                }
                add(body, 12, ticks)?;
            }
            b"moof" => {
                let inside = place.start + 8..place.end;
                for (kind, place) in within(file, inside.clone())? {
                    let body = place.start + 8..place.end;
                    match &kind {
                        b"mfhd" => {
                            let number = u32::try_from(number).unwrap_or(u32::MAX);
                            let field = file[body].get_mut(4..8).ok_or("a short mfhd")?;
                            field.copy_from_slice(&number.to_be_bytes());
                        }
                        b"traf" => {
                            for (kind, place) in within(file, body)? {
                                if &kind == b"tfdt" {
                                    add(&mut file[place.start + 8..place.end], 4, ticks)?;
                                    moved = true;
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if moved { Ok(()) } else { Err("the segment has no time".into()) }
}

/// To a number at `place` of a full box, of 64 bits by version 1 and of 32 by version 0.
fn add(body: &mut [u8], place: usize, ticks: u64) -> Result<(), String> {
    let short = "a short box";
    if *body.first().ok_or(short)? == 0 {
        let field = body.get_mut(place..place + 4).ok_or(short)?;
        let time = u32::from_be_bytes(field.try_into().map_err(|_| short)?);
        let moved = u64::from(time).checked_add(ticks).and_then(|time| u32::try_from(time).ok());
        field.copy_from_slice(&moved.ok_or("a time that does not fit")?.to_be_bytes());
    } else {
        let field = body.get_mut(place..place + 8).ok_or(short)?;
        let time = u64::from_be_bytes(field.try_into().map_err(|_| short)?);
        let moved = time.checked_add(ticks).ok_or("a time that does not fit")?;
        field.copy_from_slice(&moved.to_be_bytes());
    }
    Ok(())
}

type Place = ([u8; 4], Range<usize>);

/// The boxes in a part of a file: kind, and from the first byte of the header to the end.
fn within(file: &[u8], part: Range<usize>) -> Result<Vec<Place>, String> {
    let broken = || "a broken box".to_owned();
    let mut found = Vec::new();
    let mut start = part.start;
    while start < part.end {
        let header = file.get(start..start + 8).ok_or_else(broken)?;
        let size = u32::from_be_bytes(header[..4].try_into().map_err(|_| broken())?) as usize;
        let kind = header[4..].try_into().map_err(|_| broken())?;
        // No box of a segment is so long that it needs the long form.
        let end = start.checked_add(size).filter(|end| size >= 8 && *end <= part.end);
        let end = end.ok_or_else(broken)?;
        found.push((kind, start..end));
        start = end;
    }
    Ok(found)
}

/// The first box of that kind at the top; others are passed over unread.
fn first<T: Atom + Decode>(file: &[u8]) -> Result<Option<T>, String> {
    let mut rest = file;
    let broken = |error: mp4_atom::Error| format!("a broken box: {error}");
    while let Some(header) = Header::decode_maybe(&mut rest).map_err(broken)? {
        if header.kind == T::KIND {
            return T::decode_atom(&header, &mut rest).map(Some).map_err(broken);
        }
        let size = header.size.unwrap_or(rest.remaining());
        if size > rest.remaining() {
            return Err("a box is longer than the file".into());
        }
        rest.advance(size);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes(), kind, body].concat()
    }

    #[test]
    fn a_segment_is_moved_in_both_lengths_of_time() {
        let init = Init {
            codecs: String::new(),
            timescale: 25,
            content: Content::Audio { channels: 1, sample_rate: 1 },
            default_duration: 0,
            default_flags: 0,
        };
        let segment = |version: u8, time: &[u8], number: u8| {
            let head = [version, 0, 0, 0];
            let sidx = [&head[..], &[0, 0, 0, 1], &[0, 0, 0, 25], time, &[9; 4]].concat();
            let tfdt = named(b"tfdt", &[&head[..], time].concat());
            let traf = named(b"traf", &[named(b"tfhd", &[7; 8]), tfdt].concat());
            let mfhd = named(b"mfhd", &[0, 0, 0, 0, 0, 0, 0, number]);
            let moof = named(b"moof", &[mfhd, traf].concat());
            [named(b"styp", b"msdh"), named(b"sidx", &sidx), moof, named(b"mdat", b"x")].concat()
        };
        for (version, before, after) in [
            (0, 5u32.to_be_bytes().to_vec(), 305u32.to_be_bytes().to_vec()),
            (1, 5u64.to_be_bytes().to_vec(), 305u64.to_be_bytes().to_vec()),
        ] {
            let mut file = segment(version, &before, 1);
            shift(&init, &mut file, 300, 4).unwrap();
            assert_eq!(file, segment(version, &after, 4));
        }
        let mut late = segment(0, &u32::MAX.to_be_bytes(), 1);
        assert!(shift(&init, &mut late, 1, 1).is_err());
        let other = Init { timescale: 24, ..init };
        assert!(shift(&other, &mut segment(1, &[0; 8], 1), 1, 1).is_err());
    }

    #[test]
    fn what_is_not_a_segment_is_an_error_and_no_panic() {
        let init_of_nothing = Init {
            codecs: String::new(),
            timescale: 1,
            content: Content::Audio { channels: 1, sample_rate: 1 },
            default_duration: 0,
            default_flags: 0,
        };
        for file in [
            &b""[..],
            b"\0\0\0\x08free",
            b"\0\0\0\x09free",
            b"\0\0\0\x08moof",
            b"\0\0\0\x08moov",
            b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\x03free",
        ] {
            assert!(init(file).is_err());
            assert!(times(&init_of_nothing, file).is_err());
            assert!(shift(&init_of_nothing, &mut file.to_vec(), 1, 1).is_err());
        }
    }
}
