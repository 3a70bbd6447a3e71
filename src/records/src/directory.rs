//! The files of a network's attachments, beside its address book.

use std::path::{Path, PathBuf};

use crate::attachment::{self, ATTACHMENT_MAX, Attachment, Holder};
use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;

/// The default of `dataDir`: it has a directory for each network.
pub const DATA_DIR: &str = "/run/podhosts/networks";
const ATTACHMENTS: &str = "attachments";

/// The file of a holder's attachment.
pub fn path(dir: &Path, holder: &Holder) -> PathBuf {
    dir.join(ATTACHMENTS).join(attachment::file_name(holder))
}

/// Writes the file of an attachment in the directory of its network.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn keep(dir: &Path, attachment: &Attachment) -> Result<(), FileError> {
    // Strings and numbers always have a JSON form.
    state_dir::replace(&path(dir, &attachment.holder()), &serde_json::to_vec(attachment).unwrap_or_default())
}

/// Removes the file of an attachment; tells whether it existed.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn forget(dir: &Path, holder: &Holder) -> Result<bool, FileError> {
    state_dir::remove(&path(dir, holder))
}

/// Reads the file of an attachment; `None` if it is missing or cannot be used.
pub fn read(dir: &Path, holder: &Holder) -> Option<Attachment> {
    let json = files::read(&path(dir, holder), ATTACHMENT_MAX, LastLink::Refuse).ok()?;
    Attachment::parse(&json).ok().filter(|attachment| attachment.holder() == *holder)
}

/// The holders of all attachments with a file.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn list(dir: &Path) -> Result<Vec<Holder>, FileError> {
    Ok(state_dir::names(&dir.join(ATTACHMENTS))?
        .iter()
        .filter_map(|name| attachment::holder_of(name))
        .collect())
}

/// Removes the temporary files of killed writers. No process may be writing.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn sweep(dir: &Path) -> Result<(), FileError> {
    let dir = dir.join(ATTACHMENTS);
    for name in state_dir::names(&dir)?.iter().filter(|name| name.starts_with(state_dir::TEMPORARY)) {
        state_dir::remove(&dir.join(name))?;
    }
    Ok(())
}
