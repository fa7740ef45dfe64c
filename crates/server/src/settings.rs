//! Where settings come from: defaults, then the TOML file of `--config`, then `QUINTET_…`, then flags; the later wins.
//!
//! The flags of `serve` are the one list of settings. A file's values become the defaults of those flags, so they are read,
//! checked and refused by the same code; a key that is no flag is refused with the nearest one. Keys are the flags' names
//! with `_` for `-`; a table's name may stand before them: `[http]` with `addr` is `http_addr`.

use crate::{
    cli::{Cli, Command, LogLevel, ServeArgs},
    config::Config,
    console::{complain, say},
    failure::Failure,
};
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, parser::ValueSource};
use std::{collections::BTreeMap, ffi::OsString, fs, path::Path};
use toml::{Table, Value};

/// The setting that names the file; it cannot stand in one.
const FILE: &str = "config";
/// The one that is read again while the server runs.
const LEVEL: &str = "log_level";
/// How alike two names must be to be suggested, 0 to 1.
const ALIKE: f64 = 0.75;

/// What was asked for, with the file's values in their place, and where each setting comes from.
pub struct Settings {
    /// The parsed command line.
    pub cli: Cli,
    args: Vec<OsString>,
    matches: ArgMatches,
    file: Option<String>,
}

/// What the file says now, of a server that runs.
pub struct Again {
    /// The level from which on is logged, whoever sets it.
    pub log_level: LogLevel,
    /// Settings that are not what the server was started with, and need a restart.
    pub later: Vec<String>,
}

/// Why there are no settings.
pub enum Refused {
    /// clap's own, help and version included.
    Usage(clap::Error),
    /// The file's.
    File(Failure),
}

impl Settings {
    /// Reads the command line, and the file that it or the environment names.
    ///
    /// # Errors
    /// What clap refuses; a file that cannot be read, has an unknown key, or a value that its flag refuses.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Refused> {
        let args: Vec<OsString> = args.into_iter().collect();
        let matches = Cli::command()
            .try_get_matches_from(&args)
            .map_err(Refused::Usage)?;
        let cli = Cli::from_arg_matches(&matches).map_err(Refused::Usage)?;
        let Some(path) = cli.serve_args().and_then(|serve| serve.config.clone()) else {
            return Ok(Self {
                cli,
                args,
                matches,
                file: None,
            });
        };
        let values = read_file(&path).map_err(Refused::File)?;
        let command = with_defaults(Cli::command(), &values);
        let matches = command.try_get_matches_from(&args).map_err(Refused::Usage)?;
        Ok(Self {
            cli: Cli::from_arg_matches(&matches).map_err(Refused::Usage)?,
            args,
            matches,
            file: Some(path.display().to_string()),
        })
    }

    /// Reads the same command line and the file as it is now.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn again(&self) -> Result<Again, Failure> {
        let now = Self::read(self.args.iter().cloned()).map_err(|refused| match refused {
            Refused::File(failure) => failure,
            Refused::Usage(error) => Failure::usage(error.to_string().trim().to_owned()),
        })?;
        let all = settings();
        let changed = |arg: &&clap::Arg| shown(arg, self.deepest()) != shown(arg, now.deepest());
        let keys = all.iter().filter(changed).map(|arg| arg.get_id().to_string());
        let later = keys.filter(|key| key != LEVEL).collect();
        let serve = now.cli.serve_args().unwrap_or(&now.cli.serve);
        Ok(Again {
            log_level: serve.log.log_level,
            later,
        })
    }

    /// Prints every setting as a TOML file that would set it, with where it comes from if asked for.
    pub fn show(&self, origin: bool) {
        let matches = self.deepest();
        for arg in settings() {
            let key = arg.get_id().as_str();
            let Some(value) = shown(&arg, matches) else {
                say(format_args!("# {key} is not set"));
                continue;
            };
            let from = match matches.value_source(key) {
                Some(ValueSource::CommandLine) => "flag",
                Some(ValueSource::EnvVariable) => "environment",
                Some(_) if self.file_sets(key) => "file",
                _ => "default",
            };
            let comment = if origin {
                format!("  # {from}")
            } else {
                String::new()
            };
            // A file may not name itself.
            let hide = if key == FILE { "# " } else { "" };
            say(format_args!("{hide}{key} = {value}{comment}"));
        }
    }

    fn file_sets(&self, key: &str) -> bool {
        let file = self
            .file
            .as_deref()
            .and_then(|file| read_file(Path::new(file)).ok());
        file.is_some_and(|values| values.contains_key(key))
    }

    /// The matches of the innermost subcommand: those that have the settings.
    fn deepest(&self) -> &ArgMatches {
        let mut matches = &self.matches;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        matches
    }
}

/// Says which variables of the environment look like settings and are none. Only a warning: a container's platform may
/// have set them for a service of this name.
pub fn warn_of_strangers() {
    let known: Vec<String> = settings()
        .iter()
        .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()))
        .chain(crate::cli::SECRETS.map(str::to_owned))
        .collect();
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("QUINTET_")) else {
            continue;
        };
        if !known.iter().any(|known| known == name) {
            let hint = nearest(name, known.iter().map(String::as_str));
            let hint = hint.map_or_else(String::new, |near| format!("; is {near} meant?"));
            complain(format_args!(
                "warning: {name} in the environment is no setting{hint}"
            ));
        }
    }
}

/// The flags of `serve`.
fn settings() -> Vec<clap::Arg> {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    command.get_arguments().cloned().collect()
}

/// The file's values as flags take them, by their keys.
fn read_file(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = |what: String| Failure::config(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut values = BTreeMap::new();
    flatten("", table, &mut values).map_err(wrong)?;
    let known = settings();
    let mut flags = vec![OsString::from("quintet")];
    for (key, value) in &values {
        let Some(arg) = known
            .iter()
            .find(|arg| arg.get_id() == key.as_str() && key != FILE)
        else {
            let names = known
                .iter()
                .map(|arg| arg.get_id().as_str())
                .filter(|name| *name != FILE);
            let failure = wrong(format!("`{key}` is no setting"));
            return Err(match nearest(key, names) {
                Some(near) => failure.hint(format!("{near}, or `quintet config show` for all")),
                None => failure.hint("`quintet config show`, which lists all"),
            });
        };
        let flag = arg.get_long().unwrap_or_default();
        match (arg.get_action(), value.as_str()) {
            (ArgAction::SetTrue, "true") => flags.push(format!("--{flag}").into()),
            (ArgAction::SetTrue, "false") => {}
            (ArgAction::SetTrue, _) => return Err(wrong(format!("{key} = {value}: expected true or false"))),
            _ => flags.push(format!("--{flag}={value}").into()),
        }
    }
    // Alone first, so that what is refused is the file's fault.
    let alone = Cli::command()
        .mut_args(|arg| arg.env(None))
        .try_get_matches_from(flags);
    let alone = alone.and_then(|matches| Cli::from_arg_matches(&matches));
    let alone = alone.map_err(|error| {
        let text = error.to_string();
        wrong(
            text.lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        )
    })?;
    match Config::from_args(&alone.serve) {
        Ok(_) => Ok(values),
        Err(failure) => Err(failure.in_file(&path.display().to_string())),
    }
}

fn flatten(prefix: &str, table: Table, values: &mut BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.replace('-', "_"));
        let text = match value {
            Value::Table(inner) if prefix.is_empty() => {
                flatten(&format!("{key}_"), inner, values)?;
                continue;
            }
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            Value::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                texts
                    .ok_or_else(|| format!("{key}: a list holds texts"))?
                    .join(",")
            }
            Value::Table(_) | Value::Float(_) | Value::Datetime(_) => {
                return Err(format!("{key}: expected a text, a whole number, true or false"));
            }
        };
        if values.insert(key.clone(), text).is_some() {
            return Err(format!("{key} is set twice"));
        }
    }
    Ok(())
}

/// The command with the values as defaults, wherever the flags of `serve` are.
fn with_defaults(command: clap::Command, values: &BTreeMap<String, String>) -> clap::Command {
    let command = command.mut_args(|arg| match values.get(arg.get_id().as_str()) {
        // An empty list is the default of a list as it is.
        Some(value) if !value.is_empty() => arg.default_value(value.clone()),
        _ => arg,
    });
    command.mut_subcommands(|inner| with_defaults(inner, values))
}

/// A setting's value in TOML.
fn shown(arg: &clap::Arg, matches: &ArgMatches) -> Option<String> {
    let key = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Some(matches.get_flag(key).to_string());
    }
    let values: Vec<String> = matches
        .get_raw(key)?
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    let text = values.join(",");
    Some(match text.parse::<u32>() {
        Ok(number) => number.to_string(),
        Err(_) => Value::String(text).to_string(),
    })
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

impl Cli {
    /// The settings of the commands that have them.
    fn serve_args(&self) -> Option<&ServeArgs> {
        match &self.command {
            None => Some(&self.serve),
            Some(command) => command.serve_args(),
        }
    }
}

impl Command {
    fn serve_args(&self) -> Option<&ServeArgs> {
        match self {
            Self::Serve(serve) => Some(serve),
            Self::Config(config) => Some(config.serve()),
            _ => None,
        }
    }
}
