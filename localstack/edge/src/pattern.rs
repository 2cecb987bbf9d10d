//! CloudFront's wildcards: `*` is any run of characters, slashes and question marks included, `?` is exactly one.
//! Both the path patterns of behaviours and the `Resource` of a signed policy use them; case always matters.

/// Whether the whole text fits the pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut position) = (0, 0);
    // Where to go back to when the run taken by the last `*` was too short. One memory is enough, so a hostile pattern
    // costs at most pattern x text steps, never exponential time.
    let mut last_star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, position));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[position] => {
                at += 1;
                position += 1;
            }
            _ => match last_star {
                Some((star, taken)) => {
                    at = star + 1;
                    position = taken + 1;
                    last_star = Some((star, position));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&left| left == b'*')
}

/// Whether a path fits a behaviour's path pattern, whose leading slash is optional.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    if pattern.starts_with('/') {
        matches(pattern, path)
    } else {
        path.strip_prefix('/').is_some_and(|rest| matches(pattern, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_any_run_and_question_marks_one() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.zip*", "x/y.zip?license=yes", true),
            ("*a*b", "xaxbxab", true),
            ("abc", "ABC", false),
            ("a*", "a", true),
            ("?*", "", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn hostile_patterns_stay_cheap() {
        let text = "a".repeat(8_000);
        assert!(!matches(&format!("{}b", "*a".repeat(2_000)), &text));
    }

    #[test]
    fn leading_slash_of_a_path_pattern_is_optional() {
        assert!(path_matches("/v/*", "/v/a/b"));
        assert!(path_matches("v/*", "/v/a/b"));
        assert!(path_matches("*.jpg", "/a/b.jpg"));
        assert!(!path_matches("/v/*", "/V/a"));
        assert!(!path_matches("/v/*", "/v"));
    }
}
