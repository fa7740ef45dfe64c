//! What this build contains, for `--version`, `/version` and the start-up lines.

use std::sync::LazyLock;

/// The engines of this build, by the names of their features.
#[must_use]
pub fn engines() -> Vec<&'static str> {
    ALL.iter()
        .filter(|(_, built)| *built)
        .map(|(name, _)| *name)
        .collect()
}

/// The engines that this build leaves out.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    ALL.iter()
        .filter(|(_, built)| !*built)
        .map(|(name, _)| *name)
        .collect()
}

/// The ways to serve sockets that this build knows; which one works is the kernel's to say.
#[must_use]
pub fn backends() -> &'static [&'static str] {
    if cfg!(all(feature = "uring", target_os = "linux")) {
        &["epoll", "uring"]
    } else {
        &["epoll"]
    }
}

const ALL: [(&str, bool); 5] = [
    ("blockstore", cfg!(feature = "blockstore")),
    ("kv", cfg!(feature = "kv")),
    ("shard", cfg!(feature = "shard")),
    ("stm", cfg!(feature = "stm")),
    ("tree", cfg!(feature = "tree")),
];

/// Several lines: the version, the engines in and out, the backends.
#[must_use]
pub fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(text);
    &TEXT
}

fn text() -> String {
    let list = |names: Vec<&str>| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    format!(
        "{}\nengines: {}\nnot built in: {}\npage: {}\ni/o backends: {}",
        env!("CARGO_PKG_VERSION"),
        list(engines()),
        list(missing()),
        if cfg!(feature = "ui") {
            "yes"
        } else {
            "not built in"
        },
        backends().join(", ")
    )
}
