//! One HTTP request at a time, for programs that make a few and end.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Whoever does not answer in that time is as good as absent.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    /// The phrase that goes with the status.
    pub(super) fn reason(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("")
    }
}

/// Fetches `url` (http://HOST:PORT/PATH).
pub(super) fn get(url: &str) -> io::Result<Answer> {
    send(Method::GET, url, Bytes::new())
}

/// Posts JSON to `url`.
pub(super) fn post(url: &str, json: String) -> io::Result<Answer> {
    send(Method::POST, url, json.into())
}

fn send(method: Method, url: &str, body: Bytes) -> io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let exchange = exchange(method, url, body);
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::from_raw_os_error(
                nix::errno::Errno::ETIMEDOUT as i32,
            )),
        }
    })
}

async fn exchange(method: Method, url: &str, body: Bytes) -> io::Result<Answer> {
    let uri: hyper::Uri = url.parse().map_err(io::Error::other)?;
    let authority = uri
        .authority()
        .ok_or_else(|| io::Error::other("not a URL"))?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", authority.as_str())
        .header("Content-Type", "application/json")
        .body(Full::new(body))
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    driver.abort();
    Ok(Answer { status, body })
}

/// The error in the words of Python's urllib, which scripts may look for.
pub(super) fn error_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let what = nix::errno::Errno::from_raw(number).desc();
            format!("<urlopen error [Errno {number}] {what}>")
        }
        None => format!("<urlopen error {error}>"),
    }
}
