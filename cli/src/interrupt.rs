//! Ctrl-C and SIGTERM: the first asks the operation to stop and clean up, the second ends msb.

use msb_host::cancel::Cancel;

/// Returns a flag that is raised by the first signal. Where no handler can be set, signals do
/// what they always do.
pub(crate) fn cancel_on_signal() -> Cancel {
    let cancel = Cancel::default();
    let raised = cancel.clone();
    let _ = ctrlc::set_handler(move || {
        if raised.is_cancelled() {
            #[expect(clippy::exit, reason = "the user insists")]
            std::process::exit(130);
        }
        raised.cancel();
    });
    cancel
}
