//! Conditions on numbers.

use std::fmt;
use std::str::FromStr;

use chanter_types::ParseError;

/// A comparison with a number: `100`, `= 100`, `!= 100`, `< 100`, `<= 100`, `> 100`, `>= 100`,
/// `100-200`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// At least the first and at most the second.
    Between(u32, u32),
    /// Any other number.
    Not(u32),
}

impl Comparison {
    /// Whether it holds for `number`.
    pub fn holds(self, number: u32) -> bool {
        match self {
            Comparison::Between(from, to) => (from..=to).contains(&number),
            Comparison::Not(other) => number != other,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Comparison::Between(from, to) if from == to => write!(f, "{from}"),
            Comparison::Between(from, u32::MAX) => write!(f, ">= {from}"),
            Comparison::Between(0, to) => write!(f, "<= {to}"),
            Comparison::Between(from, to) => write!(f, "{from}-{to}"),
            Comparison::Not(number) => write!(f, "!= {number}"),
        }
    }
}

impl FromStr for Comparison {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        comparison(text).ok_or_else(|| {
            ParseError::new(
                text,
                "a comparison",
                "NUMBER, `>= NUMBER`, `> NUMBER`, `<= NUMBER`, `< NUMBER`, `!= NUMBER` or FROM-TO",
            )
        })
    }
}

fn comparison(text: &str) -> Option<Comparison> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(">=") {
        return Some(Comparison::Between(number(rest)?, u32::MAX));
    }
    if let Some(rest) = text.strip_prefix("<=") {
        return Some(Comparison::Between(0, number(rest)?));
    }
    if let Some(rest) = text.strip_prefix("!=") {
        return number(rest).map(Comparison::Not);
    }
    if let Some(rest) = text.strip_prefix('>') {
        return Some(Comparison::Between(number(rest)?.checked_add(1)?, u32::MAX));
    }
    if let Some(rest) = text.strip_prefix('<') {
        return Some(Comparison::Between(0, number(rest)?.checked_sub(1)?));
    }
    if let Some((from, to)) = text.split_once('-') {
        let (from, to) = (number(from)?, number(to)?);
        return (from <= to).then_some(Comparison::Between(from, to));
    }
    let number = number(text.strip_prefix('=').unwrap_or(text))?;
    Some(Comparison::Between(number, number))
}

/// A number is in it if one of the comparisons holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSet(Vec<Comparison>);

impl NumberSet {
    /// Whether one of the comparisons holds for `number`.
    pub fn contains(&self, number: u32) -> bool {
        self.0.iter().any(|comparison| comparison.holds(number))
    }

    /// The comparisons.
    pub fn iter(&self) -> std::slice::Iter<'_, Comparison> {
        self.0.iter()
    }
}

impl FromIterator<Comparison> for NumberSet {
    fn from_iter<I: IntoIterator<Item = Comparison>>(comparisons: I) -> Self {
        Self(comparisons.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read() {
        for (text, printed, holds, not) in [
            ("100", "100", 100, 101),
            ("=100", "100", 100, 99),
            (">= 100", ">= 100", 100, 99),
            ("> 100", ">= 101", 101, 100),
            ("<= 100", "<= 100", 100, 101),
            ("<100", "<= 99", 0, 100),
            ("!= 100", "!= 100", 99, 100),
            ("100-200", "100-200", 200, 201),
        ] {
            let comparison: Comparison = text.parse().unwrap();
            assert!(comparison.holds(holds) && !comparison.holds(not), "{text}");
            assert_eq!(comparison.to_string(), printed);
            assert_eq!(printed.parse(), Ok(comparison));
        }
        for bad in [
            "",
            "x",
            "200-100",
            "< 0",
            "> 4294967295",
            "4294967296",
            "=> 1",
        ] {
            assert!(bad.parse::<Comparison>().is_err(), "{bad}");
        }
    }
}
