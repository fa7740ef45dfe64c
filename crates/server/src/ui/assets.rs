//! The page's files, as they are in the source, and a tag of each one's content.
//!
//! A file is added here and in `page/`; a test finds what one file names and no other is. Together they stay below a budget,
//! so that the page opens at once over a slow tunnel too.

use sha2::{Digest, Sha256};
use std::{fmt::Write, sync::LazyLock};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// One file.
pub(super) struct Asset {
    /// Where it is served.
    pub(super) path: &'static str,
    /// What it is.
    pub(super) media_type: &'static str,
    /// All of it.
    pub(super) text: &'static str,
    tag: LazyLock<String>,
}

impl Asset {
    /// Its entity tag, quoted: half of the SHA-256 of its content.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }
}

macro_rules! asset {
    ($path:literal, $media_type:expr, $file:literal) => {
        Asset {
            path: $path,
            media_type: $media_type,
            text: include_str!(concat!("page/", $file)),
            tag: LazyLock::new(|| tag_of(include_str!(concat!("page/", $file)))),
        }
    };
}

fn tag_of(text: &str) -> String {
    let digest = Sha256::digest(text);
    let digits = digest.iter().take(16).fold(String::new(), |mut digits, byte| {
        let _never_fails = write!(digits, "{byte:02x}");
        digits
    });
    format!("\"{digits}\"")
}

/// All of them.
pub(super) static ASSETS: [Asset; 20] = [
    asset!("/", HTML, "index.html"),
    asset!("/ui/icon.svg", SVG, "icon.svg"),
    asset!("/ui/style.css", CSS, "style.css"),
    asset!("/ui/overview.css", CSS, "overview.css"),
    asset!("/ui/explore.css", CSS, "explore.css"),
    asset!("/ui/theme.js", JS, "theme.js"),
    asset!("/ui/app.js", JS, "app.js"),
    asset!("/ui/element.js", JS, "element.js"),
    asset!("/ui/format.js", JS, "format.js"),
    asset!("/ui/server.js", JS, "server.js"),
    asset!("/ui/pulse.js", JS, "pulse.js"),
    asset!("/ui/engines.js", JS, "engines.js"),
    asset!("/ui/chart.js", JS, "chart.js"),
    asset!("/ui/overview.js", JS, "overview.js"),
    asset!("/ui/tree-model.js", JS, "tree-model.js"),
    asset!("/ui/tree-rows.js", JS, "tree-rows.js"),
    asset!("/ui/tree-panel.js", JS, "tree-panel.js"),
    asset!("/ui/tree.js", JS, "tree.js"),
    asset!("/ui/vector-query.js", JS, "vector-query.js"),
    asset!("/ui/vectors.js", JS, "vectors.js"),
];
