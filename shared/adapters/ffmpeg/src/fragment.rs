//! Reading back what the muxer wrote: the init segment, and the times of a media segment.

use mp4_atom::{Atom, Buf, Codec, Decode, DecodeAtom, DecodeMaybe, Header, Moof, Moov};

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
        Codec::Avc1(entry) => {
            let avcc = &entry.avcc;
            let codecs = format!(
                "avc1.{:02x}{:02x}{:02x}",
                avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication
            );
            let (width, height) = (entry.visual.width.into(), entry.visual.height.into());
            (codecs, Content::Video { width, height })
        }
        Codec::Mp4a(entry) => {
            let config = &entry.esds.es_desc.dec_config;
            let object = config.dec_specific.as_ref().ok_or("no audio configuration")?.profile;
            let codecs = format!("mp4a.{:x}.{object}", config.object_type_indication);
            let channels = entry.audio.channel_count.into();
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

pub(crate) fn times(init: &Init, file: &[u8]) -> Result<Times, String> {
    let moof: Moof = first(file)?.ok_or("the segment has no moof")?;
    let [traf] = moof.traf.as_slice() else { return Err("not one track in a segment".into()) };
    let start = traf.tfdt.as_ref().ok_or("the segment has no time")?.base_media_decode_time;
    let default_duration = traf.tfhd.default_sample_duration.unwrap_or(init.default_duration);
    let default_flags = traf.tfhd.default_sample_flags.unwrap_or(init.default_flags);
    let mut times = Times { start, duration: 0, samples: 0, starts_with_sync: false };
    for run in &traf.trun {
        for sample in &run.samples {
            if times.samples == 0 {
                let flags = sample.flags.unwrap_or(default_flags);
                times.starts_with_sync = flags & DEPENDENT_SAMPLE == 0;
            }
            times.duration += u64::from(sample.duration.unwrap_or(default_duration));
            times.samples += 1;
        }
    }
    Ok(times)
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
        }
    }
}
