//! Whole apps, as a user makes and runs them: the real command, real cargo, real sockets, a real disk.

mod aws_admin;
mod aws_replay;
mod delivery;
mod dev;
mod docs;
mod examples;
mod friends;
mod graph;
mod orphans;
mod secure;
mod stage;
mod store;
mod support;
mod tail;
mod terminal;
mod workers;
