//! What can go wrong between the command line and the daemon.

use std::io;
use std::path::{Path, PathBuf};

use crate::dto::Problem;

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon at {} (is `chanter agent` running?)", .0.display())]
    NoDaemon(PathBuf),
    /// The socket is not for this user.
    #[error(
        "no permission to use {}: it is for its owner and group (run as root, or as a member of \
         the socket's group)", .0.display()
    )]
    Permission(PathBuf),
    /// The socket cannot be used for another reason.
    #[error("cannot connect to {}", .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon said no.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The connection broke before the answer was whole; the daemon may have stopped.
    #[error("the daemon at {} hung up in the middle of its answer", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: hyper::Error,
    },
    /// The answer is not what this release understands.
    #[error("the daemon at {} answered {status} with something unexpected: {detail}", .path.display())]
    Unexpected {
        /// The socket.
        path: PathBuf,
        /// The HTTP status.
        status: u16,
        /// What is wrong with the answer.
        detail: String,
    },
    /// The request cannot be written as JSON.
    #[error("the request cannot be written")]
    Encode(#[source] serde_json::Error),
}

impl ClientError {
    /// Why a connection cannot be had.
    pub(super) fn connect(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoDaemon(path)
            }
            io::ErrorKind::PermissionDenied => ClientError::Permission(path),
            _ => ClientError::Connect { path, source },
        }
    }

    /// What the daemon said, if it said no.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            ClientError::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}
