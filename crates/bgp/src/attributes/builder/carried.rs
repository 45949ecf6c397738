//! Attributes that are kept as octets: those that are mostly passed on, and unknown ones.

use chanter_types::Asn;

use super::super::{FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_PARTIAL, FLAG_TRANSITIVE};
use super::{AttributeCode, AttributesBuilder, Carried, VALUE_LEN_MAX, aigp, is_carried};
use super::{PrefixSid, TunnelEncapsulation};

impl AttributesBuilder {
    /// Sets TUNNEL_ENCAPSULATION, or leaves it out.
    pub fn tunnel_encapsulation<'t>(
        self,
        tunnels: impl Into<Option<&'t TunnelEncapsulation>>,
    ) -> Self {
        let value = tunnels.into().map(|tunnels| {
            let mut value = Vec::new();
            tunnels.encode(&mut value);
            value
        });
        self.set(AttributeCode::TUNNEL_ENCAPSULATION, value)
    }

    /// Sets PREFIX_SID, or leaves it out.
    pub fn prefix_sid<'s>(self, sid: impl Into<Option<&'s PrefixSid>>) -> Self {
        let value = sid.into().map(|sid| {
            let mut value = Vec::new();
            sid.encode(&mut value);
            value
        });
        self.set(AttributeCode::PREFIX_SID, value)
    }

    /// Sets AIGP to this metric, or leaves it out.
    pub fn aigp(self, metric: impl Into<Option<u64>>) -> Self {
        let value = metric.into().map(|metric| aigp::encode(metric).to_vec());
        self.set(AttributeCode::AIGP, value)
    }

    /// Sets ONLY_TO_CUSTOMER, or leaves it out.
    pub fn only_to_customer(self, asn: impl Into<Option<Asn>>) -> Self {
        let value = asn.into().map(|asn| asn.0.to_be_bytes().to_vec());
        self.set(AttributeCode::ONLY_TO_CUSTOMER, value)
    }

    /// Adds an attribute of a type that this crate does not know, in place of one of the same type.
    /// Known types are not taken this way.
    pub fn unknown(self, flags: u8, code: AttributeCode, value: &[u8]) -> Self {
        if code.is_known() {
            return self;
        }
        self.carry(flags, code, value)
    }

    /// Leaves the attribute of an unknown type out.
    pub fn without_unknown(mut self, code: AttributeCode) -> Self {
        self.carried
            .retain(|carried| carried.code != code || carried.code.is_known());
        self
    }

    /// Leaves out unknown attributes that are not transitive: they are not passed on (RFC 4271
    /// section 5). Received sets have none.
    pub fn drop_non_transitive_unknown(mut self) -> Self {
        self.carried
            .retain(|carried| carried.code.is_known() || carried.flags & FLAG_TRANSITIVE != 0);
        self
    }

    /// Marks unknown attributes as partial, as they must be when passed on (RFC 4271 section 5).
    /// In received sets they are.
    pub fn mark_unknown_partial(mut self) -> Self {
        let unknown = self.carried.iter_mut();
        for unknown in unknown.filter(|carried| !carried.code.is_known()) {
            unknown.flags |= FLAG_PARTIAL;
        }
        self
    }

    /// Sets a known attribute, or leaves it out.
    fn set(mut self, code: AttributeCode, value: Option<Vec<u8>>) -> Self {
        debug_assert!(is_carried(code), "{code} has a field of its own");
        match value {
            Some(value) => {
                let flags = code.flags().unwrap_or(FLAG_OPTIONAL);
                self.carry(flags, code, &value)
            }
            None => {
                self.carried.retain(|carried| carried.code != code);
                self
            }
        }
    }

    fn carry(mut self, flags: u8, code: AttributeCode, value: &[u8]) -> Self {
        let carried = Carried {
            flags: flags & !FLAG_EXTENDED_LENGTH,
            code,
            value: value.get(..VALUE_LEN_MAX).unwrap_or(value).into(),
        };
        match self
            .carried
            .binary_search_by_key(&code, |carried| carried.code)
        {
            Ok(at) => self.carried[at] = carried,
            Err(at) => self.carried.insert(at, carried),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attributes, PrefixSidTlv, Tunnel, TunnelSubTlv, encapsulation};

    #[test]
    fn carried_attributes_are_set_read_and_left_out() {
        let tunnels = TunnelEncapsulation {
            tunnels: vec![Tunnel {
                tunnel_type: encapsulation::VXLAN,
                sub_tlvs: vec![TunnelSubTlv::EgressEndpoint(Some(
                    "192.0.2.1".parse().unwrap(),
                ))],
            }],
        };
        let sid = PrefixSid {
            tlvs: vec![PrefixSidTlv::LabelIndex { flags: 0, index: 7 }],
        };
        let set = Attributes::builder()
            .only_to_customer(Asn(64512))
            .aigp(5)
            .prefix_sid(&sid)
            .tunnel_encapsulation(&tunnels)
            .unknown(0xc0, AttributeCode(99), &[1])
            .mark_unknown_partial()
            .build();
        assert_eq!(set.only_to_customer(), Some(Asn(64512)));
        assert_eq!(set.aigp(), Some(5));
        assert_eq!(set.prefix_sid(), Some(sid));
        assert_eq!(set.tunnel_encapsulation(), Some(tunnels));
        let flags: Vec<_> = set.raw().map(|raw| (raw.code.0, raw.flags)).collect();
        assert_eq!(
            flags,
            [
                (1, 0x40),
                (2, 0x40),
                (23, 0xc0),
                (26, 0x80),
                (35, 0xc0),
                (40, 0xc0),
                (99, 0xe0)
            ]
        );
        assert_eq!(
            set.to_string(),
            "origin igp, tunnel-encapsulation vxlan endpoint 192.0.2.1, prefix-sid label-index 7, \
             aigp 5, only-to-customer 64512, attribute 99 0x01"
        );
        assert_eq!(set.to_builder().build(), set);
        let bare = set
            .to_builder()
            .only_to_customer(None)
            .aigp(None)
            .prefix_sid(None)
            .tunnel_encapsulation(None)
            .without_unknown(AttributeCode(99))
            .build();
        assert_eq!(bare, Attributes::builder().build());
    }
}
