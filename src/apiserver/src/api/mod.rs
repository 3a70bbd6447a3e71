//! The parts of the API that are the same for every kind: paths, media types, bodies, patches, tables, discovery. Pure
//! functions from values to values.

pub mod apply;
pub mod body;
pub mod decode;
pub mod discovery;
mod duration;
mod json_order;
pub mod json_text;
pub mod list_options;
pub mod media;
pub mod openapi;
pub mod openapi_v2;
pub mod openapi_v2_json;
pub mod operations;
pub mod owners;
pub mod parameters;
pub mod patch;
pub mod path;
pub mod protobuf;
pub mod strategic;
pub mod table;
pub mod yaml;
