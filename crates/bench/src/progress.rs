//! Progress bars on standard error. They draw nothing unless that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

const TICK: Duration = Duration::from_millis(250);

/// A bar for the creation of accounts.
pub(crate) fn creation(accounts: u64) -> ProgressBar {
    bar(accounts, "creating accounts [{bar:30}] {pos} of {len}, {elapsed} passed, {eta} left")
}

/// Waits for `length` and shows the time passed and the current rate of what `count` counts.
pub(crate) async fn wait(what: &'static str, length: Duration, count: impl Fn() -> u64) {
    let began = Instant::now();
    let bar = bar(length.as_millis() as u64, "{prefix} [{bar:30}] {msg}").with_prefix(what);
    let mut last = (began, count());
    while let Some(left) = length.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        sleep(left.min(TICK)).await;
        let now = (Instant::now(), count());
        let seconds = (now.0 - last.0).as_secs_f64();
        let rate = (now.1 - last.1) as f64 / seconds.max(f64::EPSILON);
        let passed = began.elapsed().min(length);
        bar.set_position(passed.as_millis() as u64);
        bar.set_message(format!(
            "{:.0} s passed, {:.0} s left, {rate:.0} transfers/s",
            passed.as_secs_f64(),
            (length - passed).as_secs_f64(),
        ));
        last = now;
    }
    bar.finish_and_clear();
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    ProgressBar::new(length).with_style(style)
}
