//! Bars for whatever takes longer than a moment. Nothing is drawn where no terminal reads.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `total` steps, or a spinner that counts where the total is not known.
pub(crate) fn bar(what: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg:>12} [{bar:32}] {human_pos}/{human_len} {per_sec} {eta}",
        ),
        None => (ProgressBar::new_spinner(), "{msg:>12} {spinner} {human_pos} {per_sec} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template)
        .expect("invariant: the templates above are valid")
        .progress_chars("=> ");
    bar.set_style(style);
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
