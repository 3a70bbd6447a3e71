//! The structures of kinds that are stored as clients write them, with the fields that Kubernetes 1.36 publishes.
//!
//! The tables of other kinds are written by hand, with a description of each field, and only have what is served.

#![allow(non_upper_case_globals, reason = "a structure has its own name")]

use super::core::OBJECT_REFERENCE as ObjectReference;
use super::meta::{LABEL_SELECTOR as LabelSelector, OBJECT_META as ObjectMeta};

/// Makes a static of each structure: the number, the name and the type of each field, and how it differs from other fields.
/// A line that begins with dots inlines a structure.
macro_rules! types {
    ($package:literal $($name:ident {
        $($number:literal $field:ident: $form:tt $($differs:ident $(($($key:ident),*))?)*;)*
        $(..$message:literal $inlined:ident;)*
    })*) => {
        $(pub(crate) static $name: $crate::schema::Type = $crate::schema::Type {
            inlined: &[$(($message, &$inlined)),*],
            ..$crate::schema::Type::new(
                concat!($package, ".", stringify!($name)),
                "",
                &[$(
                    $crate::schema::Field::new($number, stringify!($field), form!($form), "")
                        $(.$differs($(&[$(stringify!($key)),*])?))*
                ),*],
            )
        };)*
    };
}

/// The type of a field.
macro_rules! form {
    ([$item:tt]) => {
        $crate::schema::Form::List(&form!($item))
    };
    (Text) => {
        $crate::schema::Form::Text
    };
    (Boolean) => {
        $crate::schema::Form::Boolean
    };
    (Int32) => {
        $crate::schema::Form::Int32
    };
    (Int64) => {
        $crate::schema::Form::Int64
    };
    (Time) => {
        $crate::schema::Form::Time
    };
    (MicroTime) => {
        $crate::schema::Form::MicroTime
    };
    (IntOrString) => {
        $crate::schema::Form::IntOrString
    };
    (Quantity) => {
        $crate::schema::Form::Quantity
    };
    (Texts) => {
        $crate::schema::Form::Texts
    };
    (Quantities) => {
        $crate::schema::Form::Quantities
    };
    (Blobs) => {
        $crate::schema::Form::Blobs
    };
    ($name:ident) => {
        $crate::schema::Form::Object(&$name)
    };
}

mod config;
mod container;
mod node;
mod pod;
mod rbac;
mod small;
mod volume;
mod workload;

pub(crate) use {config::*, container::*, node::*, pod::*, rbac::*, small::*, volume::*, workload::*};
