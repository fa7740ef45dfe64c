//! Which face a request's path means, and the place in the tree.
//!
//! `/a/b.json` is Firebase's face of `a/b`, `/a/b` the plain one, `/a/b/.watch` its stream. Names are percent-decoded; a `/`
//! that was encoded separates names like any other.

use crate::port::problem::Problem;
use percent_encoding::percent_decode_str;
use quintet_tree::Path;

/// What a path names.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// A place, by Firebase's protocol.
    Rest(Path),
    /// A place, by the plain face.
    Plain(Path),
    /// The changes of a place.
    Watch(Path),
}

impl Target {
    /// Reads the path of a request.
    pub(super) fn of(raw: &str) -> Result<Self, Problem> {
        // `DELETE host HTTP/1.1` has no path; it does not mean the root.
        if !raw.starts_with('/') {
            return Err(Problem::invalid(
                "the target of the request is not a path: those begin with `/`",
            ));
        }
        let text = percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| Problem::invalid("the path is not UTF-8 once it is decoded"))?;
        let parse = |text: &str| text.parse::<Path>().map_err(Problem::from);
        if let Some(place) = text.strip_suffix("/.watch") {
            return parse(place).map(Self::Watch);
        }
        match text.strip_suffix(".json") {
            Some(place) => parse(place).map(Self::Rest),
            None => parse(&text).map(Self::Plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    #[test]
    fn a_path_says_which_face_is_meant() {
        for (raw, expected) in [
            ("/.json", Target::Rest(Path::root())),
            ("/", Target::Plain(Path::root())),
            ("/.watch", Target::Watch(Path::root())),
            ("/a/b.json", Target::Rest(path("a/b"))),
            ("/a/b/.json", Target::Rest(path("a/b"))),
            ("/a%20b/%C3%A9.json", Target::Rest(path("a b/é"))),
            ("/a%2Fb.json", Target::Rest(path("a/b"))),
            ("//a///b", Target::Plain(path("a/b"))),
            ("/a/b/.watch", Target::Watch(path("a/b"))),
        ] {
            assert_eq!(Target::of(raw).expect(raw), expected, "{raw}");
        }
        for raw in [
            "/a.b",
            "/a$.json",
            "/%23.json",
            "/a%5B0%5D.json",
            "/%00.json",
            "/%FF.json",
            "/a.json.json",
            "",
            "*",
            "a.json",
        ] {
            assert!(Target::of(raw).is_err(), "{raw}");
        }
    }
}
