//! Several nodes on one link, an agent on each, and the API server that they follow.

mod agents;
mod events;
mod flaps;
mod hostile;
mod hosts;
mod kills;
mod life;
mod members;
mod pods;
mod reach;
mod removal;
mod rivals;
mod world;
