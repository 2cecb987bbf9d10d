//! Numbers as policies write them: whole ones below 2^256, and amounts in a token's own units.

pub use ruint::aliases::U256;
use std::fmt;

/// The most decimals that a token can sensibly have: 10^77 is the largest power of ten below 2^256.
pub const MAX_DECIMALS: u64 = 77;

/// A plain decimal of 1 to 78 digits without leading zeros, below 2^256.
pub fn whole(text: &str) -> Option<U256> {
    let digits = text.as_bytes();
    let plain = !digits.is_empty()
        && digits.len() <= 78
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits[0] != b'0');
    plain.then(|| U256::from_str_radix(text, 10).ok()).flatten()
}

/// A signed 256-bit number, as its two's complement: `-` and [`whole`].
pub fn signed(text: &str) -> Option<U256> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let size = whole(digits)?;
    let limit = U256::ONE << 255;
    match negative {
        true if size.is_zero() || size > limit => None,
        true => Some(size.wrapping_neg()),
        false => (size < limit).then_some(size),
    }
}

/// An amount in token units, as in `10.5`: what it is in the token's smallest unit depends on the
/// token's decimals, which only its contract knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amount {
    whole: String,
    fraction: String,
}

impl Amount {
    /// A decimal with at most 77 digits behind the point, which must not end in a zero.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole_part, fraction) = text.split_once('.').unwrap_or((text, ""));
        whole(whole_part)?;
        let plain = fraction.len() <= 77
            && fraction.bytes().all(|byte| byte.is_ascii_digit())
            && !fraction.ends_with('0')
            && (text.contains('.') != fraction.is_empty());
        plain.then(|| Self { whole: whole_part.to_owned(), fraction: fraction.to_owned() })
    }

    /// Nothing at all?
    pub fn is_zero(&self) -> bool {
        self.whole == "0" && self.fraction.is_empty()
    }

    /// The smallest number of a token's smallest units that is no less than this; `None` if that
    /// is 2^256 or more.
    pub fn at_least(&self, decimals: u64) -> Option<U256> {
        let (units, more) = self.split(decimals)?;
        if more { units.checked_add(U256::ONE) } else { Some(units) }
    }

    /// The largest number of a token's smallest units that is no more than this.
    pub fn at_most(&self, decimals: u64) -> Option<U256> {
        self.split(decimals).map(|(units, _)| units)
    }

    /// Whole units, and whether a part of one is left.
    fn split(&self, decimals: u64) -> Option<(U256, bool)> {
        let decimals = usize::try_from(decimals).ok().filter(|count| *count <= 77)?;
        let shown = self.fraction.len().min(decimals);
        let digits =
            format!("{}{}{}", self.whole, &self.fraction[..shown], "0".repeat(decimals - shown));
        let digits = digits.trim_start_matches('0');
        let units = match digits {
            "" => U256::ZERO,
            _ if digits.len() > 78 => return None,
            _ => U256::from_str_radix(digits, 10).ok()?,
        };
        // No trailing zero is read, so what is cut off is more than nothing.
        Some((units, self.fraction.len() > shown))
    }

    /// Compares two amounts.
    pub fn exceeds(&self, other: &Self) -> bool {
        let key =
            |amount: &Self| (amount.whole.len(), amount.whole.clone(), amount.fraction.clone());
        key(self) > key(other)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.whole)?;
        if self.fraction.is_empty() { Ok(()) } else { write!(out, ".{}", self.fraction) }
    }
}

/// A number of smallest units, in token units.
pub fn in_units(value: U256, decimals: u64) -> String {
    let digits = value.to_string();
    let decimals = usize::try_from(decimals).unwrap_or(77).min(77);
    if decimals == 0 {
        return digits;
    }
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn the_largest_number_and_no_larger() {
        assert_eq!(whole(LARGEST), Some(U256::MAX));
        assert_eq!(whole(&LARGEST.replace("9935", "9936")), None);
        for text in ["", "00", "01", "-1", "+1", "1 ", "0x1", "1_0"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn signed_numbers_are_in_twos_complement() {
        assert_eq!(signed("-1"), Some(U256::MAX));
        assert_eq!(signed("5"), Some(U256::from(5)));
        let limit = (U256::ONE << 255_usize).to_string();
        assert_eq!(signed(&limit), None);
        assert_eq!(signed(&format!("-{limit}")), Some(U256::ONE << 255));
        for text in ["-0", "--1", "", "-"] {
            assert_eq!(signed(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_rounded_against_the_viewer() {
        let amount = |text| Amount::parse(text).unwrap();
        assert_eq!(amount("10.5").at_least(6), Some(U256::from(10_500_000)));
        assert_eq!(amount("0.0000001").at_least(6), Some(U256::ONE));
        assert_eq!(amount("0.0000001").at_most(6), Some(U256::ZERO));
        assert_eq!(amount("3").at_least(0), Some(U256::from(3)));
        assert_eq!(amount("2.5").at_least(0), Some(U256::from(3)));
        assert_eq!(amount(LARGEST).at_least(0), Some(U256::MAX));
        assert_eq!(amount(LARGEST).at_least(1), None);
        assert_eq!(amount("1").at_least(77).map(|units| units.to_string().len()), Some(78));
        assert_eq!(amount("1").at_least(78), None);
        for text in ["", ".5", "1.", "1.0", "1.50", "-1", "1e3", "01", "1.2.3", " 1"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
        assert!(amount("10").exceeds(&amount("9.9")) && amount("1.25").exceeds(&amount("1.2")));
        assert!(!amount("1.5").exceeds(&amount("1.5")));
    }

    proptest! {
        #[test]
        fn amounts_are_shown_as_they_are_read(units in any::<u128>(), decimals in 0_u64..78) {
            let units = U256::from(units);
            let shown = in_units(units, decimals);
            prop_assert_eq!(Amount::parse(&shown).unwrap().at_least(decimals), Some(units));
        }
    }
}
