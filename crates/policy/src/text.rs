//! Conditions and actions as operators read them.

use std::fmt::{self, Display};

use crate::action::{Action, Adjust, CommunityEdit, PrependAs};
use crate::community::Communities;
use crate::condition::Condition;

/// So many values of a list are shown.
const SHOWN: usize = 8;

/// `name a or b or c`, the rest of a long list by its number.
fn any<T: Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    items: impl ExactSizeIterator<Item = T>,
) -> fmt::Result {
    let more = items.len().saturating_sub(SHOWN);
    f.write_str(name)?;
    if items.len() == 0 {
        return f.write_str(" none");
    }
    for (index, item) in items.take(SHOWN).enumerate() {
        let or = if index == 0 { " " } else { " or " };
        write!(f, "{or}{item}")?;
    }
    if more > 0 {
        write!(f, " or one of {more} more")?;
    }
    Ok(())
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Prefix(set) => any(f, "prefix", set.ranges().iter()),
            Condition::Family(families) => any(f, "family", families.iter()),
            Condition::Community(set) => any(f, "community", set.patterns().iter()),
            Condition::AsPath(set) => any(f, "as-path", set.patterns().iter()),
            Condition::AsPathLength(numbers) => any(f, "as-path length", numbers.iter()),
            Condition::AsPathContains(asns) => any(f, "as-path contains", asns.iter()),
            Condition::NeighborAs(asns) => any(f, "neighbor-as", asns.iter()),
            Condition::OriginAs(asns) => any(f, "origin-as", asns.iter()),
            Condition::PeerAs(asns) => any(f, "peer-as", asns.iter()),
            Condition::NextHop(set) => any(f, "next-hop", set.ranges().iter().map(|r| r.prefix())),
            Condition::LocalPref(numbers) => any(f, "local-pref", numbers.iter()),
            Condition::Med(numbers) => any(f, "med", numbers.iter()),
            Condition::Origin(origins) => any(f, "origin", origins.iter()),
            Condition::EvpnType(types) => any(f, "evpn route type", types.iter()),
            Condition::Rd(patterns) => any(f, "rd", patterns.iter()),
            Condition::Vni(numbers) => any(f, "vni", numbers.iter()),
            Condition::Label(numbers) => any(f, "label", numbers.iter()),
        }
    }
}

impl Display for Adjust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Adjust::Set(number) => write!(f, "{number}"),
            Adjust::Add(more) => write!(f, "+{more}"),
            Adjust::Subtract(less) => write!(f, "-{less}"),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::LocalPref(adjust) => write!(f, "local-pref {adjust}"),
            Action::Med(adjust) => write!(f, "med {adjust}"),
            Action::RemoveMed => f.write_str("med none"),
            Action::Origin(origin) => write!(f, "origin {origin}"),
            Action::NextHop(next_hop) => write!(f, "next-hop {next_hop}"),
            Action::NextHopSelf => f.write_str("next-hop self"),
            Action::Prepend { asn, times } => {
                match asn {
                    PrependAs::Local => f.write_str("prepend our AS")?,
                    PrependAs::Peer => f.write_str("prepend the peer's AS")?,
                    PrependAs::Number(asn) => write!(f, "prepend {asn}")?,
                }
                match times {
                    1 => Ok(()),
                    times => write!(f, " {times} times"),
                }
            }
            Action::Community(edit) => edit.fmt(f),
        }
    }
}

impl Display for CommunityEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommunityEdit::Add(more) => write!(f, "add communities{more}"),
            CommunityEdit::Remove(set) => any(f, "remove communities", set.patterns().iter()),
            CommunityEdit::Set(those) => write!(f, "set communities{those}"),
        }
    }
}

impl Display for Communities {
    /// A space before each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.standard {
            write!(f, " {one}")?;
        }
        for one in &self.large {
            write!(f, " {one}")?;
        }
        for one in &self.extended {
            write!(f, " {one}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chanter_types::Asn;

    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let asns = (1..=10).map(Asn).collect();
        assert_eq!(
            Condition::PeerAs(asns).to_string(),
            "peer-as 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or one of 2 more"
        );
        let none = Condition::Prefix(Arc::default());
        assert_eq!(none.to_string(), "prefix none");
    }

    #[test]
    fn actions_read_as_they_are_written() {
        let mut communities = Communities::default();
        for text in ["64512:1", "64512:1:2", "target:64512:1", "blackhole"] {
            communities.push(text).unwrap();
        }
        let add = Action::Community(CommunityEdit::Add(communities));
        assert_eq!(
            add.to_string(),
            "add communities 64512:1 blackhole 64512:1:2 target:64512:1"
        );
        let asn = PrependAs::Local;
        assert_eq!(
            Action::Prepend { asn, times: 3 }.to_string(),
            "prepend our AS 3 times"
        );
        assert_eq!(Action::Med(Adjust::Subtract(5)).to_string(), "med -5");
    }
}
