//! Waiting for an archive without being a nuisance.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wire::{Checked, ErrorCode, RequestId, RequestStatus};

use crate::{Client, Error};

/// Failures in a row after which the server is taken for gone.
const PATIENCE: u32 = 6;

impl Client {
    /// Checks until the archive is ready, ever more seldom, and no sooner than a 429 allows. Faults of the network and of
    /// the server are waited out; a request that ends without an archive is [`Error::Ended`].
    pub async fn wait(&self, access_token: &str, id: RequestId, limit: Duration) -> Result<Checked, Error> {
        match timeout(limit, self.poll_until_ready(access_token, id)).await {
            Ok(result) => result,
            Err(_) => Err(Error::NotReady(limit)),
        }
    }

    async fn poll_until_ready(&self, access_token: &str, id: RequestId) -> Result<Checked, Error> {
        let (mut pause, most) = self.poll;
        let mut failures = 0;
        loop {
            match self.check(access_token, id).await {
                Ok(checked) => {
                    failures = 0;
                    match checked.status {
                        Some(RequestStatus::Downloading) => return Ok(checked),
                        Some(ended @ (RequestStatus::Expired | RequestStatus::Cancelled)) => return Err(Error::Ended(ended)),
                        Some(RequestStatus::Pending) => {}
                        None => {
                            return Err(Error::Unexpected { status: 200, what: "an answer to check without a status".into() });
                        }
                    }
                    sleep(pause).await;
                    pause = (pause * 3 / 2).min(most);
                }
                Err(error) => {
                    if error.is(ErrorCode::RateLimitExceeded) {
                        // No fault, and the limit ends it: come back when the server says, or ever more seldom.
                        let wished = error.refusal().and_then(|refusal| refusal.retry_after);
                        sleep(wished.unwrap_or(pause).max(self.poll.0)).await;
                        pause = (pause * 3 / 2).min(most);
                        continue;
                    }
                    failures += 1;
                    if !error.is_transient() || failures >= PATIENCE {
                        return Err(error);
                    }
                    sleep(self.pause_after(&error, failures)).await;
                }
            }
        }
    }

    /// How long to pause before the same call is sent again: twice as long each time, or as the server wishes.
    pub(crate) fn pause_after(&self, error: &Error, failures: u32) -> Duration {
        let wished = error.refusal().and_then(|refusal| refusal.retry_after).unwrap_or_default();
        wished.max(self.back_off * 2_u32.pow(failures.saturating_sub(1).min(6)))
    }
}
