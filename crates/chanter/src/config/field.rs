//! A value in a configuration file that knows where it stands, so that whoever checks it can point
//! at it. Both file formats are read into these; what they mean is checked in one place.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::sync::Arc;

use super::diagnostic::{Diagnostics, SourceFile};

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its name as the operator wrote it: `[BGP] my_as`, `bgp.as`.
    pub(crate) name: String,
    pub(crate) file: Arc<SourceFile>,
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// What stands there.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A TOML string, or anything in an INI file.
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Field>),
    Table(Vec<Entry>),
    /// A type that no option takes: its TOML name.
    Other(&'static str),
}

/// A key of a table with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) span: Range<usize>,
    pub(crate) value: Field,
}

impl Field {
    pub(crate) fn error(&self, found: &mut Diagnostics, message: impl std::fmt::Display) {
        found.error(&self.file, &self.span, format!("{}: {message}", self.name));
    }

    pub(crate) fn warning(&self, found: &mut Diagnostics, message: impl std::fmt::Display) {
        found.warning(&self.file, &self.span, format!("{}: {message}", self.name));
    }

    /// The value as the operator wrote it, for messages and for types that parse text.
    fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(_) | Value::List(_) | Value::Table(_) | Value::Other(_) => None,
        }
    }

    /// The text of a string that has `mark` in it.
    pub(crate) fn text_with(&self, mark: char) -> Option<&str> {
        match &self.value {
            Value::Text(text) if text.contains(mark) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn wrong_type(&self, found: &mut Diagnostics, expected: &str) {
        let what = match &self.value {
            Value::Text(text) => format!("`{text}`"),
            Value::Integer(number) => format!("`{number}`"),
            Value::Boolean(value) => format!("`{value}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Other(name) => format!("a {name}"),
        };
        self.error(
            found,
            format_args!("{what} is not accepted here: expected {expected}"),
        );
    }

    /// The text of a string.
    pub(crate) fn string(&self, found: &mut Diagnostics, expected: &str) -> Option<String> {
        match &self.value {
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => {
                self.wrong_type(found, expected);
                None
            }
        }
    }

    /// A value of a type whose own error says what is accepted.
    pub(crate) fn parse<T: FromStr>(&self, found: &mut Diagnostics, expected: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.text() else {
            self.wrong_type(found, expected);
            return None;
        };
        text.parse().map_err(|error| self.error(found, error)).ok()
    }

    /// A whole number within `range`.
    pub(crate) fn integer(
        &self,
        found: &mut Diagnostics,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let number = match &self.value {
            Value::Integer(number) => u32::try_from(*number).ok(),
            // TOML tells numbers from strings; an INI file has only text.
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong_type(found, &expected);
        }
        number
    }

    /// A TCP or UDP port.
    pub(crate) fn port(&self, found: &mut Diagnostics) -> Option<u16> {
        let number = self.integer(found, 1..=u32::from(u16::MAX))?;
        u16::try_from(number).ok()
    }

    /// Yes or no, in the words that oslo.config takes.
    pub(crate) fn boolean(&self, found: &mut Diagnostics) -> Option<bool> {
        match &self.value {
            Value::Boolean(value) => return Some(*value),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => return Some(true),
                "false" | "0" | "off" | "no" => return Some(false),
                _ => {}
            },
            _ => {}
        }
        self.wrong_type(found, "true or false");
        None
    }

    /// One of several words, of which each stands for a value.
    pub(crate) fn choice<T: Copy>(
        &self,
        found: &mut Diagnostics,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text();
        let chosen = choices
            .iter()
            .find(|(word, _)| text.as_deref() == Some(word));
        if chosen.is_none() {
            let words: Vec<String> = choices
                .iter()
                .map(|(word, _)| format!("`{word}`"))
                .collect();
            self.wrong_type(found, &words.join(", "));
        }
        chosen.map(|(_, value)| *value)
    }

    /// The items of a list.
    pub(crate) fn list(&self, found: &mut Diagnostics, expected: &str) -> Vec<Field> {
        match &self.value {
            Value::List(items) => items.clone(),
            _ => {
                self.wrong_type(found, expected);
                Vec::new()
            }
        }
    }

    /// The items of a list, or the one value that stands in its place.
    pub(crate) fn one_or_more(&self) -> &[Field] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The values of a list, or of the one that stands in its place.
    pub(crate) fn parse_all<T: FromStr>(&self, found: &mut Diagnostics, expected: &str) -> Vec<T>
    where
        T::Err: std::fmt::Display,
    {
        self.one_or_more()
            .iter()
            .filter_map(|item| item.parse(found, expected))
            .collect()
    }

    /// The table, of which keys are taken one by one.
    pub(crate) fn section(&self, found: &mut Diagnostics) -> Option<Section<'_>> {
        match &self.value {
            Value::Table(entries) => Some(Section {
                whole: self,
                entries,
                known: Vec::new(),
            }),
            _ => {
                self.wrong_type(found, "a table");
                None
            }
        }
    }

    /// A table of these values, where a file format has none itself.
    pub(crate) fn table(whole: &Field, entries: Vec<(&str, Field)>) -> Field {
        let entries = entries.into_iter().map(|(key, value)| Entry {
            key: key.to_owned(),
            span: value.span.clone(),
            value,
        });
        Field {
            value: Value::Table(entries.collect()),
            ..whole.clone()
        }
    }

    /// The items of a comma-separated text (a list in an INI file), each with its own place.
    pub(crate) fn split_on_commas(&self) -> Vec<Field> {
        let Value::Text(text) = &self.value else {
            return Vec::new();
        };
        // The value may have been unquoted or joined from several lines, so look for each item.
        let mut from = self.span.start;
        let mut items = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let rest = self.file.text.get(from..self.span.end).unwrap_or_default();
            let start = rest.find(item).map_or(self.span.start, |at| from + at);
            let span = start..start + item.len();
            from = span.end;
            items.push(Field {
                name: self.name.clone(),
                file: Arc::clone(&self.file),
                span,
                value: Value::Text(item.to_owned()),
            });
        }
        items
    }
}

/// A table of which keys are taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    /// All of it, for what it lacks.
    pub(crate) whole: &'a Field,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Field> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// Takes what must be there.
    pub(crate) fn require(
        &mut self,
        key: &'static str,
        found: &mut Diagnostics,
        expected: &str,
    ) -> Option<&'a Field> {
        let field = self.take(key);
        if field.is_none() {
            let message = format_args!("`{key}` is missing: expected {expected}");
            self.whole.error(found, message);
        }
        field
    }

    /// All entries, where the keys are names of the operator's.
    pub(crate) fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// Objects to keys that nobody took.
    pub(crate) fn finish(self, found: &mut Diagnostics) {
        for entry in self.entries {
            if !self.known.contains(&entry.key.as_str()) {
                let message = format!(
                    "{}.{}: unknown key: expected one of {}",
                    self.whole.name,
                    entry.key,
                    self.known.join(", ")
                );
                found.error(&self.whole.file, &entry.span, message);
            }
        }
    }
}
