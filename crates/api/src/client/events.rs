//! The stream of events.

use std::path::PathBuf;

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;

use super::ClientError;
use crate::dto::EventRecord;

/// Events as they happen.
#[derive(Debug)]
pub struct EventStream {
    socket: PathBuf,
    body: Incoming,
    /// What was read of the next lines.
    buffer: BytesMut,
}

impl EventStream {
    pub(super) fn new(socket: PathBuf, response: Response<Incoming>) -> Self {
        Self {
            socket,
            body: response.into_body(),
            buffer: BytesMut::new(),
        }
    }

    /// The next event; `None` when the daemon has stopped. Cancel-safe.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<EventRecord>, ClientError> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                if !line.is_empty() {
                    return self.parse(&line).map(Some);
                }
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(source)) => {
                    return Err(ClientError::Broken {
                        path: self.socket.clone(),
                        source,
                    });
                }
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<EventRecord, ClientError> {
        serde_json::from_slice(line).map_err(|error| ClientError::Unexpected {
            path: self.socket.clone(),
            status: 200,
            detail: error.to_string(),
        })
    }
}
