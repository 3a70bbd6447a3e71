//! What is written down of the attachments of a network, beside its address book.

use std::path::{Path, PathBuf};

use crate::attachment::{self, ATTACHMENT_MAX, Attachment, Holder};
use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;

const ATTACHMENTS: &str = "attachments";

/// The file of a holder's attachment.
pub fn path(dir: &Path, holder: &Holder) -> PathBuf {
    dir.join(ATTACHMENTS).join(attachment::file_name(holder))
}

/// Writes down what an attachment is, in the directory of its network.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn keep(dir: &Path, attachment: &Attachment) -> Result<(), FileError> {
    // Strings and numbers always have a JSON form.
    state_dir::replace(&path(dir, &attachment.holder()), &serde_json::to_vec(attachment).unwrap_or_default())
}

/// Forgets an attachment; tells whether there was one.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn forget(dir: &Path, holder: &Holder) -> Result<bool, FileError> {
    state_dir::remove(&path(dir, holder))
}

/// What is written down of an attachment, if anything that can be read is.
pub fn read(dir: &Path, holder: &Holder) -> Option<Attachment> {
    let json = files::read(&path(dir, holder), ATTACHMENT_MAX, LastLink::Refuse).ok()?;
    Attachment::parse(&json).ok().filter(|attachment| attachment.holder() == *holder)
}

/// All attachments of which anything is written down.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn list(dir: &Path) -> Result<Vec<Holder>, FileError> {
    Ok(state_dir::names(&dir.join(ATTACHMENTS))?
        .iter()
        .filter_map(|name| attachment::holder_of(name))
        .collect())
}

/// Removes the half-written files of killed writers. Nobody may be writing.
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
