//! The other commands of the operator.

mod command_lines;
mod doctor;
mod doctor_broken;
mod inspect;
mod render;
