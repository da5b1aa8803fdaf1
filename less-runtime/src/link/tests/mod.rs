//! Links over real connections: what every transport promises, and every way in which a connection fails.

mod edges;
mod faults;
mod proxy;
mod rig;

mod conformance {
    crate::suite!(super::rig::Harness::new());
}
