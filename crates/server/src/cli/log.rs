//! The flags about the log on standard error.

use clap::{Args, ValueEnum};

const HEADING: &str = "Log (lines on standard error)";

/// The flags.
#[derive(Args, Clone, Copy, Debug)]
pub struct LogArgs {
    /// From which level on is logged; SIGHUP reads it again from the file of `--config`
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::Warn, env = "QUINTET_LOG_LEVEL", hide_env_values = true, help_heading = HEADING)]
    pub log_level: LogLevel,

    /// How a line looks
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text, env = "QUINTET_LOG_FORMAT", hide_env_values = true, help_heading = HEADING)]
    pub log_format: LogFormat,
}

/// The value of `--log-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Nothing
    Off,
    /// An engine is poisoned, a part of the server ended on its own
    Error,
    /// Also: an engine is full, a request failed on the server's side, a reload was refused
    Warn,
    /// Also: the server's life
    Info,
    /// Also: every request on the API port and the tree's
    Debug,
}

/// The value of `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, message, then fields as name=value
    Text,
    /// A JSON object
    Json,
}
