//! Work that may hang: on a thread of its own, which is left behind when it does.

use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It did not come in time.
    Late,
    /// There is no thread left, or it panicked.
    Broken,
}

/// Runs `work` on a thread of its own and waits for it for a limited time. A thread that does not
/// come back keeps nothing of ours but itself, and does not hold up the end of the process.
pub(super) async fn off_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("plugin-host".to_owned())
        .spawn(move || {
            let _ = sender.send(work());
        })
        .map_err(|_| NoAnswer::Broken)?;
    match tokio::time::timeout(limit, receiver).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(NoAnswer::Broken),
        Err(_) => Err(NoAnswer::Late),
    }
}
