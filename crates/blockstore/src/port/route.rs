//! From method and path to what is asked for. Pure: no socket, no store.
//!
//! `PUT` stores whatever its path says, because the content names the block. Everything else needs the name, at
//! `/block/{hash}` or `/{hash}`; its locks are at `/lock/{hash}` and `/lock/{hash}/{resource}`.

use crate::{Digest, MAX_RESOURCE_BYTES};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// Store the body.
    Put,
    /// Send the block, or for HEAD its length.
    Get(Digest),
    /// Forget the block.
    Delete(Digest),
    /// Lock the block for a resource.
    Lock(Digest, &'p str),
    /// End that lock.
    Unlock(Digest, &'p str),
    /// The locks of the block, or with a resource the body of one.
    Locks(Digest, &'p str),
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
enum Place<'p> {
    Root,
    Stats,
    Metrics,
    /// Where blocks are stored, without a name.
    Store,
    Block(Digest),
    /// A block's locks, or with a resource one of them.
    Locks(Digest, &'p str),
    Bad(&'static str),
    Nothing,
}

/// Decides by method and path, the path without its query.
pub(crate) fn route<'p>(method: &str, path: &'p str) -> Route<'p> {
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
        Place::Locks(digest, resource) if reads => Route::Locks(digest, resource),
        Place::Locks(digest, resource) if method == "PATCH" && !resource.is_empty() => {
            Route::Lock(digest, resource)
        }
        Place::Locks(digest, resource) if method == "DELETE" && !resource.is_empty() => {
            Route::Unlock(digest, resource)
        }
        Place::Bad(why) if reads || matches!(method, "DELETE" | "PATCH") => Route::BadName(why),
        Place::Nothing if reads || matches!(method, "DELETE" | "PATCH") => Route::Unknown,
        Place::Locks(_, "") => Route::NotAllowed("GET, HEAD, PUT"),
        Place::Locks(..) => Route::NotAllowed("GET, HEAD, PATCH, DELETE, PUT"),
        Place::Root | Place::Stats | Place::Metrics => Route::NotAllowed("GET, HEAD, PUT"),
        Place::Block(_) => Route::NotAllowed("GET, HEAD, DELETE, PUT"),
        Place::Store | Place::Bad(_) | Place::Nothing => Route::NotAllowed("PUT"),
    }
}

fn place(path: &str) -> Place<'_> {
    const SHAPE: &str = "a block is at /block/{name}, its name is the 64 hexadecimal digits of its SHA-256";
    match path {
        "/" => return Place::Root,
        "/stats" => return Place::Stats,
        "/metrics" => return Place::Metrics,
        "/block" => return Place::Store,
        _ => {}
    }
    if let Some(lock) = path.strip_prefix("/lock/") {
        return lock_place(lock);
    }
    let Some(name) = path.strip_prefix("/block/").or_else(|| path.strip_prefix('/')) else {
        return Place::Bad(SHAPE);
    };
    if name.contains('/') {
        return Place::Nothing;
    }
    name.parse().map_or(Place::Bad(SHAPE), Place::Block)
}

/// `{name}` or `{name}/{resource}`.
fn lock_place(path: &str) -> Place<'_> {
    const SHAPE: &str = "a lock is at /lock/{name}/{resource}, its name is a block's, 64 hexadecimal digits";
    const RESOURCE: &str = "a resource is 1 to 255 bytes of the path without a slash";
    let (name, resource) = match path.split_once('/') {
        Some((_, resource)) if resource.is_empty() || resource.contains('/') => return Place::Bad(RESOURCE),
        Some((_, resource)) if resource.len() > MAX_RESOURCE_BYTES => return Place::Bad(RESOURCE),
        Some(split) => split,
        None => (path, ""),
    };
    name.parse()
        .map_or(Place::Bad(SHAPE), |digest| Place::Locks(digest, resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_on_every_kind_of_path() {
        let digest = Digest([0xab; 32]);
        let get = Route::Get(digest);
        let block = format!("/block/{digest}");
        let (lock, one) = (format!("/lock/{digest}"), format!("/lock/{digest}/a%20b"));
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
            ("GET", &lock, Route::Locks(digest, "")),
            ("HEAD", &one, Route::Locks(digest, "a%20b")),
            ("PATCH", &one, Route::Lock(digest, "a%20b")),
            ("DELETE", &one, Route::Unlock(digest, "a%20b")),
            ("PATCH", &lock, Route::NotAllowed("GET, HEAD, PUT")),
            ("DELETE", &lock, Route::NotAllowed("GET, HEAD, PUT")),
            ("POST", &one, Route::NotAllowed("GET, HEAD, PATCH, DELETE, PUT")),
            ("PATCH", &block, Route::NotAllowed("GET, HEAD, DELETE, PUT")),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
        for path in [
            "/block/",
            "/x",
            "/block/abc",
            &block[..70],
            "/lock/x/y",
            "/lock/",
            &format!("/lock/{digest}/"),
            &format!("/lock/{digest}/a/b"),
            &format!("/lock/{digest}/{}", "r".repeat(256)),
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
