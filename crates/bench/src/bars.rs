//! Progress of what takes longer than a moment. Nothing is drawn where no terminal reads.

use std::{borrow::Cow, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `total` steps.
pub(crate) fn bar(what: impl Into<Cow<'static, str>>, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>28} [{bar:32}] {pos}/{len} {eta}")
        .expect("invariant: the template above is valid")
        .progress_chars("=> ");
    ProgressBar::new(total).with_style(style).with_message(what)
}

/// For what has no steps that could be counted.
pub(crate) fn spinner(what: impl Into<Cow<'static, str>>) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>28} {spinner} {elapsed}")
        .expect("invariant: the template above is valid");
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
