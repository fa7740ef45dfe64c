//! From method and path to what is asked for. Pure: no socket, no store.
//!
//! `PUT` stores whatever its path says, because the content names the block. Everything else needs the name, at
//! `/block/{hash}` or `/{hash}`.

use crate::Digest;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Store the body.
    Put,
    /// Send the block, or for HEAD its length.
    Get(Digest),
    /// Forget the block.
    Delete(Digest),
    /// What this port is.
    Root,
    /// The counters, as JSON.
    Stats,
    /// The counters, as OpenMetrics.
    Metrics,
    /// The path is right and the method is not; these are.
    NotAllowed(&'static str),
    /// The path should name a block and does not: why.
    BadName(&'static str),
    /// No such path.
    Unknown,
}

/// What lies at a path.
enum Place {
    Root,
    Stats,
    Metrics,
    /// Where blocks are stored, without a name.
    Store,
    Block(Digest),
    Bad(&'static str),
    Nothing,
}

/// Decides by method and path, the path without its query.
pub(crate) fn route(method: &str, path: &str) -> Route {
    if method == "PUT" {
        return Route::Put;
    }
    let reads = matches!(method, "GET" | "HEAD");
    match place(path) {
        Place::Root if reads => Route::Root,
        Place::Stats if reads => Route::Stats,
        Place::Metrics if reads => Route::Metrics,
        Place::Block(digest) if reads => Route::Get(digest),
        Place::Block(digest) if method == "DELETE" => Route::Delete(digest),
        Place::Bad(why) if reads || method == "DELETE" => Route::BadName(why),
        Place::Nothing if reads || method == "DELETE" => Route::Unknown,
        Place::Root | Place::Stats | Place::Metrics => Route::NotAllowed("GET, HEAD, PUT"),
        Place::Block(_) => Route::NotAllowed("GET, HEAD, DELETE, PUT"),
        Place::Store | Place::Bad(_) | Place::Nothing => Route::NotAllowed("PUT"),
    }
}

fn place(path: &str) -> Place {
    const SHAPE: &str = "a block is at /block/{name}, its name is the 64 hexadecimal digits of its SHA-256";
    match path {
        "/" => return Place::Root,
        "/stats" => return Place::Stats,
        "/metrics" => return Place::Metrics,
        "/block" => return Place::Store,
        _ => {}
    }
    let Some(name) = path.strip_prefix("/block/").or_else(|| path.strip_prefix('/')) else {
        return Place::Bad(SHAPE);
    };
    if name.contains('/') {
        return Place::Nothing;
    }
    name.parse().map_or(Place::Bad(SHAPE), Place::Block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_on_every_kind_of_path() {
        let digest = Digest([0xab; 32]);
        let get = Route::Get(digest);
        let block = format!("/block/{digest}");
        let upper = format!("/{}", digest.to_string().to_uppercase());
        for (method, path, expected) in [
            ("PUT", "/block", Route::Put),
            ("PUT", "/", Route::Put),
            ("PUT", "/stats", Route::Put),
            ("PUT", "/a/b/c", Route::Put),
            ("GET", &block, get),
            ("GET", &upper, get),
            ("HEAD", &block, get),
            ("DELETE", &upper, Route::Delete(digest)),
            ("GET", "/", Route::Root),
            ("HEAD", "/stats", Route::Stats),
            ("GET", "/metrics", Route::Metrics),
            ("POST", "/metrics", Route::NotAllowed("GET, HEAD, PUT")),
            ("DELETE", "/", Route::NotAllowed("GET, HEAD, PUT")),
            ("POST", &block, Route::NotAllowed("GET, HEAD, DELETE, PUT")),
            ("GET", "/block", Route::NotAllowed("PUT")),
            ("get", &block, Route::NotAllowed("GET, HEAD, DELETE, PUT")),
            ("GET", "/a/b", Route::Unknown),
            ("GET", &format!("{block}/x"), Route::Unknown),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
        for path in [
            "/block/",
            "/x",
            "/block/abc",
            &block[..70],
            &format!("{block}0"),
            "*",
            "",
        ] {
            assert!(
                matches!(route("GET", path), Route::BadName(_)),
                "{path}: {:?}",
                route("GET", path)
            );
        }
    }
}
