//! Progress of what takes longer than a moment. Nothing is drawn where no terminal reads.

use std::borrow::Cow;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `total` steps.
pub(crate) fn bar(what: impl Into<Cow<'static, str>>, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>28} [{bar:32}] {pos}/{len} {eta}")
        .expect("invariant: the template above is valid")
        .progress_chars("=> ");
    ProgressBar::new(total).with_style(style).with_message(what)
}
