mod kernel;
mod plan;
mod world;
