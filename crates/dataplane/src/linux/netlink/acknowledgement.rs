//! `NLMSG_ERROR` and `NLMSG_DONE`: what became of a request, with the kernel's explanation
//! (extended acknowledgement).

use std::fmt;
use std::io;

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NlasIterator};
use nix::errno::Errno;

const NLMSG_HEADER_LEN: usize = 16;

/// `NLMSGERR_ATTR_MSG`: the explanation as text.
const ATTR_MSG: u16 = 1;

/// A request that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::linux) struct Refusal {
    pub(in crate::linux) errno: Errno,
    /// The kernel's explanation, if it gave one.
    pub(in crate::linux) text: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = io::Error::from_raw_os_error(self.errno as i32);
        match &self.text {
            Some(text) => write!(f, "{text}: {name}"),
            None => write!(f, "{name}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Reads the payload of an `NLMSG_ERROR` with the flags of its header.
pub(super) fn decode_error(payload: &[u8], flags: u16) -> Result<(), Refusal> {
    let Some((code, rest)) = payload.split_first_chunk::<4>() else {
        return Err(Refusal {
            errno: Errno::EBADMSG,
            text: None,
        });
    };
    let code = i32::from_ne_bytes(*code);
    if code == 0 {
        return Ok(());
    }
    let text = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| rest.get(request_len(rest, flags)..).and_then(text))
        .flatten();
    Err(Refusal {
        errno: Errno::from_raw(-code),
        text,
    })
}

/// Reads the payload of an `NLMSG_DONE`: a dump may fail on its way.
pub(super) fn decode_done(payload: &[u8]) -> Result<(), Refusal> {
    match payload.split_first_chunk::<4>() {
        Some((code, rest)) if i32::from_ne_bytes(*code) < 0 => {
            let errno = Errno::from_raw(-i32::from_ne_bytes(*code));
            Err(Refusal {
                errno,
                text: text(rest),
            })
        }
        _ => Ok(()),
    }
}

/// How much of the refused request is repeated before the attributes: its header only, if capped.
fn request_len(rest: &[u8], flags: u16) -> usize {
    if flags & NLM_F_CAPPED != 0 {
        return NLMSG_HEADER_LEN;
    }
    let len = rest
        .first_chunk::<4>()
        .map_or(0, |len| u32::from_ne_bytes(*len));
    usize::try_from(len)
        .unwrap_or(usize::MAX)
        .max(NLMSG_HEADER_LEN)
        .next_multiple_of(4)
}

fn text(attributes: &[u8]) -> Option<String> {
    let message = NlasIterator::new(attributes)
        .flatten()
        .find(|nla| nla.kind() == ATTR_MSG)?;
    let text = message.value().split(|octet| *octet == 0).next()?;
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches(['.', ' ', '\n']);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32, request: &[u8], text: &[u8]) -> Vec<u8> {
        let mut octets = code.to_ne_bytes().to_vec();
        octets.extend_from_slice(request);
        let len = u16::try_from(4 + text.len()).unwrap();
        octets.extend(len.to_ne_bytes());
        octets.extend(ATTR_MSG.to_ne_bytes());
        octets.extend_from_slice(text);
        octets
    }

    #[test]
    fn the_kernels_explanation_is_kept() {
        let mut request = [0; 32];
        request[0] = 32;
        let flags = NLM_F_ACK_TLVS;
        let refusal = decode_error(&error(-22, &request, b"bad VNI\0"), flags).unwrap_err();
        assert_eq!(refusal.errno, Errno::EINVAL);
        assert_eq!(
            refusal.to_string(),
            "bad VNI: Invalid argument (os error 22)"
        );
        let capped = error(-22, &request[..16], b"bad VNI.\0");
        let refusal = decode_error(&capped, flags | NLM_F_CAPPED).unwrap_err();
        assert_eq!(refusal.text.as_deref(), Some("bad VNI"));
    }

    #[test]
    fn an_acknowledgement_is_no_error_and_short_ones_do_no_harm() {
        assert_eq!(decode_error(&0i32.to_ne_bytes(), 0), Ok(()));
        assert!(decode_error(&[0], 0).is_err());
        let refusal = decode_error(&(-1i32).to_ne_bytes(), NLM_F_ACK_TLVS).unwrap_err();
        assert_eq!(
            refusal,
            Refusal {
                errno: Errno::EPERM,
                text: None
            }
        );
        assert_eq!(decode_done(&[]), Ok(()));
        assert!(decode_done(&(-4i32).to_ne_bytes()).is_err());
    }
}
