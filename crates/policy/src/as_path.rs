//! Regular expressions over AS_PATH, as routers have them.

use std::fmt;
use std::str::FromStr;

use chanter_bgp::AsPath;
use regex::{Regex, RegexSet};

/// Where `_` matches: at either end of the path and between AS numbers.
const BETWEEN: &str = r"(?:^|$|[ ,{}()\[\]])";

/// A regular expression over the path as it is shown (`64512 65000 {65001 65002}`), in which `_`
/// stands for either end and for what is between AS numbers: `^64512_`, `_65000$`, `_64512_`, `^$`.
#[derive(Debug, Clone)]
pub struct AsPathPattern {
    text: String,
    translated: String,
}

impl PartialEq for AsPathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AsPathPattern {}

impl AsPathPattern {
    /// Whether `path` matches.
    pub fn matches(&self, path: AsPath<'_>) -> bool {
        // It compiled before.
        Regex::new(&self.translated).is_ok_and(|regex| regex.is_match(&path.to_string()))
    }
}

impl fmt::Display for AsPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why an AS path expression is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsPathError {
    text: String,
    reason: String,
}

impl fmt::Display for AsPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an AS path expression ({}): expected such as `^64512_`, `_65000$`, `_64512_` \
             or `^$`",
            self.text, self.reason
        )
    }
}

impl std::error::Error for AsPathError {}

impl FromStr for AsPathPattern {
    type Err = AsPathError;

    fn from_str(text: &str) -> Result<Self, AsPathError> {
        let error = |reason: String| AsPathError {
            text: text.to_owned(),
            reason,
        };
        if text.is_empty() {
            return Err(error("it is empty".to_owned()));
        }
        let translated = text.replace('_', BETWEEN);
        Regex::new(&translated).map_err(|found| {
            let reason = found.to_string();
            // Its own message shows the expression over several lines; the last says what is wrong.
            let last = reason.lines().last().unwrap_or_default();
            error(last.trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self {
            text: text.to_owned(),
            translated,
        })
    }
}

/// Many patterns, compiled into one machine.
#[derive(Debug, Clone, Default)]
pub struct AsPathSet {
    patterns: Vec<AsPathPattern>,
    machine: RegexSet,
}

impl PartialEq for AsPathSet {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for AsPathSet {}

impl AsPathSet {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// If together they are larger than the machine may become.
    pub fn new(patterns: Vec<AsPathPattern>) -> Result<Self, AsPathError> {
        let translated = patterns.iter().map(|pattern| &pattern.translated);
        let machine = RegexSet::new(translated).map_err(|error| AsPathError {
            text: patterns
                .iter()
                .map(|pattern| pattern.text.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            reason: error.to_string(),
        })?;
        Ok(Self { patterns, machine })
    }

    /// Whether one of them matches `path`.
    pub fn matches(&self, path: AsPath<'_>) -> bool {
        !self.patterns.is_empty() && self.machine.is_match(&path.to_string())
    }

    /// The patterns.
    pub fn patterns(&self) -> &[AsPathPattern] {
        &self.patterns
    }
}

#[cfg(test)]
mod tests {
    use chanter_bgp::{Attributes, SegmentKind};
    use chanter_types::Asn;

    use super::*;

    #[test]
    fn expressions_mean_what_routers_mean() {
        for (pattern, yes, no) in [
            ("^$", vec![""], vec!["1"]),
            (
                "^64512_",
                vec!["64512", "64512 1"],
                vec!["645120", "1 64512"],
            ),
            (
                "_65000$",
                vec!["65000", "1 65000"],
                vec!["65000 1", "165000"],
            ),
            (
                "_64512_",
                vec!["64512", "1 64512 2"],
                vec!["645120 2", "164512"],
            ),
            (
                "^64512(_64512)*$",
                vec!["64512", "64512 64512"],
                vec!["64512 1"],
            ),
            ("^[0-9]+$", vec!["7"], vec!["7 8"]),
            ("_(64512|65000)_", vec!["65000 1"], vec!["650001"]),
        ] {
            let parsed: AsPathPattern = pattern.parse().unwrap();
            let set = AsPathSet::new(vec![parsed.clone()]).unwrap();
            for (texts, expected) in [(yes, true), (no, false)] {
                for text in texts {
                    let asns: Vec<Asn> = text
                        .split_whitespace()
                        .map(|asn| asn.parse().unwrap())
                        .collect();
                    let attributes = Attributes::builder()
                        .append_segment(SegmentKind::Sequence, &asns)
                        .build();
                    assert_eq!(
                        set.matches(attributes.as_path()),
                        expected,
                        "{pattern} {text}"
                    );
                    assert_eq!(parsed.matches(attributes.as_path()), expected);
                }
            }
        }
        let set = Attributes::builder()
            .append_segment(SegmentKind::Sequence, &[Asn(1)])
            .append_segment(SegmentKind::Set, &[Asn(64512), Asn(2)])
            .build();
        let inside: AsPathPattern = "_64512_".parse().unwrap();
        assert!(inside.matches(set.as_path()));
    }

    #[test]
    fn a_wrong_expression_says_why() {
        let error = "^(64512".parse::<AsPathPattern>().unwrap_err().to_string();
        assert!(
            error.contains("`^(64512`") && error.contains("unclosed group"),
            "{error}"
        );
        assert!("".parse::<AsPathPattern>().is_err());
    }
}
