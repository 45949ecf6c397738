//! The two sockets: one for requests, one that only listens.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::time::timeout;

use super::acknowledgement::{Refusal, decode_done, decode_error};
use super::decode::{Frames, decode_notice};
use super::encode::{DumpKind, Request, probes};
use super::{NetlinkError, numbers};
use crate::linux::observe::Notice;

/// How many requests are outstanding. Their acknowledgements wait in the socket's receive buffer
/// (208 KiB by default, about 1 KiB of it for each), which must not overflow.
const BATCH_LEN_MAX: usize = 64;

/// What one read takes: the kernel never makes a dump message larger than 32 KiB.
const READ_LEN: usize = 64 * 1024;

/// Room for notifications while we are busy. Where it does not suffice the kernel says so
/// (`ENOBUFS`), and everything is observed anew.
const NOTIFICATION_BUFFER_LEN: usize = 8 * 1024 * 1024;

/// The kernel answers within the system call; waiting at all means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a dump is repeated that changes went through.
const DUMP_TRIES: u32 = 5;

/// The socket for requests.
pub(in crate::linux) struct Requests {
    socket: TokioSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(in crate::linux) fn open() -> Result<Requests, NetlinkError> {
        let open = || -> io::Result<TokioSocket> {
            let mut tokio = TokioSocket::new(NETLINK_ROUTE)?;
            let socket = tokio.socket_mut();
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            socket.set_netlink_get_strict_chk(true)?;
            Ok(tokio)
        };
        let socket = open().map_err(NetlinkError::Open)?;
        Ok(Requests {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(READ_LEN),
        })
    }

    /// Sends requests in batches. The answers are in the order of the requests; an answer that was
    /// lost counts as `ENOBUFS`.
    pub(in crate::linux) async fn execute(
        &mut self,
        requests: Vec<Request>,
    ) -> Result<Vec<Result<(), Refusal>>, NetlinkError> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter();
        loop {
            let batch: Vec<Request> = requests.by_ref().take(BATCH_LEN_MAX).collect();
            if batch.is_empty() {
                return Ok(answers);
            }
            self.execute_batch(batch, &mut answers).await?;
        }
    }

    async fn execute_batch(
        &mut self,
        batch: Vec<Request>,
        answers: &mut Vec<Result<(), Refusal>>,
    ) -> Result<(), NetlinkError> {
        let mut octets = Vec::with_capacity(batch.len() * 128);
        let mut missing = BTreeMap::new();
        for request in batch {
            self.sequence = self.sequence.wrapping_add(1);
            missing.insert(self.sequence, missing.len());
            request.encode(self.sequence, &mut octets);
        }
        let base = answers.len();
        let lost = Err(Refusal {
            errno: Errno::ENOBUFS,
            text: Some("answer lost".to_owned()),
        });
        answers.resize(base + missing.len(), lost);
        self.send(&octets).await?;
        while !missing.is_empty() {
            match self.receive().await {
                Ok(()) => {}
                // Answers were lost; what is so now is seen by the notifications.
                Err(NetlinkError::Receive(error)) if is_overrun(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
            for frame in Frames::new(&self.buffer) {
                // Anything else is an answer to an earlier request that was given up.
                if frame.kind == NLMSG_ERROR
                    && let Some(position) = missing.remove(&frame.sequence)
                {
                    answers[base + position] = decode_error(frame.payload, frame.flags);
                }
            }
        }
        Ok(())
    }

    /// Everything that the kernel holds of what we observe.
    pub(in crate::linux) async fn dump_all(&mut self) -> Result<Vec<Notice>, NetlinkError> {
        let mut notices = Vec::new();
        for kind in DumpKind::ALL {
            notices.append(&mut self.dump(kind).await?);
        }
        Ok(notices)
    }

    async fn dump(&mut self, kind: DumpKind) -> Result<Vec<Notice>, NetlinkError> {
        for _ in 1..DUMP_TRIES {
            let (notices, interrupted) = self.dump_once(kind).await?;
            if !interrupted {
                return Ok(notices);
            }
        }
        // Never a quiet moment. What was missed has been notified, since we listen already.
        Ok(self.dump_once(kind).await?.0)
    }

    async fn dump_once(&mut self, kind: DumpKind) -> Result<(Vec<Notice>, bool), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut octets = Vec::new();
        kind.request().encode(sequence, &mut octets);
        self.send(&octets).await?;
        let mut notices = Vec::new();
        let mut interrupted = false;
        loop {
            self.receive().await?;
            for frame in Frames::new(&self.buffer).filter(|frame| frame.sequence == sequence) {
                interrupted |= frame.flags & NLM_F_DUMP_INTR != 0;
                let end = match frame.kind {
                    NLMSG_DONE => decode_done(frame.payload),
                    NLMSG_ERROR => decode_error(frame.payload, frame.flags),
                    kind => {
                        notices.extend(decode_notice(kind, frame.payload));
                        continue;
                    }
                };
                return match end {
                    Ok(()) => Ok((notices, interrupted)),
                    Err(refusal) if refusal.errno == Errno::EINTR => Ok((notices, true)),
                    Err(refusal) => Err(NetlinkError::Dump(kind.name(), refusal)),
                };
            }
        }
    }

    /// Asks for changes that can only fail, and sees from the way they fail whether real ones
    /// would be possible. Returns what is missing.
    pub(in crate::linux) async fn missing_support(
        &mut self,
    ) -> Result<Option<&'static str>, NetlinkError> {
        for probe in probes() {
            let answers = self.execute(vec![probe.request]).await?;
            let refusal = answers.into_iter().find_map(Result::err);
            if refusal.is_some_and(|refusal| refusal.errno == probe.fatal) {
                return Ok(Some(probe.missing));
            }
        }
        Ok(None)
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), NetlinkError> {
        self.socket
            .send(octets)
            .await
            .map(drop)
            .map_err(NetlinkError::Send)
    }

    async fn receive(&mut self) -> Result<(), NetlinkError> {
        self.buffer.clear();
        match timeout(PATIENCE, self.socket.recv(&mut self.buffer)).await {
            Ok(received) => received.map_err(NetlinkError::Receive),
            Err(_elapsed) => Err(NetlinkError::NoAnswer(PATIENCE.as_secs())),
        }
    }
}

/// What came in on the notification socket.
#[derive(Debug)]
pub(in crate::linux) enum Received {
    /// Notices, in order.
    Notices(Vec<Notice>),
    /// Some were lost: observe anew.
    Overrun,
    /// There are none.
    Nothing,
}

/// The socket that listens.
pub(in crate::linux) struct Notifications {
    socket: TokioSocket,
    buffer: Vec<u8>,
}

impl Notifications {
    pub(in crate::linux) fn open() -> Result<Notifications, NetlinkError> {
        let open = || -> io::Result<TokioSocket> {
            let mut tokio = TokioSocket::new(NETLINK_ROUTE)?;
            let socket = tokio.socket_mut();
            socket.bind_auto()?;
            if setsockopt(&*socket, sockopt::RcvBufForce, &NOTIFICATION_BUFFER_LEN).is_err() {
                // Not privileged to go beyond the limit: as far as it allows.
                socket.set_rx_buf_sz(i32::try_from(NOTIFICATION_BUFFER_LEN).unwrap_or(i32::MAX))?;
            }
            socket.add_membership(numbers::RTNLGRP_LINK)?;
            socket.add_membership(numbers::RTNLGRP_NEIGH)?;
            Ok(tokio)
        };
        let socket = open().map_err(NetlinkError::Open)?;
        Ok(Notifications {
            socket,
            buffer: Vec::with_capacity(READ_LEN),
        })
    }

    /// The least room that the kernel gives: a message or two.
    #[cfg(test)]
    pub(in crate::linux) fn squeeze(&mut self) {
        let socket = self.socket.socket_mut();
        socket.set_rx_buf_sz(1).expect("the kernel rounds up");
    }

    /// Waits for news. Cancel-safe: what was read is returned at once.
    pub(in crate::linux) async fn next(&mut self) -> Result<Received, NetlinkError> {
        self.buffer.clear();
        let received = self.socket.recv(&mut self.buffer).await;
        self.received(received)
    }

    /// Takes what is there, without waiting and without asking the reactor, which may not know yet
    /// of what our own requests have just caused.
    pub(in crate::linux) fn take(&mut self) -> Result<Received, NetlinkError> {
        self.buffer.clear();
        let received = self.socket.socket_ref().recv(&mut self.buffer, 0);
        self.received(received.map(drop))
    }

    fn received(&self, received: io::Result<()>) -> Result<Received, NetlinkError> {
        match received {
            Ok(()) => {
                let frames = Frames::new(&self.buffer);
                let notices = frames.filter_map(|frame| decode_notice(frame.kind, frame.payload));
                Ok(Received::Notices(notices.collect()))
            }
            Err(error) if is_overrun(&error) => Ok(Received::Overrun),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Nothing),
            Err(error) => Err(NetlinkError::Receive(error)),
        }
    }
}

fn is_overrun(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}
