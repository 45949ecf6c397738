//! Runs the engine on its own thread: bounded queues, timers, waiters.
