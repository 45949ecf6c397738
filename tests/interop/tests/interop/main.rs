//! Chanter beside the programs that it meets in the field.

mod bad_input;
mod bagpipe_clients;
mod evpn_with_bagpipe;
mod evpn_with_frr;
mod evpn_with_gobgp;
mod families_with_bird;
mod families_with_exabgp;
mod families_with_frr;
mod families_with_gobgp;
mod lab_command;
mod malformed_live;
mod peers_among_themselves;
mod policies_with_frr;
mod restart;
