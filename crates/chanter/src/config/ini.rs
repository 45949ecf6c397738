//! The INI dialect of oslo.config, read with places, so that a wrong line can be shown.
//!
//! `key = value` or `key: value` under `[section]`; a line that starts with white space continues
//! the value above; `#` and `;` start a comment only at the start of a line; one pair of quotes
//! around a value is dropped. Of an option given twice, the last one counts.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostics, SourceFile};
use super::field::{Field, Value};

/// An option as it stands in a file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The section as written.
    pub(crate) section: String,
    /// The option as written.
    pub(crate) option: String,
    /// Where the option's name stands.
    pub(crate) option_span: Range<usize>,
    /// The value.
    pub(crate) field: Field,
}

/// All options of `file`, in order.
pub(crate) fn read(file: &Arc<SourceFile>, found: &mut Diagnostics) -> Vec<Entry> {
    let mut reader = Reader {
        file,
        found,
        section: None,
        entries: Vec::new(),
        open: false,
    };
    let mut start = 0;
    for line in file.text.split_inclusive('\n') {
        let text = line.trim_end();
        reader.line(text, start);
        start += line.len();
    }
    let mut entries = reader.entries;
    entries.iter_mut().for_each(unquote);
    entries
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    found: &'a mut Diagnostics,
    section: Option<String>,
    entries: Vec<Entry>,
    /// Whether the next line may continue the last entry's value.
    open: bool,
}

impl Reader<'_> {
    fn line(&mut self, text: &str, start: usize) {
        let all = start..start + text.len();
        match text.chars().next() {
            None => self.open = false,
            Some(' ' | '\t') => self.continuation(text, all),
            Some('#' | ';') => self.open = false,
            Some('[') => self.header(text, &all),
            Some(_) => self.assignment(text, all),
        }
    }

    fn continuation(&mut self, text: &str, all: Range<usize>) {
        let last = if self.open {
            self.entries.last_mut()
        } else {
            None
        };
        let Some(Entry {
            field:
                Field {
                    value: Value::Text(value),
                    span,
                    ..
                },
            ..
        }) = last
        else {
            let message = "this indented line continues no value: expected OPTION = VALUE";
            self.found.error(self.file, &all, message.to_owned());
            return;
        };
        value.push('\n');
        value.push_str(text.trim_start());
        span.end = all.end;
    }

    fn header(&mut self, text: &str, all: &Range<usize>) {
        self.open = false;
        match text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(name) if !name.is_empty() => self.section = Some(name.to_owned()),
            _ => {
                let message = format!("`{text}` is not a section header: expected [NAME]");
                self.found.error(self.file, all, message);
            }
        }
    }

    fn assignment(&mut self, text: &str, all: Range<usize>) {
        self.open = false;
        let Some(at) = text
            .find(['=', ':'])
            .filter(|at| !text[..*at].trim().is_empty())
        else {
            let message = format!("`{text}` sets nothing: expected OPTION = VALUE");
            self.found.error(self.file, &all, message);
            return;
        };
        let Some(section) = self.section.clone() else {
            let message = "this option stands before the first section: expected a [NAME] above it";
            self.found.error(self.file, &all, message.to_owned());
            return;
        };
        let option = text[..at].trim().to_owned();
        let value = text[at + 1..].trim();
        let value_start = all.end - text[at + 1..].trim_start().len();
        self.entries.push(Entry {
            option_span: all.start..all.start + option.len(),
            field: Field {
                name: format!("[{section}] {option}"),
                file: Arc::clone(self.file),
                span: value_start..all.end,
                value: Value::Text(value.to_owned()),
            },
            section,
            option,
        });
        self.open = true;
    }
}

fn unquote(entry: &mut Entry) {
    if let Value::Text(text) = &mut entry.field.value {
        for quote in ['"', '\''] {
            let inner = text
                .strip_prefix(quote)
                .and_then(|rest| rest.strip_suffix(quote));
            if let Some(inner) = inner {
                *text = inner.to_owned();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> (Vec<(String, String)>, Option<String>) {
        let file = Arc::new(SourceFile {
            path: "t.conf".into(),
            text: text.to_owned(),
        });
        let mut found = Diagnostics::default();
        let entries = read(&file, &mut found)
            .into_iter()
            .map(|entry| {
                let Value::Text(text) = entry.field.value else {
                    panic!("not text")
                };
                (entry.field.name, text)
            })
            .collect();
        (
            entries,
            found.into_result().err().map(|error| error.to_string()),
        )
    }

    #[test]
    fn the_dialect_is_read() {
        let (entries, error) = entries(
            "# comment\n[BGP]\nmy_as=64512\npeers: 10.0.0.1,\n  10.0.0.2\n; x\nq = \"a=b\"\n\n[a b]\nempty =\n",
        );
        let expected = [
            ("[BGP] my_as", "64512"),
            ("[BGP] peers", "10.0.0.1,\n10.0.0.2"),
            ("[BGP] q", "a=b"),
            ("[a b] empty", ""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        assert_eq!(entries, expected);
        assert_eq!(error, None);
    }

    #[test]
    fn wrong_lines_are_all_shown() {
        let (entries, error) = entries("x = 1\n[BGP\n  more\n[BGP]\nnothing\n\n  stray\n= 3\n");
        assert_eq!(entries, []);
        assert_eq!(
            error.unwrap(),
            "\
t.conf:1: this option stands before the first section: expected a [NAME] above it
  1 | x = 1
    | ^^^^^
t.conf:2: `[BGP` is not a section header: expected [NAME]
  2 | [BGP
    | ^^^^
t.conf:3: this indented line continues no value: expected OPTION = VALUE
  3 |   more
    | ^^^^^^
t.conf:5: `nothing` sets nothing: expected OPTION = VALUE
  5 | nothing
    | ^^^^^^^
t.conf:7: this indented line continues no value: expected OPTION = VALUE
  7 |   stray
    | ^^^^^^^
t.conf:8: `= 3` sets nothing: expected OPTION = VALUE
  8 | = 3
    | ^^^
6 errors, nothing was done"
        );
    }
}
