//! Faults in configuration files, shown with file, line and a caret, all at once.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A configuration file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }
}

/// Whether a fault keeps the daemon from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not; the line has no effect, or another one than it may seem.
    Warning,
}

/// One fault of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the daemon can start in spite of it.
    pub severity: Severity,
    /// What is wrong, where, and what would be accepted: ``[BGP] my_as: `x` is not ...``.
    pub message: String,
    file: PathBuf,
    /// `None`: the fault is that something is missing from the file.
    place: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Counted from 1.
    line: usize,
    text: String,
    /// Characters in front of the marked ones.
    indent: usize,
    width: usize,
}

impl Place {
    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let end = floor_char_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let marked = &text[start..end.min(line_end)];
        Self {
            line: text[..start].matches('\n').count() + 1,
            text: without_secrets(&text[line_start..line_end].trim_end().replace('\t', " ")),
            indent: text[line_start..start].chars().count(),
            width: marked.chars().count().max(1),
        }
    }
}

/// Keys whose values are not shown.
const SECRET_KEYS: [&str; 2] = ["password", "secret"];

/// The line with `*` in the place of each character of a secret, so that marks below it fit.
fn without_secrets(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((value, end)) = next_secret(rest) {
        shown.push_str(&rest[..value]);
        shown.extend(rest[value..end].chars().map(|_| '*'));
        rest = &rest[end..];
    }
    shown + rest
}

/// Where the next secret begins and ends in `line`: a quoted value as far as its quote, else all
/// that follows.
fn next_secret(line: &str) -> Option<(usize, usize)> {
    let ends = SECRET_KEYS.iter().flat_map(|key| {
        line.match_indices(key)
            .map(move |(at, _)| at + key.len())
            .filter(|end| {
                line[*end..]
                    .trim_start_matches(['"', '\'', ' '])
                    .starts_with('=')
            })
    });
    let key_end = ends.min()?;
    let value = key_end + line[key_end..].find('=')? + 1;
    let value = value + (line[value..].len() - line[value..].trim_start().len());
    let quote = line[value..]
        .chars()
        .next()
        .filter(|c| ['"', '\''].contains(c));
    let closed = quote.and_then(|quote| line[value + 1..].find(quote));
    let end = closed.map_or(line.len(), |at| value + 1 + at + 1);
    Some((value, end))
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let file = self.file.display();
        let Some(place) = &self.place else {
            return write!(f, "{file}: {mark}{}", self.message);
        };
        let number = place.line.to_string();
        writeln!(f, "{file}:{number}: {mark}{}", self.message)?;
        writeln!(f, "  {number} | {}", place.text)?;
        let gap = " ".repeat(number.len());
        write!(
            f,
            "  {gap} | {}{}",
            " ".repeat(place.indent),
            "^".repeat(place.width)
        )
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// An error at `span` of `file`.
    pub fn error(&mut self, file: &SourceFile, span: &Range<usize>, message: String) {
        self.push(Severity::Error, file, Some(span), message);
    }

    /// A warning about `span` of `file`.
    pub fn warning(&mut self, file: &SourceFile, span: &Range<usize>, message: String) {
        self.push(Severity::Warning, file, Some(span), message);
    }

    /// An error about something that the file lacks.
    pub fn missing(&mut self, file: &SourceFile, message: String) {
        self.push(Severity::Error, file, None, message);
    }

    fn push(
        &mut self,
        severity: Severity,
        file: &SourceFile,
        span: Option<&Range<usize>>,
        message: String,
    ) {
        let fault = Diagnostic {
            severity,
            message,
            file: file.path.clone(),
            place: span.map(|span| Place::of(&file.text, span)),
        };
        // A template is looked at once for each peer that has it.
        if !self.list.contains(&fault) {
            self.list.push(fault);
        }
    }

    /// The warnings, or all faults if there is an error among them, in the order of lines.
    pub fn into_result(mut self) -> Result<Vec<Diagnostic>, ConfigError> {
        let line = |fault: &Diagnostic| fault.place.as_ref().map_or(usize::MAX, |place| place.line);
        self.list
            .sort_by(|a, b| a.file.cmp(&b.file).then(line(a).cmp(&line(b))));
        if self
            .list
            .iter()
            .any(|fault| fault.severity == Severity::Error)
        {
            Err(ConfigError::Faults(self.list))
        } else {
            Ok(self.list)
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no configuration file in the usual places.
    #[error("there is no configuration file: looked for {looked_for}; name one with --config FILE")]
    NoFile {
        /// The usual places.
        looked_for: String,
    },
    /// Lines of it are wrong.
    #[error("{}", render(.0))]
    Faults(Vec<Diagnostic>),
}

fn render(faults: &[Diagnostic]) -> String {
    let mut lines: Vec<String> = faults.iter().map(Diagnostic::to_string).collect();
    let errors = faults
        .iter()
        .filter(|fault| fault.severity == Severity::Error)
        .count();
    lines.push(match errors {
        1 => "1 error, nothing was done".to_owned(),
        n => format!("{n} errors, nothing was done"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (line, shown) in [
            ("password = \"abc\" # x", "password = ***** # x"),
            (
                "tcp_ao = [{ id = 1, secret='ab' }, { secret = \"c\" }]",
                "tcp_ao = [{ id = 1, secret=**** }, { secret = *** }]",
            ),
            ("password = \"abc", "password = ****"),
            ("password = abc def", "password = *******"),
            ("\"password\" = 'a'", "\"password\" = ***"),
            ("password_file = \"/etc/x\"", "password_file = \"/etc/x\""),
            ("as = 1", "as = 1"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
