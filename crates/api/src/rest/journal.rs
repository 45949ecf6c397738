//! The journal: the store on disk, so that `kill -9` of the daemon detaches nothing.
//!
//! JSON lines: a header, then for each committed edit the record as it is or the key of what is
//! gone. A change is one `write(2)` to a file opened for appending, so it is in the page cache, and
//! outlives the process, before the client gets its answer. It is not synced to the disk: what that
//! would survive, a crash of the machine, takes the ports away too, and clients attach again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chanter_intent::ObjectKey;
use serde::{Deserialize, Serialize};

use super::{Change, Record, RestStore};

/// The journal's name in the state directory.
const FILE_NAME: &str = "rest.journal";

/// The format written, and the newest one read.
const VERSION: u32 = 1;

/// The journal is rewritten when it has this many lines more than twice what the store holds: then
/// rewriting costs less than one line in two, and a small journal is left alone.
const SLACK_LINES: usize = 256;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Version(u32),
    Set(Record),
    Removed(ObjectKey),
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file operation failed.
    #[error("cannot {verb} the journal of REST attachments {path}")]
    Io {
        /// "read", "write".
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is of a newer release.
    #[error("the journal {path} has format {found}, this release reads formats up to {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// What reading the journal was like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadReport {
    /// Lines that could not be read, with number and reason; each spoiled only itself.
    pub spoiled: Vec<String>,
    /// Whether the last line was cut short, as by a crash in the middle of a write; the client had
    /// no answer to that request.
    pub torn: bool,
}

/// The journal of one [`RestStore`].
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// Lines in the file.
    lines: usize,
}

impl Journal {
    /// Reads the journal in `directory`, which is made if it is not there. Where a line was
    /// unreadable, the file is kept beside the new one for whoever wants to look.
    ///
    /// # Errors
    /// [`JournalError`]; lines that cannot be read are none.
    pub fn open(directory: &Path) -> Result<(Journal, RestStore, LoadReport), JournalError> {
        let path = directory.join(FILE_NAME);
        let read = fs::create_dir_all(directory).and_then(|()| match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        });
        let content = read.map_err(|source| io_error("read", &path, source))?;
        let mut journal = Journal {
            path,
            file: None,
            lines: 0,
        };
        let (store, report) = journal.replay(&content)?;
        if !report.spoiled.is_empty() {
            let aside = journal.path.with_extension("damaged");
            fs::copy(&journal.path, &aside).map_err(|e| io_error("write", &aside, e))?;
        }
        journal.compact(&store)?;
        Ok((journal, store, report))
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a change that `store` has committed; rewrites the journal where that is due. After a
    /// failure the next call rewrites the whole, so nothing stays lost once writing works again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&mut self, change: &Change, store: &RestStore) -> Result<(), JournalError> {
        if self.file.is_none() || self.lines > 2 * store.len() + SLACK_LINES {
            return self.compact(store);
        }
        let mut text = Vec::new();
        let edits = change.edits.iter().filter(|edit| !edit.is_repetition());
        let mut count = 0;
        for edit in edits {
            let line = match &edit.after {
                Some(record) => Line::Set(record.clone()),
                None => Line::Removed(edit.key.clone()),
            };
            write_line(&mut text, &line).map_err(|e| io_error("write", &self.path, e))?;
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let written = self
            .file
            .as_mut()
            .map_or(Ok(()), |file| file.write_all(&text));
        if let Err(error) = written {
            self.file = None;
            return Err(io_error("write", &self.path, error));
        }
        self.lines += count;
        Ok(())
    }

    /// Rewrites the journal to what `store` holds: a new file takes the old one's place.
    pub(crate) fn compact(&mut self, store: &RestStore) -> Result<(), JournalError> {
        self.file = None;
        let new = self.path.with_extension("new");
        let mut text = Vec::new();
        let mut write = || -> io::Result<usize> {
            let mut lines = 1;
            write_line(&mut text, &Line::Version(VERSION))?;
            for record in store.records() {
                write_line(&mut text, &Line::Set(record))?;
                lines += 1;
            }
            fs::write(&new, &text)?;
            fs::rename(&new, &self.path)?;
            Ok(lines)
        };
        let lines = write().map_err(|e| io_error("write", &self.path, e))?;
        let file = OpenOptions::new().append(true).open(&self.path);
        self.file = Some(file.map_err(|e| io_error("write", &self.path, e))?);
        self.lines = lines;
        Ok(())
    }

    fn replay(&self, content: &[u8]) -> Result<(RestStore, LoadReport), JournalError> {
        let mut store = RestStore::default();
        let mut report = LoadReport::default();
        for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let whole = line.last() == Some(&b'\n');
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(Line::Version(found)) if found > VERSION => {
                    return Err(JournalError::Version {
                        path: self.path.clone(),
                        found,
                    });
                }
                Ok(Line::Version(_)) => {}
                Ok(Line::Set(record)) => store.put(record),
                Ok(Line::Removed(key)) => store.remove(&key),
                Err(_) if !whole => report.torn = true,
                Err(error) => report.spoiled.push(format!("line {}: {error}", index + 1)),
            }
        }
        Ok((store, report))
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.push(b'\n');
    Ok(())
}

fn io_error(verb: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io {
        verb,
        path: path.to_owned(),
        source,
    }
}
