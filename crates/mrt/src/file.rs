//! Files that get their names when they are complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A name with conversions of `strftime`, in UTC: `updates.%Y%m%d.%H%M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    pattern: String,
    gzip: bool,
}

/// What is wrong with a name or a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The pattern is none.
    #[error("file name {pattern:?}: {reason}; strftime conversions such as %Y%m%d.%H%M are taken")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why not.
        reason: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pattern)
    }
}

impl FileName {
    /// `gzip`: compressed, with `.gz` at the end of the name unless it is there.
    ///
    /// # Errors
    /// If the pattern has an unknown conversion.
    pub fn new(pattern: &str, gzip: bool) -> Result<Self, FileError> {
        let name = Self {
            pattern: pattern.to_owned(),
            gzip,
        };
        name.at(SystemTime::UNIX_EPOCH).map(|_| name)
    }

    /// The name at that time.
    pub(crate) fn at(&self, at: SystemTime) -> Result<PathBuf, FileError> {
        let error = |reason: String| FileError::Pattern {
            pattern: self.pattern.clone(),
            reason,
        };
        let at = Timestamp::try_from(at).map_err(|failure| error(failure.to_string()))?;
        let zoned = at.to_zoned(TimeZone::UTC);
        let text = jiff::fmt::strtime::format(&self.pattern, &zoned)
            .map_err(|failure| error(failure.to_string()))?;
        if text.is_empty() || text.ends_with('/') {
            return Err(error("it names no file".to_owned()));
        }
        let suffix = if self.gzip && !text.ends_with(".gz") {
            ".gz"
        } else {
            ""
        };
        Ok(PathBuf::from(format!("{text}{suffix}")))
    }
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

/// A file on its way: under a name of its own until [`Writing::finish`].
pub(crate) struct Writing {
    sink: Sink,
    temporary: PathBuf,
    path: PathBuf,
    len: u64,
}

impl Writing {
    /// Begins the file that is `name` at `at`; directories are made.
    pub(crate) fn create(name: &FileName, at: SystemTime) -> Result<Self, FileError> {
        let path = name.at(at)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".part");
        let temporary = PathBuf::from(temporary);
        let open = || {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            File::create(&temporary)
        };
        let file = BufWriter::new(open().map_err(|source| io_error(&temporary, source))?);
        Ok(Self {
            sink: match name.gzip {
                true => Sink::Gzip(GzEncoder::new(file, Compression::fast())),
                false => Sink::Plain(file),
            },
            temporary,
            path,
            len: 0,
        })
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> Result<(), FileError> {
        let written = match &mut self.sink {
            Sink::Plain(file) => file.write_all(octets),
            Sink::Gzip(encoder) => encoder.write_all(octets),
        };
        self.len += octets.len() as u64;
        written.map_err(|source| io_error(&self.temporary, source))
    }

    /// Octets written, before compression.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Gives the file its name, once it is on the disk. A file of that name is not replaced: this
    /// one gets a number.
    pub(crate) fn finish(self) -> Result<PathBuf, FileError> {
        let Self {
            sink,
            temporary,
            path,
            ..
        } = self;
        let finish = || {
            let file = match sink {
                Sink::Plain(file) => file,
                Sink::Gzip(encoder) => encoder.finish()?,
            };
            file.into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()
        };
        finish().map_err(|source| io_error(&temporary, source))?;
        let free = free_name(&path);
        fs::rename(&temporary, &free).map_err(|source| io_error(&free, source))?;
        Ok(free)
    }

    /// Gives the file up.
    pub(crate) fn discard(self) {
        // What cannot be removed is overwritten by the next of that name.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// The path, or with a number where there is a file already: the process was restarted within the
/// interval.
fn free_name(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    std::iter::once(path.to_owned())
        .chain((1..10_000).map(numbered))
        .find(|path| !path.exists())
        .unwrap_or_else(|| path.to_owned())
}

fn io_error(path: &Path, source: io::Error) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        source,
    }
}
