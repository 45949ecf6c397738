//! The log of what sessions say: one file for each interval.

use std::time::{Duration, SystemTime};

use chanter_speaker::{TapDirection, TapEvent, TapWhat};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::bgp4mp::{Session, What, encode, state_number};
use crate::dump::blocking;
use crate::file::{FileError, FileName, Writing};

/// Events that are taken at once: what is encoded and not written is at most this and the octets of
/// these messages.
const BATCH_LEN: usize = 512;

/// Where the log goes.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The file of an interval; the time is that of its beginning, so that the conversions should
    /// tell intervals apart.
    pub name: FileName,
    /// How long a file goes on. Intervals begin at multiples of it since 1970.
    pub interval: Duration,
}

/// A task that writes what a tap copies. It ends, and the last file gets its name, when the tap is
/// gone or this is stopped.
#[derive(Debug)]
pub struct UpdateLog {
    task: tokio::task::JoinHandle<()>,
    stop: mpsc::Sender<()>,
}

impl UpdateLog {
    /// Starts the task, within a tokio runtime.
    pub fn start(config: LogConfig, events: mpsc::Receiver<TapEvent>) -> Self {
        let (stop, stopped) = mpsc::channel(1);
        let log = Log {
            config,
            file: None,
            failing: false,
        };
        Self {
            task: tokio::spawn(log.run(events, stopped)),
            stop,
        }
    }

    /// Writes what has come so far and ends.
    pub async fn stop(self) {
        drop(self.stop);
        // It has panicked: the log says so.
        let _ = self.task.await;
    }
}

struct Log {
    config: LogConfig,
    /// The file, and when the next interval begins.
    file: Option<(Writing, SystemTime)>,
    /// The log has been told.
    failing: bool,
}

impl Log {
    async fn run(mut self, mut events: mpsc::Receiver<TapEvent>, mut stop: mpsc::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH_LEN);
        loop {
            let end = self.file.as_ref().map(|(_, end)| *end);
            let rotation = async {
                match end {
                    Some(end) => tokio::time::sleep(until(end)).await,
                    None => std::future::pending().await,
                }
            };
            let count = tokio::select! {
                biased;
                count = events.recv_many(&mut batch, BATCH_LEN) => Some(count),
                _ = stop.recv() => Some(0),
                () = rotation => None,
            };
            match count {
                Some(0) => break,
                Some(_) => self.write(&mut batch).await,
                None => self.rotate().await,
            }
        }
        self.rotate().await;
    }

    async fn write(&mut self, batch: &mut Vec<TapEvent>) {
        let now = SystemTime::now();
        if self.file.as_ref().is_some_and(|(_, end)| *end <= now) {
            self.rotate().await;
        }
        let mut octets = Vec::new();
        for event in batch.drain(..) {
            record(&event, &mut octets);
        }
        if octets.is_empty() {
            return;
        }
        let (file, (name, interval)) = (
            self.file.take(),
            (self.config.name.clone(), self.config.interval),
        );
        let written = blocking(move || {
            let (mut file, end) = match file {
                Some(file) => file,
                None => {
                    let (start, end) = interval_of(now, interval);
                    (Writing::create(&name, start)?, end)
                }
            };
            file.write(&octets)?;
            Ok((file, end))
        });
        match written.await {
            Ok(file) => {
                self.file = Some(file);
                self.failing = false;
            }
            Err(error) => self.failed(&error),
        }
    }

    async fn rotate(&mut self) {
        let Some((file, _)) = self.file.take() else {
            return;
        };
        match blocking(move || file.finish()).await {
            Ok(path) => info!("updates are in {}", path.display()),
            Err(error) => self.failed(&error),
        }
    }

    /// Says it once: as long as the disk is full, more words do not help.
    fn failed(&mut self, error: &FileError) {
        if !self.failing {
            warn!("updates are not logged for now: {error}; the next ones are tried again");
        }
        self.failing = true;
    }
}

fn until(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Beginning and end of the interval that holds `now`.
fn interval_of(now: SystemTime, interval: Duration) -> (SystemTime, SystemTime) {
    let length = interval.as_secs().max(1);
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(since - since % length);
    (start, start + Duration::from_secs(length))
}

/// The record of an event; nothing for what MRT does not have.
fn record(event: &TapEvent, out: &mut Vec<u8>) {
    let peer = &event.peer;
    let remote = peer.remote.ip();
    let local = match peer.local.ip() {
        // Before a connection there is none; of the version of the peer's.
        local if local.is_ipv4() != remote.is_ipv4() => match remote.is_ipv4() {
            true => std::net::Ipv4Addr::UNSPECIFIED.into(),
            false => std::net::Ipv6Addr::UNSPECIFIED.into(),
        },
        local => local,
    };
    let session = Session {
        peer_as: peer.peer_as.0,
        local_as: peer.local_as.0,
        interface: 0,
        peer_addr: remote,
        local_addr: local,
    };
    let what = match &event.what {
        TapWhat::Message { direction, octets } => {
            let is_local = *direction == TapDirection::Sent;
            What::Message {
                is_local,
                add_path: match is_local {
                    true => peer.add_path_send,
                    false => peer.add_path_receive,
                },
                four_octet_as: peer.four_octet_as,
                octets,
            }
        }
        TapWhat::State { old, new } => What::StateChange {
            old: state_number(*old),
            new: state_number(*new),
        },
        TapWhat::Up { .. } | TapWhat::Down { .. } | TapWhat::Removed => return,
    };
    encode(event.at, &session, &what, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_begin_at_multiples() {
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let quarter = Duration::from_secs(900);
        assert_eq!(interval_of(at(899), quarter), (at(0), at(900)));
        assert_eq!(interval_of(at(900), quarter), (at(900), at(1800)));
        assert_eq!(interval_of(at(5), Duration::ZERO), (at(5), at(6)));
    }
}
