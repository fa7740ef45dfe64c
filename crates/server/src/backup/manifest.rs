//! `MANIFEST`: what a backup has. A line of JSON, and a line with the SHA-256 of that line, so that a change to the list is
//! noticed like a change to a file.

use super::make::named;
use crate::engine::Each;
use quintet_core::{Clock, Error, ErrorKind, SystemClock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::Read,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Its name.
pub(super) const FILE: &str = "MANIFEST";
const FORMAT: &str = "quintet backup 1";
const PIECE_BYTES: usize = 1 << 20;

/// What a backup has.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Manifest {
    format: String,
    /// The version of the program that made it.
    version: String,
    /// When it was finished, in ms since 1970.
    made_ms: u64,
    /// The engines that it has.
    pub(super) engines: Vec<String>,
    /// Every file but this one.
    pub(super) files: Vec<Listed>,
}

/// One file.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Listed {
    /// From the backup's directory, with `/`.
    pub(super) path: String,
    /// Its length.
    pub(super) bytes: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn of(engines: Vec<String>, files: Vec<Listed>) -> Self {
        let now = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            engines,
            files,
        }
    }

    pub(super) fn to_text(&self) -> Result<String, Error> {
        let line = serde_json::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Io, format!("{FILE}: {error}")))?;
        let sum = hex(&Sha256::digest(line.as_bytes()));
        Ok(format!("{line}\n{sum}\n"))
    }

    /// Reads that of a backup, and checks it against itself.
    pub(super) fn read(backup: &Path) -> Result<Self, Error> {
        let path = backup.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = "it is missing: this is no backup, or one that was not finished";
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("{}: {why}", path.display()),
                ));
            }
            read => read.map_err(|error| named(&path, error))?,
        };
        let damaged = |why: &str| Error::new(ErrorKind::Corrupted, format!("{}: {why}", path.display()));
        let (line, sum) = text
            .split_once('\n')
            .ok_or_else(|| damaged("it ends too early"))?;
        if sum.strip_suffix('\n') != Some(&*hex(&Sha256::digest(line.as_bytes()))) {
            return Err(damaged("its checksum does not match"));
        }
        let manifest: Self = serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))?;
        if manifest.format != FORMAT {
            let why = format!(
                "it says {:?}, and this build knows only {FORMAT:?}",
                manifest.format
            );
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{}: {why}", path.display()),
            ));
        }
        if let Some(stranger) = manifest.files.iter().find(|file| !is_inside(&file.path)) {
            return Err(damaged(&format!("it lists {:?}", stranger.path)));
        }
        Ok(manifest)
    }
}

impl Listed {
    /// Reads and hashes a file below `root`.
    pub(super) fn of(root: &Path, path: &Path, each: Each<'_>) -> Result<Self, Error> {
        let inner = path.strip_prefix(root).unwrap_or(path);
        let names = inner.components().map(|name| name.as_os_str().to_string_lossy());
        let names: Vec<_> = names.collect();
        let (bytes, sha256) = hash(path, &mut |piece| each(piece.len() as u64))?;
        Ok(Self {
            path: names.join("/"),
            bytes,
            sha256,
        })
    }

    /// Where it is below a directory.
    pub(super) fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.path)
    }
}

/// Reads a file in pieces, and answers its length and its SHA-256.
pub(super) fn hash(
    path: &Path,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(u64, String), Error> {
    let mut file = File::open(path).map_err(|error| named(path, error))?;
    let (mut hasher, mut len, mut piece) = (Sha256::new(), 0, vec![0; PIECE_BYTES]);
    loop {
        let read = file.read(&mut piece).map_err(|error| named(path, error))?;
        if read == 0 {
            return Ok((len, hex(&hasher.finalize())));
        }
        hasher.update(&piece[..read]);
        len += read as u64;
        each(&piece[..read])?;
    }
}

/// Whether a path leads nowhere but down.
fn is_inside(path: &str) -> bool {
    let mut names = Path::new(path).components();
    !path.is_empty() && names.all(|name| matches!(name, Component::Normal(_)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
