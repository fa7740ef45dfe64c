//! Which step may start: the first that is ready and has where to. Lists inside lists are held back while very many steps are
//! under way, so that what a run holds is bounded by the plan and not by what it unfolds to.

use super::{Run, Turned};
use crate::workflow::plan::Act;

/// Steps of the lists under way from which on a further list begins only when nothing else can. Lists that run lists many
/// at once would otherwise all begin before the first step of them runs.
const MANY_STEPS: usize = 100_000;

impl Run<'_> {
    /// The next step that may start and has where to.
    pub(super) fn next_ready(&mut self) -> Option<Turned> {
        // While no step is in a thread there is no use in waiting for one: it then runs here.
        let has_where_to = self.lanes.is_free() || self.lanes.in_flight() == 0;
        let has_room = self.frames.steps() < MANY_STEPS;
        while let Some(next) = self.ready.front() {
            match self.frames.act(self.plan, next.turn) {
                _ if self.stopping => {}
                Act::Join => {}
                Act::Run(_) if has_where_to => {}
                Act::Run(_) => return None,
                Act::Block(_) | Act::If { .. } | Act::While { .. } if has_room => {}
                Act::Block(_) | Act::If { .. } | Act::While { .. } => {
                    self.held.extend(self.ready.pop_front());
                    continue;
                }
            }
            return self.ready.pop_front();
        }
        if has_where_to || has_room {
            return self.held.pop();
        }
        None
    }

    /// Whether nothing else runs or could run beside the step that is to start.
    pub(super) fn is_alone(&self) -> bool {
        self.ready.is_empty()
            && self.held.is_empty()
            && self.delayed.is_empty()
            && self.lanes.in_flight() == 0
    }
}
