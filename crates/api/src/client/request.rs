//! One request over a connection of its own.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::ClientError;
use crate::dto::Problem;

/// A request, before it is sent.
pub(super) struct Request<'a> {
    socket: &'a Path,
    method: Method,
    path: String,
    body: Bytes,
    /// A status beside 2xx that counts as success.
    also: Option<u16>,
}

impl<'a> Request<'a> {
    pub(super) fn new(socket: &'a Path, method: Method, path: String) -> Self {
        Self {
            socket,
            method,
            path,
            body: Bytes::new(),
            also: None,
        }
    }

    pub(super) fn also(self, status: u16) -> Self {
        Self {
            also: Some(status),
            ..self
        }
    }

    pub(super) fn body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(ClientError::Encode)?
            .into();
        Ok(Self { body, ..self })
    }

    /// The answer as a value.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let socket = self.socket;
        let response = self.stream().await?;
        let status = response.status().as_u16();
        let octets = collect(socket, response).await?;
        serde_json::from_slice(&octets).map_err(|error| unexpected(socket, status, &error))
    }

    /// The answer, of which only success counts.
    pub(super) async fn nothing(self) -> Result<(), ClientError> {
        let socket = self.socket;
        let response = self.stream().await?;
        collect(socket, response).await.map(drop)
    }

    /// The answer before its body is read.
    pub(super) async fn stream(self) -> Result<Response<Incoming>, ClientError> {
        let socket = self.socket;
        let broken = |source| ClientError::Broken {
            path: socket.to_owned(),
            source,
        };
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| ClientError::connect(socket, error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // It ends with the answer or with an error, which the request then has too.
        tokio::spawn(async move { drop(connection.await) });
        let request = hyper::Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(HOST, "localhost")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(self.body))
            // Path and query were percent-encoded, everything else is constant.
            .map_err(|error| ClientError::Unexpected {
                path: socket.to_owned(),
                status: 0,
                detail: error.to_string(),
            })?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if status.is_success() || self.also == Some(status.as_u16()) {
            return Ok(response);
        }
        let octets = collect(socket, response).await?;
        let problem: Problem = serde_json::from_slice(&octets)
            .map_err(|error| unexpected(socket, status.as_u16(), &error))?;
        Err(ClientError::Refused(Box::new(problem)))
    }
}

async fn collect(socket: &Path, response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = response.into_body().collect().await;
    let body = body.map_err(|source| ClientError::Broken {
        path: socket.to_owned(),
        source,
    })?;
    Ok(body.to_bytes())
}

fn unexpected(socket: &Path, status: u16, error: &serde_json::Error) -> ClientError {
    ClientError::Unexpected {
        path: socket.to_owned(),
        status,
        detail: error.to_string(),
    }
}

/// A text as part of a path or a query.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        // RFC 3986 section 2.3; the colons of addresses need no encoding in either place.
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
