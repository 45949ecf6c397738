//! Received UPDATE messages.

use std::net::{IpAddr, Ipv4Addr};

use super::check::canonical;
use super::fault::{Disposition, Fault, Faults};
use super::scan::{Scan, Slot};
use super::{RouteEvent, UpdateBatch, next_hop};
use crate::attributes::{AttributeCode, Block, NextHop, push_attribute};
use crate::context::CodecContext;
use crate::family::Family;
use crate::message::{NotificationMessage, codes};
use crate::nlri::{Nlri, PathData, wire};
use crate::reader::Reader;

/// Decodes the body of an UPDATE message, what follows the header, and adds what it says to `batch`.
///
/// What is wrong with it is added to `faults`, with what was done about it (RFC 7606). An error is
/// the NOTIFICATION with which the session has to end; `batch` is then as it was before.
pub fn decode_update(
    body: &[u8],
    ctx: &CodecContext,
    batch: &mut UpdateBatch,
    faults: &mut Vec<Fault>,
) -> Result<(), NotificationMessage> {
    let (events, attributes) = (batch.events.len(), batch.attributes.len());
    let mut decoder = Decoder {
        ctx,
        batch,
        faults: Faults::new(faults),
    };
    let result = decoder.decode(body);
    if result.is_err() {
        batch.events.truncate(events);
        batch.attributes.truncate(attributes);
    }
    result
}

struct Decoder<'a, 'f> {
    ctx: &'a CodecContext,
    batch: &'a mut UpdateBatch,
    faults: Faults<'f>,
}

/// The routes that one field of the message tells of.
#[derive(Clone, Copy)]
struct Routes<'a> {
    family: Family,
    nlri: Reader<'a>,
    /// The attribute in which they stand.
    attribute: Option<Slot<'a>>,
    said: Said,
}

/// What is said of routes.
#[derive(Clone, Copy)]
enum Said {
    Withdrawn,
    /// Reached, by the next hop if there is one.
    Reached(Option<NextHop>),
}

/// The attributes of the message, but for the next hop. They are put together in place, as a block is
/// too large to be moved about.
struct Shared {
    /// They are those of the last set of the batch, and the block is empty.
    is_last: bool,
    block: Block,
}

impl Decoder<'_, '_> {
    fn decode(&mut self, body: &[u8]) -> Result<(), NotificationMessage> {
        let mut scan = Scan::new();
        scan.read(body, &mut self.faults)?;
        let unreach = scan
            .mp_unreach
            .map(|slot| self.mp_unreach(slot))
            .transpose()?
            .flatten();
        if let Some(family) = end_of_rib(&scan, unreach) {
            if self.ctx.families.contains(family) {
                self.batch.events.push(RouteEvent::EndOfRib(family));
            }
            return Ok(());
        }
        let reach = scan
            .mp_reach
            .map(|slot| self.mp_reach(slot, &scan))
            .transpose()?
            .flatten();
        let withdrawn = self.classic(scan.withdrawn, Said::Withdrawn);
        let said = match self.next_hop(&scan) {
            Some(next_hop) => Said::Reached(Some(next_hop.into())),
            None => Said::Withdrawn,
        };
        let nlri = self.classic(scan.nlri, said);
        let mut shared = Shared {
            is_last: self.are_last(&scan),
            block: Block::new(),
        };
        if !shared.is_last {
            canonical(&scan.slots, self.ctx, &mut self.faults, &mut shared.block);
        }
        let has_reach = !scan.nlri.is_empty() || scan.mp_reach.is_some_and(has_nlri);
        if has_reach {
            self.check_mandatory(&scan);
        }
        let start = self.batch.events.len();
        // RFC 4271 section 3.1: what is both withdrawn and advertised is advertised.
        for routes in [withdrawn, unreach, reach, nlri].into_iter().flatten() {
            self.routes(routes, &mut shared)?;
        }
        if self.faults.withdraw() {
            self.treat_as_withdraw(start, scan.has_path_attributes() && !has_reach)?;
        }
        Ok(())
    }

    /// RFC 7606 section 5.2: where attributes are wrong and there is no route that they belong to,
    /// the routes may be what was not understood.
    fn treat_as_withdraw(
        &mut self,
        start: usize,
        routes_are_missing: bool,
    ) -> Result<(), NotificationMessage> {
        if routes_are_missing {
            let notification = NotificationMessage::new(
                codes::UPDATE_MESSAGE_ERROR,
                codes::update::MALFORMED_ATTRIBUTE_LIST,
                Vec::new(),
            );
            let message = "malformed attributes without reachable routes".to_owned();
            let offset = crate::message::HEADER_LEN;
            return Err(self.faults.reset(None, offset, message, notification));
        }
        for event in self.batch.events.iter_mut().skip(start) {
            if let RouteEvent::Reach { nlri, data, .. } = event {
                *event = RouteEvent::Withdraw {
                    nlri: nlri.clone(),
                    path_id: data.path_id,
                };
            }
        }
        Ok(())
    }

    /// Routes in the fields of RFC 4271.
    fn classic<'a>(&mut self, nlri: Reader<'a>, said: Said) -> Option<Routes<'a>> {
        let family = Family::IPV4_UNICAST;
        let has_any = !nlri.is_empty() && self.is_negotiated(family, None, nlri.offset());
        has_any.then_some(Routes {
            family,
            nlri,
            attribute: None,
            said,
        })
    }

    /// RFC 4760 section 4.
    fn mp_unreach<'a>(
        &mut self,
        slot: Slot<'a>,
    ) -> Result<Option<Routes<'a>>, NotificationMessage> {
        let mut reader = Reader::new(slot.value, slot.offset);
        let family = self.family(&mut reader, slot)?;
        let routes = Routes {
            family,
            nlri: reader,
            attribute: Some(slot),
            said: Said::Withdrawn,
        };
        let ours = self.is_negotiated(family, Some(slot.code), slot.offset);
        Ok(ours.then_some(routes))
    }

    /// RFC 4760 section 3; a next hop of the wrong length hides where the routes begin (RFC 7606
    /// section 7.11).
    fn mp_reach<'a>(
        &mut self,
        slot: Slot<'a>,
        scan: &Scan<'_>,
    ) -> Result<Option<Routes<'a>>, NotificationMessage> {
        let mut reader = Reader::new(slot.value, slot.offset);
        let family = self.family(&mut reader, slot)?;
        if !self.is_negotiated(family, Some(slot.code), slot.offset) {
            return Ok(None);
        }
        let offset = reader.offset();
        let len = reader.u8().unwrap_or(0);
        let Some(octets) = reader.bytes(usize::from(len)) else {
            let message = format!("next hop length {len} beyond the end of the attribute");
            return Err(self.reset_attribute(slot, offset, message));
        };
        let Some(next_hop) = next_hop::decode(family, octets, &self.ctx.extended_next_hop) else {
            let message = format!("next hop length {len} for family {family}");
            return Err(self.reset_attribute(slot, offset, message));
        };
        if reader.u8().is_none() {
            let message = "attribute cut off behind the next hop".to_owned();
            return Err(self.reset_attribute(slot, reader.offset(), message));
        }
        let counts = || !family.is_flowspec() || next_hop::redirects(scan.extended_communities());
        let next_hop = next_hop.filter(|_| counts());
        if let Some(next_hop) = next_hop {
            self.check_next_hop(slot, family, next_hop.addr);
        }
        Ok(Some(Routes {
            family,
            nlri: reader,
            attribute: Some(slot),
            said: Said::Reached(next_hop),
        }))
    }

    fn family(
        &mut self,
        reader: &mut Reader<'_>,
        slot: Slot<'_>,
    ) -> Result<Family, NotificationMessage> {
        match reader.array() {
            Some([a, b, safi]) => Ok(Family {
                afi: u16::from_be_bytes([a, b]),
                safi,
            }),
            None => {
                let message = format!("length {}", slot.value.len());
                Err(self.reset_attribute(slot, slot.offset, message))
            }
        }
    }

    /// Routes of a family that was not negotiated are ignored (RFC 4760 section 6).
    fn is_negotiated(
        &mut self,
        family: Family,
        attribute: Option<AttributeCode>,
        offset: usize,
    ) -> bool {
        let negotiated = self.ctx.families.contains(family);
        if !negotiated {
            let message = format!("routes of family {family}, which was not negotiated,");
            self.faults
                .add(attribute, offset, Disposition::AttributeDiscard, message);
        }
        negotiated
    }

    /// NEXT_HOP, which counts only for the NLRI field (RFC 4760 section 3).
    fn next_hop(&mut self, scan: &Scan<'_>) -> Option<IpAddr> {
        let slot = scan.next_hop?;
        let Ok(octets) = <[u8; 4]>::try_from(slot.value) else {
            let disposition = if scan.nlri.is_empty() {
                Disposition::AttributeDiscard
            } else {
                Disposition::TreatAsWithdraw
            };
            let message = format!("length {}", slot.value.len());
            self.faults
                .add(Some(slot.code), slot.offset, disposition, message);
            return None;
        };
        let next_hop = IpAddr::from(octets);
        if !scan.nlri.is_empty() {
            self.check_next_hop(slot, Family::IPV4_UNICAST, next_hop);
        }
        Some(next_hop)
    }

    /// RFC 4271 section 6.3: the address of a host.
    fn check_next_hop(&mut self, slot: Slot<'_>, family: Family, next_hop: IpAddr) {
        let is_right = match next_hop {
            // RFC 1122 section 3.2.1.3: neither this network, nor this host, nor reserved. Peers to
            // which such a route were reflected would end the session.
            IpAddr::V4(addr) if family == Family::IPV4_UNICAST => {
                !matches!(addr.octets(), [0 | 127 | 224..=255, ..])
            }
            IpAddr::V4(Ipv4Addr::BROADCAST) => false,
            _ => !next_hop.is_unspecified() && !next_hop.is_multicast(),
        };
        if !is_right {
            let disposition = Disposition::TreatAsWithdraw;
            let message = format!("next hop {next_hop}");
            self.faults
                .add(Some(slot.code), slot.offset, disposition, message);
        }
    }

    /// RFC 7606 section 3 (d). LOCAL_PREF, which is mandatory within an AS, has a default.
    fn check_mandatory(&mut self, scan: &Scan<'_>) {
        let has = |code| scan.slots.iter().any(|slot| slot.code == code);
        for (code, missing) in [
            (AttributeCode::ORIGIN, !has(AttributeCode::ORIGIN)),
            (AttributeCode::AS_PATH, !has(AttributeCode::AS_PATH)),
            (
                AttributeCode::NEXT_HOP,
                !scan.nlri.is_empty() && scan.next_hop.is_none(),
            ),
        ] {
            if missing {
                let (offset, message) = (scan.nlri.offset(), "attribute missing".to_owned());
                self.faults
                    .add(Some(code), offset, Disposition::TreatAsWithdraw, message);
            }
        }
    }

    /// Whether the attributes are in canonical form those of the last set of the batch: they need no
    /// second look. AS_PATH has its canonical form only with four octets.
    fn are_last(&self, scan: &Scan<'_>) -> bool {
        let last = self.batch.attributes.last();
        last.filter(|_| self.ctx.four_octet_as).is_some_and(|last| {
            let mut rest = last.wire();
            let equal = scan.slots.iter().all(|slot| slot.take_from(&mut rest));
            equal && rest.is_empty()
        })
    }

    /// The index of the attributes with `next_hop`.
    fn index(&mut self, shared: &mut Shared, next_hop: Option<NextHop>) -> u32 {
        let last = self.batch.attributes.last();
        let attributes = match last.filter(|_| shared.is_last) {
            Some(last) if last.next_hop_pair() == next_hop => last.clone(),
            Some(last) => Block::of(last).finish(next_hop, None),
            None => shared.block.finish(next_hop, last),
        };
        self.batch.push_attributes(attributes)
    }

    fn routes(
        &mut self,
        routes: Routes<'_>,
        shared: &mut Shared,
    ) -> Result<(), NotificationMessage> {
        let Routes {
            family,
            mut nlri,
            attribute,
            said,
        } = routes;
        let attributes = match said {
            Said::Reached(next_hop) if !nlri.is_empty() && !self.faults.withdraw() => {
                Some(self.index(shared, next_hop))
            }
            _ => None,
        };
        let form = wire::Form {
            family,
            has_path_id: self.ctx.add_path_receive.contains(family),
            is_withdrawn: matches!(said, Said::Withdrawn),
        };
        if form == wire::Form::IPV4
            && let Some(attributes) = attributes
        {
            // Tables of the Internet come by the million: past all that other families need.
            while let Some(prefix) = wire::take_ipv4(&mut nlri) {
                self.batch.events.push(RouteEvent::Reach {
                    nlri: Nlri::Ipv4(prefix),
                    data: PathData::default(),
                    attributes,
                });
            }
        }
        while !nlri.is_empty() {
            match wire::decode(form, &mut nlri) {
                Ok((nlri, data)) => self.batch.events.push(match attributes {
                    Some(attributes) => RouteEvent::Reach {
                        nlri,
                        data,
                        attributes,
                    },
                    None => RouteEvent::Withdraw {
                        nlri,
                        path_id: data.path_id,
                    },
                }),
                Err(error) if error.skippable => {
                    let code = attribute.map(|slot| slot.code);
                    let disposition = Disposition::TreatAsWithdraw;
                    self.faults
                        .add(code, error.offset, disposition, error.message);
                    if let Some((nlri, path_id)) = error.withdrawn.map(|known| *known) {
                        self.batch
                            .events
                            .push(RouteEvent::Withdraw { nlri, path_id });
                    }
                }
                Err(error) => return Err(self.reset_nlri(attribute, error)),
            }
        }
        Ok(())
    }

    /// RFC 7606 section 5.3, with the codes of RFC 4271 section 6.3.
    fn reset_nlri(
        &mut self,
        attribute: Option<Slot<'_>>,
        error: wire::NlriError,
    ) -> NotificationMessage {
        match attribute {
            Some(slot) => self.reset_attribute(slot, error.offset, error.message),
            None => {
                let notification = NotificationMessage::new(
                    codes::UPDATE_MESSAGE_ERROR,
                    codes::update::INVALID_NETWORK_FIELD,
                    Vec::new(),
                );
                self.faults
                    .reset(None, error.offset, error.message, notification)
            }
        }
    }

    fn reset_attribute(
        &mut self,
        slot: Slot<'_>,
        offset: usize,
        message: String,
    ) -> NotificationMessage {
        let mut data = Vec::new();
        push_attribute(&mut data, slot.flags, slot.code, slot.value);
        let notification = NotificationMessage::new(
            codes::UPDATE_MESSAGE_ERROR,
            codes::update::OPTIONAL_ATTRIBUTE_ERROR,
            data,
        );
        self.faults
            .reset(Some(slot.code), offset, message, notification)
    }
}

/// RFC 4724 section 2.
fn end_of_rib(scan: &Scan<'_>, unreach: Option<Routes<'_>>) -> Option<Family> {
    if !scan.has_attributes && scan.withdrawn.is_empty() && scan.nlri.is_empty() {
        return Some(Family::IPV4_UNICAST);
    }
    let unreach = unreach.filter(|routes| routes.nlri.is_empty())?;
    scan.is_only_mp_unreach().then_some(unreach.family)
}

/// Whether MP_REACH_NLRI has routes, of whatever family.
fn has_nlri(slot: Slot<'_>) -> bool {
    let next_hop_len = slot.value.get(3).copied().map(usize::from);
    next_hop_len.is_some_and(|len| slot.value.len() > 5 + len)
}
