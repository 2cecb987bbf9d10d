//! What the init segment says of a codec, as RFC 6381 writes it for playlists.

use mp4_atom::{Av1c, Avcc, Hvcc};

/// ISO/IEC 14496-15, annex E.2: `avc1.64001f`.
pub(crate) fn avc(avcc: &Avcc) -> String {
    format!(
        "avc1.{:02x}{:02x}{:02x}",
        avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication
    )
}

/// ISO/IEC 14496-15, annex E.3: `hvc1.1.6.L93.90`. The bits of compatible profiles are written
/// backwards, and constraints without the zeros at their end.
pub(crate) fn hevc(hvcc: &Hvcc) -> String {
    let space = ["", "A", "B", "C"][usize::from(hvcc.general_profile_space & 3)];
    let compatible = u32::from_be_bytes(hvcc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hvcc.general_tier_flag { 'H' } else { 'L' };
    let (profile, level) = (hvcc.general_profile_idc, hvcc.general_level_idc);
    let mut text = format!("hvc1.{space}{profile}.{compatible:x}.{tier}{level}");
    let constraints = hvcc.general_constraint_indicator_flags;
    let length = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..length] {
        text += &format!(".{byte:x}");
    }
    text
}

/// AV1 Codec ISO Media File Format Binding, section 5: `av01.0.05M.08`. What is left out is as it
/// is here: 4:2:0, BT.709, limited range.
pub(crate) fn av1(av1c: &Av1c) -> String {
    let tier = if av1c.seq_tier_0 { 'H' } else { 'M' };
    let depth = match (av1c.high_bitdepth, av1c.twelve_bit) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    format!("av01.{}.{:02}{tier}.{depth:02}", av1c.seq_profile, av1c.seq_level_idx_0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hevc_is_written_as_the_standard_has_it() {
        let mut hvcc = Hvcc::new();
        hvcc.general_profile_idc = 1;
        hvcc.general_profile_compatibility_flags = [0x60, 0, 0, 0];
        hvcc.general_level_idc = 93;
        hvcc.general_constraint_indicator_flags = [0x90, 0, 0, 0, 0, 0];
        assert_eq!(hevc(&hvcc), "hvc1.1.6.L93.90");
        hvcc.general_profile_space = 1;
        hvcc.general_tier_flag = true;
        hvcc.general_constraint_indicator_flags = [0xb0, 0, 0x08, 0, 0, 0];
        assert_eq!(hevc(&hvcc), "hvc1.A1.6.H93.b0.0.8");
        hvcc.general_constraint_indicator_flags = [0; 6];
        assert_eq!(hevc(&hvcc), "hvc1.A1.6.H93");
    }
}
