//! Values as Python prints them, since scripts read the output of these programs.

use serde_json::Value;

/// JSON with Python's separators, and everything outside of ASCII escaped.
pub(super) fn json_text(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, &mut text);
    text
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, item)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                push_ascii(&Value::from(key.as_str()).to_string(), out);
                out.push_str(": ");
                write_json(item, out);
            }
            out.push('}');
        }
        scalar => push_ascii(&scalar.to_string(), out),
    }
}

fn push_ascii(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

/// Octets as `b'...'`.
pub(super) fn bytes_repr(octets: &[u8]) -> String {
    let quote = if octets.contains(&b'\'') && !octets.contains(&b'"') {
        b'"'
    } else {
        b'\''
    };
    let mut text = String::from("b");
    text.push(char::from(quote));
    for &octet in octets {
        match octet {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            _ if octet == quote => {
                text.push('\\');
                text.push(char::from(octet));
            }
            0x20..=0x7e => text.push(char::from(octet)),
            _ => text.push_str(&format!("\\x{octet:02x}")),
        }
    }
    text.push(char::from(quote));
    text
}

/// A scalar as `print` shows it.
pub(super) fn scalar_text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_spaced_and_ascii() {
        let value = json!({ "a": [1, "é😀"], "b": null, "c": {}, "d": true });
        assert_eq!(
            json_text(&value),
            r#"{"a": [1, "\u00e9\ud83d\ude00"], "b": null, "c": {}, "d": true}"#
        );
    }

    #[test]
    fn octets_are_quoted() {
        assert_eq!(bytes_repr(b"null"), "b'null'");
        assert_eq!(bytes_repr(b"it's"), "b\"it's\"");
        assert_eq!(bytes_repr(b"\"it's\"\n\xff\\"), r#"b'"it\'s"\n\xff\\'"#);
    }
}
