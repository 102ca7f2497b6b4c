//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// Where the sequencer takes the time from: blocks have wall-clock times, sleeping does not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    System,
    /// Runs with tokio's clock, which tests can stop.
    #[cfg(test)]
    Tokio {
        start: tokio::time::Instant,
        unix: Duration,
    },
}

impl Clock {
    /// Time since 1970.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            #[cfg(test)]
            Self::Tokio { start, unix } => *unix + start.elapsed(),
        }
    }

    /// Waits until a time since 1970. The clock may be set meanwhile, so it is looked at again now
    /// and then.
    pub(crate) async fn sleep_until(&self, time: Duration) {
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        loop {
            let left = time.saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            sleep(left.min(LOOK_AGAIN)).await;
        }
    }
}
