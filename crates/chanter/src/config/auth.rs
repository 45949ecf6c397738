//! How sessions are authenticated. Secrets are never shown, not even the wrong ones.

use chanter_speaker::{AoAlgorithm, AoKey, Auth, Secret};

use super::Node;
use super::diagnostic::Diagnostics;
use super::field::{Field, Section, Value};
use super::layers::Layers;

/// Reads `password`, `password_file`, `tcp_ao`.
pub(crate) fn auth(layers: &mut Layers<'_>, node: &dyn Node, found: &mut Diagnostics) -> Auth {
    let [password, file] = layers.either(["password", "password_file"], found);
    let keys = layers.take("tcp_ao");
    let md5 = secret(password, file, node, found);
    if let Some(keys) = keys {
        if let Some(other) = password.or(file) {
            other.error(found, "there is `tcp_ao` already: only one of them can be");
        }
        return Auth::Ao(ao_keys(keys, node, found));
    }
    md5.map_or(Auth::None, Auth::Md5)
}

/// A secret that stands here, or in a file.
fn secret(
    inline: Option<&Field>,
    file: Option<&Field>,
    node: &dyn Node,
    found: &mut Diagnostics,
) -> Option<Secret> {
    let (field, octets) = match (inline, file) {
        (Some(field), _) => match &field.value {
            Value::Text(text) => (field, text.clone().into_bytes()),
            _ => {
                field.error(found, "expected a text in quotes");
                return None;
            }
        },
        (None, Some(field)) => (field, read(field, node, found)?),
        (None, None) => return None,
    };
    Secret::new(octets)
        .map_err(|error| field.error(found, error))
        .ok()
}

/// The first line of the file.
fn read(field: &Field, node: &dyn Node, found: &mut Diagnostics) -> Option<Vec<u8>> {
    let path = field.string(found, "the path of a file")?;
    match node.read(path.as_ref()) {
        Ok(octets) => {
            let line = octets.split(|octet| *octet == b'\n').next();
            let line = line.unwrap_or_default();
            Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        }
        Err(error) => {
            field.error(found, format_args!("cannot read {path}: {error}"));
            None
        }
    }
}

fn ao_keys(keys: &Field, node: &dyn Node, found: &mut Diagnostics) -> Vec<AoKey> {
    const EXPECTED: &str =
        "a list of keys such as [{ id = 1, secret_file = \"/etc/chanter/key\" }]";
    let Value::List(items) = &keys.value else {
        keys.wrong_type(found, EXPECTED);
        return Vec::new();
    };
    if items.is_empty() {
        keys.error(found, format_args!("there is no key: expected {EXPECTED}"));
    }
    let mut list: Vec<AoKey> = Vec::new();
    for item in items {
        let Some(mut section) = item.section(found) else {
            continue;
        };
        let key = ao_key(&mut section, node, found);
        section.finish(found);
        let Some(key) = key else { continue };
        let twice =
            |other: &AoKey| other.send_id == key.send_id || other.receive_id == key.receive_id;
        if list.iter().any(twice) {
            item.error(found, "there is a key of that id already");
        }
        list.push(key);
    }
    list
}

fn ao_key(section: &mut Section<'_>, node: &dyn Node, found: &mut Diagnostics) -> Option<AoKey> {
    let id = |field: Option<&Field>, found: &mut Diagnostics| {
        let number = field?.integer(found, 0..=255)?;
        u8::try_from(number).ok()
    };
    let both = id(section.take("id"), found);
    let send_id = id(section.take("send_id"), found).or(both);
    let receive_id = id(section.take("receive_id"), found).or(both);
    if send_id.is_none() || receive_id.is_none() {
        let message = "expected `id`, or `send_id` and `receive_id`, from 0 to 255";
        section.whole.error(found, message);
    }
    let algorithm = match section.take("algorithm") {
        Some(field) => field.parse(found, "the name of an algorithm of TCP-AO"),
        None => Some(AoAlgorithm::HmacSha1),
    };
    let (inline, file) = (section.take("secret"), section.take("secret_file"));
    if inline.is_none() && file.is_none() {
        let message = "expected `secret` or `secret_file`";
        section.whole.error(found, message);
    }
    let secret = secret(inline, file, node, found);
    let exclude = section.take("exclude_options");
    let exclude = exclude.and_then(|field| field.boolean(found));
    Some(AoKey {
        send_id: send_id?,
        receive_id: receive_id?,
        algorithm: algorithm?,
        secret: secret?,
        exclude_options: exclude.unwrap_or(false),
    })
}
