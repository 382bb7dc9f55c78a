//! The shared rate limit on a real Redis: the suite that the local one passes too, two processes, clocks, and faults.

mod rate {
    mod conformance;
    mod faults;
    mod processes;
    mod support;
}
