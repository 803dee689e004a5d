//! Environments that nobody has used for a while rest, and are woken by whoever uses them next.

use std::time::Duration;

use antiphon_wire::EnvironmentId;
use tokio::sync::OwnedRwLockReadGuard;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::failure::{Failure, Outcome, blocking};
use crate::lease::{PATIENCE, in_use};
use crate::{Environments, earlier, place, resting};

/// A workspace may have so many times its bytes as an archive, since holes are not kept in one.
const FACTOR: u64 = 16;
/// Between two looks at an environment that somebody else may be waking.
const PAUSE: Duration = Duration::from_millis(20);

/// That somebody looks into an environment: meanwhile it is not put to rest.
pub(crate) type Looking = OwnedRwLockReadGuard<()>;

impl Environments {
    /// Puts to rest what nobody uses. What cannot be, stays awake.
    pub(crate) async fn rest_idle(&self) {
        let (environments, idle) = (self.clone(), earlier(self.now(), self.inner.limits.idle));
        let found = match blocking(move || environments.inner.rows.due(idle)).await {
            Ok(found) => found,
            Err(failure) => return warn!(?failure, "Environments that are idle cannot be found"),
        };
        for id in found {
            // Who has it, or looks into it, uses it.
            let Ok(turn) = self.inner.turns.of(&id).try_write_owned() else { continue };
            let Ok(looks) = self.inner.looks.of(&id).try_write_owned() else { continue };
            let (environments, resting) = (self.clone(), id.clone());
            let rested = blocking(move || {
                let _held = (turn, looks);
                environments.rest(&resting)
            });
            match rested.await {
                Ok(true) => info!(environment = %id, "An idle environment rests"),
                Ok(false) => {}
                Err(Failure::Refused(error)) => debug!(environment = %id, %error, "An idle environment stays awake"),
                Err(failure @ Failure::Broken(_)) => {
                    warn!(environment = %id, ?failure, "An idle environment cannot be put to rest")
                }
            }
        }
    }

    /// Whether it has begun to rest. The caller holds its turn.
    fn rest(&self, id: &EnvironmentId) -> Outcome<bool> {
        let inner = &self.inner;
        let home = self.home(id);
        // It may have been deleted, or used, since it was found.
        let is_due = inner.rows.due(earlier(self.now(), inner.limits.idle))?.contains(id);
        if !is_due || !home.workspace().is_dir() {
            return Ok(false);
        }
        // The last program of whoever had it may have outlived its run for a moment.
        place::wait_for_programs(&home.workspace())?;
        resting::put_to_rest(&home, self.most_resting(), &inner.faults)?;
        Ok(true)
    }

    /// Brings an environment back if it rests. The caller holds its turn, or nobody knows of it yet.
    pub(crate) fn wake_held(&self, id: &EnvironmentId) -> Outcome<()> {
        let home = self.home(id);
        if resting::is_resting(&home) {
            resting::wake(&home, self.most_resting(), &self.inner.faults)?;
        }
        Ok(())
    }

    /// As [`Environments::wake_held`], for those who hold nothing. It rests no more while what
    /// this returns is held.
    ///
    /// # Errors
    /// `failed_precondition` when that takes others too long.
    pub(crate) async fn wake(&self, id: &EnvironmentId) -> Outcome<Looking> {
        let looking = self.inner.looks.of(id).read_owned().await;
        let until = Instant::now() + PATIENCE;
        loop {
            if !resting::is_resting(&self.home(id)) {
                return Ok(looking);
            }
            // A run that has it wakes it, and may keep it for long afterwards.
            if let Ok(turn) = self.inner.turns.of(id).try_write_owned() {
                let (environments, id) = (self.clone(), id.clone());
                blocking(move || {
                    let _turn = turn;
                    environments.wake_held(&id)
                })
                .await?;
                return Ok(looking);
            }
            if Instant::now() >= until {
                return Err(in_use(id));
            }
            sleep(PAUSE).await;
        }
    }

    fn most_resting(&self) -> u64 {
        self.inner.limits.bytes.saturating_mul(FACTOR)
    }
}
