//! Patterns of paths.

use super::super::PackagePath;

/// The longest pattern, in bytes.
const MAX_LEN: usize = 256;

/// A pattern: `*` is any text within a part, `?` one character, `**` as a whole part any number of parts.
///
/// Matching takes at most as many steps as the pattern and the path have bytes, multiplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `**`
    Any,
    One(Vec<char>),
}

impl Glob {
    /// Reads a pattern; the error says what to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LEN {
            return Err(format!("a pattern has at most {MAX_LEN} bytes"));
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(
                "a pattern is like a path below the run directory, without empty parts, . and ..".into()
            );
        }
        if text.split('/').any(|part| part != "**" && part.contains("**")) {
            return Err("** stands alone between slashes, as in logs/**/*.txt".to_owned());
        }
        if let Some(c) = text.chars().find(|c| "[]{}\\".contains(*c)) {
            return Err(format!("a pattern knows *, ? and **, and not {c:?}"));
        }
        let part = |part: &str| if part == "**" { Part::Any } else { Part::One(part.chars().collect()) };
        Ok(Self { parts: text.split('/').map(part).collect() })
    }

    pub(super) fn matches(&self, path: &PackagePath) -> bool {
        let path: Vec<Vec<char>> = path.as_str().split('/').map(|part| part.chars().collect()).collect();
        let is_any = |part: &Part| *part == Part::Any;
        let fits = |part: &Part, name: &Vec<char>| match part {
            Part::Any => false,
            Part::One(pattern) => fits(pattern, name, |c| *c == '*', |p, c| *p == '?' || p == c),
        };
        self::fits(&self.parts, &path, is_any, fits)
    }
}

/// Whether a sequence fits a pattern in which some elements stand for any number of others. On a mismatch only
/// the last such element has to take one more: what stands before it was matched as early as possible.
pub(crate) fn fits<P, T>(
    pattern: &[P],
    sequence: &[T],
    is_any: impl Fn(&P) -> bool,
    fits_one: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while s < sequence.len() {
        if p < pattern.len() && is_any(&pattern[p]) {
            last = Some((p, s));
            p += 1;
        } else if p < pattern.len() && fits_one(&pattern[p], &sequence[s]) {
            (p, s) = (p + 1, s + 1);
        } else if let Some((any, from)) = last {
            last = Some((any, from + 1));
            (p, s) = (any + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(&path.parse().unwrap())
    }

    #[test]
    fn a_star_stays_within_its_part_and_two_do_not() {
        for (pattern, path) in [
            ("run.json", "run.json"),
            ("reports/scorecard.*", "reports/scorecard.json"),
            ("*.json", ".json"),
            ("a*b*c", "aXbYbZc"),
            ("?.txt", "é.txt"),
            ("**", "a/b/c"),
            ("raw/**", "raw/a"),
            ("raw/**", "raw/a/b.xml"),
            ("**/*.http", "x.http"),
            ("**/*.http", "raw/http/1.http"),
            ("a/**/b/**/c", "a/b/x/b/y/z/c"),
            ("**/b/*", "b/b/b/c"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("run.json", "run.jsonl"),
            ("*.json", "a/b.json"),
            ("reports/*", "reports/a/b"),
            ("?.txt", ".txt"),
            ("raw/**/x", "raw/y"),
            ("**/b/*", "a/b"),
            ("raw/**", "rawer/a"),
            ("a*b", "a/b"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = format!("{}b", "*a".repeat(120));
        assert!(!matches(&pattern, &"a".repeat(255)));
        let pattern = format!("{}b", "**/a/".repeat(50));
        assert!(!matches(&pattern, &format!("{}a", "a/".repeat(511))));
    }

    #[test]
    fn a_pattern_that_means_something_else_elsewhere_is_refused() {
        for pattern in ["", "/a", "a/", "a//b", "../a", "a/./b", "a**", "**.xml", "[ab]", "{a,b}", "a\\b"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Glob::parse(&"a".repeat(257)).is_err());
    }
}
