//! Sockets and what goes over them: streams, TLS of both sides, content in memory or in a file, the
//! client connection to a server, pools of connections; and the clock. Which listeners there are,
//! which servers, and how an operator writes that down is left to others.

pub mod buffers;
pub mod clock;
pub mod content;
pub mod dial;
pub mod dns;
pub mod lock;
pub mod pool;
pub mod server;
pub mod slots;
mod spill;
pub mod stream;
pub mod tls;
