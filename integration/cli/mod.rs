//! The other commands of the operator.

mod command_lines;
mod doctor;
mod doctor_broken;
mod doctor_services;
mod inspect;
mod render;
