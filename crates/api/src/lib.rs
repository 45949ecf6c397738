//! REST: bagpipe-bgp's API and looking glass, the native API, metrics.
