//! Changes of the communities of all kinds.

use super::AttributesBuilder;
use crate::community::{Community, LargeCommunity};
use crate::extended_community::{ExtendedCommunity, Ipv6ExtendedCommunity};

impl AttributesBuilder {
    /// Sets COMMUNITIES.
    pub fn communities(mut self, communities: Vec<Community>) -> Self {
        self.communities = communities;
        self
    }

    /// Adds a community, unless it is there.
    pub fn add_community(mut self, community: Community) -> Self {
        add(&mut self.communities, community);
        self
    }

    /// Keeps only the communities that `keep` wants.
    pub fn retain_communities(mut self, mut keep: impl FnMut(Community) -> bool) -> Self {
        self.communities.retain(|community| keep(*community));
        self
    }

    /// Sets LARGE_COMMUNITIES.
    pub fn large_communities(mut self, communities: Vec<LargeCommunity>) -> Self {
        self.large_communities = communities;
        self
    }

    /// Adds a large community, unless it is there.
    pub fn add_large_community(mut self, community: LargeCommunity) -> Self {
        add(&mut self.large_communities, community);
        self
    }

    /// Keeps only the large communities that `keep` wants.
    pub fn retain_large_communities(
        mut self,
        mut keep: impl FnMut(LargeCommunity) -> bool,
    ) -> Self {
        self.large_communities.retain(|community| keep(*community));
        self
    }

    /// Sets EXTENDED_COMMUNITIES.
    pub fn extended_communities(mut self, communities: Vec<ExtendedCommunity>) -> Self {
        self.extended_communities = communities;
        self
    }

    /// Puts an extended community behind those that are there, of which it may be one.
    pub fn push_extended_community(mut self, community: ExtendedCommunity) -> Self {
        self.extended_communities.push(community);
        self
    }

    /// Adds an extended community, unless it is there.
    pub fn add_extended_community(mut self, community: ExtendedCommunity) -> Self {
        add(&mut self.extended_communities, community);
        self
    }

    /// Keeps only the extended communities that `keep` wants.
    pub fn retain_extended_communities(
        mut self,
        mut keep: impl FnMut(ExtendedCommunity) -> bool,
    ) -> Self {
        self.extended_communities
            .retain(|community| keep(*community));
        self
    }

    /// Sets IPV6_EXTENDED_COMMUNITIES.
    pub fn ipv6_extended_communities(mut self, communities: Vec<Ipv6ExtendedCommunity>) -> Self {
        self.ipv6_extended_communities = communities;
        self
    }

    /// Adds an IPv6 extended community, unless it is there.
    pub fn add_ipv6_extended_community(mut self, community: Ipv6ExtendedCommunity) -> Self {
        add(&mut self.ipv6_extended_communities, community);
        self
    }

    /// Keeps only the IPv6 extended communities that `keep` wants.
    pub fn retain_ipv6_extended_communities(
        mut self,
        mut keep: impl FnMut(Ipv6ExtendedCommunity) -> bool,
    ) -> Self {
        self.ipv6_extended_communities
            .retain(|community| keep(*community));
        self
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttributeCode, Attributes};

    #[test]
    fn communities_of_all_kinds_are_added_and_taken_out() {
        let rt: ExtendedCommunity = "target:64512:1".parse().unwrap();
        let rt6: Ipv6ExtendedCommunity = "target:[2001:db8::1]:1".parse().unwrap();
        let large = LargeCommunity::new(64512, 1, 2);
        let set = Attributes::builder()
            .add_community(Community::NO_EXPORT)
            .add_community(Community::NO_EXPORT)
            .add_community(Community::new(64512, 1))
            .add_large_community(large)
            .add_large_community(large)
            .add_extended_community(rt)
            .add_extended_community(rt)
            .add_ipv6_extended_community(rt6)
            .add_ipv6_extended_community(rt6)
            .build();
        let communities: Vec<_> = set.communities().collect();
        assert_eq!(
            communities,
            [Community::NO_EXPORT, Community::new(64512, 1)]
        );
        assert!(set.has_community(Community::NO_EXPORT));
        assert_eq!(set.large_communities().collect::<Vec<_>>(), [large]);
        assert_eq!(set.extended_communities().collect::<Vec<_>>(), [rt]);
        assert_eq!(set.ipv6_extended_communities().collect::<Vec<_>>(), [rt6]);
        assert_eq!(set.to_builder().build(), set);
        assert_eq!(
            set.to_string(),
            "origin igp, communities no-export 64512:1, large-communities 64512:1:2, \
             ext-communities target:64512:1, ipv6-ext-communities target:[2001:db8::1]:1"
        );
        let fewer = set
            .to_builder()
            .retain_communities(|community| community.asn() == 64512)
            .retain_large_communities(|_| false)
            .retain_extended_communities(|_| false)
            .retain_ipv6_extended_communities(|_| false)
            .build();
        let codes: Vec<_> = fewer.raw().map(|raw| raw.code).collect();
        assert_eq!(
            codes,
            [
                AttributeCode::ORIGIN,
                AttributeCode::AS_PATH,
                AttributeCode::COMMUNITIES
            ]
        );
        assert_eq!(fewer.communities().count(), 1);
    }
}
