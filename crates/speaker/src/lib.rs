//! BGP sockets: listen, connect, framing; drives the session state machine.
