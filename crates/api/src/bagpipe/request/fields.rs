//! Single fields of a body, by type.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chanter_types::{IfName, MacAddr, RouteTarget, Vni};
use serde_json::{Map, Value};

use super::BadRequest;

/// The members of a body or of an object in it.
pub(super) type Body = Map<String, Value>;

/// Forms in which route targets are accepted.
const ROUTE_TARGETS: &str = "a list of route targets, or one text with commas between them, each \
     AS:NUMBER or IPV4:NUMBER such as 64512:100";

/// An address with the client's writing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IpText {
    pub(super) ip: IpAddr,
    pub(super) len: u8,
    pub(super) text: String,
}

/// The value of a field that is neither absent nor null.
pub(super) fn given<'a>(body: &'a Body, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// As [`given`], and not empty: clients send `""` and `{}` for what they leave out.
pub(super) fn filled<'a>(body: &'a Body, name: &str) -> Option<&'a Value> {
    given(body, name).filter(|value| {
        value.as_str() != Some("") && value.as_object().is_none_or(|members| !members.is_empty())
    })
}

pub(super) fn text<'a>(body: &'a Body, name: &str) -> Result<&'a str, BadRequest> {
    let value = body.get(name).ok_or_else(|| BadRequest::missing(name))?;
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| BadRequest::field(name, value, "a text that is not empty"))
}

pub(super) fn mac(body: &Body) -> Result<(MacAddr, String), BadRequest> {
    const NAME: &str = "mac_address";
    const EXPECTED: &str = "expected the address of a single station, six octets in hexadecimal such as \
         fa:16:3e:00:00:01";
    let value = body.get(NAME).ok_or_else(|| BadRequest::missing(NAME))?;
    let parsed = value
        .as_str()
        .and_then(|text| Some((text.parse::<MacAddr>().ok()?, text)));
    match parsed {
        Some((mac, text)) if mac != MacAddr::ZERO && !mac.is_multicast() => {
            Ok((mac, text.to_owned()))
        }
        _ => {
            // The original's text, with the field and the accepted form behind it.
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            Err(BadRequest(format!(
                "MAC address {shown} is not valid ({NAME}: {EXPECTED})"
            )))
        }
    }
}

/// An address bare, with a prefix length or with a mask; `None` if the key is absent.
pub(super) fn ip(body: &Body) -> Result<Option<IpText>, BadRequest> {
    const NAME: &str = "ip_address";
    const EXPECTED: &str = "expected ADDRESS, ADDRESS/LENGTH or ADDRESS/MASK, IPv4 or IPv6; for a \
         MAC without address leave the key out";
    let Some(value) = body.get(NAME) else {
        return Ok(None);
    };
    let parsed = value
        .as_str()
        .and_then(|text| Some((parse_ip(text)?, text)));
    match parsed {
        Some(((ip, len), text)) => Ok(Some(IpText {
            ip,
            len,
            text: text.to_owned(),
        })),
        None => {
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            Err(BadRequest(format!(
                "IP address {shown} is not valid ({NAME}: {EXPECTED})"
            )))
        }
    }
}

fn parse_ip(text: &str) -> Option<(IpAddr, u8)> {
    let Some((addr, mask)) = text.split_once('/') else {
        let ip: IpAddr = text.parse().ok()?;
        return single_host(ip).map(|ip| (ip, if ip.is_ipv4() { 32 } else { 128 }));
    };
    let ip = single_host(addr.parse().ok()?)?;
    let len = match (ip, mask.parse::<IpAddr>()) {
        (IpAddr::V4(_), Ok(IpAddr::V4(mask))) => {
            let bits = mask.to_bits();
            let len = bits.leading_ones();
            (len + bits.trailing_zeros() >= 32).then_some(u8::try_from(len).ok()?)?
        }
        (_, Ok(_)) => return None,
        (_, Err(_)) if mask.bytes().all(|digit| digit.is_ascii_digit()) => mask.parse().ok()?,
        _ => return None,
    };
    (len <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, len))
}

/// The address, if it is one that an endpoint can have.
fn single_host(ip: IpAddr) -> Option<IpAddr> {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    (!ip.is_unspecified() && !ip.is_multicast() && !broadcast).then_some(ip)
}

pub(super) fn gateway_ip(body: &Body) -> Result<Option<IpAddr>, BadRequest> {
    const NAME: &str = "gateway_ip";
    let Some(value) = filled(body, NAME) else {
        return Ok(None);
    };
    match value.as_str().and_then(parse_ip) {
        Some((ip, _)) => Ok(Some(ip)),
        None => Err(BadRequest::field(NAME, value, "an IP address or null")),
    }
}

/// Route targets as a list or a text with commas.
pub(super) fn route_targets(
    name: &str,
    value: &Value,
) -> Result<BTreeSet<RouteTarget>, BadRequest> {
    let error = || BadRequest::field(name, value, ROUTE_TARGETS);
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().ok_or_else(error))
            .collect::<Result<_, _>>()?,
        _ => return Err(error()),
    };
    let texts = texts
        .into_iter()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    texts
        .map(|text| {
            text.parse().map_err(|_| {
                BadRequest(format!(
                    "{name}: `{text}` is not accepted: expected {ROUTE_TARGETS}"
                ))
            })
        })
        .collect()
}

/// A mandatory field of route targets.
pub(super) fn mandatory_route_targets(
    body: &Body,
    name: &str,
) -> Result<BTreeSet<RouteTarget>, BadRequest> {
    route_targets(
        name,
        body.get(name).ok_or_else(|| BadRequest::missing(name))?,
    )
}

pub(super) fn vni(body: &Body) -> Result<Option<Vni>, BadRequest> {
    const NAME: &str = "vni";
    let Some(value) = given(body, NAME) else {
        return Ok(None);
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number {
        Some(0) => Ok(None),
        Some(number) if Vni::new(number).is_some() => Ok(Vni::new(number)),
        _ => Err(BadRequest::field(
            NAME,
            value,
            "a number from 1 to 16777215, or 0 for one that is allocated",
        )),
    }
}

pub(super) fn local_pref(body: &Body) -> Result<Option<u32>, BadRequest> {
    // 0 and null mean the default, as in the original.
    Ok(number(body, "local_pref", u32::MAX)?.filter(|number| *number != 0))
}

/// A number from 0 to `max`.
pub(super) fn number(body: &Body, name: &str, max: u32) -> Result<Option<u32>, BadRequest> {
    let Some(value) = given(body, name) else {
        return Ok(None);
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| *number <= max) {
        Some(number) => Ok(Some(number)),
        None => Err(BadRequest::field(
            name,
            value,
            &format!("a number from 0 to {max}"),
        )),
    }
}

pub(super) fn device(body: &Body, name: &str) -> Result<Option<IfName>, BadRequest> {
    let Some(value) = filled(body, name) else {
        return Ok(None);
    };
    match value.as_str().and_then(|text| text.parse().ok()) {
        Some(device) => Ok(Some(device)),
        None => Err(BadRequest::field(
            name,
            value,
            "the name of a network device, 1 to 15 characters without `/`, `:` or spaces",
        )),
    }
}

/// A free description: any JSON.
pub(super) fn any(body: &Body, name: &str) -> Option<Value> {
    given(body, name).cloned()
}
