//! Sets of verbs that more than one kind has.

use crate::kind::{Subresource, Verb};

/// Everything.
pub(super) const ALL: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

/// Everything but deleting many at once.
pub(super) const ONE_BY_ONE: &[Verb] =
    &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch];

/// Asking a question.
pub(super) const ASK: &[Verb] = &[Verb::Create];

/// Reading.
pub(super) const READ_ONLY: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch];

/// A status that is written on its own.
pub(super) const STATUS: (Subresource, &[Verb]) =
    (Subresource::Status, &[Verb::Get, Verb::Patch, Verb::Update]);
