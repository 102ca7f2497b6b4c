//! Free ports on loopback.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Ports below those that the system hands out by itself to connections, so that none of these
/// takes a port between the moment it was found free and the moment a server listens on it.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A TCP port on 127.0.0.1 that nobody listens on. Not handed out twice by one process.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that start at the same time begin in different places.
    let start = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
    (0..COUNT)
        .map(|_| {
            let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + start;
            FIRST + u16::try_from(offset % u32::from(COUNT)).expect("invariant: below COUNT")
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port on loopback")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ports_are_free_and_differ() {
        let (one, two) = (free_port(), free_port());
        assert_ne!(one, two);
        // A process that another test starts in this moment shares the port that was tried, until
        // it has become the program that it is to be.
        let bind = || TcpListener::bind(("127.0.0.1", one)).ok();
        crate::wait_until("a free port", Duration::from_secs(5), bind);
    }
}
