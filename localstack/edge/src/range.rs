//! Single byte ranges. Several ranges in one request are answered with the whole object, which RFC 9110 allows.

/// What a Range header asks of an object.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// No usable range: the whole object.
    Whole,
    /// From this byte to that one, both included.
    Part(usize, usize),
    /// Nothing the object has.
    Unsatisfiable,
}

/// Reads a Range header for an object of this size.
pub fn asked(header: Option<&str>, size: usize) -> Asked {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    let number = |text: &str| -> Option<usize> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a size can have mean "past the end".
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => {
            Asked::Unsatisfiable
        }
        (Some(first), None) if last.is_empty() => Asked::Part(first, size - 1),
        (Some(first), Some(last)) if first <= last => Asked::Part(first, last.min(size - 1)),
        (None, Some(0)) if first.is_empty() => Asked::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && size == 0 => Asked::Unsatisfiable,
        (None, Some(tail)) if first.is_empty() => Asked::Part(size.saturating_sub(tail), size - 1),
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_in_rfc_9110() {
        for (header, size, expected) in [
            (None, 10, Asked::Whole),
            (Some("bytes=0-0"), 10, Asked::Part(0, 0)),
            (Some("bytes=0-"), 10, Asked::Part(0, 9)),
            (Some("bytes=4-99"), 10, Asked::Part(4, 9)),
            (Some("bytes=-3"), 10, Asked::Part(7, 9)),
            (Some("bytes=-99"), 10, Asked::Part(0, 9)),
            (Some("bytes=10-"), 10, Asked::Unsatisfiable),
            (Some("bytes=10-20"), 10, Asked::Unsatisfiable),
            (Some("bytes=-0"), 10, Asked::Unsatisfiable),
            (Some("bytes=0-"), 0, Asked::Unsatisfiable),
            (Some("bytes=99999999999999999999999-"), 10, Asked::Unsatisfiable),
            (Some("bytes=5-4"), 10, Asked::Whole),
            (Some("bytes=a-b"), 10, Asked::Whole),
            (Some("bytes=-"), 10, Asked::Whole),
            (Some("bytes=0-1,3-4"), 10, Asked::Whole),
            (Some("items=0-1"), 10, Asked::Whole),
        ] {
            assert_eq!(asked(header, size), expected, "{header:?}");
        }
    }
}
