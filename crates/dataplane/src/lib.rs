//! Makes the node match the desired dataplane: linux (netlink) and dummy.
