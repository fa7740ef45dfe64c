//! What the commands know about the workspace: where it is, and which packages, features and examples it has.
//!
//! Everything comes from `cargo metadata`, so that a new crate or feature is covered by every command on the day it is
//! added.

use crate::steps::output_of;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The packages of the workspace, in the order of their folders.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds into.
    pub(crate) target: PathBuf,
}

/// One member.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    /// Every feature but `default`.
    pub(crate) features: Vec<String>,
    /// Whether it has a library.
    pub(crate) library: bool,
    /// Names of its binaries.
    pub(crate) binaries: Vec<String>,
    /// Names of its integration test targets.
    pub(crate) tests: Vec<String>,
    /// The examples that `[package.metadata.xtask] run-examples` names: they assert something and end by themselves.
    pub(crate) run_examples: Vec<String>,
    /// `[package.metadata.xtask] example-features`: what the first example of the documentation needs.
    pub(crate) example_features: Vec<String>,
}

/// The folder that holds the workspace's manifest.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// `cargo`, to be run in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    cargo
}

impl Workspace {
    /// Asks cargo. Reads manifests only, builds nothing.
    ///
    /// # Errors
    /// When cargo fails, for example because of a manifest that is not valid.
    pub(crate) fn read() -> Result<Self> {
        let json = output_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
        Self::parse(&json).context("cargo metadata is not in the expected shape")
    }

    fn parse(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json)?;
        let packages = value["packages"].as_array().context("no `packages`")?;
        let mut packages = packages.iter().map(Package::parse).collect::<Result<Vec<_>>>()?;
        packages.sort_by(|a, b| a.dir.cmp(&b.dir));
        let target = value["target_directory"]
            .as_str()
            .context("no `target_directory`")?;
        Ok(Self {
            packages,
            target: PathBuf::from(target),
        })
    }

    /// The package of that name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The arguments that select every package with every feature, except the features of `quintet-bench`: those are
    /// the rivals, whose builds would be the larger part of a test run. One selection for all steps of a run, so that
    /// nothing is built twice.
    pub(crate) fn selection(&self) -> Vec<String> {
        let features: Vec<String> = self
            .packages
            .iter()
            .filter(|package| package.name != "quintet-bench")
            .flat_map(|package| {
                package
                    .features
                    .iter()
                    .map(|feature| format!("{}/{feature}", package.name))
            })
            .collect();
        let mut args = vec!["--workspace".to_owned()];
        if !features.is_empty() {
            args.extend(["--features".to_owned(), features.join(",")]);
        }
        args
    }
}

impl Package {
    fn parse(value: &Value) -> Result<Self> {
        let name = value["name"].as_str().context("a package has no `name`")?;
        let manifest = value["manifest_path"].as_str().context("no `manifest_path`")?;
        let features = value["features"].as_object().context("no `features`")?;
        let targets = value["targets"].as_array().context("no `targets`")?;
        let of_kind = |kind: &str| -> Vec<String> {
            let is = |target: &&Value| {
                target["kind"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|k| k == kind))
            };
            targets
                .iter()
                .filter(is)
                .filter_map(|target| target["name"].as_str().map(str::to_owned))
                .collect()
        };
        let listed = |key: &str| -> Vec<String> {
            let names = value["metadata"]["xtask"][key].as_array().into_iter().flatten();
            names
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        };
        Ok(Self {
            name: name.to_owned(),
            dir: Path::new(manifest).parent().context("no folder")?.to_owned(),
            features: features.keys().filter(|f| *f != "default").cloned().collect(),
            library: !of_kind("lib").is_empty(),
            binaries: of_kind("bin"),
            tests: of_kind("test"),
            run_examples: listed("run-examples"),
            example_features: listed("example-features"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{ "target_directory": "/t", "packages": [
        { "name": "quintet-bench", "manifest_path": "/w/bench/Cargo.toml", "features": { "redb": [] },
          "metadata": null, "targets": [ { "name": "quintet-bench", "kind": ["bin"] } ] },
        { "name": "a", "manifest_path": "/w/a/Cargo.toml", "features": { "default": ["x"], "x": [], "y": [] },
          "metadata": { "xtask": { "run-examples": ["tour"] } },
          "targets": [ { "name": "a", "kind": ["lib"] }, { "name": "it", "kind": ["test"] } ] } ] }"#;

    #[test]
    fn packages_are_sorted_and_read_whole() {
        let workspace = Workspace::parse(METADATA).unwrap();
        let a = &workspace.packages[0];
        assert_eq!((a.name.as_str(), a.dir.as_path()), ("a", Path::new("/w/a")));
        assert_eq!(a.features, ["x", "y"]);
        assert_eq!(
            (a.library, &a.tests, &a.run_examples),
            (true, &vec!["it".into()], &vec!["tour".into()])
        );
        assert_eq!(
            workspace.package("quintet-bench").unwrap().binaries,
            ["quintet-bench"]
        );
    }

    #[test]
    fn the_selection_leaves_the_rivals_out() {
        let workspace = Workspace::parse(METADATA).unwrap();
        assert_eq!(workspace.selection(), ["--workspace", "--features", "a/x,a/y"]);
    }

    #[test]
    fn this_workspace_can_be_read() {
        let workspace = Workspace::read().unwrap();
        assert!(workspace.package("quintet-core").is_some_and(|core| core.library));
        assert!(root().join("Cargo.lock").is_file());
    }
}
