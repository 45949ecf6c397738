//! Listeners: TCP and unix socket.

use std::fs;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener, ListenerExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::oneshot;

/// Who may speak to the unix socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;

/// How long requests may go on after the end was called for. Streams of events would go on for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// A listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// On TCP.
    #[error("cannot listen on {addr}")]
    Tcp {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// On a unix socket.
    #[error("cannot listen on {}", .path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process answers there.
    #[error("cannot listen on {}: another daemon does", .0.display())]
    Taken(PathBuf),
}

/// Listens on TCP.
///
/// # Errors
/// [`ServeError::Tcp`].
pub async fn bind_tcp(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| ServeError::Tcp { addr, source })
}

/// Listens on a unix socket, for its owner and group. Its directory is made; a socket that nobody
/// listens on any more, as a killed daemon leaves it, is replaced.
///
/// # Errors
/// [`ServeError::Taken`] if another process listens there, [`ServeError::Unix`].
pub async fn bind_unix(path: &Path) -> Result<UnixListener, ServeError> {
    let error = |source| ServeError::Unix {
        path: path.to_owned(),
        source,
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(error)?;
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            if UnixStream::connect(path).await.is_ok() {
                return Err(ServeError::Taken(path.to_owned()));
            }
            fs::remove_file(path).map_err(error)?;
        }
        // Any other file is not ours to replace: binding says that it is there.
        Ok(_) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(error)?;
    Ok(listener)
}

/// Serves on TCP until `stop` completes, then lets requests finish for a moment.
///
/// # Errors
/// If the listener fails.
pub async fn serve_tcp<F>(listener: TcpListener, router: Router, stop: F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = listener.tap_io(|stream| {
        // An answer is one small write: waiting for more would only delay it. Where it cannot be
        // set, it is delayed.
        let _ = stream.set_nodelay(true);
    });
    serve(listener, router, stop).await
}

/// Serves on a unix socket until `stop` completes, then lets requests finish for a moment.
///
/// # Errors
/// If the listener fails.
pub async fn serve_unix<F>(listener: UnixListener, router: Router, stop: F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    serve(listener, router, stop).await
}

async fn serve<L, F>(listener: L, router: Router, stop: F) -> io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
    F: Future<Output = ()> + Send + 'static,
{
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        // Nobody listens only when serving is over.
        let _ = stopping.send(());
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop);
    let drained = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(DRAIN).await;
        }
    };
    tokio::select! {
        result = serving.into_future() => result,
        () = drained => Ok(()),
    }
}
