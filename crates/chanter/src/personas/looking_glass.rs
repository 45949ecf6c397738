//! `bagpipe-looking-glass`: a path into the looking glass, shown as an indented outline.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Map, Value};

use super::{http, python};
use crate::config;

/// Shows an object of the looking glass of bagpipe-bgp.
#[derive(Debug, Parser)]
#[command(
    name = "bagpipe-looking-glass",
    infer_long_args = true,
    after_help = "Example: bagpipe-looking-glass vpns instances"
)]
struct LookingGlassArgs {
    /// Address of the daemon
    #[arg(long, default_value = "127.0.0.1")]
    server: String,
    /// Port of the daemon (default: that of /etc/bagpipe-bgp/bgp.conf, else 8082)
    #[arg(long)]
    port: Option<u16>,
    /// Where the looking glass is on the server
    #[arg(long, default_value = "looking-glass")]
    prefix: String,
    /// Follow every link below the object
    #[arg(short, long)]
    recurse: bool,
    /// The path to the object
    path: Vec<String>,
}

/// Ends with 0 whatever happens, as the original does.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = LookingGlassArgs::parse_from(args);
    let port = args.port.unwrap_or_else(config::bagpipe_api_port);
    let items: Vec<String> = args.path.iter().map(|item| quote(item)).collect();
    let server = if args.server.contains(':') {
        format!("[{}]", args.server.trim_matches(['[', ']']))
    } else {
        args.server.clone()
    };
    let url = format!("http://{server}:{port}/{}/{}", args.prefix, items.join("/"));
    let mut out = io::stdout().lock();
    let shown = match show(&url, args.recurse, &mut out) {
        Ok(()) => Ok(()),
        Err(Failure::Status(404, _)) => {
            writeln!(
                out,
                "No such looking glass path: {}\n({url})",
                items.join(" ")
            )
        }
        Err(Failure::Status(code, body)) => {
            writeln!(out, "Error code {code}: {}", python::bytes_repr(&body))
        }
        Err(Failure::Io(error)) => {
            let error = http::error_text(&error);
            writeln!(out, "No server at http://{}:{port} : {error}", args.server)
        }
    };
    // Whoever reads the output may stop reading.
    let _ = shown.and_then(|()| out.flush());
    ExitCode::SUCCESS
}

enum Failure {
    Status(u16, Vec<u8>),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

fn fetch(url: &str) -> Result<Value, Failure> {
    let answer = http::get(url)?;
    if !answer.status.is_success() {
        return Err(Failure::Status(
            answer.status.as_u16(),
            answer.body.to_vec(),
        ));
    }
    serde_json::from_slice(&answer.body).map_err(|error| Failure::Io(io::Error::other(error)))
}

fn show(url: &str, recurse: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut url = url.to_owned();
    let mut value = fetch(&url)?;
    // An object that only refers to another one is followed once.
    if let Some(target) = value.get("href").and_then(Value::as_str) {
        url = target.to_owned();
        value = fetch(&url)?;
    }
    let mut outline = Outline {
        out,
        recurse,
        fetch: &fetch,
    };
    outline.value(value, 0, &url, true)
}

/// Writes values as an outline.
struct Outline<'a> {
    out: &'a mut dyn Write,
    recurse: bool,
    fetch: &'a dyn Fn(&str) -> Result<Value, Failure>,
}

impl Outline<'_> {
    /// Writes what comes after a key or a bullet, up to the end of the line. `fresh`: nothing stands
    /// on the line yet that the first member would have to leave.
    fn value(
        &mut self,
        value: Value,
        indent: usize,
        url: &str,
        fresh: bool,
    ) -> Result<(), Failure> {
        match value {
            Value::Object(members) => self.object(members, indent, url, fresh),
            Value::Array(items) if items.is_empty() => Ok(writeln!(self.out, "-")?),
            Value::Array(items) => self.list(items, indent, url, fresh),
            Value::String(text) if text.contains('\n') => {
                let margin = " ".repeat(indent);
                let text = text
                    .trim_matches('\n')
                    .replace('\n', &format!("\n{margin}"));
                Ok(writeln!(self.out, "\n{margin}{text}")?)
            }
            scalar => Ok(writeln!(self.out, "{}", python::scalar_text(&scalar))?),
        }
    }

    fn object(
        &mut self,
        mut members: Map<String, Value>,
        indent: usize,
        url: &str,
        mut fresh: bool,
    ) -> Result<(), Failure> {
        let target = members.shift_remove("href");
        if target.is_some()
            && let Some(id) = members.shift_remove("id")
        {
            write!(self.out, "{}", python::scalar_text(&id))?;
        }
        if let Some(target) = &target {
            let target = target.as_str().unwrap_or_default();
            if self.recurse && target.starts_with(url) {
                let value = (self.fetch)(target)?;
                return self.value(value, indent + 2, target, false);
            }
            write!(self.out, " (...)")?;
            fresh = false;
        }
        if members.is_empty() {
            let end = if target.is_some() { "" } else { "-" };
            return Ok(writeln!(self.out, "{end}")?);
        }
        if !fresh {
            writeln!(self.out)?;
        }
        for (index, (key, value)) in members.into_iter().enumerate() {
            let margin = if index == 0 && fresh { 0 } else { indent };
            write!(self.out, "{}{key}: ", " ".repeat(margin))?;
            self.value(value, indent + 2, url, false)?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        items: Vec<Value>,
        indent: usize,
        url: &str,
        fresh: bool,
    ) -> Result<(), Failure> {
        if !fresh {
            writeln!(self.out)?;
        }
        for item in items {
            write!(self.out, "{}* ", " ".repeat(indent))?;
            match item {
                Value::Object(_) | Value::Array(_) => self.value(item, indent + 2, url, true)?,
                scalar => writeln!(self.out, "{}", python::scalar_text(&scalar))?,
            }
        }
        Ok(())
    }
}

/// Percent-encodes all but letters, digits, `_.-~` and `/`.
fn quote(item: &str) -> String {
    let mut text = String::new();
    for octet in item.bytes() {
        if octet.is_ascii_alphanumeric() || b"_.-~/".contains(&octet) {
            text.push(char::from(octet));
        } else {
            text.push_str(&format!("%{octet:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outline(value: Value, recurse: bool) -> String {
        let fetch = |url: &str| match url {
            "http://h/lg/peers" => {
                Ok(json!([{ "id": "192.0.2.1", "href": "http://h/lg/peers/1" }]))
            }
            "http://h/lg/peers/1" => Ok(json!({ "state": "Established", "families": [] })),
            _ => Err(Failure::Status(404, Vec::new())),
        };
        let mut out = Vec::new();
        let mut outline = Outline {
            out: &mut out,
            recurse,
            fetch: &fetch,
        };
        assert!(outline.value(value, 0, "http://h/lg", true).is_ok());
        String::from_utf8(out).unwrap()
    }

    // Expected texts are what the original prints for the same values.
    #[test]
    fn values_are_outlined_as_by_the_original() {
        let value = json!({
            "summary": { "peers": 1, "up": true, "none": null },
            "peers": { "href": "http://h/lg/peers" },
            "empty": {}, "nothing": [],
            "ports": { "tap0": { "endpoints": [{ "mac": "a", "ip": "b" }, { "mac": "c" }] } },
            "list": [1, [2, 3], "x"],
            "text": "one\ntwo\n",
            "link": { "id": "r1", "href": "http://h/lg/r", "name": "EVI-1" },
        });
        assert_eq!(
            outline(value, false),
            "\
summary: 
  peers: 1
  up: True
  none: None
peers:  (...)
empty: -
nothing: -
ports: 
  tap0: 
    endpoints: 
      * mac: a
        ip: b
      * mac: c
list: 
  * 1
  *     * 2
    * 3
  * x
text: 
  one
  two
link: r1 (...)
  name: EVI-1
"
        );
    }

    #[test]
    fn links_are_followed_on_demand() {
        let value =
            json!({ "peers": { "href": "http://h/lg/peers" }, "rr": { "href": "http://x" } });
        assert_eq!(
            outline(value, true),
            "\
peers: 
    * 192.0.2.1
        state: Established
        families: -
rr:  (...)
"
        );
    }

    #[test]
    fn a_scalar_is_one_line() {
        assert_eq!(outline(json!(3), false), "3\n");
        assert_eq!(outline(json!("up"), false), "up\n");
    }

    #[test]
    fn path_items_are_quoted() {
        assert_eq!(quote("a b/ü~:"), "a%20b/%C3%BC~%3A");
    }

    #[test]
    fn options_are_those_of_the_original() {
        let line = "bagpipe-looking-glass --server=::1 --port 80 -r --pref x vpns instances";
        let args = LookingGlassArgs::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(
            (args.port, args.recurse, args.prefix.as_str()),
            (Some(80), true, "x")
        );
        assert_eq!(args.path, ["vpns", "instances"]);
    }
}
