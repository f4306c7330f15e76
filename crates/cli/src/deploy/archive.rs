//! The unpacked archive of a release: verified as a whole before anything of it is used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

const SUMS: &str = "SHA256SUMS";
const TEMPLATE: &str = "template.yaml";
const VERSION: &str = "VERSION";
/// Where the template expects its files; the name of the bucket is known only now.
const PLACE: &str = "s3://ARTIFACT_BUCKET/";
/// The folder in the bucket.
pub(crate) const PREFIX: &str = "certificate-rotation/";

/// An archive that is whole.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) version: Version,
    /// The files that the template names.
    pub(super) files: Vec<File>,
    template: String,
}

/// A file that is uploaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// The key in the bucket, made of the content.
    pub(super) key: String,
    pub(super) sha256: Vec<u8>,
}

impl Archive {
    /// Reads and verifies a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let shown = folder.display();
        let Ok(sums) = std::fs::read_to_string(folder.join(SUMS)) else {
            return Err(Failure::WillNotDo(format!(
                "{shown} is no unpacked archive of a release, since it has no {SUMS}. Unpack the archive of \
                 this system (tar -xzf), and give the folder in it."
            )));
        };
        let found = digests(folder)?;
        compare(&sums, &found).map_err(|problem| {
            Failure::WillNotDo(format!(
                "The archive in {shown} is not as it was released: {problem}. Unpack it again, into an \
                 empty folder."
            ))
        })?;
        let text = |name: &str| {
            std::fs::read_to_string(folder.join(name))
                .map_err(|error| Failure::file(&folder.join(name), &error))
        };
        let other = || {
            Failure::WillNotDo(format!(
                "{shown} is an archive for another version of certrotate: use the certrotate of its release."
            ))
        };
        let template = text(TEMPLATE)?;
        let version = text(VERSION)?.trim().parse().map_err(|_| other())?;
        let files: Vec<File> = found
            .into_iter()
            .filter_map(|(name, sha256)| {
                let kind = Path::new(&name).extension()?.to_str()?.to_owned();
                let key = format!("{PREFIX}{}.{kind}", hex(&sha256));
                let named = template.contains(&format!("{PLACE}{key}"));
                named.then(|| File { path: folder.join(&name), key, sha256 })
            })
            .collect();
        if files.is_empty() || files.len() != template.matches(PLACE).count() {
            return Err(other());
        }
        Ok(Self { version, files, template })
    }

    /// The template for a bucket.
    pub(super) fn template(&self, bucket: &str) -> Template {
        let body = self.template.replace(PLACE, &format!("s3://{bucket}/")).into_bytes();
        let sha256 = Sha256::digest(&body).to_vec();
        Template { key: format!("{PREFIX}{}.yaml", hex(&sha256)), sha256, body }
    }
}

/// A template that can be uploaded.
pub(super) struct Template {
    pub(super) key: String,
    pub(super) sha256: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The digest of every file below a folder, by its path in it.
fn digests(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(within) = folders.pop() {
        let failure = |error: std::io::Error| Failure::file(&within, &error);
        for entry in std::fs::read_dir(&within).map_err(failure)? {
            let path = entry.map_err(failure)?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = std::fs::read(&path).map_err(|error| Failure::file(&path, &error))?;
            let within = path.strip_prefix(folder).unwrap_or(&path);
            // As the sums have it, on Windows too.
            let parts: Vec<_> = within.iter().map(|part| part.to_string_lossy()).collect();
            let name = parts.join("/");
            if name != SUMS {
                found.insert(name, Sha256::digest(content).to_vec());
            }
        }
    }
    Ok(found)
}

/// Says what differs from the sums, as `sha256sum` writes them.
fn compare(sums: &str, found: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let mut listed = BTreeMap::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").ok_or(format!("{SUMS} cannot be read"))?;
        listed.insert(name, sum);
    }
    for (name, sum) in &listed {
        match found.get(*name) {
            None => return Err(format!("{name} is missing")),
            Some(digest) if hex(digest) != *sum => return Err(format!("{name} has changed")),
            Some(_) => {}
        }
    }
    match found.keys().find(|name| !listed.contains_key(&name[..])) {
        Some(extra) => Err(format!("{extra} is not part of it")),
        None => Ok(()),
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_extra_or_changed_is_named() {
        let digest = |text: &str| Sha256::digest(text).to_vec();
        let sums = format!("{}  a\n{}  b/c\n", hex(&digest("a")), hex(&digest("c")));
        for (found, expected) in [
            (vec![("a", "a"), ("b/c", "c")], Ok(())),
            (vec![("a", "a")], Err("b/c is missing")),
            (vec![("a", "a"), ("b/c", "other")], Err("b/c has changed")),
            (vec![("a", "a"), ("b/c", "c"), ("d", "")], Err("d is not part of it")),
            (vec![("a", "a"), ("c", "c")], Err("b/c is missing")),
        ] {
            let found =
                found.into_iter().map(|(name, text)| (name.to_owned(), digest(text))).collect();
            assert_eq!(compare(&sums, &found), expected.map_err(str::to_owned));
        }
        assert_eq!(
            compare("nonsense\n", &BTreeMap::new()),
            Err("SHA256SUMS cannot be read".into())
        );
    }
}
