//! The second pass over an UPDATE: is the value of each attribute what its RFC wants (RFC 7606
//! section 7), and what is its canonical form.

use super::as4::{self, Value};
use super::fault::{Disposition, Faults};
use super::scan::Slot;
use crate::attributes::{
    AttributeCode, Block, FLAG_OPTIONAL, FLAG_PARTIAL, FLAG_TRANSITIVE, Origin, PrefixSid,
    PrefixSidError, TunnelEncapsulation, is_aigp, is_attr_set,
};
use crate::context::CodecContext;
use crate::pmsi::PmsiTunnel;

/// Why an attribute does not count.
type Objection = (Disposition, String);

/// The canonical form of the attributes in `slots`, which are sorted. Those that are wrong are left
/// out and told in `faults`.
pub(super) fn canonical(
    slots: &[Slot<'_>],
    ctx: &CodecContext,
    faults: &mut Faults<'_>,
    block: &mut Block,
) {
    for slot in slots {
        if is_ignored(slot.code, ctx) {
            continue;
        }
        match check(slot, ctx) {
            Ok(()) => push(slot, slots, ctx, block),
            Err((disposition, message)) => {
                faults.add(Some(slot.code), slot.offset, disposition, message);
            }
        }
    }
}

/// Whether the attribute is treated as an unknown one that is not transitive: BGPSEC_PATH, as BGPsec
/// is never negotiated, and AIGP from another AS (RFC 7311 section 3.1).
fn is_ignored(code: AttributeCode, ctx: &CodecContext) -> bool {
    match code {
        AttributeCode::BGPSEC_PATH => true,
        AttributeCode::AIGP => ctx.ebgp,
        _ => false,
    }
}

fn check(slot: &Slot<'_>, ctx: &CodecContext) -> Result<(), Objection> {
    use Disposition::{AttributeDiscard, TreatAsWithdraw};
    match slot.code {
        AttributeCode::ORIGIN => check_origin(slot),
        AttributeCode::AS_PATH => check_as_path(slot, ctx),
        AttributeCode::LOCAL_PREF
        | AttributeCode::ORIGINATOR_ID
        | AttributeCode::CLUSTER_LIST
        | AttributeCode::PREFIX_SID
            if ctx.ebgp =>
        {
            // RFC 7606 sections 7.5, 7.9, 7.10; RFC 8669 section 4.
            Err((AttributeDiscard, "attribute from another AS".to_owned()))
        }
        AttributeCode::MULTI_EXIT_DISC
        | AttributeCode::LOCAL_PREF
        | AttributeCode::ORIGINATOR_ID => length(slot, slot.value.len() == 4, TreatAsWithdraw),
        AttributeCode::ATOMIC_AGGREGATE => length(slot, slot.value.is_empty(), AttributeDiscard),
        AttributeCode::AGGREGATOR => check_aggregator(slot, if ctx.four_octet_as { 8 } else { 6 }),
        AttributeCode::COMMUNITIES | AttributeCode::CLUSTER_LIST => whole(slot, 4),
        AttributeCode::EXTENDED_COMMUNITIES => whole(slot, 8),
        AttributeCode::LARGE_COMMUNITIES => whole(slot, 12),
        AttributeCode::PMSI_TUNNEL => check_pmsi_tunnel(slot),
        AttributeCode::AS4_PATH | AttributeCode::AS4_AGGREGATOR if ctx.four_octet_as => {
            // RFC 6793 section 4.1.
            Err((
                AttributeDiscard,
                "attribute from a peer with four-octet AS numbers".to_owned(),
            ))
        }
        AttributeCode::AS4_PATH => check_as4_path(slot),
        AttributeCode::AS4_AGGREGATOR => check_aggregator(slot, 8),
        // RFC 9012 section 13.
        AttributeCode::TUNNEL_ENCAPSULATION => {
            structure(slot, TunnelEncapsulation::is_well_formed, TreatAsWithdraw)
        }
        // RFC 7606 section 7.15.
        AttributeCode::IPV6_EXTENDED_COMMUNITIES => whole(slot, 20),
        // RFC 7311 section 3.
        AttributeCode::AIGP => structure(slot, is_aigp, AttributeDiscard),
        // RFC 9234 section 5.
        AttributeCode::ONLY_TO_CUSTOMER => length(slot, slot.value.len() == 4, TreatAsWithdraw),
        AttributeCode::PREFIX_SID => check_prefix_sid(slot),
        // RFC 7606 section 7.16.
        AttributeCode::ATTR_SET => structure(slot, is_attr_set, TreatAsWithdraw),
        _ => Ok(()),
    }
}

fn length(slot: &Slot<'_>, right: bool, disposition: Disposition) -> Result<(), Objection> {
    if right {
        Ok(())
    } else {
        Err((disposition, format!("length {}", slot.value.len())))
    }
}

/// TLVs and the like. Many speakers end the session over an attribute of which one is cut off:
/// passed on by a reflector, a route of one client would end the sessions of all others.
fn structure(
    slot: &Slot<'_>,
    is_right: fn(&[u8]) -> bool,
    disposition: Disposition,
) -> Result<(), Objection> {
    if is_right(slot.value) {
        return Ok(());
    }
    let message = format!("malformed value of {} octets", slot.value.len());
    Err((disposition, message))
}

/// A list of `item` octets each, and at least one.
fn whole(slot: &Slot<'_>, item: usize) -> Result<(), Objection> {
    let right = !slot.value.is_empty() && slot.value.len().is_multiple_of(item);
    length(slot, right, Disposition::TreatAsWithdraw)
}

/// RFC 7606 section 7.1.
fn check_origin(slot: &Slot<'_>) -> Result<(), Objection> {
    match slot.value {
        [code] if Origin::from_code(*code).is_some() => Ok(()),
        [code] => Err((Disposition::TreatAsWithdraw, format!("value {code}"))),
        _ => length(slot, false, Disposition::TreatAsWithdraw),
    }
}

/// RFC 7606 section 7.2.
fn check_as_path(slot: &Slot<'_>, ctx: &CodecContext) -> Result<(), Objection> {
    let width = if ctx.four_octet_as { 4 } else { 2 };
    let objection = |message| (Disposition::TreatAsWithdraw, message);
    // RFC 5065 section 5: an AS outside a confederation does not see its segments.
    as4::check_path(slot.value, width, !ctx.ebgp).map_err(objection)?;
    check_no_set(slot, width)
}

/// RFC 9774 section 3: routes whose path has an AS_SET or AS_CONFED_SET are withdrawn, as nobody can
/// say where they come from.
fn check_no_set(slot: &Slot<'_>, width: usize) -> Result<(), Objection> {
    match as4::set_in(slot.value, width) {
        Some(name) => Err((Disposition::TreatAsWithdraw, format!("{name} in the path"))),
        None => Ok(()),
    }
}

/// RFC 6793 section 6: one segment of one AS number is the least.
fn check_as4_path(slot: &Slot<'_>) -> Result<(), Objection> {
    length(slot, slot.value.len() >= 6, Disposition::AttributeDiscard)?;
    as4::check_path(slot.value, 4, true)
        .map_err(|message| (Disposition::AttributeDiscard, message))?;
    check_no_set(slot, 4)
}

/// RFC 7606 section 7.7; AS 0 by RFC 7607.
fn check_aggregator(slot: &Slot<'_>, len: usize) -> Result<(), Objection> {
    length(slot, slot.value.len() == len, Disposition::AttributeDiscard)?;
    if !is_aggregator(slot.value, len) {
        return Err((Disposition::AttributeDiscard, "AS 0".to_owned()));
    }
    Ok(())
}

/// Whether `value` is an AGGREGATOR of `len` octets that names an AS.
fn is_aggregator(value: &[u8], len: usize) -> bool {
    let (asn, _) = value.split_at(value.len().saturating_sub(4));
    value.len() == len && asn.iter().any(|octet| *octet != 0)
}

/// RFC 6514 section 5. Tunnel types that we do not know are not malformed to a reflector.
fn check_pmsi_tunnel(slot: &Slot<'_>) -> Result<(), Objection> {
    let right = PmsiTunnel::is_well_formed(slot.value);
    length(slot, right, Disposition::TreatAsWithdraw)
}

fn check_prefix_sid(slot: &Slot<'_>) -> Result<(), Objection> {
    match PrefixSid::decode(slot.value) {
        Ok(_) => Ok(()),
        // RFC 8669 section 6.
        Err(PrefixSidError::Tlv) => structure(slot, |_| false, Disposition::AttributeDiscard),
        // RFC 9252 section 7: without the SID, traffic would go elsewhere.
        Err(PrefixSidError::Service) => {
            let message = "malformed SRv6 service TLV".to_owned();
            Err((Disposition::TreatAsWithdraw, message))
        }
    }
}

fn push(slot: &Slot<'_>, slots: &[Slot<'_>], ctx: &CodecContext, block: &mut Block) {
    let Some(flags) = slot.code.flags() else {
        // RFC 4271 section 5: passed on and marked, or dropped.
        if slot.flags & FLAG_TRANSITIVE != 0 {
            let flags = FLAG_OPTIONAL | FLAG_TRANSITIVE | FLAG_PARTIAL;
            block.push(flags, slot.code, slot.value);
        }
        return;
    };
    // Partial means something only where optional and transitive are set.
    let may_be_partial = flags == FLAG_OPTIONAL | FLAG_TRANSITIVE;
    let flags = flags
        | if may_be_partial {
            slot.flags & FLAG_PARTIAL
        } else {
            0
        };
    match slot.code {
        AttributeCode::AS4_PATH | AttributeCode::AS4_AGGREGATOR => {}
        AttributeCode::AS_PATH if !ctx.four_octet_as => {
            block.push(flags, slot.code, &merged_path(slot, slots));
        }
        AttributeCode::AGGREGATOR if !ctx.four_octet_as => {
            block.push(flags, slot.code, &merged_aggregator(slot, slots));
        }
        _ => block.push(flags, slot.code, slot.value),
    }
}

/// RFC 6793 section 4.2.3.
fn merged_path(slot: &Slot<'_>, slots: &[Slot<'_>]) -> Value {
    let path = as4::widen_path(slot.value);
    let has = |code, len| value(slots, code).filter(|value| is_aggregator(value, len));
    let outdated = has(AttributeCode::AS4_AGGREGATOR, 8).is_some()
        && has(AttributeCode::AGGREGATOR, 6)
            .is_some_and(|aggregator| !as4::is_as_trans(aggregator));
    match value(slots, AttributeCode::AS4_PATH) {
        Some(as4_path) if !outdated && as4::check_path(as4_path, 4, true).is_ok() => {
            as4::merge(&path, as4_path)
        }
        _ => path,
    }
}

/// RFC 6793 section 4.2.3.
fn merged_aggregator(slot: &Slot<'_>, slots: &[Slot<'_>]) -> Value {
    match value(slots, AttributeCode::AS4_AGGREGATOR) {
        Some(wide) if is_aggregator(wide, 8) && as4::is_as_trans(slot.value) => {
            Value::from_slice(wide)
        }
        _ => as4::widen_aggregator(slot.value),
    }
}

fn value<'a>(slots: &[Slot<'a>], code: AttributeCode) -> Option<&'a [u8]> {
    slots
        .iter()
        .find(|slot| slot.code == code)
        .map(|slot| slot.value)
}
