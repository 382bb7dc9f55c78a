//! The caches' remote tier on a real Redis: the suite, and what happens while Redis is slow, frozen or gone.

mod cache {
    mod faults;
    mod support;
}
