//! A job's settings: everything that MediaConvert is told of a film stands here. Each name is the
//! service's own (docs.aws.amazon.com/mediaconvert/latest/apireference/jobs.html).

use app::ports::JobOrder;
use aws_sdk_mediaconvert::types::{
    AacCodecProfile, AacCodingMode, AacRateControlMode, AacSettings, AacSpecification, AudioCodec,
    AudioCodecSettings, AudioDefaultSelection, AudioDescription, AudioSelector, AudioSelectorType,
    Av1BitDepth, Av1FramerateControl, Av1FramerateConversionAlgorithm, Av1QvbrSettings,
    Av1RateControlMode, Av1Settings, CmafCodecSpecification, CmafEncryptionSettings,
    CmafEncryptionType, CmafGroupSettings, CmafInitializationVectorInManifest, CmafKeyProviderType,
    CmafManifestCompression, CmafManifestDurationFormat, CmafMpdProfile,
    CmafPtsOffsetHandlingForBFrames, CmafSegmentControl, CmafSegmentLengthControl,
    CmafVideoCompositionOffsets, CmafWriteDashManifest, CmafWriteHlsManifest,
    CmafWriteSegmentTimelineInRepresentation, CmfcAudioDuration, CmfcIFrameOnlyManifest,
    CmfcSettings, ColorCorrector, ColorMetadata, ColorSpace, ColorSpaceConversion, ColorSpaceUsage,
    ContainerSettings, ContainerType, DashManifestStyle, DeinterlaceAlgorithm, Deinterlacer,
    DeinterlacerControl, DeinterlacerMode, H264CodecLevel, H264CodecProfile, H264FramerateControl,
    H264FramerateConversionAlgorithm, H264GopSizeUnits, H264InterlaceMode, H264ParControl,
    H264QualityTuningLevel, H264QvbrSettings, H264RateControlMode, H264SceneChangeDetect,
    H264Settings, H265CodecLevel, H265CodecProfile, H265FramerateControl,
    H265FramerateConversionAlgorithm, H265GopSizeUnits, H265InterlaceMode, H265ParControl,
    H265QualityTuningLevel, H265QvbrSettings, H265RateControlMode, H265SceneChangeDetect,
    H265Settings, H265WriteMp4PackagingType, HdrToSdrToneMapper, Input, InputRotate,
    InputSampleRange, InputTimecodeSource, JobSettings, Output, OutputGroup, OutputGroupSettings,
    OutputGroupType, SampleRangeConversion, ScalingBehavior, SpekeKeyProviderCmaf, TimecodeConfig,
    TimecodeSource, VideoCodec, VideoCodecSettings, VideoDescription, VideoPreprocessor,
    VideoSelector,
};
use domain::conversion;
use domain::ladder::{self, Gamut, Grid, Matrix, Picture, Rendition, Sound, Transfer};
use domain::video::{media_folder, source_key};

/// MediaConvert's own recommendation from 720p to 1080p, of 1 to 10
/// (docs.aws.amazon.com/mediaconvert/latest/ug/cbr-vbr-qvbr.html).
const QUALITY: i32 = 7;
const STEREO_BITRATE: i32 = 128_000;
const SURROUND_BITRATE: i32 = 384_000;
const SAMPLE_RATE: i32 = 48_000;

/// The names of the buckets that films come from and go to.
#[derive(Debug, Clone)]
pub struct Buckets {
    /// Where the source is.
    pub uploads: String,
    /// Where the segments go.
    pub media: String,
    /// Whose keys encrypt them, if any do.
    pub speke: Option<Speke>,
}

/// A key server of a vendor of digital rights management (SPEKE 1.0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speke {
    /// Its address, behind API Gateway: MediaConvert's role may call it.
    pub url: String,
    /// Which systems it serves, as DASH-IF names them; FairPlay is signalled in HLS, the others in
    /// DASH.
    pub system_ids: Vec<String>,
}

/// DASH-IF's identifier of FairPlay.
const FAIRPLAY: &str = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2";

/// All that a job is to do.
pub(crate) fn of(order: &JobOrder<'_>, buckets: &Buckets) -> JobSettings {
    let JobOrder { video, plan, attempt } = order;
    let mut input = Input::builder()
        .file_input(format!("s3://{}/{}", buckets.uploads, source_key(video)))
        .timecode_source(InputTimecodeSource::Zerobased)
        .video_selector(picture_of_source(plan.picture));
    // Each sound stream once, however many tracks are made of it. The first is what plays unasked.
    for (index, sound) in plan.sounds.iter().enumerate() {
        let default = if index == 0 {
            AudioDefaultSelection::Default
        } else {
            AudioDefaultSelection::NotDefault
        };
        let known = plan.sounds[..index].iter().any(|other| other.stream == sound.stream);
        if !known {
            let selector = AudioSelector::builder()
                .selector_type(AudioSelectorType::Track)
                .tracks(number(sound.stream) + 1)
                .default_selection(default);
            input = input.audio_selectors(selector_name(sound), selector.build());
        }
    }
    let folder = media_folder(video);
    let base = conversion::base(&plan.digest(), *attempt);
    let mut group = OutputGroup::builder().name("film").output_group_settings(
        OutputGroupSettings::builder()
            .r#type(OutputGroupType::CmafGroupSettings)
            .cmaf_group_settings(cmaf(
                &plan.grid,
                format!("s3://{}/{folder}/{base}", buckets.media),
                buckets.speke.as_ref().map(|speke| encryption(speke, video)),
            ))
            .build(),
    );
    for rendition in &plan.renditions {
        group = group.outputs(picture(rendition, &plan.grid, plan.picture));
    }
    for track in &plan.sounds {
        group = group.outputs(sound(track));
    }
    JobSettings::builder()
        .timecode_config(TimecodeConfig::builder().source(TimecodeSource::Zerobased).build())
        .inputs(input.build())
        .output_groups(group.build())
        .build()
}

/// As in domain: no number of ours is anywhere near the limit.
fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn selector_name(sound: &Sound) -> String {
    format!("stream-{}", sound.stream)
}

/// Segments of whole GOPs, named and timed for both HLS and DASH.
fn cmaf(
    grid: &Grid,
    destination: String,
    speke: Option<CmafEncryptionSettings>,
) -> CmafGroupSettings {
    // In whole seconds, and then rounded up to the next GOP: 4 becomes 4.004 at 29.97 frames.
    let frames = u64::from(grid.segment_frames) * u64::from(grid.frame_rate.denominator);
    let seconds = frames / u64::from(grid.frame_rate.numerator.max(1));
    let seconds = i32::try_from(seconds.max(1)).unwrap_or(i32::MAX);
    CmafGroupSettings::builder()
        .destination(destination)
        .segment_control(CmafSegmentControl::SegmentedFiles)
        .segment_length(seconds)
        .segment_length_control(CmafSegmentLengthControl::GopMultiple)
        .fragment_length(seconds)
        .write_hls_manifest(CmafWriteHlsManifest::Enabled)
        .write_dash_manifest(CmafWriteDashManifest::Enabled)
        // Without these a manifest has no exact lengths, and the film's first picture may be late.
        .write_segment_timeline_in_representation(CmafWriteSegmentTimelineInRepresentation::Enabled)
        .dash_manifest_style(DashManifestStyle::Basic)
        .video_composition_offsets(CmafVideoCompositionOffsets::Signed)
        .pts_offset_handling_for_b_frames(CmafPtsOffsetHandlingForBFrames::ZeroBased)
        .mpd_profile(CmafMpdProfile::MainProfile)
        .manifest_compression(CmafManifestCompression::None)
        .manifest_duration_format(CmafManifestDurationFormat::FloatingPoint)
        .codec_specification(CmafCodecSpecification::Rfc6381)
        .set_encryption(speke)
        .build()
}

/// Keys from a vendor's key server (SPEKE 1.0), named by the video's id. With `cbcs` the same
/// segments serve FairPlay in HLS and the others in DASH.
fn encryption(speke: &Speke, video: &str) -> CmafEncryptionSettings {
    let (hls, dash): (Vec<_>, Vec<_>) =
        speke.system_ids.iter().cloned().partition(|id| id.eq_ignore_ascii_case(FAIRPLAY));
    let some = |ids: Vec<String>| Some(ids).filter(|ids| !ids.is_empty());
    CmafEncryptionSettings::builder()
        .encryption_method(CmafEncryptionType::SampleAes)
        .initialization_vector_in_manifest(CmafInitializationVectorInManifest::Include)
        .r#type(CmafKeyProviderType::Speke)
        .speke_key_provider(
            SpekeKeyProviderCmaf::builder()
                .url(&speke.url)
                .resource_id(video)
                .set_hls_signaled_system_ids(some(hls))
                .set_dash_signaled_system_ids(some(dash))
                .build(),
        )
        .build()
}

/// What the samples mean, where the probe knows better than the service, which believes the file.
fn picture_of_source(picture: Picture) -> VideoSelector {
    let selector =
        VideoSelector::builder().rotate(InputRotate::Auto).sample_range(if picture.full_range {
            InputSampleRange::FullRange
        } else {
            InputSampleRange::Follow
        });
    let space = match (picture.transfer, picture.gamut, picture.matrix) {
        (Transfer::Sdr, Gamut::Bt709, Matrix::Bt709) => ColorSpace::Rec709,
        (Transfer::Sdr, Gamut::Bt709, Matrix::Bt601) => ColorSpace::Rec601,
        // What a film says of its own light is part of it.
        _ => return selector.color_space(ColorSpace::Follow).build(),
    };
    selector.color_space(space).color_space_usage(ColorSpaceUsage::Force).build()
}

/// To what all renditions are: progressive, BT.709, of limited range.
fn preprocessors(picture: Picture) -> Option<VideoPreprocessor> {
    let mut steps = VideoPreprocessor::builder();
    if picture.interlaced {
        steps = steps.deinterlacer(
            Deinterlacer::builder()
                .algorithm(DeinterlaceAlgorithm::Interpolate)
                .control(DeinterlacerControl::Normal)
                .mode(DeinterlacerMode::Deinterlace)
                .build(),
        );
    }
    let is_709 = picture.matrix == Matrix::Bt709 && picture.gamut == Gamut::Bt709;
    let is_sdr = picture.transfer == Transfer::Sdr;
    let mut corrector = ColorCorrector::builder();
    if !is_709 || !is_sdr {
        corrector = corrector.color_space_conversion(ColorSpaceConversion::Force709);
    }
    if !is_sdr {
        corrector = corrector.hdr_to_sdr_tone_mapper(HdrToSdrToneMapper::PreserveDetails);
    }
    if picture.full_range {
        corrector = corrector.sample_range_conversion(SampleRangeConversion::LimitedRangeSqueeze);
    }
    if !is_709 || !is_sdr || picture.full_range {
        steps = steps.color_corrector(corrector.build());
    }
    let is_plain = is_709 && is_sdr && !picture.full_range && !picture.interlaced;
    (!is_plain).then(|| steps.build())
}

fn picture(rendition: &Rendition, grid: &Grid, source: Picture) -> Output {
    let codec = VideoCodecSettings::builder();
    let codec = match rendition.codec {
        ladder::VideoCodec::H264 => {
            codec.codec(VideoCodec::H264).h264_settings(h264(rendition, grid))
        }
        ladder::VideoCodec::Hevc => {
            codec.codec(VideoCodec::H265).h265_settings(h265(rendition, grid))
        }
        ladder::VideoCodec::Av1 => codec.codec(VideoCodec::Av1).av1_settings(av1(rendition, grid)),
    };
    let description = VideoDescription::builder()
        .width(number(rendition.width))
        .height(number(rendition.height))
        // The size has the film's shape already, and square pixels.
        .scaling_behavior(ScalingBehavior::StretchToOutput)
        .color_metadata(ColorMetadata::Insert)
        .set_video_preprocessors(preprocessors(source))
        .codec_settings(codec.build())
        .build();
    let cmfc = CmfcSettings::builder().i_frame_only_manifest(CmfcIFrameOnlyManifest::Exclude);
    Output::builder()
        .name_modifier(conversion::modifier(&rendition.name))
        .container_settings(container(cmfc.build()))
        .video_description(description)
        .build()
}

/// One closed GOP to a segment, an IDR picture at its beginning and nowhere else: all renditions
/// are cut alike.
fn h264(rendition: &Rendition, grid: &Grid) -> H264Settings {
    H264Settings::builder()
        .rate_control_mode(H264RateControlMode::Qvbr)
        .qvbr_settings(H264QvbrSettings::builder().qvbr_quality_level(QUALITY).build())
        .max_bitrate(number(rendition.max_kbps.saturating_mul(1000)))
        .quality_tuning_level(H264QualityTuningLevel::SinglePassHq)
        .codec_profile(H264CodecProfile::High)
        .codec_level(H264CodecLevel::Auto)
        .gop_size(f64::from(grid.segment_frames))
        .gop_size_units(H264GopSizeUnits::Frames)
        .gop_closed_cadence(1)
        .min_i_interval(0)
        .scene_change_detect(H264SceneChangeDetect::Disabled)
        .interlace_mode(H264InterlaceMode::Progressive)
        .framerate_control(H264FramerateControl::Specified)
        .framerate_numerator(number(grid.frame_rate.numerator))
        .framerate_denominator(number(grid.frame_rate.denominator))
        .framerate_conversion_algorithm(H264FramerateConversionAlgorithm::DuplicateDrop)
        .par_control(H264ParControl::Specified)
        .par_numerator(1)
        .par_denominator(1)
        .build()
}

/// As [`h264`]. `hvc1`, which is what Apple's players take (HLS Authoring Specification 1.10).
fn h265(rendition: &Rendition, grid: &Grid) -> H265Settings {
    H265Settings::builder()
        .rate_control_mode(H265RateControlMode::Qvbr)
        .qvbr_settings(H265QvbrSettings::builder().qvbr_quality_level(QUALITY).build())
        .max_bitrate(number(rendition.max_kbps.saturating_mul(1000)))
        .quality_tuning_level(H265QualityTuningLevel::SinglePassHq)
        .codec_profile(H265CodecProfile::MainMain)
        .codec_level(H265CodecLevel::Auto)
        .write_mp4_packaging_type(H265WriteMp4PackagingType::Hvc1)
        .gop_size(f64::from(grid.segment_frames))
        .gop_size_units(H265GopSizeUnits::Frames)
        .gop_closed_cadence(1)
        .min_i_interval(0)
        .scene_change_detect(H265SceneChangeDetect::Disabled)
        .interlace_mode(H265InterlaceMode::Progressive)
        .framerate_control(H265FramerateControl::Specified)
        .framerate_numerator(number(grid.frame_rate.numerator))
        .framerate_denominator(number(grid.frame_rate.denominator))
        .framerate_conversion_algorithm(H265FramerateConversionAlgorithm::DuplicateDrop)
        .par_control(H265ParControl::Specified)
        .par_numerator(1)
        .par_denominator(1)
        .build()
}

/// As [`h264`]. Its size of a GOP is in frames always; that the service would like one more than a multiple
/// of eight can't be had, since all renditions are cut alike.
fn av1(rendition: &Rendition, grid: &Grid) -> Av1Settings {
    Av1Settings::builder()
        .rate_control_mode(Av1RateControlMode::Qvbr)
        .qvbr_settings(Av1QvbrSettings::builder().qvbr_quality_level(QUALITY).build())
        .max_bitrate(number(rendition.max_kbps.saturating_mul(1000)))
        .bit_depth(Av1BitDepth::Bit8)
        .gop_size(f64::from(grid.segment_frames))
        .framerate_control(Av1FramerateControl::Specified)
        .framerate_numerator(number(grid.frame_rate.numerator))
        .framerate_denominator(number(grid.frame_rate.denominator))
        .framerate_conversion_algorithm(Av1FramerateConversionAlgorithm::DuplicateDrop)
        .build()
}

fn sound(sound: &Sound) -> Output {
    let (mode, bitrate) = match sound.channels {
        6 => (AacCodingMode::CodingMode51, SURROUND_BITRATE),
        _ => (AacCodingMode::CodingMode20, STEREO_BITRATE),
    };
    let aac = AacSettings::builder()
        .codec_profile(AacCodecProfile::Lc)
        .rate_control_mode(AacRateControlMode::Cbr)
        .coding_mode(mode)
        .bitrate(bitrate)
        .sample_rate(SAMPLE_RATE)
        .specification(AacSpecification::Mpeg4)
        .build();
    let codec = AudioCodecSettings::builder().codec(AudioCodec::Aac).aac_settings(aac).build();
    let description = AudioDescription::builder()
        .audio_source_name(selector_name(sound))
        .codec_settings(codec)
        .build();
    // Filled with silence, or cut, to the length of the picture.
    let cmfc = CmfcSettings::builder().audio_duration(CmfcAudioDuration::MatchVideoDuration);
    Output::builder()
        .name_modifier(conversion::modifier(&sound.name))
        .container_settings(container(cmfc.build()))
        .audio_descriptions(description)
        .build()
}

fn container(cmfc: CmfcSettings) -> ContainerSettings {
    ContainerSettings::builder().container(ContainerType::Cmfc).cmfc_settings(cmfc).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ladder::{AudioStream, Extras, Limits, Ratio, VideoStream};
    use domain::ladder::{Probe, TranscodePlan, plan};

    const VIDEO: &str = "00112233445566778899aabbccddeeff";

    fn plan_of(picture: Picture, rate: Ratio, channels: u32) -> TranscodePlan {
        plan_with(Extras::NONE, picture, rate, channels)
    }

    fn plan_with(extras: Extras, picture: Picture, rate: Ratio, channels: u32) -> TranscodePlan {
        let limits = Limits {
            max_duration_seconds: 60,
            max_pixels: u64::MAX,
            chunk_seconds: 60,
            segment_seconds: 4,
            extras,
            ceilings: domain::ladder::Ceilings::Fixed,
            key_seconds: 300,
        };
        let video = VideoStream {
            width: 1280,
            height: 720,
            frame_rate: rate,
            codec: "h264".into(),
            picture,
        };
        let sound = |stream| AudioStream {
            stream,
            codec: "aac".into(),
            channels,
            default: stream == 1,
            label: domain::label::Label::default(),
        };
        let probe = Probe {
            duration_seconds: 10.0,
            start_micros: 0,
            video: Some(video),
            audio: vec![sound(0), sound(1)],
            texts: vec![],
        };
        plan(&probe, &limits).unwrap_or_else(|error| unreachable!("{error}")).for_job(&limits)
    }

    fn settings(picture: Picture, rate: Ratio, channels: u32) -> (JobSettings, TranscodePlan) {
        let plan = plan_of(picture, rate, channels);
        let buckets = Buckets { uploads: "in".into(), media: "out".into(), speke: None };
        let order = JobOrder { video: VIDEO, plan: &plan, attempt: 2 };
        (of(&order, &buckets), plan)
    }

    fn group(settings: &JobSettings) -> (&CmafGroupSettings, &[Output]) {
        let group = &settings.output_groups()[0];
        let cmaf = group.output_group_settings().and_then(OutputGroupSettings::cmaf_group_settings);
        (cmaf.unwrap_or_else(|| unreachable!()), group.outputs())
    }

    #[test]
    fn the_job_makes_what_the_plan_says_where_it_is_looked_for() {
        let (settings, plan) = settings(Picture::default(), Ratio::new(30_000, 1001), 6);
        let input = &settings.inputs()[0];
        assert_eq!(input.file_input(), Some(format!("s3://in/uploads/{VIDEO}/source").as_str()));
        let (cmaf, outputs) = group(&settings);
        let folder = format!("s3://out/v/{VIDEO}/job/{}/2/film", plan.digest());
        assert_eq!(cmaf.destination(), Some(folder.as_str()));
        assert_eq!((cmaf.segment_length(), cmaf.fragment_length()), (Some(4), Some(4)));
        let names: Vec<_> = outputs.iter().filter_map(Output::name_modifier).collect();
        let tracks: Vec<_> = plan.tracks().iter().map(|track| format!("-{track}")).collect();
        assert_eq!(names, tracks);
        assert_eq!(names.len(), 6, "two sizes, two sounds in stereo and in 5.1");
        for (output, rendition) in outputs.iter().zip(&plan.renditions) {
            let video = output.video_description().unwrap_or_else(|| unreachable!());
            assert_eq!((video.width(), video.height()), {
                let size = |side| i32::try_from(side).ok();
                (size(rendition.width), size(rendition.height))
            });
            let h264 = video.codec_settings().and_then(VideoCodecSettings::h264_settings);
            let h264 = h264.unwrap_or_else(|| unreachable!());
            assert_eq!((h264.gop_size(), h264.gop_closed_cadence()), (Some(120.0), Some(1)));
            assert_eq!(h264.max_bitrate(), Some(number(rendition.max_kbps) * 1000));
            let rate = (h264.framerate_numerator(), h264.framerate_denominator());
            assert_eq!(rate, (Some(30_000), Some(1001)));
            assert!(video.video_preprocessors().is_none());
        }
        let sounds: Vec<_> = outputs[2..]
            .iter()
            .map(|output| {
                let sound = &output.audio_descriptions()[0];
                let aac = sound.codec_settings().and_then(AudioCodecSettings::aac_settings);
                (sound.audio_source_name().unwrap_or_default(), aac.and_then(AacSettings::bitrate))
            })
            .collect();
        let (stereo, surround) = (Some(STEREO_BITRATE), Some(SURROUND_BITRATE));
        let expected = [
            ("stream-1", stereo),
            ("stream-0", stereo),
            ("stream-1", surround),
            ("stream-0", surround),
        ];
        assert_eq!(sounds, expected);
        let selectors = input.audio_selectors().unwrap_or_else(|| unreachable!());
        assert_eq!(selectors.len(), 2);
        assert_eq!(selectors["stream-1"].tracks(), [2]);
        assert_eq!(
            selectors["stream-1"].default_selection(),
            Some(&AudioDefaultSelection::Default)
        );
    }

    #[test]
    fn what_a_source_is_made_of_is_undone() {
        let rate = Ratio::new(25, 1);
        let of = |picture| {
            let (settings, _) = settings(picture, rate, 2);
            let selector = settings.inputs()[0].video_selector().cloned();
            let video = group(&settings).1[0].video_description().cloned();
            (
                selector.unwrap_or_else(|| unreachable!()),
                video.and_then(|video| video.video_preprocessors),
            )
        };
        let (selector, steps) = of(Picture { interlaced: true, ..Picture::default() });
        assert_eq!(selector.color_space(), Some(&ColorSpace::Rec709));
        let steps = steps.unwrap_or_else(|| unreachable!());
        assert!(steps.deinterlacer().is_some() && steps.color_corrector().is_none());

        let (selector, steps) =
            of(Picture { matrix: Matrix::Bt601, full_range: true, ..Picture::default() });
        assert_eq!(selector.color_space(), Some(&ColorSpace::Rec601));
        assert_eq!(selector.sample_range(), Some(&InputSampleRange::FullRange));
        let corrector = steps.and_then(|steps| steps.color_corrector);
        let corrector = corrector.unwrap_or_else(|| unreachable!());
        assert_eq!(corrector.color_space_conversion(), Some(&ColorSpaceConversion::Force709));
        let squeezed = Some(&SampleRangeConversion::LimitedRangeSqueeze);
        assert_eq!(corrector.sample_range_conversion(), squeezed);
        assert_eq!(corrector.hdr_to_sdr_tone_mapper(), None);

        let hdr = Picture {
            matrix: Matrix::Bt2020,
            gamut: Gamut::Bt2020,
            transfer: Transfer::Pq,
            ..Picture::default()
        };
        let (selector, steps) = of(hdr);
        assert_eq!(selector.color_space(), Some(&ColorSpace::Follow));
        let corrector = steps.and_then(|steps| steps.color_corrector);
        let tone = corrector.and_then(|corrector| corrector.hdr_to_sdr_tone_mapper);
        assert_eq!(tone, Some(HdrToSdrToneMapper::PreserveDetails));
    }

    #[test]
    fn segments_are_as_long_as_a_gop_at_every_rate() {
        for (rate, gop) in [
            (Ratio::new(24_000, 1001), 96.0),
            (Ratio::new(25, 2), 50.0),
            (Ratio::new(10, 1), 40.0),
            (Ratio::new(60_000, 1001), 240.0),
        ] {
            let (settings, _) = settings(Picture::default(), rate, 2);
            let (cmaf, outputs) = group(&settings);
            assert_eq!(cmaf.segment_length(), Some(4), "{rate:?}");
            let codec = outputs[0].video_description().and_then(VideoDescription::codec_settings);
            let h264 = codec.and_then(VideoCodecSettings::h264_settings);
            assert_eq!(h264.and_then(H264Settings::gop_size), Some(gop), "{rate:?}");
        }
    }

    #[test]
    fn further_codecs_are_cut_like_the_first() {
        let extras = "hevc,av1,opus".parse().unwrap_or_else(|error| unreachable!("{error}"));
        let plan = plan_with(extras, Picture::default(), Ratio::new(25, 1), 2);
        let buckets = Buckets { uploads: "in".into(), media: "out".into(), speke: None };
        let settings = of(&JobOrder { video: VIDEO, plan: &plan, attempt: 1 }, &buckets);
        let made: Vec<_> = group(&settings)
            .1
            .iter()
            .filter_map(|output| output.video_description()?.codec_settings())
            .map(|codec| {
                let gop = codec
                    .h264_settings()
                    .and_then(H264Settings::gop_size)
                    .or_else(|| codec.h265_settings().and_then(H265Settings::gop_size))
                    .or_else(|| codec.av1_settings().and_then(Av1Settings::gop_size));
                (codec.codec().map(VideoCodec::as_str), gop)
            })
            .collect();
        let expected = ["H_264", "H_264", "H_265", "H_265", "AV1", "AV1"];
        assert_eq!(made, expected.map(|codec| (Some(codec), Some(100.0))));
        // The service writes no Opus in CMAF.
        let sounds =
            group(&settings).1.iter().filter(|output| output.video_description().is_none());
        assert_eq!(sounds.count(), 2);
    }

    #[test]
    fn a_job_names_the_key_server_where_there_is_one() {
        let plan = plan_of(Picture::default(), Ratio::new(25, 1), 2);
        let order = JobOrder { video: VIDEO, plan: &plan, attempt: 1 };
        let widevine = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
        let playready = "9a04f079-9840-4286-ab92-e65be0885f95";
        let system_ids = [widevine, FAIRPLAY, playready].map(str::to_owned).to_vec();
        let url = "https://keys.example/v1/speke".to_owned();
        let mut buckets = Buckets { uploads: "in".into(), media: "out".into(), speke: None };
        let plain = of(&order, &buckets);
        assert_eq!(group(&plain).0.encryption(), None);
        buckets.speke = Some(Speke { url: url.clone(), system_ids });
        let settings = of(&order, &buckets);
        let encryption = group(&settings).0.encryption().unwrap_or_else(|| unreachable!());
        assert_eq!(encryption.encryption_method(), Some(&CmafEncryptionType::SampleAes));
        assert_eq!(encryption.r#type(), Some(&CmafKeyProviderType::Speke));
        let server = encryption.speke_key_provider().unwrap_or_else(|| unreachable!());
        assert_eq!((server.url(), server.resource_id()), (Some(url.as_str()), Some(VIDEO)));
        assert_eq!(server.hls_signaled_system_ids(), [FAIRPLAY]);
        assert_eq!(server.dash_signaled_system_ids(), [widevine, playready]);
    }
}
