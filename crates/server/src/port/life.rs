//! [`Life`]: where the server is between its start and its end. `compose` moves it on, `/readyz` reads it, listeners and
//! streams wait for its end.

use tokio::sync::watch;

/// A stage of the server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Engines are being opened.
    Recovering,
    /// Everything serves.
    Serving,
    /// No new connections; what is in flight is finished.
    Draining,
}

/// The stage, shared.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    stage: watch::Sender<Stage>,
}

impl Life {
    /// A server that has just been started.
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Recovering),
        }
    }

    /// Where it is.
    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Moves on. A later stage stays.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.send_if_modified(|current| {
            let later = stage > *current;
            if later {
                *current = stage;
            }
            later
        });
    }

    /// Ends when the drain begins. For accept loops, and for answers without an end.
    pub(crate) async fn draining(&self) {
        let mut stage = self.stage.subscribe();
        // The sender is in `self`, so it cannot have gone.
        let _draining = stage.wait_for(|stage| *stage == Stage::Draining).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_never_left_backwards() {
        let life = Life::new();
        assert_eq!(life.stage(), Stage::Recovering);
        life.enter(Stage::Draining);
        life.enter(Stage::Serving);
        assert_eq!(life.stage(), Stage::Draining);
    }
}
