//! Attributes from the text in which they are shown, for trying policies.

use chanter_bgp::{Attributes, AttributesBuilder, Origin, SegmentKind};
use chanter_types::{Asn, ParseError};

const EXPECTED: &str = "parts such as `next-hop 192.0.2.1`, `origin igp`, `as-path 64512 65000`, \
     `local-pref 100`, `med 10`, `communities 64512:1 no-export`, `large-communities 64512:1:2`, \
     `ext-communities target:64512:1`, with commas between them";

/// Reads what `show routes --long` prints of the attributes that policies look at.
pub fn attributes_from_text(text: &str) -> Result<Attributes, ParseError> {
    let mut builder = Attributes::builder();
    let parts = text.split(',').map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once(' ').unwrap_or((part, ""));
        let read = attribute(builder, name, value.trim());
        builder = read.ok_or_else(|| ParseError::new(part, "an attribute", EXPECTED))?;
    }
    Ok(builder.build())
}

fn attribute(builder: AttributesBuilder, name: &str, value: &str) -> Option<AttributesBuilder> {
    fn all<T: std::str::FromStr>(value: &str) -> Option<Vec<T>> {
        value
            .split_whitespace()
            .map(|item| item.parse().ok())
            .collect()
    }
    Some(match name {
        "next-hop" => builder.next_hop(value.parse::<std::net::IpAddr>().ok()?),
        "origin" => builder.origin(match value {
            "igp" => Origin::Igp,
            "egp" => Origin::Egp,
            "incomplete" => Origin::Incomplete,
            _ => return None,
        }),
        "as-path" => as_path(builder, value)?,
        "local-pref" => builder.local_pref(value.parse::<u32>().ok()?),
        "med" => builder.med(value.parse::<u32>().ok()?),
        "atomic-aggregate" if value.is_empty() => builder.atomic_aggregate(true),
        "communities" => builder.communities(all(value)?),
        "large-communities" => builder.large_communities(all(value)?),
        "ext-communities" => builder.extended_communities(all(value)?),
        _ => return None,
    })
}

/// `64512 65000 {65001 65002}`.
fn as_path(mut builder: AttributesBuilder, text: &str) -> Option<AttributesBuilder> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (kind, inner, after) = match rest.strip_prefix('{') {
            Some(set) => {
                let (inner, after) = set.split_once('}')?;
                (SegmentKind::Set, inner, after)
            }
            None => {
                let end = rest.find('{').unwrap_or(rest.len());
                (SegmentKind::Sequence, &rest[..end], &rest[end..])
            }
        };
        let asns: Option<Vec<Asn>> = inner
            .split_whitespace()
            .map(|asn| asn.parse().ok())
            .collect();
        builder = builder.append_segment(kind, &asns?);
        rest = after.trim_start();
    }
    Some(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read() {
        for text in [
            "origin igp",
            "next-hop 2001:db8::1, origin incomplete, as-path 64512 65000 {1 2} 3, local-pref 100, \
             med 5, atomic-aggregate, communities 64512:1 no-export, large-communities 1:2:3, \
             ext-communities target:64512:1 encap:vxlan",
        ] {
            let attributes = attributes_from_text(text).unwrap();
            assert_eq!(attributes.to_string(), text);
        }
        for bad in [
            "colour red",
            "med",
            "as-path x",
            "as-path {1",
            "communities 1",
            "med 1 2",
        ] {
            assert!(attributes_from_text(bad).is_err(), "{bad}");
        }
    }
}
