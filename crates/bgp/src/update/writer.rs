//! UPDATE messages to send, each as full as it may be.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use super::as4::{self, Value};
use super::next_hop;
use crate::attributes::{
    AttributeCode, Attributes, FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_TRANSITIVE, NextHop,
    RawAttribute, push_attribute,
};
use crate::context::CodecContext;
use crate::family::Family;
use crate::message::{HEADER_LEN, MESSAGE_LEN_EXTENDED, MessageType, begin, end};
use crate::nlri::{Nlri, PathData, wire};

/// Appends UPDATE messages to a buffer. No message is longer than the session allows.
///
/// MP_REACH_NLRI and MP_UNREACH_NLRI come first, so that what is malformed behind them cannot hide
/// the routes (RFC 7606 section 5.1); other attributes follow in ascending order of type.
#[derive(Debug)]
pub struct UpdateWriter<'a> {
    ctx: &'a CodecContext,
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> UpdateWriter<'a> {
    /// Writes behind what `out` holds.
    pub fn new(ctx: &'a CodecContext, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { ctx, out, start }
    }

    /// The octets written so far.
    pub fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many octets of `budget` are left.
    pub fn room(&self, budget: usize) -> usize {
        budget.saturating_sub(self.len())
    }

    /// Advertises routes of `family`, all with the same attributes; gives how many were written.
    ///
    /// None is if the attributes have no next hop, or one that the session cannot carry (RFC 8950
    /// section 4), or leave no room for a route within the length of a message: such routes cannot
    /// be advertised on this session (RFC 8654 section 4), and what was advertised of the same
    /// destination before has to be withdrawn. FlowSpec needs no next hop, and is given one only where
    /// it redirects to it.
    pub fn reach<'n>(
        &mut self,
        family: Family,
        attributes: &Attributes,
        routes: impl IntoIterator<Item = (&'n Nlri, PathData)>,
    ) -> usize {
        // IPv4 routes over IPv4 go in the field of their own, which every peer knows.
        let extended = &self.ctx.extended_next_hop;
        let next_hop = attributes.next_hop_pair().filter(|_| {
            !family.is_flowspec() || next_hop::redirects(attributes.extended_communities())
        });
        let classic = match next_hop.map(|next_hop| next_hop.addr) {
            Some(IpAddr::V4(next_hop)) if family == Family::IPV4_UNICAST => Some(next_hop),
            Some(next_hop) if next_hop::can_be_sent(family, next_hop, extended) => None,
            _ if family.is_flowspec() => None,
            _ => return 0,
        };
        let shared = encode_attributes(attributes, classic, self.ctx);
        let layout = match classic {
            Some(_) => Layout::Nlri { shared: &shared },
            None => Layout::MpReach {
                family,
                next_hop,
                shared: &shared,
            },
        };
        self.pack(&layout, self.form(family, false), routes)
    }

    /// Withdraws routes of `family`; gives how many.
    ///
    /// Of the [`PathData`] only the path identifier is used, where ADD-PATH is in use.
    pub fn withdraw<'n>(
        &mut self,
        family: Family,
        routes: impl IntoIterator<Item = (&'n Nlri, PathData)>,
    ) -> usize {
        let layout = if family == Family::IPV4_UNICAST {
            Layout::Withdrawn
        } else {
            Layout::MpUnreach { family }
        };
        self.pack(&layout, self.form(family, true), routes)
    }

    fn form(&self, family: Family, is_withdrawn: bool) -> wire::Form {
        wire::Form {
            family,
            has_path_id: self.ctx.add_path_send.contains(family),
            is_withdrawn,
        }
    }

    /// Marks the end of the initial update of `family` (RFC 4724 section 2).
    pub fn end_of_rib(&mut self, family: Family) {
        let layout = if family == Family::IPV4_UNICAST {
            Layout::Withdrawn
        } else {
            Layout::MpUnreach { family }
        };
        let start = layout.begin(self.out);
        layout.end(start, self.out);
    }

    fn pack<'n>(
        &mut self,
        layout: &Layout<'_>,
        form: wire::Form,
        routes: impl IntoIterator<Item = (&'n Nlri, PathData)>,
    ) -> usize {
        let message_len_max = self.ctx.message_len_max.min(MESSAGE_LEN_EXTENDED);
        let len_max = message_len_max.saturating_sub(layout.tail_len());
        let mut open: Option<usize> = None;
        let mut written = 0;
        for (nlri, data) in routes {
            if let Some(start) = open {
                let before = self.out.len();
                wire::encode(form, nlri, data, self.out);
                if self.out.len() - start <= len_max {
                    written += 1;
                    continue;
                }
                self.out.truncate(before);
                layout.end(start, self.out);
            }
            let start = layout.begin(self.out);
            wire::encode(form, nlri, data, self.out);
            let fits = self.out.len() - start <= len_max;
            if fits {
                written += 1;
            } else {
                self.out.truncate(start);
            }
            open = fits.then_some(start);
        }
        if let Some(start) = open {
            layout.end(start, self.out);
        }
        written
    }
}

/// Where routes stand in an UPDATE, and what is around them.
enum Layout<'s> {
    /// In the NLRI field, behind the attributes.
    Nlri { shared: &'s [u8] },
    /// In the Withdrawn Routes field.
    Withdrawn,
    /// In MP_REACH_NLRI, before the other attributes.
    MpReach {
        family: Family,
        next_hop: Option<NextHop>,
        shared: &'s [u8],
    },
    /// In MP_UNREACH_NLRI, the only attribute.
    MpUnreach { family: Family },
}

/// From the begin of the message: the length of withdrawn routes, of attributes, and the first
/// attribute.
const WITHDRAWN_LEN: usize = HEADER_LEN;
const ATTRIBUTES_LEN: usize = WITHDRAWN_LEN + 2;
const FIRST_ATTRIBUTE: usize = ATTRIBUTES_LEN + 2;
/// The octets of flags, type and a length of two octets.
const ATTRIBUTE_HEAD_LEN: usize = 4;

impl Layout<'_> {
    /// Writes what comes before the routes; gives where the message begins.
    fn begin(&self, out: &mut Vec<u8>) -> usize {
        let start = begin(out, MessageType::Update);
        out.extend([0, 0]);
        match self {
            Layout::Withdrawn => {}
            Layout::Nlri { shared } => {
                out.extend(u16_of(shared.len()));
                out.extend_from_slice(shared);
            }
            Layout::MpReach {
                family, next_hop, ..
            } => {
                begin_mp(AttributeCode::MP_REACH_NLRI, *family, out);
                next_hop::encode(*family, *next_hop, out);
                out.push(0);
            }
            Layout::MpUnreach { family } => begin_mp(AttributeCode::MP_UNREACH_NLRI, *family, out),
        }
        start
    }

    /// The octets that [`Layout::end`] adds.
    fn tail_len(&self) -> usize {
        match self {
            Layout::Nlri { .. } | Layout::MpUnreach { .. } => 0,
            Layout::Withdrawn => 2,
            Layout::MpReach { shared, .. } => shared.len(),
        }
    }

    /// Writes what comes after the routes, and the lengths.
    fn end(&self, start: usize, out: &mut Vec<u8>) {
        match self {
            Layout::Nlri { .. } => {}
            Layout::Withdrawn => {
                set_len(out, start + WITHDRAWN_LEN, start + ATTRIBUTES_LEN);
                out.extend([0, 0]);
            }
            Layout::MpReach { shared, .. } => {
                end_mp(start, out);
                out.extend_from_slice(shared);
                set_len(out, start + ATTRIBUTES_LEN, start + FIRST_ATTRIBUTE);
            }
            Layout::MpUnreach { .. } => {
                end_mp(start, out);
                set_len(out, start + ATTRIBUTES_LEN, start + FIRST_ATTRIBUTE);
            }
        }
        end(out, start);
    }
}

fn begin_mp(code: AttributeCode, family: Family, out: &mut Vec<u8>) {
    let [afi_high, afi_low] = family.afi.to_be_bytes();
    let attributes_len = [0, 0];
    out.extend(attributes_len);
    out.extend([FLAG_OPTIONAL | FLAG_EXTENDED_LENGTH, code.0, 0, 0]);
    out.extend([afi_high, afi_low, family.safi]);
}

fn end_mp(start: usize, out: &mut [u8]) {
    let value = start + FIRST_ATTRIBUTE + ATTRIBUTE_HEAD_LEN;
    set_len(out, value - 2, value);
}

/// Sets the two octets at `at` to the length of what begins at `from` and ends here.
fn set_len(out: &mut [u8], at: usize, from: usize) {
    let len = u16_of(out.len() - from);
    out[at..at + 2].copy_from_slice(&len);
}

fn u16_of(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

/// All attributes but MP_REACH_NLRI as this session wants them, in ascending order of type.
fn encode_attributes<'s>(
    attributes: &'s Attributes,
    next_hop: Option<Ipv4Addr>,
    ctx: &CodecContext,
) -> Cow<'s, [u8]> {
    if ctx.four_octet_as && !ctx.ebgp {
        return match next_hop {
            None => Cow::Borrowed(attributes.wire()),
            Some(next_hop) => Cow::Owned(with_next_hop(attributes, next_hop)),
        };
    }
    let mut session = SessionAttributes::new(attributes, next_hop, ctx);
    let mut out = Vec::with_capacity(attributes.wire().len() + 16);
    for attribute in attributes
        .raw()
        .filter(|raw| !ctx.ebgp || !raw.code.is_internal())
    {
        session.push_added(Some(attribute.code), &mut out);
        let value = match attribute.code {
            AttributeCode::AS_PATH => session.as_path.as_deref(),
            AttributeCode::AGGREGATOR => session.aggregator.as_deref(),
            _ => None,
        };
        push_attribute(
            &mut out,
            attribute.flags,
            attribute.code,
            value.unwrap_or(attribute.value),
        );
    }
    session.push_added(None, &mut out);
    Cow::Owned(out)
}

/// All attributes as they are, and NEXT_HOP in its place.
fn with_next_hop(attributes: &Attributes, next_hop: Ipv4Addr) -> Vec<u8> {
    let before: usize = attributes
        .raw()
        .take_while(|raw| raw.code < AttributeCode::NEXT_HOP)
        .map(|raw| {
            let is_extended = raw.flags & FLAG_EXTENDED_LENGTH != 0;
            raw.value.len() + if is_extended { 4 } else { 3 }
        })
        .sum();
    let (before, behind) = attributes.wire().split_at(before);
    let mut out = Vec::with_capacity(attributes.wire().len() + 7);
    out.extend_from_slice(before);
    let value = next_hop.octets();
    push_attribute(&mut out, FLAG_TRANSITIVE, AttributeCode::NEXT_HOP, &value);
    out.extend_from_slice(behind);
    out
}

/// Attributes that the session adds or changes.
struct SessionAttributes {
    /// To be added, by type in descending order.
    added: Vec<(AttributeCode, u8, Value)>,
    /// AS_PATH with two-octet AS numbers.
    as_path: Option<Value>,
    /// AGGREGATOR with a two-octet AS number.
    aggregator: Option<Value>,
}

impl SessionAttributes {
    fn new(attributes: &Attributes, next_hop: Option<Ipv4Addr>, ctx: &CodecContext) -> Self {
        let mut session = Self {
            added: Vec::new(),
            as_path: None,
            aggregator: None,
        };
        if !ctx.four_octet_as {
            let optional_transitive = FLAG_OPTIONAL | FLAG_TRANSITIVE;
            let raw = attributes
                .raw()
                .find(|raw| raw.code == AttributeCode::AGGREGATOR);
            if let Some(RawAttribute { value, flags, .. }) = raw {
                let (narrow, wide) = as4::narrow_aggregator(value);
                session.aggregator = Some(narrow);
                let wide = wide.map(|wide| (AttributeCode::AS4_AGGREGATOR, flags, wide));
                session.added.extend(wide);
            }
            let (narrow, wide) = as4::narrow_path(attributes.as_path());
            session.as_path = Some(narrow);
            let wide = wide.map(|wide| (AttributeCode::AS4_PATH, optional_transitive, wide));
            session.added.extend(wide);
        }
        let next_hop = next_hop.map(|addr| Value::from_slice(&addr.octets()));
        let next_hop = next_hop.map(|value| (AttributeCode::NEXT_HOP, FLAG_TRANSITIVE, value));
        session.added.extend(next_hop);
        session
    }

    /// Writes the added attributes whose type is below `before`.
    fn push_added(&mut self, before: Option<AttributeCode>, out: &mut Vec<u8>) {
        while let Some((code, flags, value)) = self
            .added
            .pop_if(|(code, ..)| before.is_none_or(|before| *code < before))
        {
            push_attribute(out, flags, code, &value);
        }
    }
}
