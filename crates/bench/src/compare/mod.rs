//! The comparison: one workload path for every engine and every rival, from the command line to the report.
//!
//! | part | what it does |
//! |---|---|
//! | `subject/` | one file per subject: what it is, how it starts, how it is asked |
//! | `workload`, `draw`, `plan` | what is asked, drawn from a seed; which sections there are |
//! | `examine` | the check before the clock |
//! | `session`, `drive`, `open_loop` | asking, and taking figures, in the subject's own process |
//! | `wire`, `process`, `run` | the two ends of that process, and taking turns |
//! | `record`, `statistics`, `report/` | what is saved, and what is made of it |
//! | `against` | this program beside that of another commit |

mod against;
mod cli;
mod draw;
mod drive;
mod examine;
mod map;
mod open_loop;
mod plan;
mod process;
mod record;
mod report;
mod run;
mod session;
mod smoke;
mod statistics;
mod subject;
mod transact;
mod wire;
mod workload;

pub use cli::{Against, Command, Common, Mine, run};
pub use record::Machine;
pub use smoke::smoke;
