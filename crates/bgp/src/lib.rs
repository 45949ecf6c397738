//! BGP without I/O: packets, the session state machine, UPDATE packing.
