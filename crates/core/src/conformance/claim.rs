//! What the suites are written with: a named claim that fails loudly, a deadline for every wait, a skip with a reason.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// One clause of a suite, for a runner of one's own. The macros make `#[test]`s of the same functions.
pub struct Clause {
    /// The name of the clause's function.
    pub name: &'static str,
    /// Checks it; panics when it does not hold.
    pub run: Box<dyn Fn()>,
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clause").field(&self.name).finish()
    }
}

/// Whether a subject offers one of its optional hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The hook works as documented.
    Provided,
    /// There is no such hook; the clauses that need it print this reason and pass.
    Missing(&'static str),
}

/// How long a clause waits for another thread before it fails: far beyond any scheduling delay.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A clause under examination.
#[derive(Clone, Copy)]
pub(super) struct Claim(pub(super) &'static str);

impl Claim {
    #[track_caller]
    pub(super) fn fail(self, seen: fmt::Arguments<'_>) -> ! {
        panic!("clause {}: {seen}", self.0)
    }

    /// Fails with `seen` unless `true`.
    #[track_caller]
    pub(super) fn holds(self, truth: bool, seen: fmt::Arguments<'_>) {
        if !truth {
            self.fail(seen);
        }
    }

    #[track_caller]
    pub(super) fn same<T: PartialEq + fmt::Debug>(self, what: &str, expected: T, seen: T) {
        if expected != seen {
            self.fail(format_args!("{what}: expected {expected:?}, saw {seen:?}"));
        }
    }

    #[track_caller]
    pub(super) fn ok<T, E: fmt::Debug>(self, what: &str, result: Result<T, E>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.fail(format_args!("{what}: expected success, saw {error:?}")),
        }
    }

    /// Whether the hook is there; if not, says why the clause is skipped.
    #[expect(
        clippy::print_stdout,
        reason = "a skipped clause must be seen in the test's output"
    )]
    pub(super) fn can(self, support: Support) -> bool {
        match support {
            Support::Provided => true,
            Support::Missing(reason) => {
                println!("clause {} skipped: {reason}", self.0);
                false
            }
        }
    }

    /// Calls `step` until it answers something.
    #[track_caller]
    pub(super) fn within<T>(self, what: &str, mut step: impl FnMut() -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = step() {
                return value;
            }
            if Instant::now() > give_up {
                self.fail(format_args!("{what}: did not happen within {PATIENCE:?}"));
            }
        }
    }
}

/// For hooks that a subject claims to provide and does not override.
#[track_caller]
pub(super) fn not_overridden(hook: &str) -> ! {
    panic!("this subject says that it provides `{hook}` and does not override it")
}

/// Makes one `#[test]` of each clause of a type.
#[doc(hidden)]
#[macro_export]
macro_rules! clause_tests_of_type {
    (($suite:ident, $name:ident, $subject:ty) $($clause:ident)+) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $clause() {
                    $crate::conformance::$suite::$clause::<$subject>();
                }
            )+
        }
    };
}

/// Makes one `#[test]` of each clause over a factory.
#[doc(hidden)]
#[macro_export]
macro_rules! clause_tests_of_factory {
    (($suite:ident, $name:ident, $make:expr) $($clause:ident)+) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $clause() {
                    $crate::conformance::$suite::$clause($make);
                }
            )+
        }
    };
}

/// Makes a list of each clause over a factory.
#[doc(hidden)]
#[macro_export]
macro_rules! clause_list_of_factory {
    (($suite:ident, $make:ident) $($clause:ident)+) => {
        vec![$($crate::conformance::Clause {
            name: stringify!($clause),
            run: Box::new({
                let make = $make.clone();
                move || $crate::conformance::$suite::$clause(make.clone())
            }),
        }),+]
    };
}

/// Makes a list of each clause of a type.
#[doc(hidden)]
#[macro_export]
macro_rules! clause_list_of_type {
    (($suite:ident, $subject:ty) $($clause:ident)+) => {
        vec![$($crate::conformance::Clause {
            name: stringify!($clause),
            run: Box::new($crate::conformance::$suite::$clause::<$subject>),
        }),+]
    };
}
