//! HTTP into a namespace, as a client of the REST API would speak it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::namespace::Namespace;

/// A client gives up after this long; bagpipe-bgp's own clients wait for seconds as well.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A REST server in a namespace.
#[derive(Clone, Debug)]
pub struct Rest {
    namespace: Namespace,
    server: SocketAddr,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body as sent.
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text)
            .with_context(|| format!("status {}, not JSON: {}", self.status, self.text))
    }

    /// The body of a success.
    pub fn expect_ok(&self) -> Result<Value> {
        ensure!(self.status == 200, "status {}: {}", self.status, self.text);
        self.json()
    }
}

impl Rest {
    /// A client of the server that listens on 127.0.0.1:`port` inside.
    pub fn new(namespace: &Namespace, port: u16) -> Self {
        Self {
            namespace: namespace.clone(),
            server: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.request("GET", path, None)
    }

    /// GET that must succeed.
    pub fn fetch(&self, path: &str) -> Result<Value> {
        self.get(path)?
            .expect_ok()
            .with_context(|| format!("GET {path}"))
    }

    /// POST of a JSON value.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.request("POST", path, Some(&body.to_string()))
    }

    /// Any request; the body is sent as it is.
    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> Result<Reply> {
        let server = self.server;
        let request = render(method, path, server, body);
        self.namespace
            .inside(move || exchange(server, &request))
            .with_context(|| {
                format!(
                    "{method} http://{server}{path} in {}",
                    self.namespace.name()
                )
            })
    }

    /// Runs `work` inside the namespace, for many requests without the cost of entering it each
    /// time.
    pub fn inside<T: Send>(&self, work: impl FnOnce(&Client) -> Result<T> + Send) -> Result<T> {
        let client = Client {
            server: self.server,
        };
        self.namespace.inside(move || work(&client))
    }
}

/// A client that is inside already. Each request has a connection of its own, as bagpipe-bgp's
/// clients do it.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    server: SocketAddr,
}

impl Client {
    /// POST of a JSON value.
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        exchange(
            self.server,
            &render("POST", path, self.server, Some(&body.to_string())),
        )
    }
}

fn render(method: &str, path: &str, server: SocketAddr, body: Option<&str>) -> String {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\
         Connection: close\r\n"
    );
    match body {
        None => format!("{head}\r\n"),
        Some(body) => {
            format!(
                "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    }
}

fn exchange(server: SocketAddr, request: &str) -> Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<Reply> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("not an HTTP answer: {answer:?}"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .context("no HTTP status")?;
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let text = if chunked {
        unchunk(body)?
    } else {
        body.to_owned()
    };
    Ok(Reply { status, text })
}

/// RFC 9112 section 7.1, without trailers.
fn unchunk(mut body: &str) -> Result<String> {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16)
            .with_context(|| format!("chunk size {size:?}"))?;
        let Some(chunk) = rest.get(..size) else {
            bail!("a chunk of {size} octets is cut short")
        };
        text.push_str(chunk);
        body = rest[size..].trim_start_matches("\r\n");
        if size == 0 {
            break;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_plain_and_chunked() {
        let plain = parse("HTTP/1.0 200 OK\r\nServer: x\r\n\r\nnull").unwrap();
        assert_eq!((plain.status, plain.text.as_str()), (200, "null"));
        let chunked = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        let reply = parse(chunked).unwrap();
        assert_eq!((reply.status, reply.text.as_str()), (404, "{\"a\":1}"));
    }
}
