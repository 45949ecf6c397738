//! The connection with a monitoring station (RFC 7854 section 3).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::message::{Information, Message, TerminationReason};

/// How many octets are taken from the view at once: enough to fill a TCP window, little enough that
/// what waits in the view still coalesces.
const BUDGET: usize = 1 << 16;

/// How long a station may take nothing of what we send.
const SEND_TIME: Duration = Duration::from_secs(300);

/// How long TCP may take to connect.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// How long the last message may take.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Where messages come from.
pub trait MonitorFeed: Clone + Send + Sync + 'static {
    /// One station's view.
    type View: MonitorView;

    /// A view from the beginning: first what is there, then what changes.
    fn open(&self) -> impl Future<Output = Self::View> + Send;
}

/// What one station is to be told. It holds a bounded amount, however slow the station is.
pub trait MonitorView: Send + 'static {
    /// Waits for what comes next: messages of at most about `budget` octets. `None`: there will be
    /// no more. Cancel safe.
    fn next(&mut self, budget: usize) -> impl Future<Output = Option<Vec<Message>>> + Send;
}

/// Who opens the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StationMode {
    /// We do.
    Connect(SocketAddr),
    /// The station does, to this address of ours; one at a time.
    Listen(SocketAddr),
}

/// A station, and what we present ourselves as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationConfig {
    /// Who opens the connection.
    pub mode: StationMode,
    /// The name of this system (sysName).
    pub system_name: String,
    /// Its description (sysDescr).
    pub system_description: String,
    /// The first wait before another attempt; doubles with each.
    pub retry: Duration,
    /// The longest wait.
    pub retry_max: Duration,
}

impl StationConfig {
    /// The waits that RFC 7854 section 3.2 suggests: 30 seconds, at most 720.
    pub const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(720));
    /// How many times the first wait the longest one is there.
    pub const RETRY_MAX_FACTOR: u32 = 24;
}

/// What is shown of a station.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StationStatus {
    /// Its address, while it is connected.
    pub connected: Option<SocketAddr>,
    /// Since when it is, or is not.
    pub since: Option<SystemTime>,
    /// Messages sent, Initiation included, over all connections.
    pub messages: u64,
    /// Octets sent.
    pub octets: u64,
    /// Why the last connection ended, or the last attempt failed.
    pub last_error: Option<String>,
}

/// A task that serves a station; it ends when this is dropped.
#[derive(Debug)]
pub struct Station {
    stop: Option<mpsc::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    status: watch::Receiver<StationStatus>,
}

impl Station {
    /// Starts the task, within a tokio runtime.
    pub fn start<F: MonitorFeed>(config: StationConfig, feed: F) -> Self {
        let (stop, stopped) = mpsc::channel(1);
        let (status, shown) = watch::channel(StationStatus::default());
        let service = Service {
            config,
            feed,
            stopped,
            status,
        };
        Self {
            stop: Some(stop),
            task: tokio::spawn(service.run()),
            status: shown,
        }
    }

    /// What is shown of it.
    pub fn status(&self) -> StationStatus {
        self.status.borrow().clone()
    }

    /// Tells the station (Termination) and ends.
    pub async fn stop(mut self) {
        self.stop = None;
        // It has panicked: the log says so.
        let _ = self.task.await;
    }
}

/// How a connection ended.
enum End {
    Stopped,
    /// The feed has ended: so does the service.
    NoMore,
    Lost(io::Error),
}

struct Service<F> {
    config: StationConfig,
    feed: F,
    stopped: mpsc::Receiver<()>,
    status: watch::Sender<StationStatus>,
}

impl<F: MonitorFeed> Service<F> {
    async fn run(mut self) {
        let mut listener = None;
        let mut wait = self.config.retry;
        loop {
            let connected = tokio::select! {
                connected = connect(self.config.mode, &mut listener) => connected,
                _ = self.stopped.recv() => return,
            };
            let error = match connected {
                Ok((stream, addr)) => {
                    let start = std::time::Instant::now();
                    let error = match self.serve(stream, addr).await {
                        End::Stopped | End::NoMore => return,
                        End::Lost(error) => error,
                    };
                    // One that lasted is no failed attempt.
                    if start.elapsed() > wait {
                        wait = self.config.retry;
                    }
                    error
                }
                Err(error) => error,
            };
            self.lost(&error, wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stopped.recv() => return,
            }
            wait = (wait * 2).min(self.config.retry_max).max(self.config.retry);
        }
    }

    fn lost(&self, error: &io::Error, wait: Duration) {
        let text = error.to_string();
        self.status.send_modify(|status| {
            // Said once, not with each attempt.
            if status.last_error.as_ref() != Some(&text) || status.connected.is_some() {
                let mode = self.config.mode;
                warn!("BMP station {mode:?}: {text}; trying again in {wait:.0?}");
            }
            if status.connected.take().is_some() {
                status.since = Some(SystemTime::now());
            }
            status.last_error = Some(text);
        });
    }

    async fn serve(&mut self, mut stream: TcpStream, addr: SocketAddr) -> End {
        info!("BMP station {addr} is connected");
        self.status.send_modify(|status| {
            status.connected = Some(addr);
            status.since = Some(SystemTime::now());
        });
        let first = Message::Initiation(vec![
            Information::text(Information::SYS_DESCR, &self.config.system_description),
            Information::text(Information::SYS_NAME, &self.config.system_name),
        ]);
        let mut view = self.feed.open().await;
        let mut messages = vec![first];
        let mut ignored = [0; 512];
        loop {
            // Stopping does not wait for a station that is stuck; it misses the last message, since
            // the one before is not complete.
            tokio::select! {
                sent = send(&mut stream, &messages, &self.status) => if let Err(error) = sent {
                    return End::Lost(error);
                },
                _ = self.stopped.recv() => return End::Stopped,
            }
            let end = loop {
                tokio::select! {
                    next = view.next(BUDGET) => match next {
                        Some(next) => {
                            messages = next;
                            break None;
                        }
                        None => break Some(End::NoMore),
                    },
                    // Section 3.2: a station has nothing to say; what it says is ignored.
                    read = stream.read(&mut ignored) => match read {
                        Ok(0) => return End::Lost(io::Error::other("closed by the station")),
                        Ok(_) => {}
                        Err(error) => return End::Lost(error),
                    },
                    _ = self.stopped.recv() => break Some(End::Stopped),
                }
            };
            if let Some(end) = end {
                let last = Message::Termination {
                    reason: TerminationReason::AdministrativelyClosed,
                    text: String::new(),
                };
                let last = [last];
                let farewell = send(&mut stream, &last, &self.status);
                // A station that takes nothing is not waited for.
                let _ = timeout(FAREWELL_TIME, farewell).await;
                return end;
            }
        }
    }
}

async fn send(
    stream: &mut TcpStream,
    messages: &[Message],
    status: &watch::Sender<StationStatus>,
) -> io::Result<()> {
    let mut octets = Vec::new();
    for message in messages {
        message.encode(&mut octets);
    }
    let stuck = |_| io::Error::new(io::ErrorKind::TimedOut, "the station takes nothing");
    for part in octets.chunks(BUDGET) {
        timeout(SEND_TIME, stream.write_all(part))
            .await
            .map_err(stuck)??;
    }
    status.send_modify(|status| {
        status.messages += messages.len() as u64;
        status.octets += octets.len() as u64;
    });
    Ok(())
}

async fn connect(
    mode: StationMode,
    listener: &mut Option<TcpListener>,
) -> io::Result<(TcpStream, SocketAddr)> {
    match mode {
        StationMode::Connect(addr) => {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
            let stream = timeout(CONNECT_TIME, TcpStream::connect(addr)).await;
            Ok((stream.map_err(late)??, addr))
        }
        StationMode::Listen(addr) => {
            if listener.is_none() {
                *listener = Some(TcpListener::bind(addr).await?);
            }
            match listener {
                Some(listener) => listener.accept().await,
                None => Err(io::Error::other("not listening")),
            }
        }
    }
}
